"""Two next hops that offer different extensions: no message bounces for what one of them lacks."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.stage.filter_dialogue import connected
from tests.stage.next_hops import SILENCE, Hop, before, send
from tests.surroundings import in_time

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("pipelined", [True, False])
async def test_one_that_offers_less_takes_what_uses_nothing_of_that(
    tmp_path: Path, pipelined: bool
) -> None:
    mute, less = Hop(mute="MAIL", offers="SMTPUTF8"), Hop()
    async with before(tmp_path, mute, less) as bench:
        sent = await send(bench, pipelined=pipelined)
        assert sent.taken
        assert in_time(sent.seconds, 3 * SILENCE)
        assert (await send(bench, pipelined=pipelined)).soon


@pytest.mark.parametrize("pipelined", [True, False])
@pytest.mark.parametrize(
    ("offers", "mail", "rcpt"),
    [
        ("SMTPUTF8", " SMTPUTF8", ""),
        ("8BITMIME", " BODY=8BITMIME", ""),
        ("SIZE", " SIZE=100", ""),
        ("DSN", " RET=HDRS", ""),
        ("DSN", "", " NOTIFY=NEVER"),
    ],
)
async def test_a_message_that_uses_what_the_other_one_lacks_comes_again_soon(
    tmp_path: Path, offers: str, mail: str, rcpt: str, pipelined: bool
) -> None:
    """By a 421, so that the MTA asks again what is offered; a mute one is not waited for."""
    mute, less = Hop(mute="MAIL", offers=offers), Hop()
    async with before(tmp_path, mute, less) as bench:
        sent = await send(bench, mail=mail, rcpt=rcpt, pipelined=pipelined)
        assert sent.codes[-1] == 421
        assert in_time(sent.seconds, 3 * SILENCE)
        assert less.taken == []
        assert not any("=" in line or "SMTPUTF8" in line for line in less.given if "<" in line)


LARGE, SMALL = 100_000, 1_000


@pytest.mark.parametrize("pipelined", [True, False])
@pytest.mark.parametrize(
    ("size", "answer"),
    [(SMALL, 250), (SMALL + 1, 451), (LARGE, 451), (LARGE + 1, 552)],
)
async def test_a_message_that_is_too_large_for_the_other_one_alone_waits(
    tmp_path: Path, size: int, answer: int, pipelined: bool
) -> None:
    """What neither takes is refused for good, by the one that is asked."""
    mute = Hop(mute="MAIL", offers=f"SIZE {LARGE}")
    less = Hop(
        offers=f"SIZE {SMALL}", replies={f"MAIL FROM:<s@d.example> SIZE={LARGE + 1}": "552 no"}
    )
    async with before(tmp_path, mute, less) as bench:
        sent = await send(bench, mail=f" SIZE={size}", pipelined=pipelined)
        assert answer in sent.codes
        assert sent.taken == (answer == 250)
        assert len(less.taken) == (answer == 250)


@pytest.mark.parametrize(
    ("body", "answer"),
    [(b"." * SMALL, 250), (b"x" * SMALL, 451), (b"x" * LARGE, 451), (b"x" * 2 * LARGE, 552)],
)
async def test_a_size_that_was_not_declared_waits_too(
    tmp_path: Path, body: bytes, answer: int
) -> None:
    mute, less = Hop(mute="MAIL", offers=f"SIZE {LARGE + 2}"), Hop(offers=f"SIZE {SMALL + 1}")
    async with before(tmp_path, mute, less) as bench:
        mta = await connected(bench.filter.port)
        mta.writer.write(b"EHLO x\r\nMAIL FROM:<s@d.example>\r\nRCPT TO:<a@d.example>\r\nDATA\r\n")
        while not (await mta.reader.readline()).startswith(b"354"):
            pass
        mta.writer.write(body + b"\r\n.\r\n")
        assert (await mta.reader.readline())[:3] == b"%d" % answer
        assert len(less.taken) == (answer == 250)
        assert len(await bench.copies()) == (answer == 250)


async def test_the_largest_size_is_announced_whichever_was_asked_last(tmp_path: Path) -> None:
    mute, less = Hop(mute="MAIL", offers=f"SIZE {LARGE}"), Hop(offers=f"SIZE {SMALL}")
    async with before(tmp_path, mute, less) as bench:
        assert (await send(bench)).taken
        mta = await connected(bench.filter.port)
        mta.writer.write(b"EHLO x\r\n")
        while b"SIZE" not in (line := await mta.reader.readline()):
            pass
        assert line.split()[-1] == b"%d" % LARGE
