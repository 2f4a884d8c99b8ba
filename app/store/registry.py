"""The registries: names that come in, small integers that are stored.

Looking up is by far the most frequent, so each process remembers what it has seen. Names are
never deleted or renumbered, which is what makes remembering safe. First sight is registered in
a transaction of its own: an id is remembered only once it is committed, whatever becomes of the
rows that asked for it, and two writers who see a name first get the same id.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Connection, Engine, Row, TextClause, text

from app.store.outages import naming_outages


class Kind(StrEnum):
    """What a model's output is."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    DETECTION = "detection"


# Names are tuples, not dataclasses: each row of a batch looks its own up, and a tuple hashes and
# compares without a line of Python.
class ModelName(NamedTuple):
    """What names a model within a workspace; what feedback and metrics ask by."""

    namespace: str
    pipeline: str
    name: str

    def __str__(self) -> str:
        """Read as in a message: the parts that are there, joined by slashes."""
        return "/".join(part for part in (self.namespace, self.pipeline, self.name) if part)


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model. `kind` is None while only feedback has been seen."""

    id: int
    kind: Kind | None


class SeriesName(NamedTuple):
    """What one raw row belongs to, beyond its model."""

    model_id: int
    deployment: str
    version: str
    deployment_type: str
    server_version: str


K = TypeVar("K")
V = TypeVar("V")


class Memory(Generic[K, V]):
    """A bounded memory of committed ids. When full it starts anew: simple, and rare."""

    CAPACITY = 200_000

    def __init__(self) -> None:
        self._known: dict[K, V] = {}

    def resolve(
        self,
        keys: Collection[K],
        look_up: Callable[[list[K]], Mapping[K, V]],
        lasting: Callable[[V], bool] = lambda _: True,
    ) -> dict[K, V]:
        """Answer from memory, and ask `look_up` (one call) for what isn't there.

        Only answers that are `lasting` are remembered.
        """
        known = self._known
        found = {key: known[key] for key in keys if key in known}
        missing = [key for key in keys if key not in found]
        if missing:
            fresh = look_up(missing)
            self._remember({key: value for key, value in fresh.items() if lasting(value)})
            found.update(fresh)
        return found

    def _remember(self, fresh: Mapping[K, V]) -> None:
        if len(self._known) + len(fresh) > self.CAPACITY:
            self._known = {}
        self._known.update(fresh)


_INSERT_MODELS = text("""
    INSERT INTO model AS known (workspace_id, namespace, pipeline, name, kind)
    SELECT :workspace_id, seen.namespace, seen.pipeline, seen.name, seen.kind
    FROM unnest(CAST(:namespaces AS text[]), CAST(:pipelines AS text[]),
                CAST(:names AS text[]), CAST(:kinds AS text[]))
         AS seen (namespace, pipeline, name, kind)
    ON CONFLICT (workspace_id, namespace, pipeline, name)
    DO UPDATE SET kind = EXCLUDED.kind WHERE known.kind IS NULL AND EXCLUDED.kind IS NOT NULL
""")
_SELECT_MODELS = text("""
    SELECT namespace, pipeline, name, id, kind
    FROM model
    JOIN unnest(CAST(:namespaces AS text[]), CAST(:pipelines AS text[]), CAST(:names AS text[]))
         AS seen (namespace, pipeline, name) USING (namespace, pipeline, name)
    WHERE workspace_id = :workspace_id
""")
_INSERT_SERIES = text("""
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version)
    SELECT * FROM unnest(CAST(:model_ids AS integer[]), CAST(:deployments AS text[]),
                         CAST(:versions AS text[]), CAST(:deployment_types AS text[]),
                         CAST(:server_versions AS text[]))
    ON CONFLICT DO NOTHING
""")
_SELECT_SERIES = text("""
    SELECT model_id, deployment, version, deployment_type, server_version, id
    FROM series
    JOIN unnest(CAST(:model_ids AS integer[]), CAST(:deployments AS text[]),
                CAST(:versions AS text[]), CAST(:deployment_types AS text[]),
                CAST(:server_versions AS text[]))
         AS seen (model_id, deployment, version, deployment_type, server_version)
         USING (model_id, deployment, version, deployment_type, server_version)
""")
_INSERT_LABELS = text("""
    INSERT INTO label (workspace_id, name)
    SELECT :workspace_id, * FROM unnest(CAST(:names AS text[])) ON CONFLICT DO NOTHING
""")
_SELECT_LABELS = text("""
    SELECT name, id FROM label WHERE workspace_id = :workspace_id AND name = ANY (:names)
""")
_NAME_LABELS = text("SELECT id, name FROM label WHERE id = ANY (:ids)")


class Registry:
    """Ids of models, series and labels, for one database."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._models: Memory[tuple[int, ModelName], Model] = Memory()
        self._series: Memory[SeriesName, int] = Memory()
        self._labels: Memory[tuple[int, str], int] = Memory()
        self._label_names: Memory[int, str] = Memory()

    def known_models(self, workspace_id: int, names: Iterable[ModelName]) -> dict[ModelName, Model]:
        """The models among `names` that are registered; registers none."""

        def look_up(missing: list[tuple[int, ModelName]]) -> dict[tuple[int, ModelName], Model]:
            with naming_outages(), self._engine.connect() as conn:
                found = find_models(conn, workspace_id, [name for _, name in missing])
            return {(workspace_id, name): model for name, model in found.items()}

        return self._resolve_models(workspace_id, names, look_up)

    def register_models(
        self, workspace_id: int, kinds: Mapping[ModelName, Kind | None]
    ) -> dict[ModelName, Model]:
        """Register models at first sight, and settle the kind of those that had none.

        A kind once settled stays: compare the answer's with the one you gave.
        """

        def look_up(missing: list[tuple[int, ModelName]]) -> dict[tuple[int, ModelName], Model]:
            names = sorted(name for _, name in missing)
            columns = _model_columns(workspace_id, names)
            with naming_outages(), self._engine.begin() as conn:
                found = find_models(conn, workspace_id, names)
                if any(_is_news(found.get(name), kinds[name]) for name in names):
                    news = columns | {"kinds": [kinds[name] for name in names]}
                    conn.execute(_INSERT_MODELS, news)
                    found = find_models(conn, workspace_id, names)
            return {(workspace_id, name): model for name, model in found.items()}

        return self._resolve_models(workspace_id, kinds, look_up)

    def _resolve_models(
        self,
        workspace_id: int,
        names: Iterable[ModelName],
        look_up: Callable[[list[tuple[int, ModelName]]], Mapping[tuple[int, ModelName], Model]],
    ) -> dict[ModelName, Model]:
        """Remember only models whose kind is settled: the others will change."""
        keys = {(workspace_id, name) for name in names}
        found = self._models.resolve(keys, look_up, lasting=lambda model: model.kind is not None)
        return {name: model for (_, name), model in found.items()}

    def register_series(self, names: Iterable[SeriesName]) -> dict[SeriesName, int]:
        """Ids of series, made at first sight."""

        def look_up(missing: list[SeriesName]) -> dict[SeriesName, int]:
            rows = self._get_or_create(
                _SELECT_SERIES, _INSERT_SERIES, _series_columns(sorted(missing)), len(missing)
            )
            return {SeriesName(*tuple(row)[:5]): row.id for row in rows}

        return self._series.resolve(set(names), look_up)

    def register_labels(self, workspace_id: int, names: Iterable[str]) -> dict[str, int]:
        """Ids of class names, made at first sight."""

        def look_up(missing: list[tuple[int, str]]) -> dict[tuple[int, str], int]:
            columns = {"workspace_id": workspace_id, "names": sorted(name for _, name in missing)}
            rows = self._get_or_create(_SELECT_LABELS, _INSERT_LABELS, columns, len(missing))
            return {(workspace_id, row.name): row.id for row in rows}

        found = self._labels.resolve({(workspace_id, name) for name in names}, look_up)
        return {name: label_id for (_, name), label_id in found.items()}

    def label_names(self, conn: Connection, ids: Iterable[int]) -> dict[int, str]:
        """Class names of ids that were read from rows."""

        def look_up(missing: list[int]) -> dict[int, str]:
            return {row.id: row.name for row in conn.execute(_NAME_LABELS, {"ids": missing})}

        return self._label_names.resolve(set(ids), look_up)

    def _get_or_create(
        self, select: TextClause, insert: TextClause, columns: Mapping[str, Any], wanted: int
    ) -> list[Row[Any]]:
        """Select first: a conflicting insert would burn a number of the sequence each time."""
        with naming_outages(), self._engine.begin() as conn:
            rows = conn.execute(select, columns).all()
            if len(rows) < wanted:
                conn.execute(insert, columns)
                rows = conn.execute(select, columns).all()
        return list(rows)


def _is_news(known: Model | None, kind: Kind | None) -> bool:
    """Whether there is something to write; writing for nothing would burn a number each time."""
    return known is None or (known.kind is None and kind is not None)


def find_models(
    conn: Connection, workspace_id: int, names: Sequence[ModelName]
) -> dict[ModelName, Model]:
    """The models among `names` that are registered, as this transaction sees them."""
    rows = conn.execute(_SELECT_MODELS, _model_columns(workspace_id, names))
    return {
        ModelName(row.namespace, row.pipeline, row.name): Model(
            row.id, Kind(row.kind) if row.kind else None
        )
        for row in rows
    }


def _model_columns(workspace_id: int, names: Sequence[ModelName]) -> dict[str, Any]:
    return {
        "workspace_id": workspace_id,
        "namespaces": [name.namespace for name in names],
        "pipelines": [name.pipeline for name in names],
        "names": [name.name for name in names],
    }


def _series_columns(names: list[SeriesName]) -> dict[str, Any]:
    return {
        "model_ids": [name.model_id for name in names],
        "deployments": [name.deployment for name in names],
        "versions": [name.version for name in names],
        "deployment_types": [name.deployment_type for name in names],
        "server_versions": [name.server_version for name in names],
    }
