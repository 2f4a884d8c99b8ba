"""Fixtures of the HTTP tests."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.auth.keys import Role, create_key
from app.auth.workspaces import find_or_create_workspace
from app.config import Settings
from app.factory import create_app
from app.store.database import Database
from tests.api.given import count_rows, keyed_client, stored_outputs
from tests.conftest import Workspace


@pytest.fixture
def stored(database: Database, workspace: Workspace) -> Callable[[], dict[str, int]]:
    """Count what this test's workspace holds, by table."""
    return lambda: count_rows(database, workspace.id)


@pytest.fixture
def outputs(database: Database, workspace: Workspace) -> Callable[[], list[tuple[Any, ...]]]:
    """Outputs of this test's predictions as they are stored."""
    return lambda: stored_outputs(database, workspace.id)


@pytest.fixture
def small_client(
    shared_settings: Settings, database: Database, workspace: Workspace
) -> FlaskClient:
    """A client of a server that takes 5 rows and 2,000 bytes at most."""
    settings = replace(shared_settings, max_batch_rows=5, max_body_bytes=2_000)
    return keyed_client(create_app(settings, database), workspace.admin_key)


@pytest.fixture
def neighbour_key(database: Database, workspace: Workspace) -> str:
    """A key with all rights in another workspace than this test's."""
    with database.writing() as conn:
        id_ = find_or_create_workspace(conn, f"{workspace.name}-neighbour")
        return create_key(conn, id_, Role.ADMIN)


@pytest.fixture
def neighbour(app: Flask, neighbour_key: str) -> FlaskClient:
    """A client with that key."""
    return keyed_client(app, neighbour_key)
