"""`make demo`: the whole product on this machine. `--keep` leaves it running until Ctrl-C."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from tests.demo.acts import Demo
from tests.demo.checks import DemoFailed
from tests.demo.send import SendRefused
from tests.demo.telling import say, signs_of_progress
from tests.stage.fleet import CommandFailed, RunningFleet, stage
from tests.stage.leftovers import end_all_of
from tests.stage.programs import BIN, ProgramFailed, die_with_parent

_FAILURES = (DemoFailed, CommandFailed, ProgramFailed, SendRefused, AssertionError, OSError)
"""What the demo fails by in a sentence; TimeoutError is an OSError. Else it is a fault of ours."""

_JANITOR = 'read -r _; sleep 2; rm -rf -- "$1"; sleep 5; rm -rf -- "$1"'
"""Removes a folder when its standard input ends; the second time for programs slow to stop."""


def main() -> int:
    """Run the demo; 0 only if everything it promised held."""
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave it running until Ctrl-C")
    keep = parser.parse_args().keep
    die_with_parent()  # make, that is
    with _folder() as folder:
        try:
            asyncio.run(_demo(folder, keep=keep))
        except asyncio.CancelledError:
            return 130
        except Exception as error:
            _print_logs(folder)
            leaf = _leaf(error)
            if not isinstance(leaf, _FAILURES):
                raise
            print(f"demo: FAILED: {leaf or 'no answer in time'}", file=sys.stderr)
            return 1
    return 0


async def _demo(folder: Path, *, keep: bool) -> None:
    _stop_on_signals()
    started = time.monotonic()
    say("1. Start a manager with an etcd of its own; around it a DNS server and an intake with TLS")
    async with contextlib.AsyncExitStack() as closing:
        # Last of all, for parts that were started again by hand: the stage does not know them.
        closing.push_async_callback(end_all_of, folder)
        async with signs_of_progress():
            fleet = await closing.enter_async_context(stage(folder))
            demo = Demo(fleet)
            await demo.build()
            await demo.act()
        print(f"\n{demo.summary(time.monotonic() - started)}", flush=True)
        if keep:
            _keep_ports(fleet)
            await _until_interrupted(fleet)


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """Make the folder for everything; it is gone afterwards, also if this process is killed."""
    folder = Path(tempfile.mkdtemp(prefix="tdc-demo-"))
    with subprocess.Popen(
        ["/bin/sh", "-c", _JANITOR, "tdc-demo-janitor", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as janitor:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            janitor.kill()


def _stop_on_signals() -> None:
    """Let the first Ctrl-C, end of the terminal or SIGTERM end the demo in good order.

    Further ones change nothing: each step of the stop is bounded.
    """
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None

    def stop() -> None:
        if not task.cancelling():
            task.cancel()
            with contextlib.suppress(OSError):  # the terminal may be what ended
                print("\ndemo: stopping", file=sys.stderr, flush=True)

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stop)


def _keep_ports(fleet: RunningFleet) -> None:
    """Have an agent that is started again by hand listen where it listens now."""
    for gateway in fleet.gateways.values():
        config = gateway.folder / "agent.toml"
        anywhere, here = 'listen = "127.0.0.1:0"', f'listen = "127.0.0.1:{gateway.port}"'
        config.write_text(config.read_text().replace(anywhere, here))


async def _until_interrupted(fleet: RunningFleet) -> None:
    print("\nThe fleet goes on running until Ctrl-C. In another shell, so that tdc talks to it:\n")
    print(f"  export TDC_CONFIG={fleet.operator_file} PATH={BIN}:$PATH\n")
    for gateway in fleet.gateways.values():
        print(
            f"  {gateway.name}: send mail to 127.0.0.1:{gateway.port} (SMTP); originals arrive in"
        )
        print(f"       {gateway.originals}")
    print(f"\n  journal reports arrive in {fleet.reports}")
    print("  (NNNNNN.eml: the bytes as received; NNNNNN.json: envelope and TLS facts)")
    print("\n  To break a part and start it again (the manager starts its etcd by itself):\n")
    parts = {"manager": fleet.manager} | {each.name: each.agent for each in fleet.gateways.values()}
    for name, program in parts.items():
        print(f"  {name}: kill -9 {program.pid}\n       {shlex.join(program.command)}")
    sys.stdout.flush()
    with contextlib.suppress(asyncio.CancelledError):  # how it is meant to end
        await asyncio.Event().wait()


def _leaf(error: BaseException) -> BaseException:
    """Return the first error inside nested groups."""
    return _leaf(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


def _print_logs(folder: Path) -> None:
    for log in sorted(folder.glob("**/*.log")):
        lines = log.read_text(errors="replace").splitlines()[-15:]
        print(f"--- {log.relative_to(folder)}", *lines, sep="\n", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
