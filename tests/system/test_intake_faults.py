"""An intake that can't be trusted gets not one byte of a message."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import pytest_asyncio
import trustme

from tests.demo.messages import Message
from tests.demo.send import send_all
from tests.fakes.smtp_faults import Faults
from tests.stage.fleet import INTAKE_HOST, Gateway, RunningFleet, write_certificate

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="module")]

SECRET = Message(
    "secret",
    "alice@partner.example",
    ("bob@corp.example",),
    b"Subject: confidential\r\n\r\nfor bob only\r\n",
)


def _no_starttls(_: RunningFleet) -> Faults:
    return Faults(offer_starttls=False)


def _tls_1_1_only(_: RunningFleet) -> Faults:
    return Faults(tls_maximum="1.1")


def _unknown_authority(fleet: RunningFleet) -> Faults:
    return Faults(certificate=_certificate(fleet.folder, trustme.CA(), INTAKE_HOST))


def _wrong_name(fleet: RunningFleet) -> Faults:
    return Faults(certificate=_certificate(fleet.folder, fleet.authority, "mx1.other.example"))


def _starttls_refused(_: RunningFleet) -> Faults:
    return Faults(replies={"starttls": "454 4.7.0 TLS not available"})


def _certificate(folder: Path, authority: trustme.CA, name: str) -> tuple[str, str]:
    chain, key = write_certificate(authority, folder / "other", name)
    return str(chain), str(key)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def mx1(shared_copying: RunningFleet) -> Gateway:
    gateway = await shared_copying.add_gateway("mx1", group="Main_Group")
    await shared_copying.in_sync()
    return gateway


@pytest.mark.parametrize(
    ("fault", "hint"),
    [
        (_no_starttls, "STARTTLS"),
        (_starttls_refused, "454"),
        (_tls_1_1_only, "1.2"),
        (_unknown_authority, "certificate"),
        (_wrong_name, "certificate"),
    ],
    ids=lambda value: value.__name__.strip("_") if callable(value) else "",
)
async def test_not_one_byte_leaves_and_the_copy_waits_until_the_fault_is_mended(
    shared_copying: RunningFleet, mx1: Gateway, fault: Callable[[RunningFleet], Faults], hint: str
) -> None:
    """The original goes on; the log says TLS Error and what to check; later it is delivered."""
    fleet, intake = shared_copying, shared_copying.intake
    assert mx1.next_hop is not None
    originals, reports = len(mx1.next_hop.messages), len(intake.messages)
    mails = intake.counts.mail_commands
    logged = mx1.agent.log.stat().st_size
    intake.faults = fault(fleet)
    intake.drop_connections()

    await send_all("127.0.0.1", mx1.port, [SECRET])
    await mx1.next_hop.wait_for(originals + 1)
    lines = await _log_lines(mx1.agent.log, logged, "TLS Error")

    assert re.search(
        r"TDC: Message \d+ delivery failed to Cisco Secure Email Threat Defense: TLS Error\.", lines
    )
    assert hint in lines
    assert intake.counts.mail_commands == mails
    assert intake.counts.bytes_of_messages_seen_without_tls == 0
    await fleet.wait_for(lambda rows: rows["mx1"]["queued"] == 1)

    intake.faults = Faults()
    await intake.wait_for(reports + 1, timeout=15)
    await fleet.wait_for(lambda rows: rows["mx1"]["queued"] == 0)
    assert intake.messages[reports].tls_version in ("TLSv1.2", "TLSv1.3")


async def _log_lines(log: Path, start: int, text: str) -> str:
    async with asyncio.timeout(10):
        while True:
            written = log.read_bytes()[start:].decode()
            lines = [line for line in written.splitlines() if text in line]
            if len(lines) >= 2:
                return "\n".join(lines)
            await asyncio.sleep(0.05)
