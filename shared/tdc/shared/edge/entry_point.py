"""Where `tdc`, `tdc-manager` and `tdc-agent` begin; nothing of a program is imported before.

The distribution contains all three programs; each has an extra (``cli``, ``manager``, ``agent``)
that brings its libraries. A program started without its extra ends with a sentence that names the
extra. Ctrl-C while it starts ends it with a sentence too: SIGINT waits until the libraries are
loaded. gRPC's library writes no lines of its own between ours unless GRPC_VERBOSITY asks for them.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import signal
import sys
from collections.abc import Callable, Collection
from importlib import metadata

from tdc.shared.edge import signals, standard_streams

INTERRUPTED = 130
"""The exit code after Ctrl-C: 128 + SIGINT, as a shell reports it."""

_FEW_LOOKS = 200_000
"""Objects made after which the collector looks for cycles; the libraries make fewer."""


def tdc() -> None:
    """Run the operators' command line, which lets SIGINT through itself; ends by SystemExit.

    It commits nothing while its output is closed, and takes no closed input for an empty one. A
    shell that asks what fits at its cursor has no time to load the commands for it.
    """
    signals.block(signal.SIGINT)
    completes = os.environ.get("_TDC_COMPLETE", "").startswith("complete_")
    # It ends before its cycles matter: looking for them among what the libraries make, and once
    # more at the end, was a quarter of a command's processor time.
    gc.set_threshold(_FEW_LOOKS)
    atexit.register(gc.freeze)
    module = "tdc.manager.cli.complete" if completes else "tdc.manager.cli.main"
    start("tdc", module, "cli", but_none=("stdin", "stdout"))


def tdc_manager() -> None:
    """Run the manager; ends by SystemExit."""
    signals.block(signal.SIGINT, *signals.LATER)
    _start_interruptible("tdc-manager", "tdc.manager.program", "manager")


def tdc_agent() -> None:
    """Run the agent; ends by SystemExit."""
    signals.block(signal.SIGINT, *signals.LATER)
    _start_interruptible("tdc-agent", "tdc.node_agent.program", "agent")


def _wheel() -> str:
    """The wheel's file, as it is built. Not the name alone: anyone could publish under that."""
    found = metadata.version("threat-defense-connector")
    return f"./threat_defense_connector-{found}-py3-none-any.whl"


def start(program: str, module: str, extra: str, *, but_none: Collection[str] = ()) -> None:
    """Run ``main()`` of `module`; ends by SystemExit, with 1 where a library is not installed.

    `but_none` are the standard streams that stay None if they are closed.
    """
    _load(program, module, extra, but_none)()


def _start_interruptible(program: str, module: str, extra: str) -> None:
    """As `start`, and let SIGINT through once the libraries are loaded."""
    main = _load(program, module, extra)
    try:
        signals.unblock(signal.SIGINT)
        main()
    except KeyboardInterrupt:
        print(f"{program}: interrupted", file=sys.stderr)  # noqa: T201
        raise SystemExit(INTERRUPTED) from None


def _load(
    program: str, module: str, extra: str, but_none: Collection[str] = ()
) -> Callable[[], None]:
    standard_streams.open_closed_ones(but_none=but_none)
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # gRPC reads it when it is first imported
    try:
        main: Callable[[], None] = importlib.import_module(module).main
    except ModuleNotFoundError as error:
        if (error.name or "tdc").partition(".")[0] == "tdc":
            raise  # part of the distribution itself: our fault, not a missing extra
        sys.exit(
            f"{program}: {error}: the libraries of {program} are not installed. Install them with "
            f"the wheel that this program came in: pip install '{_wheel()}[{extra}]'"
        )
    return main
