"""The `truthline` command: the same functions as the API."""

import logging
import signal
import sys
from collections.abc import Mapping
from importlib import import_module
from types import FrameType

import click

from app import logs
from app.config import Settings, unknown_variables
from app.errors import TruthlineError, with_reason

_log = logging.getLogger(__name__)

# The module of each command, in which it has the same name, and its help in short. A command is
# imported when it is run: all of them together would take a second.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "audit": ("app.cli.audit", "Recount the rows behind every cell, and recompute wrong cells."),
    "db": ("app.cli.database", "The database's schema."),
    "demo": ("app.cli.demo", "Tell the history of six models, serve it, and go on live."),
    "erase": (
        "app.cli.erase",
        "Erase requests, a value of a tag, a model or a workspace, permanently.",
    ),
    "keys": ("app.cli.keys", "API keys."),
    "load": ("app.cli.load", "Store the rows of files: Parquet, CSV, NDJSON or Arrow."),
    "monitors": ("app.cli.monitors", "Monitors: list them, or send a test to their receivers."),
    "refresh": ("app.cli.database", "Bring the levels up to date, as the worker does each minute."),
    "serve": ("app.cli.serve", "Serve the API until stopped."),
    "sql": ("app.cli.sql", "Open psql on the database, or run a statement with -c."),
    "status": ("app.cli.status", "Show the database, its contents, and the state of each level."),
    "worker": ("app.cli.worker", "Run housekeeping until stopped."),
    "workspaces": ("app.cli.workspaces", "Workspaces: each has its own models, rows and keys."),
}
# What `load` needs, and servers may do without.
BULK_MODULES = ("numpy", "pyarrow")


class Commands(click.Group):
    """Imports commands as late as possible.

    It reports expected errors with their message and exit code 1, without a traceback.
    """

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """All names, in order."""
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command; None if there is none of that name."""
        if cmd_name not in COMMANDS:
            return None
        try:
            command: click.Command = getattr(import_module(COMMANDS[cmd_name][0]), cmd_name)
        except ModuleNotFoundError as error:
            if error.name not in BULK_MODULES:
                raise
            raise click.ClickException(
                f"{cmd_name} needs {error.name}: install truthline-server[bulk]"
            ) from error
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, short) for name, (_, short) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> object:
        """Run the command."""
        try:
            return super().invoke(ctx)
        except (TruthlineError, ValueError) as error:
            raise click.ClickException(with_reason(error)) from error


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="truthline-server", prog_name="truthline")
@click.pass_context
def main(context: click.Context) -> None:
    """Truthline: monitors models by their predictions and truths, and computes metrics of both.

    Settings come from TRUTHLINE_* variables: see docs/settings.md. Without
    TRUTHLINE_DATABASE_URL an embedded PostgreSQL is used, in the directory of --data.
    """
    context.obj = Settings.from_environment()
    logs.configure(context.obj.log_format)
    for problem in unknown_variables():
        _log.warning("%s", problem)
    signal.signal(signal.SIGTERM, _leave)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    """Exit normally, so that the last user of an embedded server stops it."""
    sys.exit(128 + signal.SIGTERM)
