"""The SMTP client without sockets, by the scripts tests/dialogues/delivery_*.smtp.

Lines of a script: `<` the peer sends a line, `>` we must have sent it, `do` one of our calls,
`=` an event, `fault`/`over` the state, `raises` a call that must fail. Each script is played
with its lines whole, byte by byte, and with all neighbouring lines in one piece.
"""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tdc.node_agent.smtp.dialogue import (
    Answered,
    Dialogue,
    Event,
    Finished,
    Offers,
    Outgoing,
    Ready,
    dot_stuffed,
)
from tdc.node_agent.smtp.replies import ProtocolFault, Reply, ReplyParser

SCRIPTS = sorted((Path(__file__).parent.parent / "dialogues").glob("delivery_*.smtp"))
CONTENTS = {
    "one": (b"content ", b"on", b"e"),
    "two": (b"content two",),
    "dots": (b".first\r", b"\nx..y\r\n", b".", b".\r\n"),
}


def transactions() -> dict[str, Outgoing]:
    return {
        name: Outgoing("", "copies@intake.example", parts, sum(map(len, parts)))
        for name, parts in CONTENTS.items()
    } | {"by_data": Outgoing("", "copies@intake.example", (b"by data\r\n",), 9, by_data=True)}


class Player:
    """Plays one script against a dialogue; `cut` says how the peer's bytes are fed."""

    def __init__(self, cut: str) -> None:
        self.dialogue = Dialogue("mx1.example")
        self.named = transactions()
        self.cut = cut
        self.events: list[Event] = []
        self.sent = b""
        self.waiting = b""

    def play(self, script: str) -> None:
        for line in script.splitlines():
            mark, _, rest = line.partition(" ")
            if mark == "<":
                self.waiting += rest.encode() + b"\r\n"
                if self.cut != "together":
                    self.feed()
            elif line and mark != "#":
                self.feed()
                getattr(self, _STEPS[mark])(rest)
        self.feed()
        assert not self.events
        assert not self.sent.strip()

    def feed(self) -> None:
        data, self.waiting = self.waiting, b""
        size = 1 if self.cut == "bytes" else max(1, len(data))
        for at in range(0, len(data), size):
            self.events += self.dialogue.feed(data[at : at + size])
        self.take()

    def take(self) -> None:
        self.sent += b"".join(self.dialogue.output())

    def do(self, rest: str) -> None:
        call, _, name = rest.partition(" ")
        method = getattr(self.dialogue, call)
        method(self.named[name]) if name else method()
        self.take()

    def expect_sent(self, line: str) -> None:
        text = line.encode()
        assert self.sent.startswith(text), self.sent
        self.sent = self.sent[len(text) :].removeprefix(b"\r\n")

    def expect_event(self, text: str) -> None:
        assert self.events, f"no event where {text!r} is due"
        assert self.show(self.events.pop(0)) == text

    def show(self, event: Event) -> str:
        if isinstance(event, Answered):
            return f"Answered {event.stage} {event.reply.code}"
        name = next(name for name, one in self.named.items() if one is event.transaction)
        if isinstance(event, Ready):
            return f"Ready {name}"
        return f"Finished {name} {event.stage} {event.reply.code}"

    def expect_fault(self, text: str) -> None:
        assert text in (self.dialogue.fault or "")

    def expect_over(self, code: str) -> None:
        assert self.dialogue.over is not None
        assert str(self.dialogue.over.code) == code

    def expect_raise(self, rest: str) -> None:
        call, _, text = rest.partition(" ")
        with pytest.raises(ProtocolFault, match=text):
            getattr(self.dialogue, call)()


_STEPS = {
    "do": "do",
    ">": "expect_sent",
    "=": "expect_event",
    "fault": "expect_fault",
    "over": "expect_over",
    "raises": "expect_raise",
}


@pytest.mark.parametrize("cut", ["lines", "bytes", "together"])
@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)
def test_dialogue(script: Path, cut: str) -> None:
    Player(cut).play(script.read_text())


def test_there_are_scripts() -> None:
    assert len(SCRIPTS) >= 9


# Replies


def parse(data: bytes) -> list[Reply]:
    return ReplyParser().feed(data)


@pytest.mark.parametrize(
    "data",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"099 no\r\n",
        b"199 no\r\n",
        b"290 no\r\n",
        b"650 no\r\n",
        b"25x no\r\n",
        b"250_no\r\n",
        b"250 a\nb\r\n",
        b"250 a\x00b\r\n",
        b"250-a\r\n251 b\r\n",
        b"250 " + b"x" * 600 + b"\r\n",
        b"x" * 600,
        b"250-x\r\n" * 101,
        b"\r\n",
    ],
)
def test_what_is_not_a_reply_is_a_fault(data: bytes) -> None:
    with pytest.raises(ProtocolFault):
        parse(data)


def test_replies_are_read_whole_with_their_enhanced_code() -> None:
    [one, two] = parse(b"250-2.1.0 a\r\n250 b\r\n354\r\n")
    assert (one.code, one.lines, one.enhanced) == (250, ("2.1.0 a", "b"), "2.1.0")
    assert (two.code, two.lines, two.enhanced) == (354, ("",), "")


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_any_bytes_give_replies_or_a_fault_and_the_same_in_pieces(pieces: list[bytes]) -> None:
    def outcome(feeds: list[bytes]) -> tuple[list[Reply], bool]:
        parser, replies = ReplyParser(), []
        try:
            for data in feeds:
                replies += parser.feed(data)
        except ProtocolFault:
            return [], True
        return replies, False

    whole = b"".join(pieces)
    in_bytes = [whole[at : at + 1] for at in range(len(whole))]
    assert outcome([whole]) == outcome(pieces) == outcome(in_bytes)


# Dot-stuffing, against a twin that goes line by line

TEXT = st.lists(st.sampled_from([b".", b"\r\n", b"\r", b"\n", b"a", b"..", b""]), max_size=12)


@given(st.lists(TEXT.map(b"".join), max_size=5))
def test_a_receiver_gets_the_content_back(parts: list[bytes]) -> None:
    sent = b"".join(dot_stuffed(parts)) + b".\r\n"
    content = b"".join(parts)
    if not content.endswith(b"\r\n"):
        content += b"\r\n" if content else b""
    lines = sent.split(b"\r\n")
    end = lines.index(b".")
    assert lines[end:] == [b".", b""]  # the one dot line is the end
    received = b"".join(
        (line[1:] if line.startswith(b".") else line) + b"\r\n" for line in lines[:end]
    )
    assert received == content


def test_stuffing_a_large_content_takes_its_memory_once() -> None:
    content = (b".dots\r\n" + b"x" * 70 + b"\r\n") * 100_000
    tracemalloc.start()
    try:
        sent = dot_stuffed((b"head\r\n", content, b"\r\ntail\r\n"))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(map(len, sent)) == len(content) + 100_000 + 14
    assert most < 1.2 * len(content)


def test_a_transaction_may_be_taken_from_its_content_until_its_reply() -> None:
    dialogue, one = Dialogue("mx1.example"), transactions()["one"]
    dialogue.feed(b"220 x\r\n")
    dialogue.ehlo()
    dialogue.feed(b"250-x\r\n250-PIPELINING\r\n250 CHUNKING\r\n")
    dialogue.announce(one)
    assert not dialogue.takes_another
    assert not dialogue.may_be_taken(one)
    dialogue.feed(b"250 a\r\n250 b\r\n")
    dialogue.content(one)
    assert dialogue.may_be_taken(one)
    [finished] = dialogue.feed(b"250 c\r\n")
    assert isinstance(finished, Finished)
    assert finished.succeeded
    assert not dialogue.may_be_taken(one)


def ready(one: Outgoing) -> Dialogue:
    """A dialogue in which `one` may send its content."""
    dialogue = Dialogue("mx1.example")
    dialogue.feed(b"220 x\r\n")
    dialogue.ehlo()
    dialogue.feed(b"250-x\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 CHUNKING\r\n")
    dialogue.announce(one)
    assert dialogue.feed(b"250 a\r\n250 b\r\n") == [Ready(one)]
    dialogue.output()
    return dialogue


@pytest.mark.parametrize("early", [b"2", b"250-x\r\n"])
def test_a_reply_that_has_begun_early_is_not_the_contents(early: bytes) -> None:
    one = transactions()["one"]
    dialogue = ready(one)
    assert dialogue.feed(early) == []
    assert not dialogue.content(one)
    assert dialogue.output() == []
    assert dialogue.fault == "a reply came before it was due"


@pytest.mark.parametrize("code", [b"354", b"250"])
def test_only_data_is_answered_by_a_3yz(code: bytes) -> None:
    one, dialogue = transactions()["by_data"], Dialogue("mx1.example")
    dialogue.feed(b"220 x\r\n")
    dialogue.ehlo()
    dialogue.feed(b"250 x\r\n")
    dialogue.announce(one)
    dialogue.feed(code + b" go\r\n")  # to MAIL
    assert (dialogue.fault is None) == (code == b"250")
    dialogue.feed(b"250 b\r\n")
    dialogue.feed(code + b" go\r\n")  # to DATA
    assert dialogue.fault is not None


def test_nothing_of_what_came_in_plain_text_is_left_under_tls() -> None:
    """RFC 3207 4.2: neither what was offered nor an octet after the 220."""
    for after, fits in ((b"", True), (b"2", False), (b"250-x\r\n", False), (b"250 x\r\n", False)):
        dialogue = Dialogue("mx1.example")
        dialogue.feed(b"220 x\r\n")
        dialogue.ehlo()
        dialogue.feed(b"250-x\r\n250-CHUNKING\r\n250 STARTTLS\r\n")
        dialogue.starttls()
        dialogue.feed(b"220 go\r\n" + after)
        if fits:
            dialogue.tls_started()
            assert dialogue.offers == Offers()
        else:
            with pytest.raises(ProtocolFault, match="plain text after its reply to STARTTLS"):
                dialogue.tls_started()


def test_no_quit_follows_a_message_whose_reply_is_due() -> None:
    """Its 221 could be taken for that reply."""
    one = transactions()["one"]
    dialogue = ready(one)
    dialogue.content(one)
    dialogue.output()
    dialogue.quit()
    assert dialogue.output() == []
    dialogue.feed(b"250 c\r\n")
    dialogue.quit()
    assert dialogue.output() == [b"QUIT\r\n"]
