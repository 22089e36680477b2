"""A single etcd member that the manager runs: no server to set up, all data in one folder.

The member listens on two sockets in a private folder, so it takes no port and is closed to other
users of the machine (docs/decisions/0002-embedded-etcd.md). It starts and stops with this process;
when it dies it is started again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tdc.manager.etcd import place
from tdc.manager.etcd.backoff import Backoff
from tdc.manager.etcd.channel import EtcdOptions
from tdc.manager.etcd.client import EtcdClient
from tdc.manager.etcd.errors import EmbeddedError, EtcdError
from tdc.manager.etcd.program import EtcdProgram, find_program, note
from tdc.manager.etcd.values import Put
from tdc.shared.edge import durable_file
from tdc.shared.edge.clock import monotonic
from tdc.shared.edge.os_words import os_reason
from tdc.shared.edge.tasks import running

log = logging.getLogger(__name__)

QUOTA = 4 * 1024**3
"""Bytes that the embedded member's database may take."""
MAX_LOG = 8 * 1024**2
"""Bytes at which etcd's own log is rotated; one older part is kept."""
START_TIMEOUT = 30.0
STOP_TIMEOUT = 10.0
LOCK_TIMEOUT = 5.0
"""Seconds to wait for the etcd of a process that was killed a moment ago."""

_NAME = "embedded"
_SOCKET = "localhost:1"  # unix://HOST:PORT makes etcd create a socket of the name HOST:PORT
_PEER_SOCKET = "localhost:2"
_MAX_SOCKET_PATH = 107  # sun_path is 108 bytes with its NUL (unix(7))
_LOG_CHECK = 60.0
_LOCK = "lock"


class EmbeddedEtcd:
    """A supervised member. ``async with EmbeddedEtcd(folder) as endpoint:``.

    Once started, `warning` says what is wrong with the etcd program in use; None if nothing is.
    """

    def __init__(
        self,
        folder: Path,
        binary: Path | None = None,
        *,
        quota: int = QUOTA,
        anywhere: bool = False,
        mark: str = "",
    ) -> None:
        """Take the folder for its data (made if absent) and, if given, the program to run.

        `anywhere`: start also on data that was last used elsewhere; `settle` makes this its place.
        `mark`: the key under which the data itself keeps its place; without one it does not.
        """
        self._anywhere = anywhere
        self._mark = mark
        self._endpoint = ""
        self.folder = folder.absolute()
        self.warning: str | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._binary = binary
        self._quota = quota
        self._lock = -1
        self._stack = contextlib.AsyncExitStack()

    async def __aenter__(self) -> str:
        """Start it and wait until it serves; returns the endpoint. Raises EmbeddedError."""
        async with contextlib.AsyncExitStack() as stack:
            program = await find_program(self._binary, self.folder)
            self._prepare_folder()
            self._lock = await self._take_lock(stack)
            if not self._anywhere:
                place.check(self.folder)
            note(program, self.folder)
            self._warn(program)
            endpoint = stack.enter_context(_reachable(self.folder))
            # Stopped by the stack, not by the supervising task: a task that is cancelled before
            # its first step never gets to its own clean-up.
            stack.push_async_callback(self._stop)
            await self._start(program)
            await self._wait_until_serving(endpoint)
            self._endpoint = endpoint
            if not self._anywhere:
                await self._check_and_settle()
            supervising = running(self._supervise(program), name="embedded etcd")
            await stack.enter_async_context(supervising)
            self._stack = stack.pop_all()
        return endpoint

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def settle(self) -> None:
        """Note, beside the data and in it, that it belongs in this folder, on this machine.

        Raises EmbeddedError, or an EtcdError where the data does not take it.
        """
        note = place.settle(self.folder)
        if self._mark:
            async with EtcdClient(EtcdOptions((self._endpoint,))) as etcd:
                await etcd.txn([], [Put(self._mark, note)])

    async def _check_and_settle(self) -> None:
        """Read the place that the data keeps before anybody is served; raises EmbeddedError.

        The file is written first. Cut off in between, data without a mark is data of before.
        """
        if not self._mark:
            place.settle(self.folder)
            return
        try:
            async with EtcdClient(EtcdOptions((self._endpoint,))) as etcd:
                found = await etcd.get(self._mark)
        except EtcdError as error:
            raise EmbeddedError(
                f"can't read where the data in {self.folder} belongs: {error}"
            ) from error
        mark = found.value if found is not None else None
        place.check_mark(self.folder, mark)
        if place.settle(self.folder) == mark:
            return
        try:
            await self.settle()
        except EtcdError as error:  # a full store, say, that must start to be made smaller
            log.warning("the data does not keep yet where it belongs: %s", error)

    @property
    def pid(self) -> int | None:
        """The member's process, None while it is not running."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    @property
    def _log_path(self) -> Path:
        return self.folder / "etcd.log"

    def _warn(self, program: EtcdProgram) -> None:
        self.warning = program.warning
        if program.warning:
            log.warning("%s", program.warning)

    # -- the folder ------------------------------------------------------------------------------

    def _prepare_folder(self) -> None:
        try:
            durable_file.make(self.folder)
            owner = self.folder.stat().st_uid
            if owner != os.geteuid():
                raise EmbeddedError(
                    f"{self.folder} belongs to another user (uid {owner}); "
                    "run as that user or choose another folder"
                )
            self.folder.chmod(0o700)
        except OSError as error:
            raise EmbeddedError(
                f"can't use {self.folder} for the embedded etcd: {os_reason(error)}"
            ) from error

    async def _take_lock(self, stack: contextlib.AsyncExitStack) -> int:
        """Lock the folder; etcd inherits the lock, so it lasts as long as either process."""
        lock = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        stack.callback(os.close, lock)
        give_up = monotonic() + LOCK_TIMEOUT
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if monotonic() > give_up:
                    raise EmbeddedError(_who_holds(lock, self.folder)) from None
                await asyncio.sleep(0.1)
            else:
                os.ftruncate(lock, 0)
                os.pwrite(lock, b"%d\n" % os.getpid(), 0)
                return lock

    # -- the process -----------------------------------------------------------------------------

    async def _supervise(self, program: EtcdProgram) -> None:
        """Start the member again whenever it ends; sooner if it had run for a while."""
        backoff = Backoff(longest=10.0, first=0.2)
        while True:
            began = monotonic()
            if self._process is not None:
                code = await self._ended(self._process)
                log.error(
                    "the embedded etcd ended (%s), restarting it; last words: %s (full log: %s)",
                    f"signal {-code}" if code < 0 else f"exit code {code}",
                    self._last_words(),
                    self._log_path,
                )
            if monotonic() - began > 60:
                backoff.reset()
            await backoff.wait()
            try:
                await self._start(program)
            except EmbeddedError as error:
                log.error("%s", error)

    async def _ended(self, process: asyncio.subprocess.Process) -> int:
        """Wait for the process's end, keeping its log bounded meanwhile; returns the exit code."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOG_CHECK):
                    return await process.wait()
            self._bound_log()

    async def _start(self, program: EtcdProgram) -> None:
        self._process = None
        try:
            for name in (_SOCKET, _PEER_SOCKET):  # left over from a kill; the lock is ours
                (self.folder / name).unlink(missing_ok=True)
            self._bound_log()
            with self._log_path.open("ab") as log:
                self._process = await asyncio.create_subprocess_exec(
                    *program.dying_with_us(_arguments(self._quota)),
                    cwd=self.folder,
                    env=_environment(),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    pass_fds=(self._lock,),
                    start_new_session=True,  # Ctrl-C in our terminal is for us, not for etcd
                )
        except OSError as error:
            program.check()
            raise EmbeddedError(
                f"can't start {program.path} as etcd: {os_reason(error)}"
            ) from error

    async def _stop(self) -> None:
        """End the process by SIGTERM, then by SIGKILL."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        process.send_signal(signal.SIGCONT)  # a stopped process would not see SIGTERM
        try:
            async with asyncio.timeout(STOP_TIMEOUT):
                await process.wait()
        except TimeoutError:
            log.warning("the embedded etcd did not stop within %g s; killing it", STOP_TIMEOUT)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def _wait_until_serving(self, endpoint: str) -> None:
        """Return when a linearizable read succeeds; raises EmbeddedError if it never does."""
        give_up = monotonic() + START_TIMEOUT
        process = self._process
        assert process is not None
        async with EtcdClient(EtcdOptions((endpoint,), timeout=1.0)) as etcd:
            while process.returncode is None and monotonic() < give_up:
                with contextlib.suppress(EtcdError):
                    await etcd.get("any key")
                    return
                await asyncio.sleep(0.02)
        ended = "is not serving" if process.returncode is None else "ended"
        raise EmbeddedError(
            f"the embedded etcd {ended} at its start; last words: {self._last_words()} "
            f"(full log: {self._log_path})"
        )

    # -- its log ---------------------------------------------------------------------------------

    def _bound_log(self) -> None:
        """Rotate the log when it is too long; etcd appends, so truncating is safe."""
        with contextlib.suppress(FileNotFoundError):
            if self._log_path.stat().st_size > MAX_LOG:
                (self.folder / "etcd.log.1").write_bytes(self._log_path.read_bytes()[-MAX_LOG:])
                os.truncate(self._log_path, 0)

    def _last_words(self) -> str:
        try:
            words = self._log_path.read_bytes()[-2_000:].decode("utf-8", "replace")
        except OSError as error:
            return f"unknown ({os_reason(error)})"
        return " | ".join(words.splitlines()[-3:])


@contextlib.contextmanager
def attached(folder: Path) -> Iterator[str | None]:
    """Yield the endpoint of the member that another process runs here; None where none does."""
    if not _is_locked(folder.absolute() / _LOCK):
        yield None
        return
    with _reachable(folder.absolute()) as endpoint:
        yield endpoint


def _is_locked(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False  # there is none, or it is another's: starting it will say so
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _who_holds(lock: int, folder: Path) -> str:
    """What to do about a lock that another process holds, or the etcd that it left."""
    owner = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
    if owner.isdecimal() and not Path(f"/proc/{owner}").exists():
        return (
            f"process {owner} has ended, but its etcd still runs in {folder} and does not stop: "
            "is its disk stuck, or was it frozen? Kill it with SIGKILL (it is the etcd whose "
            f"working directory is {folder}), then start again"
        )
    return (
        f"process {owner or '(unknown)'} is using {folder} for its etcd; stop it, or use another "
        "folder"
    )


def _arguments(quota: int) -> list[str]:
    return [
        f"--name={_NAME}",
        "--data-dir=data",
        f"--listen-client-urls=unix://{_SOCKET}",
        f"--advertise-client-urls=unix://{_SOCKET}",
        f"--listen-peer-urls=unix://{_PEER_SOCKET}",
        f"--initial-advertise-peer-urls=unix://{_PEER_SOCKET}",
        f"--initial-cluster={_NAME}=unix://{_PEER_SOCKET}",
        f"--quota-backend-bytes={quota}",
        "--logger=zap",
        "--log-level=warn",
    ]


def _environment() -> dict[str, str]:
    """Our environment without the variables that etcd would take for flags."""
    kept = {"ETCD_UNSUPPORTED_ARCH"}
    return {
        name: value
        for name, value in os.environ.items()
        if name in kept or not name.startswith("ETCD_")
    }


@contextlib.contextmanager
def _reachable(folder: Path) -> Iterator[str]:
    """Yield the socket's endpoint, through a short link where the folder's own path is too long."""
    if len(os.fsencode(folder / _SOCKET)) <= _MAX_SOCKET_PATH:
        yield f"unix:{folder / _SOCKET}"
        return
    with tempfile.TemporaryDirectory(prefix="etcd-") as private:
        link = Path(private) / "etcd"
        link.symlink_to(folder, target_is_directory=True)
        if len(os.fsencode(link / _SOCKET)) > _MAX_SOCKET_PATH:
            raise EmbeddedError(
                f"the path of {folder} is too long for a socket, and so is {link}; "
                "choose a shorter folder, or a shorter TMPDIR"
            )
        yield f"unix:{link / _SOCKET}"
