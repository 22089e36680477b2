"""Faults in the content filter: the order of a message, the next hop, what is taken."""

from __future__ import annotations

from tests.mutants.values import planted_in

INGEST = "node_agent/tdc/node_agent/ingest"
FILTER = "tests/ingest/test_smtp_filter.py"
MODEL = "tests/ingest/test_model.py"
DIALOGUES = "tests/ingest/test_dialogues.py"
WAITS = "tests/ingest/test_waits.py"
AVOIDED = "tests/ingest/test_hops_avoided.py"
TWO_HOPS = tuple(
    f"tests/ingest/test_{each}.py" for each in ("two_hops", "hop_offers", "hop_envelope")
)
REFUSES = "tests/ingest/test_hop_refuses.py"
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
        (DECISIONS, DIALOGUES, MODEL),
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
            "            self._relaying.hop_failed(str(lost))\n",
            "            self._taker.release(taken)\n"
            "            self._relaying.hop_failed(str(lost))\n",
        ),
        (
            "what a full spool put back can't be found in the log",
            "return [self._give_up(NO_STORAGE, str(refused), refused.ids)]",
            "return [self._give_up(NO_STORAGE, str(refused), MessageIds())]",
        ),
        (
            "what was lost at the final dot can't be found in the log",
            "            return self._give_up(HOP_LOST, str(lost), taken.ids)\n",
            "            return self._give_up(HOP_LOST, str(lost), MessageIds())\n",
        ),
        (
            "more is offered than the next hop offers",
            "words = [word for word in OFFERED if word in offered]",
            "words = list(OFFERED)",
        ),
        (
            "the next hop's SIZE is not handed on",
            "return min(self._pool.largest or ours, ours)",
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
        TWO_HOPS,
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
            "if trouble not in OFFERS_LESS and turns.fall_back():",
            "if not turns:",
        ),
        (
            "a mute next hop is waited for because the other one offers less",
            "if trouble not in OFFERS_LESS and turns.fall_back():",
            "if turns.fall_back():",
        ),
        (
            "a next hop that offers less is of no use",
            "            if lacks & extensions_used(commands):\n",
            "            if lacks:\n",
        ),
        (
            "what a next hop lacks is asked of it at once",
            "            if lacks & extensions_used(commands):\n",
            "            if not lacks:\n",
        ),
        (
            "what a next hop lacks is asked of it later",
            "if self._lacks and self._lacks & extensions_used(lines):",
            "if self._lacks and not lines:",
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
        f"{INGEST}/relay.py",
        TWO_HOPS,
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
        f"{INGEST}/relaying.py",
        (AVOIDED,),
        (
            "an address left for another that failed is not reported",
            "if not (hop.fell_silent or turns.sound_left):",
            "if False:",
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
        f"{INGEST}/relaying.py",
        (REFUSES,),
        (
            "a recipient that is refused beside a good one counts",
            "            matters = accepted == 1\n",
            "            matters = accepted > 0\n",
        ),
        (
            "a next hop that closes during a message is sound",
            "                self.hop_failed(last_words)\n",
            "                pass\n",
        ),
        (
            "a refusal that no recipient was left for hides why",
            "            matters = accepted > 1\n",
            "            matters = True\n",
        ),
    ),
    *planted_in(
        f"{INGEST}/filter.py",
        (REFUSES,),
        (
            "a refusal of the content is not the next hop's",
            "            self._relaying.refused(answer)\n",
            "",
        ),
        (
            "a next hop that closes at the final dot is sound",
            "            self._relaying.hop_failed(str(lost))\n"
            "            return self._give_up(HOP_LOST, str(lost), taken.ids)",
            "            return self._give_up(HOP_LOST, str(lost), taken.ids)",
        ),
    ),
)
