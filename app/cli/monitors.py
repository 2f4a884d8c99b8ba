"""`truthline monitors`: what is watched, and whether receivers can be told."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from app.auth.workspaces import DEFAULT_WORKSPACE, find_workspace
from app.cli.connection import connected, data_option
from app.config import Settings
from app.errors import InvalidInput
from app.monitors.stored_monitors import Monitor, monitors_of
from app.monitors.testing import send_test
from app.monitors.words import watches_in_words
from app.store.database import Database

STYLES = {"critical": "bold red", "warning": "yellow", "ok": "green"}


@click.group()
def monitors() -> None:
    """Monitors: list them, or send a test to their receivers."""


@monitors.command("list")
@click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True)
@data_option
@click.pass_obj
def list_(settings: Settings, workspace: str, data: Path | None) -> None:
    """List monitors and where their parts stand."""
    with connected(settings, data) as database:
        workspace_id = _workspace(database, workspace)
        with database.reading() as conn:
            found = monitors_of(conn, workspace_id)
    table = Table("monitor", "part", "watches", "state", "since", "value", box=None)
    for monitor in found:
        for row in _rows(monitor):
            table.add_row(*row)
    Console().print(table)


def _rows(monitor: Monitor) -> list[tuple[str, ...]]:
    watches = watches_in_words(monitor.definition)
    if not monitor.parts:
        return [(monitor.name, "", watches, "not judged yet", "", "")]
    return [
        (
            monitor.name,
            part.part,
            watches,
            f"[{STYLES.get(part.state, 'dim')}]{part.state}[/]",
            f"{part.since:%Y-%m-%d %H:%M}",
            "" if part.value is None else f"{part.value:.4g}",
        )
        for part in monitor.parts
    ]


@monitors.command()
@click.argument("name")
@click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True)
@data_option
@click.pass_obj
def test(settings: Settings, name: str, workspace: str, data: Path | None) -> None:
    """Send a test to each receiver of a monitor; fails if one does not accept it."""
    with connected(settings, data) as database:
        results = send_test(database, settings, _workspace(database, workspace), name)
    if not results:
        click.echo(f"Monitor {name} tells nobody.")
    for result in results:
        click.echo(f"{result.receiver}: {result.error or 'accepted'}")
    if any(result.error for result in results):
        raise click.exceptions.Exit(1)


def _workspace(database: Database, name: str) -> int:
    with database.reading() as conn:
        workspace_id = find_workspace(conn, name)
    if workspace_id is None:
        raise InvalidInput(f"no workspace {name}")
    return workspace_id
