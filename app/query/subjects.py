"""The subjects of questions, and how SQL selects them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from app.errors import UnknownModel, WrongKind
from app.query.tags import NO_TAGS, TagFilter
from app.store.registry import Kind, ModelName


class InSql(Protocol):
    """A subject that can be used in a statement.

    `SERIES` is SQL that returns its series ids; `parameters` includes the parameters of that SQL.
    """

    SERIES: ClassVar[str]

    def parameters(self, workspace_id: int) -> dict[str, Any]:
        """Parameters of a statement about this subject."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """Predictions of a model: all, or only those of a deployment, of a version, with tags."""

    name: ModelName
    deployment: str | None = None
    version: str | None = None
    tags: TagFilter = NO_TAGS

    @property
    def is_whole(self) -> bool:
        """Whether it covers the whole model."""
        return self.deployment is None and self.version is None and not self.tags

    def __str__(self) -> str:
        """The text used in error messages."""
        tags = str(self.tags) if self.tags else None
        parts = {"deployment": self.deployment, "version": self.version, "tag": tags}
        named = (f", {name} {value}" for name, value in parts.items() if value is not None)
        return f"{self.name}{''.join(named)}"


class HasSeries(InSql, Protocol):
    """A scope whose series are known."""

    @property
    def series(self) -> Sequence[int]:
        """The ids of its series."""
        ...

    @property
    def kind(self) -> Kind | None:
        """The kind of the model."""
        ...


def in_sql(numbers: Iterable[int]) -> str:
    """An array of integers, as text: psycopg would take longer than the query for many."""
    return f"{{{','.join(map(str, numbers))}}}"


class OfSeries:
    """How SQL selects a subject whose series are known."""

    SERIES: ClassVar[str] = "CAST(:series AS integer[])"
    __slots__ = ()
    series: Sequence[int]

    def parameters(self, workspace_id: int) -> dict[str, Any]:  # noqa: ARG002 - as the others'
        """The ids of its series."""
        return {"series": in_sql(self.series)}


@dataclass(frozen=True, slots=True)
class Subject(OfSeries):
    """A scope that was looked up, with its series: none while it has no predictions.

    `id` is None if the workspace has no such model. `declared` contains the ids of a classifier's
    categories, in declared order.
    """

    scope: Scope
    id: int | None
    kind: Kind | None
    series: Sequence[int]
    declared: Sequence[int]

    def require(self, kind: Kind | None = None) -> None:
        """Check that the subject exists and is of this kind.

        Raises:
            UnknownModel: the workspace has no such model, or no predictions in this scope.
            WrongKind: the model is not of this kind.
        """
        if self.id is None:
            raise UnknownModel(f"no predictions or subscription of model {self.scope.name}")
        if kind is not None and self.kind not in (kind, None):
            raise WrongKind(f"model {self.scope.name} does {self.kind}, not {kind}")
        if not self.series and not self.scope.is_whole:
            raise UnknownModel(f"no predictions of model {self.scope}")


@dataclass(frozen=True, slots=True)
class Selection:
    """Inferences of some models (None: all), with tags, or with a value in a metadata field."""

    SERIES: ClassVar[str] = (
        "truthline_internal.workspace_series("
        ":workspace, CAST(:models AS text[]), CAST(:tags AS jsonb))"
    )

    models: Sequence[str] | None = None
    field: str | None = None
    value: str | None = None
    tags: TagFilter = NO_TAGS

    def parameters(self, workspace_id: int) -> dict[str, Any]:
        """The workspace, the names, the metadata field and the tags."""
        return {
            "workspace": workspace_id,
            "models": None if self.models is None else list(self.models),
            "field": self.field,
            "value": self.value,
            "tags": self.tags.in_sql,
        }


ALL = Selection()


@dataclass(frozen=True, slots=True)
class AllDeployed:
    """Predictions of all deployments of a workspace; rows without a deployment are excluded."""

    SERIES: ClassVar[str] = """ARRAY(
        SELECT series.id FROM series JOIN model ON model.id = series.model_id
        WHERE model.workspace_id = :workspace AND series.deployment <> '')"""

    def parameters(self, workspace_id: int) -> dict[str, Any]:
        """The workspace."""
        return {"workspace": workspace_id}
