"""What the demo checks: originals byte-identical exactly once, copies due exactly once, no others.

Journal reports are read by a parser that was not written here (tests/fakes/journal_reader.py).
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.demo.messages import Message
from tests.fakes.journal_reader import read_report
from tests.stage.fleet import Gateway, RunningFleet


class DemoFailed(Exception):
    """Something the demo promises does not hold; the text says what."""


@dataclass(frozen=True)
class Sent:
    """Messages sent through one gateway in one round, and whether copies were due."""

    gateway: str
    messages: tuple[Message, ...]
    copied: bool


Key = tuple[str, frozenset[str], bytes]
"""What makes a message this message: sender, recipients, content."""


def due(message: Message) -> Key | None:
    """Return what the journal report must say, None if no copy is due."""
    recipients = frozenset(message.incoming)
    return (message.sender, recipients, message.content) if recipients else None


async def originals_arrived(gateway: Gateway, rounds: Sequence[Sent]) -> int:
    """Check every original sent through a gateway so far; return their number."""
    wanted = Counter(
        (message.sender, frozenset(message.recipients), message.content)
        for sent in rounds
        if sent.gateway == gateway.name
        for message in sent.messages
    )
    await _settle(gateway.originals, wanted.total())
    _compare(
        f"originals of {gateway.name}", wanted, Counter(map(_original, _stored(gateway.originals)))
    )
    return wanted.total()


async def reports_arrived(stage: RunningFleet, rounds: Sequence[Sent]) -> int:
    """Check every journal report at the intake so far; return their number."""
    wanted = Counter(
        key
        for sent in rounds
        if sent.copied
        for message in sent.messages
        if (key := due(message)) is not None
    )
    await _settle(stage.reports, wanted.total())
    _compare("journal reports", wanted, Counter(map(_report, _stored(stage.reports))))
    return wanted.total()


async def _settle(folder: Path, count: int, *, timeout: float = 20, quiet: float = 0.3) -> None:
    """Wait until `count` messages are there, then a little longer: more would be wrong too."""
    try:
        async with asyncio.timeout(timeout):
            while len(list(folder.glob("*.eml"))) < count:
                await asyncio.sleep(0.05)
    except TimeoutError:
        return
    await asyncio.sleep(quiet)


def _stored(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.eml"))


def _facts(path: Path) -> dict[str, object]:
    return dict(json.loads(path.with_suffix(".json").read_text()))


def _original(path: Path) -> Key:
    facts = _facts(path)
    recipients = facts["recipients"]
    assert isinstance(recipients, list)
    return str(facts["sender"]), frozenset(map(str, recipients)), path.read_bytes()


def _report(path: Path) -> Key:
    facts = _facts(path)
    if facts["tls_version"] not in ("TLSv1.2", "TLSv1.3"):
        raise DemoFailed(f"{path.name} came without TLS: {facts}")
    report = read_report(path.read_bytes())
    sender = "" if report.sender == "<>" else report.sender
    return sender, frozenset(report.recipients), report.original


def _compare(what: str, wanted: Counter[Key], got: Counter[Key]) -> None:
    missing, surplus = wanted - got, got - wanted
    if missing or surplus:
        raise DemoFailed(
            f"{what}: {wanted.total()} wanted, {got.total()} arrived; "
            f"missing or altered: {[_shown(key) for key in missing][:5]}; "
            f"not wanted: {[_shown(key) for key in surplus][:5]}"
        )


def _shown(key: Key) -> str:
    sender, recipients, content = key
    return f"<{sender}> to {sorted(recipients)[:3]}, {len(content)} bytes {content[:60]!r}"
