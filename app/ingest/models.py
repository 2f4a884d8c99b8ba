"""Models at ingest: registered on first use, and bound to the kind of their first prediction."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from app.errors import RowError
from app.ingest.batch import reject_if_any
from app.store.registry import Kind, Model, ModelName, Registry, find_models


class DeclaredKind(NamedTuple):
    """The kind that one row declares for its model: None if the row has no output.

    `field` is the member that declares it.
    """

    model: ModelName
    kind: Kind | None
    field: str


def register_kinds(
    registry: Registry, workspace_id: int, declared_kinds: Sequence[DeclaredKind]
) -> dict[ModelName, Model]:
    """Register the models of predictions; models without a kind get the first one declared.

    Raises:
        InvalidRows: a row has a different kind than its model.
    """
    reject_kind_conflicts(registry, workspace_id, declared_kinds)
    models = registry.register_models(workspace_id, _first_kinds(declared_kinds))
    # again: another writer may have registered a kind in the meantime
    _reject_conflicts(declared_kinds, {name: model.kind for name, model in models.items()})
    return models


def reject_kind_conflicts(
    registry: Registry, workspace_id: int, declared_kinds: Sequence[DeclaredKind]
) -> None:
    """Check kinds against each other and against registered models; registers nothing.

    Raises:
        InvalidRows: a row has a different kind than its model, or than an earlier row of the model.
    """
    reject_if_any(kind_conflicts(registry, workspace_id, declared_kinds))


def kind_conflicts(
    registry: Registry, workspace_id: int, declared_kinds: Sequence[DeclaredKind]
) -> Iterator[RowError]:
    """All rows with a different kind than their model, or than an earlier row of the model."""
    kinds = _first_kinds(declared_kinds)
    known = registry.known_models(workspace_id, kinds)
    return _conflicts(declared_kinds, kinds | {n: m.kind for n, m in known.items() if m.kind})


def check_kinds(
    registry: Registry, workspace_id: int, declared_kinds: Sequence[DeclaredKind]
) -> dict[ModelName, Model]:
    """Register the models of feedback; its kinds are checked, but don't become those of models.

    Raises:
        InvalidRows: a truth has a different kind than its model.
    """
    names: dict[ModelName, Kind | None] = {declared.model: None for declared in declared_kinds}
    known = registry.known_models(workspace_id, names)
    _reject_conflicts(declared_kinds, names | {name: model.kind for name, model in known.items()})
    return registry.register_models(workspace_id, names)


def recheck_kinds(
    conn: Connection,
    workspace_id: int,
    declared_kinds: Sequence[DeclaredKind],
    models: Mapping[ModelName, Model],
) -> None:
    """Check feedback again, now that no prediction of these requests can be stored in between.

    Raises:
        InvalidRows: a model has got a kind in the meantime, and its truth has a different one.
    """
    undetermined = [name for name, model in models.items() if model.kind is None]
    if undetermined:
        registered = find_models(conn, workspace_id, undetermined)
        kinds = {name: registered.get(name, model).kind for name, model in models.items()}
        _reject_conflicts(declared_kinds, kinds)


def _first_kinds(declared_kinds: Sequence[DeclaredKind]) -> dict[ModelName, Kind | None]:
    kinds: dict[ModelName, Kind | None] = {}
    for declared in declared_kinds:
        kinds[declared.model] = kinds.get(declared.model) or declared.kind
    return kinds


def _reject_conflicts(
    declared_kinds: Sequence[DeclaredKind], registered: Mapping[ModelName, Kind | None]
) -> None:
    reject_if_any(_conflicts(declared_kinds, registered))


def _conflicts(
    declared_kinds: Sequence[DeclaredKind], registered: Mapping[ModelName, Kind | None]
) -> Iterator[RowError]:
    for index, declared in enumerate(declared_kinds):
        expected = registered[declared.model]
        if declared.kind and expected and declared.kind != expected:
            reason = f"model {declared.model} does {expected}, and this is {declared.kind}"
            yield RowError(index, declared.field, reason)
