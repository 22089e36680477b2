"""Which versions of etcd are known to lose data, or to let somebody in."""

from __future__ import annotations

import pytest
from tdc.manager.etcd.program import is_safe
from tdc.manager.etcd.versions import ACCESS, data_loss, parsed


@pytest.mark.parametrize(
    ("text", "alone", "of_three"),
    [
        ("3.4.20", 1, 3),
        ("3.4.23", 0, 2),
        ("3.4.38", 0, 1),
        ("3.4.42", 0, 0),
        ("3.5.0", 2, 5),
        ("3.5.2", 2, 5),
        ("3.5.3", 1, 4),
        ("3.5.4", 1, 4),
        ("3.5.5", 0, 3),
        ("3.5.6", 0, 2),
        ("3.5.23", 0, 1),
        ("3.5.28", 0, 0),
        ("3.6.0", 0, 2),
        ("3.6.9", 0, 0),
        ("3.7.0", 0, 0),
        ("3.3.27", 1, 3),
    ],
)
@pytest.mark.proves("S7")
def test_a_version_has_the_faults_that_were_fixed_later(
    text: str, alone: int, of_three: int
) -> None:
    version = parsed(text)
    assert version is not None
    assert (len(data_loss(version, 1)), len(data_loss(version, 3))) == (alone, of_three)
    assert is_safe(version) == (not any("acknowledged" in f.text for f in data_loss(version, 1)))


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("3.4.45", False),
        ("3.5.32", False),
        ("3.5.33", True),
        ("3.6.13", False),
        ("3.6.14", True),
        ("3.7.0", True),
    ],
)
@pytest.mark.proves("S7")
def test_access_control_is_safe_from_a_version_of_each_release_on(text: str, safe: bool) -> None:
    version = parsed(text)
    assert version is not None
    assert ACCESS.is_in(version) == (not safe)


def test_a_text_that_is_no_version_is_none() -> None:
    assert parsed("3.5") is None
    assert parsed("3.5.1-rc.0") == (3, 5, 1)
