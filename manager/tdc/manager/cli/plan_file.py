"""A plan as a file: written with `--out`, looked at by others, committed by `tdc commit apply`.

It holds the edits and the fingerprint of their outcome, and a request id: it is committed as it is
or not at all, and once however often it is applied. Who alters it has another outcome, or none.
"""

from __future__ import annotations

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

FORMAT = 1
LONGEST = 64 * 1024**2
"""Bytes of a file."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is written. `edits` are tdc.v1.Edit in protobuf's JSON; `made_at` is RFC 3339 in UTC."""

    tdc_plan: int
    request_id: str
    made_at: str
    comment: str
    plan: PlanDocument
    edits: tuple[dict[str, Any], ...]


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
    text = msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n"
    try:
        with path.open("xb") as file:
            file.write(text)
    except FileExistsError:
        raise Refused(
            f"{str(path)!r} exists already: remove it or choose another name. Nothing was "
            "committed or written."
        ) from None
    except OSError as error:
        raise Refused(
            f"{str(path)!r} can't be written: {os_reason(error)}. Nothing was committed."
        ) from None


def read_plan(path: Path) -> PlanFile:
    """Read a file that `--out` wrote; raises WrongUsage."""
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
        edits = tuple(json_format.ParseDict(each, fleet_pb2.Edit()) for each in found.edits)
    except (ValueError, msgspec.MsgspecError, json_format.ParseError, RecursionError) as error:
        reason = str(error) or "it is nested too deeply"
        raise WrongUsage(
            f"{str(path)!r} is not a plan that this tdc can read: {reason}. Nothing was committed."
        ) from None
    return PlanFile(found.request_id, found.made_at, found.comment, found.plan, edits)
