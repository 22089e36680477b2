"""Faults in the choice and the judging of next hops."""

from __future__ import annotations

from tests.mutants.values import planted_in

INGEST = "node_agent/tdc/node_agent/ingest"
FILTER = "tests/ingest/test_smtp_filter.py"
WAITS = "tests/ingest/test_waits.py"
AVOIDED = "tests/ingest/test_hops_avoided.py"
TWO_HOPS = tuple(
    f"tests/ingest/test_{each}.py" for each in ("two_hops", "hop_offers", "hop_envelope")
)
REFUSES = "tests/ingest/test_hop_refuses.py"

MUTANTS = (
    *planted_in(
        f"{INGEST}/turns.py",
        TWO_HOPS,
        ("nobody is asked instead of a mute one", "self._silence = hurried", "pass"),
        (
            "a slow one is given up for one that closes",
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
        f"{INGEST}/pool.py",
        TWO_HOPS,
        (
            "a message bounces for its size though another next hop takes it",
            "        return 0 < most < size and (not self.largest or size <= self.largest)\n",
            "        return False\n",
        ),
        (
            "a message that no next hop takes waits for ever",
            "        return 0 < most < size and (not self.largest or size <= self.largest)\n",
            "        return 0 < most < size\n",
        ),
        (
            "the size of the next hop that was asked last is announced",
            "        return max(sizes, default=0) if all(sizes) else 0\n",
            "        return (self.learned and self.learned.size) or 0\n",
        ),
    ),
    *planted_in(
        f"{INGEST}/pool.py",
        ("tests/ingest/test_hop_addresses.py",),
        (
            "an address of a next hop has all the time for a connection",
            "            part = (until - self._loop.time()) / (len(ips) - tried)\n",
            "            part = until - self._loop.time()\n",
        ),
        (
            "an address that does not answer is asked first each time",
            "        ips = sorted(found, key=lambda ip: ip != self._latest_ip.get(address))\n",
            "        ips = list(found)\n",
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
            "            if self._open[hop] == first:\n",
            "            if first:\n",
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
        f"{INGEST}/pool.py",
        (*TWO_HOPS, "tests/ingest/test_hop_state.py"),
        (
            "a connection that a mute next hop left idle is lent",
            "            if self._open[hop] == first:\n",
            "            if hop.usable:\n",
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
)
