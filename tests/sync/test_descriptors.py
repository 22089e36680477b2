"""File descriptors for the connections that agent.toml allows."""

from __future__ import annotations

import subprocess
import sys

import pytest

CODE = """
import resource
from tdc.node_agent.descriptors import enough_for
resource.setrlimit(resource.RLIMIT_NOFILE, (256, {hard}))
print(enough_for({connections}))
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("hard", "connections", "soft", "said"),
    [
        (1_024, 5, 1_010, "None"),
        (1_024, 2_000, 1_024, "needs 5000 file descriptors, and the limit is 1024"),
    ],
)
def test_the_soft_limit_is_raised_as_far_as_it_can_be(
    hard: int, connections: int, soft: int, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(hard=hard, connections=connections)],
        capture_output=True,
        text=True,
        check=True,
    )
    warning, limits = done.stdout.splitlines()
    assert said in warning
    assert limits == f"{soft} {hard}"
