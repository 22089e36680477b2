"""The intake of the tests reads what it is sent; else they would see faults that are its own."""

from __future__ import annotations

import pytest

from tests.fakes.smtp_session import path_of


@pytest.mark.parametrize(
    ("rest", "path", "parameters"),
    [
        ("FROM:<a@b> SIZE=1 BODY=8BITMIME", "a@b", ("SIZE=1", "BODY=8BITMIME")),
        ("from: <>", "", ()),
        ('FROM:<"a b"@c.example> SIZE=1', '"a b"@c.example', ("SIZE=1",)),
        ('FROM:<"a> b\\" <"@c.example>', '"a> b\\" <"@c.example', ()),
        ("FROM:a@b", None, ()),
        ('FROM:<"a@b>', None, ()),
        ("TO:<a@b>", None, ()),
    ],
)
def test_a_path_is_read_whole(rest: str, path: str | None, parameters: tuple[str, ...]) -> None:
    assert path_of(rest, "FROM:") == (path, parameters)
