"""`truthline keys`: API keys."""

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
MAX_LIFETIME = timedelta(days=36_500)
STYLES = {"active": "green", "expired": "yellow", "revoked": "dim"}


class Lifetime(click.ParamType[timedelta]):
    """A whole number of minutes, hours or days."""

    name = "time"

    def convert(
        self, value: str, param: click.Parameter | None, ctx: click.Context | None
    ) -> timedelta:
        """Parse it."""
        match = re.fullmatch(r"(\d{1,9})([mhd])", value)
        lifetime = int(match[1]) * UNITS[match[2]] if match else timedelta()
        if not timedelta() < lifetime <= MAX_LIFETIME:
            self.fail(f"{value!r} is not a time like 30m, 12h or 90d, up to 36500d", param, ctx)
        return lifetime


@click.group()
def keys() -> None:
    """API keys."""


@keys.command()
@click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True, help="Created if absent")
@click.option("--role", required=True, type=click.Choice([role.value for role in Role]))
@click.option("--name", default="", help="What it is for, as shown by 'keys list'")
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
    """Create a key and print it, alone: it can't be shown again.

    All other output goes to standard error, so that KEY=$(truthline keys create ...)
    contains only the key.
    """
    with connected(settings, data, create=True) as database, database.writing() as conn:
        exists = find_workspace(conn, workspace) is not None
        workspace_id = find_or_create_workspace(conn, workspace)
        key = create_key(conn, workspace_id, Role(role), name=name, lifetime=expires_in)
    if not exists:
        click.echo(f"Created the workspace {workspace}.", err=True)
    end = datetime.now(UTC) + expires_in if expires_in else None
    summary = f"Key of workspace {workspace}, role {role}, expires: {_when(end)}."
    click.echo(f"{summary} It is shown only once:", err=True)
    click.echo(key)


@keys.command("list")
@click.option("--workspace", help="Only keys of this workspace")
@click.option("--all", "all_", is_flag=True, help="Revoked keys too")
@data_option
@click.pass_obj
def list_(settings: Settings, workspace: str | None, all_: bool, data: Path | None) -> None:
    """List keys by their first characters, never the keys themselves."""
    with connected(settings, data) as database, database.reading() as conn:
        if workspace is not None and find_workspace(conn, workspace) is None:
            raise click.ClickException(f"there is no workspace {workspace}")
        all_keys = list_keys(conn, workspace)
    listed = [key for key in all_keys if all_ or not key.revoked_at]
    if listed:
        Console(markup=False, emoji=False).print(_table(listed))
    else:
        click.echo("No keys. Create one:  truthline keys create --role ingest")
    if hidden := len(all_keys) - len(listed):
        click.echo(f"{hidden} revoked: --all shows them too", err=True)


def _table(keys: Iterable[ListedKey]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Id", justify="right")
    for column in ("Key", "Name", "Workspace", "Role", "Expires", "Last used", "State"):
        # names wrap on a narrow terminal; the rest is short
        folds = column in ("Name", "Workspace")
        table.add_column(column, overflow="fold", no_wrap=not folds, min_width=len(column))
    for key in keys:
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
    """Revoke keys by the numbers that 'keys list' shows. Their tokens are revoked too."""
    with connected(settings, data) as database, database.writing() as conn:
        before = [revoke_key(conn, id_) for id_ in ids]
    for key in before:
        name = f" ({key.name})" if key.name else ""
        what = f"key {key.id}{name}, role {key.role}, of workspace {key.workspace}"
        earlier = f" (was already revoked, {_when(key.revoked_at)})" if key.revoked_at else ""
        click.echo(f"Revoked {what}{earlier}")
