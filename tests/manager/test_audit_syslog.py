"""Copies of audit entries in syslog: their form, and a syslog that takes nothing."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tdc.manager.syslog import Syslog, message
from tdc.shared.sync.audit import NO_ENTRY
from tdc.shared.sync.audit_entry import REFUSED, AuditEntry, AuditEvent, By, entry_after

from tests.fakes.etcd import ExternalEtcd
from tests.stage.manager import manager

RFC_5424 = re.compile(
    rb"<(\d+)>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (\S+) tdc-manager (\d+) "
    rb"(\S{1,32}) - (\{.+\})"
)


def entry(what: str = "grün\n", **more: str) -> AuditEntry:
    event = AuditEvent("changes.commit", By("ann"), what, **more)  # type: ignore[arg-type]
    return entry_after(NO_ENTRY, event, 1_795_425_302.25)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(15):
        while not holds():
            await asyncio.sleep(0.05)


def test_an_entry_is_one_message_in_the_form_of_the_rfc() -> None:
    for each, priority in ((entry(), b"85"), (entry(outcome=REFUSED), b"84")):
        found = RFC_5424.fullmatch(message(each, "mgr1", 77))
        assert found is not None
        assert found[1] == priority
        assert found[4] == b"changes.commit"
        assert json.loads(found[5]) == each.plain()


async def test_a_managers_entries_arrive(tmp_path: Path, etcd: ExternalEtcd) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))
        log.setblocking(False)
        given = {"etcd_endpoints": etcd.options.endpoints, "audit_syslog": f"unix:{tmp_path}/log"}
        async with manager(tmp_path / "manager", **given) as api:
            await api.create_cluster("c1")
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(10):
                found = RFC_5424.fullmatch(await loop.sock_recv(log, 65_536))
        assert found is not None
        assert json.loads(found[5])["operation"] == "changes.create_cluster"


@pytest.mark.proves("F57")
def test_a_syslog_that_takes_nothing_holds_up_nobody_and_what_is_lost_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
        log.bind(str(tmp_path / "log"))  # and nobody reads it
        syslog = Syslog(f"unix:{tmp_path}/log", most=10)
        syslog.start()
        began = time.monotonic()
        for number in range(2_000):
            syslog.take(entry(f"change {number}"))
        assert time.monotonic() - began < 2
        assert syslog.dropped > 1_000
        assert "can't be sent to" in caplog.text
        assert "changes go on" in caplog.text
        log.settimeout(15)
        arrived = lost = 0
        while arrived + lost < 2_000:
            found = re.search(rb" - (\d+) audit entries were not sent here", log.recv(65_536))
            lost += int(found[1]) if found else 0
            arrived += not found
        assert arrived + lost == 2_000


@pytest.mark.skipif(not shutil.which("rsyslogd"), reason="needs rsyslogd")
async def test_rsyslog_takes_it_over_tcp(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config, got = tmp_path / "rsyslog.conf", tmp_path / "got"
    config.write_text(
        'module(load="imtcp")\n'
        f'input(type="imtcp" address="127.0.0.1" port="{port}")\n'
        'template(name="t" type="string" string="%pri% %app-name% %msgid% %msg%\\n")\n'
        f'action(type="omfile" file="{got}" template="t")\n'
    )
    program = [shutil.which("rsyslogd") or "", "-n", "-f", str(config), "-i", f"{tmp_path}/pid"]
    running = subprocess.Popen(program)  # it is not waited for
    try:
        syslog = Syslog(f"tcp:127.0.0.1:{port}")
        syslog.start()
        syslog.take(entry())
        await until(lambda: got.exists() and got.read_bytes().endswith(b"\n"))
        pri, app, kind, text = got.read_text().split(maxsplit=3)
        assert (pri, app, kind) == ("85", "tdc-manager", "changes.commit")
        assert json.loads(text) == entry().plain()
    finally:
        running.terminate()
        running.wait()
