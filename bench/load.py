"""The common loader: rows go in as a user's do, over HTTP, and the levels are filled."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from app.ingest.bulk.formats import ARROW
from app.rollup.refresh import refresh
from app.store.database import Database
from bench import servers
from bench.data import Data, arrow, predictions, truths

PATIENCE_SECONDS = 1_800
BODY_ROWS = 500_000
PREDICTIONS, FEEDBACK = "/api/v1/predictions?bulk=true", "/api/v1/feedback?bulk=true"


@contextmanager
def served(database: Database) -> Iterator[httpx.Client]:
    """A client of a server over this database, which requires no key."""
    with (
        servers.truthline(database, "--no-auth", "--no-worker") as url,
        httpx.Client(base_url=url, timeout=PATIENCE_SECONDS) as client,
    ):
        yield client


def load(database: Database, client: httpx.Client, data: Data) -> None:
    """Send predictions and truths, fill the levels, and do what autovacuum would have done."""
    for path, table in ((PREDICTIONS, predictions(data)), (FEEDBACK, truths(data))):
        for at in range(0, len(data), BODY_ROWS):
            part = table.slice(at, BODY_ROWS)
            post(client, path, ARROW, arrow(part), part.num_rows)
    refresh(database)
    settle(database)


def post(client: httpx.Client, path: str, media_type: str, body: bytes, rows: int) -> float:
    """Seconds from the first byte sent to the answer; every row must have been taken."""
    began = time.perf_counter()
    answer = client.post(path, content=body, headers={"Content-Type": media_type})
    seconds = time.perf_counter() - began
    answer.raise_for_status()
    if answer.json()["accepted"] != rows:
        raise AssertionError(answer.text[:500])
    return seconds


def settle(database: Database) -> None:
    """What autovacuum would have done by the time anybody asks."""
    with database.outside_transactions() as conn:
        conn.exec_driver_sql("VACUUM ANALYZE")
