"""The registries: map incoming names to the small integers that are stored.

Look-ups are by far the most frequent, so each process caches names. This is safe because names are
never deleted or renumbered. An erasure replaces what they say (app/upkeep/erasure.py); of those
that stay in use these are only tags, which app/store/series.py knows. A new name is registered in a
transaction of its own: its id is cached only once it is committed, whatever happens to the rows
that need it, and two writers that register a name at the same time get the same id.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row, TextClause, text

from app.store.cache import Cache
from app.store.outages import translating_outages
from app.store.series import SeriesRegistry


class Kind(StrEnum):
    """What a model's output is."""

    CLASSIFICATION = "classification"
    REGRESSION = "regression"
    DETECTION = "detection"


# Names are tuples, not dataclasses: each row of a batch looks up its own, and tuples are hashed and
# compared without executing Python code.
class ModelName(NamedTuple):
    """Identifies a model within a workspace, in feedback and in queries of metrics."""

    namespace: str
    pipeline: str
    name: str

    def __str__(self) -> str:
        """For messages: the parts that are not empty, joined by slashes."""
        return "/".join(part for part in (self.namespace, self.pipeline, self.name) if part)


@dataclass(frozen=True, slots=True)
class Model:
    """A registered model. `kind` is None while only feedback has been seen."""

    id: int
    kind: Kind | None


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
_INSERT_LABELS = text("""
    INSERT INTO label (workspace_id, name)
    SELECT :workspace_id, * FROM unnest(CAST(:names AS text[])) ON CONFLICT DO NOTHING
""")
_SELECT_LABELS = text("""
    SELECT name, id FROM label WHERE workspace_id = :workspace_id AND name = ANY (:names)
""")
# A class gets the next number of its model. The lock makes concurrent writers take turns; the
# insert is a statement of its own, so that it sees what the writer before it has committed.
_LOCK_MODELS = text("""
    SELECT FROM model WHERE id = ANY (:model_ids) ORDER BY id FOR NO KEY UPDATE
""")
_INSERT_CLASSES = text("""
    INSERT INTO model_class (model_id, label_id, place)
    SELECT model_id, label_id,
           (SELECT count(*) FROM model_class AS known WHERE known.model_id = seen.model_id)
           + row_number() OVER (PARTITION BY model_id ORDER BY label_id)
    FROM unnest(CAST(:model_ids AS integer[]), CAST(:label_ids AS integer[]))
         AS seen (model_id, label_id)
    WHERE (model_id, label_id) NOT IN (SELECT model_id, label_id FROM model_class
                                       WHERE model_id = ANY (:model_ids))
""")
_SELECT_CLASSES = text("""
    SELECT model_id, label_id, place
    FROM model_class
    JOIN unnest(CAST(:model_ids AS integer[]), CAST(:label_ids AS integer[]))
         AS seen (model_id, label_id) USING (model_id, label_id)
""")
_NAME_LABELS = text("SELECT id, name FROM label WHERE id = ANY (:ids)")


class Registry:
    """Ids of models, series, labels and classes, for one database."""

    def __init__(self, engine: Engine, max_series_per_model: int = 0) -> None:
        self._engine = engine
        self.series = SeriesRegistry(engine, max_series_per_model)
        self._models: Cache[tuple[int, ModelName], Model] = Cache()
        self._labels: Cache[tuple[int, str], int] = Cache()
        self._label_names: Cache[int, str] = Cache()
        self._places: Cache[tuple[int, int], int] = Cache()

    def known_models(self, workspace_id: int, names: Iterable[ModelName]) -> dict[ModelName, Model]:
        """The models among `names` that are registered; registers none."""

        def look_up(missing: list[tuple[int, ModelName]]) -> dict[tuple[int, ModelName], Model]:
            with translating_outages(), self._engine.connect() as conn:
                models = find_models(conn, workspace_id, [name for _, name in missing])
            return {(workspace_id, name): model for name, model in models.items()}

        return self._resolve_models(workspace_id, names, look_up)

    def register_models(
        self, workspace_id: int, kinds: Mapping[ModelName, Kind | None]
    ) -> dict[ModelName, Model]:
        """Register models on first use, and the kind of those that had none.

        A registered kind doesn't change: compare that of the result with yours.
        """

        def look_up(missing: list[tuple[int, ModelName]]) -> dict[tuple[int, ModelName], Model]:
            names = sorted(name for _, name in missing)
            columns = _model_columns(workspace_id, names)
            with translating_outages(), self._engine.begin() as conn:
                models = find_models(conn, workspace_id, names)
                if any(_needs_write(models.get(name), kinds[name]) for name in names):
                    news = columns | {"kinds": [kinds[name] for name in names]}
                    conn.execute(_INSERT_MODELS, news)
                    models = find_models(conn, workspace_id, names)
            return {(workspace_id, name): model for name, model in models.items()}

        return self._resolve_models(workspace_id, kinds, look_up)

    def _resolve_models(
        self,
        workspace_id: int,
        names: Iterable[ModelName],
        look_up: Callable[[list[tuple[int, ModelName]]], Mapping[tuple[int, ModelName], Model]],
    ) -> dict[ModelName, Model]:
        """Cache only models with a kind: the others will change."""
        keys = {(workspace_id, name) for name in names}
        models = self._models.resolve(keys, look_up, lasting=lambda model: model.kind is not None)
        return {name: model for (_, name), model in models.items()}

    def register_labels(self, workspace_id: int, names: Iterable[str]) -> dict[str, int]:
        """Ids of class names, which are created on first use."""

        def look_up(missing: list[tuple[int, str]]) -> dict[tuple[int, str], int]:
            columns = {"workspace_id": workspace_id, "names": sorted(name for _, name in missing)}
            rows = self._get_or_create(_SELECT_LABELS, _INSERT_LABELS, columns, len(missing))
            return {(workspace_id, row.name): row.id for row in rows}

        ids = self._labels.resolve({(workspace_id, name) for name in names}, look_up)
        return {name: label_id for (_, name), label_id in ids.items()}

    def register_classes(self, classes: Iterable[tuple[int, int]]) -> dict[tuple[int, int], int]:
        """Places of classes among those of their model, by model id and label id.

        A class gets the next place of its model on first use, from 1.
        """

        def look_up(missing: list[tuple[int, int]]) -> dict[tuple[int, int], int]:
            columns = _class_columns(sorted(missing))
            with translating_outages(), self._engine.begin() as conn:
                rows = conn.execute(_SELECT_CLASSES, columns).all()
                if len(rows) < len(missing):
                    conn.execute(_LOCK_MODELS, columns)
                    conn.execute(_INSERT_CLASSES, columns)
                    rows = conn.execute(_SELECT_CLASSES, columns).all()
            return {(row.model_id, row.label_id): row.place for row in rows}

        return self._places.resolve(set(classes), look_up)

    def label_names(self, conn: Connection, ids: Iterable[int]) -> dict[int, str]:
        """Class names of the ids in rows."""

        def look_up(missing: list[int]) -> dict[int, str]:
            return {row.id: row.name for row in conn.execute(_NAME_LABELS, {"ids": missing})}

        return self._label_names.resolve(set(ids), look_up)

    def _get_or_create(
        self, select: TextClause, insert: TextClause, columns: Mapping[str, Any], expected: int
    ) -> list[Row[Any]]:
        """Select first: a conflicting insert would use up a number of the sequence each time."""
        with translating_outages(), self._engine.begin() as conn:
            rows = conn.execute(select, columns).all()
            if len(rows) < expected:
                conn.execute(insert, columns)
                rows = conn.execute(select, columns).all()
        return list(rows)


def _needs_write(known: Model | None, kind: Kind | None) -> bool:
    """Whether there is anything to write; a needless insert would use up a number each time."""
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


def _class_columns(classes: list[tuple[int, int]]) -> dict[str, Any]:
    return {
        "model_ids": [model_id for model_id, _ in classes],
        "label_ids": [label_id for _, label_id in classes],
    }
