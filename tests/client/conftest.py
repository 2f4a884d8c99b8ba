"""The package against the real application, on a loopback server."""

from collections.abc import Iterator

import pytest
from flask import Flask
from truthline import Backoff, Client

from app.auth.keys import Role, create_key
from app.auth.workspaces import find_or_create_workspace
from app.store.database import Database
from docs.pictures.scenes import log_all
from tests.api.live import serving
from tests.conftest import Workspace

SOON = Backoff(first=0.005, longest=0.02)


@pytest.fixture(scope="session")
def url(app: Flask) -> Iterator[str]:
    """Where the application is served that the tests share."""
    with serving(app) as url:
        yield url


@pytest.fixture
def truthline(url: str, workspace: Workspace) -> Iterator[Client]:
    """A client of this test's own workspace."""
    with Client(url, workspace.admin_key, backoff=SOON) as client:
        yield client


@pytest.fixture(scope="session")
def scenes(url: str, database: Database) -> Iterator[Client]:
    """A client of a workspace that holds the scenes of the pictures."""
    with database.writing() as conn:
        key = create_key(conn, find_or_create_workspace(conn, "scenes"), Role.ADMIN)
    with Client(url, key) as client:
        log_all(client)
        yield client
