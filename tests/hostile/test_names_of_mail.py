"""Mail names files and commands in every place that it can: none is opened, made or run.

The whole product runs in this process, so Python's audit events (PEP 578) show all that it opens,
makes, removes and starts.
"""

from __future__ import annotations

import ast
import asyncio
import io
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.fakes.journal_reader import read_report
from tests.stage.one_process import OneProcess, one_process
from tests.tree.source import ROOT

MARK = "0wned"
"""Part of every name that the mail has."""

NAMES = (
    f"; touch {MARK}",
    f"`touch {MARK}`",
    f"$(touch {MARK})",
    f"|touch {MARK}",
    f"../../../../tmp/{MARK}",
    f"/tmp/{MARK}",
    f"{MARK}\0.eml",
    f"-o{MARK}",
    f"file:///tmp/{MARK}",
    f"%(touch {MARK})s{{{MARK}}}",
)

NEVER = {"tarfile", "zipfile", "gzip", "bz2", "lzma", "pickle", "shelve", "marshal", "eval", "exec"}

STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn")
PATHS = ("open", "os.", "shutil.", "tempfile.", "glob.", "pathlib.", "sqlite3.", "ctypes.dlopen")


class Watched:
    """Audit events while `on`; a hook can't be taken away again."""

    def __init__(self) -> None:
        self.on = False
        self.events: list[tuple[str, str]] = []
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[object, ...]) -> None:
        if self.on and event.startswith((*PATHS, *STARTS)):
            self.events.append((event, repr(arguments)))

    @contextmanager
    def watching(self) -> Iterator[None]:
        self.on = True
        try:
            yield
        finally:
            self.on = False


def _archives() -> Iterator[tuple[str, bytes]]:
    for name in NAMES:
        tar, packed = io.BytesIO(), io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            archive.addfile(tarfile.TarInfo(name.replace("\0", "")))
        with zipfile.ZipFile(packed, "w") as zipped:
            zipped.writestr(name.replace("\0", "") or MARK, b"x")
        yield name, tar.getvalue() + packed.getvalue()


def _messages() -> Iterator[bytes]:
    """A message for each name: in its header, its parts, its attached archive and its body."""
    for name, archive in _archives():
        raw = name.encode()
        yield b"".join(
            b"%s: %s\r\n" % (field, raw)
            for field in (b"Subject", b"From", b"To", b"Message-ID", b"X-Filename", b"Date")
        ) + (
            b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
            b'--b\r\nContent-Type: application/x-tar; name="%s"\r\n'
            b'Content-Disposition: attachment; filename="%s"\r\n'
            b"Content-Transfer-Encoding: 8bit\r\n\r\n%s\r\n--b--\r\n"
        ) % (raw, raw, archive.replace(b"\r", b" ").replace(b"\n", b"\r\n"))


def _paths() -> Iterator[bytes]:
    """Addresses that name it: as a quoted local part, where there is one, else as it is."""
    for name in NAMES:
        if "\0" not in name:
            yield b'"%s"@corp.example' % name.encode()
            yield b"%s@corp.example" % name.encode().replace(b" ", b"")


async def _send(port: int, sender: bytes, recipient: bytes, message: bytes) -> bytes:
    """Hand a message over; the code of the reply to its end, or to what was refused."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    content = (b"\r\n" + message).replace(b"\r\n.", b"\r\n..")[2:]
    for given in (
        b"",
        b"EHLO " + MARK.encode() + b"\r\n",
        b"MAIL FROM:<" + sender + b">\r\n",
        b"RCPT TO:<" + recipient + b">\r\n",
        b"DATA\r\n",
        content + b".\r\n",
    ):
        writer.write(given)
        line = b"250-"
        while line[3:4] == b"-":
            line = await reader.readline()
        if line[:1] not in b"23":
            break
    writer.close()
    return line[:3]


@pytest.mark.proves("S1")
async def test_no_name_in_mail_is_a_file_or_a_command(tmp_path: Path) -> None:
    async with one_process(tmp_path) as running:
        watched = Watched()
        with watched.watching():
            sent = await _send_all(running)
            await running.intake.wait_for(sent, timeout=30)
            await running.logged(" delivered to ", times=sent)
    assert sent > 2 * len(NAMES)
    reports = [read_report(each.content).original for each in running.intake.messages]
    assert sum(MARK.encode() in each for each in reports) == sent
    assert [each for each in watched.events if MARK in each[1]] == []
    assert [each for each in watched.events if each[0].startswith(STARTS)] == []
    assert not [each for each in tmp_path.rglob("*") if MARK in each.name]


async def _send_all(running: OneProcess) -> int:
    """Every message to an ordinary recipient, and a message to and from every odd one."""
    user, codes = b"user@home.example", []
    for message in _messages():
        codes.append(await _send(running.port, b"a@out.example", user, message))
    for path in _paths():
        plain = b"Subject: " + MARK.encode() + b"\r\n\r\nx\r\n"
        codes.append(await _send(running.port, path, user, plain))
        codes.append(await _send(running.port, b"a@out.example", path, plain))
    assert set(codes) <= {b"250", b"501", b"553"}, codes
    return codes.count(b"250")


@pytest.mark.proves("S1")
def test_the_hook_sees_what_it_is_there_for(tmp_path: Path) -> None:
    watched = Watched()
    with watched.watching():
        (tmp_path / MARK).touch()
        subprocess.run(["true"], check=True)
    names = [event for event, _ in watched.events]
    assert any(MARK in arguments for _, arguments in watched.events)
    assert any(name.startswith(STARTS) for name in names)


@pytest.mark.proves("S1")
def test_no_program_of_ours_opens_archives_or_runs_what_it_was_given() -> None:
    """Its libraries have such modules loaded; our source names none of them."""
    found = {
        f"{path.name}: {name}"
        for room in ("shared", "manager", "node_agent")
        for path in (ROOT / room).rglob("*.py")
        for name in _names_used(ast.parse(path.read_text()))
        if name.partition(".")[0] in NEVER
    }
    assert found == set()


def _names_used(module: ast.Module) -> Iterator[str]:
    """Modules that are imported, and functions that are called by a bare name."""
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                yield from (each.name for each in names)
            case ast.ImportFrom(module=str(name)):
                yield name
            case ast.Call(func=ast.Name(id=name)):
                yield name
