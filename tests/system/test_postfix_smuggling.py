"""No line end that one server reads otherwise than another makes two messages of one.

Real Postfix stands in front of the agent and behind it: as it is handed out, and once more with its
own protection off in front, so that odd line ends are left to the agent.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections import Counter
from pathlib import Path

import pytest

from tests.fakes.journal_reader import read_report
from tests.fakes.listening import free_port
from tests.fakes.smtp_sink import SmtpSink
from tests.stage.fleet import RunningFleet
from tests.system.conftest import needs_postfix
from tests.system.postfix import PrivatePostfix, filter_settings, private_postfix

pytestmark = [pytest.mark.system, needs_postfix]

TRUE_END = b"\r\n.\r\n"
LINE_ENDS = (b"\r\n", b"\n", b"\r", b"\r\r\n", b"\n\r", b"\r\n\0", b"\0\r\n")
ENDS = [
    end
    for before, after in itertools.product(LINE_ENDS, repeat=2)
    if (end := before + b"." + after) != TRUE_END
]
COMMANDS = b"MAIL FROM:<%s@partner.example>\r\nRCPT TO:<bob@corp.example>\r\nDATA\r\n"
FIRST = b"Subject: first\r\n\r\ntext"
SECOND = COMMANDS % b"evil" + b"Subject: second\r\n\r\ntext" + TRUE_END

# The same way in, but line ends are taken as they come.
LAX = """
127.0.0.1:{port} inet n - n - - smtpd
    -o syslog_name=postfix/lax
    -o smtpd_forbid_bare_newline=no
    -o smtpd_forbid_unauth_pipelining=no
    -o cleanup_service_name=cleanup-lax
cleanup-lax unix n - n - 0 cleanup
    -o cleanup_replace_stray_cr_lf=no
"""
STRAY = re.compile(rb"\r(?!\n)|(?<!\r)\n")
RECEIVED = re.compile(rb"Received: from [^\r\n]*(\r\n[ \t][^\r\n]*)*\r\n")


@pytest.mark.proves("P11")
async def test_odd_line_ends_make_no_second_message(copying: RunningFleet) -> None:
    """Through the lines that we hand out none does; without Postfix's protection only its own."""
    filter_port, back_port, lax_port = free_port(), free_port(), free_port()
    await copying.add_gateway(
        "mx1", group="Main_Group", listen=filter_port, next_hop_port=back_port
    )
    await copying.in_sync()
    main, master = filter_settings(filter_port, back_port)
    out = copying.folder / "out"
    async with SmtpSink(folder=out) as store:
        main += f"\nrelay_transport = smtp:[127.0.0.1]:{store.port}\nsmtpd_error_sleep_time = 0\n"
        with private_postfix(main=main, master=master + LAX.format(port=lax_port)) as postfix:
            await _attack(postfix.port)
            await _all_gone(postfix, copying, store)
            senders = Counter(message.sender for message in store.messages)
            assert set(senders) == {"ann@partner.example"}  # some came as one, others were refused
            before = len(store.messages)
            await _attack(lax_port)
            await _all_gone(postfix, copying, store)
            took = len(re.findall(r"postfix/lax/smtpd.*: client=", postfix.log.read_text()))
            assert took > len(ENDS)  # it made two of some by itself
            assert len(store.messages) == before + took
    reports = [read_report(path.read_bytes()).original for path in copying.reports.glob("*.eml")]
    # On the way back Postfix has put a blank for each stray CR or LF, as it is told to.
    assert _originals(out) == Counter(STRAY.sub(b" ", original) for original in reports)


async def _attack(port: int) -> None:
    await asyncio.gather(*(_session(port, FIRST + end + SECOND) for end in ENDS))


async def _session(port: int, content: bytes) -> None:
    """Send a message in good order, and then everything at once; read until the server hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        async with asyncio.timeout(30):
            await reader.readuntil(b"220 ")
            writer.write(b"EHLO client.example\r\n")
            await reader.readuntil(b"\n250 ")
            writer.write(COMMANDS % b"ann")
            await reader.readuntil(b"\n354 ")
            writer.write(content + b"QUIT\r\n")
            await reader.read()
    except ConnectionResetError:
        pass  # refused within the text
    finally:
        writer.transport.abort()


async def _all_gone(postfix: PrivatePostfix, fleet: RunningFleet, store: SmtpSink) -> None:
    """Wait until everything has left Postfix, and each copy has arrived."""
    async with asyncio.timeout(60):
        while await asyncio.to_thread(postfix.queued):
            await asyncio.sleep(0.2)
        await fleet.intake.wait_for(store.counts.messages, timeout=30)


def _originals(folder: Path) -> Counter[bytes]:
    """What left Postfix, without the line that it put on top on the way back."""
    return Counter(RECEIVED.sub(b"", path.read_bytes(), count=1) for path in folder.glob("*.eml"))
