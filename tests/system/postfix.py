"""A private Postfix on loopback: own configuration, own queue, own log; needs root.

The gateway's settings come from deploy/postfix as an operator would apply them, with only the
ports replaced.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.demo.messages import HOME
from tests.fakes.listening import free_port

DEPLOY = Path(__file__).parents[2] / "deploy" / "postfix"
POSTFIX = Path("/usr/sbin/postfix")

_MAIN = """\
compatibility_level = 3.6
myhostname = gateway.corp.example
mydomain = corp.example
mydestination =
local_transport = error:no local delivery
relay_domains = corp.example
mynetworks = 127.0.0.0/8
inet_interfaces = loopback-only
inet_protocols = ipv4
smtpd_relay_restrictions = permit_mynetworks, reject
smtp_dns_support_level = disabled
alias_maps =
alias_database =
message_size_limit = 60000000
default_process_limit = 100
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_client_event_limit_exceptions = 127.0.0.0/8
maillog_file_prefixes = {folder}
maillog_file = {folder}/mail.log
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
shlib_directory = /usr/lib/postfix
"""

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
postlog   unix-dgram n - n - 1 postlogd
pickup    unix  n - n 60 1 pickup
cleanup   unix  n - n - 0 cleanup
qmgr      unix  n - n 300 1 qmgr
tlsmgr    unix  - - n 1000? 1 tlsmgr
rewrite   unix  - - n - - trivial-rewrite
bounce    unix  - - n - 0 bounce
defer     unix  - - n - 0 bounce
trace     unix  - - n - 0 bounce
verify    unix  - - n - 1 verify
flush     unix  n - n 1000? 0 flush
proxymap  unix  - - n - - proxymap
smtp      unix  - - n - - smtp
relay     unix  - - n - - smtp
error     unix  - - n - - error
retry     unix  - - n - - error
discard   unix  - - n - - discard
showq     unix  n - n - - showq
anvil     unix  - - n - 1 anvil
scache    unix  - - n - 1 scache
"""


class PrivatePostfix:
    """A running instance: `port` takes mail, `config` holds main.cf, `folder` holds all."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.log = folder / "mail.log"
        self.config = folder / "config"

    def flush(self) -> None:
        """Try all deferred mail now."""
        self._run("flush")

    def release(self) -> None:
        """Let all mail that is on hold go on."""
        self._postsuper("-H")

    def requeue(self) -> None:
        """Let all mail in the queue come in once more, under the settings of now."""
        self._postsuper("-r")

    def sendmail(self, recipient: str, content: bytes) -> None:
        """Submit a message as a program on this machine does."""
        command = ["/usr/sbin/sendmail", "-C", str(self.config), "-i", "-f", "root@corp.example"]
        subprocess.run([*command, recipient], input=content, check=True, timeout=30)

    def queued(self) -> int:
        """Return the number of messages in the queue."""
        listing = subprocess.run(
            ["/usr/sbin/postqueue", "-c", str(self.config), "-j"],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )
        return listing.stdout.count('"queue_id"')

    def version(self) -> str:
        """Return Postfix's version."""
        return subprocess.run(
            ["/usr/sbin/postconf", "-c", str(self.config), "-h", "mail_version"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        ).stdout.strip()

    def cpu_seconds(self) -> float:
        """Return user + system time of the master and all its children, ended ones included."""
        master = int((self.folder / "queue/pid/master.pid").read_text())
        ticks = os.sysconf("SC_CLK_TCK")
        total = 0.0
        for pid in [master, *_children(master)]:
            with contextlib.suppress(OSError, IndexError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                # utime, stime; of the master also cutime, cstime of processes it has waited for
                total += sum(map(int, fields[11:15] if pid == master else fields[11:13])) / ticks
        return total

    def _postsuper(self, option: str) -> None:
        command = ["/usr/sbin/postsuper", "-c", str(self.config), option, "ALL"]
        subprocess.run(command, check=True, timeout=30)

    def _run(self, verb: str) -> None:
        done = subprocess.run(
            [str(POSTFIX), "-c", str(self.config), verb],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            raise RuntimeError(f"postfix {verb}: {done.stdout}{done.stderr}")


def _children(pid: int) -> list[int]:
    with contextlib.suppress(OSError):
        return [
            int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        ]
    return []


async def smtp_source(
    port: int, *, messages: int, size: int, connections: int, reuse: bool = False
) -> None:
    """Send messages with Postfix's load generator; `reuse` keeps connections for many of them."""
    process = await asyncio.create_subprocess_exec(
        "/usr/sbin/smtp-source",
        *(["-d"] if reuse else []),
        *("-s", str(connections), "-l", str(size), "-m", str(messages)),
        *("-f", "alice@partner.example", "-t", f"bob@{HOME}", f"127.0.0.1:{port}"),
    )
    if await process.wait():
        raise RuntimeError("smtp-source failed")


def filter_settings(filter_port: int, reinject_port: int) -> tuple[str, str]:
    """Return deploy/postfix's lines for main.cf and master.cf with the ports replaced."""
    ports = {"10025": str(filter_port), "10026": str(reinject_port)}
    main, master = (
        re.sub(r"\b1002[56]\b", lambda match: ports[match[0]], (DEPLOY / name).read_text())
        for name in ("main.cf.tdc", "master.cf.tdc")
    )
    return main, master


@contextlib.contextmanager
def private_postfix(
    *, main: str = "", master: str = "", files: Mapping[str, str] | None = None
) -> Iterator[PrivatePostfix]:
    """Start a Postfix with these lines added to main.cf and master.cf; stop and remove it after.

    In the added lines `{folder}` is the instance's folder; `files` are written there first.
    """
    folder = Path(tempfile.mkdtemp(prefix="tdc-postfix-"))
    folder.chmod(0o755)
    port = free_port()
    postfix = PrivatePostfix(folder, port)
    config = folder / "config"
    for name in ("config", "queue", "data"):
        (folder / name).mkdir()
    shutil.chown(folder / "data", "postfix")
    for name, text in (files or {}).items():
        (folder / name).write_text(text)
    place = {"folder": str(folder)}
    (config / "main.cf").write_text((_MAIN + main).replace("{folder}", place["folder"]))
    (config / "master.cf").write_text(
        (_MASTER.replace("{port}", str(port)) + master).replace("{folder}", place["folder"])
    )
    try:
        postfix._run("start")
        _wait_for_port(port)
        yield postfix
    finally:
        with contextlib.suppress(RuntimeError):
            postfix._run("abort")
        _wait_gone(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for_port(port: int) -> None:
    deadline = time.monotonic() + 15
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        if time.monotonic() > deadline:
            raise RuntimeError(f"nothing listens on {port}")
        time.sleep(0.05)


def _wait_gone(folder: Path) -> None:
    pid_file = folder / "queue/pid/master.pid"
    deadline = time.monotonic() + 10
    with contextlib.suppress(OSError, ValueError):
        pid = int(pid_file.read_text())
        while Path(f"/proc/{pid}").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
