"""A stage for delivery: real spool, real sockets on loopback, a fake intake and a fake DNS."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import io
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import trustme
from tdc.node_agent.counters import Counters
from tdc.node_agent.deliver.effects import Hold
from tdc.node_agent.deliver.options import DeliveryOptions
from tdc.node_agent.deliver.scheduler import Delivery
from tdc.node_agent.deliver.timeouts import Timeouts
from tdc.node_agent.journal.loop import Reporter
from tdc.node_agent.journal.report import new_report_id
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.clock import MachineClocks
from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import DeadLetter
from tdc.shared.connector.intake import intakes_in_force
from tdc.shared.connector.settings import ConnectorSettings
from tdc.shared.edge.tasks import running
from tdc.shared.mail.envelope import Envelope
from tdc.shared.sync.queue_work import Selection

from tests.fakes.dns import DnsServer
from tests.fakes.smtp_faults import Faults
from tests.fakes.smtp_sink import SmtpSink

INTAKE = "copies@intake.example"
HOST = "mx1.intake.example"
REPORTER = Reporter("mx1", bytes(32))
MESSAGE = (
    b"From: a@b.example\r\nSubject: hello\r\nMessage-ID: <1@b.example>\r\n\r\n.dot\r\nhello\r\n"
)
# Waits of the retry settings are whole seconds; tests that wait use these.
QUICK: dict[str, Any] = {"retry_initial": 1, "retry_maximum": 1}


@dataclass
class Authority:
    """A CA of the test with certificate files of its own."""

    folder: Path
    ca: trustme.CA = field(default_factory=trustme.CA)

    @property
    def ca_file(self) -> Path:
        path = self.folder / "ca.pem"
        if not path.exists():
            self.ca.cert_pem.write_to_path(path)
        return path

    def issue(self, *names: str, **facts: Any) -> tuple[Path, Path]:
        certificate = self.ca.issue_cert(*names, **facts)
        stem = f"{names[0]}-{len(list(self.folder.iterdir()))}"
        chain, key = self.folder / f"{stem}.pem", self.folder / f"{stem}.key"
        chain.write_bytes(b"".join(blob.bytes() for blob in certificate.cert_chain_pems))
        certificate.private_key_pem.write_to_path(key)
        return chain, key

    def issue_expired(self, name: str) -> tuple[Path, Path]:
        now = datetime.datetime.now(datetime.UTC)
        day = datetime.timedelta(days=1)
        return self.issue(name, not_before=now - 2 * day, not_after=now - day)


@dataclass
class DeliveryStage:
    """What a test has at hand; `settings` may be replaced while delivery runs."""

    spool: Spool
    delivery: Delivery
    counters: Counters
    intake: SmtpSink
    dns: DnsServer
    authority: Authority
    settings: ConnectorSettings
    log: io.StringIO

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name == "settings":  # as the agent does when settings come in force
            self.spool.intakes.set_in_force(intakes_in_force(self.settings))

    async def queue(self, content: bytes = MESSAGE, intake: str = INTAKE, **envelope: Any) -> int:
        given = Envelope("sender@out.example", ("user@example.com",), **envelope)
        mid = await self.spool.hold(given, content, intake, new_report_id())
        self.spool.release(mid)
        return mid

    async def until(self, happened: Callable[[], object], *, timeout: float = 8.0) -> None:
        async with asyncio.timeout(timeout):
            while not happened():
                await asyncio.sleep(0.01)  # the condition is the test's own

    async def logged(self, text: str, *, timeout: float = 30.0) -> None:
        try:
            await self.until(lambda: text in self.log.getvalue(), timeout=timeout)
        except TimeoutError:
            raise AssertionError(f"{text!r} is not in:\n{self.log.getvalue()}") from None

    async def drained(self, *, timeout: float = 30.0) -> None:
        seen = 0

        def empty_for_a_while() -> bool:  # a copy being read is in no count for a moment
            nonlocal seen
            seen = seen + 1 if self.spool.facts().queued == 0 else 0
            return seen > 5

        await self.until(empty_for_a_while, timeout=timeout)

    def report_ids(self, sink: SmtpSink | None = None) -> list[str]:
        return [
            re.search(rb"(?im)^Message-ID: <([0-9a-f]+)@", message.content)[1].decode()  # type: ignore[index]
            for message in (sink or self.intake).messages
        ]


async def dead_letters(spool: Spool) -> list[DeadLetter]:
    return await spool.orders.dead_letters(Selection(), 1_000, lambda _: "")


def make_settings(**changes: Any) -> ConnectorSettings:
    values: dict[str, Any] = {"enabled": True, "intake_address": INTAKE, **changes}
    return replace(ConnectorSettings.defaults(), **values)


@contextlib.asynccontextmanager
async def staged(
    folder: Path,
    *,
    faults: Faults | None = None,
    options: dict[str, Any] | None = None,
    intake: dict[str, Any] | None = None,
    run: bool = True,
    clocks: MachineClocks | None = None,
    holds: Mapping[str, Hold] = MappingProxyType({}),
    **settings: Any,
) -> AsyncIterator[DeliveryStage]:
    """Set up a spool, an intake behind mx1.intake.example, a DNS, and run delivery."""
    (folder / "certs").mkdir(parents=True)
    authority = Authority(folder / "certs")
    out = io.StringIO()
    log = TdcLog(stream=out)
    log.configure("debug", "text")
    zone: dict[str, dict[str, Any]] = {
        "intake.example": {"MX": [[10, HOST]]},
        HOST: {"A": ["127.0.0.1"]},
    }
    given = {"certificate": authority.issue(HOST), "faults": faults, **(intake or {})}
    async with SmtpSink(**given) as sink, DnsServer(zone) as dns:
        spool = await Spool.open(folder / "spool", log=log, clocks=clocks)
        counters = Counters()
        delivery_options = DeliveryOptions(
            helo_name="mx1.example",
            nameservers=(dns.nameserver,),
            mx_port=sink.port,
            ca_file=authority.ca_file,
            allow_private_targets=True,
            timeouts=Timeouts(connect=1.0, banner=2.0, tls=2.0, command=2.0, data=2.0, dot=2.0),
        )
        delivery_options = replace(delivery_options, **(options or {}))
        stage: DeliveryStage
        delivery = Delivery(
            spool, lambda: stage.settings, delivery_options, counters, log, REPORTER, holds
        )
        stage = DeliveryStage(
            spool, delivery, counters, sink, dns, authority, make_settings(**settings), out
        )
        try:
            if not run:
                yield stage
                return
            async with running(delivery.run(), name="delivery"):
                yield stage
        finally:
            await spool.close()
            log.close()
