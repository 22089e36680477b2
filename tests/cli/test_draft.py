"""`tdc draft` and a real manager: gathered, compared, committed together."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Tdc
from tests.cli.real_manager import Fleet, done

pytestmark = pytest.mark.system


def test_a_draft_is_gathered_and_committed_as_one(tdc: Tdc, fleet: Fleet) -> None:
    of = ("--cluster", fleet.cluster)
    done(tdc, "draft", "set", "cluster", fleet.cluster, "retry.initial=30s")
    done(tdc, "draft", "set", "machine", fleet.one, fleet.two, "log.level=debug")
    shown = tdc("draft", "show", *of)
    assert f"Draft of ada for cluster {fleet.cluster}, revision 7" in shown.out
    assert shown.out.count(" open") == 3
    dry = done(tdc, "draft", "commit", *of, "--dry-run")
    assert len(dry["levels"]) == 3
    made = done(tdc, "draft", "commit", *of, "--yes")
    assert (made["revision"], made["committed"]) == (8, True)
    assert done(tdc, "commit", "show", "8", *of)["comment"] == "draft of ada"
    assert done(tdc, "draft", "show", *of)["rows"] == []
    empty = tdc("draft", "commit", *of, "--yes")
    assert (empty.code, "has nothing to commit. Begin with" in empty.err) == (1, True)


def test_a_row_in_conflict_keeps_the_draft_from_being_committed_until_one_is_chosen(
    tdc: Tdc, fleet: Fleet
) -> None:
    """`settings set` without a draft stays as it is, and is somebody's commit for the draft."""
    of = ("--cluster", fleet.cluster)
    done(tdc, "draft", "set", "group", fleet.group, "retry.initial=30s", "retry.maximum=15m")
    done(tdc, "settings", "set", "group", fleet.group, "retry.initial=5s", "-y")
    (row, other) = done(tdc, "draft", "show", *of)["rows"]
    assert (row["state"], row["was"], row["theirs"], row["yours"]) == ("conflict", None, 5, 30)
    assert other["state"] == "open"
    refused = tdc("draft", "commit", *of, "--yes")
    assert (refused.code, refused.out) == (1, "")
    said = " ".join(refused.err.split())
    assert "keep or remove them first. Nothing was committed." in said
    assert "`tdc draft keep LEVEL NAME` chooses yours" in said
    done(tdc, "draft", "keep", "group", fleet.group, "retry.initial")
    assert done(tdc, "draft", "commit", *of, "--yes")["revision"] == 9
    values = done(tdc, "settings", "show", "group", fleet.group)["settings"]
    assert (values["retry.initial"], values["retry.maximum"]) == (30, 900)


def test_a_row_of_a_renamed_machine_says_so_and_keeps_the_draft_from_being_committed(
    tdc: Tdc, fleet: Fleet
) -> None:
    of = ("--cluster", fleet.cluster)
    done(tdc, "draft", "set", "machine", fleet.one, "retry.initial=30s", *of)
    done(tdc, "machine", "rename", fleet.one, f"{fleet.one}x", "--yes", *of)
    said = " ".join(tdc("draft", "show", *of).out.split())
    assert f"Machine {fleet.one} is called {fleet.one}x now." in said
    assert "draft it again under the new name" in said
    assert tdc("draft", "commit", *of, "--yes").code == 1
    (row,) = done(tdc, "draft", "show", *of)["rows"]
    assert (row["state"], row["reason"]) == (
        "gone",
        f"machine {fleet.one} is called {fleet.one}x now",
    )
    done(tdc, "draft", "remove", "machine", fleet.one, *of)


def test_a_draft_is_shared_discarded_and_restored(tdc: Tdc, fleet: Fleet) -> None:
    of = ("--cluster", fleet.cluster)
    done(tdc, "draft", "unset", "cluster", fleet.cluster, "intake_address")
    assert done(tdc, "draft", "share", *of)["shared"] is True
    (row,) = done(tdc, "draft", "list", *of)
    assert (row["owner"], row["rows"], row["shared"]) == ("ada", 1, True)
    assert done(tdc, "draft", "unshare", *of)["shared"] is False
    gone = tdc("draft", "discard", *of)
    assert "It is empty." in gone.out
    assert "1 setting. `tdc draft restore` takes them back" in " ".join(gone.out.split())
    assert len(done(tdc, "draft", "restore", *of)["rows"]) == 1
    done(tdc, "draft", "remove", "cluster", fleet.cluster)
    assert done(tdc, "draft", "list", *of) == []
    strange = tdc("draft", "show", "--of", "nobody", *of)
    assert (strange.code, "nobody has no draft" in strange.err) == (1, True)


def test_a_draft_that_would_be_invalid_keeps_its_rows(tdc: Tdc, fleet: Fleet) -> None:
    of = ("--cluster", fleet.cluster)
    done(tdc, "draft", "unset", "cluster", fleet.cluster, "intake_address")
    refused = tdc("draft", "commit", *of, "--yes")
    assert refused.code == 1
    assert len(done(tdc, "draft", "show", *of)["rows"]) == 1


def test_a_second_draft_that_is_discarded_asks_before_the_first_is_dropped_for_good(
    tdc: Tdc, fleet: Fleet
) -> None:
    of = ("--cluster", fleet.cluster)
    for seconds in ("30s", "40s"):
        done(tdc, "draft", "set", "cluster", fleet.cluster, f"retry.initial={seconds}")
        ended = tdc("draft", "discard", *of)
    said = " ".join(ended.err.split())
    assert (ended.code, "use --yes to go on without asking. Nothing" in said) == (1, True)
    assert len(done(tdc, "draft", "show", *of)["rows"]) == 1
    assert done(tdc, "draft", "discard", *of, "-y")["discarded_rows"] == 1
    (row,) = done(tdc, "draft", "restore", *of)["rows"]
    assert row["yours"] == 40
