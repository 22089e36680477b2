"""Whether any next hop takes mail, as the mail itself shows: nothing is probed.

A next hop *fails* in one of three ways:
  1. it can't be reached, or does not greet, or falls silent: at once;
  2. it refuses a run of messages, and accepts none between: two where the replies are its own
     trouble, five where each may have been about the message (`blame.py`);
  3. messages wait for its reply for long, and it has accepted none since they do.
It works again with the first message that it accepts; of the last way, also once it replies. To
end a session that waits, as a restart or the MTA does, is no reply.
There is trouble while every next hop fails. The MTA keeps its messages meanwhile and tries them
again, so the end shows soon.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from tdc.node_agent.ingest.blame import Blame
from tdc.shared.edge.clock import Clock, monotonic

SURE_RUN = 2  # messages in a row, refused for what is certainly the next hop's
RUN = 5  # messages in a row, refused at all


@dataclass(frozen=True, slots=True)
class HopTrouble:
    """No next hop takes mail: since when (monotonic seconds), and the last failure of each."""

    since: float
    reason: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A message that has waited for a next hop for so many seconds; `long` is when that tells."""

    address: object
    seconds: float
    long: float


@dataclass(frozen=True, slots=True)
class _Failing:
    """Since when, and why; `bounces` if mail goes back to its senders."""

    since: float
    why: str
    bounces: bool = False


@dataclass(frozen=True, slots=True)
class _Run:
    """Messages refused in a row; `sure` of them certainly through the next hop's fault."""

    since: float
    messages: int = 0
    sure: int = 0

    @property
    def tells(self) -> bool:
        return self.sure >= SURE_RUN or self.messages >= RUN


class NextHopState:
    """What the pool of connections knows of its next hops, for status.

    `waiting` is set by the pool: what waits for a reply now.
    """

    def __init__(self, clock: Clock = monotonic) -> None:
        self.waiting: Callable[[], Iterable[Waiting]] = tuple
        self._clock = clock
        self._all: Collection[object] = ()
        self._failing: dict[object, _Failing] = {}
        self._runs: dict[object, _Run] = {}
        self._accepted: dict[object, float] = {}  # when it last accepted a message

    def resume(
        self, failures: Mapping[str, str], since: float | None, among: Collection[object]
    ) -> None:
        """Go on from what was known before a restart, as far as these next hops are still meant."""
        self._all = among
        began = self._clock() if since is None else since
        known = {one: failures[str(one)] for one in among if str(one) in failures}
        self._failing = {one: _Failing(began, why) for one, why in known.items()}

    @property
    def failures(self) -> Mapping[str, str]:
        """Why each next hop that has accepted no message since takes none."""
        known = self._mute() | self._failing
        return {str(address): one.why for address, one in known.items()}

    @property
    def since(self) -> float | None:
        """The moment since when none takes mail; None while one works."""
        trouble = self.trouble
        return None if trouble is None else trouble.since

    @property
    def trouble(self) -> HopTrouble | None:
        """Why no mail passes; None while a next hop works, and before the first message."""
        failing = self._mute() | self._failing
        if not failing or any(one not in failing for one in self._all):
            return None
        reasons = [f"{address}: {one.why}" for address, one in failing.items()]
        bounces = any(one.bounces for one in failing.values())
        end = "mail waits in the MTA"
        if bounces:
            end = "what it refuses for good goes back to its senders"
        since = max(one.since for one in failing.values())
        return HopTrouble(since, "; ".join((*reasons, end)))

    def failed(
        self, address: object, why: str, among: Collection[object], *, waited: float = 0.0
    ) -> None:
        """A next hop was tried in vain, for `waited` seconds; `among` are all there are."""
        self._all = among
        self._fails(address, _Failing(self._clock() - waited, why))

    def given_up(self, wait: Waiting, among: Collection[object]) -> None:
        """A message is no longer waited for; it has had no reply."""
        if self._tells(wait):
            why = f"it did not answer: a message waited {wait.seconds:.0f} s for its reply"
            self.failed(wait.address, why, among, waited=wait.seconds)

    def refused(
        self, address: object, whose: Blame, answer: str, among: Collection[object]
    ) -> None:
        """A message was not accepted by this next hop."""
        self._all = among
        if whose is Blame.MESSAGE:
            return
        run = self._runs.get(address) or _Run(self._clock())
        run = replace(run, messages=run.messages + 1, sure=run.sure + (whose is Blame.HOP))
        self._runs[address] = run
        if run.tells or address in self._failing:
            why = f"{run.messages} messages in a row not accepted, the last: {answer}"
            if run.messages == 1:
                why = f"1 message not accepted: {answer}"
            self._fails(address, _Failing(run.since, why, answer.startswith("5")))

    def refuses(self, address: object) -> bool:
        """Whether its last replies were refusals that tell of it, and not of the messages."""
        run = self._runs.get(address)
        return run is not None and run.tells

    def works(self, address: object) -> None:
        """A next hop has accepted a message."""
        self._accepted[address] = self._clock()
        if self._failing or self._runs:
            self._failing.pop(address, None)
            self._runs.pop(address, None)

    def _fails(self, address: object, now: _Failing) -> None:
        known = self._failing.get(address)
        since = now.since if known is None else min(known.since, now.since)
        self._failing[address] = replace(now, since=since)

    def _tells(self, wait: Waiting) -> bool:
        """Whether it waits for long, and the next hop has accepted none since it does."""
        since = self._clock() - wait.seconds
        return wait.seconds >= wait.long and self._accepted.get(wait.address, since - 1) <= since

    def _mute(self) -> dict[object, _Failing]:
        """Those for whose reply messages have waited for long, and that accepted none since."""
        waits = sorted(self.waiting(), key=lambda one: -one.seconds)
        if not waits:
            return {}
        now, mute = self._clock(), dict[object, _Failing]()
        for one in waits:
            if not self._tells(one):
                continue
            count = sum(other.address == one.address for other in waits)
            wait = "1 message waits" if count == 1 else f"{count} messages wait"
            mute.setdefault(
                one.address,
                _Failing(now - one.seconds, f"it does not answer: {wait} for its reply"),
            )
        return mute
