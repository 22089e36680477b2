"""The whole product in this process: manager, agent and `tdc`, with only etcd outside it.

Slower to fail than whole programs (`fleet`) and no test of them, but what runs can be watched.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from pathlib import Path
from smtplib import SMTP
from typing import Any
from unittest import mock

import pytest
from tdc.manager.cli.main import main
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.options import read_options
from tdc.node_agent.serve import serving
from tdc.node_agent.sync.enrol import enrol

from tests.fakes.dns import DnsServer
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.delivery import HOST, INTAKE, Authority
from tests.stage.manager import manager
from tests.surroundings import most_connections

AGENT = """\
state_folder = "{folder}/state"

[manager]
addresses = ["127.0.0.1:{manager}"]

[ingest]
listen = "127.0.0.1:0"
next_hop = "127.0.0.1:{next_hop}"
max_connections = {connections}

[deliver]
nameservers = ["{nameserver}"]
mx_port = {intake}
ca_file = "{ca_file}"
allow_private_targets = true
"""


@dataclass
class OneProcess:
    """A machine mx1 of cluster demo, enrolled, with copies enabled and quick retries."""

    folder: Path
    intake: SmtpSink
    port: int = 0
    log: io.StringIO = field(default_factory=io.StringIO)

    async def tdc(self, *words: str) -> str:
        """Run `tdc` as an operator would; return what it printed."""
        return await asyncio.to_thread(self._tdc, words)

    def _tdc(self, words: tuple[str, ...]) -> str:
        config = str(self.folder / "manager/operator/operator.toml")
        with (
            mock.patch.dict("os.environ", TDC_CONFIG=config),
            mock.patch.object(sys, "argv", ["tdc", *words]),
            contextlib.redirect_stdout(io.StringIO()) as out,
            contextlib.redirect_stderr(io.StringIO()) as errors,
            pytest.raises(SystemExit) as left,
        ):
            main()
        assert not left.value.code, f"tdc {' '.join(words)}: {errors.getvalue()}"
        return out.getvalue()

    async def json(self, *words: str) -> Any:
        return json.loads(await self.tdc(*words, "-o", "json"))

    async def in_sync(self, revision: int, *, timeout: float = 15) -> None:
        """Wait until the manager shows mx1 in sync on this revision."""
        async with asyncio.timeout(timeout):
            while True:
                (row,) = await self.json("status")
                if (row["state"], row["applied_revision"]) == ("in sync", revision):
                    return
                await asyncio.sleep(0.05)

    async def send(self, subject: str) -> None:
        """Hand a message to the content filter, as the MTA would."""
        message = EmailMessage()
        message["From"], message["To"] = "sender@out.example", "user@home.example"
        message["Subject"] = subject
        message.set_content("Hello.\n")

        def hand_over() -> None:
            with SMTP("127.0.0.1", self.port, timeout=10) as mta:
                mta.send_message(message)

        await asyncio.to_thread(hand_over)

    async def logged(self, text: str, *, times: int = 1, timeout: float = 15) -> None:
        """Wait until the agent has logged this text so many times."""
        try:
            async with asyncio.timeout(timeout):
                while self.log.getvalue().count(text) < times:
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"{text!r} is not in:\n{self.log.getvalue()}") from None


@contextlib.asynccontextmanager
async def one_process(folder: Path) -> AsyncIterator[OneProcess]:
    """Start all of it and wait until mx1 is in sync."""
    (folder / "certs").mkdir()
    authority = Authority(folder / "certs")
    zone: dict[str, dict[str, Any]] = {
        "intake.example": {"MX": [[10, HOST]]},
        HOST: {"A": ["127.0.0.1"]},
    }
    async with (
        SmtpSink(certificate=authority.issue(HOST)) as intake,
        SmtpSink() as next_hop,
        DnsServer(zone) as dns,
        manager(folder / "manager") as api,
    ):
        running = OneProcess(folder, intake)
        await running.tdc("cluster", "create", "demo")
        await running.tdc("machine", "create", "mx1", "--group", "Main_Group", "--yes")
        await running.tdc(
            *("settings", "set", "cluster", "demo", "enabled=true", f"intake_address={INTAKE}"),
            *("retry.initial=1s", "log.level=debug", "--yes"),
        )
        config = folder / "agent.toml"
        config.write_text(
            AGENT.format(
                folder=folder,
                manager=api.ports.main,
                next_hop=next_hop.port,
                connections=most_connections(),
                nameserver=dns.nameserver,
                intake=intake.port,
                ca_file=authority.ca_file,
            )
        )
        options = read_options(config)
        token = (await running.json("machine", "token", "mx1"))["token"]
        await enrol(
            f"127.0.0.1:{api.ports.enrol}", token, options.identity_folder, options.state_folder
        )
        log = TdcLog(stream=running.log)
        log.configure("info", "text")
        async with serving(options, log) as rooms:
            running.port = rooms.smtp_filter.port
            await running.in_sync(3)
            yield running
        log.close()
