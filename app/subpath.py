"""A service below a path of its host, such as https://x/truthline.

The path is that of TRUTHLINE_PUBLIC_URL, or what a trusted proxy says in `X-Forwarded-Prefix`. It
becomes WSGI's SCRIPT_NAME, whether the proxy has stripped it from the request's path or not, so
routes don't contain it and links do (`at_root`). Without it, as probes ask, paths work too.
"""

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from flask import has_request_context, request

from app.config import EVERY_PROXY, SUB_PATH, Settings, networks

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]


class Roots:
    """Knows below which path each request asks."""

    def __init__(self, settings: Settings) -> None:
        self.own = urlsplit(settings.public_url).path.rstrip("/")
        proxies = settings.trusted_proxies
        self.trusts_all = proxies.strip() == EVERY_PROXY
        self.trusted = [] if self.trusts_all else networks(proxies)

    def split(self, path: str, said: str = "", address: str = "") -> tuple[str, str]:
        """The sub-path and the rest; `said` is what the client at `address` says it is."""
        said = said.rstrip("/")
        trusted = SUB_PATH.fullmatch(said) and self._is_trusted(address)
        root = said if trusted else self.own
        within = root and (path == root or path.startswith(f"{root}/"))
        return root, (path.removeprefix(root) or "/") if within else path

    def _is_trusted(self, address: str) -> bool:
        """Whether an address is one of the proxies."""
        try:
            found = ip_address(address)
        except ValueError:
            return self.trusts_all
        return self.trusts_all or any(found in network for network in self.trusted)


class SubPath:
    """WSGI middleware that splits the path off."""

    def __init__(self, application: Application, settings: Settings) -> None:
        self.application = application
        self.roots = Roots(settings)

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Pass the request on."""
        said = environ.get("HTTP_X_FORWARDED_PREFIX", "")
        address = environ.get("REMOTE_ADDR", "")
        root, path = self.roots.split(environ.get("PATH_INFO", ""), said, address)
        if root:
            environ["SCRIPT_NAME"], environ["PATH_INFO"] = root, path
        return self.application(environ, start_response)


def at_root(path: str) -> str:
    """A path of this service as browsers ask for it; other links unchanged."""
    is_ours = path.startswith("/") and not path.startswith("//")
    return request.script_root + path if is_ours and has_request_context() else path
