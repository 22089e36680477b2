"""The last applied settings on disk: what the agent starts from when no manager answers.

Two files, ``settings`` and ``settings.before``, each with a checksum in its first line. A save
first copies what runs to ``settings.before``, then replaces ``settings``; each step is durable
before the next begins, so at any moment at least one of the files is whole.

Reading: the newest file that is whole; otherwise the built-in defaults, which copy nothing and let
all mail pass. Of what a newer agent left, settings that this one does not know are left out if they
had their defaults. Damage is reported in `warnings`, for the log and for status.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tdc.shared.edge import durable_file
from tdc.shared.settings.canonical import plain_settings
from tdc.shared.settings.check import checked
from tdc.shared.settings.known import hash_of, is_default
from tdc.shared.settings.schema import SCHEMA, SettingError
from tdc.shared.settings.values import Settings
from tdc.shared.sync.audit import NOTHING_SEEN, AuditHead, Witness
from tdc.shared.sync.values import NOTHING_RUNS, Running
from tdc.shared.wire.audit import witness_to_wire
from tdc.shared.wire.stream import running_to_wire

NEWEST, BEFORE = "settings", "settings.before"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class LastGood:
    """Settings with the revision and hash they came with."""

    running: Running = NOTHING_RUNS
    settings: Settings = field(default_factory=Settings)
    warnings: tuple[str, ...] = ()
    witness: Witness = NOTHING_SEEN
    """What was seen of the manager's audit log by then."""


def save(
    folder: Path,
    running: Running,
    settings: Mapping[str, Any],
    witness: Witness = NOTHING_SEEN,
) -> None:
    """Make these the settings to start from; raises durable_file.NotWritten."""
    durable_file.make_folder(folder)
    try:
        whole = durable_file.read_checked(folder / NEWEST)
    except durable_file.NotReadable:
        pass  # nothing worth keeping: `settings.before` stays what it is
    else:
        durable_file.write_checked(folder / BEFORE, whole)
    durable_file.write_checked(folder / NEWEST, _pack(running, settings, witness))


def load(folder: Path) -> LastGood:
    """What to start from; never raises, because mail must flow."""
    try:
        return _read(folder / NEWEST)
    except durable_file.Missing:
        if not (folder / BEFORE).exists():
            return LastGood()  # a machine that never had settings
        trouble = f"{folder / NEWEST} is missing"
    except durable_file.NotReadable as error:
        trouble = str(error)
    try:
        before = _read(folder / BEFORE)
    except durable_file.NotReadable as error:
        nothing = (
            f"the last applied settings are lost ({trouble}; {error}): copying is off until a "
            "manager sends settings; mail flow continues"
        )
        return LastGood(warnings=(nothing,))
    older = (
        f"the last applied settings are lost ({trouble}): running revision "
        f"{before.running.revision} until a manager sends settings"
    )
    return replace(before, warnings=(older,))


def forget_history(folder: Path) -> None:
    """Let the next settings have any revision: they come from another cluster.

    Raises durable_file.NotWritten.
    """
    known = load(folder)
    if known.running.revision:
        running = replace(known.running, store_id="", history="", left=())
        save(folder, running, known.settings, known.witness)


def _pack(running: Running, settings: Mapping[str, Any], witness: Witness) -> bytes:
    document = {
        "format": _FORMAT,
        "revision": running.revision,
        "hash": running.hash,
        "store_id": running.store_id,
        "history": running.history,
        "left": list(running.left),
        "audit": _plain_witness(witness),
        "settings": plain_settings(settings),
        # An older agent, after a downgrade, may leave these out where it does not know them.
        "defaults": [name for name, value in settings.items() if is_default(name, value)],
    }
    return json.dumps(document, indent=1, ensure_ascii=False).encode()


def _read(path: Path) -> LastGood:
    """Read one file; raises NotReadable and its kinds Missing and FileDamaged."""
    content = durable_file.read_checked(path)
    try:
        document = json.loads(content)
        if document["format"] != _FORMAT:
            raise durable_file.NotReadable(
                f"{path} has format {document['format']}; this agent reads {_FORMAT}"
            )
        running = _running(document)
        running_to_wire(running)  # it is reported at each connect, so it must fit the message
        witness = _witness(document.get("audit"))
        found = document["settings"]
        spared = {
            name for name in document.get("defaults", ()) if name not in SCHEMA
        } & found.keys()
        if spared:
            found = {name: value for name, value in found.items() if name not in spared}
            running = replace(running, hash=hash_of(checked(found)))
        return LastGood(running, checked(found), witness=witness)
    except (ValueError, KeyError, TypeError, AttributeError, SettingError, RecursionError) as error:
        raise durable_file.FileDamaged(f"{path} can't be understood: {error}") from None


def _plain_witness(witness: Witness) -> dict[str, object]:
    heads = [[head.number, head.chain] for head in witness.heads]
    return {"store_id": witness.store_id, "at": witness.at, "heads": heads}


def _witness(document: Any) -> Witness:
    """What a file says to have been seen; one written before audit logs were kept says nothing.

    It must fit the status that reports it.
    """
    if document is None:
        return NOTHING_SEEN
    heads = tuple(AuditHead(number, chain) for number, chain in document["heads"])
    if not heads:
        return NOTHING_SEEN
    witness = Witness(document["store_id"], heads[-1], document["at"], heads[:-1])
    witness_to_wire(witness)
    return witness


def _running(document: Mapping[str, Any]) -> Running:
    """What a file says to run; one written before histories were known says nothing of them."""
    left = document.get("left", [])
    if not isinstance(left, list) or not all(isinstance(each, str) for each in left):
        raise ValueError("left is not a list of texts")
    return Running(
        document["revision"],
        document["hash"],
        document["store_id"],
        document.get("history", ""),
        tuple(left),
    )
