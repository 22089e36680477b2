"""What a plan says of agents that do not know a setting."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from tdc.manager.levels.consistency import Kind, not_known
from tdc.manager.levels.impact import MachineChange
from tdc.manager.levels.unsupported import AgentKnows, unsupported
from tdc.shared.settings.known import FIRST_KNOWN, KNOWN_HERE
from tdc.shared.settings.schema import SCHEMA
from tdc.shared.settings.values import Level, Origin, Value

from tests.pure.setting_values import names, values_of

NEW = "delivery.messages_per_connection"
ORIGIN = Origin(Level.CLUSTER, "c1", 1)
LESS = AgentKnows(KNOWN_HERE - {NEW}, "0.9", connected=True)


def change(setting: str, after: Value | None, machine: str = "mx1") -> MachineChange:
    return MachineChange(machine, setting, None, after, ORIGIN)


agents = st.builds(
    AgentKnows,
    st.none() | st.sets(names).map(frozenset),
    st.sampled_from(["", "0.9"]),
    st.booleans(),
)
named = names.flatmap(lambda name: st.tuples(st.just(name), st.none() | values_of(SCHEMA[name])))


@given(named, agents)
def test_what_an_agent_would_not_act_by_is_refused_or_warned_of(
    given: tuple[str, Value | None], agent: AgentKnows
) -> None:
    name, after = given
    problems, warnings = unsupported([change(name, after)], {"mx1": agent}.__getitem__)
    known = FIRST_KNOWN if agent.known is None else agent.known
    acts = after is None or after == SCHEMA[name].default or (after == "" and SCHEMA[name].optional)
    expected = name not in known and not acts
    assert len(problems) == (expected and agent.connected)
    assert len(warnings) == (expected and not agent.connected)


def test_the_refusal_says_what_to_do() -> None:
    agents = {"mx1": LESS, "mx2": AgentKnows(KNOWN_HERE, "1.0", connected=True)}
    changes = [change(NEW, 7), change(NEW, 7, "mx2"), change("retry.initial", 7)]
    (problem,), warnings = unsupported(changes, agents.__getitem__)
    assert warnings == ()
    assert (problem.machine, problem.setting) == ("mx1", NEW)
    assert problem.reason == (
        f"its agent, version 0.9, does not know {NEW}. Upgrade the agent first, or set this where "
        "all machines know it"
    )


def test_what_agents_lack_is_found() -> None:
    found = not_known(
        [
            ("mx1", "0.9", KNOWN_HERE - {NEW}, (NEW,)),
            ("mx2", "0.9", KNOWN_HERE - {NEW, "tls.pins"}, (NEW,)),
            ("mx3", "1.0", KNOWN_HERE, ()),
        ]
    )
    assert [(each.kind, each.key.name, each.setting) for each in found] == [
        (Kind.LACKS_SETTING, "mx1", NEW),
        (Kind.LACKS_SETTING, "mx2", NEW),
        (Kind.KNOWS_LESS, "mx2", ""),
    ]
    assert "tls.pins" in found[2].text
