"""The columns of exports, and how rows become them.

There are two tables of each kind: one to analyse, with the members that `/api/v1/requests` has, and
one to load elsewhere, with exactly the columns that ingest takes.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from app.api.http.columns import CSV, Block, Column, Layout, Type
from app.errors import InvalidInput
from app.ingest.inferences import NOTHING_DETECTED
from app.query.export import (
    ACTUAL_LABEL,
    ACTUAL_VALUE,
    BATCH_INDEX,
    CONFIDENCE,
    FAILED,
    LATENCY,
    LEARNED_AT,
    N_TRUTHS,
    PREDICTED_LABEL,
    PREDICTED_VALUE,
    RECEIVED_AT,
    REQUEST_ID,
    SERIES,
    TIME,
    Export,
    ExportedRow,
    Origin,
    starts_inference,
)
from app.store.registry import Kind

Rows = Sequence[ExportedRow]
Table = tuple[Layout, Callable[[Rows], Block]]

TEXT, TIME_OF, NUMBER = Type.TEXT, Type.TIME, Type.NUMBER
INTEGER, FLAG = Type.INTEGER, Type.FLAG
MODEL: dict[str, Callable[[Origin], str]] = {
    "model": lambda origin: origin.name.name,
    "namespace": lambda origin: origin.name.namespace,
    "pipeline": lambda origin: origin.name.pipeline,
}
PART: dict[str, Callable[[Origin], str]] = {
    "deployment": lambda origin: origin.part.deployment,
    "version": lambda origin: origin.part.version,
    "deploymentType": lambda origin: origin.part.deployment_type,
    "serverVersion": lambda origin: origin.part.server_version,
}
IDS = {"requestId": (TEXT, REQUEST_ID), "batchIndex": (INTEGER, BATCH_INDEX)}
ANALYSED = IDS | {
    "time": (TIME_OF, TIME),
    "receivedAt": (TIME_OF, RECEIVED_AT),
    "predictedLabel": (TEXT, PREDICTED_LABEL),
    "predictedValue": (NUMBER, PREDICTED_VALUE),
    "confidence": (NUMBER, CONFIDENCE),
    "latencySeconds": (NUMBER, LATENCY),
    "failed": (FLAG, FAILED),
    "actualLabel": (TEXT, ACTUAL_LABEL),
    "actualValue": (NUMBER, ACTUAL_VALUE),
    "learnedAt": (TIME_OF, LEARNED_AT),
}
PREDICTIONS = IDS | {
    "time": (TIME_OF, TIME),
    "label": (TEXT, PREDICTED_LABEL),
    "value": (NUMBER, PREDICTED_VALUE),
    "confidence": (NUMBER, CONFIDENCE),
    "latencySeconds": (NUMBER, LATENCY),
    "error": (FLAG, FAILED),
}
TRUTHS = IDS | {"label": (TEXT, ACTUAL_LABEL), "value": (NUMBER, ACTUAL_VALUE)}
Places = Mapping[str, tuple[Type, int]]
# Filters that would leave parts of an inference with several detections.
OF_DETECTIONS = ("predicted", "least_confidence", "most_confidence")


def table_of(export: Export, media_type: str, *, loadable: bool) -> Table:
    """The columns of an export, and what makes them of its rows.

    Raises:
        InvalidInput: detections, which are lists, can't be in CSV, or would not be whole.
    """
    if not loadable:
        return _table(export, MODEL | PART, ANALYSED, _judged)
    if export.wanted.truths:
        return _table(export, MODEL, TRUTHS, tagged=False)
    if not _has_detections(export):
        return _table(export, MODEL | PART, PREDICTIONS)
    if media_type == CSV:
        raise InvalidInput("CSV has no detections to load: choose ndjson, parquet or arrow")
    if any(getattr(export.wanted.which, name) is not None for name in OF_DETECTIONS):
        raise InvalidInput("loadable=true has whole inferences: don't select detections")
    return _inferences(export)


def _has_detections(export: Export) -> bool:
    return any(origin.kind is Kind.DETECTION for origin in export.origins.values())


More = Mapping[str, tuple[Type, Callable[[Rows], Sequence[Any]]]]


def _table(
    export: Export,
    names: Mapping[str, Callable[[Origin], str]],
    places: Places,
    more: More | None = None,
    *,
    tagged: bool = True,
) -> Table:
    more = more or {}
    layout = Layout(
        [
            *(Column(name, TEXT) for name in names),
            *(Column(name, type_) for name, (type_, _) in [*places.items(), *more.items()]),
        ],
        _tag_keys(export) if tagged else (),
    )
    named = {
        series: [name_of(origin) for name_of in names.values()]
        for series, origin in export.origins.items()
    }

    def to_block(rows: Rows) -> Block:
        values = list(zip(*rows, strict=True))
        series = values[SERIES]
        columns = [
            *zip(*(named[one] for one in series), strict=True),
            *(values[place] for _, place in places.values()),
            *(made(rows) for _, made in more.values()),
        ]
        return Block(columns, [export.origins[one].part.tags for one in series])

    return layout, to_block


def _tag_keys(export: Export) -> list[str]:
    return sorted({key for origin in export.origins.values() for key in origin.part.tags})


def _wrong(rows: Rows) -> list[bool | None]:
    return [
        None
        if row[ACTUAL_LABEL] is None or row[FAILED]
        else row[PREDICTED_LABEL] != row[ACTUAL_LABEL]
        for row in rows
    ]


def _corrected(rows: Rows) -> list[bool]:
    return [row[N_TRUTHS] > 1 for row in rows]


_judged: More = {"wrong": (FLAG, _wrong), "corrected": (FLAG, _corrected)}


# --- detections ---------------------------------------------------------------------------


def _inferences(export: Export) -> Table:
    """Predictions to load, with the detections of an inference in one row."""
    found = {"detections": (Type.DETECTIONS, lambda rows: [row[-1] for row in rows])}
    layout, to_block = _table(export, MODEL | PART, PREDICTIONS, found)
    return layout, lambda rows: to_block(list(_whole(export, rows)))


def _whole(export: Export, rows: Rows) -> Iterator[ExportedRow]:
    """One row per inference, whose last value are its detections; None if it has no such output."""
    for _, group in groupby(rows, _Inference()):
        first, *others = group
        if export.origins[first[SERIES]].kind is not Kind.DETECTION or first[FAILED]:
            yield from ((*row, None) for row in (first, *others))
            continue
        detections = [
            {"label": row[PREDICTED_LABEL], "confidence": row[CONFIDENCE]}
            for row in (first, *others)
            if row[PREDICTED_LABEL] != NOTHING_DETECTED
        ]
        bare = list(first)
        bare[PREDICTED_LABEL] = bare[CONFIDENCE] = None
        yield (*bare, detections)


class _Inference:
    """Numbers inferences: a row belongs to that of the row before, or starts one."""

    def __init__(self) -> None:
        self._before: ExportedRow | None = None
        self._number = 0

    def __call__(self, row: ExportedRow) -> int:
        self._number += starts_inference(row, self._before)
        self._before = row
        return self._number
