"""Request heads that a running server accepts, and its responses to those it rejects."""

import json
import socket
from urllib.parse import urlsplit

import pytest
import requests

from tests.cli.test_commands import served

SECRET = "tl_a-key-that-must-not-be-told"
ROOT = "/below/this"
# Paths of each dialect, and the members of its errors.
DIALECTS = {
    "/api/v1/models": {"type", "title", "status", "detail"},
    "/metrics-server/api/v1/pipeline/subscriptions": {"code", "message", "details"},
    "/model-monitoring/v1/deployment": {"code", "message", "details"},
    "/x/inference-stats": {"error"},
    "/api/v1/metrics/single-value/x": {"message", "name", "request_id"},
    "/auth/realms/x/protocol/openid-connect/token": {"error", "error_description"},
}
BROKEN = {
    "a header without a name": (400, b"GET %s?api_key=%s HTTP/1.1\r\n: %s\r\n\r\n"),
    "a header with a space": (400, b"GET %s?api_key=%s HTTP/1.1\r\nX Y: %s\r\n\r\n"),
    "a strange version": (400, b"GET %s?api_key=%s HTTP/9.x\r\nX: %s\r\n\r\n"),
    "a strange length": (400, b"GET %s?api_key=%s HTTP/1.1\r\nContent-Length: x%s\r\n\r\n"),
    "a bare LF": (400, b"GET %s?api_key=%s HTTP/1.1\nX: %s\n\n"),
    "a long line": (414, b"GET %s?api_key=%s" + b"x" * 40_000 + b" HTTP/1.1\r\nX: %s\r\n\r\n"),
    "a long header": (431, b"GET %s?api_key=%s HTTP/1.1\r\nX: %s" + b"x" * 40_000 + b"\r\n\r\n"),
    "long headers": (431, b"GET %s?api_key=%s HTTP/1.1\r\n" + b"X: %s" + b"\r\n\r\n"),
    "a strange expectation": (417, b"GET %s?api_key=%s HTTP/1.1\r\nExpect: x%s\r\n\r\n"),
    "a strange coding": (501, b"GET %s?api_key=%s HTTP/1.1\r\nTransfer-Encoding: x%s\r\n\r\n"),
}
MANY = b"".join(b"X-%d: %s\r\n" % (number, b"x" * 1_000) for number in range(99))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    url = {"TRUTHLINE_PUBLIC_URL": f"https://x.example{ROOT}"}
    with served(tmp_path_factory.mktemp("heads") / "data", **url) as base:
        yield base


def say(base, head):
    """Status, headers and body of the answer to these bytes."""
    parts = urlsplit(base)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as sock:
        sock.sendall(head)
        said = b""
        while data := sock.recv(65_536):
            said += data
    lines, _, body = said.partition(b"\r\n\r\n")
    status, *headers = lines.decode().split("\r\n")
    return int(status.split()[1]), dict(line.split(": ", 1) for line in headers), body


@pytest.mark.parametrize("root", ["", ROOT])
@pytest.mark.parametrize("path", DIALECTS)
def test_a_path_passed_on_by_a_proxy_has_the_same_form(base, root, path):
    expected, head = BROKEN["a header with a space"]
    status, _, body = say(base, head % ((root + path).encode(), b"x", b"x"))

    assert (status, json.loads(body).keys()) == (expected, DIALECTS[path])


@pytest.mark.parametrize("path", DIALECTS)
@pytest.mark.parametrize("broken", BROKEN)
def test_what_cannot_be_read_is_refused_in_the_form_of_its_path(base, path, broken):
    expected, head = BROKEN[broken]
    told = MANY + SECRET.encode() if broken == "long headers" else SECRET.encode()
    status, headers, body = say(base, head % (path.encode(), SECRET.encode(), told))

    assert status == expected
    assert set(json.loads(body)) == DIALECTS[path]
    assert SECRET.encode() not in body
    assert int(headers["Content-Length"]) == len(body)
    assert headers["Connection"] == "close"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Request-ID"]


def test_a_body_that_breaks_its_own_framing_is_refused(base):
    head = (
        b"POST /api/v1/auth/refresh HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        b"Transfer-Encoding: chunked\r\n\r\nnonsense\r\n\r\n"
    )
    status, _, body = say(base, head)

    assert status == 400
    assert set(json.loads(body)) == {"message", "name", "request_id"}


@pytest.mark.parametrize("size", [8_300, 16_000, 31_000])
def test_long_tokens_come_through(base, size):
    """They are wrong, and refused as such by the application: 401, not 400 or 431."""
    token = "x" * size
    for request in (
        {"headers": {"Authorization": f"Bearer {token}"}},
        {"params": {"api_key": token}},
    ):
        answer = requests.get(f"{base}/api/v1/models", timeout=10, **request)
        assert answer.status_code == 401
        assert answer.json()["title"] == "The request has no valid API key"


def test_no_secret_of_a_broken_request_is_logged(tmp_path):
    log = tmp_path / "log"
    with served(tmp_path / "data", log_file=log) as base:
        for _, head in BROKEN.values():
            say(base, head % (b"/api/v1/models", SECRET.encode(), SECRET.encode()))

    said = log.read_text()
    assert "GET /api/v1/models refused: InvalidHeader" in said
    assert SECRET not in said
