"""Faults in SMTP itself: framing, commands, the server's bounds, the client's half."""

from __future__ import annotations

from tests.mutants.values import planted_in

SMTP = "node_agent/tdc/node_agent/smtp"
FRAMING = ("tests/ingest/test_framing.py",)
CROWDED = "tests/ingest/test_crowded.py"
BODIES = ("tests/ingest/test_body_reader.py",)
SERVER = ("tests/ingest/test_server.py",)
DRIPS = ("tests/ingest/test_waits.py::test_a_client_that_drips_is_ended",)
DIALOGUE = ("tests/pure/test_dialogue.py",)
ODD = ("tests/hostile/test_smtp_in.py::test_an_odd_dialogue_gets_its_replies_in_order",)

MUTANTS = (
    *planted_in(
        f"{SMTP}/framing.py",
        FRAMING,
        (
            "a dot after a bare LF is taken away",
            'return body.replace(b"\\r\\n.", b"\\r\\n")',
            'return body.replace(b"\\n.", b"\\n")',
        ),
        (
            "a bare LF ends a message that begins so",
            "end = buffer.find(_END, self._searched)\n"
            "        if end < 0:\n"
            "            self._searched = max",
            "end = buffer.find(_END, self._searched)\n"
            '        if b"\\n.\\n" in buffer:\n'
            '            end = buffer.find(b"\\n.\\n") - 1\n'
            "        if end < 0:\n"
            "            self._searched = max",
        ),
        (
            "a body of exactly the limit is too large",
            "self._discarding or end + 2 > limit",
            "self._discarding or end + 2 >= limit",
        ),
        (
            "a command line without end is kept",
            "            if len(buffer) > MAX_COMMAND_LINE:\n",
            "            if len(buffer) > 1_000 * MAX_COMMAND_LINE:\n",
        ),
        (
            "a body over the limit is kept to its end",
            "if self._discarding or len(buffer) > limit + len(_END):",
            "if self._discarding:",
        ),
        (
            "a body thrown away ends at a dot in its middle",
            "self._searched == 0 and not self._discarding and buffer",
            "self._searched == 0 and buffer",
        ),
    ),
    *planted_in(
        f"{SMTP}/framing.py",
        ODD,
        (
            "a bare LF ends a command",
            '        if not line.endswith(b"\\r\\n"):\n',
            "        if not line:\n",
        ),
    ),
    *planted_in(
        f"{SMTP}/commands.py",
        (
            "tests/pure/test_commands.py",
            "tests/pure/test_client_address.py",
            "tests/pure/test_trace.py",
            "tests/ingest/test_replies.py",
            *ODD,
        ),
        (
            "control characters pass in a command",
            "    if _CONTROL.search(line):\n",
            "    if not line:\n",
        ),
        ("an attribute of XFORWARD holds anything", " or _unfit(value):", ":"),
        ("any attribute of XFORWARD is taken", " or key not in XFORWARD_ATTRIBUTES", ""),
        (
            "a sender's words are a queue id",
            'return value.decode("ascii") if QUEUE_ID.fullmatch(value) else None',
            'return value.decode("latin-1") or None',
        ),
        (
            "a source route is a part of the recipient",
            '    if path.startswith(b"@"):',
            '    if path == b"@":',
        ),
        (
            "xtext is not undone",
            "value = _HEXCHAR.sub(lambda found: bytes([int(found[1], 16)]), value)",
            "value = value[:]",
        ),
    ),
    *planted_in(
        "shared/tdc/shared/mail/client.py",
        ("tests/pure/test_client_address.py",),
        (
            "an IPv4 client is an IPv6 one",
            "return str(address.ipv4_mapped or address)",
            "return str(address)",
        ),
        (
            "a zone is a part of an address",
            "if address.scope_id is not None:",
            "if address.scope_id == '':",
        ),
    ),
    *planted_in(
        f"{SMTP}/in_hand.py",
        (
            *BODIES,
            f"{CROWDED}::test_a_wait_for_room_ends_at_its_time_and_when_the_client_leaves",
            f"{CROWDED}::test_what_is_held_stays_near_the_limit",
        ),
        (
            "half-read messages wait for each other",
            "self.total < self.limit or who is next(iter(self._sizes), who)",
            "self.total < self.limit",
        ),
        ("what is held has no bound", "return self.total < self.limit or", "return True or"),
        (
            "what was let go counts on",
            "            self.total -= size\n            self._wake()",
            "            self._wake()",
        ),
        (
            "who holds much and is silent keeps the others waiting",
            "                expel_slowest(self._sizes, loop.time())\n",
            "",
        ),
        (
            "who waits for room waits for ever",
            "            if gone() or loop.time() >= until:\n                return False\n",
            "            if gone():\n                return False\n",
        ),
    ),
    *planted_in(
        f"{SMTP}/slowest.py",
        BODIES,
        (
            "who is in time is ended",
            "if slowest is None or slowest.overdue(now) <= 0:",
            "if slowest is None:",
        ),
        (
            "the least slow one is ended",
            "max(sessions, key=lambda one: one.overdue(now), default=None)",
            "min(sessions, key=lambda one: one.overdue(now), default=None)",
        ),
    ),
    *planted_in(
        f"{SMTP}/listener.py",
        (*SERVER, f"{CROWDED}::test_who_is_ended_for_another_is_told"),
        (
            "nobody is ended for a newcomer",
            "return expel_slowest(self._sessions, asyncio.get_running_loop().time())",
            "return False",
        ),
        (
            "one newcomer costs several their places",
            "if len(self._sessions) - sum(one.ending for one in self._sessions) <= capacity:",
            "if not self._sessions:",
        ),
    ),
    *planted_in(
        f"{SMTP}/server.py",
        (
            f"{CROWDED}::test_a_client_that_sends_a_large_body_is_not_slow",
            f"{CROWDED}::test_those_who_are_in_time_keep_their_places",
        ),
        (
            "a client that waits for us is slow",
            "if self.ending or not self._connection.waiting:",
            "if self.ending:",
        ),
        (
            "a body on its way is slow",
            "        if self._state is State.CONTENT:\n            return self._body.lag",
            "        if self.ending:\n            return self._body.lag",
        ),
    ),
    *planted_in(
        f"{SMTP}/server.py",
        DRIPS,
        (
            "any octet renews the time of a command",
            "until=min(latest, pace.turn + allowed)",
            "until=latest",
        ),
        (
            "commands renew the time without a message",
            "until=min(latest, pace.turn + allowed)",
            "until=pace.turn + allowed",
        ),
    ),
    *planted_in(
        f"{SMTP}/server.py",
        (f"{CROWDED}::test_honest_mail_passes_while_others_send_commands_and_no_message[NOOP]",),
        (
            "what a client takes does not add up",
            "        pace.waited(self._loop.time())\n",
            "",
        ),
    ),
    *planted_in(
        f"{SMTP}/server.py",
        (f"{SERVER[0]}::test_what_one_client_pipelines_leaves_the_others_their_turn",),
        (
            "a flight of commands holds all others up",
            "if served % AT_ONCE == 0:",
            "if served < 0:",
        ),
    ),
    *planted_in(
        f"{SMTP}/pace.py",
        ("tests/hostile/test_smtp_in.py",),
        (
            "a client may send a thousand commands and no message",
            "MAX_COMMANDS = 100 ",
            "MAX_COMMANDS = 1_000 ",
        ),
    ),
    *planted_in(
        f"{SMTP}/pace.py",
        ("tests/smtp/test_pace.py",),
        ("waits do not add up", "self._between += now - self._began", "self._between = 0.0"),
        (
            "waits within a transaction do not add up",
            "self._within += now - self._began",
            "self._within = 0.0",
        ),
        ("each greeting renews a place", "            self._greeted = True\n", ""),
        ("an idle client has as long as one within", "spent - PATIENCE\n", "spent - 1.0\n"),
        (
            "idle time is held against the next message",
            "return self._within + spent",
            "return self._within + self._between + spent",
        ),
        (
            "a message renews nothing",
            "self._between = self._within = self._commands = 0.0",
            "self._commands = 0.0",
        ),
        ("recipients count for nothing", "RECIPIENT if verb", "0.0 if verb"),
        (
            "a message is cut short as early as an idle client",
            "return verb not in WITHIN or self._commands > MAX_WITHIN",
            "return True",
        ),
    ),
    *planted_in(
        f"{SMTP}/body_reader.py",
        DRIPS,
        ("a body needs no rate", "until=min(latest, self._since + earned)", "until=latest"),
        (
            "a body has no bound in all",
            "until=min(latest, self._since + earned)",
            "until=self._since + earned",
        ),
    ),
    *planted_in(
        f"{SMTP}/body_reader.py",
        BODIES,
        ("our own pause counts against the client", "        self._since += waited\n", ""),
        ("our own pause makes the client slow", "        self._due += waited\n", ""),
        (
            "what is held is not counted",
            "        if len(body) > READ:\n",
            "        if len(body) < 0:\n",
        ),
    ),
    *planted_in(
        f"{SMTP}/connection.py",
        ("tests/ingest/test_connection.py",),
        (
            "a client that never reads is served",
            "if transport.get_write_buffer_size() > HIGH_WATER:",
            "if transport.get_write_buffer_size() < 0:",
        ),
        (
            "what nobody reads is taken on and on",
            "much = len(self.inbound) > HIGH_WATER",
            "much = False",
        ),
        (
            "a half-closed client is gone",
            "        self._ended = True\n        self._wait.end()\n        return True",
            "        self._ended = True\n        self._wait.end()\n        return False",
        ),
    ),
    *planted_in(
        f"{SMTP}/bounded_wait.py",
        ("tests/smtp/test_bounded_wait.py", "tests/ingest/test_connection.py"),
        (
            "an earlier deadline is kept late",
            "if self._timer is None or self._rings_at > self.deadline:",
            "if self._timer is None:",
        ),
        (
            "a later deadline is kept early",
            "        if self._loop.time() < self.deadline:\n"
            "            self._set_timer()\n"
            "        else:\n"
            "            self._expired()",
            "        self._expired()",
        ),
    ),
    *planted_in(
        f"{SMTP}/session_state.py",
        SERVER,
        (
            "a lost transaction is refused for good",
            'if state is State.LOST and verb in (b"RCPT", b"DATA"):',
            'if state is State.LOST and verb == b"RCPT":',
        ),
        (
            "MAIL may be nested",
            '    (b"MAIL", State.TRANSACTION): reply("503 5.5.1 Nested MAIL command"),\n',
            "",
        ),
        (
            "XFORWARD may change amid a transaction",
            '    (b"XFORWARD", State.TRANSACTION): reply("503 5.5.1 XFORWARD within a '
            'transaction"),\n',
            "",
        ),
    ),
    *planted_in(
        f"{SMTP}/server.py",
        (
            *SERVER,
            *ODD,
            "tests/ingest/test_smtp_filter.py::test_the_1001st_recipient_is_put_off",
            "tests/ingest/test_dialogues.py",
        ),
        (
            "one recipient too many",
            "if self._asked >= self._options.max_recipients:",
            "if self._asked > self._options.max_recipients:",
        ),
        ("errors without end", "if self._errors > MAX_ERRORS:", "if self._errors < 0:"),
        (
            "commands without a message and without end",
            "if self._pace.exhausted(verb):",
            "if self._pace.exhausted(verb) and not verb:",
        ),
        (
            "more is said after a 421",
            "                    self._state = State.CLOSING\n                    break\n",
            "                    self._state = State.CLOSING\n",
        ),
        (
            "content is read outside a transaction",
            "                if self._mail is None:  # what follows would be read as commands\n",
            "                if answer.refused:\n",
        ),
        (
            "content after BDAT is read as commands",
            'elif verb == b"BDAT" or line.startswith(commands.OTHER_PROTOCOLS):',
            "elif line.startswith(commands.OTHER_PROTOCOLS):",
        ),
        (
            "a request of HTTP is read as commands",
            'elif verb == b"BDAT" or line.startswith(commands.OTHER_PROTOCOLS):',
            'elif verb == b"BDAT":',
        ),
        (
            "what one client reported sticks to the next message",
            "        if self._xforward:\n            self._xforward = {}\n",
            "",
        ),
    ),
    *planted_in(
        f"{SMTP}/dialogue.py",
        DIALOGUE,
        (
            "a dot at the border of two parts stands alone",
            'border = (before + part[:2]).find(b"\\r\\n.")',
            'border = -1 if stuffed else (before + part[:2]).find(b"\\r\\n.")',
        ),
        (
            "a content without CRLF runs into the dot",
            '    if before != b"\\r\\n":\n',
            '    if before == b"":\n',
        ),
        (
            "a stray reply is overlooked",
            'raise ProtocolFault(f"a reply to nothing: {reply.text[:80]}")',
            "return None",
        ),
        (
            "a reply that comes early counts later",
            "        if self._expected or not self._parser.idle:\n",
            "        if sending is None:\n",
        ),
        (
            "what was offered in plain text is believed",
            "        self.offers = Offers()\n        self.ehlo()",
            "        self.ehlo()",
        ),
        (
            "octets before TLS are read as if from within",
            "if self._fault is not None or not self._parser.idle or self._expected:",
            "if self._fault is not None or self._expected:",
        ),
        ("a message follows a refused BDAT at once", "        self._must_reset = True\n", ""),
        (
            "a 354 is as good as a 250",
            "if (reply.code // 100 == 3) != (stage is Stage.DATA and reply.code < 400):",
            "if stage is Stage.DATA and reply.code < 300:",
        ),
        (
            "QUIT follows a message whose reply is due",
            '        if not self._expected:\n            self._command("QUIT", Stage.QUIT)',
            '        if self._ready is None:\n            self._command("QUIT", Stage.QUIT)',
        ),
        (
            "a message whose end was not sent may be taken",
            "sending is not None and sending.transaction is transaction and sending.all_sent",
            "sending is not None and sending.transaction is transaction",
        ),
    ),
)
