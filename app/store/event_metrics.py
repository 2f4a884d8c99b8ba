"""Names of event metrics, and the small integers that are stored for them."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, Engine, text

from app.store.cache import Cache
from app.store.outages import translating_outages

# Suffixes that an exposition adds to names: see event_family in sql/versions/.
_ENDINGS = re.compile(r"(_total|_created|_bucket|_count|_sum|_info|_gsum|_gcount)+$")


class EventMetricType(StrEnum):
    """What a number does: it is added, replaces the value, or is one of many durations."""

    COUNTER = "counter"
    GAUGE = "gauge"
    TIMER = "timer"


class EventMetricName(NamedTuple):
    """Name, type and labels of what is counted; `labels` are sorted by name."""

    name: str
    type: EventMetricType
    labels: tuple[tuple[str, str], ...]

    @property
    def stem(self) -> str:
        """The name without the suffixes of an exposition; all metrics of a stem have one type."""
        return _ENDINGS.sub("", self.name) or self.name

    @property
    def key(self) -> UUID:
        """A hash of name and labels."""
        text = json.dumps([self.name, self.labels])
        return UUID(bytes=hashlib.blake2b(text.encode(), digest_size=16).digest())


class EventMetricRegistry:
    """Ids of metrics, created on first use and cached. They are never deleted."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._ids: Cache[tuple[int, EventMetricName], int] = Cache()

    def register(
        self, workspace_id: int, metrics: Iterable[EventMetricName]
    ) -> dict[EventMetricName, int]:
        """Ids of metrics; those whose name already belongs to another type are omitted."""

        def look_up(
            missing: list[tuple[int, EventMetricName]],
        ) -> dict[tuple[int, EventMetricName], int]:
            metrics = sorted(metric for _, metric in missing)
            with translating_outages(), self._engine.begin() as conn:
                created = _get_or_create(conn, workspace_id, metrics)
            return {(workspace_id, metric): id_ for metric, id_ in created.items()}

        keys = {(workspace_id, metric) for metric in metrics}
        return {metric: id_ for (_, metric), id_ in self._ids.resolve(keys, look_up).items()}

    def register_within(
        self, conn: Connection, workspace_id: int, metrics: Iterable[EventMetricName]
    ) -> dict[EventMetricName, int]:
        """Like `register`, in a transaction that holds locks; caches nothing.

        Call it last: other transactions may wait for these names until this one ends.
        """
        return _get_or_create(conn, workspace_id, sorted(metrics))


def _get_or_create(
    conn: Connection, workspace_id: int, metrics: Sequence[EventMetricName]
) -> dict[EventMetricName, int]:
    columns = {
        "workspace_id": workspace_id,
        "keys": [metric.key for metric in metrics],
        "names": [metric.name for metric in metrics],
        "types": [metric.type for metric in metrics],
        "stems": [metric.stem for metric in metrics],
        "labels": [json.dumps(dict(metric.labels)) for metric in metrics],
    }
    ids = _select_ids(conn, columns)
    if len(ids) < len(metrics):
        conn.execute(_INSERT_FAMILIES, columns)
        conn.execute(_INSERT, columns)
        ids = _select_ids(conn, columns)
    return {metric: ids[metric.key] for metric in metrics if metric.key in ids}


def _select_ids(conn: Connection, columns: dict[str, Any]) -> dict[UUID, int]:
    return {row.key: row.id for row in conn.execute(_SELECT, columns)}


_SELECT = text("""
    SELECT m.key, m.id
    FROM event_metric AS m
    JOIN unnest(CAST(:keys AS uuid[]), CAST(:types AS text[])) AS seen (key, type)
        USING (key, type)
    WHERE m.workspace_id = :workspace_id
""")
_INSERT_FAMILIES = text("""
    INSERT INTO event_family (workspace_id, stem, type)
    SELECT DISTINCT ON (stem) :workspace_id, stem, type
    FROM unnest(CAST(:stems AS text[]), CAST(:types AS text[])) AS seen (stem, type)
    ORDER BY stem, type
    ON CONFLICT DO NOTHING
""")
_INSERT = text("""
    INSERT INTO event_metric (workspace_id, key, name, type, labels)
    SELECT :workspace_id, key, name, type, CAST(labels AS jsonb)
    FROM unnest(CAST(:keys AS uuid[]), CAST(:names AS text[]), CAST(:types AS text[]),
                CAST(:stems AS text[]), CAST(:labels AS text[]))
         AS seen (key, name, type, stem, labels)
    JOIN event_family AS family USING (stem, type)
    WHERE family.workspace_id = :workspace_id
    ORDER BY key
    ON CONFLICT DO NOTHING
""")
