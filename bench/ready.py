"""A server that has its answer ready: what HTTP and Craft's SDK take of bench/steps.py.

Under gunicorn with the options of `truthline serve`, without Flask, keys or a database.
"""

import argparse
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt
import msgspec

from app.api.craft.routes import SingleRow
from app.cli.serve import Server, address, relax_garbage_collection
from app.config import Settings
from bench.steps import NAMES

Environ = dict[str, Any]
Start = Callable[[str, list[tuple[str, str]]], Any]


class Ready(Server):
    """`Server` with another application."""

    def load(self) -> Callable[[Environ, Start], list[bytes]]:  # type: ignore[override] # not Flask
        """An application that looks at nothing but whether a token is asked for."""
        relax_garbage_collection()
        now = datetime.now(UTC)
        names = [f"metric-{number}" for number in range(NAMES)]
        rows = [SingleRow(name, 0.5, now, "named", None, "") for name in names]
        page = msgspec.json.encode({"metrics": rows, "total_count": NAMES})
        token = msgspec.json.encode({"access_token": _token()})

        def answer(environ: Environ, start: Start) -> list[bytes]:
            environ["wsgi.input"].read()
            body = token if environ["PATH_INFO"].endswith("/auth/refresh") else page
            headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
            start("200 OK", list(headers.items()))
            return [body]

        return answer


def _token() -> str:
    now = int(time.time())
    return jwt.encode({"iat": now, "exp": now + 86_400}, "a secret of no use to anybody at all")


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    given = parser.parse_args()
    options = {"bind": address(given.host, given.port), "workers": 1, "threads": 8}
    Ready(Settings(), options, housekeeping=False).run()  # type: ignore[no-untyped-call] # gunicorn carries no types


if __name__ == "__main__":
    main()
