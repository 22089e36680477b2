"""Faults in what one caller can take up at the manager's ports: requests, connections."""

from __future__ import annotations

from tests.mutants.values import planted_in

RPC = "manager/tdc/manager/rpc"
UNFINISHED = "tests/manager/test_unfinished.py"

MUTANTS = (
    *planted_in(
        f"{RPC}/guard.py",
        (f"{UNFINISHED}::test_who_may_not_call_is_refused_before_a_byte_of_his_request_comes",),
        (
            "a request is received before it is known whose it is",
            "        async with entry.admitted(context):\n"
            "            result = behaviour(await take(messages, context), context)",
            "        await anext(messages, None)\n"
            "        async with entry.admitted(context):\n"
            "            result = behaviour(await take(messages, context), context)",
        ),
    ),
    *planted_in(
        f"{RPC}/requests.py",
        (f"{UNFINISHED}::test_a_request_that_does_not_come_ends_its_call",),
        ("a request may take for ever", "asyncio.timeout(REQUEST)", "asyncio.timeout(None)"),
    ),
    *planted_in(
        f"{RPC}/requests.py",
        (
            f"{UNFINISHED}"
            "::test_who_sends_nothing_keeps_the_same_operator_waiting_on_no_other_connection",
        ),
        (
            "a connection has all turns of its identity",
            "self._turn(peer, ON_A_CONNECTION)",
            "self._turn(peer, OF_AN_IDENTITY)",
        ),
    ),
    *planted_in(
        f"{RPC}/requests.py",
        (f"{UNFINISHED}::test_unfinished_requests_take_no_memory_and_keep_nobody_waiting",),
        (
            "a caller may send as much at once as he likes",
            "            async with line.free:\n                yield\n",
            "            yield\n",
        ),
    ),
    *planted_in(
        f"{RPC}/entry.py",
        ("tests/manager/test_strangers.py",),
        (
            "all who log in share one line",
            "identity = caller() if self._who in _PROVEN else _identity(context)",
            "identity = caller() if self._who in _PROVEN else self._method",
        ),
    ),
    *planted_in(
        f"{RPC}/strangers.py",
        ("tests/manager/test_strangers.py",),
        (
            "one address has all turns",
            "if addresses[each.address] < OF_AN_ADDRESS]",
            "if addresses[each.address] < OF_ALL]",
        ),
        (
            "who came first is first, whatever turns his address has",
            "return min(free, key=fewest, default=None)",
            "return next(iter(free), None)",
        ),
        (
            "a turn is kept while others wait",
            "            each.limit.reschedule(now)\n",
            "",
        ),
        (
            "a turn is over though nobody waits who could have it",
            "if had_time and (full or each.address in wanted):",
            "if had_time:",
        ),
    ),
    *planted_in(
        f"{RPC}/known.py",
        ("tests/pure/test_known.py",),
        (
            "an identity has connections without end",
            "        if len(self._of[identity]) > share_of(identity):\n",
            "        if not identity:\n",
        ),
        (
            "the newest of an identity end",
            "            surplus = mine[:-share]\n",
            "            surplus = mine[share:]\n",
        ),
        (
            "connections that have ended count",
            "            mine = [each for each in self._of[identity] if each in still_open]\n",
            "            mine = list(self._of[identity])\n",
        ),
        (
            "each certificate of a machine has a share",
            "return peer.cluster, peer.machine\n",
            "return peer.cluster, peer.machine + peer.enrolment\n",
        ),
        (
            "who was denied stays known",
            "        self.forget([endpoint])\n        self._denied.setdefault",
            "        self._denied.setdefault",
        ),
        (
            "who is denied and goes on calling never ends",
            "self._denied.setdefault(endpoint, self._clock() + GRACE)",
            "self._denied[endpoint] = self._clock() + GRACE",
        ),
    ),
    *planted_in(
        f"{RPC}/crowding.py",
        ("tests/manager/test_shares.py",),
        (
            "who enrolled again keeps what the old certificate holds",
            "                    self._known.deny([endpoint])\n",
            "                    pass\n",
        ),
        (
            "what is beyond a share stays",
            "cut = {found[each]: why for each, why in self._known.ending(found).items()}",
            "cut: dict[Connection, str] = {}",
        ),
    ),
    *planted_in(
        f"{RPC}/crowding.py",
        ("tests/pure/test_crowding.py",),
        ("who is known may be cut", "if each.peer not in known]", "if each.peer]"),
        ("an address may fill a port", "cut += theirs[:-share]", "cut += theirs[:0]"),
        ("the newest are cut", "cut += theirs[:-share]", "cut += theirs[share:]"),
        (
            "a port is part of who counts",
            "by_address[counted_as(each.peer[0])]",
            "by_address[str(each.peer)]",
        ),
        ("a port with room is crowded", "<= CROWDED * bound and", "<= 1 and"),
        ("a large port is never crowded", " and len(strangers) <= MOST_STRANGERS:", ":"),
        ("no descriptor is kept for the rest", "open_files - SPARE", "open_files"),
    ),
)
