"""The CA is replaced under two managers and running machines: nothing is dropped."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tdc.manager.identity.authority import Authority
from tdc.node_agent.sync import identity as identities
from tdc.v1 import operators_pb2

from tests.demo.messages import Message
from tests.demo.send import send_all
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.managers import Several, holds, several, tdc_manager
from tests.stage.programs import BIN, Program

pytestmark = pytest.mark.system


@dataclass
class Machine:
    """A machine's agent, a program of its own, and where its originals arrive."""

    name: str
    folder: Path
    agent: Program
    next_hop: SmtpSink
    sent: int = 0

    @property
    def identity(self) -> identities.Identity:
        return identities.load(self.folder / "state/identity")

    async def mail(self, count: int = 1) -> None:
        """Send originals, and see each arrive."""
        message = Message("x", "a@partner.example", ("b@corp.example",), b"Subject: x\r\n\r\nx\r\n")
        await send_all("127.0.0.1", int(self.agent.ports["smtp"]), [message] * count)
        self.sent += count
        await self.next_hop.wait_for(self.sent)


@dataclass
class Fleet:
    """Two managers, and machines, each of which knows one of them."""

    managers: Several
    machines: dict[str, Machine]

    async def ca(self, *arguments: str, at: str = "one", expect: int = 0) -> str:
        folder = self.managers[at].folder
        return await tdc_manager("ca", *arguments, "--folder", str(folder), expect=expect)

    async def add(self, name: str, manager: str) -> Machine:
        managers = self.managers
        folder = managers.folder / name
        folder.mkdir()
        next_hop = SmtpSink(folder=folder / "originals")
        await managers.closing.enter_async_context(next_hop)
        config = folder / "agent.toml"
        config.write_text(
            f'state_folder = "{folder}/state"\nports_file = "{folder}/ports.json"\n'
            f'[manager]\naddresses = ["{managers[manager].address}"]\n'
            f'[ingest]\nlisten = "127.0.0.1:0"\nnext_hop = "127.0.0.1:{next_hop.port}"\n'
            f'[deliver]\nhelo_name = "{name}.corp.example"\nnameservers = ["127.0.0.1:1"]\n'
        )
        await self.enrol(name, manager)
        agent = Program(
            [str(BIN / "tdc-agent"), "run", "--config", str(config)],
            log=folder / "agent.log",
            ports_file=folder / "ports.json",
        )
        managers.closing.push_async_callback(agent.kill)
        await agent.start()
        self.machines[name] = Machine(name, folder, agent, next_hop)
        return self.machines[name]

    async def token(self, name: str, manager: str = "one") -> str:
        request = operators_pb2.CreateJoinTokenRequest(machine=name)
        return (await self.managers[manager].api.fleet.CreateJoinToken(request)).token

    async def enrol(
        self, name: str, manager: str, token: str | None = None, expect: int = 0
    ) -> str:
        """Run `tdc-agent enrol`; return what it printed."""
        config = self.managers.folder / name / "agent.toml"
        done = await asyncio.to_thread(
            subprocess.run,
            [
                *(str(BIN / "tdc-agent"), "enrol", "--config", str(config), "--token-file", "-"),
                *("--manager", self.managers[manager].enrol_address),
            ],
            input=token or await self.token(name, manager),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    async def all_hold(self, signing: str, *trusted: str) -> None:
        """Wait until each machine has a certificate by this CA, and trusts these."""

        async def so() -> bool:
            found = [each.identity for each in self.machines.values()]
            return all(
                each.issuer == signing and set(each.trusted) == set(trusted) for each in found
            )

        await holds(so, timeout=20)

    async def mail(self) -> None:
        for each in self.machines.values():
            await each.mail()

    def streams_ended(self) -> int:
        logs = (one.program.log.read_text() for one in self.managers.managers.values())
        return sum(log.count("stream ended") for log in logs)


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[Fleet]:
    async with several(tmp_path, "one", "two") as managers:
        await managers.fleet("mx1", "mx2")
        made = Fleet(managers, {})
        await made.add("mx1", "one")
        await made.add("mx2", "two")
        await holds(lambda: _in_sync(managers))
        yield made


async def _in_sync(managers: Several) -> bool:
    return set((await managers["one"].states()).values()) == {"in sync"}


def _fingerprints(folder: Path) -> dict[str, str]:
    document = json.loads((folder / "ca/ca.json").read_text())
    pairs = {
        each: document[each]["certificate"] for each in ("current", "other") if each in document
    }
    return {each: _fingerprint(pem) for each, pem in pairs.items()}


def _fingerprint(pem: str) -> str:
    done = subprocess.run(
        ["openssl", "x509", "-noout", "-fingerprint", "-sha256"],
        input=pem, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.partition("=")[2].strip().replace(":", "").lower()


async def test_a_ca_is_replaced_and_no_stream_and_no_mail_is_dropped(fleet: Fleet) -> None:
    old = Authority.load(fleet.managers["one"].folder / "ca").fingerprint
    await fleet.all_hold(old, old)

    said = await fleet.ca("prepare")
    assert "Followed by: one, two." in said
    new = _fingerprints(fleet.managers["two"].folder)["other"]
    await fleet.all_hold(old, old, new)
    await fleet.mail()

    assert "Followed by: one, two." in await fleet.ca("switch", at="two")
    for name in ("one", "two"):
        assert _fingerprints(fleet.managers[name].folder) == {"current": new, "other": old}
    await fleet.all_hold(new, old, new)
    await fleet.mail()

    assert "Followed by: one, two." in await fleet.ca("finish", "--force")
    await fleet.all_hold(new, new)
    await fleet.mail()
    for name in ("one", "two"):
        assert _fingerprints(fleet.managers[name].folder) == {"current": new}
    assert fleet.streams_ended() == 0
