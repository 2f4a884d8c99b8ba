"""`truthline sql`: psql on the database, looking at views and functions."""

import os
import shutil
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

import click

from app.auth.workspaces import find_workspace
from app.cli.connection import connected, data_option, located
from app.config import Settings
from app.embedded.server import NoEmbeddedServer, embedded_binaries
from app.errors import TruthlineError
from app.store.database import sqlalchemy_url

# What is PostgreSQL's own and stays as it is: a query of an analyst may take long.
SESSION = {"search_path": "truthline,public", "timezone": "UTC"}


class NoPsql(TruthlineError):
    """There is no psql on this machine."""


@click.command(context_settings={"ignore_unknown_options": True})
@click.option("--workspace", help="See only this one in views and functions")
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

    Views and functions are those of docs/sql.md. What psql doesn't know of these options goes to
    it: -c, -f, -A, -t, --csv and all others. --workspace narrows what views and functions show; it
    locks nobody in, for which a role of its own is made with truthline.admit.
    """
    program = _psql()
    with located(settings, data) as found:
        if workspace is not None:
            _check(found, workspace)
        options = SESSION | ({} if write else {"default_transaction_read_only": "on"})
        if workspace is not None:
            options["truthline.workspace"] = workspace
        code = _run([program, *arguments], _environment(found.database_url, options))
    raise SystemExit(code)


def _psql() -> str:
    """The system's psql, which people know, or the one beside the embedded server.

    Raises:
        NoPsql: neither is there.
    """
    if found := shutil.which("psql"):
        return found
    try:
        return str(embedded_binaries() / "psql")
    except NoEmbeddedServer:
        raise NoPsql(
            "There is no psql: install PostgreSQL's client (apt install postgresql-client), or run"
            " truthline from a checkout, where 'make .venv' installs one"
        ) from None


def _check(settings: Settings, workspace: str) -> None:
    """Refuse a workspace that isn't there, of which psql would only show nothing."""
    with connected(settings, None) as database, database.reading() as conn:
        if find_workspace(conn, workspace) is None:
            raise click.ClickException(f"there is no workspace {workspace}")


def _environment(database_url: str, options: dict[str, str]) -> dict[str, str]:
    """Where psql connects to. Not as an argument: the list of processes would show a password."""
    url = sqlalchemy_url(database_url)
    given = {
        "PGHOST": url.host or url.query.get("host"),
        "PGPORT": url.port or url.query.get("port"),
        "PGUSER": url.username,
        "PGPASSWORD": url.password,
        "PGDATABASE": url.database,
        **{f"PG{name.upper()}": value for name, value in url.query.items() if name in _MORE},
    }
    set_by_us = " ".join(f"-c {name}={_escaped(value)}" for name, value in options.items())
    theirs = [os.environ[name] for name in ("PGOPTIONS",) if name in os.environ]
    named = {name: str(value) for name, value in given.items() if value}
    return os.environ | named | {"PGOPTIONS": " ".join([*theirs, set_by_us])}


# Of a URL's query, what libpq reads from the environment under its own name.
_MORE = {"sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout", "target_session_attrs"}


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace(" ", r"\ ")


def _run(command: Sequence[str], environment: dict[str, str]) -> int:
    """Run psql, which answers Ctrl-C itself: it cancels a query and leaves us running."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with subprocess.Popen(
            command,
            env=environment,
            preexec_fn=_answer_ctrl_c,  # noqa: PLW1509 - one thread
        ) as psql:
            return psql.wait()
    finally:
        signal.signal(signal.SIGINT, before)


def _answer_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)
