"""How should many connections add to one counter? By appending, or by updating its total?

Sixteen connections each commit one event after the other: its key, and what it adds. A total that
is updated in place is locked until the commit, so its events commit one by one; appended rows don't
meet, and are folded later. Run it with `python -m bench.counters [events]`.

TRUTHLINE_DATABASE_URL names a server of PostgreSQL; without, an embedded one is started.
"""

import sys
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

from sqlalchemy import TextClause, text

from app.rollup.event_totals import fold_event_counts
from app.store.database import Database
from bench.database import fresh_database
from bench.report import Sample, heading, note

CONNECTIONS = 16
KEY = text("INSERT INTO event_key (workspace_id, key) VALUES (1, :key) ON CONFLICT DO NOTHING")
WAYS = {
    "update the total": text("""
        INSERT INTO event_total AS known (metric_id, bin, n, total, latest, latest_id)
        VALUES (1, 0, 1, 1, 1, 1)
        ON CONFLICT (metric_id, bin) DO UPDATE SET n = known.n + 1, total = known.total + 1
    """),
    "append": text("INSERT INTO event_count (metric_id, value) VALUES (1, 1)"),
}


def main(events: int = 5_000) -> None:
    """Note each way, and how long it takes to fold what was appended."""
    with fresh_database() as database:
        samples = [Sample(way, [timed(database, add, events)]) for way, add in WAYS.items()]
        began = time.perf_counter()
        with database.writing() as conn:
            fold_event_counts(conn)
        folded = Sample("fold", [time.perf_counter() - began])
    heading()
    note(f"{events:,} events by {CONNECTIONS} connections", *samples[::-1])
    note("folding what was appended", folded)


def timed(database: Database, add: TextClause, events: int) -> float:
    """Seconds until all connections have committed their share."""
    keys = [uuid.uuid4() for _ in range(events)]

    def commit(share: Sequence[uuid.UUID]) -> None:
        for key in share:
            with database.writing() as conn:
                conn.execute(KEY, {"key": key})
                conn.execute(add)

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        list(pool.map(commit, [[keys[0]]] * CONNECTIONS))  # connected before the clock starts
        began = time.perf_counter()
        list(pool.map(commit, [keys[at::CONNECTIONS] for at in range(CONNECTIONS)]))
        return time.perf_counter() - began


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
