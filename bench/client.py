"""What does logging cost the model's thread, and how fast do rows get through?

The floor of a call is putting its arguments into a `queue.SimpleQueue`, which does nothing with
them. That of the way through is `send_predictions` of rows that are there. The server is a process
of its own, on this machine. Run it with `python -m bench.client [calls]`.
"""

import os
import queue
import subprocess
import sys
import tempfile
import time
import tracemalloc
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from truthline import Backoff, Client, Limits

from tests.servers import free_port

ROW: dict[str, Any] = {
    "namespace": "shop",
    "pipeline": "checkout",
    "version": "v3",
    "label": "kept",
    "confidence": 0.93,
    "latency_seconds": 0.012,
}
MODEL = "returns-model"
ENOUGH = Limits(max_rows=10_000_000, max_bytes=2**32)


def main(calls: int = 100_000) -> None:
    """Print the cost of calls by the state of the server, then rows per second."""
    simple: queue.SimpleQueue[Any] = queue.SimpleQueue()
    floor = per_call(lambda: simple.put((MODEL, ROW, time.time())), calls)
    say("floor: SimpleQueue.put", floor, floor)
    with served() as url:
        with Client(url, limits=ENOUGH) as client:
            say("server there", per_call(logging_to(client), calls), floor)
            client.flush()
        through(url, calls)
    with Client(f"http://127.0.0.1:{free_port()}", backoff=Backoff(first=0.01)) as client:
        say("server away, buffer full", per_call(logging_to(client), 3 * calls), floor)
        client.close(timeout=0)
    memory(calls)


def logging_to(client: Client) -> Callable[[], object]:
    """One call, as a model makes it."""
    return lambda: client.log_prediction(MODEL, **ROW)


def per_call(call: Callable[[], object], calls: int) -> list[int]:
    """Nanoseconds of each call, sorted."""
    taken = []
    for _ in range(calls):
        began = time.perf_counter_ns()
        call()
        taken.append(time.perf_counter_ns() - began)
    return sorted(taken)


def say(name: str, taken: list[int], floor: list[int]) -> None:
    """Median, and what one call in a hundred and one in ten thousand exceeds."""
    p50, p99, p9999 = (taken[int(len(taken) * q)] / 1000 for q in (0.5, 0.99, 0.9999))
    ratio = p50 / (floor[len(floor) // 2] / 1000)
    print(f"{name:26} {p50:7.1f} us  p99 {p99:7.1f}  p99.99 {p9999:9.1f}  {ratio:5.1f} x the floor")


def through(url: str, rows: int) -> None:
    """Rows per second from the first call until the server has all."""
    with Client(url, limits=ENOUGH) as client:
        began = time.perf_counter()
        for _ in range(rows):
            client.log_prediction(MODEL, **ROW)
        client.flush()
        logged = time.perf_counter() - began
        stats = client.stats().predictions
        told = [{"request_id": f"bulk-{n}", **ROW} for n in range(rows)]
        began = time.perf_counter()
        client.send_predictions(told, model=MODEL)
        sent = time.perf_counter() - began
    print(f"{'logged, until stored':26} {rows / logged:10,.0f} rows/s, {stats.sent:,} stored")
    print(f"{'floor: sent in bulk':26} {rows / sent:10,.0f} rows/s")


def memory(calls: int) -> None:
    """Bytes held while the server never comes back, after `calls` and five times that."""
    held = []
    for factor in (1, 5):
        tracemalloc.start()
        with Client(f"http://127.0.0.1:{free_port()}", limits=Limits(max_rows=10_000)) as client:
            for _ in range(calls * factor):
                client.log_prediction(MODEL, **ROW)
            held.append(tracemalloc.get_traced_memory()[0])
            client.close(timeout=0)
        tracemalloc.stop()
    print(
        f"{'memory, 10,000 may wait':26} {held[0] / 1e6:.1f} MB after {calls:,} calls, "
        f"{held[1] / 1e6:.1f} MB after {calls * 5:,}"
    )


@contextmanager
def served() -> Iterator[str]:
    """The URL of `truthline serve` on a directory that goes away."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="truthline-bench-") as directory:
        command = [sys.executable, "-m", "app.cli", "serve", "--no-auth", "--no-worker"]
        process = subprocess.Popen(
            [*command, "--port", str(port), "--data", directory],
            env=os.environ | {"TRUTHLINE_LOG_FORMAT": "text"},
            stderr=subprocess.DEVNULL,
        )
        try:
            _await(f"http://127.0.0.1:{port}/readyz")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()


def _await(url: str) -> None:
    for _ in range(600):
        try:
            urllib.request.urlopen(url, timeout=5).close()  # noqa: S310 - our own
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(url)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
