"""Both halves of the settings stream on a link of lists, told as a story and printed as a trace.

One manager, any number of agents, a clock that moves only by `tick`. Contents are letters: each
letter stands for whole settings of its own, so hashes are real.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from tdc.shared.settings.known import hash_of
from tdc.shared.settings.schema import default_values
from tdc.shared.settings.values import Settings
from tdc.shared.sync import agent_half, manager_half
from tdc.shared.sync import stream_state as stream
from tdc.shared.sync.values import (
    BEHIND,
    NOTHING_RUNS,
    Attempt,
    Intervals,
    Running,
    Target,
    Wanted,
)

STORE = "store-1"
INTERVALS = Intervals(status=30, ping=5, deadline=15)


def settings_of(letter: str) -> Settings:
    values = {name: value for name, value in default_values().items() if value is not None}
    return Settings.of({**values, "retry.initial": ord(letter)})


HASHES = {hash_of(settings_of(letter)): letter for letter in "abcdefgh"}
BY_LETTER = {letter: value for value, letter in HASHES.items()}


@dataclass
class Machine:
    """One agent: what its disk says, its half, and what is on the way to it."""

    running: Running = NOTHING_RUNS
    last_attempt: Attempt | None = None
    agent: agent_half.AgentHalf | None = None
    manager: manager_half.ManagerHalf | None = None
    to_agent: list[stream.Event] = field(default_factory=list)
    refuses: str = ""
    refuses_manager: bool = False
    passing: bool = False
    again: bool = False
    frozen: bool = False
    slow: bool = False
    cut: bool = False
    applying: list[stream.Apply] = field(default_factory=list)


@dataclass
class World:
    """What all machines should run, and the trace of what was said."""

    now: float = 1_000.0
    target: Target | None = None
    store: str = STORE
    damaged: bool = False
    chain: dict[int, str] = field(default_factory=dict)
    machines: dict[str, Machine] = field(default_factory=dict)
    trace: list[str] = field(default_factory=list)

    # --- the story's verbs

    def commit(self, revision: str, letter: str, chain: str = "") -> None:
        """Want settings at a revision; `chain` is the history's value there."""
        self.chain[int(revision)] = chain
        self.target = Target(int(revision), BY_LETTER[letter], self.store, chain)
        for name, machine in self.machines.items():
            if machine.manager:
                self._manager(name, machine, stream.TargetSet(self.target))

    def connect(self, name: str, leaves_after: str = "inf") -> None:
        machine = self.machines.setdefault(name, Machine())
        machine.to_agent, machine.applying, machine.refuses_manager = [], [], False
        if machine.passing:
            machine.last_attempt, machine.passing = None, False
        leave_at = self.now + float(leaves_after)
        machine.agent = agent_half.agent_opened(machine.running, self.now, leave_at)
        machine.manager = manager_half.manager_opened(self.target, INTERVALS, self.now)
        self._agent(name, machine, stream.StreamOpened())

    def forget_chain(self) -> None:
        """Another manager answers, with a store of its own history: it greets again."""
        self.chain, self.target = {}, None

    def restore_as(self, store: str) -> None:
        self.store = store

    def disconnect(self, name: str) -> None:
        self.machines[name].agent = self.machines[name].manager = None

    def tick(self, seconds: str) -> None:
        end = self.now + float(seconds)
        while True:
            due = min(
                [self._wake(machine) for machine in self.machines.values()], default=float("inf")
            )
            if due > end:
                break
            self.now = max(self.now, due)
            self._tick()
        self.now = end

    def refuse(self, name: str, *reason: str) -> None:
        self.machines[name].refuses = " ".join(reason)

    def fail(self, name: str, *reason: str) -> None:
        self.refuse(name, *reason)
        self.machines[name].again = True

    def accept(self, name: str) -> None:
        self.machines[name].refuses, self.machines[name].again = "", False

    def freeze(self, name: str) -> None:
        self.machines[name].frozen = True

    def cut(self, name: str) -> None:
        """Nothing passes any more, and nobody is told."""
        self.machines[name].cut = True

    def slow(self, name: str) -> None:
        self.machines[name].slow = True

    def finish(self, name: str) -> None:
        """The slow machine is done with one Wanted."""
        machine = self.machines[name]
        self._settle(name, machine, machine.applying.pop(0))

    def snapshot(self, name: str, revision: str, letter: str) -> None:
        """The machine was set back to an older state of its disk."""
        self.machines[name].running = Running(int(revision), BY_LETTER[letter], STORE)

    def damage(self) -> None:
        """From now on what is sent does not match its hash."""
        self.damaged = True

    # --- how it runs

    def _wake(self, machine: Machine) -> float:
        wakes = [float("inf")]
        if machine.agent and machine.agent.phase is not stream.Phase.CLOSED and not machine.frozen:
            wakes.append(agent_half.agent_wake_at(machine.agent))
        if machine.manager and machine.manager.phase is not stream.Phase.CLOSED:
            wakes.append(manager_half.manager_wake_at(machine.manager))
        return min(wakes)

    def _tick(self) -> None:
        for name, machine in self.machines.items():
            if machine.manager:
                self._manager(name, machine, stream.Tick())
            if machine.agent and not machine.frozen:
                self._agent(name, machine, stream.Tick())

    def _manager(self, name: str, machine: Machine, event: stream.Event) -> None:
        assert machine.manager
        machine.manager, effects = manager_half.manager_step(machine.manager, event, self.now)
        for effect in effects:
            match effect:
                case stream.SayWelcome(intervals, wanted):
                    self._say(name, f"<- welcome, wanted {HASHES.get(wanted, '-')}")
                    history = self._history_at(machine.running)
                    machine.to_agent.append(stream.WelcomeSaid(intervals, history))
                case stream.Offer(target):
                    letter = HASHES[target.hash]
                    self._say(name, f"<- wanted {target.revision} {letter}")
                    sent = settings_of("h" if self.damaged else letter)
                    machine.to_agent.append(
                        stream.WantedSaid(
                            Wanted(
                                target.revision,
                                target.hash,
                                target.store_id,
                                sent,
                                history=target.history,
                            )
                        )
                    )
                case stream.SayPing(number):
                    machine.to_agent.append(stream.PingSaid(number))
                case stream.EndStream(reason):
                    self._say(name, f"manager closes: {reason}")
        if machine.cut:
            machine.to_agent.clear()
        while machine.to_agent and machine.agent and not machine.frozen:
            self._agent(name, machine, machine.to_agent.pop(0))

    def _agent(self, name: str, machine: Machine, event: stream.Event) -> None:
        assert machine.agent
        machine.agent, effects = agent_half.agent_step(machine.agent, event, self.now)
        for effect in effects:
            match effect:
                case stream.SayHello():
                    self._say(name, f"-> hello, runs {_running(machine.running)}")
                    self._heard(name, stream.HelloSaid(machine.running, machine.last_attempt))
                case stream.Apply():
                    if machine.slow:
                        machine.applying.append(effect)
                    else:
                        self._settle(name, machine, effect)
                case stream.Refuse(wanted, reason, of_manager):
                    attempt = Attempt(wanted.revision, wanted.hash, False, reason, self.now)
                    machine.last_attempt = attempt
                    machine.passing = of_manager
                    self._agent(name, machine, stream.Settled(attempt, machine.running))
                case stream.SayOutcome(attempt):
                    said = "applied" if attempt.applied else "rejected"
                    why = f": {attempt.reason}" if attempt.reason else ""
                    self._say(name, f"-> {said} {attempt.revision}{_short(why)}")
                    self._heard(name, stream.OutcomeSaid(attempt))
                case stream.NoteManager(refused):
                    self._note_manager(name, machine, refused)
                case stream.Leave():
                    self._say(name, "leaves")
                case stream.SayStatus():
                    self._say(name, f"-> status, runs {_running(machine.running)}")
                    self._heard(name, stream.StatusSaid(machine.running, machine.last_attempt))
                case stream.SayPong(number):
                    self._heard(name, stream.PongSaid(number))
                case stream.EndStream(reason):
                    self._say(name, f"agent closes: {reason}")

    def _note_manager(self, name: str, machine: Machine, refused: str) -> None:
        if refused:
            self._say(name, f"refuses the manager: {refused}")
        elif machine.refuses_manager:
            self._say(name, "takes its settings again")
        machine.refuses_manager = bool(refused)

    def _settle(self, name: str, machine: Machine, effect: stream.Apply) -> None:
        wanted = effect.wanted
        attempt = Attempt(
            wanted.revision, wanted.hash, not machine.refuses, machine.refuses, self.now
        )
        machine.last_attempt, machine.passing = attempt, machine.again
        if attempt.applied:
            machine.running = wanted.after(machine.running)
        self._agent(name, machine, stream.Settled(attempt, machine.running, machine.again))

    def _history_at(self, running: Running) -> str:
        if not self.target or running.store_id != self.store or not running.history:
            return ""
        ahead = running.revision > self.target.revision
        return BEHIND if ahead else self.chain.get(running.revision, "")

    def _heard(self, name: str, event: stream.Event) -> None:
        machine = self.machines[name]
        if machine.manager and not machine.cut:
            self._manager(name, machine, event)

    def _say(self, name: str, text: str) -> None:
        self.trace.append(f"{name} {text}")


def _running(running: Running) -> str:
    return f"{running.revision} {HASHES.get(running.hash, '-')}"


def _short(reason: str) -> str:
    for full, letter in HASHES.items():
        reason = reason.replace(full, letter)
    return reason


def tell(story: str) -> str:
    """Run a story: commands, a line ``----``, the expected trace; return it with the real one."""
    world = World()
    told: list[str] = []
    for block in story.strip().split("\n\n"):
        commands, _, _ = block.partition("\n----")
        for line in commands.splitlines():
            if line and not line.startswith("#"):
                verb, *words = line.split()
                getattr(world, verb)(*words)
        if "\n----" in block or world.trace:
            told.append("\n".join([commands, "----", *world.trace]))
        else:
            told.append(commands)
        world.trace = []
    return "\n\n".join(told) + "\n"
