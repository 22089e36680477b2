"""Faults in the content filter: the order of a message, the next hop, what is taken."""

from __future__ import annotations

from tests.mutants.values import planted_in

INGEST = "node_agent/tdc/node_agent/ingest"
FILTER = "tests/ingest/test_smtp_filter.py"
MODEL = "tests/ingest/test_model.py"
DIALOGUES = "tests/ingest/test_dialogues.py"
WAITS = "tests/ingest/test_waits.py"
AVOIDED = "tests/ingest/test_hops_avoided.py"
TWO_HOPS = "tests/ingest/test_two_hops.py"
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
            "if trouble is not HOP_CHANGED and turns.fall_back():",
            "if not turns:",
        ),
        (
            "a mute next hop is waited for because the other one offers less",
            "if trouble is not HOP_CHANGED and turns.fall_back():",
            "if turns.fall_back():",
        ),
        (
            "a next hop that offers less is of no use",
            "            if lacks & extensions_used([*self._accepted, *lines]):\n",
            "            if lacks:\n",
        ),
        (
            "what a next hop lacks is asked of it at once",
            "            if lacks & extensions_used([*self._accepted, *lines]):\n",
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
        (AVOIDED,),
        (
            "a next hop that is avoided is left out",
            "return self._in_order(one for one in self._addresses if one not in tried)",
            "sound = [one for one in self._addresses if not self._is_avoided(one)]\n"
            "        return [one for one in sound if one not in tried]",
        ),
        (
            "of those avoided an idle connection is lent whosever it is",
            "if address == first or not self._is_avoided(address):",
            "if first:",
        ),
    ),
    *planted_in(
        f"{INGEST}/avoided.py",
        (AVOIDED,),
        (
            "of those avoided the first one is always asked first",
            "return self.known[address].tried if self.now(address, now) else -math.inf",
            "return float(self.now(address, now))",
        ),
    ),
    *planted_in(
        f"{INGEST}/turns.py",
        (AVOIDED,),
        (
            "one that has failed is waited for though another may be sound again",
            "doubtful = self._pool.is_doubtful(address)",
            "doubtful = bool(self._tried) and self._pool.is_doubtful(address)",
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
        f"{INGEST}/pool.py",
        (TWO_HOPS, "tests/ingest/test_hop_state.py"),
        (
            "a connection that a mute next hop left idle is lent",
            "if address == first or not self._is_avoided(address):",
            "if address:",
        ),
        (
            "a next hop is good again before it has answered a message",
            "if hop.proved and address is not None:",
            "if address is not None:",
        ),
        (
            "who falls silent during a message is not avoided",
            "            self._avoid(address, why, hop.silent_for)\n",
            "            pass\n",
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
            "for address in self._in_order(among):",
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
            "if hop.usable and hop.extensions.covers(needs):",
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
            "if not failing or any(one not in failing for one in self._all):",
            "if not failing:",
        ),
        (
            "trouble begins again with each failure",
            "since = now.since if known is None else min(known.since, now.since)",
            "since = now.since",
        ),
    ),
    *planted_in(
        f"{INGEST}/hop_state.py",
        (REFUSES,),
        (
            "a next hop that refuses each message with a 5yz is sound",
            "return self.sure >= SURE_RUN or self.messages >= RUN",
            "return self.sure >= SURE_RUN",
        ),
        (
            "a next hop that closes on each message is sound for long",
            "return self.sure >= SURE_RUN or self.messages >= RUN",
            "return self.messages >= RUN",
        ),
        (
            "what is said of a message counts against the next hop",
            "        if whose is Blame.MESSAGE:\n            return\n",
            "",
        ),
        (
            "messages that pass do not end a run",
            "            self._runs.pop(address, None)\n",
            "",
        ),
        (
            "a message that waits is no trouble however long",
            "failing = self._mute() | self._failing",
            "failing = dict(self._failing)",
        ),
        (
            "each message that waits is trouble",
            "return wait.seconds >= wait.long and",
            "return wait.seconds >= 0 and",
        ),
        (
            "the time that a mute next hop was given does not count",
            "_Failing(self._clock() - waited, why)",
            "_Failing(self._clock(), why)",
        ),
        (
            "mail that is bounced is said to wait",
            '_Failing(run.since, why, answer.startswith("5"))',
            "_Failing(run.since, why)",
        ),
    ),
    *planted_in(
        f"{INGEST}/blame.py",
        (REFUSES,),
        (
            "greylisting is the next hop's trouble",
            "    if recipient and ((policy and code in _GREYLISTING)",
            "    if recipient and ((policy and code < 0)",
        ),
        (
            "an unknown recipient is the next hop's trouble",
            '_OF_THE_MESSAGE = ("1.", "2.", "6.")',
            '_OF_THE_MESSAGE = ("2.", "6.")',
        ),
        ("a 421 may be about the message", "    if code == 421:\n", "    if code == 0:\n"),
    ),
    *planted_in(
        f"{INGEST}/hop_watch.py",
        (REFUSES,),
        (
            "that no mail passes is logged each second",
            "if trouble is not None and not known:",
            "if trouble is not None:",
        ),
    ),
    *planted_in(
        f"{INGEST}/avoided.py",
        (REFUSES,),
        (
            "a next hop that is mute after the dot is lent on and on",
            "(sum(waited) >= most or 2 * len(waited) >= places)",
            "2 * len(waited) >= places",
        ),
        (
            "a next hop that is mute under load gets all places",
            "(sum(waited) >= most or 2 * len(waited) >= places)",
            "sum(waited) >= most",
        ),
    ),
    *planted_in(
        f"{INGEST}/pool.py",
        (REFUSES,),
        (
            "one that refuses all is not left for another one",
            "            if self.has_several and self._state.refuses(address):\n",
            "            if not self._addresses:\n",
        ),
        (
            "any reply to the final dot makes one good again",
            "            if self._avoided.known and not self._state.refuses(address):\n",
            "            if self._avoided.known:\n",
        ),
        (
            "any reply to the final dot ends trouble",
            "            if hop.accepted:\n                self._state.works(address)\n",
            "            self._state.works(address)\n",
        ),
        (
            "one that is late to say no is asked first again",
            'self._avoid(address, f"late: {late}")',
            "pass",
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
