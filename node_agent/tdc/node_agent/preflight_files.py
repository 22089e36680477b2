"""Whether the agent could use the folders and files that agent.toml names; see `preflight`."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from tdc.node_agent import holders, loop_key
from tdc.node_agent.deliver.tls import NoTrust, intake_context
from tdc.node_agent.options import AgentOptions
from tdc.node_agent.spool.database import SCHEMA_VERSION
from tdc.node_agent.spool.folder import DATABASE, LOCK, is_foreign
from tdc.node_agent.spool.header import schema_of
from tdc.node_agent.sync import identity

_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH
_ANY_OTHER = stat.S_IRWXG | stat.S_IRWXO


def faults(options: AgentOptions, ours: Callable[[int], bool]) -> Iterator[str]:
    """What would keep the agent from working; `ours` says whether a process is this very agent."""
    places = {
        "state_folder": options.state_folder,
        "identity.folder": options.identity_folder,
        "spool.folder": options.spool_folder,
    }
    for key, path in places.items():
        if (fault := _reading(_folder_fault, path)) is not None:
            yield f"{key}: {path} {fault}"
    spool = options.spool_folder
    if (fault := _reading(lambda path: _spool_fault(path, ours), spool)) is not None:
        yield f"spool.folder: {spool} {fault}"
    log = options.log.file
    if log is not None and (fault := _reading(_log_fault, log)) is not None:
        yield f"log.file: {log} {fault}"
    try:
        intake_context("1.2", options.deliver.ca_file, chain=True)
    except NoTrust as error:
        yield f"deliver.ca_file: {error}"


def warnings(options: AgentOptions) -> Iterator[str]:
    """What is amiss, and the agent works all the same."""
    for key, folder in (
        ("state_folder", options.state_folder),
        ("identity.folder", options.identity_folder),
        ("spool.folder", options.spool_folder),
    ):
        if (mode := _mode(folder, stat.S_ISDIR)) & _BY_OTHERS:
            yield (
                f"{key}: other users can change {folder} (its mode is {mode:o}): "
                f"run chmod go-w {folder}"
            )
    for path in (options.identity_folder / identity.FILE, options.state_folder / loop_key.FILE):
        if (mode := _mode(path, stat.S_ISREG)) & _ANY_OTHER:
            yield (
                f"other users can read or change the secret {path} (its mode is {mode:o}): "
                f"run chmod 600 {path}"
            )
    log = options.log.file
    if log is not None and _mode(log, stat.S_ISFIFO):
        yield f"log.file: {log} is a pipe: lines go to standard error while nobody reads it"
    ports = options.ports_file
    if ports is not None and (fault := _reading(_ports_fault, ports)) is not None:
        yield f"ports_file: {ports} {fault}"


def _mode(path: Path, is_kind: Callable[[int], bool]) -> int:
    """Who may do what with it; 0 if it is not there, or of another kind."""
    try:
        mode = path.stat().st_mode
    except OSError:  # what can't be seen is a fault already
        return 0
    return stat.S_IMODE(mode) if is_kind(mode) else 0


def _reading(look: Callable[[Path], str | None], path: Path) -> str | None:
    try:
        return look(path)
    except OSError as error:
        return f"can't be read: {error.strerror}"


def _folder_fault(path: Path) -> str | None:
    """Why it can't be used as a folder, nor made."""
    if path.is_dir():
        return None if _writable(path) else "is not writable for this user"
    if path.exists() or path.is_symlink():
        return "is not a folder"
    above = next(each for each in path.absolute().parents if each.exists())
    if not above.is_dir():
        return f"can't be made: {above} is not a folder"
    if not os.statvfs(above).f_blocks:  # /proc and its like, which say that one may write there
        return f"can't be made: {above} is on no disk"
    return None if _writable(above) else f"can't be made: {above} is not writable for this user"


def _spool_fault(path: Path, ours: Callable[[int], bool]) -> str | None:
    if not path.is_dir():
        return None
    if is_foreign(path):
        return "holds files of others and no spool; use a folder of its own"
    holder = holders.lock_holder(path / LOCK)
    if holder is not None and not ours(holder):
        return f"is in use by the process with pid {holder}; two agents can't share one spool"
    database = path / DATABASE
    if not database.exists() and not database.is_symlink():
        return None
    if database.is_symlink() or not database.is_file():
        return f"can't be used: {DATABASE} in it is not a regular file; move it away"
    version = schema_of(database)
    if version > SCHEMA_VERSION:
        return (
            f"was written by a newer version (its schema version is {version}, this agent knows "
            f"{SCHEMA_VERSION}); start that version, or move {DATABASE} away"
        )
    return None


def _log_fault(path: Path) -> str | None:
    if path.is_dir():
        return "is a folder"
    if path.exists():
        return (
            None
            if os.access(path, os.W_OK, effective_ids=True)
            else "is not writable for this user"
        )
    return _not_makeable(path)


def _ports_fault(path: Path) -> str | None:
    return "is a folder" if path.is_dir() else _not_makeable(path)


def _not_makeable(path: Path) -> str | None:
    if not path.parent.is_dir():
        return "can't be made: its folder does not exist"
    return None if _writable(path.parent) else "can't be made: its folder is not writable"


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=True)
