"""The stage: manager with embedded etcd, DNS, an intake with TLS, gateways with their agents."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import trustme

from tests.fakes.dns import DnsServer
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.programs import BIN, Program
from tests.surroundings import most_connections

INTAKE_DOMAIN = "intake.example"
INTAKE_HOST = "mx1.intake.example"
INTAKE_ADDRESS = f"journal@{INTAKE_DOMAIN}"


class CommandFailed(Exception):
    """A `tdc` command ended with an exit status that was not expected."""


@dataclass
class Gateway:
    """One gateway: its agent's filter, and the next hop where its originals arrive."""

    name: str
    folder: Path
    next_hop: SmtpSink | None
    agent: Program

    @property
    def port(self) -> int:
        """Port of the content filter."""
        return int(self.agent.ports["smtp"])

    @property
    def originals(self) -> Path:
        """Folder where the next hop keeps originals."""
        return self.folder / "originals"


@dataclass
class RunningFleet:
    """A fleet under test; made by `stage()`."""

    folder: Path
    manager: Program
    dns: DnsServer
    intake: SmtpSink
    authority: trustme.CA
    gateways: dict[str, Gateway] = field(default_factory=dict)
    _closing: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    @property
    def operator_file(self) -> Path:
        """What TDC_CONFIG points to."""
        return self.folder / "manager/operator/operator.toml"

    @property
    def reports(self) -> Path:
        """Folder where the intake keeps journal reports."""
        return self.folder / "reports"

    async def tdc(self, *arguments: str, expect: int = 0) -> str:
        """Run the operators' command line; return what it printed."""
        done = await asyncio.to_thread(self.run_tdc, *arguments)
        if done.returncode != expect:
            raise CommandFailed(
                f"tdc {' '.join(arguments)}: exit {done.returncode}, expected {expect}\n"
                f"{done.stdout}{done.stderr}"
            )
        return done.stdout

    def run_tdc(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the operators' command line; return how it ended."""
        return subprocess.run(
            [str(BIN / "tdc"), *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={
                "PATH": "/usr/bin:/bin",
                "TDC_CONFIG": str(self.operator_file),
                "LANG": "C.UTF-8",
                "COLUMNS": "100",
                "HOME": str(self.folder),
            },
        )

    async def json(self, *arguments: str) -> Any:
        """Run `tdc … -o json` and return what it printed."""
        return json.loads(await self.tdc(*arguments, "-o", "json"))

    async def add_gateway(
        self,
        name: str,
        *,
        group: str,
        listen: int = 0,
        next_hop_port: int | None = None,
        intake_port: int | None = None,
    ) -> Gateway:
        """Create a machine, enrol it, start its agent and, unless one is given, its next hop."""
        place = ("--group", group, "--cluster", "demo")
        await self.tdc("machine", "create", name, *place, "--yes", "-m", f"gateway {name}")
        folder = self.folder / name
        folder.mkdir()
        next_hop = None
        if next_hop_port is None:
            next_hop = SmtpSink(folder=folder / "originals")
            await self._closing.enter_async_context(next_hop)
            next_hop_port = next_hop.port
        config = folder / "agent.toml"
        config.write_text(
            self.agent_toml(folder, listen, next_hop_port, intake_port or self.intake.port)
        )
        token = await self.json("machine", "token", name, "--cluster", "demo")
        await self.enrol(config, token["token"])
        agent = Program(
            [str(BIN / "tdc-agent"), "run", "--config", str(config)],
            log=folder / "agent.log",
            ports_file=folder / "ports.json",
        )
        gateway = Gateway(name, folder, next_hop, agent)
        self._closing.push_async_callback(_stop_quietly, agent)
        await agent.start()
        self.gateways[name] = gateway
        return gateway

    def agent_toml(self, folder: Path, listen: int, next_hop: int, intake: int) -> str:
        """Return the agent's own file for a gateway in `folder`."""
        return f"""\
state_folder = "{folder}/state"
ports_file = "{folder}/ports.json"

[manager]
addresses = ["127.0.0.1:{self.manager.ports["main"]}"]

[ingest]
listen = "127.0.0.1:{listen}"
next_hop = "127.0.0.1:{next_hop}"
max_connections = {most_connections()}

[deliver]
helo_name = "{folder.name}.corp.example"
nameservers = ["{self.dns.nameserver}"]
mx_port = {intake}
ca_file = "{self.folder}/intake-ca.pem"
allow_private_targets = true
"""

    async def enrol(self, config: Path, token: str, *, expect: int = 0) -> str:
        """Run `tdc-agent enrol` with the token on its standard input; return what it printed."""
        address = f"127.0.0.1:{self.manager.ports['enrol']}"
        process = await asyncio.create_subprocess_exec(
            str(BIN / "tdc-agent"),
            "enrol",
            "--config",
            str(config),
            "--manager",
            address,
            "--token-file",
            "-",
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        async with asyncio.timeout(30):
            printed, _ = await process.communicate(token.encode())
        if process.returncode != expect:
            raise CommandFailed(f"enrol: exit {process.returncode}\n{printed.decode()}")
        return printed.decode()

    async def status(self) -> dict[str, dict[str, Any]]:
        """Return `tdc status`, by machine name."""
        return {row["name"]: row for row in await self.json("status")}

    async def in_sync(self, *, timeout: float = 15) -> None:
        """Wait until every machine is in sync."""
        await self.wait_for(
            lambda rows: all(row["state"] == "in sync" for row in rows.values()), timeout=timeout
        )

    async def wait_for(
        self, holds: Callable[[Mapping[str, dict[str, Any]]], bool], *, timeout: float = 15
    ) -> None:
        """Wait until `tdc status` is as `holds` wants it."""
        rows: dict[str, dict[str, Any]] = {}
        try:
            async with asyncio.timeout(timeout):
                while not holds(rows := await self.status()):
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"status never became as wanted: {rows}") from None


async def _stop_quietly(program: Program) -> None:
    await program.stop()


@contextlib.asynccontextmanager
async def stage(
    folder: Path, *, manager_options: tuple[str, ...] = ()
) -> AsyncIterator[RunningFleet]:
    """Start manager, DNS and intake in `folder`; stop all, gateways included, on leaving."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "intake-ca.pem"))
    chain, key = write_certificate(authority, folder / "intake", INTAKE_HOST, INTAKE_DOMAIN)
    async with contextlib.AsyncExitStack() as closing:
        intake = await closing.enter_async_context(
            SmtpSink(folder=folder / "reports", certificate=(chain, key), require_tls=True)
        )
        zone: dict[str, dict[str, Any]] = {
            INTAKE_DOMAIN: {"MX": [(10, INTAKE_HOST)]},
            INTAKE_HOST: {"A": ["127.0.0.1"]},
        }
        dns = await closing.enter_async_context(DnsServer(zone))
        manager = await _manager(folder, manager_options)
        closing.push_async_callback(_stop_quietly, manager)
        yield RunningFleet(folder, manager, dns, intake, authority, _closing=closing)


async def _manager(folder: Path, options: tuple[str, ...]) -> Program:
    data = folder / "manager"
    program = str(BIN / "tdc-manager")
    made = await asyncio.to_thread(
        subprocess.run,
        [program, "init", "--folder", str(data), "--listen-port", "0", "--enrol-port", "0"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    if made.returncode:
        raise CommandFailed(f"tdc-manager init: {made.stdout}{made.stderr}")
    ports = data / "ports.json"
    manager = Program(
        [
            *(program, "run", "--folder", str(data), "--ports-file", str(ports)),
            *("--status-interval", "0.5"),
            *options,
        ],
        log=folder / "manager.log",
        ports_file=ports,
    )
    await manager.start()
    return manager


def write_certificate(authority: trustme.CA, stem: Path, *names: str) -> tuple[Path, Path]:
    """Issue a certificate for `names`; return the chain's and the key's file."""
    leaf = authority.issue_cert(*names)
    chain, key = stem.with_suffix(".pem"), stem.with_suffix(".key")
    chain.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(str(key))
    return chain, key
