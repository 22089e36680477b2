"""`tdc`: the tree of commands, and the process around them.

Of the tree, what the typed words name is loaded, and all of it only for help and complaints: most
of the time that a command takes is that of its libraries.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator, MutableMapping
from importlib import import_module
from typing import Any

import typer
from tdc.manager.cli.command import Commands, global_options
from tdc.manager.cli.errors import CliError
from tdc.manager.cli.render import unwritten

_PLACES = {
    "status": ("monitoring", "add_status"),
    "export": ("documents", "add_export"),
    "apply": ("documents", "add_apply"),
    "cluster": ("fleet", "cluster_app"),
    "group": ("fleet", "group_app"),
    "machine": ("suspensions", "machine_app"),
    "settings": ("settings", "app"),
    "draft": ("draft", "app"),
    "commit": ("commits", "app"),
    "recover": ("recover", "add_recover"),
    "audit": ("audit", "app"),
    "delivery": ("queue", "delivery_app"),
    "login": ("login", "add_login"),
    "logout": ("login", "add_logout"),
    "whoami": ("login", "add_whoami"),
    "user": ("people", "user_app"),
    "session": ("people", "session_app"),
    "token": ("people", "token_app"),
    "operator": ("people", "operator_app"),
    "manager": ("managers", "app"),
}
"""The module of each command, and what of it adds the command, or is the group of commands; in the
order in which help shows them."""


class _Places(MutableMapping[str, Any]):
    """The commands of `tdc` by name, each loaded when it is asked for."""

    def __init__(self) -> None:
        self._loaded: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._loaded:
            if name not in _PLACES:
                raise KeyError(name)
            module, what = _PLACES[name]
            found, app = getattr(import_module(f"tdc.manager.cli.{module}"), what), _app(Commands)
            if isinstance(found, typer.Typer):
                app.add_typer(found, name=name)
            else:
                found(app)
            self._loaded[name] = typer.main.get_group(app).commands[name]
        return self._loaded[name]

    def __iter__(self) -> Iterator[str]:
        return iter(_PLACES | self._loaded)

    def __len__(self) -> int:
        return len(_PLACES | self._loaded)

    def __setitem__(self, name: str, command: Any) -> None:
        self._loaded[name] = command

    def __delitem__(self, name: str) -> None:
        raise KeyError(name)


class _Root(Commands):
    """`tdc` itself."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**(given | {"commands": _Places()}))


def _app(cls: type[Commands]) -> typer.Typer:
    return typer.Typer(
        cls=cls,
        name="tdc",
        help="Manage Threat Defense Connector: settings and delivery of your mail gateways.",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


app = _app(_Root)
global_options(app)


def main() -> None:
    """Run `tdc` with the process's arguments; ends by SystemExit."""
    for stream in (sys.stdout, sys.stderr):
        # A letter that the locale lacks must not turn an answer into a traceback.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="tdc")
    except (OSError, CliError) as error:  # of --help and --version, which no command runs
        raise SystemExit(unwritten(error)) from None
