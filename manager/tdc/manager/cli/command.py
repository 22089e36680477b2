"""How a command is run: options every command has, the connection, the exit code.

A command is a coroutine function whose first parameter is its Session; parameters whose type is
a frozen dataclass of options (Consent) become those options. Typer sees the whole signature.
Promises: an error is a sentence on standard error and an exit code, never a traceback; Ctrl-C
says whether anything may have been committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import inspect
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer
from tdc.manager.cli.client import CommitAttempt, Manager, connected, may_be_made
from tdc.manager.cli.config import find_config, read_config
from tdc.manager.cli.errors import CliError, Interrupted, OutputClosed, Refused, WrongUsage
from tdc.manager.cli.layout import Line
from tdc.manager.cli.render import Out, OutputFormat, write
from tdc.shared.settings.schema import SettingError

DEFAULT_TIMEOUT = 10.0

_Options = TypeVar("_Options")


@dataclass(frozen=True, slots=True)
class Common:
    """Options of every command; given before the noun they hold unless given again after it."""

    output: Annotated[
        OutputFormat | None, typer.Option("--output", "-o", help="Form of the output.")
    ] = None
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            metavar="FILE",
            help="operator.toml; else $TDC_CONFIG, else ~/.config/tdc/operator.toml.",
        ),
    ] = None
    timeout: Annotated[
        float | None,
        typer.Option(
            "--timeout",
            metavar="SECONDS",
            min=0.1,
            max=3600.0,
            help=f"Longest wait for one answer of the manager; else {DEFAULT_TIMEOUT:g}.",
        ),
    ] = None

    def over(self, outer: Common) -> Common:
        """Return these options with those of `outer` where one is not given here."""
        return Common(
            self.output or outer.output,
            self.config or outer.config,
            self.timeout or outer.timeout,
        )


@dataclass(frozen=True, slots=True)
class Consent:
    """Options of every command that changes something."""

    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Commit without asking.")] = False
    comment: Annotated[
        str, typer.Option("--comment", "-m", metavar="TEXT", help="Why; kept in the history.")
    ] = ""


@dataclass
class Session:
    """What one run of a command has: its output and, once it asks for it, its manager."""

    out: Out
    common: Common
    attempt: CommitAttempt = field(default_factory=CommitAttempt)

    @contextlib.asynccontextmanager
    async def manager(self) -> AsyncIterator[Manager]:
        """Connect for the body; raises NoConnection."""
        config = read_config(find_config(self.common.config))
        if config.warnings:
            self.out.tell([Line(f"tdc: {warning}", "yellow") for warning in config.warnings])
        deadline = self.common.timeout or DEFAULT_TIMEOUT
        async with connected(config, deadline, self.attempt) as manager:
            yield manager


Body = Callable[..., Awaitable[None]]


def command(app: typer.Typer, name: str, **settings: Any) -> Callable[[Body], Body]:
    """Register a coroutine function as the command `name` of `app`."""

    def register(body: Body) -> Body:
        app.command(name, **settings)(_entry(body))
        return body

    return register


def global_options(app: typer.Typer) -> None:
    """Let the options of every command also be given before the noun; adds --version."""

    def take_options(ctx: typer.Context, **given: Any) -> None:
        del given["version"]  # acted on by its callback
        ctx.obj = Common(**given)

    def show_version(wanted: bool) -> None:
        if wanted:
            write(f"tdc {metadata.version('threat-defense-connector')}")
            raise typer.Exit

    version = Annotated[
        bool,
        typer.Option(
            "--version", help="Show the version and leave.", callback=show_version, is_eager=True
        ),
    ]
    shown_to_typer = [
        _parameter("ctx", typer.Context),
        *_flattened(Common),
        _parameter("version", version, False),
    ]
    app.callback()(_with_signature(take_options, shown_to_typer))


def _entry(body: Body) -> Callable[..., None]:
    """Return the function that typer calls for `body`: flat parameters in, exit code out."""
    hints = get_type_hints(body, include_extras=True)
    own = list(inspect.signature(body).parameters.values())[1:]
    groups = {part.name: hints[part.name] for part in own if _is_options(hints[part.name])}

    def entry(ctx: typer.Context, **given: Any) -> None:
        outer = ctx.obj if isinstance(ctx.obj, Common) else Common()
        common = _gather(Common, given).over(outer)
        options = {name: _gather(kind, given) for name, kind in groups.items()}
        session = Session(Out(common.output or OutputFormat.TABLE), common)

        async def checked_body() -> None:
            _check_text(given)
            for group in options.values():
                _check_text(dataclasses.asdict(group))
            await body(session, **given, **options)

        code = perform(session, checked_body)
        if code:
            raise typer.Exit(code)

    shown_to_typer = [_parameter("ctx", typer.Context)]
    for part in own:
        hint = hints[part.name]
        single = [_parameter(part.name, hint, part.default)]
        shown_to_typer += _flattened(hint) if part.name in groups else single
    shown_to_typer += _flattened(Common)
    entry.__doc__ = body.__doc__
    return _with_signature(entry, shown_to_typer)


def _check_text(given: Mapping[str, Any]) -> None:
    """Raise WrongUsage for an argument that was no UTF-8 (PEP 383), which no name can hold."""
    for value in given.values():
        for text in value if isinstance(value, list | tuple) else [value]:
            if isinstance(text, str) and any("\udc80" <= char <= "\udcff" for char in text):
                raise WrongUsage(f"{text!a} is not text in UTF-8. Nothing was changed.")


def _with_signature(
    function: Callable[..., None], parameters: Sequence[inspect.Parameter]
) -> Callable[..., None]:
    """Give `function` the signature that typer shall read (PEP 362)."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # PEP 362
    function.__annotations__ = {part.name: part.annotation for part in parameters}
    return function


def _is_options(hint: Any) -> bool:
    return isinstance(hint, type) and dataclasses.is_dataclass(hint)


def _gather(options: type[_Options], given: dict[str, Any]) -> _Options:
    """Take the fields of `options` out of what was given."""
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


def perform(session: Session, body: Callable[[], Coroutine[Any, Any, None]]) -> int:
    """Run a command to its end and return the exit code; says on standard error what went wrong."""
    try:
        asyncio.run(body())
    except CliError as error:
        return _end(session, error)
    except SettingError as error:
        return _end(
            session,
            Refused(
                f"The manager's answer holds a setting that this tdc can't read: {error}. "
                f"Update tdc to the manager's version."
            ),
        )
    except KeyboardInterrupt:
        return _end(session, _interrupted(session.attempt))
    except Exception as error:
        if os.environ.get("TDC_DEBUG"):
            raise
        return _end(
            session,
            Refused(
                f"A fault of tdc itself: {type(error).__name__}: {error}. "
                f"Run it again with TDC_DEBUG=1 and report what it prints."
            ),
        )
    return 0


def _interrupted(attempt: CommitAttempt) -> Interrupted:
    if attempt.revision:
        return Interrupted(f"Interrupted. Revision {attempt.revision} had been made already.")
    if attempt.request_id:
        return Interrupted(f"Interrupted. {may_be_made(attempt.request_id)}")
    return Interrupted("Interrupted. Nothing was committed by this command.")


def _end(session: Session, error: CliError) -> int:
    if not isinstance(error, OutputClosed):
        session.out.tell([Line(f"tdc: {error}", "red")])
    return error.exit_code
