"""Limits of monitors, drawn in the charts of the metrics that they watch."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from app.monitors.definition import MonitorDefinition
from app.monitors.stored_monitors import monitors_of
from app.monitors.words import limits_of
from app.query.classification import Average
from app.web.panels import PanelContext
from app.web.question import Question

AVERAGED = frozenset({"precision", "recall", "specificity", "f1"})


@dataclass(frozen=True, slots=True)
class Threshold:
    """A limit of a monitor, in the unit of its metric."""

    monitor: str
    metric: str
    value: float


def thresholds(context: PanelContext, metrics: Collection[str]) -> Sequence[Threshold]:
    """The limits of those metrics, by their names on the wire, of what the page shows.

    Only of monitors that compare with a value, and that watch the same predictions.

    Cost: two statements.
    """
    return [
        Threshold(monitor.name, monitor.definition.metric, limit)
        for monitor in monitors_of(context.conn, context.workspace_id)
        if monitor.definition.metric in metrics and _is_shown(context.question, monitor.definition)
        for limit in limits_of(monitor.definition)
    ]


def _is_shown(question: Question, definition: MonitorDefinition) -> bool:
    scope = question.scope
    asked = (*question.model, scope.version, scope.deployment)
    own = (definition.namespace, definition.pipeline, definition.model)
    if asked != (*own, definition.version, definition.deployment) or definition.label is not None:
        return False
    average = question.members.get("average") or Average.MACRO
    same_average = definition.metric not in AVERAGED or definition.average == average
    return same_average and _tagged(question, definition)


def _tagged(question: Question, definition: MonitorDefinition) -> bool:
    """Whether the page shows the tags that are watched, or one of the groups."""
    shown, watched = set(question.scope.tags.texts), set(definition.tags)
    if definition.group_by is None:
        return shown == watched
    more = shown - watched
    return watched <= shown and len(more) == 1 and more.pop().startswith(f"{definition.group_by}:")
