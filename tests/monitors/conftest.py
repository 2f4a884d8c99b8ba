"""A database of a test's own, because a round judges all monitors in it; and who is notified."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
from flask.testing import FlaskClient

from app.auth.keys import Role, create_key
from app.config import Settings
from app.factory import create_app
from app.store.database import Database
from tests.api.given import keyed_client
from tests.monitors.told import Told, listening


@pytest.fixture
def own_settings(fresh_database_url: str) -> Settings:
    """Receivers may be on this machine."""
    return Settings(database_url=fresh_database_url, receiver_networks="127.0.0.0/8")


@pytest.fixture
def strict_settings(own_settings: Settings) -> Settings:
    """They may not, as by default."""
    return replace(own_settings, receiver_networks="")


@pytest.fixture
def own(own_settings: Settings) -> Iterator[Database]:
    database = Database.from_settings(own_settings)
    yield database
    database.dispose()


@pytest.fixture
def own_client(own: Database, own_settings: Settings) -> FlaskClient:
    """A client of the default workspace, with an admin key."""
    with own.writing() as conn:
        key = create_key(conn, 1, Role.ADMIN)
    return keyed_client(create_app(own_settings, own), key)


@pytest.fixture
def told() -> Iterator[Told]:
    """A receiver on this machine."""
    with listening() as receiver:
        yield receiver
