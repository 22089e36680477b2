"""Holds, releases and delivers copies as fast as it can, and says on stdout what was promised.

Lines: ``held MID SHA256`` after hold returned, ``sent MID`` before delivered is called, ``gone
MID`` after it returned, ``refused REASON`` when a hold was refused. Ends when it is killed, or
after COUNT copies of each of its takers (TAKERS; with one taker nothing is delivered).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
from pathlib import Path

from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import SpoolUnavailable
from tdc.shared.mail.envelope import Envelope

ENVELOPE = Envelope("ann@example.com", ("bob@example.org",))


def say(*words: object) -> None:
    os.write(1, (" ".join(map(str, words)) + "\n").encode())  # at once: we may be dead next


async def take(spool: Spool, number: int, count: int) -> None:
    for turn in range(count):
        content = os.urandom(16) * ((number * 97 + turn * 31) % 900)
        try:
            mid = await spool.hold(ENVELOPE, content, "journal@intake.example", f"{turn:032x}")
        except SpoolUnavailable as error:
            say("refused", error.reason)
            await asyncio.sleep(0.2)
            continue
        say("held", mid, hashlib.sha256(content).hexdigest())
        spool.release(mid)


async def deliver(spool: Spool) -> None:
    while True:
        copies = await spool.claim(spool.now(), 10)
        if not copies:
            await asyncio.sleep(0.005)
        for copy in copies[::2]:
            say("sent", copy.mid)
            await spool.delivered(copy.mid, reply="250 ok")
            say("gone", copy.mid)
        for copy in copies[1::2]:
            await spool.defer(copy.mid, next_at=spool.now() + 3_600, reason="later")


async def main(folder: Path, count: int, takers: int) -> None:
    spool = await Spool.open(folder)
    say("open")
    delivery = asyncio.ensure_future(deliver(spool) if takers > 1 else asyncio.sleep(0))
    await asyncio.gather(*(take(spool, number, count) for number in range(takers)))
    delivery.cancel()
    await asyncio.gather(delivery, return_exceptions=True)
    await spool.close()
    say("closed")


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
