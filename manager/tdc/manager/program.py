"""`tdc-manager`: its verbs, flags, output, exit codes.

Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 4 done, but what it saw was not all sound.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from shlex import quote

from tdc.manager.backup import verbs
from tdc.manager.backup.form import NotABackup
from tdc.manager.backup.passphrase import PassphraseRefused
from tdc.manager.doctor.verb import doctor
from tdc.manager.etcd.errors import EtcdError, EtcdSetupError
from tdc.manager.first_setup import AlreadySetUp, add_operator, address, set_up
from tdc.manager.flags import read_flags
from tdc.manager.identity.ca_folder import AuthorityMissing, AuthorityUnusable
from tdc.manager.identity.ca_state import StepRefused
from tdc.manager.intent.permissions import PermissionTableError
from tdc.manager.joining import PackageUnusable, join, make_package
from tdc.manager.membership import IdTaken, fresh_id
from tdc.manager.options import Options, OptionsError, lasting, read_options
from tdc.manager.own_ports import last_ports
from tdc.manager.people.user import PeopleError
from tdc.manager.reload import Reload
from tdc.manager.rotation import verbs as rotation
from tdc.manager.rpc.server import PortTaken
from tdc.manager.serve import served
from tdc.manager.setup_address import offered
from tdc.manager.store.errors import StoreError
from tdc.manager.upkeep import adopt, placed, recovered_user, repaired
from tdc.manager.view.fleet import NotReady
from tdc.manager.web.console import ConsolePortTaken
from tdc.manager.web.tls import CertificateUnusable
from tdc.shared.edge import collector, descriptors, durable_file, memory, signals
from tdc.shared.edge.background_log import BackgroundHandler, standard_error
from tdc.shared.edge.clock import wall
from tdc.shared.edge.tasks import running
from tdc.shared.sync.values import BadIntervals

log = logging.getLogger(__name__)

_UNSOUND = 4
"""The exit code of what was done, where not all that was seen is as it should be."""

_REFUSALS = (
    AlreadySetUp,
    AuthorityMissing,
    AuthorityUnusable,
    BadIntervals,
    CertificateUnusable,
    ConsolePortTaken,
    NotABackup,
    NotReady,
    OptionsError,
    PassphraseRefused,
    PackageUnusable,
    PermissionTableError,
    PortTaken,
    EtcdError,
    EtcdSetupError,
    StepRefused,
    StoreError,
    durable_file.NotReadable,
    durable_file.NotWritten,
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `tdc-manager`; ends by SystemExit."""
    flags = read_flags(arguments)
    if flags["verb"] != "run":
        signals.unblock(*signals.LATER)
    commands = {
        "init": init_command,
        "package": package_command,
        "run": run_command,
        "operator": operator_command,
        "adopt": adopt_command,
        "repair": repair_command,
        "backup": backup_command,
        "restore": restore_command,
        "doctor": doctor_command,
        "ca": ca_command,
        "user-recover": recover_command,
    }
    try:
        code = commands[str(flags["verb"])](flags)
    except OptionsError as error:
        print(f"tdc-manager: {error}", file=sys.stderr)  # noqa: T201
        code = 2
    raise SystemExit(code)


def init_command(flags: Mapping[str, object]) -> int:
    """Set up a data folder; returns the exit code. Flags: `options.add_flags`, and ``operator``."""
    options = read_options(flags)
    given = lasting(options, flags)
    if flags.get("join") is not None:
        return _join(options, given, Path(str(flags["join"])), flags.get("passphrase_file"))
    try:
        operator_file = set_up(options, given, str(flags.get("operator") or "admin"))
        console = offered(options)
    except _REFUSALS as error:
        return _refused(error)
    print(  # noqa: T201
        f"The manager's folder is {options.folder}. Run it: tdc-manager run --folder "
        f"{quote(str(options.folder))}\nOperators use: tdc --config {quote(str(operator_file))} … "
        "(copy the operator's folder to where it is used, and keep its key private)\n"
        "Begin with: tdc cluster create NAME, then tdc machine create NAME --group Main_Group"
        + (f"\nThe first user of the console, within 15 minutes: {console}" if console else "")
    )
    return 0


def _join(
    options: Options, given: Mapping[str, object], package: Path, passphrase_file: object
) -> int:
    """Set up one more manager of a store; returns the exit code."""
    if passphrase_file is None:
        raise OptionsError("--join needs --passphrase-file FILE, or - for standard input")
    try:
        if str(passphrase_file) == "-":
            passphrase = sys.stdin.readline()
        else:
            passphrase = durable_file.read(Path(str(passphrase_file))).decode("utf-8", "replace")
        written = join(options, given, package, passphrase)
    except _REFUSALS as error:
        return _refused(error)
    print(  # noqa: T201
        f"Written: {', '.join(map(str, written))}. Remove {package}: it holds the CA's key. Run "
        f"the manager: tdc-manager run --folder {quote(str(options.folder))}; `tdc manager list`, "
        "asked of any manager, shows it. Operators' folders of the first manager are good here too"
    )
    return 0


def package_command(flags: Mapping[str, object]) -> int:
    """Make the file from which another manager is set up; returns the exit code."""
    options, out = read_options(flags), Path(str(flags["out"]))
    try:
        made = make_package(options, out)
    except _REFUSALS as error:
        return _refused(error)
    print(  # noqa: T201
        f"{out} holds {', '.join(made.holds)}. It is closed by this passphrase, which is not shown "
        f"again:\n{made.passphrase}\nCopy the file to the other machine, tell the passphrase by "
        f"another way, and run there within a day: tdc-manager init --join {quote(out.name)} "
        "--passphrase-file - --folder FOLDER --names NAME"
    )
    return 0


def operator_command(flags: Mapping[str, object]) -> int:
    """Make the folder ``out`` for the operator ``operator``; returns the exit code."""
    options = read_options(flags)
    last = last_ports(options)
    port = options.listen_port or (last.main if last else 0)
    try:
        operator_file = add_operator(
            options.folder,
            Path(str(flags["out"])),
            str(flags["operator"]),
            address(options, port),
        )
    except _REFUSALS as error:
        return _refused(error)
    print(f"Operators use: tdc --config {quote(str(operator_file))} …")  # noqa: T201
    return 0


def adopt_command(flags: Mapping[str, object]) -> int:
    """Make the store the only one; returns the exit code."""
    options = read_options(flags)
    try:
        if flags.get("keep_id"):
            asyncio.run(placed(options))
            print(  # noqa: T201
                "The store belongs here and keeps its id: machines that run a higher revision "
                "keep what they run. Start the manager, run `tdc recover` for each cluster, then "
                "`tdc-manager adopt`."
            )
            return 0
        made = asyncio.run(adopt(options))
    except _REFUSALS as error:
        return _refused(error)
    print(  # noqa: T201
        f"The store has the new id {made[:8]}. Machines that reach this store take what it has, "
        "whatever revision they run, and refuse other copies from then on. Start the manager now, "
        "and never one on a copy."
    )
    return 0


def repair_command(flags: Mapping[str, object]) -> int:
    """Look for what was written or deleted by hand, and put it right; returns the exit code."""
    options = read_options(flags)
    try:
        found = asyncio.run(repaired(options, write=not flags.get("dry_run")))
    except _REFUSALS as error:
        return _refused(error)
    for finding in found:
        print(finding.text)  # noqa: T201
    if not found:
        print("Every document is as its commits left it.")  # noqa: T201
    return 0 if all(finding.right for finding in found) else 1


def recover_command(flags: Mapping[str, object]) -> int:
    """Make ``user`` an administrator with the password in ``password_file``; the exit code."""
    options = read_options(flags)
    try:
        text = durable_file.read(Path(str(flags["password_file"]))).decode()
        password = next(iter(text.splitlines()), "")
        said = asyncio.run(recovered_user(options, str(flags["user"]), password, wall()))
    except UnicodeDecodeError:
        return _refused(OptionsError(f"{flags['password_file']} is not UTF-8"))
    except (*_REFUSALS, PeopleError) as error:
        return _refused(error)
    print(  # noqa: T201
        f"{said}. His sessions have ended and his one-time codes are gone. Log in: tdc login "
        f"{quote(str(flags['user']))}"
    )
    return 0


def backup_command(flags: Mapping[str, object]) -> int:
    """Write a backup; returns the exit code."""
    options = read_options(flags)
    out, secret = Path(str(flags["out"])), _path(flags, "passphrase_file")
    with_ca = bool(flags.get("with_ca"))
    try:
        told = asyncio.run(verbs.backup(options, out, with_ca=with_ca, secret=secret))
    except _REFUSALS as error:
        return _refused(error)
    return _told(told)


def restore_command(flags: Mapping[str, object]) -> int:
    """Restore a backup, or say what is in it; returns the exit code."""
    file, secret = Path(str(flags["file"])), _path(flags, "passphrase_file")
    try:
        if flags.get("dry_run"):
            return _told(verbs.described(file, secret))
        options = read_options(flags)
        how = verbs.How(
            new_id=bool(flags.get("adopt")),
            keep_ca=bool(flags.get("keep_ca")),
            with_faults=bool(flags.get("with_faults")),
            secret=secret,
            given=lasting(options, flags),
        )
        return _told(asyncio.run(verbs.restored(options, file, how)))
    except OptionsError:
        raise
    except _REFUSALS as error:
        return _refused(error)


def doctor_command(flags: Mapping[str, object]) -> int:
    """Say what is wrong; returns the exit code."""
    options = read_options(flags)
    try:
        text, code = asyncio.run(doctor(options, as_json=flags.get("output") == "json"))
    except _REFUSALS as error:
        return _refused(error)
    print(text)  # noqa: T201
    return code


def ca_command(flags: Mapping[str, object]) -> int:
    """Make a step of the CA's rotation, or say where it is; returns the exit code."""
    options, force = read_options(flags), bool(flags.get("force"))
    steps: dict[str, Callable[[], Coroutine[None, None, rotation.Stood]]] = {
        "status": lambda: rotation.status(options),
        "prepare": lambda: rotation.prepare(options),
        "switch": lambda: rotation.switch(options, back=bool(flags.get("back")), force=force),
        "finish": lambda: rotation.finish(options, force=force),
        "abort": lambda: rotation.abort(options, force=force),
    }
    try:
        stood = asyncio.run(steps[str(flags["step"])]())
    except _REFUSALS as error:
        return _refused(error)
    for line in stood.lines:
        print(line)  # noqa: T201
    return 0 if stood.ready else _UNSOUND


def _path(flags: Mapping[str, object], name: str) -> Path | None:
    found = flags.get(name)
    return Path(str(found)) if found is not None else None


def _told(told: verbs.Told) -> int:
    for line in told.lines:
        print(line)  # noqa: T201
    return 0 if told.sound else _UNSOUND


def run_command(flags: Mapping[str, object]) -> int:
    """Run a manager until SIGTERM or SIGINT; returns the exit code."""
    options = read_options(flags)
    # A thread writes the lines: a full disk or a reader that hangs must not hold up a commit.
    lines = BackgroundHandler(standard_error())
    logging.basicConfig(
        level=options.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
        handlers=[lines],
    )
    log.info("up to %d files and connections may be open", descriptors.raise_limit())
    memory.map_large_blocks()
    try:
        refusal = _ran(options, Reload(options, flags))
    finally:
        lines.close()
    return _refused(refusal) if refusal else 0


def _ran(options: Options, reload: Reload) -> BaseException | None:
    """Run until a signal; return why it could not."""
    try:
        asyncio.run(_until_signal(options, reload))
    except _REFUSALS as error:
        return error
    except BaseExceptionGroup as group:
        first = _first(group)
        if not isinstance(first, _REFUSALS):
            raise
        return first
    return None


async def _until_signal(options: Options, reload: Reload) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, reload)
    for each in (signal.SIGUSR1, signal.SIGUSR2):
        loop.add_signal_handler(each, _without_effect, each)
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)
    signals.unblock(*signals.LATER)  # before etcd is started, which would inherit it
    # A task of its own, so that a signal also ends a start that is still waiting for etcd.
    async with running(_serve(options), name="manager"):
        await stop.wait()
        log.info("stopping")


def _without_effect(number: signal.Signals) -> None:
    """Say so: an agent, which has a log file and restarts in place, does something for it."""
    log.warning("%s does nothing at a manager: it logs to standard error", number.name)


async def _serve(options: Options) -> None:
    """Serve until cancelled; again, with an id of its own, where another manager has this one's."""
    while True:
        try:
            await _serve_as_one(options)
        except (IdTaken, BaseExceptionGroup) as error:
            taken = _first(error) if isinstance(error, BaseExceptionGroup) else error
            if not isinstance(taken, IdTaken) or _is_cancelled():
                raise
            log.warning("%s. This one gets another id: %s", taken, fresh_id(options.folder))


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _serve_as_one(options: Options) -> None:
    async with served(options):
        collector.calm()
        await asyncio.get_running_loop().create_future()  # until cancelled


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the first error inside nested groups."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _refused(error: BaseException) -> int:
    print(f"tdc-manager: {error}", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    main()
