"""A credential, whatever its kind, and what it gives access to."""

from app.auth.issuer import Issuer
from app.auth.keys import Access, live_key, note_use
from app.auth.tokens import is_jwt, opened
from app.auth.workspaces import find_workspace
from app.errors import Forbidden
from app.store.database import Database


def access_of(database: Database, issuer: Issuer | None, credential: str) -> Access:
    """What a key, an access token of ours, or a token of the issuer gives access to.

    Raises:
        Unauthenticated: it isn't valid, or no longer.
        Forbidden: the issuer's token is valid, and gives access to nothing here.
        Unavailable: the database or the issuer can't be asked.
    """
    if issuer and issuer.signs(credential):
        return _access_by_issuer(database, issuer, credential)
    with database.glancing() as conn:
        key = opened(conn, credential).key if is_jwt(credential) else live_key(conn, credential)
    note_use(database, key)
    return key.access


def _access_by_issuer(database: Database, issuer: Issuer, token: str) -> Access:
    claims = issuer.claims(token)  # before a connection is taken: it may wait for the network
    with database.reading() as conn:
        workspace_id = find_workspace(conn, claims.workspace)
    if workspace_id is None or not claims.roles:
        # one text for all, or it would tell which workspaces there are
        roles = ", ".join(sorted(claims.roles)) or "none"
        reason = f"the token says workspace {claims.workspace!r} and roles {roles}"
        raise Forbidden("this token gives access to no workspace").because(reason)
    return Access(workspace_id, claims.roles)
