"""What a question can be about, and how SQL says it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from app.errors import UnknownModel, WrongKind
from app.store.registry import Kind, ModelName


class InSql(Protocol):
    """A subject that a statement can be about.

    `SERIES` is the SQL of its series' ids; its parameters are among `parameters`.
    """

    SERIES: ClassVar[str]

    def parameters(self, workspace_id: int) -> dict[str, Any]:
        """Parameters of a statement about it."""
        ...


@dataclass(frozen=True, slots=True)
class Scope:
    """Which predictions of a model: of a deployment, of a version, or all."""

    name: ModelName
    deployment: str | None = None
    version: str | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is all of the model."""
        return self.deployment is None and self.version is None

    def __str__(self) -> str:
        """Read as in a message."""
        parts = {"deployment": self.deployment, "version": self.version}
        named = (f", {name} {value}" for name, value in parts.items() if value is not None)
        return f"{self.name}{''.join(named)}"


class HasSeries(InSql, Protocol):
    """A model, or a part of it, whose series are known."""

    @property
    def series(self) -> Sequence[int]:
        """Their ids."""
        ...

    @property
    def kind(self) -> Kind | None:
        """What the model does."""
        ...


class OfSeries:
    """How SQL says such a subject."""

    SERIES: ClassVar[str] = "CAST(:series AS integer[])"
    __slots__ = ()
    series: Sequence[int]

    def parameters(self, workspace_id: int) -> dict[str, Any]:  # noqa: ARG002 - as the others'
        """Its series."""
        return {"series": list(self.series)}


@dataclass(frozen=True, slots=True)
class Subject(OfSeries):
    """A scope that was looked up, with its series: none while nothing was predicted in it.

    `id` is None if the workspace has no such model. `declared` are the ids of a classifier's
    categories, in declared order.
    """

    scope: Scope
    id: int | None
    kind: Kind | None
    series: Sequence[int]
    declared: Sequence[int]

    def require(self, kind: Kind | None = None) -> None:
        """Refuse what can't be asked about.

        Raises:
            UnknownModel: the workspace has no such model, or nothing in that scope.
            WrongKind: it has, but of another kind than `kind`.
        """
        if self.id is None:
            raise UnknownModel(f"no predictions or subscription of model {self.scope.name}")
        if kind is not None and self.kind not in (kind, None):
            raise WrongKind(f"model {self.scope.name} does {self.kind}, not {kind}")
        if not self.series and not self.scope.is_whole:
            raise UnknownModel(f"no predictions of model {self.scope}")


@dataclass(frozen=True, slots=True)
class Selection:
    """Inferences of some models of a workspace (None: all), with a value in a metadata field."""

    SERIES: ClassVar[str] = (
        "truthline_internal.workspace_series(:workspace, CAST(:models AS text[]))"
    )

    models: Sequence[str] | None = None
    field: str | None = None
    value: str | None = None

    def parameters(self, workspace_id: int) -> dict[str, Any]:
        """Its workspace, names and field."""
        return {
            "workspace": workspace_id,
            "models": None if self.models is None else list(self.models),
            "field": self.field,
            "value": self.value,
        }


ALL = Selection()


@dataclass(frozen=True, slots=True)
class AllDeployed:
    """What a workspace's deployments predicted; rows that name none are not among it."""

    SERIES: ClassVar[str] = """ARRAY(
        SELECT series.id FROM series JOIN model ON model.id = series.model_id
        WHERE model.workspace_id = :workspace AND series.deployment <> '')"""

    def parameters(self, workspace_id: int) -> dict[str, Any]:
        """Its workspace."""
        return {"workspace": workspace_id}
