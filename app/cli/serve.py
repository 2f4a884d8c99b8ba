"""`truthline serve`: the API under gunicorn."""

import gc
import ipaddress
import logging
import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.glogging import Logger

from app.cli.buffered_worker import BufferedWorker
from app.cli.connection import data_option, embedded, locate_database
from app.cli.gateway_errors import responding
from app.cli.watch import watch
from app.config import Settings
from app.embedded.server import Cluster
from app.store.database import Database
from app.upkeep.housekeeping import run_housekeeping

GRACE_SECONDS = 30
# Threads that one workspace's queries leave to other workspaces, and to ingest.
RESERVED_THREADS = 2


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on")
@click.option("--port", default=8000, show_default=True, type=click.IntRange(0, 65535))
@click.option("--workers", default=1, show_default=True, type=click.IntRange(1, 64))
@click.option("--threads", default=8, show_default=True, type=click.IntRange(1, 256))
@click.option("--no-auth", is_flag=True, help="Require no API key; on a loopback address only")
@click.option("--no-worker", is_flag=True, help="Run no housekeeping in this process")
@data_option
@click.pass_obj
def serve(
    settings: Settings,
    host: str,
    port: int,
    workers: int,
    threads: int,
    no_auth: bool,
    no_worker: bool,
    data: Path | None,
) -> None:
    """Serve the API until stopped."""
    if no_auth:
        settings = replace(settings, auth=False)
    if not settings.auth and not is_loopback(host):
        raise click.UsageError(
            f"without authentication the API is served on a loopback address only, not on {host}"
        )
    if not settings.max_questions:
        settings = replace(settings, max_questions=max(1, threads - RESERVED_THREADS))
    check_port_is_free(host, port)
    cluster = embedded(settings, data)
    with locate_database(settings, data, create=True) as settings, _shared_metrics(workers):
        options = {"bind": address(host, port), "workers": workers, "threads": threads}
        Server(settings, options, housekeeping=not no_worker, cluster=cluster).run()


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def address(host: str, port: int) -> str:
    """Host and port as in a URL: an IPv6 address is put in brackets."""
    return f"[{host}]:{port}" if ":" in host and not host.startswith("[") else f"{host}:{port}"


def check_port_is_free(host: str, port: int) -> None:
    """Check before anything is started; port 0 means any.

    Raises:
        UsageError: the port is in use, or the address isn't this machine's.
    """
    try:
        socket.create_server(
            (host.strip("[]"), port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        ).close()
    except OSError as error:
        raise click.UsageError(
            f"can't listen on {address(host, port)}: {error.strerror}; try another --port"
        ) from None


@contextmanager
def _shared_metrics(workers: int) -> Iterator[None]:
    """Give several processes a directory for their metrics, so that each can report all.

    A worker process leaves this context too when it exits: only the process that created the
    directory may remove it.
    """
    if workers == 1:
        yield
        return
    directory, creator = tempfile.mkdtemp(prefix="truthline-metrics-"), os.getpid()
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = directory
    try:
        yield
    finally:
        if os.getpid() == creator:
            shutil.rmtree(directory, ignore_errors=True)


class _QuietLogger(Logger):
    """Passes gunicorn's messages to our log; app/api/http/observe.py logs requests."""

    def setup(self, cfg: Any) -> None:
        """Leave the logger without handlers of its own."""
        self.cfg = cfg
        self.error_log.propagate = True
        self.error_log.setLevel(logging.INFO)


class Server(BaseApplication):
    """gunicorn with threads; each worker process builds its own application."""

    def __init__(
        self,
        settings: Settings,
        options: dict[str, Any],
        *,
        housekeeping: bool,
        cluster: Cluster | None = None,
    ) -> None:
        self.settings = settings
        self.options = options
        self.housekeeping = housekeeping
        self.cluster = cluster
        super().__init__()  # type: ignore[no-untyped-call] # gunicorn carries no types

    def load_config(self) -> None:
        """Apply the options."""
        fixed = {
            "worker_class": responding(BufferedWorker),
            "forwarded_allow_ips": self.settings.trusted_proxies,
            "sendfile": False,  # the worker sends responses, not the thread
            "graceful_timeout": GRACE_SECONDS,
            "timeout": 2 * GRACE_SECONDS,
            "logger_class": _QuietLogger,
            "proc_name": "truthline",
            "control_socket_disable": True,
            "post_worker_init": self._start_background,
            "child_exit": _remove_metrics,
        }
        for name, value in {**self.options, **fixed}.items():
            self.cfg.set(name, value)  # type: ignore[union-attr] # gunicorn made it

    def load(self) -> Flask:
        """Build the application, after the fork: connections and locks are not shared."""
        from app.factory import create_app  # noqa: PLC0415 - metrics need PROMETHEUS_MULTIPROC_DIR

        app = create_app(self.settings)
        relax_garbage_collection()
        return app

    def _start_background(self, worker: Any) -> None:
        """Start background threads in each process: threads don't survive a fork."""
        stop = threading.Event()  # never set: these threads die with the process
        if self.cluster:
            threading.Thread(target=watch, args=(self.cluster, stop), daemon=True).start()
        if self.housekeeping:
            database = worker.wsgi.extensions["database"]
            if self.settings.direct_database_url:
                database = Database.from_settings(self.settings.direct)
            arguments = (database, self.settings, stop)
            threading.Thread(target=run_housekeeping, args=arguments, daemon=True).start()


def relax_garbage_collection() -> None:
    """Make Python's garbage collection rarer: a batch creates a hundred thousand objects at once.

    With the default of 700, a quarter of the time of an ingest call is spent scanning rows that are
    all still needed (bench/ingest.py: 38,000 rows per second become 50,000).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)


def _remove_metrics(_server: Any, worker: Any) -> None:
    if "PROMETHEUS_MULTIPROC_DIR" in os.environ:
        from prometheus_client import multiprocess  # noqa: PLC0415 - only with several workers

        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call] # no types there
