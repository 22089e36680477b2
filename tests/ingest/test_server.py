"""The server's half by itself: a second backend stands on it, without relay, pool or take."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest
from tdc.node_agent.smtp import listener as listening_module
from tdc.node_agent.smtp.backend import Backend, PendingCommand
from tdc.node_agent.smtp.in_hand import BytesInHand
from tdc.node_agent.smtp.listener import Listener
from tdc.node_agent.smtp.pace import AT_ONCE
from tdc.node_agent.smtp.replies import Reply, reply
from tdc.node_agent.smtp.server import ServerSession
from tdc.node_agent.smtp.server_options import ServerOptions
from tdc.node_agent.smtp.session_state import OUT_OF_ORDER, State
from tdc.shared.mail.envelope import Envelope

from tests.stage.filter_dialogue import Side, connected

OPTIONS = ServerOptions("box.example", 3, 5.0, 5.0, 10.0, 500.0)
IN_HAND = BytesInHand(2**20)


class Mailbox:
    """Answers for itself and keeps what came: what a copy listener would be."""

    def __init__(self) -> None:
        self.kept: list[tuple[Envelope, bytes]] = []
        self.batches: list[int] = []
        self.faults: list[Exception] = []
        self.for_each_recipient = False
        self.lost: Reply | None = None
        self.body_limit = 10_000

    def admit(self, peer: str) -> Reply | None:
        return None if peer == "127.0.0.1" else reply("554 5.7.1 No")

    async def hello(self, *, extended: bool) -> Sequence[str]:
        return ("8BITMIME",) if extended else ()

    async def settle(
        self, commands: Sequence[PendingCommand], xforward: Mapping[str, bytes]
    ) -> Sequence[Reply]:
        self.batches.append(len(commands))
        return [await self._answer(command) for command in commands]

    async def _answer(self, command: PendingCommand) -> Reply:
        if command.line.endswith(b"<fault@b.example>"):
            raise ZeroDivisionError
        if command.line.endswith(b"<lost@b.example>"):
            self.lost = reply("451 4.4.2 Lost")
        elif command.mail is not None:
            self.lost = None
        if command.line.endswith(b"<no@b.example>"):
            return reply("550 5.1.1 No")
        return reply("354 Go") if command.is_data else reply("250 2.1.0 Ok")

    async def body(
        self, envelope: Envelope, body: bytes, gone: Callable[[], bool]
    ) -> Sequence[Reply]:
        self.kept.append((envelope, body))
        if self.for_each_recipient:  # as LMTP has it, RFC 2033 section 4.2
            return [reply(f"250 2.0.0 {name}") for name in envelope.recipients]
        return [reply("250 2.0.0 Kept")]

    async def reset(self) -> None:
        self.lost = None

    def abandon(self) -> None:
        return None

    def failed(self, error: Exception) -> None:
        self.faults.append(error)


@asynccontextmanager
async def session(box: Mailbox) -> AsyncIterator[Side]:
    backend: Backend = box
    listener = Listener(lambda connection: ServerSession(connection, backend, OPTIONS, IN_HAND))
    await listener.start("127.0.0.1", 0)
    try:
        mta = await connected(listener.port)
        await mta.expect("220 box.example ESMTP")
        async with asyncio.timeout(5):
            yield mta
    finally:
        assert await listener.drain(1.0) == 0
        await listener.close()


async def hello(mta: Side) -> None:
    await mta.send("EHLO x")
    while (await mta.reader.readline())[3:4] == b"-":
        pass


async def test_a_backend_that_keeps_mail_needs_nothing_of_the_filter() -> None:
    box = Mailbox()
    async with session(box) as mta:
        await mta.send("EHLO x")
        for line in ("box.example", "PIPELINING", "8BITMIME"):
            await mta.expect(f"250-{line}")
        await mta.expect("250 XFORWARD *")
        await mta.send(
            "MAIL FROM:<a@b.example>\r\nRCPT TO:<no@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA"
        )
        for code in ("250", "550", "250", "354"):
            await mta.expect(f"{code} *")
        await mta.send("..x\r\n.\r\nQUIT")
        await mta.expect("250 2.0.0 Kept")
        await mta.expect("221 2.0.0 Bye")
        await mta.expect_closed()
    assert box.kept == [(Envelope("a@b.example", ("c@d.example",)), b"..x\r\n")]
    assert box.batches == [4]  # what was pipelined is settled in one piece


async def test_a_backend_may_answer_the_content_once_for_each_recipient() -> None:
    box = Mailbox()
    box.for_each_recipient = True
    async with session(box) as mta:
        await hello(mta)
        await mta.send("MAIL FROM:<>\r\nRCPT TO:<one@x>\r\nRCPT TO:<two@x>\r\nDATA\r\n.\r\nNOOP")
        for line in ("250 *", "250 *", "250 *", "354 *", "250 2.0.0 one@x", "250 2.0.0 two@x"):
            await mta.expect(line)
        await mta.expect("250 2.0.0 Ok")


async def test_what_follows_a_lost_transaction_is_refused_for_now_until_the_next_mail() -> None:
    box = Mailbox()
    async with session(box) as mta:
        await hello(mta)
        await mta.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<lost@b.example>")
        await mta.expect("250 *")
        await mta.expect("250 *")
        await mta.send("RCPT TO:<c@d.example>\r\nDATA\r\nMAIL FROM:<a@b.example>\r\nRSET\r\nDATA")
        for code in ("451", "451", "250", "250", "503"):
            await mta.expect(f"{code} *")
    assert box.kept == []


async def test_nothing_is_said_after_a_421() -> None:
    box = Mailbox()
    async with session(box) as mta:
        await hello(mta)
        await mta.send("MAIL FROM:<fault@b.example>\r\nRCPT TO:<c@d.example>\r\nQUIT")
        await mta.expect("421 4.3.0 Internal error")
        await mta.expect_closed()
    assert [type(fault) for fault in box.faults] == [ZeroDivisionError]


async def test_354_outside_a_transaction_is_not_given() -> None:
    """The message that follows it would be read as commands."""
    box = Mailbox()
    async with session(box) as mta:
        await hello(mta)
        await mta.send("MAIL FROM:<no@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nRSET\r\n.")
        await mta.expect("421 4.3.0 Internal error")
        await mta.expect_closed()
    assert [type(fault) for fault in box.faults] == [ValueError]


class Broken(Mailbox):
    """Fails once more when its failure is to be logged."""

    def failed(self, error: Exception) -> None:
        raise error


async def test_a_session_that_raises_ends_alone_and_is_logged() -> None:
    """One message must not cut off all the others, nor do so again with each of its retries."""
    backends: Iterator[Backend] = iter((Mailbox(), Broken()))
    logged: list[object] = []
    asyncio.get_running_loop().set_exception_handler(
        lambda _, context: logged.append(context["exception"])
    )
    listener = Listener(
        lambda connection: ServerSession(connection, next(backends), OPTIONS, IN_HAND)
    )
    await listener.start("127.0.0.1", 0)
    other = await connected(listener.port)
    await other.expect("220 *")
    mta = await connected(listener.port)
    await mta.send("EHLO x\r\nMAIL FROM:<fault@b.example>")
    await asyncio.wait_for(mta.reader.read(), 5)
    assert [type(fault) for fault in logged] == [ZeroDivisionError]
    assert listener.connections == 1
    await other.send("NOOP")
    await other.expect("250 2.0.0 Ok")
    await other.close()
    await listener.drain(1.0)
    await listener.close()


@pytest.mark.parametrize(
    "commands",
    [
        b"NOOP\r\n",
        b"EHLO x\r\n",
        b"HELO x\r\n",
        b"XFORWARD NAME=x\r\n",
        b"MAIL FROM:<a@b.example>\r\nRSET\r\n",
        b"MAIL FROM:<no@b.example>\r\n",
        b"RSET\r\nMAIL FROM:<a@b.example>\r\n" + b"RCPT TO:<no@b.example>\r\n" * 30,
    ],
    ids=lambda commands: commands.split()[-1].decode(),
)
async def test_commands_have_a_bound_without_a_message(commands: bytes) -> None:
    async with session(Mailbox()) as mta:
        await hello(mta)
        reading = asyncio.create_task(last_line(mta))
        for _ in range(1_200):
            if mta.writer.transport.is_closing():
                break
            mta.writer.write(commands)
            await asyncio.sleep(0)
        assert await reading == b"421 4.7.0 Too many commands without a message\r\n"


async def test_what_one_client_pipelines_leaves_the_others_their_turn() -> None:
    """All of it is here at once, and none of it waits for anybody."""
    turns, greetings = 0, list[int]()

    class Greeted(Mailbox):
        async def hello(self, *, extended: bool) -> Sequence[str]:
            greetings.append(turns)
            return ()

    def turn() -> None:
        nonlocal turns
        turns += 1
        loop.call_soon(turn)

    loop = asyncio.get_running_loop()
    async with session(Greeted()) as mta:
        loop.call_soon(turn)
        mta.writer.write(b"EHLO x\r\n" * 90 + b"QUIT\r\n")
        assert (await mta.reader.read()).endswith(b"221 2.0.0 Bye\r\n")
    assert len(greetings) == 90
    most = max(greetings.count(each) for each in set(greetings))
    assert most <= AT_ONCE


async def last_line(mta: Side) -> bytes:
    last = b""
    with contextlib.suppress(ConnectionError):  # of commands that came after the end
        while line := await mta.reader.readline():
            last = line
    return last


async def test_an_mta_that_passes_messages_has_no_such_bound() -> None:
    message = b"RSET\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nx\r\n.\r\n"
    box = Mailbox()
    async with session(box) as mta:
        await hello(mta)
        mta.writer.write(message * 600 + b"QUIT\r\n")
        assert (await mta.reader.read()).endswith(b"221 2.0.0 Bye\r\n")
    assert len(box.kept) == 600


# What brings a session into a state.
REACHED = {
    State.CONNECTED: "",
    State.READY: "EHLO x\r\n",
    State.TRANSACTION: "EHLO x\r\nMAIL FROM:<a@b.example>\r\n",
}
COMMANDS = {
    b"MAIL": "MAIL FROM:<a@b.example>\r\n",
    b"RCPT": "RCPT TO:<c@d.example>\r\n",
    b"DATA": "DATA\r\n",
    b"XFORWARD": "XFORWARD NAME=x\r\n",
    b"RSET": "RSET\r\n",
}


@pytest.mark.parametrize("state", REACHED, ids=lambda state: state.name)
@pytest.mark.parametrize("verb", COMMANDS, ids=lambda verb: verb.decode())
async def test_a_command_is_refused_exactly_where_the_table_says(verb: bytes, state: State) -> None:
    refusal = OUT_OF_ORDER.get((verb, state))
    content = ".\r\n" if verb == b"DATA" and refusal is None else ""
    async with session(Mailbox()) as mta:
        await mta.send(REACHED[state] + COMMANDS[verb] + content + "QUIT")
        text = await mta.reader.read()
    if refusal is None:
        assert b"\r\n5" not in text
    else:
        assert refusal.raw in text


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        ("MAIL FROM:<b@b.example>", b"503 5.5.1 Nested"),
        ("XFORWARD NAME=x", b"503 5.5.1 XFORWARD"),
        ("RCPT TO:<c@d.example>", b"250"),
    ],
)
async def test_within_a_transaction_its_sender_and_its_client_stay(sent: str, code: bytes) -> None:
    """What the copy says of them would not be what the next hop has."""
    async with session(Mailbox()) as mta:
        await mta.send("EHLO x\r\nMAIL FROM:<a@b.example>\r\n" + sent + "\r\nQUIT")
        *_, answer, bye = (await mta.reader.read()).splitlines()
    assert answer.startswith(code)
    assert bye.startswith(b"221")


async def test_of_a_pipelined_group_nothing_is_answered_after_a_421() -> None:
    """The client would take it for the answer to what it sends next, elsewhere."""

    class Full(Mailbox):
        async def _answer(self, command: PendingCommand) -> Reply:
            return reply("421 4.3.2 Full" if command.recipient else "250 2.1.0 Ok")

    async with session(Full()) as mta:
        await hello(mta)
        await mta.send("MAIL FROM:<a@b.example>" + "\r\nRCPT TO:<c@d.example>" * 3 + "\r\nDATA")
        codes = [line[:3] for line in (await mta.reader.read()).splitlines()]
    assert codes == [b"250", b"421"]


class _Idle:
    """A session whose client is slow; it takes its time to end."""

    def __init__(self) -> None:
        self.ending = False
        self.past_dot = False
        self._over = asyncio.Event()

    async def run(self) -> None:
        await self._over.wait()

    def stop(self) -> None:
        self._over.set()

    def abort(self) -> None:
        self._over.set()

    def overdue(self, now: float) -> float:
        return 0.0 if self.ending else 1.0

    def expel(self) -> None:
        self.ending = True


async def test_one_newcomer_costs_one_session_its_place() -> None:
    """Also while that one has not ended: others that come then are not paid for with more."""
    sessions = [_Idle() for _ in range(3)]
    left = iter(sessions)
    listener = Listener(lambda connection: next(left))
    await listener.start("127.0.0.1", 0)
    sides = [await connected(listener.port) for _ in sessions]
    async with asyncio.timeout(5):
        while listener.connections < len(sides):
            await asyncio.sleep(0.01)
    assert listener.make_room(3)
    assert not any(one.ending for one in sessions)
    for _ in range(3):
        assert listener.make_room(2)
        assert [one.ending for one in sessions].count(True) == 1
    for side in sides:
        await side.close()
    await listener.close()


class _Busy(_Idle):
    """A session in the middle of something, which a stop does not end."""

    def __init__(self, *, past_dot: bool) -> None:
        super().__init__()
        self.past_dot = past_dot
        self.ended_at = 0.0

    def stop(self) -> None:
        asyncio.get_running_loop().call_later(2.0, self.abort)

    def abort(self) -> None:
        self.ended_at = self.ended_at or asyncio.get_running_loop().time()
        super().abort()


async def test_at_a_stop_only_a_message_past_its_dot_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The others lose nothing but time, and nobody is served meanwhile."""
    monkeypatch.setattr(listening_module, "PATIENCE", 0.2)
    settling, sending = _Busy(past_dot=True), _Busy(past_dot=False)
    left = iter((settling, sending))
    listener = Listener(lambda connection: next(left))
    await listener.start("127.0.0.1", 0)
    sides = [await connected(listener.port) for _ in range(2)]
    async with asyncio.timeout(5):
        while listener.connections < 2:
            await asyncio.sleep(0.01)
    began = asyncio.get_running_loop().time()
    assert await listener.drain(5.0) == 1
    assert sending.ended_at - began < 1
    assert settling.ended_at - began > 1.5
    for side in sides:
        await side.close()
    await listener.close()


async def test_before_a_restart_old_sessions_end_and_new_ones_are_served() -> None:
    sessions = [_Idle(), _Busy(past_dot=True), _Idle()]
    left = iter(sessions)
    listener = Listener(lambda connection: next(left))
    await listener.start("127.0.0.1", 0)
    sides = [await connected(listener.port) for _ in range(2)]
    async with asyncio.timeout(5):
        while listener.connections < 2:
            await asyncio.sleep(0.01)
    turning = asyncio.create_task(listener.turn_over(0.5))
    sides.append(await connected(listener.port))
    assert await turning == 1, "the one that did not end by itself"
    await asyncio.sleep(0.05)
    assert listener.connections == 1, "the new one"
    for side in sides:
        await side.close()
    await listener.close()
