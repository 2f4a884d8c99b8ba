"""Without authentication, this machine's own browser is the door: only our own pages may use it.

A page of another site can have its name point at 127.0.0.1 once it is loaded (DNS rebinding), and
is then of our origin to the browser. Its name in `Host` tells. Nobody else's name can be an address
or `localhost`, so under those, at any port, and under the name in TRUTHLINE_PUBLIC_URL we answer.
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
    """Refuse a request that was sent to the name of another.

    Raises:
        MisdirectedRequest: it was.
    """
    host = _name_in(request.host)
    if host is None or not (host in ("localhost", own) or _is_address(host)):
        raise MisdirectedRequest(
            "Without authentication this service answers to localhost only; another name has to be"
            " in TRUTHLINE_PUBLIC_URL."
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
