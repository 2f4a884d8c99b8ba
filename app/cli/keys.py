"""`truthline keys`: who may use the API."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from app.auth.keys import ListedKey, Role, create_key, list_keys, revoke_key
from app.auth.workspaces import DEFAULT_WORKSPACE, find_or_create_workspace, find_workspace
from app.cli.connection import connected, data_option
from app.config import Settings

UNITS = {"m": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1)}
LONGEST = timedelta(days=36_500)
STYLES = {"active": "green", "expired": "yellow", "revoked": "dim"}


class Lifetime(click.ParamType[timedelta]):
    """A whole number of minutes, hours or days."""

    name = "time"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Read it."""
        match = re.fullmatch(r"(\d{1,9})([mhd])", value)
        lifetime = int(match[1]) * UNITS[match[2]] if match else timedelta()
        if not timedelta() < lifetime <= LONGEST:
            self.fail(f"{value!r} is not a time like 30m, 12h or 90d, up to 36500d", param, ctx)
        return lifetime


@click.group()
def keys() -> None:
    """API keys."""


@keys.command()
@click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True, help="Made if absent")
@click.option("--role", required=True, type=click.Choice([role.value for role in Role]))
@click.option("--name", default="", help="What it is for, to be found again in 'keys list'")
@click.option("--expires-in", type=Lifetime(), help="Like 30m, 12h or 90d  [default: never]")
@data_option
@click.pass_obj
def create(
    settings: Settings,
    workspace: str,
    role: str,
    name: str,
    expires_in: timedelta | None,
    data: Path | None,
) -> None:
    """Make a key and print it, alone: it can't be shown again.

    What else there is to say goes to standard error, so that KEY=$(truthline keys create ...)
    holds the key.
    """
    with connected(settings, data) as database, database.writing() as conn:
        known = find_workspace(conn, workspace) is not None
        workspace_id = find_or_create_workspace(conn, workspace)
        key = create_key(conn, workspace_id, Role(role), name=name, lifetime=expires_in)
    if not known:
        click.echo(f"Made the workspace {workspace}.", err=True)
    end = datetime.now(UTC) + expires_in if expires_in else None
    said = f"Key of workspace {workspace}, role {role}, expires: {_when(end)}."
    click.echo(f"{said} It is shown this once:", err=True)
    click.echo(key)


@keys.command("list")
@click.option("--workspace", help="Only keys of this one")
@click.option("--all", "all_", is_flag=True, help="Revoked keys too")
@data_option
@click.pass_obj
def list_(settings: Settings, workspace: str | None, all_: bool, data: Path | None) -> None:
    """List keys by how they begin; never the keys themselves."""
    with connected(settings, data) as database, database.reading() as conn:
        if workspace is not None and find_workspace(conn, workspace) is None:
            raise click.ClickException(f"there is no workspace {workspace}")
        found = list_keys(conn, workspace)
    shown = [key for key in found if all_ or not key.revoked_at]
    if shown:
        Console(markup=False, emoji=False).print(_table(shown))
    else:
        click.echo("No keys. Make one:  truthline keys create --role ingest")
    if hidden := len(found) - len(shown):
        click.echo(f"{hidden} revoked: --all shows them too", err=True)


def _table(found: Iterable[ListedKey]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Id", justify="right")
    for column in ("Key", "Name", "Workspace", "Role", "Expires", "Last used", "State"):
        # names fold where the terminal is narrow; the rest is short
        folds = column in ("Name", "Workspace")
        table.add_column(column, overflow="fold", no_wrap=not folds, min_width=len(column))
    for key in found:
        table.add_row(*_row(key), style=STYLES[key.state] if key.state != "active" else None)
    return table


def _row(key: ListedKey) -> tuple[str, ...]:
    begins = f"{key.prefix}…" if key.prefix else "tl_…"
    used = f"{key.last_used_on:%F}" if key.last_used_on else "never"
    expires = f"{key.expires_at:%F}" if key.expires_at else "never"
    return str(key.id), begins, key.name, key.workspace, key.role, expires, used, key.state


def _when(instant: datetime | None) -> str:
    return f"{instant:%F %H:%M} UTC" if instant else "never"


@keys.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True, type=click.IntRange(1, 2**31 - 1))
@data_option
@click.pass_obj
def revoke(settings: Settings, ids: tuple[int, ...], data: Path | None) -> None:
    """End keys, by the numbers that 'keys list' shows. Tokens given for them end too."""
    with connected(settings, data) as database, database.writing() as conn:
        before = [revoke_key(conn, id_) for id_ in ids]
    for key in before:
        name = f" ({key.name})" if key.name else ""
        what = f"key {key.id}{name}, role {key.role}, of workspace {key.workspace}"
        earlier = f" (was revoked already, {_when(key.revoked_at)})" if key.revoked_at else ""
        click.echo(f"Revoked {what}{earlier}")
