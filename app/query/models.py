"""Which model a question is about, and which series its rows belong to."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from app.errors import UnknownModel, WrongKind
from app.store.registry import Kind, Model, ModelName, find_models
from app.store.tables import series


@dataclass(frozen=True, slots=True)
class Subject:
    """A model with its series; none while it has made no prediction."""

    model: Model
    series: list[int]


def subject(conn: Connection, *, workspace_id: int, name: ModelName, kind: Kind) -> Subject:
    """Find a model to ask a question of its kind.

    Raises:
        UnknownModel: the workspace has no such model.
        WrongKind: it has, but of another kind.
    """
    model = find_models(conn, workspace_id, [name]).get(name)
    if model is None:
        raise UnknownModel(f"no predictions or subscription of model {name}")
    if model.kind not in (kind, None):
        raise WrongKind(f"model {name} does {model.kind}, not {kind}")
    ids = conn.execute(select(series.c.id).where(series.c.model_id == model.id)).scalars()
    return Subject(model, list(ids))
