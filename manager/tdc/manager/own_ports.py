"""Where this manager serves: written down for its next start, for operators, and for who asked.

In: the ports in use. Out: ``last-ports.json`` in the data folder, the file of `ports_file`, and the
address in the local operator's file.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from tdc.manager.first_setup import (
    OPERATOR_FILE,
    OPERATOR_FOLDER,
    address,
    write_operator_file,
)
from tdc.manager.options import Options
from tdc.manager.rpc.server import Ports
from tdc.manager.web.served import console_address
from tdc.shared.edge import durable_file

log = logging.getLogger(__name__)

LAST_PORTS = "last-ports.json"
"""In the data folder: where this manager served at its last start."""


def last_address(options: Options) -> str:
    """Where this manager will serve, if the port is free; as it did when it ran last."""
    last = last_ports(options)
    return address(options, options.listen_port or (last.main if last else 0))


def last_ports(options: Options) -> Ports | None:
    """The ports of the last start: machines that know them should find us there again."""
    try:
        content = json.loads(durable_file.read(options.folder / LAST_PORTS))
        operators, console = content.get("operators"), content.get("console")
        return Ports(
            main=int(content["main"]),
            enrol=int(content["enrol"]),
            operators=None if operators is None else int(operators),
            console=None if console is None else int(console),
        )
    except (
        durable_file.NotReadable,
        ValueError,
        AttributeError,
        LookupError,
        TypeError,
        OverflowError,
        RecursionError,
    ):
        return None


def _is_ours(operator_file: Path) -> bool:
    """Whether it is there; one that this user can't see is not written, and that is logged."""
    try:
        return durable_file.exists(operator_file)
    except durable_file.NotReadable as error:
        log.warning("%s, so it keeps the port that it names", error)
        return False


@contextlib.contextmanager
def ports_announced(options: Options, ports: Ports) -> Iterator[None]:
    """Announce where this manager serves, in its log and, if asked, in a file, until the end."""
    log.info(
        "serving at %s, enrolment at %s",
        address(options, ports.main),
        address(options, ports.enrol),
    )
    operator_file = options.folder / OPERATOR_FOLDER / OPERATOR_FILE
    if options.listen_port == 0 and _is_ours(operator_file):
        # The system chose the port at this start: the local operator's file must follow it.
        write_operator_file(operator_file.parent, address(options, ports.main))
    numbers = {"main": ports.main, "enrol": ports.enrol}
    if ports.operators is not None:
        log.info("operators log in at %s", address(options, ports.operators))
        numbers["operators"] = ports.operators
    if ports.console is not None:
        log.info("the console is at %s", console_address(options, ports.console))
        numbers["console"] = ports.console
    content = json.dumps({**numbers, "pid": os.getpid()})
    durable_file.write(options.folder / LAST_PORTS, content.encode() + b"\n")
    if options.ports_file is None:
        yield
        return
    durable_file.write(options.ports_file, content.encode() + b"\n", mode=durable_file.READABLE)
    try:
        yield
    finally:
        options.ports_file.unlink(missing_ok=True)
