"""`truthline sql`: psql on the database's views and functions."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import click

from app.auth.workspaces import find_workspace
from app.cli.connection import connected, data_option, locate_database
from app.config import Settings
from app.embedded.server import NoEmbeddedServer, embedded_binaries
from app.errors import TruthlineError
from app.store.database import driver
from app.store.urls import sqlalchemy_url

# All other settings keep PostgreSQL's defaults: an analyst's query may take long.
SESSION = {"search_path": "truthline,public", "timezone": "UTC"}


class NoPsql(TruthlineError):
    """There is no psql on this machine."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--workspace", help="Show only this workspace in views and functions")
@click.option("--write", is_flag=True, help="Allow changes, as those of truthline.admit")
@data_option
@click.argument("arguments", metavar="[PSQL ARGUMENT]...", nargs=-1, type=click.UNPROCESSED)
@click.pass_obj
def sql(
    settings: Settings,
    workspace: str | None,
    write: bool,
    data: Path | None,
    arguments: Sequence[str],
) -> None:
    """Open psql on the database, or run a statement with -c.

    Views and functions are those of docs/sql.md. All other options go to psql: -c, -f, -A, -t,
    --csv and so on. --workspace narrows what views and functions show; to restrict a user to a
    workspace, create a role for them with truthline.admit.
    """
    program = _psql()
    with locate_database(settings, data) as located:
        _check(located, workspace)
        options = SESSION | ({} if write else {"default_transaction_read_only": "on"})
        if workspace is not None:
            options["truthline.workspace"] = workspace
        code = _run([program, *arguments], _environment(located.direct.database_url, options))
    raise SystemExit(code)


def _psql() -> str:
    """The system's psql, or the one of the embedded server.

    Raises:
        NoPsql: neither exists.
    """
    if psql := shutil.which("psql"):
        return psql
    try:
        return str(embedded_binaries() / "psql")
    except NoEmbeddedServer:
        raise NoPsql(
            "There is no psql: install PostgreSQL's client (apt install postgresql-client), or run"
            " truthline from a checkout, where 'make .venv' installs one"
        ) from None


def _check(settings: Settings, workspace: str | None) -> None:
    """Reject a pooler, where psql's settings would not last, and a workspace that doesn't exist."""
    with connected(settings, None) as database, database.reading() as conn:
        if driver(conn).pooled:
            raise click.ClickException(
                "TRUTHLINE_DATABASE_URL leads to a connection pooler, and psql needs a session: set"
                " TRUTHLINE_DIRECT_DATABASE_URL too"
            )
        if workspace is not None and find_workspace(conn, workspace) is None:
            raise click.ClickException(f"there is no workspace {workspace}")


def _environment(database_url: str, options: dict[str, str]) -> dict[str, str]:
    """Connection parameters of psql. As arguments, a password would be in the process list."""
    url = sqlalchemy_url(database_url)
    parameters = {
        "PGHOST": url.host or url.query.get("host"),
        "PGPORT": url.port or url.query.get("port"),
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
        **{f"PG{name.upper()}": value for name, value in url.query.items() if name in _MORE},
    }
    ours = " ".join(f"-c {name}={_escaped(value)}" for name, value in options.items())
    existing = [os.environ[name] for name in ("PGOPTIONS",) if name in os.environ]
    named = {name: str(value) for name, value in parameters.items() if value}
    return os.environ | named | {"PGOPTIONS": " ".join([*existing, ours])}


# Parameters of a URL's query that libpq reads from the environment under the same name.
_MORE = {"sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout", "target_session_attrs"}


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace(" ", r"\ ")


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run psql, which handles Ctrl-C itself: it cancels a query, and we keep running."""
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with subprocess.Popen(
            command,
            env=environment,
            preexec_fn=_handle_ctrl_c,  # noqa: PLW1509 - one thread
        ) as psql:
            return psql.wait()
    finally:
        signal.signal(signal.SIGINT, handler)


def _handle_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
