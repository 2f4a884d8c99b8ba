"""A server below a path of its host, behind a proxy that passes the path on."""

from dataclasses import replace

from truthline import Client, TokenProvider

from app.factory import create_app
from tests.api.live import serving
from tests.client.conftest import SOON


def test_the_url_may_have_a_path(shared_settings, database, workspace):
    settings = replace(shared_settings, public_url="http://localhost/below")
    paths = []
    app = create_app(settings, database)
    below = app.wsgi_app

    def watching(environ, start):
        paths.append(environ["PATH_INFO"])
        return below(environ, start)

    app.wsgi_app = watching
    with serving(app) as host:
        url = f"{host}/below/"
        with Client(url, TokenProvider(url, workspace.admin_key), backoff=SOON) as client:
            assert list(client.models().models) == []

    assert len(paths) > 1
    assert all(path.startswith("/below/api/v1/") for path in paths), paths
