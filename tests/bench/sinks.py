"""Two counting SMTP receivers in a process of their own: a plain next hop, an intake with TLS.

Spoken to over standard input: "wait N" answers "done SECONDS" (the monotonic clock) once both
have N messages more than at the last answer, or "short A B" after 120 s.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import uvloop

from tests.fakes.smtp_sink import SmtpSink


async def _main(chain: str, key: str) -> None:
    plain = SmtpSink(count_only=True)
    intake = SmtpSink(count_only=True, certificate=(Path(chain), Path(key)), require_tls=True)
    async with plain, intake:
        print(plain.port, intake.port, flush=True)
        seen = [0, 0]
        while line := await asyncio.to_thread(sys.stdin.readline):
            more = int(line.split()[1])
            try:
                await plain.wait_for(seen[0] + more, timeout=120)
                await intake.wait_for(seen[1] + more, timeout=120)
                print("done", time.monotonic(), flush=True)
            except TimeoutError:
                counts = plain.counts.messages - seen[0], intake.counts.messages - seen[1]
                print("short", *counts, flush=True)
            seen = [plain.counts.messages, intake.counts.messages]


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main(*sys.argv[1:]))
