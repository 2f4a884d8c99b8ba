"""Models at ingest: registered at first sight, and held to the kind they first had."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sqlalchemy import Connection

from app.errors import RowError
from app.ingest.batch import refuse_if_any
from app.store.registry import Kind, Model, ModelName, Registry, find_models


class Claim(NamedTuple):
    """What one row says of its model's kind: None where it has no output, hence says nothing.

    `field` is the member that says it.
    """

    model: ModelName
    kind: Kind | None
    field: str


def settle_kinds(
    registry: Registry, workspace_id: int, claims: Sequence[Claim]
) -> dict[ModelName, Model]:
    """Register the models of predictions; those without a kind get the one claimed first.

    Raises:
        InvalidRows: a row is of another kind than its model.
    """
    refuse_known_clashes(registry, workspace_id, claims)
    models = registry.register_models(workspace_id, _first_kinds(claims))
    # once more: another writer may have settled a kind since we looked
    _refuse_clashes(claims, {name: model.kind for name, model in models.items()})
    return models


def refuse_known_clashes(registry: Registry, workspace_id: int, claims: Sequence[Claim]) -> None:
    """Check claims against each other and against what is registered; registers nothing.

    Raises:
        InvalidRows: a row is of another kind than its model, or than an earlier row of it.
    """
    refuse_if_any(known_clashes(registry, workspace_id, claims))


def known_clashes(
    registry: Registry, workspace_id: int, claims: Sequence[Claim]
) -> Iterator[RowError]:
    """Every row that is of another kind than its model, or than an earlier row of it."""
    kinds = _first_kinds(claims)
    known = registry.known_models(workspace_id, kinds)
    return _clashes(claims, kinds | {n: m.kind for n, m in known.items() if m.kind})


def respect_kinds(
    registry: Registry, workspace_id: int, claims: Sequence[Claim]
) -> dict[ModelName, Model]:
    """Register the models of feedback; its kind is checked, but settles nothing.

    Raises:
        InvalidRows: a truth is of another kind than its model.
    """
    names: dict[ModelName, Kind | None] = {claim.model: None for claim in claims}
    known = registry.known_models(workspace_id, names)
    _refuse_clashes(claims, names | {name: model.kind for name, model in known.items()})
    return registry.register_models(workspace_id, names)


def respect_kinds_settled_since(
    conn: Connection, workspace_id: int, claims: Sequence[Claim], models: Mapping[ModelName, Model]
) -> None:
    """Check feedback once more, now that no prediction of these requests can come in between.

    Raises:
        InvalidRows: a model without a kind has got another one than its truth is of.
    """
    unsettled = [name for name, model in models.items() if model.kind is None]
    if unsettled:
        settled = find_models(conn, workspace_id, unsettled)
        kinds = {name: settled.get(name, model).kind for name, model in models.items()}
        _refuse_clashes(claims, kinds)


def _first_kinds(claims: Sequence[Claim]) -> dict[ModelName, Kind | None]:
    kinds: dict[ModelName, Kind | None] = {}
    for claim in claims:
        kinds[claim.model] = kinds.get(claim.model) or claim.kind
    return kinds


def _refuse_clashes(claims: Sequence[Claim], settled: Mapping[ModelName, Kind | None]) -> None:
    refuse_if_any(_clashes(claims, settled))


def _clashes(
    claims: Sequence[Claim], settled: Mapping[ModelName, Kind | None]
) -> Iterator[RowError]:
    for index, claim in enumerate(claims):
        expected = settled[claim.model]
        if claim.kind and expected and claim.kind != expected:
            reason = f"model {claim.model} does {expected}, and this is {claim.kind}"
            yield RowError(index, claim.field, reason)
