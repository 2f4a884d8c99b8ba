"""Checked columns with the ids under which they are stored, found by distinct value."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.errors import RowError
from app.ingest.bulk.columns import (
    NO_CODE,
    NOW,
    Coded,
    Flags,
    Integers,
    PredictionColumns,
    ScoredRows,
    Subject,
    TruthColumns,
)
from app.ingest.bulk.screens import MICROSECONDS
from app.ingest.models import DeclaredKind, check_kinds, kind_conflicts, register_kinds
from app.ingest.prepared import Classes, crowded, places_of, register_series
from app.ingest.scores import MAX_CLASSES
from app.store.database import Database
from app.store.registry import Kind, Model, ModelName
from app.store.series import SeriesName

# What a row declares: the kind of its model, and by which member.
_NOTHING, _LABEL, _SCORES, _VALUE = range(4)
_DECLARED = (
    (None, ""),
    (Kind.CLASSIFICATION, "label"),
    (Kind.CLASSIFICATION, "scores"),
    (Kind.REGRESSION, "value"),
)


_PlacesOf = Mapping[Classes, Sequence[int]]


@dataclass(frozen=True, slots=True)
class ResolvedPredictions:
    """Valid predictions, with an id per row for each name; `label_id` is NO_CODE without one.

    `scored` are the scores that are kept until the truth is known, each with its classes' places.
    """

    columns: PredictionColumns
    model_id: Integers
    series_id: Integers
    untagged_id: Integers
    label_id: Integers
    scored: Sequence[tuple[ScoredRows, Sequence[int]]]


@dataclass(frozen=True, slots=True)
class ResolvedTruths:
    """Valid truths, likewise; `declared` and `models` are what `recheck_kinds` needs."""

    columns: TruthColumns
    model_id: Integers
    label_id: Integers
    declared: Sequence[DeclaredKind]
    models: Mapping[ModelName, Model]


def resolve_predictions(
    database: Database, workspace_id: int, columns: PredictionColumns
) -> tuple[ResolvedPredictions, list[RowError]]:
    """Register the names of valid predictions; and the errors of those that have no room or kind.

    Raises:
        InvalidRows: another writer registered the kind of a model in the meantime.
    """
    columns, declared, conflicts = _without_conflicts(
        database, workspace_id, columns, _kinds_of_predictions
    )
    models = register_kinds(database.registry, workspace_id, declared)
    names = columns.subject.mapped(lambda subject: _series_name(models, subject))
    columns, names, ids, refused = _with_series(database, columns, names)
    labels, scored, places = _classes(database, workspace_id, columns, names)
    resolved = ResolvedPredictions(
        replace(columns, time=_settled(columns.time)),
        model_id=_by_code(names, lambda name: name.model_id),
        series_id=_by_code(names, ids.__getitem__),
        untagged_id=_by_code(names, lambda name: ids[name.untagged]),
        label_id=_by_code(columns.label, labels.__getitem__),
        scored=[(group, places[of]) for of, group in scored if of in places],
    )
    return resolved, [*conflicts, *refused]


def _settled(time: Integers) -> Integers:
    """Times, with the present instead of those that were not sent."""
    now = int(datetime.now(UTC).timestamp() * MICROSECONDS)
    return np.where(time == NOW, now, time)


def resolve_truths(
    database: Database, workspace_id: int, columns: TruthColumns
) -> tuple[ResolvedTruths, list[RowError]]:
    """Register the names of valid truths; and the errors of those of a different kind.

    Raises:
        InvalidRows: another writer registered the kind of a model in the meantime.
    """
    columns, declared, conflicts = _without_conflicts(
        database, workspace_id, columns, _kinds_of_truths
    )
    registry = database.registry
    models = check_kinds(registry, workspace_id, declared)
    labels = registry.register_labels(workspace_id, _used(columns.label))
    model_id = _by_code(columns.subject, lambda subject: models[_model_name(subject)].id)
    label_id = _by_code(columns.label, labels.__getitem__)
    registry.register_classes(_pairs(model_id, label_id))
    return ResolvedTruths(columns, model_id, label_id, declared, models), conflicts


# --- kinds --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Declared:
    """The distinct kinds that rows declare, in the order of the first row of each."""

    kinds: Sequence[DeclaredKind]
    place: Integers  # of each row's, among `kinds`


def _kinds_of_predictions(columns: PredictionColumns) -> Integers:
    kinds = np.where(columns.label.codes == NO_CODE, _NOTHING, _LABEL)
    kinds[columns.scored] = _SCORES
    kinds[~np.isnan(columns.value)] = _VALUE
    return kinds


def _kinds_of_truths(columns: TruthColumns) -> Integers:
    return np.where(columns.label.codes == NO_CODE, _VALUE, _LABEL)


def _declared(subject: Coded, kinds: Integers) -> _Declared:
    model = subject.mapped(_model_name)
    combined = model.codes * len(_DECLARED) + kinds
    distinct, first, places = np.unique(combined, return_index=True, return_inverse=True)
    order = np.argsort(first)
    declared = [
        DeclaredKind(model.values[code // len(_DECLARED)], *_DECLARED[code % len(_DECLARED)])
        for code in distinct[order].tolist()
    ]
    return _Declared(declared, np.argsort(order)[places.reshape(-1)])


def _without_conflicts(
    database: Database, workspace_id: int, columns: Any, kinds_of: Callable[[Any], Integers]
) -> tuple[Any, Sequence[DeclaredKind], list[RowError]]:
    """Columns without the rows that have a different kind than their model; the others' kinds."""
    declared = _declared(columns.subject, kinds_of(columns))
    conflicts = list(kind_conflicts(database.registry, workspace_id, declared.kinds))
    if not conflicts:
        return columns, declared.kinds, []
    kept, errors = _without(columns, declared.place, conflicts)
    return kept, _declared(kept.subject, kinds_of(kept)).kinds, errors


def _without(
    columns: Any, place: Integers, errors: Iterable[RowError]
) -> tuple[Any, list[RowError]]:
    """Columns without the rows whose distinct value has an error, and an error for each row."""
    by_place = {error.index: error for error in errors}
    if not by_place:
        return columns, []
    odd = np.isin(place, list(by_place))
    refused = [
        RowError(index, by_place[of].field, by_place[of].reason)
        for index, of in zip(columns.index[odd].tolist(), place[odd].tolist(), strict=True)
    ]
    return columns.take(~odd), refused


# --- series and classes -------------------------------------------------------------------


def _model_name(subject: Subject) -> ModelName:
    return ModelName(subject.namespace, subject.pipeline, subject.model)


def _series_name(models: Mapping[ModelName, Model], subject: Subject) -> SeriesName | None:
    """The series of a subject; None if none of the rows has it any more."""
    if (model := models.get(_model_name(subject))) is None:
        return None
    return SeriesName(
        model.id,
        subject.deployment,
        subject.version,
        subject.deployment_type,
        subject.server_version,
        subject.tags,
    )


def _with_series(
    database: Database, columns: PredictionColumns, names: Coded
) -> tuple[PredictionColumns, Coded, Mapping[SeriesName, int], list[RowError]]:
    used, places = np.unique(names.codes, return_inverse=True)
    distinct = [names.values[code] for code in used.tolist()]
    series = database.registry.series
    ids = register_series(series, distinct)
    errors = list(crowded(series, distinct, ids))
    kept, refused = _without(columns, places.reshape(-1), errors)
    if errors:
        names = names.take(np.isin(columns.index, kept.index))
    return kept, names, ids, refused


def _classes(
    database: Database, workspace_id: int, columns: PredictionColumns, names: Coded
) -> tuple[
    Mapping[str, int], Sequence[tuple[Classes, ScoredRows]], Mapping[Classes, Sequence[int]]
]:
    """Ids of labels, scores to keep with their model and classes, and the places of these."""
    model_id = _by_code(names, lambda name: name.model_id)
    scored = [
        ((model, group.labels), part)
        for group in columns.scores
        if len(group.labels) <= MAX_CLASSES
        for model, part in _by_model(group, model_id, ~columns.failed)
    ]
    labels = database.registry.register_labels(
        workspace_id, _used(columns.label).union(*(of for (_, of), _ in scored))
    )
    label_id = _by_code(columns.label, labels.__getitem__)
    single = ~columns.failed
    classes = _pairs(model_id[single], label_id[single])
    places = places_of(database.registry, classes, {of for of, _ in scored}, labels)
    return labels, scored, places


def _by_model(
    group: ScoredRows, model_id: Integers, wanted: Flags
) -> Iterable[tuple[int, ScoredRows]]:
    models = model_id[group.rows]
    for model in np.unique(models[wanted[group.rows]]).tolist():
        chosen = (models == model) & wanted[group.rows]
        yield model, ScoredRows(group.rows[chosen], group.labels, group.numbers[chosen])


def _used(coded: Coded) -> set[Any]:
    """The values that rows have."""
    return {coded.values[code] for code in np.unique(coded.codes).tolist() if code != NO_CODE}


def _pairs(model_id: Integers, label_id: Integers) -> set[tuple[int, int]]:
    """The distinct pairs of a model and a label."""
    has = label_id != NO_CODE
    together = np.unique((model_id[has] << 32) | label_id[has])
    return {(pair >> 32, pair & 0xFFFFFFFF) for pair in together.tolist()}


def _by_code(coded: Coded, id_of: Any) -> Integers:
    """The id of each row's value; NO_CODE without one. Values that no row has are not looked up."""
    ids: NDArray[np.int64] = np.full(len(coded.values) + 1, NO_CODE, np.int64)
    for code in np.unique(coded.codes).tolist():
        if code != NO_CODE:
            ids[code] = id_of(coded.values[code])
    return ids[coded.codes]
