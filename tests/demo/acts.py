"""The acts of the demo, told for a mail administrator who has never seen the product."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from datetime import datetime

from tests.demo.checks import Sent, due, originals_arrived, reports_arrived
from tests.demo.messages import HOME, Message, demo_messages
from tests.demo.send import send_all
from tests.demo.telling import note, say, tell
from tests.stage.fleet import INTAKE_ADDRESS, RunningFleet

_KINDS = """\
Plain ones and odd ones: null sender, 50 recipients, 8-bit, SMTPUTF8, no Message-ID, 5 MB, lines
   over 998, dot lines, empty body, a look-alike of our reports. One is outgoing: no copy is due"""


class Demo:
    """The acts of the demo, and the account of what was sent."""

    def __init__(self, fleet: RunningFleet) -> None:
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
                tell(line)
        say(
            "2. Make the fleet: the cluster demo; in it the group Main_Group with the gateways mx1 "
            "and mx2,\n   and the group branch with mx3. Each enrols by a token that works once"
        )
        await fleet.tdc("cluster", "create", "demo", "-m", "the fleet of this demo")
        await fleet.tdc("group", "create", "branch", "--cluster", "demo", "-m", "branch office")
        for name, group in (("mx1", "Main_Group"), ("mx2", "Main_Group"), ("mx3", "branch")):
            gateway = await fleet.add_gateway(name, group=group)
            note(f"{name} is enrolled, and takes mail at 127.0.0.1:{gateway.port}")
        say("3. Switch copying on for the whole cluster; the branch gets settings of its own")
        on = ("enabled=true", f"intake_address={INTAKE_ADDRESS}", f"incoming_domains={HOME}")
        await self._show("settings", "set", "cluster", "demo", *on, "-y", "-m", "start copying")
        own = ("enabled=true", "retry.initial=30s")
        await self._show("settings", "set", "group", "branch", *own, "-y", "-m", "always copy")
        await fleet.in_sync()
        note("\n   What is in force on mx3, and which level each value comes from:")
        await self._show("settings", "show", "--effective", "mx3")
        await self._show("status")

    async def act(self) -> None:
        """Send; disable on one machine; send; roll back; send."""
        fleet = self.fleet
        say(f"4. Send {len(demo_messages())} messages through each gateway: all three copy")
        note(_KINDS)
        await self._send_and_check({"mx1": True, "mx2": True, "mx3": True})
        before = (await fleet.json("commit", "history"))[0]["revision"]

        say("5. Disable TDC on mx1 only")
        note(
            "The disable rule: its group and the cluster follow. mx2 inherits that and stops too; "
            "mx3 goes on,\n   for its group has enabled = true of its own. The plan says so first:"
        )
        await self._show(
            "settings", "set", "machine", "mx1", "enabled=false", "-y", "-m", "mx1 only"
        )
        await fleet.wait_for(lambda rows: not rows["mx1"]["copying"] and not rows["mx2"]["copying"])
        self.seconds_to_stop = await self._seconds_to_apply("mx1", "mx2")
        await self._show("status")
        say("6. Send again: mail flows everywhere, only mx3 copies")
        await self._send_and_check({"mx1": False, "mx2": False, "mx3": True})

        say(f"7. Roll back to revision {before}, and send again: all three copy as before")
        await self._show("commit", "rollback", str(before), "--yes")
        await fleet.wait_for(lambda rows: all(row["copying"] for row in rows.values()))
        await self._send_and_check({"mx1": True, "mx2": True, "mx3": True})
        say("8. What an operator sees afterwards")
        await self._show("commit", "history")
        await self._show("delivery", "status")

    def summary(self, seconds: float) -> str:
        """Return the last line."""
        sent = sum(len(sent.messages) for sent in self.rounds)
        return (
            f"demo: OK: {sent} messages sent, {self.originals} originals arrived byte-identical "
            f"exactly once, {self.reports} journal reports due and arrived exactly once over TLS, "
            f"0 not due; copying stopped {self.seconds_to_stop:.2f} s after the commit; "
            f"{seconds:.0f} s in all"
        )

    async def _send_and_check(self, copied: dict[str, bool]) -> None:
        messages = demo_messages()
        gateways = [self.fleet.gateways[name] for name in copied]
        reports_before = self._reports_by_gateway()
        async with asyncio.TaskGroup() as group:
            for gateway in gateways:
                group.create_task(send_all("127.0.0.1", gateway.port, messages))
        self.rounds += [Sent(name, messages, yes) for name, yes in copied.items()]
        self.originals = sum(
            [await originals_arrived(gateway, self.rounds) for gateway in gateways]
        )
        self.reports = await reports_arrived(self.fleet, self.rounds)
        reports = self._reports_by_gateway() - reports_before
        tell("\n   GATEWAY  SENT  ORIGINALS UNCHANGED  COPIES DUE  JOURNAL REPORTS AT THE INTAKE")
        for name, yes in copied.items():
            wanted = _copies_due(messages) if yes else 0
            note(
                f"{name:7}  {len(messages):4}  {len(messages):19}  {wanted:10}  {reports[name]:29}"
            )

    def _reports_by_gateway(self) -> Counter[str]:
        """Return how many reports the intake has from each gateway, by what it called itself."""
        paths = self.fleet.reports.glob("*.json")
        names = (json.loads(path.read_text())["helo"] for path in paths)
        return Counter(name.partition(".")[0] for name in names)

    async def _seconds_to_apply(self, *machines: str) -> float:
        """Return how long after the last commit the last of these machines had applied it."""
        rows = await self.fleet.status()
        commit = (await self.fleet.json("commit", "history", "--limit", "1"))[0]
        applied = max(datetime.fromisoformat(rows[name]["since"]) for name in machines)
        return (applied - datetime.fromisoformat(commit["time"])).total_seconds()

    async def _show(self, *arguments: str) -> None:
        typed = " ".join(f"'{word}'" if " " in word else word for word in arguments)
        shown = await self.fleet.tdc(*arguments)
        tell(f"\n$ tdc {typed}\n{shown.rstrip()}")


def _copies_due(messages: tuple[Message, ...]) -> int:
    return sum(due(message) is not None for message in messages)
