"""The pages' URLs, and access to them.

Dash is loaded on the first request for a page, so a service that is only called by programs never
loads it.
"""

import threading
from html import escape
from http import HTTPStatus
from io import BytesIO
from typing import Any
from urllib.parse import urlencode

import flask
from flask import Blueprint, redirect, request
from werkzeug.exceptions import NotFound
from werkzeug.wrappers import Response

from app.auth import sessions
from app.auth.keys import Access, Role
from app.auth.sessions import Session
from app.errors import Forbidden, Unauthenticated
from app.running import database, settings
from app.subpath import at_root
from app.web.files import dash_file, drawing, fingerprints, own_asset
from app.web.login import login_page
from app.web.session import MAY_CHANGE, WORKSPACE, check_origin, current, forget, keep, local_path

blp = Blueprint("web", __name__)
PATHS = (
    "/",
    "/model",
    "/drift",
    "/requests",
    "/request",
    "/executions",
    "/monitors",
    "/monitor",
    "/new-monitor",
    "/status",
)
# Pages with charts: the browser loads the scripts that draw them before Dash asks for them.
DRAWN = ("/model", "/executions", "/monitor")
# Scripts come only from this server, except for the line that starts Dash, which is allowed by its
# hash. Mantine and plotly set inline styles, and draw with images in data URLs.
POLICY = (
    "default-src 'none'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'"
)
MAX_FORM_BYTES = 64 * 1024  # of requests without authentication
MAX_UPDATE_BYTES = 1024 * 1024
MAX_ROOTS = 4  # sub-paths; usually there is one
_dash_lock = threading.Lock()


def _dash() -> Any:
    """The Dash application of this request's sub-path, created on first use."""
    apps = flask.current_app.extensions.setdefault("web", {})
    root = request.script_root
    with _dash_lock:
        if root not in apps:
            from app.web.page import build  # noqa: PLC0415 - see above

            if len(apps) >= MAX_ROOTS:
                apps.pop(next(iter(apps)))
            apps[root] = build(database(), auth=settings().auth, root=root)
        return apps[root]


def _dash_response(path: str, access: Access | None = None, body: bytes = b"") -> Response:
    """Dash's response at one of its own paths."""
    environ = request.environ | {
        "PATH_INFO": path,
        "HTTP_IF_NONE_MATCH": "",  # files.py compares, after it compressed
        WORKSPACE: access.workspace_id if access else None,
        MAY_CHANGE: access is not None and Role.ADMIN in access.roles,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": BytesIO(body),
    }
    return Response.from_app(_dash().server, environ, buffered=True)


def _page() -> Response:
    """Open a page, or redirect to the login."""
    try:
        session = current()
    except (Unauthenticated, Forbidden):
        target = urlencode({"next": request.full_path.removesuffix("?")})
        return redirect(at_root(f"/login?{target}"), HTTPStatus.SEE_OTHER)
    from app.web.shell import title as title_of  # noqa: PLC0415 - see above

    response = _dash_response("/web/")
    title = f"<title>{escape(title_of(request.path, request.args))}</title>"
    response.set_data(response.get_data(as_text=True).replace("<title>Truthline</title>", title, 1))
    hashes = " ".join(f"{hash_}" for hash_ in _dash().csp_hashes())
    response.headers.update(
        {"Referrer-Policy": "same-origin", "Content-Security-Policy": POLICY.format(hashes=hashes)}
    )
    if request.path in DRAWN:
        response.headers["Link"] = ", ".join(
            f"<{file}>; rel=preload; as=script" for file in drawing()
        )
    return _with_session(response, session)


def _with_session(response: Response, session: Session) -> Response:
    return keep(response, session.renewed) if session.renewed else response


for _path in PATHS:
    blp.add_url_rule(_path, _path.strip("/") or "home", _page)


@blp.get("/login")
def login() -> Response:
    """Show the login form."""
    if not settings().auth:
        return redirect(at_root("/"), HTTPStatus.SEE_OTHER)
    return login_page(request.args.get("next", "/"))


@blp.post("/login")
def log_in() -> Response:
    """Start a session, and redirect to the requested page."""
    check_origin()
    request.max_content_length = MAX_FORM_BYTES
    target = local_path(request.form.get("next", "/"))
    try:
        token = sessions.begin(database(), request.form.get("key", "").strip())
    except (Unauthenticated, Forbidden) as error:
        return login_page(target, str(error), HTTPStatus.UNAUTHORIZED)
    return keep(redirect(at_root(target), HTTPStatus.SEE_OTHER), token)


@blp.post("/logout")
def log_out() -> Response:
    """End the session."""
    check_origin()
    return forget(redirect(at_root("/login"), HTTPStatus.SEE_OTHER))


@blp.post("/monitors")
def make_monitor() -> Response:
    """Create the monitor that a form describes, and show it.

    Raises:
        Forbidden: the session's key has not the role admin.
        InvalidInput: the form is incomplete, or contradicts itself.
    """
    from app.web.new_monitor import create  # noqa: PLC0415 - see above

    check_origin()
    session = current()
    session.access.require(Role.ADMIN)
    request.max_content_length = MAX_FORM_BYTES
    with database().writing() as conn:
        name = create(conn, session.access.workspace_id, request.form)
    target = at_root("/monitor?" + urlencode({"monitor": name}))
    return _with_session(redirect(target, HTTPStatus.SEE_OTHER), session)


@blp.get("/export/<string:panel>.csv")
def export(panel: str) -> Response:
    """A panel as CSV."""
    from app.web.export import as_csv  # noqa: PLC0415 - see above

    session = current()
    search = request.query_string.decode("utf-8", "replace")
    text = as_csv(database(), panel, search, session.access.workspace_id)
    return _with_session(Response(text, mimetype="text/csv"), session)


@blp.get("/web/_dash-layout")
@blp.get("/web/_dash-dependencies")
def describe() -> Response:
    """The layout of the page, and the dependencies of its callbacks."""
    current()
    return _dash_response(request.path)


@blp.post("/web/_dash-update-component")
def update() -> Response:
    """A part of the page, for the workspace of the session."""
    from app.web.callback import check_update  # noqa: PLC0415 - see above

    check_origin()
    session = current()
    request.max_content_length = MAX_UPDATE_BYTES
    body = request.get_data(cache=False)  # read here, so that errors get our format
    check_update(body, _dash().callback_map)
    return _with_session(_dash_response(request.path, session.access, body), session)


@blp.get("/web/assets/<path:file>")
def asset(file: str) -> Response:
    """Our own scripts and styles; they require no session."""
    return own_asset(file)


@blp.get("/web/_dash-component-suites/<string:package>/<path:file>")
def component(**_path: str) -> Response:
    """Dash's scripts and styles; they require no session.

    Raises:
        NotFound: there is no such file.
    """
    from dash.exceptions import DashException  # noqa: PLC0415 - see above

    try:
        response = _dash_response(request.path)
    except DashException:
        raise NotFound from None
    if response.status_code == HTTPStatus.NOT_FOUND:
        raise NotFound
    return dash_file(response, _dash_fingerprints())


def _dash_fingerprints() -> frozenset[str]:
    """The fingerprints of the files that our pages name, found out once."""
    known: dict[str, Any] = flask.current_app.extensions
    if "web_fingerprints" not in known:
        known["web_fingerprints"] = fingerprints(_dash_response("/web/").get_data(as_text=True))
    found: frozenset[str] = known["web_fingerprints"]
    return found
