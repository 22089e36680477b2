"""Whatever is typed ends in a documented exit code and a sentence."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cli import samples
from tests.cli.conftest import Tdc
from tests.cli.scripted import ScriptedManager
from tests.examples import examples

_COMMANDS = [
    "",
    "cluster create",
    "cluster show",
    "group create",
    "machine create",
    "machine show",
    "machine token",
    "settings show",
    "settings set",
    "settings unset",
    "settings explain",
    "settings check",
    "commit history",
    "commit show",
    "commit diff",
    "commit rollback",
    "commit revert",
    "commit apply",
    "export",
    "machine remove",
    "status",
    "delivery status",
    "delivery retry",
]
_LIKELY = [
    *("cluster", "group", "machine", "mx1", "g1", "1", "0", "-1", "10m", "json", "yaml", "table"),
    *("--effective", "--cluster", "--group", "--machine", "--dry-run", "--yes", "-y", "-m", "-o"),
    *("--timeout", "--limit", "--lifetime", "--help", "--version", "--", "=", "=="),
    *("--mid", "--revision", "--schema", "9223372036854775807", "9223372036854775808"),
    *("enabled", "enabled=true", "enabled=perhaps", "tls.names=", "policies=[{}]", "retry.initial"),
]
# Arguments that are no UTF-8 reach Python as lone surrogates (PEP 383).
_ODD = st.text(
    st.one_of(
        st.characters(codec="utf-8", exclude_characters="\0"),
        st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF, categories=["Cs"]),
    ),
    max_size=12,
)
_WORDS = st.builds(
    lambda command, words: [*command.split(), *words],
    st.sampled_from(_COMMANDS),
    st.lists(st.one_of(st.sampled_from(_LIKELY), _ODD), max_size=6),
)


@settings(examples(150), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=_WORDS)
def test_no_words_end_in_a_traceback(tdc: Tdc, manager: ScriptedManager, words: list[str]) -> None:
    """0 with something said, or 1, 2, 3 with a sentence on standard error."""
    manager.answers.update(
        MakePlan=samples.disable_plan(),
        MakeCommit=samples.committed(),
        GetStatus=samples.status(),
        ListClusters=samples.clusters(),
        ListMachines=samples.machines(),
    )
    run = tdc(*words)
    assert run.code in (0, 1, 2, 3)
    assert run.out if run.code == 0 else run.err
    assert "Traceback" not in run.out + run.err
    assert "Internal error" not in run.err


@pytest.mark.parametrize(
    "command",
    [
        "commit show N",
        "commit diff N",
        "commit diff 1 N",
        "commit revert N",
        "commit rollback N",
        "export --revision N",
        "delivery retry --machine mx1 --mid N",
        "delivery drop --machine mx1 --mid 1 --mid N",
    ],
)
def test_a_number_that_no_request_can_hold_is_wrong_usage(
    tdc: Tdc, manager: ScriptedManager, command: str
) -> None:
    run = tdc(*command.replace("N", str(2**63)).split())
    assert run.code == 2
    assert "9223372036854775808 is too large" in run.err
    assert not manager.requests


@pytest.mark.parametrize("command", ["commit apply FILE", "group create g1 --out FILE"])
def test_the_name_of_a_file_is_text_too(tdc: Tdc, manager: ScriptedManager, command: str) -> None:
    """A plan that could be written and not read: the line that says how to apply it would lie."""
    run = tdc(*command.replace("FILE", "plan-\udcff").split())
    assert (run.code, "is not valid UTF-8" in run.err) == (2, True)
    assert not manager.requests
