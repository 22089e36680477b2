"""Fills the spool in a folder until it refuses, then delivers all; says what it saw, as JSON."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from tdc.node_agent.spool.spool import Spool
from tdc.node_agent.spool.values import SpoolError
from tdc.shared.mail.envelope import Envelope

ENVELOPE = Envelope("ann@example.com", ("bob@example.org",))


async def fill(spool: Spool, most: int) -> tuple[int, str]:
    for number in range(most):
        try:
            mid = await spool.hold(ENVELOPE, b"x" * 200_000, "a@intake.example", f"{number:032x}")
        except SpoolError as error:
            return number, str(error)
        spool.release(mid)
    return most, ""


async def main(folder: Path, most: int) -> None:
    spool = await Spool.open(folder)
    held, refused = await fill(spool, most)
    unhealthy = spool.facts().unhealthy
    delivered = 0
    while copies := await spool.claim(spool.now(), 50):
        for copy in copies:
            await spool.delivered(copy.mid, reply="250 ok")
            delivered += 1
    await asyncio.sleep(1)  # the free space is looked at twice a second
    again, _ = await fill(spool, 5)
    await spool.close()
    print(json.dumps([held, refused, unhealthy, delivered, again]))


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
