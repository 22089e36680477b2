"""Each requirement has a test that names it, or stands openly without one."""

from __future__ import annotations

from tests.tree.requirements import PAGE, Requirements, page, proofs

TABLE = Requirements.read()


def test_marks_name_requirements_that_exist() -> None:
    assert proofs().keys() <= TABLE.numbers


def test_what_is_built_is_proved_or_openly_not() -> None:
    unproved = TABLE.numbers - proofs().keys() - TABLE.not_built.keys()
    assert unproved == TABLE.open.keys()


def test_what_is_not_built_is_not_proved() -> None:
    assert not TABLE.not_built.keys() & (proofs().keys() | TABLE.open.keys())
    assert TABLE.not_built.keys() <= TABLE.numbers


def test_no_proof_is_lost() -> None:
    """It only grows: 151 of the 190 that are built had a test when the table was begun."""
    built = TABLE.numbers - TABLE.not_built.keys()
    assert len(built - TABLE.open.keys()) >= 187


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == page(), "run make reference"
