"""Which models there are, and what each consists of."""

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
    conn: Connection, question: Question[Selection], names: Collection[ModelName] | None = None
) -> list[KnownModel]:
    """The models of a workspace by name, all or those named, counted over a window.

    Cost: one statement over their cells of the window, and two look-ups per series.
    """
    chosen = None if names is None else [one.name for one in names]
    rows = conn.execute(_MODELS, parameters(question) | {"names": chosen})
    models = [KnownModel(*row) for row in rows]
    return models if names is None else [one for one in models if one.full_name in names]


def models_basis(conn: Connection, question: Question[Selection]) -> Basis:
    """What the counts of `known_models` rest on. Cost: one statement."""
    return basis_of(conn, question, Counted.PREDICTION)


_MODELS = text("""
    SELECT * FROM truthline_internal.models(:workspace, CAST(:start AS timestamptz),
                                   CAST(:end AS timestamptz), CAST(:names AS text[]))
""")
