"""Fixtures of the HTTP tests."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from app.auth.keys import Role, create_key
from app.auth.workspaces import find_or_create_workspace
from app.factory import create_app
from tests.api.given import count_rows, keyed_client, stored_outputs


@pytest.fixture
def stored(database, workspace) -> Callable[[], dict[str, int]]:
    """Count what this test's workspace holds, by table."""
    return lambda: count_rows(database, workspace.id)


@pytest.fixture
def outputs(database, workspace) -> Callable[[], list[tuple]]:
    """Outputs of this test's predictions as they are stored."""
    return lambda: stored_outputs(database, workspace.id)


@pytest.fixture
def small_client(shared_settings, database, workspace):
    """A client of a server that takes 5 rows and 2,000 bytes at most."""
    limits = {"max_batch_rows": 5, "max_body_bytes": 2_000}
    return keyed_client(
        create_app(replace(shared_settings, **limits), database), workspace.admin_key
    )


@pytest.fixture
def neighbour_key(database, workspace):
    """A key with all rights in another workspace than this test's."""
    with database.writing() as conn:
        id_ = find_or_create_workspace(conn, f"{workspace.name}-neighbour")
        return create_key(conn, id_, Role.ADMIN)


@pytest.fixture
def neighbour(app, neighbour_key):
    """A client with that key."""
    return keyed_client(app, neighbour_key)
