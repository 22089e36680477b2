"""Where a fresh installation can be reached."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path

import pytest
from tdc.manager.options import Options

from tests.stage.fleet import RunningFleet
from tests.stage.sockets import listeners, with_children

pytestmark = pytest.mark.system

DOCS = Path(__file__).parents[2] / "docs"


def documented(page: str, key: str) -> str:
    """The default that a table of options names for a key."""
    found = re.search(rf"^\| `{re.escape(key)}` \| `\"?([^`\"]*)\"?` \|", _text(page), re.M)
    assert found, key
    return found[1]


def _text(page: str) -> str:
    return (DOCS / page).read_text()


@pytest.mark.proves("S2")
async def test_it_listens_where_the_pages_say_and_nowhere_else(copying: RunningFleet) -> None:
    """On loopback unless told otherwise; etcd on a socket that only its user can reach."""
    gateway = await copying.add_gateway("mx1", group="Main_Group")
    await copying.in_sync()
    manager, ports = copying.manager.pid, copying.manager.ports
    assert listeners(manager) == {
        f"tcp {documented('manager-toml.md', 'listen_host')}:{ports['main']}",
        f"tcp {documented('manager-toml.md', 'listen_host')}:{ports['enrol']}",
    }
    (etcd,) = set(with_children(manager)) - {manager}
    folder = copying.folder / "manager/etcd"
    sockets = listeners(etcd)
    assert sockets
    for each in sockets:
        kind, _, path = each.partition(" ")
        assert kind == "unix", each
        assert (folder / Path(path).name).is_socket() or Path(path).is_relative_to(folder), each
    assert folder.stat().st_mode & 0o077 == 0
    host = documented("agent-toml.md", "ingest.listen").rpartition(":")[0]
    assert listeners(gateway.agent.pid) == {f"tcp {host}:{gateway.port}"}


@pytest.mark.proves("S2")
def test_the_ports_of_the_guide_are_the_defaults() -> None:
    options = Options(Path("/var/lib/tdc-manager"))
    for key in ("listen_host", "listen_port", "enrol_port"):
        assert documented("manager-toml.md", key) == str(getattr(options, key))
    for port in (options.listen_port, options.enrol_port):
        assert f"\n| {port} | " in _text("operator-guide.md")


def test_a_listener_that_nobody_wrote_down_would_be_seen() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        udp.bind(("127.0.0.1", 0))
        seen = listeners(os.getpid())
        assert f"tcp 127.0.0.1:{tcp.getsockname()[1]}" in seen
        assert f"udp 127.0.0.1:{udp.getsockname()[1]}" in seen
