"""What becomes of copies that an intake refuses: real spool, real TLS, real sockets."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tdc.node_agent.deliver import evidence, settle
from tdc.node_agent.journal.report import new_report_id
from tdc.node_agent.spool.spool import Spool
from tdc.shared.mail.envelope import Envelope

from tests.fakes.smtp_faults import Faults
from tests.stage.delivery import (
    HOST,
    INTAKE,
    MESSAGE,
    QUICK,
    DeliveryStage,
    dead_letters,
    staged,
)

LARGE = MESSAGE + (b"x" * 70 + b"\r\n") * 2_000
NON_ASCII = "From: a@b.example\r\nSubject: caf\u00e9\r\n\r\nna\u00efve\r\n".encode()


@pytest.fixture
def soon_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four hours pass in a second and a half; the retries of QUICK are a second apart."""
    monkeypatch.setattr(evidence, "DEAD_WITHIN", 1.5)


async def queue_many(stage: DeliveryStage, count: int, content: bytes = MESSAGE) -> list[int]:
    return list(await asyncio.gather(*(stage.queue(content) for _ in range(count))))


def status(stage: DeliveryStage) -> str:
    [row] = stage.delivery.destinations()
    return row.host_status


# The command


@pytest.mark.parametrize("code", ["500", "501 5.5.4", "502 5.5.1", "503", "504", "555 5.5.4"])
@pytest.mark.proves("P8")
async def test_a_refused_bdat_is_followed_by_data_and_not_asked_again(
    tmp_path: Path, code: str
) -> None:
    faults = Faults(replies={"bdat": f"{code} no BDAT here"})
    async with staged(tmp_path, faults=faults) as stage:
        await queue_many(stage, 30)
        await stage.drained()
        assert len(set(stage.report_ids())) == len(stage.intake.messages) == 30
        assert {message.via for message in stage.intake.messages} == {"DATA"}
        assert stage.spool.facts().dead == stage.counters.deferred == 0
        assert "without CHUNKING to this host for 3600 s" in stage.log.getvalue()
        assert stage.log.getvalue().count("without CHUNKING") <= 2


async def test_an_intake_that_does_not_know_bdat_after_all_gets_data(tmp_path: Path) -> None:
    """It takes each line of the content for a command; one reply to BDAT is enough to know."""
    async with staged(tmp_path, faults=Faults(unknown=("BDAT",))) as stage:
        await queue_many(stage, 5)
        await stage.drained()
        assert [message.via for message in stage.intake.messages] == ["DATA"] * 5
        assert stage.counters.deferred == stage.counters.maybe_duplicate == 0


async def test_parameters_of_mail_are_left_out_one_kind_after_the_other(tmp_path: Path) -> None:
    """At last the original goes in base64, for which MAIL needs no parameter at all."""
    faults = Faults(replies={"mail": ["555 5.5.4 no SIZE", "555 5.5.4 no BODY"]})
    async with staged(tmp_path, faults=faults) as stage:
        await stage.queue(NON_ASCII, smtputf8=True)
        await stage.drained()
        [message] = stage.intake.messages
        assert message.mail_parameters == ()
        assert b"X-TDC-Original-Encoded: base64" in message.content
        assert stage.counters.deferred == 0


# The intake, at the end of data

TROUBLE = [
    "552 5.2.2 Mailbox full",
    "552 5.3.1 System full",
    "554 5.3.0 Backend broken",
    "535 5.7.8 Authentication required",
    "535 no",
    "521 5.3.2 No mail here",
    "556 5.1.10 No mail for that domain",
    "550 5.1.1 No such user",
    "550 5.7.1 Relaying denied",
    "550 5.4.1 No route",
    "452 4.2.2 Mailbox full",
    "552 5.3.4 Too big",
    "554 No",
    "550 5.0.0 No",
]


@pytest.mark.parametrize("reply", TROUBLE)
@pytest.mark.proves("F37", "P6")
async def test_an_intake_that_refuses_every_content_is_held_and_kills_nothing(
    tmp_path: Path, reply: str
) -> None:
    async with staged(tmp_path, faults=Faults(replies={"dot": reply}), **QUICK) as stage:
        await queue_many(stage, 30)
        await stage.logged("on hold: ")
        assert status(stage) == "down"
        [row] = stage.delivery.destinations()
        assert reply in row.held_reason
        assert row.last_reply == f"{HOST}:{stage.intake.port}: {reply}"
        before = stage.intake.counts.mail_commands
        await asyncio.sleep(2.2)
        assert 1 <= stage.intake.counts.mail_commands - before <= 3, "a probe for each interval"
        assert stage.spool.facts().dead == 0
        assert stage.spool.facts().queued == 30
        assert stage.log.getvalue().count("on hold") == 1
        stage.intake.faults = Faults()
        stage.delivery.kick()
        await stage.drained()
        assert len(set(stage.report_ids())) == len(stage.intake.messages) == 30
        assert status(stage) == "up"


@pytest.mark.parametrize("stage_of_it", ["dot", "rcpt"])
@pytest.mark.parametrize("reply", ["552 5.2.2 Mailbox full", "452 4.3.1 Full", "554 No"])
async def test_with_one_of_two_backends_full_nothing_dies_and_the_rest_flows(
    tmp_path: Path, stage_of_it: str, reply: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of the reports are refused, alternately: what is refused is tried again."""
    monkeypatch.setattr(settle, "BUSY_WAIT", 2.0)
    faults = Faults(replies={stage_of_it: ["", reply] * 1_000})
    async with staged(tmp_path, faults=faults, retry_initial=2, retry_maximum=2) as stage:
        await queue_many(stage, 60)
        await stage.until(lambda: len(stage.intake.messages) >= 30)
        assert status(stage) in ("refusing", "down")
        word = "RCPT" if stage_of_it == "rcpt" else "end of data"
        assert f"answered {word} with {reply}" in stage.log.getvalue()
        assert stage.spool.facts().dead == 0
        await stage.drained(timeout=40)
        assert len(set(stage.report_ids())) == len(stage.intake.messages) == 60
        assert stage.log.getvalue().count("refuses some reports") <= 3


async def test_a_limit_of_100_octets_for_a_moment_kills_nothing(tmp_path: Path) -> None:
    faults = Faults(extra_keywords=("SIZE 100",))
    async with staged(tmp_path, faults=faults, intake={"without": ("SIZE",)}, **QUICK) as stage:
        await queue_many(stage, 30)
        await stage.logged("on hold: Intake Refused: the report has ")
        assert "accepts at most 100, and every host must take 65536" in stage.log.getvalue()
        stage.intake.faults = Faults()
        await stage.drained()
        assert stage.counters.dead == 0
        assert len(set(stage.report_ids())) == len(stage.intake.messages) == 30


@pytest.mark.proves("F36")
async def test_a_greylisting_intake_gets_the_same_envelope_once_and_again_after_its_time(
    tmp_path: Path,
) -> None:
    faults = Faults(replies={"rcpt": "450 4.2.0 Greylisted"})
    async with staged(tmp_path, faults=faults, **QUICK) as stage:
        await queue_many(stage, 5)
        await stage.logged("on hold: Intake Deferred")
        assert "answered RCPT with 450 4.2.0 Greylisted; next try in 300 s" in stage.log.getvalue()
        await asyncio.sleep(1.2)
        assert stage.intake.counts.mail_commands == 1
        stage.intake.faults = Faults()
        stage.delivery.kick()  # its time is over
        await stage.drained()
        assert stage.intake.counts.mail_commands == 6
        assert len(set(stage.report_ids())) == 5


async def test_the_last_reply_is_a_reply_and_a_lost_connection_is_none(tmp_path: Path) -> None:
    async with staged(tmp_path, **QUICK) as stage:
        await stage.queue()
        await stage.drained()
        [row] = stage.delivery.destinations()
        replied = f"{HOST}:{stage.intake.port}: 250 2.0.0 Taken as 000001"
        assert (row.host_status, row.last_reply) == ("up", replied)
        stage.intake.faults = Faults(drop=("banner",))
        stage.intake.drop_connections()
        await stage.queue()
        await stage.logged("on hold: Connection Error")
        [row] = stage.delivery.destinations()
        assert (row.host_status, row.last_reply) == ("down", replied)
        assert "closed the connection" in row.held_reason


# The message


async def test_a_report_above_a_plausible_limit_waits_while_others_pass(tmp_path: Path) -> None:
    """It is not sent, and the limit may yet be raised."""
    faults = Faults(extra_keywords=("SIZE 100000",))
    async with staged(tmp_path, faults=faults, intake={"without": ("SIZE",)}, **QUICK) as stage:
        large = await stage.queue(LARGE)
        await stage.logged(f"Message {large} too-large: the report has ")
        await queue_many(stage, 3)
        await stage.until(lambda: len(stage.intake.messages) == 3)
        assert stage.intake.counts.mail_commands == 3
        assert stage.spool.facts().dead == 0
        assert "on hold" not in stage.log.getvalue()
        stage.intake.faults = Faults(extra_keywords=("SIZE 200000000",))
        stage.intake.drop_connections()
        await stage.drained()


POISON = b"Subject: poison\r\n\r\npoison\r\n"


@pytest.mark.usefixtures("soon_proven")
@pytest.mark.parametrize("reply", ["554 5.6.0 Not a report", "550 No"])
async def test_of_a_poison_message_among_good_ones_only_it_dies(tmp_path: Path, reply: str) -> None:
    faults = Faults(refuse={"poison": reply})
    async with staged(tmp_path, faults=faults, **QUICK) as stage:
        poison = await stage.queue(POISON)
        good = 0
        while not stage.spool.facts().dead:
            await stage.queue()
            good += 1
            await asyncio.sleep(0.3)
            assert good < 60
        [dead] = await dead_letters(stage.spool)
        assert dead.mid == poison
        assert f"answered end of data with {reply}; 5 tries in " in dead.reason
        assert dead.attempts == evidence.DEAD_AFTER - 1
        await stage.drained()
        assert len(stage.intake.messages) == good
        assert "on hold" not in stage.log.getvalue()


@pytest.mark.usefixtures("soon_proven")
@pytest.mark.parametrize("reply", ["554 5.6.0 Not a report", "550 5.7.1 Spam"])
async def test_a_message_that_is_refused_alone_does_not_die_of_it(
    tmp_path: Path, reply: str
) -> None:
    """Without another delivery nothing proves that it is the message."""
    async with staged(tmp_path, faults=Faults(refuse={"poison": reply}), **QUICK) as stage:
        await stage.queue(POISON)
        await stage.until(lambda: stage.counters.deferred > evidence.DEAD_AFTER, timeout=12)
        assert stage.spool.facts().dead == 0


async def test_a_message_refused_as_spam_holds_the_others_once_at_most(tmp_path: Path) -> None:
    """5.7.1 is the intake's until another report passes; then that message waits alone."""
    faults = Faults(refuse={"poison": "550 5.7.1 Spam"})
    async with staged(tmp_path, faults=faults, **QUICK) as stage:
        await stage.queue(POISON)
        await stage.logged("on hold")
        await stage.queue()
        await stage.logged("resumed")
        for _ in range(10):
            await stage.queue()
            await asyncio.sleep(0.3)
        await stage.until(lambda: len(stage.intake.messages) == 11)
        assert stage.log.getvalue().count("on hold") == 1
        assert stage.spool.facts().queued == 1


async def test_content_refused_for_its_form_goes_at_once_in_base64(tmp_path: Path) -> None:
    """Each copy once, on the same connection; no attempt is counted."""
    faults = Faults(refuse={"na\u00efve": "554 5.6.1 improper use of 8-bit data"})
    async with staged(tmp_path, faults=faults, delivery_max_connections=1) as stage:
        await queue_many(stage, 5, NON_ASCII)
        await queue_many(stage, 5)
        await stage.drained()
        encoded = [b"X-TDC-Original-Encoded: base64" in m.content for m in stage.intake.messages]
        assert sorted(encoded) == [False] * 5 + [True] * 5
        assert stage.counters.deferred == 0
        assert stage.intake.counts.mail_commands == 15
        assert stage.intake.counts.connections == 1


# When the destination was at fault


@pytest.mark.usefixtures("soon_proven")
async def test_what_died_in_a_run_of_refusals_is_queued_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that was refused before is refused with all others: its death proves nothing."""
    monkeypatch.setattr(evidence, "MANY_IN_A_ROW", 5)
    faults = Faults(refuse={"poison": "554 No"})
    async with staged(tmp_path, faults=faults, delivery_max_connections=1, **QUICK) as stage:
        poison = await stage.queue(POISON)
        tries = stage.log.getvalue
        while tries().count(f"Message {poison} delivery failed") < evidence.DEAD_AFTER - 1:
            await stage.queue()
            await asyncio.sleep(0.3)
        await stage.queue()
        await stage.until(lambda: stage.spool.facts().queued == 1)
        stage.intake.faults = Faults(replies={"dot": "554 No"})  # now it refuses everything
        await stage.until(lambda: stage.spool.facts().dead == 1)
        await queue_many(stage, 6)
        await stage.logged("1 dead copy for intake.example is queued again: it refused all.")
        await stage.until(lambda: stage.spool.facts().dead == 0)
        await stage.logged("on hold: Message Refused")
        stage.intake.faults = Faults()
        stage.delivery.kick()
        await stage.drained()
        assert POISON in b"".join(message.content for message in stage.intake.messages)


async def test_only_the_dead_are_revived(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path / "spool")
    mids = [
        await spool.hold(Envelope("", ("a@b.example",)), MESSAGE, INTAKE, new_report_id())
        for _ in range(3)
    ]
    for mid in mids:
        spool.release(mid)
    first, second, third = mids
    assert [copy.mid for copy in await spool.claim(2**40, 2)] == [first, second]
    for mid in (first, second):
        await spool.dead(mid, reason="no")
    await spool.orders.revive([second, third, 99], INTAKE, "", "the intake was at fault")
    assert (spool.facts().dead, spool.facts().queued) == (1, 2)
    again = await spool.claim(2**40, 9)
    assert {copy.mid: copy.attempts for copy in again} == {second: 0, third: 0}
    await spool.close()
    reopened = await Spool.open(tmp_path / "spool")
    assert (reopened.facts().dead, reopened.facts().queued) == (1, 2)
    await reopened.close()
