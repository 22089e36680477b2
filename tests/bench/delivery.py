"""Print the throughput of delivery alone: real spool on disk, TLS 1.3, count-only intake.

python -m tests.bench.delivery [messages] [octets]
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import trustme
import uvloop
from tdc.node_agent.counters import Counters
from tdc.node_agent.deliver.options import DeliveryOptions
from tdc.node_agent.deliver.scheduler import Delivery
from tdc.node_agent.journal.report import new_report_id
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.spool.spool import Spool
from tdc.shared.connector.intake import intakes_in_force
from tdc.shared.edge.tasks import running
from tdc.shared.mail.envelope import Envelope

from tests.stage.delivery import REPORTER, make_settings

INTAKE = "copies@intake.example"
LONGEST = 300.0
"""Seconds for all of them: copies that the intake does not get fail the run, they don't hang it."""
HEAD = b"From: a@b.example\r\nTo: c@d.example\r\nSubject: bench\r\nMessage-ID: <1@b>\r\n\r\n"


async def main(messages: int, octets: int) -> None:
    with tempfile.TemporaryDirectory(dir=os.environ.get("TDC_BENCH_FOLDER")) as name:
        await _measure(Path(name), messages, octets)


async def _measure(folder: Path, messages: int, octets: int) -> None:
    ca = trustme.CA()
    certificate = ca.issue_cert("intake.example")
    ca.cert_pem.write_to_path(folder / "ca.pem")
    (folder / "c.pem").write_bytes(b"".join(b.bytes() for b in certificate.cert_chain_pems))
    certificate.private_key_pem.write_to_path(folder / "c.key")
    sink = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fakes.smtp_sink", "--count-only", "--stats",
        str(folder / "stats"), "--port-file", str(folder / "port"),
        "--tls", str(folder / "c.pem"), str(folder / "c.key"),
        stdout=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        while not (folder / "port").exists():
            await asyncio.sleep(0.02)
        port = int((folder / "port").read_text())
        log = TdcLog(stream=Path("/dev/null").open("w"))  # noqa: SIM115  # ours to the end
        log.configure("info", "text")
        spool = await Spool.open(folder / "spool", log=log)
        body = (b"x" * 76 + b"\r\n") * (octets // 78)
        for start in range(0, messages, 500):
            mids = await asyncio.gather(
                *(
                    spool.hold(Envelope("s@x.example", ("r@y.example",)), HEAD + body, INTAKE,
                               new_report_id())
                    for _ in range(start, min(messages, start + 500))
                )
            )  # fmt: skip
            for mid in mids:
                spool.release(mid)
        settings = make_settings(
            smtp_route=(f"127.0.0.1:{port}",),
            delivery_max_connections=int(os.environ.get("CONNECTIONS", "10")),
            delivery_messages_per_connection=int(os.environ.get("PER_CONNECTION", "100")),
        )
        spool.intakes.set_in_force(intakes_in_force(settings))
        options = DeliveryOptions("mx1.example", ca_file=folder / "ca.pem",
                                  allow_private_targets=True)  # fmt: skip
        counters = Counters()
        delivery = Delivery(spool, lambda: settings, options, counters, log, REPORTER)
        begun, processor = time.perf_counter(), time.process_time()
        async with running(delivery.run(), name="delivery"):
            async with asyncio.timeout(LONGEST):
                while counters.delivered < messages:
                    await asyncio.sleep(0.005)
            took, used = time.perf_counter() - begun, time.process_time() - processor
        await spool.close()
        log.close()
        sink.terminate()
        await sink.wait()  # its last act is to write its counts
        counts = json.loads((folder / "stats").read_text())
        print(
            f"{messages} reports of {octets} octets over TLS 1.3: {messages / took:.0f}/s, "
            f"{used / messages * 1e6:.0f} us of processor each, {counts['tls_connections']} "
            f"connections, delivered {counters.delivered}, "
            f"at the intake {counts['messages']}"
        )
    finally:
        if sink.returncode is None:
            sink.terminate()
            await sink.wait()


if __name__ == "__main__":
    given = [int(argument) for argument in sys.argv[1:]]
    messages, octets = given + [5_000, 10_240][len(given) :]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(messages, octets))
