"""How a command is run: options every command has, the connection, the exit code.

A command is a coroutine function whose first parameter is its Run. A parameter whose type is a
frozen dataclass of options (Consent) stands for those options; typer sees them one by one.
Promises: an error is a sentence on standard error and an exit code, never a traceback; Ctrl-C
says whether anything may have been committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer
from tdc.manager.cli.client import CommitAttempt, Manager, connected
from tdc.manager.cli.config import find_config, read_config
from tdc.manager.cli.errors import (
    CliError,
    ExitCode,
    Interrupted,
    OutputClosed,
    OutputFailed,
    Refused,
    WrongUsage,
)
from tdc.manager.cli.layout import Line
from tdc.manager.cli.render import Out, OutputFormat, write
from tdc.manager.cli.usage import PlainCommand, a_number, plain_complaints
from tdc.shared.edge import signals
from tdc.shared.settings.schema import SettingError
from tdc.shared.wire.errors import BadMessage
from typer.core import TyperGroup

DEFAULT_TIMEOUT = 10.0
MOST = 2**63 - 1
"""The largest number that a request can hold: of a revision, of a copy."""


def _timeout_option(default: float) -> Any:
    return typer.Option(
        "--timeout",
        metavar="SECONDS",
        min=0.1,
        max=3600.0,
        callback=a_number,
        help=f"Seconds to wait for the manager (default {default:g}).",
    )


_Options = TypeVar("_Options")


@dataclass(frozen=True, slots=True)
class Common:
    """Options of every command; those after the verb win over those before the noun."""

    output: Annotated[
        OutputFormat | None, typer.Option("--output", "-o", help="Output format (default table).")
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="operator.toml (default $TDC_CONFIG, then ~/.config/tdc/operator.toml).",
        ),
    ] = None
    timeout: Annotated[float | None, _timeout_option(DEFAULT_TIMEOUT)] = None

    def over(self, outer: Common) -> Common:
        """These options, with those of `outer` where not given here."""
        return Common(
            self.output or outer.output,
            self.config or outer.config,
            self.timeout or outer.timeout,
        )


@dataclass(frozen=True, slots=True)
class Assent:
    """Options of every command that asks before it does something."""

    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; change nothing.")
    ] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it without asking.")] = False


@dataclass(frozen=True, slots=True)
class Consent(Assent):
    """Options of every command whose change is in the history."""

    comment: Annotated[
        str, typer.Option("--comment", "-m", metavar="TEXT", help="Reason, kept in the history.")
    ] = ""


@dataclass(frozen=True, slots=True)
class CommitConsent(Consent):
    """Options of every command that commits settings or topology."""

    wait: Annotated[
        bool,
        typer.Option(
            "--wait", help="Wait until each machine that it changes applied it or said why not."
        ),
    ] = False
    wait_limit: Annotated[
        float,
        typer.Option(
            "--wait-limit",
            metavar="SECONDS",
            min=1.0,
            max=3600.0,
            help="With --wait: how long at most (default 60).",
            show_default=False,
        ),
    ] = 60.0


@dataclass(frozen=True, slots=True)
class ChangeConsent(CommitConsent):
    """Options of every command that plans a commit of its own."""

    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FILE",
            help="Write the plan to a new file, for `tdc commit apply`; commit nothing.",
            show_default=False,
        ),
    ] = None


@dataclass
class Run:
    """One run of a command: its output and, once it asks, its manager.

    `code` is what it ends with if nothing fails. `failed` says what a failure is for a command of
    which the exit code means something else, and returns it. `timeout` holds unless one was typed.
    """

    out: Out
    common: Common
    timeout: float = DEFAULT_TIMEOUT
    attempt: CommitAttempt = field(default_factory=CommitAttempt)
    code: int = ExitCode.DONE
    failed: Callable[[Run, CliError], int] | None = None

    @contextlib.asynccontextmanager
    async def manager(self, *, secret: bool = True) -> AsyncIterator[Manager]:
        """Connect for the body, without a session if not `secret`; raises NoConnection."""
        config = read_config(find_config(self.common.config), secret=secret)
        if config.warnings:
            self.out.tell([Line(f"tdc: {warning}", "yellow") for warning in config.warnings])
        deadline = self.common.timeout or self.timeout
        async with connected(config, deadline, self.attempt) as manager:
            yield manager


class Commands(TyperGroup):
    """A group of commands that answers a mistyped one with all that there are.

    The nearest by spelling could be one that changes something: none is put into anybody's mouth.
    """

    def __init__(self, **given: Any) -> None:
        super().__init__(**(given | {"suggest_commands": False}))

    def make_context(self, info_name: str | None, args: list[str], *rest: Any, **named: Any) -> Any:
        """As TyperGroup does it; complaints are plain."""
        with plain_complaints():
            return super().make_context(info_name, args, *rest, **named)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Find a command by its name; the complaint about another names those there are."""
        found = super().get_command(ctx, cmd_name)
        if found is None and not ctx.resilient_parsing:
            known = ", ".join(self.list_commands(ctx))
            elsewhere = _with_verb(ctx.find_root(), cmd_name)
            ctx.fail(
                f"No such command {cmd_name!r}. Commands of {ctx.command_path}: {known}."
                + (f" There is {elsewhere}." if elsewhere else "")
            )
        return found


def _with_verb(root: Any, verb: str) -> str:
    """Commands elsewhere in the tree that are called just so: `tdc cluster list`."""
    found = [
        f"`{root.command_path} {path}`"
        for noun, below in root.command.commands.items()
        for path in (
            [noun] if noun == verb else [f"{noun} {verb}"] if verb in _commands_of(below) else []
        )
    ]
    return " and ".join(filter(None, [", ".join(found[:-1]), *found[-1:]]))


def _commands_of(command: Any) -> Mapping[str, Any]:
    return command.commands if isinstance(command, TyperGroup) else {}


Body = Callable[..., Awaitable[None]]


def command(
    app: typer.Typer, name: str, *, timeout: float = DEFAULT_TIMEOUT, **settings: Any
) -> Callable[[Body], Body]:
    """Register a coroutine function as the command `name` of `app`."""

    def register(body: Body) -> Body:
        app.command(name, **({"cls": PlainCommand} | settings))(_entry(body, timeout))
        return body

    return register


def global_options(app: typer.Typer) -> None:
    """Accept the options of every command before the noun too; adds --version."""

    def take_options(ctx: typer.Context, **given: Any) -> None:
        del given["version"]  # acted on by its callback
        ctx.obj = Common(**given)

    def show_version(wanted: bool) -> None:
        if wanted:
            from importlib import metadata  # noqa: PLC0415  # needed here only

            write(f"tdc {metadata.version('threat-defense-connector')}")
            raise typer.Exit

    version = Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=show_version, is_eager=True
        ),
    ]
    shown_to_typer = [
        _parameter("ctx", typer.Context),
        *_flattened(Common),
        _parameter("version", version, False),
    ]
    app.callback()(_with_signature(take_options, shown_to_typer))


def _entry(body: Body, timeout: float) -> Callable[..., None]:
    """The function that typer calls for `body`: flat parameters in, exit code out."""
    hints = get_type_hints(body, include_extras=True)
    own = list(inspect.signature(body).parameters.values())[1:]
    groups = {part.name: hints[part.name] for part in own if _is_options(hints[part.name])}

    def entry(ctx: typer.Context, **given: Any) -> None:
        outer = ctx.obj if isinstance(ctx.obj, Common) else Common()
        common = _gather(Common, given).over(outer)
        options = {name: _gather(kind, given) for name, kind in groups.items()}
        run = Run(Out(common.output or OutputFormat.TABLE), common, timeout)

        async def checked_body() -> None:
            _check_words(given)
            for group in options.values():
                _check_words(dataclasses.asdict(group))
            await body(run, **given, **options)

        code = perform(run, checked_body)
        if code:
            raise typer.Exit(code)

    shown_to_typer = [_parameter("ctx", typer.Context)]
    for part in own:
        hint = hints[part.name]
        single = [_parameter(part.name, hint, part.default)]
        shown_to_typer += _flattened(hint) if part.name in groups else single
    shown_to_typer += [
        part.replace(annotation=Annotated[float | None, _timeout_option(timeout)])
        if part.name == "timeout"
        else part
        for part in _flattened(Common)
    ]
    entry.__doc__ = body.__doc__
    return _with_signature(entry, shown_to_typer)


def _check_words(given: Mapping[str, Any]) -> None:
    """Raise WrongUsage for what no request can hold.

    That is an argument that is not UTF-8 (PEP 383), a file's name too, for others will read it;
    and a number beyond those of the wire.
    """
    for value in given.values():
        for each in value if isinstance(value, list | tuple) else [value]:
            text = str(each) if isinstance(each, str | Path) else ""
            if any("\udc80" <= char <= "\udcff" for char in text):
                raise WrongUsage(f"{text!a} is not valid UTF-8. Nothing was changed.")
            if isinstance(each, int) and each > MOST:
                raise WrongUsage(f"{each} is too large: it must be at most {MOST}.")


def _with_signature(
    function: Callable[..., None], parameters: Sequence[inspect.Parameter]
) -> Callable[..., None]:
    """Give `function` the signature that typer reads (PEP 362)."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # PEP 362
    function.__annotations__ = {part.name: part.annotation for part in parameters}
    return function


def _is_options(hint: Any) -> bool:
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def _gather(options: type[_Options], given: dict[str, Any]) -> _Options:
    """Take the fields of `options` out of `given`."""
    names = inspect.signature(options).parameters
    return options(**{name: given.pop(name) for name in names})


def _parameter(name: str, hint: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _flattened(options: Any) -> list[inspect.Parameter]:
    hints = get_type_hints(options, include_extras=True)
    return [
        _parameter(part.name, hints[part.name], part.default)
        for part in dataclasses.fields(options)
    ]


def perform(run: Run, body: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run a command to its end; an error goes to standard error. Returns the exit code."""
    try:
        signals.unblock(signal.SIGINT)  # which waited while the libraries were loaded
        asyncio.run(body())
    except OutputFailed as error:
        return _end(run, OutputFailed(f"{error} {_outcome(run.attempt)}"))
    except CliError as error:
        return _end(run, error)
    except (BadMessage, SettingError) as error:
        return _end(
            run,
            Refused(
                f"This tdc can't read the manager's answer: {error}. "
                f"Update tdc to the manager's version."
            ),
        )
    except KeyboardInterrupt:
        return _end(run, _interrupted(run.attempt))
    except Exception as error:
        if os.environ.get("TDC_DEBUG"):
            raise
        return _end(
            run,
            Refused(
                f"Internal error in tdc: {type(error).__name__}: {error}. "
                f"Run it again with TDC_DEBUG=1 and report the output."
            ),
        )
    return run.code


def _interrupted(attempt: CommitAttempt) -> Interrupted:
    if attempt.made and not attempt.doubt:
        return Interrupted(f"Interrupted, after {_made(attempt)} committed.")
    return Interrupted(f"Interrupted. {_outcome(attempt)}")


def _outcome(attempt: CommitAttempt) -> str:
    words = _made(attempt)
    made = [f"{words[0].upper()}{words[1:]} committed."] if attempt.made else []
    unsure = [attempt.doubt] if attempt.doubt else []
    return " ".join([*unsure, *made]) or "Nothing was committed."


def _made(attempt: CommitAttempt) -> str:
    """What was committed, up to the verb."""
    return f"{' and '.join(attempt.made)} {'was' if len(attempt.made) == 1 else 'were'}"


def _end(run: Run, error: CliError) -> int:
    if run.failed is not None and not isinstance(error, OutputClosed | Interrupted):
        return run.failed(run, error)
    if not isinstance(error, OutputClosed):
        run.out.tell([Line(f"tdc: {error}", "red")])
    return error.exit_code
