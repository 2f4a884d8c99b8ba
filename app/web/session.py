"""The session cookie, and which requests may use it."""

from typing import TypeVar
from urllib.parse import urlsplit

from flask import request
from werkzeug.wrappers import Response

from app.auth import sessions
from app.auth.keys import Access, Role
from app.auth.sessions import Session
from app.auth.workspaces import default_workspace
from app.errors import Forbidden, Unauthenticated
from app.running import database, settings

# The key in the WSGI environment under which Dash's callbacks find the workspace of a request.
WORKSPACE = "truthline.workspace"
# And whether its session may change what is stored.
MAY_CHANGE = "truthline.may_change"
Cookied = TypeVar("Cookied", bound=Response)


def current() -> Session:
    """The session of a request; if authentication is off, every request has one.

    Raises:
        Unauthenticated: there is none, or it has expired.
    """
    if not settings().auth:
        return Session(Access(default_workspace(database()), frozenset({Role.ADMIN})))
    token = request.cookies.get(_name())
    if not token:
        raise Unauthenticated("log in at /login")
    return sessions.resume(database(), token)


def keep(response: Cookied, token: str) -> Cookied:
    """Store a session's token in the browser, inaccessible to scripts and other sites."""
    response.set_cookie(
        _name(),
        token,
        max_age=sessions.SECONDS,
        path=_path(),
        secure=_secure(),
        httponly=True,
        samesite="Lax",
    )
    return response


def forget(response: Cookied) -> Cookied:
    """End the session, in the browser and on the server."""
    if token := request.cookies.get(_name()):
        sessions.end(database(), token)
    response.delete_cookie(_name(), path=_path(), secure=_secure(), httponly=True, samesite="Lax")
    return response


def check_origin() -> None:
    """Reject requests from pages of other sites; browsers report the origin of a request.

    Raises:
        Forbidden: the request comes from another site.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is None:  # an older browser, or not a browser
        origin = request.headers.get("Origin")
        ours = {request.host, urlsplit(settings().public_url).netloc} - {""}
        site = "none" if origin is None or urlsplit(origin).netloc in ours else "cross-site"
    if site not in ("same-origin", "none"):
        raise Forbidden("this request comes from a page of another site")


def local_path(target: str) -> str:
    """The redirect target after the login: always a path on this server."""
    parts = urlsplit(target)
    ours = target.startswith("/") and not target.startswith(("//", "/\\"))
    return (
        target if ours and not parts.scheme and not parts.netloc and target.isprintable() else "/"
    )


def _secure() -> bool:
    return request.is_secure or settings().public_url.startswith("https:")


def _name() -> str:
    """With these prefixes browsers accept the cookie only over https; `__Host-` needs path `/`."""
    if not _secure():
        return "truthline"
    return "__Host-truthline" if _path() == "/" else "__Secure-truthline"


def _path() -> str:
    """Other services of the host don't get the cookie."""
    return request.script_root or "/"
