"""What models declare about their output: its kind, and the order of its categories."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from app.errors import DuplicateSubscription, UnknownSubscription
from app.store.registry import ModelName
from app.store.tables import model, subscription

# Ids are random, not sequential: they travel through other systems as decimal strings, and those of
# another workspace must not be guessable.
ID_BITS = 63


@dataclass(frozen=True, slots=True)
class Subscription:
    """`categories` are label ids in declared order; `features` is stored as received."""

    id: int
    model: ModelName
    features: list[dict[str, Any]]
    categories: list[int]


def subscribe(
    conn: Connection, *, model_id: int, features: list[dict[str, Any]], categories: Sequence[int]
) -> int:
    """Store a subscription and return its id.

    Raises:
        DuplicateSubscription: the model has one already.
    """
    row = conn.execute(
        insert(subscription)
        .values(
            id=secrets.randbits(ID_BITS) or 1,
            model_id=model_id,
            features=features,
            categories=list(categories),
        )
        .on_conflict_do_nothing(index_elements=["model_id"])
        .returning(subscription.c.id)
    ).one_or_none()
    if row is None:
        raise DuplicateSubscription("this model is already subscribed; unsubscribe it first")
    return int(row.id)


def unsubscribe(conn: Connection, workspace_id: int, subscription_id: int) -> None:
    """Delete a subscription. The model, its rows and its kind remain.

    Raises:
        UnknownSubscription: the workspace has none with this id.
    """
    models = select(model.c.id).where(model.c.workspace_id == workspace_id)
    deleted = conn.execute(
        delete(subscription).where(
            subscription.c.id == subscription_id, subscription.c.model_id.in_(models)
        )
    )
    if deleted.rowcount == 0:
        raise UnknownSubscription(f"no subscription has the id {subscription_id}")


def subscriptions(
    conn: Connection,
    workspace_id: int,
    *,
    size: int,
    offset: int = 0,
    namespace: str = "",
    pipeline: str = "",
) -> list[Subscription]:
    """Subscriptions of a workspace, oldest first, `size` of them from `offset` on.

    Empty `namespace` or `pipeline` means any.
    """
    statement = (
        select(subscription, model.c.namespace, model.c.pipeline, model.c.name)
        .join(model, model.c.id == subscription.c.model_id)
        .where(*_matching(workspace_id, namespace, pipeline))
        .order_by(subscription.c.created_at, subscription.c.id)
        .limit(size)
        .offset(offset)
    )
    return [_subscription(row) for row in conn.execute(statement)]


def count_subscriptions(
    conn: Connection, workspace_id: int, *, namespace: str = "", pipeline: str = ""
) -> int:
    """The number of subscriptions with this namespace and pipeline; empty means any."""
    statement = (
        select(func.count())
        .select_from(subscription.join(model, model.c.id == subscription.c.model_id))
        .where(*_matching(workspace_id, namespace, pipeline))
    )
    return conn.execute(statement).scalar_one()


def _matching(workspace_id: int, namespace: str, pipeline: str) -> Iterator[ColumnElement[bool]]:
    yield model.c.workspace_id == workspace_id
    if namespace:
        yield model.c.namespace == namespace
    if pipeline:
        yield model.c.pipeline == pipeline


def declared_categories(conn: Connection, model_id: int) -> list[int] | None:
    """Label ids in declared order; None for a model that was never subscribed."""
    statement = select(subscription.c.categories).where(subscription.c.model_id == model_id)
    return conn.execute(statement).scalar_one_or_none()


def _subscription(row: Row[Any]) -> Subscription:
    name = ModelName(row.namespace, row.pipeline, row.name)
    return Subscription(row.id, name, row.features, row.categories)
