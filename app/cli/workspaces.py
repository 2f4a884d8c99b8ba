"""`truthline workspaces`: what keys, models and rows belong to."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from app.auth.workspaces import Workspace, create_workspace, list_workspaces
from app.cli.connection import connected, data_option
from app.config import Settings


@click.group()
def workspaces() -> None:
    """Workspaces: each has models, rows and keys of its own."""


@workspaces.command()
@click.argument("name")
@data_option
@click.pass_obj
def create(settings: Settings, name: str, data: Path | None) -> None:
    """Make a workspace."""
    with connected(settings, data) as database, database.writing() as conn:
        made = create_workspace(conn, name)
    click.echo(f"Made the workspace {name}." if made else f"The workspace {name} is there already.")
    click.echo(f"Make a key for it:  truthline keys create --role ingest --workspace {name}")


@workspaces.command("list")
@data_option
@click.pass_obj
def list_(settings: Settings, data: Path | None) -> None:
    """List workspaces with their models and the keys that open them."""
    with connected(settings, data) as database, database.reading() as conn:
        found = list_workspaces(conn)
    table = Table("Workspace", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("Models", justify="right")
    table.add_column("Keys", justify="right")
    table.add_column("Made")
    for one in found:
        table.add_row(*_row(one))
    Console(markup=False, emoji=False).print(table)


def _row(one: Workspace) -> tuple[str, ...]:
    return one.name, f"{one.models:,}", f"{one.keys:,}", f"{one.created_at:%F}"
