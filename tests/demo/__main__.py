"""`make demo`: the whole product on this machine. `--keep` leaves it running until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from tests.demo.checks import DemoFailed, Sent, originals_arrived, reports_arrived
from tests.demo.messages import HOME, demo_messages
from tests.demo.send import SendRefused, send_all
from tests.stage.fleet import INTAKE_ADDRESS, CommandFailed, Stage, stage
from tests.stage.programs import BIN, ProgramFailed


def main() -> int:
    """Run the demo; 0 only if everything it promises held."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave it running until Ctrl-C")
    keep = parser.parse_args().keep
    folder = Path(tempfile.mkdtemp(prefix="tdc-demo-"))
    try:
        return asyncio.run(_demo(folder, keep=keep))
    except (DemoFailed, CommandFailed, ProgramFailed, SendRefused) as error:
        _print_logs(folder)
        print(f"demo: FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo: interrupted", file=sys.stderr)
        return 130
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _demo(folder: Path, *, keep: bool) -> int:
    started = time.monotonic()
    async with stage(folder) as fleet:
        demo = Demo(fleet)
        await demo.build()
        await demo.act()
        print(demo.summary(time.monotonic() - started), flush=True)
        if keep:
            await _until_interrupted(fleet)
    return 0


class Demo:
    """The acts of the demo, and the account of what was sent."""

    def __init__(self, fleet: Stage) -> None:
        self.fleet = fleet
        self.rounds: list[Sent] = []
        self.originals = 0
        self.reports = 0
        self.seconds_to_stop = 0.0

    async def build(self) -> None:
        """A cluster with two groups and three machines, and settings at two levels."""
        fleet = self.fleet
        for line in fleet.manager.log.read_text().splitlines():
            if "WARNING" in line:  # such as: this etcd is for trying out only
                print(line, flush=True)
        _say("a cluster with two groups, three enrolled machines")
        await fleet.tdc("cluster", "create", "demo")
        await fleet.tdc("group", "create", "branch", "--cluster", "demo", "--yes")
        await fleet.add_gateway("mx1", group="Main_Group")
        await fleet.add_gateway("mx2", group="Main_Group")
        await fleet.add_gateway("mx3", group="branch")
        await self._show(
            "settings",
            "set",
            "cluster",
            "demo",
            "enabled=true",
            f"intake_address={INTAKE_ADDRESS}",
            f"incoming_domains={HOME}",
            "--yes",
        )
        await self._show(
            "settings", "set", "group", "branch", "enabled=true", "retry.initial=30s", "--yes"
        )
        await fleet.in_sync()
        await self._show("settings", "show", "--effective", "mx3")
        await self._show("status")

    async def act(self) -> None:
        """Send; disable on one machine; send; roll back; send."""
        fleet = self.fleet
        await self._send_and_check({"mx1": True, "mx2": True, "mx3": True})
        before = (await fleet.json("commit", "history"))[0]["revision"]

        _say(
            "disable TDC on mx1: the group and the cluster follow; branch has its own enabled=true"
        )
        await self._show("settings", "set", "machine", "mx1", "enabled=false", "--yes")
        committed = time.monotonic()
        await fleet.wait_for(lambda rows: not rows["mx1"]["copying"] and not rows["mx2"]["copying"])
        self.seconds_to_stop = time.monotonic() - committed
        await self._show("status")
        await self._send_and_check({"mx1": False, "mx2": False, "mx3": True})

        _say(f"roll back to revision {before}")
        await self._show("commit", "rollback", str(before), "--yes")
        await fleet.wait_for(lambda rows: all(row["copying"] for row in rows.values()))
        await self._send_and_check({"mx1": True, "mx2": True, "mx3": True})
        await self._show("delivery", "status")

    async def _send_and_check(self, copied: dict[str, bool]) -> None:
        messages = demo_messages()
        where = ", ".join(
            f"{name} {'copies' if yes else 'does not copy'}" for name, yes in copied.items()
        )
        _say(f"{len(messages)} messages through each gateway ({where})")
        gateways = [self.fleet.gateways[name] for name in copied]
        async with asyncio.TaskGroup() as group:
            for gateway in gateways:
                group.create_task(send_all("127.0.0.1", gateway.port, messages))
        self.rounds += [Sent(name, messages, yes) for name, yes in copied.items()]
        self.originals = sum(
            [await originals_arrived(gateway, self.rounds) for gateway in gateways]
        )
        self.reports = await reports_arrived(self.fleet, self.rounds)
        _say(
            f"so far {self.originals} originals byte-identical, "
            f"{self.reports} journal reports over TLS"
        )

    def summary(self, seconds: float) -> str:
        """Return the last line."""
        sent = sum(len(sent.messages) for sent in self.rounds)
        return (
            f"demo: OK: {sent} messages sent, {self.originals} originals arrived byte-identical "
            f"exactly once, {self.reports} journal reports due and arrived exactly once over TLS, "
            f"0 not due; copying stopped in {self.seconds_to_stop:.1f} s; {seconds:.0f} s in all"
        )

    async def _show(self, *arguments: str) -> None:
        print(
            f"\n$ tdc {' '.join(arguments)}\n{await self.fleet.tdc(*arguments)}", end="", flush=True
        )


def _say(text: str) -> None:
    print(f"\n== {text}", flush=True)


async def _until_interrupted(fleet: Stage) -> None:
    print("\nThe fleet goes on running until Ctrl-C. In another shell, so that tdc talks to it:\n")
    print(f"  export TDC_CONFIG={fleet.operator_file} PATH={BIN}:$PATH\n")
    for gateway in fleet.gateways.values():
        print(
            f"  {gateway.name}: send mail to 127.0.0.1:{gateway.port} (SMTP); originals arrive in"
        )
        print(f"       {gateway.originals}")
    print(f"\n  journal reports arrive in {fleet.reports}")
    print("  (NNNNNN.eml: the bytes as received; NNNNNN.json: envelope and TLS facts)", flush=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    print("\nstopping", flush=True)


def _print_logs(folder: Path) -> None:
    for log in sorted(folder.glob("**/*.log")):
        lines = log.read_text(errors="replace").splitlines()[-15:]
        print(f"--- {log.relative_to(folder)}", *lines, sep="\n", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
