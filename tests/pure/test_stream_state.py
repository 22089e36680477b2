"""The settings stream's two halves: stories as traces, and properties over random stories."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tdc.shared.settings.known import hash_of
from tdc.shared.settings.schema import default_values
from tdc.shared.settings.values import Settings
from tdc.shared.sync import stream_state as stream
from tdc.shared.sync.acceptance import another_history, foreign, objection, older
from tdc.shared.sync.agent_half import agent_opened, agent_step
from tdc.shared.sync.identity import (
    MachinePeer,
    NotAnIdentity,
    Operator,
    Peer,
    identity_uri,
    parse_identity,
)
from tdc.shared.sync.join_token import NotAToken, authority_of, token_text
from tdc.shared.sync.manager_half import manager_opened, manager_step
from tdc.shared.sync.values import (
    BEHIND,
    NOTHING_RUNS,
    Attempt,
    BadIntervals,
    Intervals,
    Running,
    Target,
    Wanted,
)

from tests.examples import examples
from tests.pure.stream_story import BY_LETTER, INTERVALS, STORE, World, settings_of, tell

TRACES = sorted((Path(__file__).parents[1] / "traces").glob("*.txt"))


@pytest.mark.parametrize("path", TRACES, ids=lambda path: path.stem)
def test_a_story_goes_as_its_trace_says(path: Path) -> None:
    """Commands, a line of dashes, what was said. Add a story by adding a file."""
    story = path.read_text()
    assert tell(story) == story


def test_there_are_stories() -> None:
    assert len(TRACES) >= 9


# --- properties ---------------------------------------------------------------------------

letters = st.sampled_from("abcd")
names = st.sampled_from(["mx1", "mx2"])
verbs = st.one_of(
    st.tuples(st.just("commit"), letters),
    st.tuples(st.just("connect"), names),
    st.tuples(st.just("cut"), names),
    st.tuples(st.just("slow"), names),
    st.tuples(st.just("finish"), names),
    st.tuples(st.just("refuse"), names),
    st.tuples(st.just("fail"), names),
    st.tuples(st.just("accept"), names),
    st.tuples(st.just("tick"), st.sampled_from(["1", "7", "20", "40", "70"])),
)


def play(world: World, script: list[tuple[str, str]]) -> int:
    """Run verbs that make sense at the moment; return the last revision."""
    revision = 0
    for verb, word in script:
        known = world.machines.get(word)
        if verb == "commit":
            revision += 1
            world.commit(str(revision), word)
        elif verb in ("connect", "tick"):
            getattr(world, verb)(word)
            if verb == "connect":
                world.machines[word].cut = False
        elif known is None or (verb == "finish" and not known.applying):
            continue
        elif verb in ("refuse", "fail"):
            getattr(world, verb)(word, "because")
        else:
            getattr(world, verb)(word)
    return revision


@examples(150)
@given(st.lists(verbs, max_size=25))
def test_whatever_happened_a_machine_that_accepts_ends_up_in_sync(
    script: list[tuple[str, str]],
) -> None:
    """The dumb twin: after trouble is over, everyone runs the newest commit. Nothing else."""
    world = World()
    revision = play(world, script)
    for machine in world.machines.values():
        machine.slow = machine.cut = False
        machine.refuses, machine.again = "", False
    for name in world.machines:
        world.connect(name)
    world.commit(str(revision + 1), "e")
    world.tick("100")
    assert {machine.running.hash for machine in world.machines.values()} <= {BY_LETTER["e"]}
    said = len(world.trace)
    world.tick("25")
    assert not [line for line in world.trace[said:] if "<-" in line]  # and then there is quiet


@examples(150)
@given(st.lists(verbs, max_size=25))
def test_nothing_is_offered_that_runs_or_twice_at_a_time(script: list[tuple[str, str]]) -> None:
    world = World()
    play(world, script)
    for name in world.machines:
        waiting = False
        runs = ""
        for line in world.trace:
            if line.startswith(f"{name} -> hello"):
                waiting, runs = False, line.split()[-1]
            elif line.startswith(f"{name} <- wanted"):
                assert not waiting, world.trace
                assert line.split()[-1] != runs, world.trace
                waiting, wanted = True, line.split()[-1]
            elif line.startswith(f"{name} -> applied"):
                waiting, runs = False, wanted
            elif line.startswith(f"{name} -> rejected"):
                waiting = False


@given(st.integers(1, 9), st.integers(1, 9), st.booleans(), st.sampled_from("ab"))
def test_an_agent_never_goes_back_by_itself(
    runs: int, offered: int, same_store: bool, letter: str
) -> None:
    running = Running(runs, BY_LETTER["c"], STORE)
    store = STORE if same_store else "store-2"
    wanted = Wanted(offered, BY_LETTER[letter], store, settings_of(letter))
    assert objection(wanted) == ""
    assert bool(older(wanted, running)) == (same_store and offered < runs)


@given(
    st.sampled_from(["", "a1", "b2"]), st.sampled_from(["", "a1", "b2", BEHIND]), st.integers(5, 7)
)
@pytest.mark.proves("F49", "P16")
def test_an_agent_stays_with_the_history_that_it_has(ours: str, theirs: str, offered: int) -> None:
    """Nothing of another history of the same store runs, whatever its revision."""
    running = Running(5, BY_LETTER["c"], STORE, ours)
    differ = ours != "" and theirs not in ("", BEHIND, ours)
    assert bool(another_history(running, theirs)) == differ
    wanted = Wanted(offered, BY_LETTER["a"], STORE, settings_of("a"), history=theirs)
    told = another_history(running, theirs)
    assert bool(foreign(wanted, running, told)) == differ
    moved = Wanted(offered, BY_LETTER["a"], "store-2", settings_of("a"), history=theirs)
    assert foreign(moved, running, told) == "", "another id says that it is meant"
    assert foreign(wanted, moved.after(running), "") != "", "and the first is left"


# --- single rules -------------------------------------------------------------------------


def test_an_empty_wanted_never_means_the_defaults() -> None:
    empty = Settings.of({})
    assert "incomplete" in objection(Wanted(1, hash_of(empty), STORE, empty))


@pytest.mark.parametrize(
    "name", [name for name, value in default_values().items() if value is not None]
)
def test_a_wanted_that_lacks_one_setting_is_refused(name: str) -> None:
    torn = settings_of("a").without(name)
    assert name in objection(Wanted(1, hash_of(torn), STORE, torn))


def test_a_wanted_that_can_not_be_read_is_refused_with_the_reason() -> None:
    wanted = Wanted(1, "", STORE, fault="fields that this version does not know")
    assert objection(wanted) == "fields that this version does not know"


@pytest.mark.parametrize("revision", [0, -1, -(2**63)])
@pytest.mark.proves("B88")
def test_a_revision_that_no_commit_has_is_refused(revision: int) -> None:
    wanted = Wanted(revision, BY_LETTER["a"], STORE, settings_of("a"))
    assert objection(wanted)


@pytest.mark.parametrize(
    "intervals",
    [
        Intervals(ping=float("nan")),
        Intervals(deadline=float("inf")),
        Intervals(status=-1.0),
        Intervals(ping=0.0),
        Intervals(ping=5.0, deadline=5.0),
    ],
)
def test_intervals_that_no_stream_can_live_by_end_it(intervals: Intervals) -> None:
    with pytest.raises(BadIntervals):
        intervals.checked()
    state, _ = agent_step(agent_opened(NOTHING_RUNS, 0), stream.StreamOpened(), 0)
    state, effects = agent_step(state, stream.WelcomeSaid(intervals), 0)
    assert state.phase is stream.Phase.CLOSED
    assert isinstance(effects[0], stream.EndStream)


@pytest.mark.parametrize(
    "event",
    [
        stream.OutcomeSaid(Attempt(1, "x", True, "", 0)),
        stream.StatusSaid(NOTHING_RUNS, None),
        stream.PongSaid(1),
        stream.WantedSaid(Wanted(1, "x", STORE)),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_comes_before_hello_ends_the_stream(event: stream.Event) -> None:
    state = manager_opened(Target(1, BY_LETTER["a"], STORE), INTERVALS, 0)
    state, effects = manager_step(state, event, 0)
    assert effects == (stream.EndStream(f"the agent sent {_word(event)} in phase new"),)
    assert manager_step(state, stream.HelloSaid(NOTHING_RUNS, None), 0) == (state, ())


def _word(event: stream.Event) -> str:
    return type(event).__name__.removesuffix("Said")


def test_an_agent_that_never_says_hello_is_not_waited_for() -> None:
    state = manager_opened(None, INTERVALS, 0)
    state, effects = manager_step(state, stream.Tick(), INTERVALS.deadline)
    assert effects == (stream.EndStream("nothing heard for 15 s", dead=True),)


def test_an_agent_that_answers_pings_but_not_a_wanted_is_not_waited_for_for_ever() -> None:
    state = manager_opened(Target(1, BY_LETTER["a"], STORE), INTERVALS, 0)
    state, _ = manager_step(state, stream.HelloSaid(NOTHING_RUNS, None), 0)
    for second in range(0, 60, 5):
        state, _ = manager_step(state, stream.PongSaid(1), second)
    state, effects = manager_step(state, stream.Tick(), 60)
    assert effects == (stream.EndStream("no outcome of a Wanted within 60 s"),)


def test_an_agent_that_says_applied_and_runs_something_else_is_not_flooded() -> None:
    target = Target(1, BY_LETTER["a"], STORE)
    state = manager_opened(target, INTERVALS, 0)
    state, _ = manager_step(state, stream.HelloSaid(NOTHING_RUNS, None), 0)
    said = (
        stream.OutcomeSaid(Attempt(1, target.hash, True, "", 0)),
        stream.StatusSaid(NOTHING_RUNS, None),
    )
    offers = 0
    for second in range(100):
        for event in said:
            state, effects = manager_step(state, event, second)
            offers += stream.Offer(target) in effects
    assert offers == 100 // INTERVALS.status


def test_a_status_without_its_last_attempt_does_not_undo_a_refusal() -> None:
    target = Target(1, BY_LETTER["a"], STORE)
    state = manager_opened(target, INTERVALS, 0)
    state, _ = manager_step(state, stream.HelloSaid(NOTHING_RUNS, None), 0)
    refusal = Attempt(1, target.hash, False, "no", 0)
    state, _ = manager_step(state, stream.OutcomeSaid(refusal), 0)
    for second in range(100):
        state, effects = manager_step(state, stream.StatusSaid(NOTHING_RUNS, None), second)
        assert effects == ()
    assert state.refused


def test_of_what_comes_while_an_agent_applies_the_newest_is_applied_next() -> None:
    """A manager that does not wait for the outcome must not make a backlog."""
    first, second, third = (
        Wanted(number, hash_of(settings_of(letter)), STORE, settings_of(letter))
        for number, letter in enumerate("abc", start=1)
    )
    state, _ = agent_step(agent_opened(NOTHING_RUNS, 0), stream.StreamOpened(), 0)
    state, _ = agent_step(state, stream.WelcomeSaid(INTERVALS), 0)
    for wanted in (first, second, third):
        state, _ = agent_step(state, stream.WantedSaid(wanted), 0)
    running = Running(first.revision, first.hash, first.store_id)
    applied = Attempt(first.revision, first.hash, True, "", 0)
    _, effects = agent_step(state, stream.Settled(applied, running, again=False), 0)
    assert stream.Apply(third) in effects
    assert stream.Apply(second) not in effects


# --- identity and join token as text ------------------------------------------------------

parts = st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable())


@given(st.one_of(st.builds(Operator, parts), st.builds(MachinePeer, parts, parts, parts)))
@example(Operator("a/b?c#d%2f é"))
@example(MachinePeer("c/1", "../mx1", "%"))
def test_an_identity_is_read_back_as_it_was_written(peer: Peer) -> None:
    assert parse_identity(identity_uri(peer)) == peer


@given(st.text(max_size=60).map(lambda text: "tdc://" + text))
@example("tdc://operator/%61nna")  # "a" needs no escape
@example("tdc://operator/a%2fb")  # the writer's escapes are in capitals
@example("tdc://machine/corp/mx 1/e1")
def test_an_identity_has_one_spelling(uri: str) -> None:
    try:
        peer = parse_identity(uri)
    except NotAnIdentity:
        return
    assert identity_uri(peer) == uri


def test_a_join_token_carries_the_fingerprint_of_the_ca() -> None:
    token = token_text("ab" * 32, "abcdefghijklmnopqrstuvwxyz234567")
    assert authority_of(token) == "ab" * 32


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tdc1",
        "tdc2." + "ab" * 32 + "." + "a" * 32,
        "tdc1." + "AB" * 32 + "." + "a" * 32,
        "tdc1." + "ab" * 32 + "." + "a" * 5,
        "tdc1." + "ab" * 32 + "." + "a" * 32 + "\n",
        "tdc1." + "ab" * 31 + "." + "a" * 32,
    ],
)
def test_a_token_that_was_cut_is_told_from_one_that_is_whole(text: str) -> None:
    with pytest.raises(NotAToken):
        authority_of(text)
