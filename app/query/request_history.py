"""The history of one request: every prediction of it, and every truth with when it was learned."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, text

from app.errors import UnknownRequest
from app.query.requests import NAMES, REQUEST_COLUMNS, Request, request_of
from app.store.registry import ModelName
from app.store.request_keys import failure_key, keys_of


@dataclass(frozen=True, slots=True)
class LearnedTruth:
    """A truth, when it was learned, and when the next one replaced it: None for the current one."""

    label: str | None
    value: float | None
    learned_at: datetime
    replaced_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class PendingTruth:
    """A truth that waits for its prediction."""

    name: ModelName
    batch_index: int
    label: str | None
    value: float | None
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Prediction:
    """A prediction of a request, and its truths in the order in which they were learned.

    If its row is no longer kept, its key still has the output and the latest truth, and neither
    confidence nor latency, nor any moment but that of the prediction.
    """

    name: ModelName
    request: Request
    kept: bool
    truths: Sequence[LearnedTruth]


@dataclass(frozen=True, slots=True)
class RequestHistory:
    """Predictions of a request, the newest first, and truths that wait for one.

    Rows received before `kept_since` were dropped; None if none was.
    """

    request_id: str
    predictions: Sequence[Prediction]
    pending: Sequence[PendingTruth]
    kept_since: datetime | None


@dataclass(frozen=True, slots=True)
class Lookup:
    """A request id, among the models of a workspace with these names; None is any.

    `time` is when it was made: with it and a model, a request is also found after its key was
    deleted.
    """

    request_id: str
    namespace: str | None = None
    pipeline: str | None = None
    model: str | None = None
    time: datetime | None = None


def request_history(conn: Connection, *, workspace_id: int, lookup: Lookup) -> RequestHistory:
    """Everything that is kept about a request.

    Cost: three statements through indexes, a lookup per chunk and time of the request.

    Raises:
        UnknownRequest: nothing about it is kept, or it never arrived.
    """
    parameters = _parameters(workspace_id, lookup)
    answers = conn.execute(_ANSWERS, parameters).all()
    pending = [
        PendingTruth(ModelName(*row[:3]), *row[3:]) for row in conn.execute(_PENDING, parameters)
    ]
    kept_since = conn.execute(_KEPT_SINCE).scalar_one()
    if not answers and not pending:
        raise UnknownRequest(_unknown(lookup))
    truths = _truths(conn.execute(_TRUTHS, parameters)) if answers else {}
    predictions = [_prediction(row, truths) for row in answers]
    return RequestHistory(lookup.request_id, predictions, pending, kept_since)


def _parameters(workspace_id: int, lookup: Lookup) -> dict[str, Any]:
    return {
        "workspace": workspace_id,
        "namespace": lookup.namespace,
        "pipeline": lookup.pipeline,
        "model": lookup.model,
        # a time alone would be looked up in every series of the workspace
        "at": lookup.time if lookup.model is not None else None,
        "request": lookup.request_id,
        "keys": keys_of(lookup.request_id),
        "failure_key": failure_key(lookup.request_id),
    }


def _unknown(lookup: Lookup) -> str:
    message = f"no request {lookup.request_id}"
    if lookup.model is not None:
        message += f" of model {lookup.model}"
    return message


# Predictions by what identifies them among those of one request.
_Identity = tuple[int, datetime, int, int | None, float | None]


def _identity(row: Row[Any]) -> _Identity:
    return (row.series_id, row.time, row.batch_index, row.label_id, row.predicted_value)


def _truths(rows: Iterable[Row[Any]]) -> dict[_Identity, list[LearnedTruth]]:
    """Truths of each prediction, from rows of outcomes in the order in which they were stored."""
    truths: dict[_Identity, list[LearnedTruth]] = defaultdict(list)
    for row in rows:
        learned = truths[_identity(row)]
        if row.weight == 1:
            learned.append(LearnedTruth(row.actual_label, row.actual_value, row.received_at))
        elif learned:
            learned[-1] = replace(learned[-1], replaced_at=row.received_at)
    return truths


def _prediction(row: Row[Any], truths: dict[_Identity, list[LearnedTruth]]) -> Prediction:
    name = ModelName(row.namespace, row.pipeline, row.model)
    learned = [] if row.failed else truths.get(_identity(row), [])
    return Prediction(name, request_of(row), row.kept, learned)


_MODELS = """
    SELECT id FROM model
    WHERE workspace_id = :workspace
      AND (CAST(:namespace AS text) IS NULL OR namespace = :namespace)
      AND (CAST(:pipeline AS text) IS NULL OR pipeline = :pipeline)
      AND (CAST(:model AS text) IS NULL OR name = :model)
"""
# Where rows of the request are: series by time. An index finds them there.
_PLACES = f"""
    own AS MATERIALIZED ({_MODELS}),
    answer AS MATERIALIZED (
        SELECT k.* FROM own CROSS JOIN LATERAL (
            SELECT k.key, k.batch_index, coalesce(k.tagged_series_id, k.series_id) AS series_id,
                   k.time, k.predicted_label, k.predicted_value, k.actual_label, k.actual_value
            FROM prediction_key AS k
            WHERE k.model_id = own.id AND k.key = ANY (CAST(:keys AS uuid[]))
            OFFSET 0
        ) AS k
    ),
    place AS MATERIALIZED (
        SELECT time, array_agg(DISTINCT series_id) AS series
        FROM (
            SELECT time, series_id FROM answer
            UNION ALL
            SELECT CAST(:at AS timestamptz), series.id FROM series JOIN own ON own.id = model_id
            WHERE CAST(:at AS timestamptz) IS NOT NULL
        ) AS known
        GROUP BY time
    )
"""
_INSTANT = "INTERVAL '1 microsecond'"
_ANSWERS = text(f"""
    WITH {_PLACES},
    kept AS MATERIALIZED (
        SELECT found AS request, true AS is_kept
        FROM place CROSS JOIN LATERAL truthline_internal.request_rows(
            place.series, place.time, place.time + {_INSTANT}, 'infinity',
            truthline_internal.rows_since(), :request) AS found
    ),
    found AS (
        SELECT request, is_kept FROM kept
        UNION ALL
        SELECT CAST(ROW(answer.time, NULL, answer.series_id, CAST(:request AS text),
                        answer.batch_index, answer.predicted_label, answer.predicted_value, NULL,
                        NULL, answer.key = CAST(:failure_key AS uuid), answer.actual_label,
                        answer.actual_value, NULL,
                        num_nonnulls(answer.actual_label, answer.actual_value), 0,
                        NULL
                       ) AS truthline_internal.request_row),
               false
        FROM answer
        WHERE NOT EXISTS (
            SELECT FROM kept
            WHERE ((kept.request).series_id, (kept.request).time, (kept.request).batch_index)
                = (answer.series_id, answer.time, answer.batch_index)
        )
    )
    SELECT {REQUEST_COLUMNS}, model.namespace, model.pipeline, model.name AS model,
           (found.request).series_id, (found.request).label_id, found.is_kept AS kept
    FROM found
    {NAMES}
    JOIN model ON model.id = series.model_id
    ORDER BY (found.request).time DESC, model.name COLLATE "C", series.version COLLATE "C",
             series.id, (found.request).batch_index, (found.request).received_at
""")
_TRUTHS = text(f"""
    WITH {_PLACES}
    SELECT o.series_id, o.time, o.batch_index, o.predicted_label AS label_id, o.predicted_value,
           o.weight, o.received_at, actual.name AS actual_label, o.actual_value
    FROM place CROSS JOIN LATERAL (
        SELECT * FROM outcome AS o
        WHERE o.series_id = ANY (place.series) AND o.time = place.time
          AND o.request_id = CAST(:request AS text)
          AND o.received_at >= greatest(truthline_internal.rows_since(),
                                        place.time - INTERVAL '25 hours')
        OFFSET 0
    ) AS o
    LEFT JOIN label AS actual ON actual.id = o.actual_label
    ORDER BY o.received_at, o.weight
""")
_PENDING = text(f"""
    WITH own AS MATERIALIZED ({_MODELS})
    SELECT model.namespace, model.pipeline, model.name, f.batch_index, label.name, f.actual_value,
           f.received_at
    FROM own CROSS JOIN LATERAL (
        SELECT * FROM pending_feedback AS f
        WHERE f.model_id = own.id AND f.key = ANY (CAST(:keys AS uuid[]))
        OFFSET 0
    ) AS f
    JOIN model ON model.id = own.id
    LEFT JOIN label ON label.id = f.actual_label
    ORDER BY model.namespace, model.pipeline, model.name, f.batch_index
""")
_KEPT_SINCE = text("SELECT nullif(truthline_internal.rows_since(), '-infinity')")
