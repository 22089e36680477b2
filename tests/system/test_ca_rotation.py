"""The CA is replaced under two managers and running machines: nothing is dropped."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
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


async def _is_dropped_again(fleet: Fleet, old: str) -> None:
    """A rotation that was prepared, and is not to be."""
    await fleet.ca("prepare")
    new = _fingerprints(fleet.managers["one"].folder)["other"]
    await fleet.all_hold(old, old, new)
    assert "does not sign yet" in await fleet.ca("prepare", expect=1)
    assert "is the next step" in await fleet.ca("finish", expect=1)
    await fleet.ca("abort")
    await fleet.all_hold(old, old)
    assert fleet.streams_ended() == 0


@pytest.mark.proves("S6")
async def test_a_ca_is_replaced_and_no_stream_and_no_mail_is_dropped(fleet: Fleet) -> None:
    old = Authority.load(fleet.managers["one"].folder / "ca").fingerprint
    await fleet.all_hold(old, old)
    await _is_dropped_again(fleet, old)
    made_before = await fleet.token("mx2", "two")

    said = await fleet.ca("prepare")
    assert "Followed by: one, two." in said
    new = _fingerprints(fleet.managers["two"].folder)["other"]
    await fleet.all_hold(old, old, new)
    await fleet.mail()
    assert f"{new[:16]} is trusted too" in await fleet.ca("status", at="two")

    assert "Followed by: one, two." in await fleet.ca("switch", at="two")
    for name in ("one", "two"):
        assert _fingerprints(fleet.managers[name].folder) == {"current": new, "other": old}
    await fleet.all_hold(new, old, new)
    await fleet.mail()
    for name in ("one", "two"):  # each asks the other by certificates of the new CA
        await holds(partial(_both_answer, fleet.managers, name))
    for trusted in (old, new):
        shown = await _s_client(fleet, trusted)
        assert "Verification: OK" in shown
    assert made_before.split(".")[1] == old
    await fleet.enrol("mx2", "two", made_before)  # pinned to the old CA: it finds a way

    refused = await fleet.ca("finish", expect=1)
    assert "operator ana has a certificate by the CA that is to go" in refused
    assert "Nothing was changed" in refused
    await _new_folder(fleet, "ana")
    await holds(lambda: _ready(fleet), timeout=30)
    streams = fleet.streams_ended() - 1  # mx2's: it was enrolled again
    assert "Followed by: one, two." in await fleet.ca("finish")
    await fleet.all_hold(new, new)
    await fleet.mail()
    for name in ("one", "two"):
        assert _fingerprints(fleet.managers[name].folder) == {"current": new}
    assert fleet.streams_ended() - 1 == streams == 0
    assert "Verification: OK" in await _s_client(fleet, new)
    assert "Verification: OK" not in await _s_client(fleet, old)
    log = (fleet.managers.folder / "two.log").read_text()
    assert "Traceback" not in log


async def _both_answer(managers: Several, name: str) -> bool:
    rows = await managers[name].listed()
    return len(rows) == 2 and all(each.answers for each in rows.values())


async def _ready(fleet: Fleet) -> bool:
    folder = fleet.managers["one"].folder
    done = await asyncio.to_thread(
        subprocess.run,
        [str(BIN / "tdc-manager"), "ca", "status", "--folder", str(folder)],
        check=False,
        stdout=subprocess.DEVNULL,
    )
    return done.returncode == 0


async def _new_folder(fleet: Fleet, operator: str) -> None:
    """Make an operator's folder, and use it."""
    one = fleet.managers["one"]
    bundle = fleet.managers.folder / f"{operator}-new"
    await tdc_manager(
        *("operator", "--operator", operator, "--out", str(bundle)),
        *("--folder", str(one.folder), "--listen-port", str(one.program.ports["main"])),
        *("--names", "127.0.0.1"),
    )
    done = await asyncio.to_thread(
        subprocess.run,
        [str(BIN / "tdc"), "--config", str(bundle / "operator.toml"), "machine", "list"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


async def _s_client(fleet: Fleet, trusted: str) -> str:
    """What openssl says of the enrolment port where it trusts one CA alone."""
    folder = fleet.managers["one"].folder
    document = json.loads((folder / "ca/ca.json").read_text())
    kept = fleet.managers.folder / f"{trusted}.pem"
    for each in (document["current"], document.get("other")):
        if each is not None and _fingerprint(each["certificate"]) == trusted:
            kept.write_text(each["certificate"])
    done = await asyncio.to_thread(
        subprocess.run,
        [
            *("openssl", "s_client", "-connect", fleet.managers["one"].enrol_address),
            *("-CAfile", str(kept), "-no-CApath", "-verify_return_error"),
            *("-alpn", "h2", "-verify_hostname", "tdc-manager"),
        ],
        stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=20,
    )  # fmt: skip
    return (done.stdout + done.stderr).decode(errors="replace")


async def test_a_machine_that_is_away_finds_a_way_until_the_last_step(fleet: Fleet) -> None:
    """By the bridge; after the last step it is told what happened, and a token brings it back."""
    await fleet.all_hold(*2 * [Authority.load(fleet.managers["one"].folder / "ca").fingerprint])
    away = fleet.machines["mx1"]
    await away.agent.kill()
    old = away.identity.issuer
    kept = (away.folder / "state/identity/identity.pem").read_bytes()
    await fleet.ca("prepare")
    new = _fingerprints(fleet.managers["two"].folder)["other"]
    await holds(lambda: _trusts(fleet.machines["mx2"], new))
    await fleet.ca("switch")
    await away.agent.start()
    await fleet.all_hold(new, old, new)

    await holds(lambda: _not_named(fleet, "machine mx1"), timeout=30)  # it has said so
    await away.agent.kill()
    (away.folder / "state/identity/identity.pem").write_bytes(kept)
    pinned = await fleet.token("mx1")
    await fleet.ca("switch", "--back")
    assert _fingerprints(fleet.managers["two"].folder) == {"current": old, "other": new}
    refused = await fleet.ca("abort", expect=1)  # there are certificates by the new CA
    assert "machine mx1" in refused
    await fleet.ca("switch", "--force")
    await fleet.ca("finish", "--force")
    assert "no rotation is under way" in await fleet.ca("abort", expect=1)
    await away.agent.start()
    await holds(lambda: _says(away, "the managers' CA was replaced while this machine was away"))
    await away.mail()  # mail goes on
    assert away.identity.issuer == old
    await fleet.enrol("mx1", "one", pinned)  # of the CA that signed then: the new one
    await holds(lambda: _back(away), timeout=30)
    assert away.identity.trusted == (new,)


async def _back(machine: Machine) -> bool:
    log = machine.agent.log.read_text()
    return "connected to manager" in log.rpartition("the managers' CA was replaced")[2]


async def _not_named(fleet: Fleet, words: str) -> bool:
    return words not in await fleet.ca("status", expect=4)


async def _trusts(machine: Machine, fingerprint: str) -> bool:
    return fingerprint in machine.identity.trusted


async def _says(machine: Machine, words: str) -> bool:
    return words in machine.agent.log.read_text()


async def test_a_manager_that_is_away_follows_when_it_is_back_or_says_why_not(
    fleet: Fleet,
) -> None:
    managers = fleet.managers
    two = managers["two"]
    await two.program.kill()
    await fleet.ca("prepare")
    await managers.again("two")
    prepared = _fingerprints(two.folder)
    assert prepared.keys() == {"current", "other"}
    await two.program.kill()
    await fleet.ca("switch", "--force")
    await managers.again("two")
    assert _fingerprints(two.folder)["current"] == prepared["other"]

    before = (two.folder / "ca/ca.json").read_bytes()
    await two.program.kill()
    await fleet.ca("finish", "--force")
    await managers.again("two")  # it has the new key
    assert _fingerprints(two.folder) == {"current": prepared["other"]}
    assert before != (two.folder / "ca/ca.json").read_bytes()

    await two.program.kill()
    for step in (["prepare"], ["switch", "--force"], ["finish", "--force"]):
        await fleet.ca(*step)
    refused = await tdc_manager(
        *("run", "--folder", str(two.folder), "--listen-port", "0", "--enrol-port", "0"), expect=1
    )
    assert "the CA was replaced while this manager was away" in refused
    assert "tdc-manager package" in refused
