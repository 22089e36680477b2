"""A plan as a file: written with `--out`, looked at by others, committed by `tdc commit apply`.

It holds the edits and the fingerprint of their outcome, and a request id: it is committed as it is
or not at all, and once however often it is applied. A digest of it all says whether it is as it was
written: else an altered file would pass for the commit that the first one made. It is no signature;
what is committed is shown, and asked for, as of any plan.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from google.protobuf import json_format
from tdc.manager.cli.errors import Refused, WrongUsage
from tdc.shared.edge.clock import wall
from tdc.shared.edge.os_words import os_reason
from tdc.shared.wire.documents import PlanDocument
from tdc.shared.wire.moments import rfc3339, timestamp
from tdc.v1 import fleet_pb2

FORMAT = 2
LONGEST = 64 * 1024**2
"""Bytes of a file."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is written. `edits` are tdc.v1.Edit in protobuf's JSON; `made_at` is RFC 3339 in UTC.

    `sha256` is of the file with this field empty, as JSON with sorted keys and without spaces.
    """

    tdc_plan: int
    request_id: str
    made_at: str
    comment: str
    plan: PlanDocument
    edits: tuple[dict[str, Any], ...]
    sha256: str = ""


def _digest(content: _File) -> str:
    plain = msgspec.to_builtins(msgspec.structs.replace(content, sha256=""))
    return hashlib.sha256(
        json.dumps(plain, sort_keys=True, separators=(",", ":")).encode()
    ).hexdigest()


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan that was read from a file."""

    request_id: str
    made_at: str
    comment: str
    plan: PlanDocument
    edits: tuple[fleet_pb2.Edit, ...]


def write_plan(
    path: Path, plan: PlanDocument, edits: Sequence[fleet_pb2.Edit], comment: str
) -> None:
    """Write a new file; raises Refused, also if there is one already."""
    content = _File(
        tdc_plan=FORMAT,
        request_id=str(uuid.uuid4()),
        made_at=rfc3339(timestamp(wall())),
        comment=comment,
        plan=plan,
        edits=tuple(
            json_format.MessageToDict(edit, preserving_proto_field_name=True) for edit in edits
        ),
    )
    whole = msgspec.structs.replace(content, sha256=_digest(content))
    text = msgspec.json.format(msgspec.json.encode(whole), indent=2) + b"\n"
    try:
        _write_new(path, text)
    except FileExistsError:
        raise Refused(
            f"{str(path)!r} exists already: remove it or choose another name. Nothing was "
            "committed or written."
        ) from None
    except OSError as error:
        raise Refused(
            f"{str(path)!r} can't be written: {os_reason(error)}. Nothing was committed."
        ) from None


def _edit(plain: dict[str, Any]) -> fleet_pb2.Edit:
    """Read one edit; raises ValueError, also for what a later tdc may know."""
    try:
        return json_format.ParseDict(plain, fleet_pb2.Edit())
    except json_format.ParseError:
        kinds = ", ".join(plain) or "none"
        raise ValueError(f"it has an edit that this tdc does not know ({kinds})") from None


def _write_new(path: Path, text: bytes) -> None:
    """Write all of it or leave no file; raises OSError."""
    with path.open("xb") as file:
        try:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            path.unlink(missing_ok=True)
            raise


def read_plan(path: Path) -> PlanFile:
    """Read a file that `--out` wrote; raises WrongUsage, and Refused if it was altered since."""
    try:
        with path.open("rb") as file:
            raw = file.read(LONGEST + 1)
    except OSError as error:
        raise WrongUsage(
            f"{str(path)!r} can't be read: {os_reason(error)}. Nothing was committed."
        ) from None
    try:
        if len(raw) > LONGEST:
            raise ValueError(f"it has more than {LONGEST // 1024**2} MiB")
        found = msgspec.json.decode(raw, type=_File)
        if found.tdc_plan != FORMAT:
            raise ValueError(f"it has format {found.tdc_plan}, this tdc reads {FORMAT}")
        edits = tuple(_edit(each) for each in found.edits)
    except (ValueError, msgspec.MsgspecError, RecursionError) as error:
        reason = str(error) or "it is nested too deeply"
        raise WrongUsage(
            f"{str(path)!r} is not a plan that this tdc can read: {reason}. Nothing was committed."
        ) from None
    if found.sha256 != _digest(found):
        raise Refused(
            f"{str(path)!r} was altered since it was written. Nothing was committed. Make a new "
            "plan."
        )
    return PlanFile(found.request_id, found.made_at, found.comment, found.plan, edits)
