"""Deployments and the models that they serve.

A deployment is a deployment name within a workspace. Predictions without that name belong to none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from operator import attrgetter

from sqlalchemy import Connection, text

from app.errors import UnknownDeployment
from app.query.basis import basis_of
from app.query.question import Basis, Counted, Question, parameters
from app.query.subjects import AllDeployed, OfSeries
from app.store.registry import Kind


@dataclass(frozen=True, slots=True)
class DeployedModel(OfSeries):
    """A model in a deployment. `series` are those of all its versions there.

    `version` and `deployment_type` are the most recent ones, `since` is when the model first
    appeared in the deployment. `namespace`, `version` and `deployment_type` are empty if unknown.
    """

    name: str
    namespace: str
    kind: Kind | None
    version: str
    deployment_type: str
    since: datetime
    series: list[int]


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment and its models, at least one, in the order in which they first appeared."""

    name: str
    models: list[DeployedModel]

    @property
    def model(self) -> DeployedModel:
        """The model whose metrics are those of the deployment."""
        return self.models[0]


class Order(StrEnum):
    """Sort keys of deployments: their name, the name of their first model, its namespace."""

    NAME = "name"
    MODEL = "model"
    NAMESPACE = "namespace"


KEYS: dict[Order, Callable[[Deployment], str]] = {
    Order.NAME: attrgetter("name"),
    Order.MODEL: attrgetter("model.name"),
    Order.NAMESPACE: attrgetter("model.namespace"),
}


@dataclass(frozen=True, slots=True)
class DeploymentPage:
    """Some of the deployments. `total` counts all; the next page begins at `next_offset`."""

    deployments: list[Deployment]
    total: int
    next_offset: int | None


def deployments(
    conn: Connection,
    *,
    workspace_id: int,
    order: Sequence[tuple[Order, bool]] = (),
    size: int = 100,
    offset: int = 0,
) -> DeploymentPage:
    """The deployments of a workspace from `offset` on, sorted by pairs (key, descending).

    Ties are broken by name. Cost: the workspace's series are read once.
    """
    selected = _find(conn, workspace_id)
    selected.sort(key=lambda item: item.name)
    for key, descending in reversed(order):
        selected.sort(key=KEYS[key], reverse=descending)
    end = offset + size
    return DeploymentPage(selected[offset:end], len(selected), end if end < len(selected) else None)


def deployment(conn: Connection, *, workspace_id: int, name: str) -> Deployment:
    """One deployment by its name.

    Raises:
        UnknownDeployment: the workspace has no predictions of that deployment.
    """
    matches = _find(conn, workspace_id, name)
    if not matches:
        raise UnknownDeployment(f"no predictions of deployment {name}")
    return matches[0]


def total_predictions(conn: Connection, question: Question[AllDeployed]) -> int:
    """The number of successful requests to all deployments of a workspace in a window.

    Cost: one statement over cells, regardless of the number of deployments.
    """
    count: int = conn.execute(_TOTAL, parameters(question)).scalar_one()
    return count


def total_basis(conn: Connection, question: Question[AllDeployed]) -> Basis:
    """The basis of that number. Cost: one statement."""
    return basis_of(conn, question, Counted.PREDICTION)


def _find(conn: Connection, workspace_id: int, name: str | None = None) -> list[Deployment]:
    models_by_deployment: dict[str, list[DeployedModel]] = {}
    for row in conn.execute(_DEPLOYED, {"workspace_id": workspace_id, "name": name}):
        kind = None if row.kind is None else Kind(row.kind)
        model = DeployedModel(
            row.name, row.namespace, kind, row.version, row.deployment_type, row.since, row.series
        )
        models_by_deployment.setdefault(row.deployment, []).append(model)
    return [Deployment(*item) for item in models_by_deployment.items()]


_DEPLOYED = text("""
    SELECT series.deployment, model.name, model.namespace, model.kind,
           (array_agg(series.version ORDER BY series.id DESC))[1] AS version,
           (array_agg(series.deployment_type ORDER BY series.id DESC))[1] AS deployment_type,
           min(series.created_at) AS since, array_agg(series.id ORDER BY series.id) AS series
    FROM series JOIN model ON model.id = series.model_id
    WHERE model.workspace_id = :workspace_id AND series.deployment <> ''
      AND series.deployment = coalesce(CAST(:name AS text), series.deployment)
    GROUP BY series.deployment, model.id
    ORDER BY min(series.id)
""")
_TOTAL = text(f"""
    SELECT n FROM truthline_internal.prediction_volume(
        {AllDeployed.SERIES},
        ARRAY[CAST(:start AS timestamptz), CAST(:end AS timestamptz)])
""")
