"""Which model a question is about, and which series its rows belong to."""

from dataclasses import dataclass

from sqlalchemy import Connection, select

from app.errors import UnknownModel, WrongKind
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
    model = find_models(conn, workspace_id, [name]).get(name)
    if model is None:
        raise UnknownModel(f"no predictions or subscription of model {name}")
    if model.kind not in (kind, None):
        raise WrongKind(f"model {name} does {model.kind}, not {kind}")
    statement = select(series.c.id).where(series.c.model_id == model.id)
    if part.deployment is not None:
        statement = statement.where(series.c.deployment == part.deployment)
    if part.version is not None:
        statement = statement.where(series.c.version == part.version)
    ids = list(conn.execute(statement).scalars())
    if part != WHOLE and not ids:
        raise UnknownModel(f"no predictions of model {name}{part}")
    return Subject(model, ids)
