"""What `tdc-manager` is called with: its verbs and their flags.

Out: the flags that were given, by name, and `verb`. What is wrong with them ends the program with
exit code 2, as argparse does.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from tdc.manager.options import add_flags
from tdc.manager.people.user import PeopleError, check_user_name

DISTRIBUTION = "threat-defense-connector"
_Parser = argparse.ArgumentParser


def read_flags(arguments: Sequence[str] | None) -> Mapping[str, object]:
    """Read the arguments, of the command line if None; ends by SystemExit."""
    parser = argparse.ArgumentParser(
        prog="tdc-manager", description="The manager of Threat Defense Connectors."
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {version(DISTRIBUTION)}")
    parsers = parser.add_subparsers(dest="verb", required=True)
    init = parsers.add_parser("init", help="make the data folder, the CA and the first operator")
    init.add_argument(
        "--operator", default="admin", type=_operator_name, help="name of the first operator"
    )
    init.add_argument(
        "--join",
        type=Path,
        metavar="PACKAGE",
        help="set up one more manager of a store, from a package that `package` made there",
    )
    init.add_argument(
        "--passphrase-file",
        type=Path,
        metavar="FILE",
        help="with --join: file with the package's passphrase, or - for standard input",
    )
    package = parsers.add_parser(
        "package", help="make the file from which another manager of this store is set up"
    )
    package.add_argument("--out", required=True, type=Path, help="file to make")
    run = parsers.add_parser(
        "run", help="run until SIGTERM or SIGINT; SIGHUP reads the options again"
    )
    operator = parsers.add_parser("operator", help="make the folder that another operator needs")
    operator.add_argument(
        "--operator", required=True, type=_operator_name, help="name of the operator"
    )
    operator.add_argument("--out", required=True, type=Path, help="folder to make")
    adopting = parsers.add_parser(
        "adopt", help="say that this store is the only one: after a move, a copy, a restored backup"
    )
    adopting.add_argument(
        "--keep-id",
        action="store_true",
        help="only bind an embedded store to this folder: before `tdc recover`",
    )
    repairing = parsers.add_parser(
        "repair", help="put right, from history, what somebody wrote or deleted in etcd by hand"
    )
    repairing.add_argument("--dry-run", action="store_true", help="only say what would be done")
    backing_up = parsers.add_parser(
        "backup", help="write the store into one file, also while managers run"
    )
    restoring = parsers.add_parser(
        "restore", help="make the store again from a backup; it must be empty"
    )
    _backup_flags(backing_up, restoring)
    examining = parsers.add_parser(
        "doctor",
        help="what is wrong, what it means, and the command that fixes it; changes nothing",
    )
    examining.add_argument(
        "-o", "--output", choices=("text", "json"), default="text", help="text or json"
    )
    recovering = parsers.add_parser(
        "user-recover", help="make an administrator again, when nobody can log in any more"
    )
    recovering.add_argument("--user", required=True, help="name of the user")
    recovering.add_argument(
        "--password-file", required=True, type=Path, help="file with the new password"
    )
    rotating = _ca_flags(parsers)
    for verb in (
        *rotating,
        *(init, package, run, operator, adopting, repairing),
        *(backing_up, examining, recovering),
    ):
        add_flags(verb)
    add_flags(restoring, anywhere=True)  # --dry-run only reads the file
    return vars(parser.parse_args(arguments))


def _ca_flags(parsers: argparse._SubParsersAction[_Parser]) -> list[_Parser]:
    """`ca` and its steps; returns their parsers."""
    ca = parsers.add_parser("ca", help="replace the CA while everything runs, step by step")
    steps = ca.add_subparsers(dest="step", required=True)
    made = {
        name: steps.add_parser(name, help=text)
        for name, text in (
            ("status", "which CAs are trusted, and who is not ready for the next step"),
            ("prepare", "make a new CA, which all learn to trust beside the present one"),
            ("switch", "let the new CA sign; machines renew, and the old one is trusted still"),
            ("finish", "trust the new CA alone; it can't be undone"),
            ("abort", "drop a new CA that does not sign"),
        )
    }
    made["switch"].add_argument("--back", action="store_true", help="let the old CA sign again")
    for name in ("switch", "finish", "abort"):
        made[name].add_argument(
            "--force", action="store_true", help="also where not everybody is ready"
        )
    return list(made.values())


def _backup_flags(backing_up: _Parser, restoring: _Parser) -> None:
    backing_up.add_argument("--out", required=True, type=Path, help="file to write; not there yet")
    backing_up.add_argument(
        "--with-ca", action="store_true", help="the CA too, encrypted under a passphrase"
    )
    restoring.add_argument("file", type=Path, metavar="FILE", help="what `backup` wrote")
    restoring.add_argument("--dry-run", action="store_true", help="only say what is in the file")
    restoring.add_argument(
        "--adopt", action="store_true", help="give the store a new id, as `adopt` does"
    )
    restoring.add_argument(
        "--keep-ca", action="store_true", help="keep the folder's CA, though it is another"
    )
    restoring.add_argument(
        "--with-faults", action="store_true", help="restore also what managers did not write so"
    )
    for verb in (backing_up, restoring):
        verb.add_argument(
            "--passphrase-file", type=Path, help="file whose first line is the CA's passphrase"
        )


def _operator_name(text: str) -> str:
    """Refuse a name that no user may have, by ArgumentTypeError: it would be a user's."""
    try:
        return check_user_name(text)
    except PeopleError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
