"""The models of a workspace, their versions and deployments."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from app.errors import UnknownModel
from app.query.basis import basis_of
from app.query.question import Basis, Counted, Question, parameters
from app.query.subjects import Selection
from app.store.registry import Kind, ModelName


@dataclass(frozen=True, slots=True)
class Portrait:
    """The kind, versions and deployments of a model, sorted by name."""

    kind: Kind | None
    versions: Sequence[str]
    deployments: Sequence[str]


def portrait(conn: Connection, *, workspace_id: int, name: ModelName) -> Portrait:
    """The kind, versions and deployments of a model.

    Raises:
        UnknownModel: the workspace has no such model.
    """
    lookup = {"workspace": workspace_id, **name._asdict()}
    row = conn.execute(_PORTRAIT, lookup).one_or_none()
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

    `kind` is None while only feedback has arrived. `inferences` counts successful requests,
    `errors` failed ones. If the first or last prediction was dropped, the start of its hour is
    returned.
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
        """Its name, unique within its workspace."""
        return ModelName(self.namespace, self.pipeline, self.name)


def known_models(
    conn: Connection, question: Question[Selection], names: Collection[ModelName] | None = None
) -> list[KnownModel]:
    """All models of a workspace or those named, sorted by name, with counts of a window.

    Cost: one statement over the cells of the window, and two look-ups per series.
    """
    requested_names = None if names is None else [name.name for name in names]
    rows = conn.execute(_MODELS, parameters(question) | {"names": requested_names})
    models = [KnownModel(*row) for row in rows]
    return models if names is None else [model for model in models if model.full_name in names]


def models_basis(conn: Connection, question: Question[Selection]) -> Basis:
    """The basis of the counts of `known_models`. Cost: one statement."""
    return basis_of(conn, question, Counted.PREDICTION)


_MODELS = text("""
    SELECT * FROM truthline_internal.models(:workspace, CAST(:start AS timestamptz),
                                   CAST(:end AS timestamptz), CAST(:names AS text[]))
""")
