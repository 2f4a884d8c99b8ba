"""The registry of series: what a raw row belongs to, in addition to its model.

A model has a limited number of them, because a value of a tag may be anything that a client sends.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, text

from app.store.cache import Cache
from app.store.outages import translating_outages

Tags = tuple[tuple[str, str], ...]
"""Keys and values of tags, sorted."""


class SeriesName(NamedTuple):
    """What a raw row belongs to, in addition to its model."""

    model_id: int
    deployment: str
    version: str
    deployment_type: str
    server_version: str
    tags: Tags = ()

    @property
    def untagged(self) -> "SeriesName":
        """The series of the same request without its tags, which are not part of its identity."""
        return self._replace(tags=()) if self.tags else self


@dataclass(frozen=True, slots=True)
class Crowded:
    """Why a model gets no new series. `field` has too many values: a tag, or a part of the name."""

    field: str
    reason: str


class SeriesRegistry:
    """Ids of series, created on first use: at most `limit` per model, any number if it is 0.

    Series are never deleted, so a model that is full stays full.
    """

    def __init__(self, engine: Engine, limit: int) -> None:
        self._engine = engine
        self._limit = limit
        self._ids: Cache[SeriesName, int] = Cache(lambda name: 1 + len(name.tags))
        self._full: dict[int, Crowded] = {}
        self._erasures = 0

    def register(self, names: Iterable[SeriesName]) -> dict[SeriesName, int]:
        """Ids of series; those that are new and don't fit into their model are omitted.

        Of one model's, either all that have tags are created or none: a batch that is rejected
        should not use up the room. Those without are created first.
        """
        distinct = set(names)
        if any(name.tags for name in distinct):
            self._forget_erased()
        return self._ids.resolve(distinct, self._look_up)

    def _forget_erased(self) -> None:
        """Forget all ids if tags of series were erased: theirs stand for no tags any more."""
        engine = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        with translating_outages(), engine.connect() as conn:
            erasures = conn.execute(_ERASURES).scalar_one()
        if erasures != self._erasures:
            self._ids.clear()
            self._erasures = erasures

    def _look_up(self, missing: list[SeriesName]) -> dict[SeriesName, int]:
        """Select first: a conflicting insert would use up a number of the sequence each time."""
        names = sorted(missing)
        with translating_outages(), self._engine.begin() as conn:
            known = _select(conn, names)
            if new := self._fitting(conn, [name for name in names if name not in known]):
                conn.execute(_INSERT, _columns(new))
                known |= _select(conn, new)
        return known

    def _fitting(self, conn: Connection, new: Sequence[SeriesName]) -> list[SeriesName]:
        """Those of `new` for which their model has room.

        The lock on the model lasts as long as the transaction; only those who register series of
        the same model wait for it.
        """
        if not self._limit:
            return list(new)
        by_model: dict[int, list[SeriesName]] = defaultdict(list)
        for name in new:
            if name.model_id not in self._full:
                by_model[name.model_id].append(name)
        if not by_model:
            return []
        model_ids = {"model_ids": sorted(by_model)}
        conn.execute(_LOCK, model_ids)
        counts = {row.model_id: row.n for row in conn.execute(_COUNT, model_ids)}
        return [
            name
            for model_id, names in by_model.items()
            for name in _within(self._limit - counts.get(model_id, 0), names)
        ]

    def crowded(self, names: Sequence[SeriesName]) -> Crowded:
        """Why these series of one model, which it doesn't have, are not created."""
        model_id = names[0].model_id
        if model_id in self._full:
            return self._full[model_id]
        with translating_outages(), self._engine.connect() as conn:
            row = conn.execute(_CROWD, _columns(names) | {"model_id": model_id}).one()
        crowded = Crowded("tags" if row.tag else row.field, self._reason(row))
        if row.n_series >= self._limit:
            self._full[model_id] = crowded
        return crowded

    def _reason(self, row: Any) -> str:
        what = "tag " if row.tag else ""
        return (
            f"the model would have more than {self._limit} combinations of tags, versions and"
            f" deployments, which TRUTHLINE_MAX_SERIES_PER_MODEL does not allow: {what}{row.field}"
            f" has {row.n} values"
        )


def _within(room: int, names: Sequence[SeriesName]) -> list[SeriesName]:
    """Those without tags if there is room for all of them; then those with tags, likewise."""
    fitting: list[SeriesName] = []
    for tagged in (False, True):
        group = [name for name in names if bool(name.tags) is tagged]
        if len(fitting) + len(group) <= room:
            fitting += group
    return fitting


def _select(conn: Connection, names: Sequence[SeriesName]) -> dict[SeriesName, int]:
    return {names[row.place - 1]: row.id for row in conn.execute(_SELECT, _columns(names))}


def _columns(names: Sequence[SeriesName]) -> dict[str, Any]:
    return {
        "model_ids": [name.model_id for name in names],
        "deployments": [name.deployment for name in names],
        "versions": [name.version for name in names],
        "deployment_types": [name.deployment_type for name in names],
        "server_versions": [name.server_version for name in names],
        "tags": [json.dumps(dict(name.tags)) for name in names],
    }


_ERASURES = text("SELECT coalesce(max(id), 0) FROM erasure WHERE scope <> 'requests'")
_NAMES = """
    unnest(CAST(:model_ids AS integer[]), CAST(:deployments AS text[]), CAST(:versions AS text[]),
           CAST(:deployment_types AS text[]), CAST(:server_versions AS text[]),
           CAST(:tags AS text[]))"""
_SELECT = text(f"""
    SELECT seen.place, series.id
    FROM {_NAMES} WITH ORDINALITY
        AS seen (model_id, deployment, version, deployment_type, server_version, tags, place)
    JOIN series USING (model_id, deployment, version, deployment_type, server_version)
    WHERE md5(CAST(series.tags AS text)) = md5(CAST(CAST(seen.tags AS jsonb) AS text))
""")
_INSERT = text(f"""
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version, tags)
    SELECT model_id, deployment, version, deployment_type, server_version, CAST(tags AS jsonb)
    FROM {_NAMES} AS seen (model_id, deployment, version, deployment_type, server_version, tags)
    ON CONFLICT DO NOTHING
""")
_LOCK = text("SELECT FROM model WHERE id = ANY (:model_ids) ORDER BY id FOR NO KEY UPDATE")
_COUNT = text("""
    SELECT model_id, count(*) AS n FROM series WHERE model_id = ANY (:model_ids) GROUP BY 1
""")
# What has the most values, among the series that the model has and those that are refused.
_CROWD = text(f"""
    WITH own AS MATERIALIZED (
        SELECT true AS stored, deployment, version, deployment_type, server_version, tags
        FROM series WHERE model_id = :model_id
        UNION ALL
        SELECT false, deployment, version, deployment_type, server_version, CAST(tags AS jsonb)
        FROM {_NAMES} AS seen (model_id, deployment, version, deployment_type, server_version, tags)
    )
    SELECT part.tag, part.field, count(DISTINCT part.value) AS n,
           (SELECT count(*) FROM own WHERE stored) AS n_series
    FROM own
    CROSS JOIN LATERAL (
        SELECT true, key, value FROM jsonb_each_text(own.tags)
        UNION ALL
        VALUES (false, 'deployment', own.deployment), (false, 'version', own.version),
               (false, 'deploymentType', own.deployment_type),
               (false, 'serverVersion', own.server_version)
    ) AS part (tag, field, value)
    GROUP BY 1, 2
    ORDER BY n DESC, part.tag DESC, part.field
    LIMIT 1
""")
