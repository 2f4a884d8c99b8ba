"""`truthline workspaces`: tenants, to which keys, models and rows belong."""

from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from app.auth.workspaces import Workspace, create_workspace, list_workspaces
from app.cli.connection import connected, data_option
from app.config import Settings


@click.group()
def workspaces() -> None:
    """Workspaces: each has its own models, rows and keys."""


@workspaces.command()
@click.argument("name")
@data_option
@click.pass_obj
def create(settings: Settings, name: str, data: Path | None) -> None:
    """Create a workspace."""
    with connected(settings, data, create=True) as database, database.writing() as conn:
        created = create_workspace(conn, name)
    click.echo(
        f"Created the workspace {name}." if created else f"The workspace {name} already exists."
    )
    click.echo(f"Create a key for it:  truthline keys create --role ingest --workspace {name}")


@workspaces.command("list")
@data_option
@click.pass_obj
def list_(settings: Settings, data: Path | None) -> None:
    """List workspaces with the numbers of their models and active keys."""
    with connected(settings, data) as database, database.reading() as conn:
        listed = list_workspaces(conn)
    table = Table("Workspace", box=None, pad_edge=False, padding=(0, 3, 0, 0))
    table.add_column("Models", justify="right")
    table.add_column("Keys", justify="right")
    table.add_column("Created")
    for workspace in listed:
        table.add_row(*_row(workspace))
    Console(markup=False, emoji=False).print(table)


def _row(workspace: Workspace) -> tuple[str, ...]:
    return (
        workspace.name,
        f"{workspace.models:,}",
        f"{workspace.keys:,}",
        f"{workspace.created_at:%F}",
    )
