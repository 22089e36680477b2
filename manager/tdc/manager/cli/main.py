"""`tdc`: the tree of commands, and the process around them."""

from __future__ import annotations

import io
import sys

import typer
from tdc.manager.cli import commits, documents, draft, fleet, monitoring, queue, settings
from tdc.manager.cli.command import Commands, global_options
from tdc.manager.cli.errors import CliError
from tdc.manager.cli.render import unwritten

app = typer.Typer(
    cls=Commands,
    name="tdc",
    help="Manage Threat Defense Connector: settings and delivery of your mail gateways.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
global_options(app)
app.add_typer(fleet.cluster_app, name="cluster")
app.add_typer(fleet.group_app, name="group")
app.add_typer(fleet.machine_app, name="machine")
app.add_typer(settings.app, name="settings")
app.add_typer(draft.app, name="draft")
app.add_typer(commits.app, name="commit")
monitoring.add_status(app)
app.add_typer(monitoring.delivery_app, name="delivery")
queue.add_work(monitoring.delivery_app)
documents.add_documents(app)


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
