"""The proxy of docker-compose.yml, as Debian's nginx runs its configuration."""

import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import requests

from tests.api.live import serving
from tests.deploy.compose import ROOT
from tests.nginx import PATIENCE, running
from tests.servers import free_port

CONFIG = ROOT / "deploy" / "nginx"
HEAD = b"POST /api/v1/predictions HTTP/1.1\r\nHost: localhost\r\n"


def echo(environ, start):
    """An application that returns the size of the request, and the client it came from."""
    size = len(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
    said = f"{size} {environ['HTTP_X_FORWARDED_PROTO']}".encode()
    start("200 OK", [("Content-Length", str(len(said)))])
    return [said]


@pytest.fixture(scope="module")
def directory(tmp_path_factory) -> Path:
    made = tmp_path_factory.mktemp("proxy")
    (made / "tls").mkdir()
    return made


@pytest.fixture(scope="module")
def proxy(directory) -> Iterator[str]:
    certificate(directory / "tls")
    with serving(echo) as api, as_in_compose(directory, api) as base:
        yield base


def certificate(directory: Path) -> None:
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    names = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    files = ["-keyout", directory / "key.pem", "-out", directory / "certificate.pem"]
    subprocess.run([*command, *names, *files], check=True, capture_output=True, timeout=PATIENCE)


@contextmanager
def as_in_compose(directory: Path, api: str) -> Iterator[str]:
    """nginx with the configuration as it is, but for addresses, directories and shorter limits."""
    plain, encrypted = free_port(), free_port()
    changes = {
        "/tmp/": f"{directory}/",  # noqa: S108 - as in the file
        "/etc/nginx/tls": f"{directory / 'tls'}",
        "http://api:8000": api,
        "listen 8000": f"listen 127.0.0.1:{plain}",
        "listen 8443": f"listen 127.0.0.1:{encrypted}",
        "_timeout 10s": "_timeout 2s",
        "worker_processes auto": "worker_processes 1",
    }
    written = {"nginx.conf": "nginx.conf", "tls.conf.example": "tls/tls.conf"}
    for source, name in written.items():
        text = (CONFIG / source).read_text()
        for old, new in changes.items():
            text = text.replace(old, new)
        (directory / name).write_text(text)
    with running(directory / "nginx.conf", plain):
        yield f"http://127.0.0.1:{plain} https://127.0.0.1:{encrypted}"


def plain(proxy: str) -> str:
    return proxy.split(maxsplit=1)[0]


def test_it_hands_on_what_came_whole(proxy):
    body = b"x" * 1_000_000
    answer = requests.post(f"{plain(proxy)}/a//b", data=body, timeout=PATIENCE)

    assert (answer.status_code, answer.text) == (200, "1000000 http")


def test_it_ends_tls(proxy, directory):
    answer = requests.get(
        proxy.split()[1], verify=str(directory / "tls" / "certificate.pem"), timeout=PATIENCE
    )

    assert answer.text == "0 https"


def test_metrics_are_not_for_everybody(proxy):
    assert requests.get(f"{plain(proxy)}/metrics", timeout=PATIENCE).status_code == 404


def test_a_body_that_is_too_long_is_refused(proxy):
    head = HEAD + b"Content-Length: 33554433\r\n\r\n"
    with connected(proxy, head) as sock:
        assert b" 413 " in sock.recv(4096)


def test_a_long_token_passes(proxy):
    headers = {"Authorization": "Bearer " + "a" * 30_000}

    assert requests.get(plain(proxy), headers=headers, timeout=PATIENCE).status_code == 200


@contextmanager
def connected(proxy: str, sent: bytes) -> Iterator[socket.socket]:
    port = int(plain(proxy).rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as sock:
        sock.sendall(sent)
        yield sock


@pytest.mark.parametrize("sent", [b"", HEAD, HEAD + b"Content-Length: 9\r\n\r\nabc"])
def test_a_late_client_is_cut_off_and_delays_nobody(proxy, sent):
    with ExitStack() as stack:
        socks = [stack.enter_context(connected(proxy, sent)) for _ in range(100)]
        assert requests.get(plain(proxy), timeout=PATIENCE).status_code == 200
        for sock in socks:
            try:
                while sock.recv(4096):
                    pass
            except ConnectionResetError:
                pass


def test_an_address_has_only_so_many_connections(proxy):
    waiting = HEAD + b"Content-Length: 9\r\n\r\nabc"
    with ExitStack() as stack:
        for _ in range(250):
            stack.enter_context(connected(proxy, waiting))
        assert requests.get(plain(proxy), timeout=PATIENCE).status_code == 429
