"""`truthline keys`: who may use the API."""

from pathlib import Path

import click

from app.auth.keys import Role, create_key
from app.auth.workspaces import DEFAULT_WORKSPACE, find_or_create_workspace
from app.cli.connection import connected, data_option
from app.config import Settings


@click.group()
def keys() -> None:
    """API keys."""


@keys.command()
@click.option("--workspace", default=DEFAULT_WORKSPACE, show_default=True)
@click.option("--role", required=True, type=click.Choice([role.value for role in Role]))
@data_option
@click.pass_obj
def create(settings: Settings, workspace: str, role: str, data: Path | None) -> None:
    """Make a key and print it, alone: it can't be shown again."""
    with connected(settings, data) as database, database.writing() as conn:
        workspace_id = find_or_create_workspace(conn, workspace)
        key = create_key(conn, workspace_id, Role(role))
    click.echo(key)
