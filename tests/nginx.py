"""Debian's nginx, as a test configures it."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import free_port

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
PATIENCE = 60
PATH, ADDRESS = "/truthline", "http://127.0.0.1:8000"  # in docs/operations.md
_DOCUMENT = Path(__file__).parents[1] / "docs" / "operations.md"
_WRITTEN = re.findall(r"^```nginx\n(.*?)^```", _DOCUMENT.read_text(), re.MULTILINE | re.DOTALL)
PASSES_ON, STRIPS = (location for location in _WRITTEN if f"location {PATH}/" in location)
# One server on loopback; it writes to one directory only.
CONFIG = """
pid {directory}/nginx.pid;
error_log stderr warn;
worker_processes 1;
events {{ worker_connections 256; }}
http {{
  access_log off;
  client_body_temp_path {directory}/body;
  proxy_temp_path {directory}/proxy;
  fastcgi_temp_path {directory}/fastcgi;
  uwsgi_temp_path {directory}/uwsgi;
  scgi_temp_path {directory}/scgi;
  server {{
    listen 127.0.0.1:{listen};
    {location}
    # Another service has the root of the host: a link that leaves the path leads to it.
    location / {{ return 418 "another service"; }}
  }}
}}
"""


@contextmanager
def in_front(directory: Path, service: str, location: str) -> Iterator[str]:
    """The URL of an nginx with a documented location, in front of the service at a URL."""
    listen, config = free_port(), directory / "nginx.conf"
    location = location.replace(ADDRESS, service)
    config.write_text(CONFIG.format(directory=directory, listen=listen, location=location))
    with running(config, listen):
        yield f"http://127.0.0.1:{listen}"


@contextmanager
def running(config: Path, listen: int) -> Iterator[None]:
    """An nginx with this configuration, once it listens on a port."""
    if NGINX is None:
        pytest.skip("NO NGINX ON THIS MACHINE: nothing has tried a proxy")
    as_we_are = "user root;" if os.geteuid() == 0 else ""
    command = [NGINX, "-c", str(config), "-g", f"daemon off; {as_we_are}"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        try:
            _await(listen, process)
            yield
        finally:
            process.terminate()


def _await(port: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()[1]
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    pytest.fail("nginx does not listen")
