"""Join predictions with their truths, in whatever order they arrive, even simultaneously.

Each looks for the other in the transaction that stores it. Two concurrent transactions can't see
each other there, so each looks again after its commit: the one that commits last sees both. Only
the holder of the lock on a request joins it, so it is joined once.

Predictions lock a request only if there may be something to join: a pending truth, or an answer of
another series, which may have a truth or be about to get one. Truths always lock theirs.

These locks come last, after everything that other writers of the same rows may wait for: events,
pairs, and the keys of predictions.
"""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import Connection, text

from app.ingest.keys import lock_requests
from app.ingest.outcomes import learning
from app.store.copy import look_up_by_key
from app.store.database import Database

# Model and key of a request.
Key = tuple[int, UUID]
# Request ids as clients wrote them, by model and key.
Requests = Mapping[Key, str]

# A process that dies between its commit and its second look leaves pending truths whose prediction
# is stored; the worker joins them every minute.
ORPHAN_AGE = "1 hour"


def join(conn: Connection, requests: Requests) -> None:
    """Join these requests with their truths, in the transaction that holds their locks."""
    if requests:
        conn.execute(_JOIN, _columns(requests))


def join_late(database: Database, requests: Requests) -> None:
    """Join truths and predictions that were stored at the same moment as these.

    Cost: one statement that reads, and a transaction if there is something to join.

    Raises:
        Unavailable: the database can't be reached. A retry of the same batch looks again.
    """
    if not requests:
        return
    with database.glancing() as conn:
        unjoined = conn.execute(_UNJOINED, _columns(requests)).fetchall()
    if unjoined:
        with database.writing() as writing:
            lock_and_join(writing, {key: requests[key] for key in unjoined})


def join_orphaned(conn: Connection) -> int:
    """Join pending truths whose prediction is stored; returns the number of requests."""
    rows = conn.execute(_ORPHANED, {"age": ORPHAN_AGE})
    requests = {(row.model_id, row.key): row.request_id for row in rows}
    lock_and_join(conn, requests)
    return len(requests)


def lock_and_join(conn: Connection, requests: Requests) -> None:
    """Join these requests with their truths, holding their locks until the transaction ends."""
    look_up_by_key(conn)
    lock_requests(conn, requests)
    join(conn, requests)


def _columns(requests: Requests) -> dict[str, list[object]]:
    return {
        "model_ids": [model_id for model_id, _ in requests],
        "keys": [key for _, key in requests],
        "request_ids": list(requests.values()),
    }


# A pending truth replaces the known one, if any: the old pair is taken back. An answer without a
# truth gets that of another series' answer to the same request.
_JOIN = text(f"""
    WITH request AS MATERIALIZED (
        SELECT * FROM unnest(CAST(:model_ids AS integer[]), CAST(:keys AS uuid[]),
                             CAST(:request_ids AS text[])) AS r (model_id, key, request_id)
    ),
    answer AS MATERIALIZED (
        SELECT k.*, request.request_id
        FROM request
        CROSS JOIN LATERAL (
            SELECT * FROM prediction_key AS k
            WHERE (k.model_id, k.key) = (request.model_id, request.key)
            FOR NO KEY UPDATE  -- as in `KNOWN`
        ) AS k
    ),
    known AS MATERIALIZED (
        SELECT answer.*, truth.waits, truth.actual_label AS new_label,
               truth.actual_value AS new_value
        FROM answer
        CROSS JOIN LATERAL (
            SELECT true AS waits, f.actual_label, f.actual_value FROM pending_feedback AS f
            WHERE (f.model_id, f.key, f.batch_index)
                = (answer.model_id, answer.key, answer.batch_index)
              AND (f.actual_label IS NULL) = (answer.predicted_label IS NULL)
              AND (f.actual_value IS NULL) = (answer.predicted_value IS NULL)
            UNION ALL
            SELECT false, k.actual_label, k.actual_value FROM prediction_key AS k
            WHERE (k.model_id, k.key, k.batch_index)
                = (answer.model_id, answer.key, answer.batch_index)
              AND (k.actual_label IS NULL) = (answer.predicted_label IS NULL)
              AND (k.actual_value IS NULL) = (answer.predicted_value IS NULL)
              AND num_nonnulls(answer.actual_label, answer.actual_value) = 0
            LIMIT 1
        ) AS truth
    ),
    {learning()}
    DELETE FROM pending_feedback AS f
    USING known
    WHERE known.waits
      AND (f.model_id, f.key, f.batch_index) = (known.model_id, known.key, known.batch_index)
""")
# Requests that have something to join, among rows `r` of {source}.
UNJOINED = """
    SELECT DISTINCT {columns}
    FROM {source}
    CROSS JOIN LATERAL (
        SELECT FROM truthline_data.prediction_key AS k
        WHERE (k.model_id, k.key) = (r.model_id, r.key)
          AND num_nonnulls(k.predicted_label, k.predicted_value) = 1
        GROUP BY k.batch_index
        HAVING count(*) > 1 OR bool_or(EXISTS (
            SELECT FROM truthline_data.pending_feedback AS f
            WHERE (f.model_id, f.key, f.batch_index) = (k.model_id, k.key, k.batch_index)
              AND (f.actual_label IS NULL) = (k.predicted_label IS NULL)))
        LIMIT 1
    ) AS unjoined
"""
# Executed by psycopg, without SQLAlchemy: see `Database.glancing`.
_UNJOINED = UNJOINED.format(
    columns="r.model_id, r.key",
    source="unnest(%(model_ids)s::integer[], %(keys)s::uuid[]) AS r (model_id, key)",
)
_ORPHANED = text("""
    SELECT DISTINCT ON (f.model_id, f.key) f.model_id, f.key, f.request_id
    FROM pending_feedback AS f
    JOIN prediction_key AS k USING (model_id, key, batch_index)
    WHERE f.received_at >= clock_timestamp() - CAST(:age AS interval)
      AND (f.actual_label IS NULL) = (k.predicted_label IS NULL)
      AND (f.actual_value IS NULL) = (k.predicted_value IS NULL)
""")
