"""The door: which workspace a request acts for, and whether it may."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import current_app, g, request

from app.api.http.turns import take_turn
from app.auth.credentials import access_of
from app.auth.keys import WRONG_KEY, Access, Role
from app.auth.workspaces import default_workspace, find_workspace
from app.errors import Unauthenticated, Unavailable
from app.ingest.fields import text_problem
from app.running import database, settings

View = TypeVar("View", bound=Callable[..., Any])


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
    return workspace_of_key(None, role)


def workspace_of_key(key: str | None, role: Role | None) -> int:
    """As `workspace_for`, for a dialect that has found a key in the body it parsed.

    What the request carries outside its body goes first. Without a role any will do.

    Raises:
        Unauthenticated: no key, or one that isn't known.
        Forbidden: the key has another role.
        Busy: it asks while the workspace has as many questions under way as it may have.
    """
    access = _access(presented_key() or key)
    if role:
        access.require(role)
    g.workspace_id = access.workspace_id
    if role is Role.READ:
        take_turn(access.workspace_id)
    return access.workspace_id


def workspace_of_events(role: Role) -> int:
    """As `workspace_for`; without a key, the workspace of brokers that have none, if there is one.

    Raises:
        Unauthenticated: no key, or one that isn't known.
        Forbidden: the key has another role.
        Unavailable: the operator named a workspace that isn't there.
    """
    name = settings().events_workspace
    if not name or presented_key():
        return workspace_for(role)
    with database().reading() as conn:
        found = find_workspace(conn, name)
    if found is None:
        raise Unavailable(f"the workspace {name} of events is not there: make it first")
    g.workspace_id = found
    return found


def require_workspace(name: str, workspace_id: int) -> None:
    """Refuse a path that names another workspace than the one the request acts for.

    Raises:
        Unauthenticated: worded as for a wrong key, or it would tell which workspaces there are.
    """
    with database().reading() as conn:
        found = None if text_problem(name) else find_workspace(conn, name)
    if found != workspace_id:
        raise Unauthenticated(WRONG_KEY)


def _access(credential: str | None) -> Access:
    if not settings().auth:
        return Access(default_workspace(database()), frozenset({Role.ADMIN}))
    if not credential:
        raise Unauthenticated(
            "send an API key as 'Authorization: Bearer ...' or as 'X-API-Key: ...'"
        )
    return access_of(database(), current_app.extensions["issuer"], credential)


def presented_key() -> str | None:
    """The key outside the body: `Authorization: Bearer`, `X-API-Key`, or `api_key` in the query."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token.strip():
        return token.strip()
    return request.headers.get("X-API-Key") or request.args.get("api_key")
