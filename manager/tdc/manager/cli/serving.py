"""`tdc manager init|run|operator`: the manager itself, for who would rather type one name.

The arguments go to `tdc-manager` as they are; nothing of it is imported for any other command.
"""

from __future__ import annotations

import sys

import typer

app = typer.Typer(help="The manager on this machine: init, run, operator.", no_args_is_help=True)
_AS_THEY_ARE = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],  # --help is that of tdc-manager
}


@app.command("init", context_settings=_AS_THEY_ARE, add_help_option=False)
def init(ctx: typer.Context) -> None:
    """Make a manager's data folder, CA and first operator; options as of tdc-manager init."""
    _pass_on("init", ctx)


@app.command("run", context_settings=_AS_THEY_ARE, add_help_option=False)
def run(ctx: typer.Context) -> None:
    """Run a manager until it is told to stop; options as of tdc-manager run."""
    _pass_on("run", ctx)


@app.command("operator", context_settings=_AS_THEY_ARE, add_help_option=False)
def operator(ctx: typer.Context) -> None:
    """Make the folder that another operator needs; options as of tdc-manager operator."""
    _pass_on("operator", ctx)


def _pass_on(verb: str, ctx: typer.Context) -> None:
    try:
        from tdc.manager.program import main  # noqa: PLC0415  # heavy, and needs the manager extra
    except ImportError as error:
        print(
            f"tdc: {error}. To run a manager here, install it: "
            f"pip install 'threat-defense-connector[manager,cli]'.",
            file=sys.stderr,
        )
        raise typer.Exit(1) from None
    main([verb, *ctx.args])
