"""Post a body to an address that was checked. Redirects are not followed, and proxies not used."""

import http.client
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from app.monitors.addresses import Network, checked_addresses

# For each step of a request, and for all of it: a receiver may answer byte by byte.
STEP_SECONDS, TIME_LIMIT_SECONDS = 5.0, 15.0


class _Connection(http.client.HTTPConnection):
    """A connection to the first of some addresses that accepts one."""

    def __init__(self, host: str, port: int, addresses: Sequence[str]) -> None:
        super().__init__(host, port, timeout=STEP_SECONDS)
        self._addresses = addresses

    def connect(self) -> None:
        """Connect to an address that was checked, and to no other."""
        failures: list[OSError] = []
        for address in self._addresses:
            try:
                self.sock = socket.create_connection((address, self.port), self.timeout)
            except OSError as error:
                failures.append(error)
            else:
                return
        raise failures[0]


class _SecureConnection(_Connection):
    """The same by TLS: the certificate must be that of the host's name."""

    default_port = http.client.HTTPS_PORT

    def connect(self) -> None:
        """Connect, and verify whom to."""
        super().connect()
        context = ssl.create_default_context()
        self.sock = context.wrap_socket(self.sock, server_hostname=self.host)


def post(url: str, body: bytes, headers: Mapping[str, str], allowed: Sequence[Network]) -> int:
    """Post a body; returns the status of the response.

    Raises:
        RefusedAddress: the host is on a network that messages may not go to.
        OSError, HTTPException: it can't be reached, or not within TIME_LIMIT_SECONDS.
    """
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    kind = _SecureConnection if secure else _Connection
    port = parts.port or kind.default_port
    connection = kind(host, port, checked_addresses(host, port, allowed))
    timer = threading.Timer(TIME_LIMIT_SECONDS, _break, [connection])
    timer.start()
    try:
        path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
        connection.request("POST", path, body, dict(headers))
        return connection.getresponse().status
    finally:
        timer.cancel()
        connection.close()


def _break(connection: Any) -> None:
    """Let whatever waits for the other side fail."""
    if connection.sock is not None:
        connection.sock.shutdown(socket.SHUT_RDWR)
