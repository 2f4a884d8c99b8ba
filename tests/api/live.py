"""A live server, for clients that open connections of their own."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server


class Keeping(WSGIRequestHandler):
    """Keeps connections, as gunicorn does, and no log: the service keeps its own."""

    protocol_version = "HTTP/1.1"

    def log_request(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(app: Flask, handler: type[WSGIRequestHandler] | None = None) -> Iterator[str]:
    """The URL of a server of this application, on a free port."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
