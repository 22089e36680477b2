"""Trying, before a restart, whether what is installed would start, by `tdc-agent check`.

Not through the event loop: it would fork, and where gRPC is at work a fork's child may crash before
it is the program.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

from tdc.node_agent import checked_file
from tdc.shared.edge.daemon_thread import in_daemon_thread

CHECK_WITHIN = 20.0
"""Seconds that the program gets to say that it can start."""

WARNING = "warning: "
"""Begins what `tdc-agent check` says that does not keep the agent from starting."""


class WouldNotStart(Exception):
    """The text says why."""


async def try_the_program(text: str) -> list[str]:
    """Return the warnings of `tdc-agent check` about this text of agent.toml; raises WouldNotStart.

    Cancelled, it ends the program that it tries.
    """
    command = ["check" if word == "run" else word for word in sys.orig_argv[1:]]
    try:
        trial = _started(command, text)
    except OSError as error:
        raise WouldNotStart(f"can't execute {sys.executable}: {error.strerror}") from None
    try:
        async with asyncio.timeout(CHECK_WITHIN):
            _, said = await in_daemon_thread(trial.communicate)
    except TimeoutError:
        why = f"`tdc-agent check` did not end within {CHECK_WITHIN:.0f} s"
        raise WouldNotStart(why) from None
    finally:
        trial.kill()  # nothing if it has ended
    return _judged(trial.returncode, said.decode(errors="replace"))


def _started(command: list[str], text: str) -> subprocess.Popen[bytes]:
    environment = dict(os.environ)
    with checked_file.handed_over(text, environment) as number:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env=environment,
            pass_fds=(number,),
        )


def _judged(code: int, text: str) -> list[str]:
    lines = text.strip().splitlines()
    said = [line.removeprefix("tdc-agent: ") for line in lines]
    warnings = [line for line in said if line.startswith(WARNING)]
    if code == 0:
        return [line.removeprefix(WARNING) for line in warnings]
    ours = lines and all(line.startswith("tdc-agent: ") for line in lines)
    faults = [line for line in said if line not in warnings] if ours else said[-1:]
    raise WouldNotStart("; ".join(faults) or f"`tdc-agent check` ended with {code}")
