"""PURE. How much has to happen before a refusal is believed, and before a copy is dead of it.

One reply proves little. A backend that is full, a filter that fails to load, a tenant that has
expired, a limit that somebody mistyped: each is said in the words of a refusal for good, at the end
of the data, of a message that is sound. What tells them apart is what happens to *other* reports.

**Whose fault.** The message is blamed first, then the host, then the intake. A host is blamed only
while another one is left, for that costs little: it is tried after the others for a while.

*The host.* It must have failed with several reports: more than FEW_IN_A_ROW different copies since
it took one, or any on hold, where an earlier failure has shown that it is not one message. One copy
is enough where the host has taken nothing for PASSING_FOR seconds, if the reply is about the
intake, or if none came although the content was under way and the copy failed nowhere else. So no
message alone has all hosts avoided: at the last one, or the second that it silences, the message is
to blame. To the envelope, the same for all reports, `trouble` tries the next host at once.

*The intake.* Where no host is left, a reply that is about the intake, to the envelope or at the end
of data, puts the destination on hold, unless others pass: one was delivered within PASSING_FOR
seconds, or since this very copy was refused before. Then the copy alone waits, for one of several
backends may be full. More than FEW_IN_A_ROW different copies refused so without one delivery are
the destination's fault all the same; for a reply about the message it is more than MANY_IN_A_ROW.

**Death.** A copy is dead only when all of this is so:

- it was refused, or its attempts broke, DEAD_AFTER times, the latest one included;
- from the first of them to the latest DEAD_WITHIN seconds have really passed (steady clock);
- another report was delivered to the same intake since its attempt before;
- the latest reply refuses it for good, or `retry.lifetime` is over.

So an intake's trouble kills nothing, however long it lasts and whatever the clock says. This is
counted in memory. A restart forgets it: the copy is then tried more often than it had to be, which
harms nothing.

**Undoing.** When a run of refusals turns out to be the destination's fault, what it seemed to prove
is forgotten: failures of its copies don't count, and a copy that died in it is queued again.
"""

from __future__ import annotations

from typing import NamedTuple

from tdc.node_agent.deliver.hosts import Here
from tdc.node_agent.deliver.trouble import Outcome, Verdict

MANY_IN_A_ROW = 20
"""Messages in a row refused for themselves; one more is the destination's fault."""

FEW_IN_A_ROW = 2
"""The same for replies about the intake, while reports were delivered just before."""

PASSING_FOR = 300.0
"""Seconds for which a delivery shows that the destination takes reports."""

DEAD_AFTER = 5
"""Failed attempts that a copy has at least before it is dead."""

DEAD_WITHIN = 4 * 3_600.0
"""Seconds from the first to the last of them, at least."""


class Failures(NamedTuple):
    """Earlier failures of one copy that are charged to it.

    `tries` counts them; `first` is the time of the first one, monotonic seconds; `others_passed`:
    another report was delivered to the same intake since the latest.
    """

    tries: int = 0
    first: float = 0.0
    others_passed: bool = False


def blames_host(
    outcome: Outcome, before: Failures, here: Here, now: float, in_a_row: int, *, on_hold: bool
) -> bool:
    """Decide whether a copy's failure is the host's fault, while there is another one to try.

    `in_a_row` counts the other copies that were refused since the last delivery at any host.
    """
    if not here.more_hosts:
        return False
    passing = now - here.delivered_at <= PASSING_FOR
    several = on_hold or here.run >= FEW_IN_A_ROW
    match outcome.verdict:
        case Verdict.BLOCKED:
            return several or in_a_row >= FEW_IN_A_ROW or not passing
        case Verdict.DEFER | Verdict.REFUSED:
            at_once = outcome.silent and not passing and not before.tries
            return several or in_a_row >= MANY_IN_A_ROW or at_once
        case _:
            return False


def weighed(outcome: Outcome, in_a_row: int, *, others_pass: bool, on_hold: bool) -> Outcome:
    """Decide whether a copy's failure is the destination's fault: no other host is left.

    `in_a_row` counts the other copies that were refused since the last delivery.
    """
    alone = others_pass and not on_hold and in_a_row < FEW_IN_A_ROW
    match outcome.verdict:
        case Verdict.BLOCKED | Verdict.HOLD if alone and (
            outcome.replied or outcome.verdict is Verdict.BLOCKED
        ):
            return outcome._replace(verdict=Verdict.DEFER)
        case Verdict.BLOCKED:
            return outcome._replace(verdict=Verdict.HOLD, suspect=True)
        case Verdict.DEFER | Verdict.REFUSED if in_a_row >= MANY_IN_A_ROW:
            check = f"{outcome.check} (more than {MANY_IN_A_ROW} messages in a row)"
            return outcome._replace(verdict=Verdict.HOLD, check=check, suspect=True)
        case _:
            return outcome


def is_proven(before: Failures, now: float) -> bool:
    """Say whether a copy that failed once more has had all the tries that it must have."""
    enough = before.tries + 1 >= DEAD_AFTER and now - before.first >= DEAD_WITHIN
    return enough and before.others_passed
