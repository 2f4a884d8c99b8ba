"""Predictions with all the ids under which they are stored."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple
from uuid import UUID

from app.errors import RowError
from app.ingest.batch import reject_if_any
from app.ingest.inferences import (
    Output,
    Prediction,
    UnreadAnswer,
    declared_kind_of,
    outputs_of,
)
from app.ingest.joins import Requests
from app.ingest.models import register_kinds
from app.ingest.scores import MAX_CLASSES, Layout, Scores, layout
from app.store.database import Database
from app.store.registry import Model, Registry
from app.store.request_keys import failure_key, request_key, unread_key
from app.store.series import Crowded, SeriesName, SeriesRegistry

# The model and the classes of scores, in the order in which they were sent.
Classes = tuple[int, tuple[str, ...]]
# Where scores of these classes are stored in the arrays of their model.
Places = Mapping[Classes, Layout]
# Model, key, batch index and series without tags: predictions are the same if these are equal.
Identity = tuple[int, UUID | None, int, int]


class PreparedRow(NamedTuple):
    """A prediction with the ids under which it is stored.

    `key` is None without a request id, `scores` if there are none to keep until the truth is known.
    """

    prediction: Prediction
    time: datetime
    outputs: Sequence[Output]
    scores: Scores | None
    series_id: int
    key: UUID | None
    identity: Identity


@dataclass(frozen=True, slots=True)
class PreparedPredictions:
    """Predictions with all their ids, in the order of their arrival."""

    rows: Sequence[PreparedRow]
    labels: Mapping[str, int]
    places: Places

    @property
    def requests(self) -> Requests:
        """The requests that may get a truth."""
        return requests_of(self.rows)


def requests_of(rows: Iterable[PreparedRow]) -> Requests:
    """Request ids by model and key, of rows that can have a truth."""
    return {
        (row.identity[0], row.key): row.prediction.request_id
        for row in rows
        if row.key and row.prediction.request_id and has_single_output(row.prediction)
    }


def prepare_predictions(
    database: Database, workspace_id: int, predictions: Sequence[Prediction]
) -> PreparedPredictions:
    """Register the models, series and labels of valid predictions.

    Raises:
        InvalidRows: a prediction has a different kind than its model, or a series for which its
            model has no room.
    """
    rows = _with_all_ids(database, workspace_id, predictions, now=datetime.now(UTC))
    names = {o.label for row in rows for o in row.outputs if o.label is not None}
    scored = {classes for row in rows if (classes := _scored_classes(row))}
    labels = database.registry.register_labels(
        workspace_id, names.union(*(labels for _, labels in scored))
    )
    predicted = {
        (row.identity[0], labels[row.outputs[0].label])
        for row in rows
        if has_single_output(row.prediction) and row.outputs[0].label is not None
    }
    places = places_of(database.registry, predicted, scored, labels)
    return PreparedPredictions(rows, labels, {of: layout(found) for of, found in places.items()})


def _scored_classes(row: PreparedRow) -> Classes | None:
    """The model and the classes of its scores."""
    return None if row.scores is None else (row.identity[0], row.scores.labels)


def places_of(
    registry: Registry,
    classes: Iterable[tuple[int, int]],
    scored: Iterable[Classes],
    labels: Mapping[str, int],
) -> Mapping[Classes, Sequence[int]]:
    """Register predicted and scored classes of classifiers, and look up the places of scores.

    `classes` are ids of models and labels. Scores of a model with too many classes have no place.
    """
    scored = list(scored)
    scored_classes = {(model_id, labels[name]) for model_id, names in scored for name in names}
    known = registry.register_classes({*classes, *scored_classes})
    places = {
        (model_id, names): [known[model_id, labels[name]] for name in names]
        for model_id, names in scored
    }
    return {of: found for of, found in places.items() if max(found) <= MAX_CLASSES}


def _with_all_ids(
    database: Database, workspace_id: int, predictions: Sequence[Prediction], *, now: datetime
) -> list[PreparedRow]:
    names = _series_names(database, workspace_id, predictions)
    ids = register_series(database.registry.series, names)
    reject_if_any(crowded(database.registry.series, names, ids))
    return [
        _with_ids(row, name, ids, row.time or now)
        for row, name in zip(predictions, names, strict=True)
    ]


def crowded_rows(
    database: Database, workspace_id: int, predictions: Sequence[Prediction]
) -> list[RowError]:
    """One error for each valid prediction whose model has no room for its series.

    The series of the others are registered.

    Raises:
        InvalidRows: a prediction has a different kind than its model.
    """
    names = _series_names(database, workspace_id, predictions)
    series = database.registry.series
    return list(crowded(series, names, register_series(series, names)))


def _series_names(
    database: Database, workspace_id: int, predictions: Sequence[Prediction]
) -> list[SeriesName]:
    declared_kinds = [declared_kind_of(row) for row in predictions]
    models = register_kinds(database.registry, workspace_id, declared_kinds)
    return [
        _series_name(models[c.model], row)
        for c, row in zip(declared_kinds, predictions, strict=True)
    ]


def register_series(
    series: SeriesRegistry, names: Iterable[SeriesName]
) -> Mapping[SeriesName, int]:
    """Ids of these series, and of the same without tags."""
    distinct = set(names)
    return series.register(distinct | {name.untagged for name in distinct})


def crowded(
    series: SeriesRegistry, names: Sequence[SeriesName], ids: Mapping[SeriesName, int]
) -> Iterator[RowError]:
    """One error for each of these series that its model has no room for, by position."""
    refused = {name for name in names if name not in ids or name.untagged not in ids}
    why: dict[int, Crowded] = {}
    for index, name in enumerate(names):
        if name in refused:
            if name.model_id not in why:
                of_model = sorted(one for one in refused if one.model_id == name.model_id)
                why[name.model_id] = series.crowded(of_model)
            yield RowError(index, why[name.model_id].field, why[name.model_id].reason)


def _with_ids(
    row: Prediction, name: SeriesName, ids: Mapping[SeriesName, int], time: datetime
) -> PreparedRow:
    outputs = outputs_of(row)
    key = _key_of(row)
    identity = (name.model_id, key, row.batch_index, ids[name.untagged])
    return PreparedRow(row, time, outputs, _scores_of(row), ids[name], key, identity)


def _scores_of(row: Prediction) -> Scores | None:
    """Scores that a truth can be compared with."""
    if row.scores is None or not has_single_output(row):
        return None
    scores = Scores.of(row.scores)
    return scores if len(scores.labels) <= MAX_CLASSES else None


def _series_name(model: Model, row: Prediction) -> SeriesName:
    return SeriesName(
        model.id,
        row.deployment,
        row.version,
        row.deployment_type,
        row.server_version,
        tuple(sorted(row.tags.items())) if row.tags else (),
    )


def _key_of(row: Prediction) -> UUID | None:
    """A failed attempt has a different key, so that a retry that succeeds is no duplicate of it.

    So does an unread answer: the same answer may be sent again in a form that can be read.
    """
    if not row.request_id:
        return None
    if row.error:
        return failure_key(row.request_id)
    return (unread_key if isinstance(row, UnreadAnswer) else request_key)(row.request_id)


def has_single_output(prediction: Prediction) -> bool:
    """Whether a truth can be about it: not a failure, an unread answer or a detection."""
    unread = isinstance(prediction, UnreadAnswer)
    return not prediction.error and not unread and prediction.detections is None
