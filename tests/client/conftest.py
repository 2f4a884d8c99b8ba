"""The package against the real application, on a loopback server."""

import threading

import pytest
from truthline import Backoff, Client
from werkzeug.serving import make_server

SOON = Backoff(first=0.01, longest=0.05)


@pytest.fixture(scope="session")
def url(app):
    """Where the application is served that the tests share."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def truthline(url, workspace):
    """A client of this test's own workspace."""
    with Client(url, workspace.admin_key, backoff=SOON) as client:
        yield client
