"""The `truthline` command: the same functions as the API."""

import logging
import signal
import sys
from types import FrameType

import click

from app import logs
from app.cli.audit import audit
from app.cli.database import db, refresh
from app.cli.demo import demo
from app.cli.keys import keys
from app.cli.serve import serve
from app.cli.sql import sql
from app.cli.status import status
from app.cli.worker import worker
from app.cli.workspaces import workspaces
from app.config import Settings, unknown_variables
from app.errors import TruthlineError, with_reason

_log = logging.getLogger(__name__)


class Commands(click.Group):
    """Reports expected errors with their message and exit code 1, without a traceback."""

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


for command in (serve, demo, db, sql, status, refresh, audit, workspaces, keys, worker):
    main.add_command(command)
