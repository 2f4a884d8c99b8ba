"""Which deployments are there, and what do they serve?

A deployment is a deployment name within a workspace. Predictions that name none belong to none.
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

    `version` and `deployment_type` are those seen last, `since` is when the model was seen first
    in the deployment. `namespace`, `version` and `deployment_type` are empty where not said.
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
    """A deployment and its models, the one seen first in front; there is at least one."""

    name: str
    models: list[DeployedModel]

    @property
    def model(self) -> DeployedModel:
        """The one that metrics of the deployment are about."""
        return self.models[0]


class Order(StrEnum):
    """What deployments can be listed by: their own name, their first model's, its namespace."""

    NAME = "name"
    MODEL = "model"
    NAMESPACE = "namespace"


KEYS: dict[Order, Callable[[Deployment], str]] = {
    Order.NAME: attrgetter("name"),
    Order.MODEL: attrgetter("model.name"),
    Order.NAMESPACE: attrgetter("model.namespace"),
}


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the deployments. `total` counts all, `following` tells where the next page begins."""

    deployments: list[Deployment]
    total: int
    following: int | None


def deployments(
    conn: Connection,
    *,
    workspace_id: int,
    order: Sequence[tuple[Order, bool]] = (),
    size: int = 100,
    offset: int = 0,
) -> Page:
    """The deployments of a workspace from `offset` on, in the order of pairs (what, descending).

    What the order leaves open is settled by name. Cost: one look at the workspace's series.
    """
    found = _find(conn, workspace_id)
    found.sort(key=lambda one: one.name)
    for what, descending in reversed(order):
        found.sort(key=KEYS[what], reverse=descending)
    end = offset + size
    return Page(found[offset:end], len(found), end if end < len(found) else None)


def deployment(conn: Connection, *, workspace_id: int, name: str) -> Deployment:
    """One deployment by its name.

    Raises:
        UnknownDeployment: the workspace has no predictions of that deployment.
    """
    found = _find(conn, workspace_id, name)
    if not found:
        raise UnknownDeployment(f"no predictions of deployment {name}")
    return found[0]


def total_predictions(conn: Connection, question: Question[AllDeployed]) -> int:
    """Requests that all deployments of a workspace answered in a window, whatever their model.

    Cost: one statement over cells, however many deployments there are.
    """
    count: int = conn.execute(_TOTAL, parameters(question)).scalar_one()
    return count


def total_basis(conn: Connection, question: Question[AllDeployed]) -> Basis:
    """What that number rests on. Cost: one statement."""
    return basis_of(conn, question, Counted.PREDICTION)


def _find(conn: Connection, workspace_id: int, name: str | None = None) -> list[Deployment]:
    found: dict[str, list[DeployedModel]] = {}
    for row in conn.execute(_DEPLOYED, {"workspace_id": workspace_id, "name": name}):
        kind = None if row.kind is None else Kind(row.kind)
        model = DeployedModel(
            row.name, row.namespace, kind, row.version, row.deployment_type, row.since, row.series
        )
        found.setdefault(row.deployment, []).append(model)
    return [Deployment(*item) for item in found.items()]


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
