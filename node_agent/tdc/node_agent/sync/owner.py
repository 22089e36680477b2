"""`tdc-agent enrol` as root: what it writes is written as the user whose state folder it is.

A key that root wrote (0600) is one that the agent's own user can't read, and nothing says so before
the agent starts. Changing owners afterwards would have root follow whatever links that user may
have put there; as that user, it can do no more than the agent can.
"""

from __future__ import annotations

import contextlib
import os
import pwd
from collections.abc import Iterator
from pathlib import Path

from tdc.shared.edge import durable_file

_ROOT = 0


@contextlib.contextmanager
def acting_as_owner(state_folder: Path) -> Iterator[None]:
    """As root, do the body as the owner of `state_folder`; else, or if that is root, as we are.

    Where the folder is not there yet, the nearest one above it counts.
    """
    owner = _nearest(state_folder).stat()
    if os.geteuid() != _ROOT or owner.st_uid == _ROOT:
        yield
        return
    group = os.getegid()
    os.setegid(owner.st_gid)  # while we still may
    try:
        os.seteuid(owner.st_uid)
        yield
    finally:
        os.seteuid(_ROOT)
        os.setegid(group)


def why_not_writable(folder: Path, state_folder: Path) -> str:
    """Why nothing can be written in `folder` by whom `acting_as_owner` acts as; empty if it can."""
    there = _nearest(folder)
    with acting_as_owner(state_folder):
        if os.access(there, os.W_OK | os.X_OK, effective_ids=True):
            return ""
        user = _name(os.geteuid())
    return (
        f"user {user} can't write in {there}, which belongs to {_name(there.stat().st_uid)}: "
        f"run `chown -R {user} {there}`, or enrol as the user that the agent runs as"
    )


def belongs_to_root(state_folder: Path) -> bool:
    """Whether we are root and so is the owner of what we write: no other user can use it then."""
    return os.geteuid() == _ROOT and _nearest(state_folder).stat().st_uid == _ROOT


def _nearest(folder: Path) -> Path:
    """The folder, or the first above it that is there and that we can see."""
    return next(each for each in (folder, *folder.absolute().parents) if _seen(each))


def _seen(path: Path) -> bool:
    try:
        return durable_file.exists(path)
    except durable_file.NotReadable:
        return False


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
