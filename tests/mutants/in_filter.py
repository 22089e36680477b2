"""Faults in the content filter: the order of a message, the next hop, what is taken."""

from __future__ import annotations

from tests.mutants.values import planted_in

INGEST = "node_agent/tdc/node_agent/ingest"
FILTER = "tests/ingest/test_smtp_filter.py"
MODEL = "tests/ingest/test_model.py"
DIALOGUES = "tests/ingest/test_dialogues.py"
WAITS = "tests/ingest/test_waits.py"
TWO_HOPS = "tests/ingest/test_two_hops.py"
DECISIONS = "tests/ingest/test_decisions.py"

MUTANTS = (
    *planted_in(
        f"{INGEST}/filter.py",
        (
            f"{FILTER}::test_the_final_dot_is_never_sent_once_the_mta_has_left",
            f"{FILTER}::test_tempfail_stops_a_large_message_that_is_already_on_its_way",
        ),
        (
            "the final dot is sent after the MTA had left",
            "        if gone():\n",
            "        if not taken.recipients:\n",
        ),
        (
            "the final dot goes before the copy is durable",
            "                await hop.send_body(body)\n",
            '                await hop.send_body(body + b".\\r\\n")\n',
        ),
        (
            "what an MTA that left had sent is kept",
            "        if gone():\n            await self._taker.discard(taken)\n",
            "        if gone():\n",
        ),
    ),
    *planted_in(
        f"{INGEST}/filter.py",
        (DIALOGUES, MODEL),
        (
            "the copy of a refused original stays",
            "        else:\n"
            "            await self._taker.discard(taken)\n"
            "            if not answer",
            "        else:\n            if not answer",
        ),
        (
            "a lost reply to the final dot is an acceptance",
            "            await self._taker.discard(taken)\n"
            "            return self._give_up(HOP_LOST, str(lost))",
            "            self._taker.release(taken)\n"
            "            return self._give_up(HOP_LOST, str(lost))",
        ),
        (
            "more is offered than the next hop offers",
            "words = [word for word in OFFERED if word in offered]",
            "words = list(OFFERED)",
        ),
        (
            "the next hop's SIZE is not handed on",
            "return min(extensions.size or ours, ours)",
            "return ours",
        ),
    ),
    *planted_in(
        f"{INGEST}/filter.py",
        (f"{FILTER}::test_a_stranger_is_refused_at_connect",),
        ("anybody is served", "if not self._options.trusts(peer):", "if not peer:"),
    ),
    *planted_in(
        f"{INGEST}/options.py",
        (f"{FILTER}::test_a_client_is_known_in_each_form_of_its_address",),
        (
            "an IPv4 client of a socket for both families is a stranger",
            'return getattr(client, "ipv4_mapped", None) or client',
            "return client",
        ),
    ),
    *planted_in(
        f"{INGEST}/relaying.py",
        (DIALOGUES, MODEL),
        (
            "what the last client was called sticks to the next",
            "values = dict.fromkeys(wanted, UNKNOWN) if hop.xforwarded else {}",
            "values = {}",
        ),
        (
            "a reply of another kind passes for an acceptance",
            "        elif not answer.positive:\n",
            "        elif answer.code < 200:\n",
        ),
        (
            "content goes out without a sender",
            "if answer.code != 354 or not self._accepted:",
            "if answer.code != 354:",
        ),
        (
            "a connection whose RSET failed carries the next message",
            "                if not answer.positive:  # the next message's MAIL would be a "
            "nested one",
            "                if answer.code == 0:  # the next message's MAIL would be a nested one",
        ),
        (
            "a connection that was closed while idle loses a message",
            "stale = not turns.fresh and hop.reused",
            "stale = turns.fresh and hop.reused",
        ),
        (
            "a transaction that had begun is begun again elsewhere",
            "if stale and not self._accepted:",
            "if stale:",
        ),
    ),
    *planted_in(
        f"{INGEST}/relaying.py",
        (TWO_HOPS,),
        (
            "another next hop gets the transaction from its middle on",
            "prefix = _xforward_lines(self.hop, xforward) + self._accepted",
            "prefix = _xforward_lines(self.hop, xforward)",
        ),
        (
            "another next hop may refuse what the MTA was told is accepted",
            "elif not all(one.positive for one in replies[before - len(self._accepted) : before]):",
            "elif not replies:",
        ),
        (
            "a next hop that was slow is not asked again though it is the only one",
            "if turns.fall_back():",
            "if not turns:",
        ),
        (
            "an envelope has its bound for each command",
            "        self._left -= self._loop.time() - began\n",
            "",
        ),
        (
            "a reset waits for its reply as MAIL does",
            'exchange([b"RSET"], self._timeouts.silence)',
            'exchange([b"RSET"], self._timeouts.command)',
        ),
    ),
    *planted_in(
        f"{INGEST}/turns.py",
        (TWO_HOPS,),
        ("nobody is asked instead of a mute one", "self._silence = hurried", "pass"),
        (
            "a slow one is given up for one that is known to be mute",
            "return bool(self.among) or self.fall_back()",
            "return bool(self.among)",
        ),
        (
            "the next one to be asked is the same",
            "self._pool.others(self._tried)",
            "self._pool.others(())",
        ),
    ),
    *planted_in(
        f"{INGEST}/relay.py",
        (TWO_HOPS,),
        (
            "a reply does not renew its patience",
            "            self._wait.renew()\n",
            "            pass\n",
        ),
        (
            "each reply of a group has the time of the whole group",
            "until = end if end < until else until",
            "until = until + 0 * end",
        ),
    ),
    *planted_in(
        f"{INGEST}/pool.py",
        (TWO_HOPS, "tests/ingest/test_hop_state.py"),
        (
            "a connection that a mute next hop left idle is lent",
            "if not self._is_avoided(address) or not self.others((address,)):",
            "if address:",
        ),
        (
            "a next hop is good again before it has answered a message",
            "if hop.proved and address is not None:",
            "if hop.transactions >= 0 and address is not None:",
        ),
        (
            "who falls silent amid a message is not avoided",
            "        if hop.fell_silent and address is not None:\n"
            "            self._avoid(address, "
            '"it accepted a connection, and then did not answer")\n',
            "",
        ),
        (
            "a stop begins sessions at another next hop",
            "        self._closed = True\n",
            "",
        ),
    ),
    *planted_in(
        f"{INGEST}/relay.py",
        (DIALOGUES, MODEL),
        (
            "a reply that nobody asked for answers the next command",
            "if len(self._replies) > self._expected:",
            "if len(self._replies) > self._expected + 9:",
        ),
    ),
    *planted_in(
        f"{INGEST}/relay.py",
        (f"{WAITS}::test_a_next_hop_that_drips_is_given_up[opening-banner]",),
        (
            "banner and EHLO have no bound together",
            "await self._wait.wait(timeout, until=until)",
            "await self._wait.wait(timeout)",
        ),
    ),
    *planted_in(
        f"{INGEST}/relay.py",
        (f"{WAITS}::test_a_next_hop_that_drips_is_given_up[block-unread]",),
        (
            "a next hop that does not read is waited for",
            "async with asyncio.timeout(min(self._timeouts.block, left)):",
            "async with asyncio.timeout(left):",
        ),
    ),
    *planted_in(
        f"{INGEST}/relay.py",
        (f"{WAITS}::test_a_next_hop_that_drips_is_given_up[rate-content]",),
        (
            "a body has no bound in all",
            "async with asyncio.timeout(min(self._timeouts.block, left)):",
            "async with asyncio.timeout(self._timeouts.block):",
        ),
    ),
    *planted_in(
        f"{INGEST}/relay.py",
        (f"{WAITS}::test_a_next_hop_that_drips_is_given_up[final_dot-dot]",),
        (
            "the reply to the final dot is waited for like any other",
            "[answer] = await self.replies(1, self._timeouts.final_dot)",
            "[answer] = await self.replies(1, self._timeouts.command)",
        ),
    ),
    *planted_in(
        f"{INGEST}/pool.py",
        (
            f"{WAITS}::test_a_second_next_hop_takes_over_from_a_mute_one",
            f"{WAITS}::test_one_that_falls_silent_amid_a_message_is_avoided_too",
            f"{WAITS}::test_a_connection_that_was_idle_for_long_is_not_used_again",
        ),
        (
            "a mute next hop is asked first again",
            "for address in sorted(among, key=self._is_avoided):",
            "for address in among:",
        ),
        (
            "a mute next hop has all its time though another waits",
            "hurried = len(among) > 1 or not patient",
            "hurried = False",
        ),
        (
            "a connection is kept for ever",
            "oldest = self._loop.time() - self._timeouts.idle",
            "oldest = 0.0",
        ),
    ),
    *planted_in(
        f"{INGEST}/pool.py",
        (f"{FILTER}::test_an_idle_connection_that_offers_less_holds_no_message_up",),
        (
            "a connection that offers less is lent",
            "if hop.usable and all(word in hop.extensions for word in needs):",
            "if hop.usable:",
        ),
    ),
    *planted_in(
        f"{INGEST}/timeouts.py",
        (f"{WAITS}::test_how_long_a_next_hop_is_avoided",),
        (
            "a next hop that failed often is tried as soon as another",
            "return min(self.avoid * 2.0 ** min(failures - 1, 16), self.avoid_longest)",
            "return self.avoid",
        ),
        (
            "a next hop that failed is avoided ever longer",
            "return min(self.avoid * 2.0 ** min(failures - 1, 16), self.avoid_longest)",
            "return self.avoid * 2.0 ** min(failures - 1, 16)",
        ),
    ),
    *planted_in(
        f"{INGEST}/take.py",
        (DECISIONS, MODEL, DIALOGUES),
        (
            "originals pass where they should wait",
            'if settings.spool_when_full == "tempfail":',
            'if settings.spool_when_full == "hold":',
        ),
        (
            "a refused original leaves its other copy behind",
            "                    await self.discard(Taken(tuple(mids)))\n",
            "",
        ),
        (
            "a missed copy is not counted",
            "            self._counters.count_missed(miss.reason)\n",
            "",
        ),
        (
            "each copy names the recipients of all",
            "if due.recipients != envelope.recipients:",
            "if not due.recipients:",
        ),
        (
            "a copy is due before the original is accepted",
            "                mids.append(await self._hold(due, envelope, content))\n",
            "                mids.append(await self._hold(due, envelope, content))\n"
            "                self._spool.release(mids[-1])\n",
        ),
        (
            "a full spool counts as a broken one",
            "return MissedReason.SPOOL_FULL if full else MissedReason.SPOOL_BROKEN",
            "return MissedReason.SPOOL_BROKEN",
        ),
        (
            "a spool with room again is called full",
            "        self._counters.refused_size = 0\n",
            "",
        ),
    ),
    *planted_in(
        f"{INGEST}/hop_state.py",
        ("tests/ingest/test_hop_state.py",),
        (
            "one bad next hop of two is trouble",
            "if self._since is None and all(str(one) in self._failures for one in among):",
            "if self._since is None:",
        ),
        (
            "trouble begins again with each failure",
            "if self._since is None and all(str(one) in self._failures for one in among):",
            "if all(str(one) in self._failures for one in among):",
        ),
    ),
)
