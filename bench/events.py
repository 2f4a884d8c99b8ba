"""How fast do feedback events get in, each counted once? Through a running server.

Sixteen connections send events as Seldon's executor does, every tenth delivered twice. The same
senders also measure, on the same kind of server: a route that answers 204 and does nothing (the
floor), and the vendor's way, a counter in memory, which forgets everything at a restart and counts
a repeated event again. Run it with

    python -m bench.events [events]

TRUTHLINE_DATABASE_URL names a server of PostgreSQL; without, an embedded one is started.
"""

import http.client
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from flask import Flask, Response, request
from prometheus_client import CollectorRegistry, Counter

from app.cli.serve import relax_garbage_collection
from app.config import Settings
from app.factory import create_app
from app.query.event_metrics import event_metrics
from app.store.database import Database
from bench.database import fresh_database
from bench.report import Sample, heading, note

CONNECTIONS = 16
TWICE = 10
PATIENCE_S = 30.0
BODY = json.dumps(
    {
        "response": {"data": {"ndarray": [[0.0007, 0.0037, 0.9956]]}},
        "truth": {"data": {"ndarray": [[0, 0, 1]]}},
    }
)
HEADERS = {
    "Content-Type": "application/json",
    "ce-specversion": "1.0",
    "ce-type": "io.seldon.serving.feedback",
    "ce-source": "http://bench:8000/",
    "ce-inferenceservicename": "bench",
    "ce-modelid": "classifier",
    "ce-namespace": "default",
    "ce-endpoint": "default",
}
Report = list[float]


# --- what is measured, each as gunicorn serves it -------------------------------------------


def truthline() -> Flask:
    """The service."""
    relax_garbage_collection()
    return create_app(Settings(database_url=os.environ["BENCH_DATABASE_URL"], auth=False))


def floor() -> Flask:
    """A route that does nothing."""
    app = Flask("floor")
    app.post("/")(lambda: Response(status=204))
    return app


def memory() -> Flask:
    """The vendor's way: parse, compare, and add to a counter in memory."""
    app = Flask("memory")
    right = Counter("true_positive", "", ["class"], registry=CollectorRegistry())
    wrong = Counter("false_negative", "", ["class"], registry=CollectorRegistry())

    @app.post("/")
    def count() -> Response:
        body = request.get_json()
        response, truth = (body[name]["data"]["ndarray"][0] for name in ("response", "truth"))
        predicted, actual = response.index(max(response)), truth.index(max(truth))
        (right if predicted == actual else wrong).labels(f"CLASS_{actual}").inc()
        return Response("{}", mimetype="application/json")

    return app


# --- the measuring --------------------------------------------------------------------------


def main(events: int = 10_000) -> None:
    """Note what a delivery and all of them take; each event must have been counted once."""
    ids = [f"e{number}" for number in range(events)]
    deliveries = ids + ids[::TWICE]
    random.shuffle(deliveries)
    with fresh_database() as database:
        url = database.engine.url.render_as_string(hide_password=False)
        found = {name: measured(name, url, deliveries) for name in WAYS}
        if (number := counted(database) - 1) != events:
            raise AssertionError(f"{number:,} of {events:,} events counted")
    heading()
    for place, what in enumerate(("a delivery, of 16 at once", "all deliveries")):
        note(what, *(Sample(title, found[name][place]) for name, title in WAYS.items()))


WAYS = {"truthline": "Truthline", "memory": "a counter in memory", "floor": "a route without work"}


def measured(name: str, url: str, deliveries: list[str]) -> tuple[Report, Report]:
    """Seconds of each delivery, and of all."""
    with serving(name, url) as port:
        began = time.perf_counter()
        with ThreadPoolExecutor(CONNECTIONS) as pool:
            parts = [deliveries[at::CONNECTIONS] for at in range(CONNECTIONS)]
            seconds = sorted(
                s for part in pool.map(lambda ids: send(port, ids), parts) for s in part
            )
        return seconds, [time.perf_counter() - began]


def send(port: int, ids: list[str]) -> Report:
    """Seconds of each delivery, over one connection."""
    connection, seconds = http.client.HTTPConnection("127.0.0.1", port), []
    for id_ in ids:
        began = time.perf_counter()
        connection.request("POST", "/", BODY, HEADERS | {"ce-id": id_, "ce-requestid": id_})
        answer = connection.getresponse()
        answer.read()
        seconds.append(time.perf_counter() - began)
        if answer.status not in (200, 204):
            raise RuntimeError(f"answered {answer.status}")
    connection.close()
    return seconds


def counted(database: Database) -> int:
    """What the counter of true positives came to, the event included that waits for the server."""
    with database.reading() as conn:
        found = event_metrics(conn, workspace_id=1)
    (value,) = (one.value for one in found if one.name == "seldon_metric_true_positive")
    return int(value)


@contextmanager
def serving(name: str, url: str) -> Iterator[int]:
    """The port of one of the above under gunicorn: one process of sixteen threads."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port: int = listening.getsockname()[1]
    command = [sys.executable, "-m", "gunicorn", f"bench.events:{name}()", "--log-level=error"]
    command += [f"--bind=127.0.0.1:{port}", "--worker-class=gthread", "--threads=16"]
    command += ["--no-control-socket"]
    with subprocess.Popen(command, env=os.environ | {"BENCH_DATABASE_URL": url}) as process:
        try:
            wait_until(lambda: send(port, ["warm"]))
            yield port
        finally:
            process.terminate()


def wait_until(attempt: Callable[[], object]) -> None:
    """Try until it goes well."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            attempt()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
        else:
            return


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
