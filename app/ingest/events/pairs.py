"""Request and response of one inference as two events: the time between them is its latency.

Brokers guarantee no order. The half that arrives first is stored; the second finds it, in the
transaction that stores its event. Of two concurrent ones, the second waits for the first.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from uuid import UUID

import msgspec
from sqlalchemy import Connection, text

from app.store.request_keys import failure_key, request_key, unread_key

# How long the first half is kept.
PAIR_DAYS = 1
# A response is stored on arrival, and its latency can be filled in for as long: after that, answers
# as of an earlier moment stay as they are. Levels that contain the row get the difference
# (sql/machinery/25_updated.sql).
LATE_REQUEST = timedelta(minutes=5)


class RequestNames(msgspec.Struct, frozen=True, kw_only=True):
    """A request of a model: what identifies it, as it is stored until its response arrives."""

    namespace: str
    pipeline: str
    model: str
    deployment: str
    version: str
    request_id: str


class Half(RequestNames, frozen=True, kw_only=True):
    """A request or a response of a model, with its id and its time: one of the times is given.

    If a request is `awaited`, it counts as failed should no response arrive.
    """

    requested_at: datetime | None = None
    responded_at: datetime | None = None
    awaited: bool = False

    @property
    def key(self) -> UUID:
        """Equal for both halves of a pair."""
        names = (self.namespace, self.pipeline, self.model, self.deployment, self.version)
        return request_key("\0".join((*names, self.request_id)))

    @property
    def names(self) -> RequestNames:
        """What identifies the request."""
        return RequestNames(
            **{name: getattr(self, name) for name in RequestNames.__struct_fields__}
        )


def match(conn: Connection, workspace_id: int, halves: Iterable[Half]) -> dict[UUID, float]:
    """Store halves, and return the latencies of pairs that are now complete: seconds by key.

    A response with an earlier time than its request has no latency. If the same half comes several
    times, the first counts.
    """
    merged = _merged(halves)
    columns = {
        "workspace_id": workspace_id,
        "keys": list(merged),
        "requested": [pair.requested_at for pair in merged.values()],
        "responded": [pair.responded_at for pair in merged.values()],
        "requests": [_request(pair) for pair in merged.values()],
    }
    rows = conn.execute(_MATCH, columns)
    return {row.key: row.seconds for row in rows if row.seconds is not None}


def fill_in(conn: Connection, workspace_id: int, late: Iterable[tuple[Half, float]]) -> None:
    """Set the latency of predictions that were stored before their request was known."""
    for half, seconds in late:
        keys = [key(half.request_id) for key in (request_key, failure_key, unread_key)]
        columns = {
            "workspace_id": workspace_id,
            "namespace": half.namespace,
            "pipeline": half.pipeline,
            "model": half.model,
            "deployment": half.deployment,
            "version": half.version,
            "request_id": half.request_id,
            "keys": keys,
            "seconds": seconds,
            "time_limit": LATE_REQUEST,
        }
        conn.execute(_FILL_IN, columns)


def delete_old_pairs(conn: Connection) -> int:
    """Delete halves after PAIR_DAYS; returns how many."""
    return conn.execute(_DELETE_OLD, {"days": PAIR_DAYS}).rowcount


def _merged(halves: Iterable[Half]) -> Mapping[UUID, Half]:
    """Each pair with both times, as far as they came together, ordered by key."""
    merged: dict[UUID, Half] = {}
    for half in halves:
        known = merged.setdefault(half.key, half)
        merged[half.key] = msgspec.structs.replace(
            known,
            requested_at=known.requested_at or half.requested_at,
            responded_at=known.responded_at or half.responded_at,
            awaited=known.awaited or half.awaited,
        )
    return dict(sorted(merged.items()))


def _request(pair: Half) -> str | None:
    """What is stored of a request that waits for its response, in JSON."""
    if pair.responded_at or not pair.awaited:
        return None
    return msgspec.json.encode(pair.names).decode()


# In key order, so that two batches with common pairs can't deadlock.
_MATCH = text("""
    INSERT INTO event_pair AS known (workspace_id, key, requested_at, responded_at, request)
    SELECT :workspace_id, key, requested_at, responded_at, CAST(request AS jsonb)
    FROM unnest(CAST(:keys AS uuid[]), CAST(:requested AS timestamptz[]),
                CAST(:responded AS timestamptz[]), CAST(:requests AS text[]))
        AS half (key, requested_at, responded_at, request)
    ORDER BY key
    ON CONFLICT (workspace_id, key) DO UPDATE
    SET requested_at = coalesce(known.requested_at, EXCLUDED.requested_at),
        responded_at = coalesce(known.responded_at, EXCLUDED.responded_at),
        request = CASE WHEN num_nonnulls(known.responded_at, EXCLUDED.responded_at) = 0
                       THEN coalesce(known.request, EXCLUDED.request) END
    RETURNING key, CASE WHEN responded_at >= requested_at
                        THEN extract(epoch FROM responded_at - requested_at)::float8 END AS seconds
""")
_FILL_IN = text("""
    UPDATE prediction AS p SET latency_seconds = :seconds
    FROM model
    JOIN series ON series.model_id = model.id
    JOIN prediction_key AS k ON k.model_id = model.id AND k.series_id = series.id
    WHERE (model.workspace_id, model.namespace, model.pipeline, model.name)
        = (:workspace_id, :namespace, :pipeline, :model)
      AND (series.deployment, series.version) = (:deployment, :version)
      AND k.key = ANY (CAST(:keys AS uuid[]))
      AND p.series_id = coalesce(k.tagged_series_id, k.series_id)
      AND p.time = k.time AND p.request_id = :request_id
      AND p.received_at > now() - CAST(:time_limit AS interval) AND p.latency_seconds IS NULL
""")
_DELETE_OLD = text("""
    DELETE FROM event_pair WHERE received_at < now() - make_interval(days => :days)
""")
