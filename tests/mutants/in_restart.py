"""Faults in how the agent ends, begins again, looks before it does, and what it keeps over it."""

from __future__ import annotations

from tests.mutants.values import planted_in

AGENT = "node_agent/tdc/node_agent"
EDGE = "shared/tdc/shared/edge"

MUTANTS = (
    *planted_in(
        f"{EDGE}/memory.py",
        ("tests/sync/test_short_of_means.py",),
        (
            "an agent ends for want of a descriptor",
            "        with contextlib.suppress(OSError):\n",
            "        with contextlib.nullcontext():\n",
        ),
    ),
    *planted_in(
        f"{EDGE}/daemon_thread.py",
        ("tests/sync/test_short_of_means.py",),
        (
            "an agent ends for want of a thread",
            "    except RuntimeError:\n",
            "    except OSError:\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/lifetime.py",
        ("tests/sync/test_restart.py::test_no_restart_in_place_leaves_the_spool_behind",),
        (
            "a restart in place leaves the spool behind",
            "        if folder.resolve() != ours.resolve():\n",
            "        if not folder.parent.exists():\n",
        ),
        (
            "the spool under another name is another spool",
            "        if folder.resolve() != ours.resolve():\n",
            "        if folder != ours:\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/lifetime.py",
        (
            "tests/sync/test_restart_waits.py::"
            "test_an_agent_toml_that_cannot_be_read_keeps_no_signal_waiting",
        ),
        (
            "a disk that does not answer keeps signals waiting",
            "        async with asyncio.timeout(LOOK_WITHIN):\n",
            "        async with asyncio.timeout(None):\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/kept_health.py",
        ("tests/sync/test_kept_health.py",),
        (
            "a clock that is set makes a miss old",
            '            off = passed(Reading(*document["reading"]), now)\n',
            '            off = now.wall - Reading(*document["reading"]).wall\n',
        ),
        (
            "what was kept is not kept at the end",
            "                await self._save(facts())\n",
            "                facts()\n",
        ),
        (
            "each restart makes a hold longer",
            "int(failures), planned=now)",
            "int(failures))",
        ),
        (
            "each delivery is a write",
            "    if delivered >= DELIVERED_EVERY:\n",
            "    if delivered > 0:\n",
        ),
        (
            "any number of holds is kept",
            "key=lambda item: item[1].since)[:MOST]\n",
            "key=lambda item: item[1].since)\n",
        ),
        (
            "an age may be anything",
            "        if not 0.0 <= float(age) < math.inf:\n",
            "        if not age:\n",
        ),
        (
            "a write that failed is not tried again",
            "            if not written or _news(known, now):\n",
            "            if _news(known, now):\n",
        ),
        (
            "a wait that goes on is a write each time",
            "> SINCE_WITHIN\n",
            "> 0\n",
        ),
        (
            "a run of misses is not kept",
            "        missed=dict(kept.missed), refused_size",
            "        missed={}, refused_size",
        ),
    ),
    *planted_in(
        f"{AGENT}/ingest/hop_state.py",
        ("tests/ingest/test_hop_refuses.py",),
        (
            "what is mute is not kept",
            "        known = self._mute() | self._failing\n",
            "        known = dict(self._failing)\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/ingest/pool.py",
        ("tests/ingest/test_hop_refuses.py",),
        (
            "what was mute at a restart is well after it",
            "            self._state.given_up(wait, self._addresses)\n",
            "            del wait\n",
        ),
        (
            "what a stop gives up was the next hop's fault",
            "            if not self._closed:  # then",
            "            if address:  # then",
        ),
    ),
    *planted_in(
        f"{AGENT}/ingest/hop_state.py",
        ("tests/sync/test_kept_health.py",),
        (
            "a new next hop is in trouble from the start",
            "known = {one: failures[str(one)] for one in among if str(one) in failures}",
            'known = {one: failures.get(str(one), "") for one in among}',
        ),
    ),
    *planted_in(
        f"{AGENT}/smtp/listener.py",
        ("tests/ingest/test_server.py", "tests/sync/test_restart_waits.py"),
        (
            "what is not past its dot is waited for",
            "        for session in unfinished:\n            session.abort()\n",
            "",
        ),
        (
            "what is past its dot is cut off with the others",
            "if not session.past_dot]",
            "if session]",
        ),
        (
            "an old session outlives its time",
            "            if task in late:\n                session.abort()\n",
            "            pass\n",
        ),
        (
            "a new address waits for the restart",
            "        for each in sockets:\n            if each",
            "        for each in ():\n            if each",
        ),
    ),
    *planted_in(
        f"{AGENT}/smtp/server.py",
        ("tests/sync/test_restart_waits.py",),
        (
            "who sits in a transaction keeps a restart waiting",
            "        stopping = SITS if within else IDLE\n",
            "        stopping = options.command_timeout if within else IDLE\n",
        ),
        (
            "an idle client is not told that the agent stops",
            "        if self._state is not State.CONTENT:\n            self._connection.wake()\n",
            "        if not self._in_transaction:\n            self._connection.wake()\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/lifetime.py",
        ("tests/sync/test_restart_waits.py",),
        (
            "nobody is served before a restart",
            "restart.rooms.turn_over(following.sockets.sockets, TURN_OVER)",
            "asyncio.sleep(0)",
        ),
        (
            "a stop waits for the check",
            "(following := await asked.unless_stop(restart.prepared(number)))",
            "(following := await restart.prepared(number))",
        ),
        (
            "what comes during a restart is forgotten",
            "    asked.leave()\n",
            "",
        ),
        (
            "what is started may be another file than what was checked",
            "    with checked_file.handed_over(following.text, os.environ):\n",
            "    with checked_file.handed_over(following.text, {}):\n",
        ),
        (
            "a stop waits for the start",
            "            self.start.reschedule(0)\n",
            "            pass\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/trial.py",
        ("tests/sync/test_restart_waits.py",),
        (
            "a check is left behind",
            "        trial.kill()  # nothing if it has ended\n",
            "        pass\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/host_names.py",
        ("tests/sync/test_own_name.py",),
        (
            "the loop waits for a lookup when it is closed",
            "    found = await in_daemon_thread(\n        socket.getaddrinfo, host, None,",
            "    found = await asyncio.to_thread(\n        socket.getaddrinfo, host, None,",
        ),
    ),
    *planted_in(
        f"{AGENT}/own_name.py",
        ("tests/sync/test_own_name.py", "tests/sync/test_preflight_others.py"),
        (
            "a name is asked for that nobody needs",
            "await host_name() if needed else",
            "await host_name() if machine or needed or host_name else",
        ),
        (
            "a machine that is not enrolled is to set a name",
            "    if machine is None:\n        return OwnName(host)\n",
            "    machine = machine or host\n",
        ),
    ),
    *planted_in(
        f"{EDGE}/background_log.py",
        ("tests/log/test_full_disk.py", "tests/sync/test_preflight_others.py"),
        (
            "a pipe that nobody reads holds up the end",
            "            self._thread.join(STUCK_AFTER)\n",
            "            self._thread.join(CLOSE_WITHIN)\n",
        ),
        (
            "lines that get on are not waited for",
            "        while blocks != self._blocks and monotonic() < until:\n",
            "        if monotonic() < until:\n",
        ),
        (
            "a log that is a pipe holds up the start",
            " | os.O_CLOEXEC | os.O_NONBLOCK\n",
            " | os.O_CLOEXEC\n",
        ),
    ),
    *planted_in(
        f"{EDGE}/entry_point.py",
        ("tests/sync/test_closed_streams.py",),
        (
            "a closed standard error ends the program",
            "    standard_streams.open_closed_ones(but_none=but_none)\n",
            "",
        ),
    ),
    *planted_in(
        f"{EDGE}/durable_file.py",
        ("tests/sync/test_durable_file.py",),
        (
            "a pipe in a file's place is waited for",
            "        if not stat.S_ISREG(path.stat().st_mode):\n",
            "        if path.is_dir():\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/preflight_files.py",
        ("tests/sync/test_preflight_others.py",),
        (
            "a spool in use is not seen",
            "    if holder is not None and not ours(holder):\n",
            "    if holder is None and not ours(0):\n",
        ),
        (
            "a spool of the future is not seen",
            "    if version > SCHEMA_VERSION:\n",
            "    if version < 0:\n",
        ),
        (
            "a place without a disk is a place for files",
            "    if not os.statvfs(above).f_blocks:",
            "    if not above:",
        ),
        (
            "a secret that others read is no matter",
            "(mode := _mode(path, stat.S_ISREG)) & _ANY_OTHER:",
            "(mode := _mode(path, stat.S_ISREG)) & 0:",
        ),
    ),
    *planted_in(
        f"{AGENT}/spool/header.py",
        ("tests/sync/test_preflight_others.py",),
        (
            "the log is not looked into",
            "    if log.is_file():\n",
            "    if not log:\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/holders.py",
        ("tests/sync/test_preflight_others.py",),
        (
            "a lock on another file counts",
            "if found and _is_locked(path) else None",
            "if found else None",
        ),
        (
            "a lock is only where the number of the file says so",
            "    found = certain + alike\n",
            "    found = alike\n",
        ),
        (
            "who has it is not told from who has another one",
            "    found = certain + alike\n",
            "    found = alike + certain\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/preflight.py",
        ("tests/sync/test_preflight_others.py",),
        (
            "the running agent is a stranger",
            "any(pid == 1 or ours(pid) for pid in found.holders)",
            "any(pid == 1 for pid in found.holders)",
        ),
        (
            "the enrolment port passes for the manager",
            "if spoke else []\n",
            "if not text else []\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/deliver/tls.py",
        ("tests/sync/test_preflight_others.py",),
        (
            "certificates in a pipe are waited for",
            "        if not stat.S_ISREG(found.st_mode):",
            "        if stat.S_ISDIR(found.st_mode):",
        ),
    ),
    *planted_in(
        f"{AGENT}/own_files.py",
        ("tests/sync/test_own_files.py",),
        (
            "an identity that is gone is no matter",
            'is None:\n                return ""  # nothing was lost',
            'is not path:\n                return ""  # nothing was lost',
        ),
        (
            "a file that is gone is no matter",
            "            elif now is None:\n",
            "            elif now is False:\n",
        ),
        (
            "each look is a line",
            "            if text not in self._warnings:\n",
            "            if text:\n",
        ),
    ),
    *planted_in(
        f"{AGENT}/sync/stream.py",
        ("tests/sync/test_preflight_others.py",),
        (
            "the enrolment port is a method that is not found",
            "    if code is grpc.StatusCode.UNIMPLEMENTED:\n",
            "    if code is None:\n",
        ),
    ),
)
