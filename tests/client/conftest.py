"""The package against the real application, on a loopback server."""

import pytest
from truthline import Backoff, Client

from app.auth.keys import Role, create_key
from app.auth.workspaces import find_or_create_workspace
from docs.pictures.scenes import log_all
from tests.api.live import serving

SOON = Backoff(first=0.005, longest=0.02)


@pytest.fixture(scope="session")
def url(app):
    """Where the application is served that the tests share."""
    with serving(app) as url:
        yield url


@pytest.fixture
def truthline(url, workspace):
    """A client of this test's own workspace."""
    with Client(url, workspace.admin_key, backoff=SOON) as client:
        yield client


@pytest.fixture(scope="session")
def scenes(url, database):
    """A client of a workspace that holds the scenes of the pictures."""
    with database.writing() as conn:
        key = create_key(conn, find_or_create_workspace(conn, "scenes"), Role.ADMIN)
    with Client(url, key) as client:
        log_all(client)
        yield client
