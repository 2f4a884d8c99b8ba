"""What does logging cost the model's thread, and how fast do rows get through?

The floor of a call is putting its arguments into a `queue.SimpleQueue`, which does nothing with
them. That of the way through is `send_predictions` of rows that are there. The server is a process
of its own, on this machine. Run it with `python -m bench.client [calls]`.
"""

import queue
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

from truthline import Backoff, Client, Limits

from bench import servers
from bench.database import fresh_database
from bench.report import Sample, heading, note, note_facts
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
OPEN = ("--no-auth", "--no-worker")
ENOUGH = Limits(max_rows=10_000_000, max_bytes=2**32)


def main(calls: int = 100_000) -> None:
    """Print the cost of calls by the state of the server, then rows per second."""
    simple: queue.SimpleQueue[Any] = queue.SimpleQueue()
    floor = per_call(lambda: simple.put((MODEL, ROW, time.time())), calls)
    heading()
    with fresh_database() as database, servers.truthline(database, *OPEN) as url:
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
    """What a call takes, and what one call in a hundred and one in ten thousand exceeds."""
    p99, p9999 = (taken[int(len(taken) * q)] / 1000 for q in (0.99, 0.9999))
    ours, bare = ([nanoseconds / 1e9 for nanoseconds in one] for one in (taken, floor))
    title = f"a call, {name}: p99 {p99:.0f} us, p99.99 {p9999:.0f}"
    note(title, Sample("Truthline's client", ours), Sample("SimpleQueue.put", bare))


def through(url: str, rows: int) -> None:
    """Rows per second from the first call until the server has all."""
    with Client(url, limits=ENOUGH) as client:
        began = time.perf_counter()
        for _ in range(rows):
            client.log_prediction(MODEL, **ROW)
        client.flush()
        logged = time.perf_counter() - began
        told = [{"request_id": f"bulk-{n}", **ROW} for n in range(rows)]
        began = time.perf_counter()
        client.send_predictions(told, model=MODEL)
        sent = time.perf_counter() - began
    note(f"{rows:,} rows, until stored", Sample("logged", [logged]), Sample("sent in bulk", [sent]))


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
    few, many = (f"{size / 1e6:.1f} MB" for size in held)
    note_facts(memory_while_10000_wait=f"{few} after {calls:,} calls, {many} after {calls * 5:,}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
