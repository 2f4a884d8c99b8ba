"""Request and response of one inference as two events: the time between them is its latency.

Brokers guarantee no order. The half that arrives first is stored; the second finds it, in the
transaction that stores its event. Of two concurrent ones, the second waits for the first.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from app.ingest.keys import failure_key, request_key, unread_key

# How long the first half is kept.
PAIR_DAYS = 1
# A response is stored on arrival. Its latency can be filled in only as long as no level can contain
# the row: see CLOCK_MARGIN in app/rollup/fold.py.
LATE_REQUEST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Half:
    """A request or a response of a model, with its id and its time: one of the times is given."""

    namespace: str
    pipeline: str
    model: str
    deployment: str
    version: str
    request_id: str
    requested_at: datetime | None = None
    responded_at: datetime | None = None

    @property
    def key(self) -> UUID:
        """Equal for both halves of a pair."""
        names = (self.namespace, self.pipeline, self.model, self.deployment, self.version)
        return request_key("\0".join((*names, self.request_id)))


def match(conn: Connection, workspace_id: int, halves: Iterable[Half]) -> dict[UUID, float]:
    """Store halves, and return the latencies of pairs that are now complete: seconds by key.

    A response with an earlier time than its request has no latency. If the same half comes several
    times, the first counts.
    """
    columns: dict[str, list[datetime | None]] = {"requested": [], "responded": []}
    merged = _merged(halves)
    for times in merged.values():
        columns["requested"].append(times[0])
        columns["responded"].append(times[1])
    keys = {"workspace_id": workspace_id, "keys": list(merged)}
    rows = conn.execute(_MATCH, keys | columns)
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


def _merged(halves: Iterable[Half]) -> Mapping[UUID, tuple[datetime | None, datetime | None]]:
    """Both times of each pair, as far as they came together, ordered by key."""
    times_by_key: dict[UUID, tuple[datetime | None, datetime | None]] = {}
    for half in halves:
        requested, responded = times_by_key.get(half.key, (None, None))
        times_by_key[half.key] = (requested or half.requested_at, responded or half.responded_at)
    return dict(sorted(times_by_key.items()))


# In key order, so that two batches with common pairs can't deadlock.
_MATCH = text("""
    INSERT INTO event_pair AS known (workspace_id, key, requested_at, responded_at)
    SELECT :workspace_id, key, requested_at, responded_at
    FROM unnest(CAST(:keys AS uuid[]), CAST(:requested AS timestamptz[]),
                CAST(:responded AS timestamptz[])) AS half (key, requested_at, responded_at)
    ORDER BY key
    ON CONFLICT (workspace_id, key) DO UPDATE
    SET requested_at = coalesce(known.requested_at, EXCLUDED.requested_at),
        responded_at = coalesce(known.responded_at, EXCLUDED.responded_at)
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
      AND p.series_id = series.id AND p.time = k.time AND p.request_id = :request_id
      AND p.received_at > now() - CAST(:time_limit AS interval) AND p.latency_seconds IS NULL
""")
_DELETE_OLD = text("""
    DELETE FROM event_pair WHERE received_at < now() - make_interval(days => :days)
""")
