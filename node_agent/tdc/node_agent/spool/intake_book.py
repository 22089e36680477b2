"""The facts of each intake that a copy may be for: as in force, else as they were last.

A copy belongs to the intake that it was taken for. When the settings name another one, the copies
that wait go where they were meant to go: by the route and the TLS policy that their own intake had
last. So the facts are kept in the spool's file, beside the copies, and are there no later than the
first copy that needs them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import get_args

from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.batch import KEEP_INTAKES, Batch, IntakeRow
from tdc.node_agent.spool.ledger import Ledger
from tdc.shared.connector.intake import Intake
from tdc.shared.edge.clock import Clock
from tdc.shared.settings.schema import USE_DNS
from tdc.shared.settings.values import VerificationMethod

UNKNOWN = (
    "copies wait for this intake, but its route and TLS settings are not known. They are sent to "
    "its MX hosts, if those have certificates of a public CA. Move or drop them if that is wrong"
)


class IntakeBook:
    """In memory; `submit` has the next group written, `ledger` is what copies there are."""

    def __init__(
        self,
        submit: Callable[[Callable[[Batch], None]], None],
        ledger: Callable[[], Ledger],
        now: Clock,
        log: TdcLog,
    ) -> None:
        self._submit, self._ledger, self._now, self._log = submit, ledger, now, log
        self._in_force: dict[str, Intake] = {}
        self._last_known: dict[str, Intake] = {}
        self._unknown: set[str] = set()
        self._opened = False

    def set_in_force(self, intakes: Iterable[Intake]) -> None:
        """These are named by the settings now; the others are as they were last.

        Those that no copy is for are forgotten, the oldest first, if there are many. The facts are
        in the file no later than a copy that is taken from now on.
        """
        needed = self._ledger().intakes()
        self._last_known |= self._in_force
        self._in_force = {intake.address: intake for intake in intakes}
        idle = [address for address in self._last_known if address not in needed]
        for address in idle[:-KEEP_INTAKES]:
            del self._last_known[address]
        self._save_in_force()

    def opened(self, rows: Iterable[tuple[str, str]]) -> None:
        """The file is open; add what it knows: address and facts."""
        known = (_decoded(address, facts) for address, facts in rows)
        self._last_known = {one.address: one for one in known if one} | self._last_known
        self._opened = True
        self._save_in_force()

    def lost(self) -> None:
        """A new file was begun: write all that is known into it."""
        self._write(self._last_known | self._in_force)

    def find(self, address: str) -> Intake:
        """The facts of an intake. Where they are not known, the safest that can deliver."""
        known = self._in_force.get(address) or self._last_known.get(address)
        if known is not None:
            return known
        if address not in self._unknown:
            self._unknown.add(address)
            self._log.warning(f"{address}: {UNKNOWN}")
        return safest(address)

    def _save_in_force(self) -> None:
        if self._opened:
            self._write(self._in_force)

    def _write(self, intakes: Mapping[str, Intake]) -> None:
        now = self._now()
        if intakes:
            rows = [IntakeRow(at, _encoded(one), now) for at, one in intakes.items()]
            self._submit(lambda batch: batch.intakes.extend(rows))


def safest(address: str) -> Intake:
    """What can deliver to an intake of which nothing is known, and trusts nobody for it."""
    return Intake(address, (USE_DNS,), False, "1.2", "webpki", (), ())


def _encoded(intake: Intake) -> str:
    facts = asdict(intake)
    del facts["address"]
    return json.dumps(facts)


def _decoded(address: str, facts: str) -> Intake | None:
    try:
        read = json.loads(facts)
        if read["tls_verification"] not in get_args(VerificationMethod) or not read["route"]:
            return None
        return Intake(
            str(address),
            tuple(map(str, read["route"])),
            bool(read["private"]),
            str(read["tls_minimum_version"]),
            read["tls_verification"],
            tuple(map(str, read["tls_names"])),
            tuple(map(str, read["tls_pins"])),
        )
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
