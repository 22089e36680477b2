"""`tdc-agent`: its verbs and flags, and what each ends with.

Exit codes: 0 done, 1 refused or failed (a supervisor should start the agent again), 2 wrong usage,
an unusable agent.toml included, 130 interrupted.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import uvloop
from tdc.node_agent import checked_file, lifetime, passed_sockets, preflight
from tdc.node_agent.ingest.filter import FilterUnavailable
from tdc.node_agent.log.lines import TdcLog
from tdc.node_agent.log.opening import opened_log
from tdc.node_agent.options import AgentOptions, AgentOptionsError, host_port, options_in, read_text
from tdc.node_agent.passed_sockets import PassedSocketUnusable
from tdc.node_agent.spool.values import SpoolError
from tdc.node_agent.sync import identity
from tdc.node_agent.sync.enrol import EnrolFailed, enrol
from tdc.node_agent.sync.owner import belongs_to_root
from tdc.node_agent.trial import WARNING
from tdc.node_agent.version import VERSION
from tdc.shared.edge import signals
from tdc.shared.edge.os_words import os_reason

DONE, FAILED, WRONG_USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `tdc-agent`; ends by SystemExit."""
    flags = _parser().parse_args(arguments)
    if flags.verb != "run":
        signals.unblock(*lifetime.ASKED_BY)
    try:
        text = checked_file.take(os.environ)
        options = options_in(read_text(flags.config) if text is None else text, flags.config)
    except AgentOptionsError as error:
        _complain(str(error))
        raise SystemExit(WRONG_USAGE) from None
    verbs = {"enrol": _enrol, "check": _check, "run": _run}
    raise SystemExit(verbs[flags.verb](options, flags))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tdc-agent", description="The agent of one gateway.")
    parser.add_argument("--version", action="version", version=f"%(prog)s {VERSION}")
    verbs = parser.add_subparsers(dest="verb", required=True)
    joining = verbs.add_parser("enrol", help="get this machine's certificate with a join token")
    joining.add_argument("--manager", required=True, help="host:port of the enrolment port")
    token = joining.add_mutually_exclusive_group(required=True)
    token.add_argument("--token-file", help="file with the join token; - for standard input")
    token.add_argument("--token", help="the join token; other users can see it in `ps`")
    running = verbs.add_parser(
        "run",
        help="run until SIGTERM or SIGINT; SIGHUP opens the log again and reads agent.toml, "
        "SIGUSR1 only opens the log again, SIGUSR2 restarts in place",
    )
    checking = verbs.add_parser("check", help="say whether agent.toml can be used, and end")
    for verb in (joining, running, checking):
        verb.add_argument("--config", type=Path, required=True, help="agent.toml")
    return parser


def _complain(problem: str) -> None:
    print(f"tdc-agent: {problem}", file=sys.stderr)  # noqa: T201


# --- enrol --------------------------------------------------------------------------------


def _enrol(options: AgentOptions, flags: argparse.Namespace) -> int:
    try:
        host_port(flags.manager, example="manager.corp.example:7444")
    except ValueError as error:
        _complain(f"--manager: {error}")
        return WRONG_USAGE
    try:
        token = flags.token or _read_token(flags.token_file)
    except OSError as error:
        _complain(f"can't read the token from {flags.token_file}: {os_reason(error)}")
        return WRONG_USAGE
    except UnicodeDecodeError:
        _complain(f"can't read the token from {flags.token_file}: it is not UTF-8")
        return WRONG_USAGE
    except KeyboardInterrupt:
        _complain("interrupted; nothing was sent")
        return INTERRUPTED
    work = enrol(flags.manager, token.strip(), options.identity_folder, options.state_folder)
    try:
        made = asyncio.run(work)
    except EnrolFailed as error:
        _complain(f"not enrolled: {error}")
        return FAILED
    except KeyboardInterrupt:
        _complain("interrupted; if the token was used by now, enrolling again needs a new one")
        return INTERRUPTED
    print(  # noqa: T201
        f"Machine {made.machine} of cluster {made.cluster} is enrolled. Its certificate expires "
        f"{identity.day(made.ends)}; the agent renews it before that."
    )
    if belongs_to_root(options.state_folder):
        _complain(
            f"{WARNING}this identity belongs to root. If the agent runs as another user, give it "
            f"all of its folder: chown -R USER {options.state_folder}"
        )
    return DONE


def _read_token(path: str) -> str:
    if path != "-":
        return Path(path).read_text(encoding="utf-8")
    if sys.stdin.isatty():
        print("Paste the join token, then Enter:", file=sys.stderr, flush=True)  # noqa: T201
    return sys.stdin.readline()


# --- check, run ---------------------------------------------------------------------------


def _check(options: AgentOptions, flags: argparse.Namespace) -> int:
    """Say whether a start would succeed; what is wrong in form was refused before."""
    found = preflight.findings(options, flags.config)
    for warning in found.warnings:
        _complain(f"{WARNING}{warning}")
    for fault in found.faults:
        _complain(fault)
    if found.faults:
        return WRONG_USAGE
    print(f"{flags.config} can be used.")  # noqa: T201
    return DONE


def _run(options: AgentOptions, flags: argparse.Namespace) -> int:
    """Run the agent until a signal ends it; a restart in place does not return."""
    signals.block(*lifetime.ASKED_BY)  # before there is a thread
    try:
        passed = passed_sockets.take(os.environ)
    except PassedSocketUnusable as error:
        _complain(str(error))
        return FAILED
    with opened_log(options.log.intake_name, options.log.file) as log:
        work = lifetime.serve_until_signal(flags.config, options, log, passed)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                following = runner.run(work)
        except Exception as error:  # the last place that can log it
            _log_failure(log, error)
            return FAILED
    if following is not None:
        try:
            lifetime.restart(following)
        except OSError as error:
            _complain(f"can't execute {sys.executable} again: {os_reason(error)}")
            return FAILED
    return DONE


def _log_failure(log: TdcLog, error: BaseException) -> None:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            _log_failure(log, each)
    else:
        # These are sentences for operators; of an unforeseen error, the class helps us.
        name = (
            "" if isinstance(error, FilterUnavailable | SpoolError) else f"{type(error).__name__}: "
        )
        log.error(f"the agent ends: {name}{error}")


if __name__ == "__main__":
    main()
