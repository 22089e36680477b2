"""The list of planted faults fits the code of today: each could be tried (tests/mutants)."""

from __future__ import annotations

import ast
from collections import Counter

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


def _parses(mutant: Mutant) -> bool:
    try:
        ast.parse(SOURCES[mutant.file].replace(mutant.sound, mutant.planted))
    except SyntaxError:
        return False
    return True
