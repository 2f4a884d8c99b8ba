"""The running application's objects that a request needs."""

from flask import current_app

from app.config import Settings
from app.store.database import Database


def database() -> Database:
    """The database of the running application."""
    database: Database = current_app.extensions["database"]
    return database


def settings() -> Settings:
    """The settings of the running application."""
    settings: Settings = current_app.extensions["settings"]
    return settings
