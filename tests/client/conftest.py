"""The package against the real application, on a loopback server."""

import pytest
from truthline import Backoff, Client

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
