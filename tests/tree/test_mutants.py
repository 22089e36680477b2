"""The list of planted faults fits the code of today: each could be tried (tests/mutants)."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.mutants import forked
from tests.mutants.__main__ import Fate, try_in
from tests.mutants.planted import MUTANTS
from tests.mutants.values import Mutant
from tests.tree.source import ROOT

SOURCES = {file: (ROOT / file).read_text() for file in {each.file for each in MUTANTS}}


def test_each_mutant_changes_one_place_of_its_file() -> None:
    """Else it would be an error of the run, which nobody starts for each change."""
    found = {str(each): SOURCES[each.file].count(each.sound) for each in MUTANTS}
    assert {name: times for name, times in found.items() if times != 1} == {}
    assert [str(each) for each in MUTANTS if each.planted == each.sound] == []


def test_a_mutant_is_still_python() -> None:
    """A file that can't be read fails every test, and says nothing of any."""
    assert [str(each) for each in MUTANTS if not _parses(each)] == []


def test_a_mutant_has_a_name_of_its_own_and_tests_that_exist() -> None:
    names = Counter(map(str, MUTANTS))
    assert [name for name, times in names.items() if times > 1] == []
    tests = {test.partition("::")[0] for each in MUTANTS for test in each.tests}
    assert [path for path in sorted(tests) if not (ROOT / path).is_file()] == []
    assert all(each.tests for each in MUTANTS)


@pytest.mark.parametrize(
    ("runs", "fate"),
    [
        ([(0, "passed")], Fate.SURVIVED),
        ([(1, "AssertionError")], Fate.KILLED),
        ([(2, "could not be collected")], Fate.ERROR),
        ([(1, "TimeoutError"), (0, "passed")], Fate.KILLED),
        ([(None, "."), (0, "passed")], Fate.KILLED),
        ([(1, "TimeoutError"), (1, "TimeoutError")], Fate.ERROR),
        ([(None, "."), (None, ".")], Fate.ERROR),
    ],
)
def test_tests_that_took_too_long_count_only_where_the_sound_source_passes_them(
    runs: list[tuple[int | None, str]],
    fate: Fate,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    source, seen = tmp_path / "code.py", list[str]()
    source.write_text("sound = 1\n")
    answers = iter(runs)

    def answer(*_: object) -> tuple[int | None, str]:
        seen.append(source.read_text())
        return next(answers)

    monkeypatch.setattr(forked, "run", answer)
    mutant = Mutant("none", "code.py", "sound", "planted", ("tests/test_it.py",))
    assert try_in(tmp_path, mutant).fate is fate
    assert seen == ["planted = 1\n", "sound = 1\n"][: len(runs)]
    assert source.read_text() == "sound = 1\n"


def _parses(mutant: Mutant) -> bool:
    try:
        ast.parse(SOURCES[mutant.file].replace(mutant.sound, mutant.planted))
    except SyntaxError:
        return False
    return True
