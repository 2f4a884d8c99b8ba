"""The door: which workspace a request acts for, and whether it may."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import current_app, g, request

from app.auth.keys import Access, Role, access_of
from app.auth.workspaces import default_workspace
from app.config import Settings
from app.errors import Unauthenticated
from app.store.database import Database

View = TypeVar("View", bound=Callable[..., Any])


def database() -> Database:
    """The database of the running application."""
    found: Database = current_app.extensions["database"]
    return found


def settings() -> Settings:
    """The settings of the running application."""
    found: Settings = current_app.extensions["settings"]
    return found


def needs(role: Role) -> Callable[[View], View]:
    """Open a view to keys of this role; it is called with the `workspace_id` it acts for.

    Stands right below the route, above what reads parameters: a stranger is told that a key is
    missing, and nothing else.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            return view(*args, workspace_id=workspace_for(role), **kwargs)

        return guarded  # type: ignore[return-value] # it wraps one

    return decorate


def workspace_for(role: Role) -> int:
    """The workspace this request acts for.

    Raises:
        Unauthenticated: no key, or one that isn't known.
        Forbidden: the key has another role.
    """
    with database().reading() as conn:
        if not settings().auth:
            access = Access(default_workspace(conn), Role.ADMIN)
        else:
            access = access_of(conn, _presented_key())
    access.require(role)
    g.workspace_id = access.workspace_id
    return access.workspace_id


def _presented_key() -> str:
    """The key as `Authorization: Bearer`, as `X-API-Key`, or as `api_key` in the query."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    key = request.headers.get("X-API-Key") or request.args.get("api_key")
    if not key:
        raise Unauthenticated(
            "send an API key as 'Authorization: Bearer ...' or as 'X-API-Key: ...'"
        )
    return key
