"""Requests without a response: a server that fails sends none, so they are counted as failed.

Only the worker does this, a given time after a request arrived. A failure is stored once, and
stays: a response that arrives later is stored as well, like a retry that succeeds.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import groupby
from typing import Any, NamedTuple

import msgspec
from sqlalchemy import Connection, text

from app.ingest.events.pairs import RequestNames
from app.ingest.inferences import Prediction, check
from app.ingest.partial_batches import excluding
from app.ingest.predictions import store_predictions
from app.ingest.prepared import PreparedRow, crowded_rows, prepare_predictions
from app.store.database import Database
from app.store.request_keys import request_key, unread_key

CHUNK = 10_000  # requests per transaction


class _Unanswered(NamedTuple):
    workspace_id: int
    requested_at: datetime
    names: RequestNames


def store_unanswered(database: Database, after_seconds: float) -> int:
    """Store requests that arrived longer ago and have no response as failed; returns how many."""
    stored = 0
    while True:
        taken, failed = _store_chunk(database, after_seconds)
        stored += failed
        if taken < CHUNK:
            return stored


def _store_chunk(database: Database, after_seconds: float) -> tuple[int, int]:
    """How many requests were taken, and how many of them stored."""
    with database.writing() as conn:
        # of a request whose response is being stored, this waits for that
        taken = [
            _Unanswered(
                row.workspace_id, row.requested_at, msgspec.convert(row.request, RequestNames)
            )
            for row in conn.execute(_TAKE, {"seconds": after_seconds, "size": CHUNK})
        ]
        taken.sort(key=lambda one: one.workspace_id)
        failed = sum(
            _store_failures(conn, database, workspace_id, list(group))
            for workspace_id, group in groupby(taken, key=lambda one: one.workspace_id)
        )
    return len(taken), failed


def _store_failures(
    conn: Connection, database: Database, workspace_id: int, requests: Sequence[_Unanswered]
) -> int:
    failures = [failure for failure in map(_failure, requests) if check(0, failure) is None]
    failures = excluding(crowded_rows(database, workspace_id, failures), failures)
    prepared = prepare_predictions(database, workspace_id, failures)
    rows = list(_without_answer(conn, prepared.rows))
    if not rows:
        return 0
    return store_predictions(conn, replace(prepared, rows=rows)).verdict.accepted


def _failure(request: _Unanswered) -> Prediction:
    names: dict[str, Any] = msgspec.structs.asdict(request.names)
    return Prediction(**names, time=request.requested_at, error=True)


def _without_answer(conn: Connection, rows: Sequence[PreparedRow]) -> Iterator[PreparedRow]:
    """Those whose answer did not come another way: with a feedback, or from another sender."""
    ids = [row.prediction.request_id or "" for row in rows]
    series = [row.series_id for row in rows]
    lists = {
        "model_ids": [row.identity[0] for row in rows] * 2,
        "keys": [*map(request_key, ids), *map(unread_key, ids)],
        "series_ids": series * 2,
        "places": [*range(len(rows))] * 2,
    }
    answered = set(conn.execute(_ANSWERED, lists).scalars())
    return (row for place, row in enumerate(rows) if place not in answered)


# In key order, as in pairs.py, so that the two can't deadlock.
_TAKE = text("""
    WITH due AS MATERIALIZED (
        SELECT workspace_id, key, requested_at, request FROM event_pair
        WHERE request IS NOT NULL
          AND received_at < clock_timestamp() - make_interval(secs => :seconds)
        ORDER BY workspace_id, key
        LIMIT :size
        FOR UPDATE
    )
    UPDATE event_pair AS pair SET request = NULL
    FROM due
    WHERE (pair.workspace_id, pair.key) = (due.workspace_id, due.key)
    RETURNING due.*
""")
_ANSWERED = text("""
    SELECT r.place
    FROM unnest(CAST(:model_ids AS integer[]), CAST(:keys AS uuid[]),
                CAST(:series_ids AS integer[]), CAST(:places AS integer[]))
        AS r (model_id, key, series_id, place)
    WHERE EXISTS (SELECT FROM prediction_key AS k
                  WHERE (k.model_id, k.key, k.series_id) = (r.model_id, r.key, r.series_id)
                  OFFSET 0)
""")
