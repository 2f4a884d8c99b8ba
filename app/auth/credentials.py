"""Credentials of any kind, and what they give access to."""

from app.auth.issuer import Issuer
from app.auth.keys import Access, live_key, record_use
from app.auth.tokens import is_jwt, verify
from app.auth.workspaces import find_workspace
from app.errors import Forbidden
from app.store.database import Database


def access_of(database: Database, issuer: Issuer | None, credential: str) -> Access:
    """The access that a key, an access token of ours, or a token of the issuer gives.

    Raises:
        Unauthenticated: it is invalid, has expired or was revoked.
        Forbidden: the issuer's token is valid, but gives no access here.
        Unavailable: the database or the issuer can't be reached.
    """
    if issuer and issuer.signs(credential):
        return _access_by_issuer(database, issuer, credential)
    with database.glancing() as conn:
        key = verify(conn, credential).key if is_jwt(credential) else live_key(conn, credential)
    record_use(database, key)
    return key.access


def _access_by_issuer(database: Database, issuer: Issuer, token: str) -> Access:
    claims = issuer.claims(token)  # before taking a connection: it may wait for the network
    with database.reading() as conn:
        workspace_id = find_workspace(conn, claims.workspace)
    if workspace_id is None or not claims.roles:
        # the same message for all, so that it doesn't reveal which workspaces exist
        roles = ", ".join(sorted(claims.roles)) or "none"
        reason = f"the token claims workspace {claims.workspace!r} and roles {roles}"
        raise Forbidden("this token gives access to no workspace").because(reason)
    return Access(workspace_id, claims.roles)
