"""A service below a path of its host, such as https://x/truthline.

The path is that of TRUTHLINE_PUBLIC_URL, or what a trusted proxy says in `X-Forwarded-Prefix`. It
becomes WSGI's SCRIPT_NAME, whether the proxy has stripped it from the request's path or not, so
routes don't contain it and links do (`at_root`). Without it, as probes ask, paths work too.
"""

import re
from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

from flask import has_request_context, request

from app.config import Settings

PREFIX = re.compile(r"(/[\w.~-]+)+", re.ASCII)
Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class SubPath:
    """WSGI middleware that splits the path off."""

    def __init__(self, application: Application, settings: Settings) -> None:
        self.application = application
        self.own = urlsplit(settings.public_url).path.rstrip("/")
        self.trusted = settings.trusted_proxies

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Pass the request on."""
        if prefix := self._prefix(environ):
            path = environ.get("PATH_INFO", "")
            environ["SCRIPT_NAME"] = prefix
            if path == prefix or path.startswith(f"{prefix}/"):
                environ["PATH_INFO"] = path.removeprefix(prefix) or "/"
        return self.application(environ, start_response)

    def _prefix(self, environ: dict[str, Any]) -> str:
        said = environ.get("HTTP_X_FORWARDED_PREFIX", "").rstrip("/")
        trusted = PREFIX.fullmatch(said) and is_trusted(
            environ.get("REMOTE_ADDR", ""), self.trusted
        )
        return said if trusted else self.own


def is_trusted(address: str, proxies: str) -> bool:
    """Whether an address is one of these addresses and networks; `*` is all."""
    if proxies.strip() == "*":
        return True
    try:
        found = ip_address(address)
    except ValueError:
        return False
    networks = [ip_network(part.strip(), strict=False) for part in proxies.split(",") if part]
    return any(found in network for network in networks)


def at_root(path: str) -> str:
    """A path of this service as browsers ask for it; other links unchanged."""
    is_ours = path.startswith("/") and not path.startswith("//")
    return request.script_root + path if is_ours and has_request_context() else path
