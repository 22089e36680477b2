"""Every place where the agent's mail side can wait for somebody, with its bound and its test.

The places are found in the source. One that is added needs a row; one whose bound is dropped or
changed is no longer the row's.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tree.source import modules

ROOMS = ("smtp", "ingest", "deliver")
WAITS = {"timeout", "timeout_at", "wait_for", "call_later", "call_at", "create_future", "start_tls"}
TESTS = Path(__file__).parents[1]

CLIENT, HOP, INTAKE = "ingest/test_waits.py", "ingest/test_waits.py", "deliver/test_waits.py"

# file: function -> (the call and what bounds it, a test that sees it end)
ROWS: dict[str, list[tuple[str, str]]] = {
    "smtp/bounded_wait.py: wait": [
        ("self._loop.create_future()", "smtp/test_bounded_wait.py"),  # _set_timer ends it
    ],
    "smtp/bounded_wait.py: _set_timer": [
        ("self._loop.call_at(self.deadline, self._fired)", "smtp/test_bounded_wait.py"),
    ],
    "smtp/server.py: _client_sends": [
        ("connection.more(allowed, until=min(latest, pace.turn + allowed))", CLIENT),
    ],
    "smtp/body_reader.py: read": [
        (
            "connection.more(options.block_timeout, until=min(latest, self._since + earned))",
            CLIENT,
        ),
    ],
    "smtp/connection.py: more": [("self._wait.wait(allowed, until=until)", CLIENT)],
    "smtp/connection.py: close": [
        ("self._loop.call_later(LINGER, transport.abort)", "ingest/test_connection.py"),
    ],
    "smtp/in_hand.py: room": [
        ("loop.create_future()", "ingest/test_crowded.py"),
        (
            "asyncio.wait((self._waiting[who],), timeout=PRESSED_AFTER)",
            "ingest/test_crowded.py",
        ),
    ],
    "smtp/listener.py: _ended_within": [
        (
            "asyncio.wait(list(self._sessions.values()), timeout=seconds)",
            "ingest/test_smtp_filter.py",
        ),
    ],
    "smtp/listener.py: turn_over": [
        ("asyncio.wait(list(old.values()), timeout=patience)", "ingest/test_server.py"),
    ],
    "ingest/relay.py: pause_writing": [
        ("self._loop.create_future()", HOP),  # _wait_for_room bounds it
    ],
    "ingest/relay.py: replies": [("self._wait.wait(timeout, until=until)", HOP)],
    "ingest/relay.py: _wait_for_room": [
        ("asyncio.timeout(min(self._timeouts.block, left))", HOP),
    ],
    "ingest/pool.py: _connect": [("asyncio.timeout(allowed)", HOP)],
    "ingest/pool.py: _connected": [("asyncio.timeout(part)", "ingest/test_hop_addresses.py")],
    "deliver/connection.py: _connect": [("asyncio.timeout(self._timeouts.connect)", INTAKE)],
    "deliver/connection.py: _start_tls": [
        (
            "self._loop.start_tls(ssl_handshake_timeout=within, ssl_shutdown_timeout=1.0)",
            INTAKE,
        ),
    ],
    "deliver/connection.py: _next_event": [("self._wait.wait(allowed, until=self._end)", INTAKE)],
    "deliver/connection.py: _wait_for_room": [
        ("self._loop.create_future()", INTAKE),
        ("asyncio.timeout(min(self._timeouts.block, left))", INTAKE),
    ],
    "deliver/resolver.py: find": [("asyncio.timeout(FIND_TIMEOUT)", INTAKE)],
    "deliver/courier.py: _wait_for_copy": [
        # Not for a peer: the scheduler gives a copy, or None when it was idle for long enough.
        ("asyncio.get_running_loop().create_future()", "deliver/test_waits.py"),
    ],
    "deliver/scheduler.py: _sleep": [
        ("asyncio.timeout(max(0.1, until - now))", "deliver/test_intake_trouble.py"),
    ],
    "deliver/scheduler.py: _wind_down": [
        ("asyncio.timeout(STOP_WITHIN)", "deliver/test_stop.py"),
    ],
}


def waits_of(file: Path) -> Iterator[tuple[str, str]]:
    """Each function of a file that can wait, and the call."""
    for function in ast.walk(ast.parse(file.read_text())):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and _can_wait(node.func):
                    yield function.name, _shown(node)


def _can_wait(called: ast.expr) -> bool:
    if not isinstance(called, ast.Attribute):
        return False
    if called.attr in WAITS or called.attr == "more":
        return True
    on = ast.unparse(called.value)
    return called.attr == "wait" and (on.endswith("_wait") or on == "asyncio")


def _shown(call: ast.Call) -> str:
    if isinstance(call.func, ast.Attribute) and call.func.attr == "start_tls":
        call = ast.Call(call.func, [], [one for one in call.keywords if "timeout" in str(one.arg)])
    return ast.unparse(call)


def test_every_wait_has_a_bound_and_a_test() -> None:
    found: dict[str, list[str]] = {}
    for name, file in modules().items():
        if name.startswith(tuple(f"tdc.node_agent.{room}" for room in ROOMS)):
            for function, call in waits_of(file):
                found.setdefault(f"{file.parent.name}/{file.name}: {function}", []).append(call)
    assert found == {place: [call for call, _ in rows] for place, rows in ROWS.items()}


@pytest.mark.parametrize("test", sorted({test for rows in ROWS.values() for _, test in rows}))
def test_the_tests_are_there(test: str) -> None:
    assert (TESTS / test).is_file()


def test_a_wait_without_a_bound_is_found(tmp_path: Path) -> None:
    """The check sees what it is for."""
    file = tmp_path / "x.py"
    file.write_text("async def f(self):\n    await self._wait.wait(9)\n    x.create_future()\n")
    assert set(waits_of(file)) == {("f", "self._wait.wait(9)"), ("f", "x.create_future()")}
