"""Without authentication, other sites must not reach the service through this machine's browser.

A page of another site can make its name resolve to 127.0.0.1 after it has loaded (DNS rebinding);
the browser then considers it same-origin with us, but sends its name in `Host`. Only addresses and
`localhost`, at any port, can't be another site's name, so these are accepted, and the name in
TRUTHLINE_PUBLIC_URL.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, request
from werkzeug.exceptions import MisdirectedRequest

from app.config import Settings


def install(app: Flask, settings: Settings) -> None:
    """Check the host of every request to a service without authentication."""
    if not settings.auth:
        own = urlsplit(settings.public_url).hostname
        app.before_request(lambda: check_host(own))


def check_host(own: str | None) -> None:
    """Reject a request with another site's name as its host.

    Raises:
        MisdirectedRequest: it has one.
    """
    host = _name_in(request.host)
    if host is None or not (host in ("localhost", own) or _is_address(host)):
        raise MisdirectedRequest(
            "Without authentication this service accepts requests to localhost only; set"
            " TRUTHLINE_PUBLIC_URL to allow another name."
        )


def _name_in(host: str) -> str | None:
    try:
        return urlsplit(f"//{host}").hostname
    except ValueError:
        return None


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
