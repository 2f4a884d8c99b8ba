"""Pages of other sites, in a browser on the machine of a service that requires no key."""

import json
from dataclasses import replace

import pytest

from app.factory import create_app
from tests.api.given import NUMERIC, SELDON_MODEL
from tests.api.http.test_truncated import FORM, READERS

# What a browser sends to anybody, without asking: a Blob has no type at all.
WITHOUT_ASKING = [None, "text/plain", "multipart/form-data; boundary=x", FORM["Content-Type"]]
WRITERS = READERS.keys() - {"oidc.post_token", "oidc.post_revoke", "web.log_in", "web.update"}


@pytest.fixture(scope="module")
def open_app(shared_settings, database):
    """A service that requires no key."""
    return create_app(replace(shared_settings, auth=False), database)


@pytest.fixture
def open_client(open_app):
    """A client of that service."""
    return open_app.test_client()


# Forms of our own pages are recognized by their origin, as tests/web/test_monitors.py shows.
FORMS = {"web.make_monitor"}


@pytest.mark.parametrize("view", sorted(WRITERS - FORMS - {"seldon_v1.post_event"}))
@pytest.mark.parametrize("type_", WITHOUT_ASKING, ids=str)
def test_a_body_of_a_type_that_needs_no_asking_is_refused(open_client, view, type_):
    method, path, _, body, why = READERS[view]
    text = body if isinstance(body, str) else json.dumps(body)
    path = path.format(workspace="default")

    answer = open_client.open(path, method=method, data=text.encode(), content_type=type_)

    assert answer.status_code == 415
    assert "Content-Type must be application/json" in why(answer.json)


@pytest.mark.parametrize("type_", WITHOUT_ASKING, ids=str)
def test_an_event_needs_headers_or_a_type_that_need_asking(open_client, type_):
    _, path, _, body, _ = READERS["seldon_v1.post_event"]

    answer = open_client.post(path, data=json.dumps(body).encode(), content_type=type_)

    assert answer.status_code == 400
    assert "expected a CloudEvent" in answer.json["detail"]


def test_an_event_in_headers_may_have_no_type(open_client):
    _, path, named, body, _ = READERS["seldon_v1.post_event"]
    named = {name: value for name, value in named.items() if name != "Content-Type"}

    answer = open_client.post(path, data=json.dumps(body).encode(), headers=named)

    assert answer.status_code == 200


OURS = ("localhost", "localhost:8000", "LOCALHOST", "127.0.0.1:8000", "127.8.9.1", "[::1]:8000")
OTHERS = ("evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example")
OTHERS += ("evil.localhost.example", "[::1].evil.example", "a@b", "[")


@pytest.mark.parametrize("host", OURS)
def test_its_own_names_are_answered(open_client, host):
    assert open_client.get("/livez", headers={"Host": host}).status_code == 200
    body = SELDON_MODEL | NUMERIC
    path = "/metrics-server/api/v1/pipeline/model/subscribe"
    assert open_client.post(path, json=body, headers={"Host": host}).status_code in (200, 409)


@pytest.mark.parametrize("host", OTHERS)
@pytest.mark.parametrize("view", sorted(WRITERS))
def test_another_name_is_refused(open_client, view, host):
    method, path, named, body, why = READERS[view]
    text = body if isinstance(body, str) else json.dumps(body)
    headers = named | {"Host": host}
    path = path.format(workspace="default")

    answer = open_client.open(path, method=method, data=text, headers=headers)

    assert answer.status_code in (400, 421)
    assert "localhost" in why(answer.json) or answer.status_code == 400


def test_another_name_reads_nothing(open_client):
    for path in ("/", "/api/v1/models", "/openapi.json", "/status", "/metrics"):
        assert open_client.get(path, headers={"Host": "evil.example"}).status_code == 421


def test_the_public_name_is_answered(shared_settings, database):
    settings = replace(shared_settings, auth=False, public_url="https://truthline.example/at")
    client = create_app(settings, database).test_client()

    assert client.get("/livez", headers={"Host": "truthline.example"}).status_code == 200
    assert client.get("/livez", headers={"Host": "evil.example"}).status_code == 421


def test_with_keys_any_name_will_do(client):
    assert client.get("/api/v1/models", headers={"Host": "truthline.example"}).status_code == 200
