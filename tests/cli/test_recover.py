"""`tdc recover`: what is said, and with which exit code, where not all of it is known."""

from __future__ import annotations

import pytest
from tdc.v1 import recovery_pb2

from tests.cli.conftest import Tdc
from tests.cli.scripted import ScriptedManager

AWAY = "it has not connected to this manager"


def found(known: int, *unknown: str) -> recovery_pb2.FindEditsResponse:
    """An answer without edits, of a store that machines are ahead of."""
    return recovery_pb2.FindEditsResponse(
        cluster="corp",
        revision=28,
        known=known,
        unknown=[recovery_pb2.UnknownMachine(machine=each, why=AWAY) for each in unknown],
        ahead=33,
    )


def test_where_all_is_known_there_is_nothing_to_recover(tdc: Tdc, manager: ScriptedManager) -> None:
    manager.answers["FindEdits"] = found(2)
    run = tdc("recover", "corp", "--yes")
    assert run.code == 0
    assert run.out == "Nothing to recover: corp stays at revision 28.\n"
    assert "Last step, once each cluster was recovered" in " ".join(run.err.split())


@pytest.mark.parametrize("consent", ["--yes", "--dry-run"])
@pytest.mark.parametrize(
    ("known", "unknown", "outcome", "what"),
    [
        (0, ("mx1", "mx2"), "It is not known of any machine what it runs: corp", "2 machines run:"),
        (1, ("mx2",), "What is known is in the store already: corp", "what mx2 runs:"),
    ],
)
def test_while_machines_are_not_known_nobody_is_sent_to_adopt(
    tdc: Tdc,
    manager: ScriptedManager,
    consent: str,
    known: int,
    unknown: tuple[str, ...],
    outcome: str,
    what: str,
) -> None:
    """An adopted store sets machines back, and what nobody knew by then is lost."""
    manager.answers["FindEdits"] = found(known, *unknown)
    run = tdc("recover", "corp", consent)
    err = " ".join(run.err.split())
    assert run.code == 4
    assert outcome in run.out
    assert "Nothing to recover" not in run.out
    assert "Last step" not in err
    assert f"Known: what {known} of 2 machines of cluster corp run." in err
    assert all(f"{each}: {AWAY}" in err for each in unknown)
    assert what in err
    assert "Run `tdc recover corp` again" in err
    assert "`tdc-manager adopt` before that sets them back" in err
