"""`truthline db` and `truthline refresh`: the schema, and bringing levels up to date."""

from pathlib import Path

import click

from app.cli.connection import connected, data_option
from app.config import Settings
from app.phrases import EXTENSION_MISSING
from app.rollup.refresh import refresh as refresh_levels
from app.store.edition import server_info
from app.store.migration import SchemaVersion, schema_version


@click.group()
def db() -> None:
    """The database's schema."""


@db.command("upgrade")
@data_option
@click.pass_obj
def db_upgrade(settings: Settings, data: Path | None) -> None:
    """Migrate the schema to the version that this program needs."""
    with (
        connected(settings, data, migrate=True, create=True) as database,
        database.reading() as conn,
    ):
        version, server = schema_version(conn), server_info(conn)
    click.echo(f"schema is at {version.current}")
    if server.extension_missing:
        click.echo(f"Note: {EXTENSION_MISSING}.", err=True)


@db.command("status")
@data_option
@click.pass_obj
def db_status(settings: Settings, data: Path | None) -> None:
    """Show the version of the schema; exit code 1 if it is older than this program needs."""
    with connected(settings, data) as database, database.reading() as conn:
        version = schema_version(conn)
    click.echo(_description(version))
    if not version.usable:
        raise SystemExit(1)


def _description(version: SchemaVersion) -> str:
    if version.at_head:
        return f"schema is at {version.current}, the newest"
    if version.ahead:
        return f"schema is at {version.current}, migrated by a newer program than this"
    if version.current == version.head:
        return "the public functions are from a different version: run 'truthline db upgrade'"
    at = f"at {version.current}" if version.current else "missing"
    return f"schema is {at}, and {version.head} is the newest: run 'truthline db upgrade'"


@click.command()
@data_option
@click.pass_obj
def refresh(settings: Settings, data: Path | None) -> None:
    """Bring the levels up to date, as the worker does each minute.

    What is new in them is audited.
    """
    with connected(settings, data) as database:
        for level in refresh_levels(database):
            until = f"{level.clean_until:%F %T} UTC" if level.clean_until else "never"
            click.echo(f"{level.level:18} clean until {until}")
