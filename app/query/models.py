"""Which model a question is about, and which series its rows belong to."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, text

from app.errors import UnknownModel, WrongKind
from app.query.basis import Counted, Moment, Reach, reach_of
from app.query.window import Grid, Window, bounds
from app.store.registry import Kind, Model, ModelName, find_models
from app.store.tables import series


@dataclass(frozen=True, slots=True)
class Part:
    """Which of a model's predictions: those of a deployment, of a version, or all."""

    deployment: str | None = None
    version: str | None = None

    def __str__(self) -> str:
        said = {"deployment": self.deployment, "version": self.version}
        return "".join(f", {name} {value}" for name, value in said.items() if value is not None)


WHOLE = Part()


@dataclass(frozen=True, slots=True)
class Subject:
    """A model with its series; none while it has made no prediction."""

    model: Model
    series: list[int]


def subject(
    conn: Connection, *, workspace_id: int, name: ModelName, kind: Kind, part: Part = WHOLE
) -> Subject:
    """Find a model, or a part of it, to ask a question of its kind.

    Raises:
        UnknownModel: the workspace has no such model, or nothing of that part.
        WrongKind: it has, but of another kind.
    """
    model = _model(conn, workspace_id, name)
    if model.kind not in (kind, None):
        raise WrongKind(f"model {name} does {model.kind}, not {kind}")
    return Subject(model, _series(conn, model, name, part))


def truths_reach(
    conn: Connection,
    moment: Moment,
    *,
    workspace_id: int,
    name: ModelName,
    kind: Kind,
    window: Window,
    grid: Grid,
) -> Reach:
    """What metrics with truths rest on. Errors are those of `subject`."""
    found = subject(conn, workspace_id=workspace_id, name=name, kind=kind)
    question = bounds(window, grid, moment.as_of)
    return reach_of(conn, moment, series=found.series, questions=[(question, [Counted.OUTCOME])])


def series_of_part(
    conn: Connection, *, workspace_id: int, name: ModelName, part: Part = WHOLE
) -> list[int]:
    """The series of a model, or of a part of it, whatever its kind.

    Raises:
        UnknownModel: the workspace has no such model, or nothing of that part.
    """
    return _series(conn, _model(conn, workspace_id, name), name, part)


def _model(conn: Connection, workspace_id: int, name: ModelName) -> Model:
    model = find_models(conn, workspace_id, [name]).get(name)
    if model is None:
        raise UnknownModel(f"no predictions or subscription of model {name}")
    return model


def _series(conn: Connection, model: Model, name: ModelName, part: Part) -> list[int]:
    statement = select(series.c.id).where(series.c.model_id == model.id)
    if part.deployment is not None:
        statement = statement.where(series.c.deployment == part.deployment)
    if part.version is not None:
        statement = statement.where(series.c.version == part.version)
    ids = list(conn.execute(statement).scalars())
    if part != WHOLE and not ids:
        raise UnknownModel(f"no predictions of model {name}{part}")
    return ids


@dataclass(frozen=True, slots=True)
class Portrait:
    """A model, and which versions and deployments it has been seen in, each by name."""

    kind: Kind | None
    versions: Sequence[str]
    deployments: Sequence[str]


def portrait(conn: Connection, *, workspace_id: int, name: ModelName) -> Portrait:
    """What a model consists of.

    Raises:
        UnknownModel: the workspace has no such model.
    """
    asked = {"workspace": workspace_id, **name._asdict()}
    row = conn.execute(_PORTRAIT, asked).one_or_none()
    if row is None:
        raise UnknownModel(f"no predictions or subscription of model {name}")
    return Portrait(None if row.kind is None else Kind(row.kind), row.versions, row.deployments)


_PORTRAIT = text("""
    SELECT model.kind,
           coalesce(array_agg(DISTINCT version COLLATE "C") FILTER (WHERE version <> ''), '{}')
               AS versions,
           coalesce(array_agg(DISTINCT deployment COLLATE "C")
                        FILTER (WHERE deployment <> ''), '{}') AS deployments
    FROM model LEFT JOIN series ON series.model_id = model.id
    WHERE model.workspace_id = :workspace AND model.namespace = :namespace
      AND model.pipeline = :pipeline AND model.name = :name
    GROUP BY model.id
""")


@dataclass(frozen=True, slots=True)
class KnownModel:
    """A model of a workspace: when it was first and last seen, and how often in a window.

    `kind` is None while nothing but feedback came; `inferences` were answered, `errors` failed.
    Where the first or last prediction itself was dropped, the beginning of its hour is known.
    """

    namespace: str
    pipeline: str
    name: str
    kind: str | None
    versions: Sequence[str]
    deployments: Sequence[str]
    first_seen: datetime | None
    last_seen: datetime | None
    inferences: int
    errors: int

    @property
    def full_name(self) -> ModelName:
        """What names it within its workspace."""
        return ModelName(self.namespace, self.pipeline, self.name)


def known_models(
    conn: Connection,
    *,
    workspace_id: int,
    window: Window,
    names: Collection[ModelName] | None = None,
) -> list[KnownModel]:
    """The models of a workspace by name, all or those named, counted over a window.

    Cost: one statement over their cells of the window, and two look-ups per series.
    """
    asked: dict[str, Any] = {"workspace": workspace_id, "start": window.start, "end": window.end}
    asked["names"] = None if names is None else [one.name for one in names]
    found = [KnownModel(*row) for row in conn.execute(_MODELS, asked)]
    return found if names is None else [one for one in found if one.full_name in names]


def models_reach(conn: Connection, moment: Moment, *, workspace_id: int, window: Window) -> Reach:
    """What the counts of `known_models` rest on."""
    series = conn.execute(_SERIES, {"workspace": workspace_id}).scalar_one()
    question = bounds(window, Grid(), None)
    return reach_of(conn, moment, series=series, questions=[(question, [Counted.PREDICTION])])


_SERIES = text("SELECT truthline_internal.workspace_series(:workspace)")
_MODELS = text("""
    SELECT * FROM truthline_internal.models(:workspace, CAST(:start AS timestamptz),
                                   CAST(:end AS timestamptz), CAST(:names AS text[]))
""")
