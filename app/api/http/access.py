"""Access control: the workspace that a request acts for, and whether it may."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from flask import current_app, g, request

from app.api.http.query_limiter import admit_query
from app.auth.credentials import access_of
from app.auth.keys import WRONG_KEY, Access, Role
from app.auth.workspaces import default_workspace, find_workspace
from app.errors import Unauthenticated, Unavailable
from app.ingest.fields import text_problem
from app.running import database, settings

View = TypeVar("View", bound=Callable[..., Any])


def needs(role: Role) -> Callable[[View], View]:
    """Require a key with this role; the view is called with the key's `workspace_id`.

    Put it directly below the route, above what reads parameters: without a key, a client learns
    only that a key is missing.
    """

    def decorate(view: View) -> View:
        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            return view(*args, workspace_id=workspace_for(role), **kwargs)

        return guarded  # type: ignore[return-value] # it wraps one

    return decorate


def workspace_for(role: Role) -> int:
    """The workspace that this request acts for.

    Raises:
        Unauthenticated: no key, or an unknown one.
        Forbidden: the key has a different role.
    """
    return workspace_of_key(None, role)


def workspace_of_key(key: str | None, role: Role | None) -> int:
    """Like `workspace_for`, for a dialect that has parsed a key from the body.

    A key outside the body takes precedence. Without a role, any key is accepted.

    Raises:
        Unauthenticated: no key, or an unknown one.
        Forbidden: the key has a different role.
        Busy: it is a query, and the workspace already runs as many as it may.
    """
    access = _access(presented_key() or key)
    if role:
        access.require(role)
    g.workspace_id = access.workspace_id
    if role is Role.READ:
        admit_query(access.workspace_id)
    return access.workspace_id


def workspace_of_events(role: Role) -> int:
    """Like `workspace_for`; without a key, the workspace configured for brokers without keys.

    Raises:
        Unauthenticated: no key, or an unknown one.
        Forbidden: the key has a different role.
        Unavailable: the configured workspace doesn't exist.
    """
    name = settings().events_workspace
    if not name or presented_key():
        return workspace_for(role)
    with database().reading() as conn:
        workspace_id = find_workspace(conn, name)
    if workspace_id is None:
        raise Unavailable(f"the workspace {name} of events does not exist: create it first")
    g.workspace_id = workspace_id
    return workspace_id


def require_workspace(name: str, workspace_id: int) -> None:
    """Reject a path that names a different workspace than that of the request.

    Raises:
        Unauthenticated: as for a wrong key, so as not to reveal which workspaces exist.
    """
    with database().reading() as conn:
        named_id = None if text_problem(name) else find_workspace(conn, name)
    if named_id != workspace_id:
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
