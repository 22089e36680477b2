"""Saves the identity in FOLDER/new over that in FOLDER/old, killed at each line in turn.

For each kill one line on stdout: ``old`` or ``new``, which identity is whole afterwards; ``broken``
and the reason if none is. Ends once a child has lived to its end.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path
from types import FrameType

from tdc.node_agent.sync import identity
from tdc.shared.edge import durable_file

WATCHED = {identity.__file__, durable_file.__file__}


def killed_at(line: int, folder: Path, made: identity.Identity) -> bool:
    """Save `made` in a child that dies before its `line`-th line; whether it came so far."""
    child = os.fork()
    if not child:
        left = line

        def trace(frame: FrameType, event: str, _: object) -> object:
            nonlocal left
            if frame.f_code.co_filename not in WATCHED:
                return None
            if event == "line":
                left -= 1
                if not left:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)  # type: ignore[arg-type]  # it returns itself, for each frame
        identity.save(folder, made)
        os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def state_of(folder: Path, old: identity.Identity, new: identity.Identity) -> str:
    try:
        return {old: "old", new: "new"}[identity.load(folder)]
    except (identity.NotEnrolled, identity.IdentityUnusable) as error:
        return f"broken: {error}"


def main(home: Path) -> None:
    old, new = identity.load(home / "old"), identity.load(home / "new")
    killed, line = True, 0
    while killed:
        line += 1
        folder = home / "identity"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(home / "old", folder)
        killed = killed_at(line, folder, new)
        print(state_of(folder, old, new), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
