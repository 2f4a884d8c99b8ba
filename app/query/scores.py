"""Metrics of scores: how good they are as probabilities, and how well they rank.

`sql/views/65_scores.sql` and `66_ranking.sql` define the metrics; this module queries and names
them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from psycopg.errors import InvalidParameterValue
from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DataError

from app.errors import InvalidInput
from app.query.basis import basis_of
from app.query.intervals import Intervals, interval
from app.query.measures import SCORES
from app.query.question import Basis, Counted, Question, parameters
from app.query.settle import settle
from app.query.subjects import Scope, Subject
from app.query.window import EDGES
from app.store.registry import Kind, Registry

# Those that a question can be limited to.
METRICS = ("log_loss", "brier_score", "roc_auc", "average_precision", "calibration_error")
# Those that read scores one by one, as intervals do: others are sums of cells.
OF_EACH_SCORE = ("average_precision",)
# Those that need two classes: they rank scores of the positive one.
_OF_TWO_CLASSES = ("roc_auc", "average_precision")


@dataclass(frozen=True, slots=True)
class ScoreBucket:
    """Metrics of the scores in a bucket, None without truths, or if they were not requested.

    `n` counts truths whose prediction has scores; in a binary model, those with a confidence too.
    `log_loss` is in nats. `brier_score` is 0 to 1 for a binary model, otherwise 0 to 2; the others
    are fractions of 1. `n_positive`, `roc_auc` and `average_precision` are of the positive class,
    None for a model without one. Of a model with more than two classes, these and
    `calibration_error` don't count `n_unranked` of the truths, with which the score of the declared
    class was not kept. `intervals` is set if a confidence was requested.
    """

    start: datetime
    end: datetime
    n: int
    n_positive: int | None
    log_loss: float | None
    brier_score: float | None
    roc_auc: float | None
    average_precision: float | None
    calibration_error: float | None
    n_unranked: int | None
    intervals: Intervals | None = None


@dataclass(frozen=True, slots=True)
class ScoreAnswer:
    """Buckets, oldest first, and their basis.

    `positive` is the class that ranks are about: one of two, or the declared one of more. None if
    none of more than two is declared.
    """

    buckets: Sequence[ScoreBucket]
    basis: Basis
    positive: str | None


@dataclass(frozen=True, slots=True)
class ScoreBuckets:
    """Buckets, oldest first, and the class that ranks are about, as of `ScoreAnswer`."""

    buckets: Sequence[ScoreBucket]
    positive: str | None


@dataclass(frozen=True, slots=True)
class ThresholdPoint:
    """What happens if a score at or above `threshold` predicts the positive class.

    Rates are fractions of 1, None where their denominator is 0.
    """

    threshold: float
    true_positives: int
    false_positives: int
    false_negatives: int
    true_negatives: int
    precision: float | None
    recall: float | None
    false_positive_rate: float | None


@dataclass(frozen=True, slots=True)
class CalibrationPoint:
    """How often scores within (start, end] come true: `share` of `n`. The first part includes 0."""

    start: float
    end: float
    n: int
    mean_score: float
    share: float


@dataclass(frozen=True, slots=True)
class ScoreCurves:
    """Curves of a window; points by threshold, from the highest, and calibration from the lowest.

    `points` is empty for a model without a positive class; `calibration` is then that of the
    predicted class. `n_scores` is the number of distinct scores, of which points are a part, None
    at thresholds that were asked for. `n_unranked` is as of `ScoreBucket`.
    """

    points: Sequence[ThresholdPoint]
    calibration: Sequence[CalibrationPoint]
    positive: str | None
    n_unranked: int | None
    n_scores: int | None = None


@dataclass(frozen=True, slots=True)
class CurveAnswer:
    """Curves of a window, as of `ScoreCurves`, and their basis."""

    points: Sequence[ThresholdPoint]
    calibration: Sequence[CalibrationPoint]
    basis: Basis
    positive: str | None
    n_unranked: int | None


def scores(
    conn: Connection,
    registry: Registry,
    question: Question[Scope],
    *,
    positive: str | None = None,
    metrics: Sequence[str] = METRICS,
    confidence: float | None = None,
) -> ScoreAnswer:
    """Metrics of the scores of one classifier in the buckets of a grid, as of a moment.

    `positive` is the class that scores are about, by default the positive one of the model. With a
    `confidence`, ranks have intervals, and the losses of a model with two classes.

    Shape: one bucket per width, oldest first, clipped to the window; a single one without width.
    Cost:  three statements: the cells of the window once per metric. Average precision reads the
           scores of positive truths, and intervals read all scores.

    Raises:
        InvalidWindow, UnknownModel, WrongKind: as in `settle`.
        InvalidInput: `positive` is not one of two classes, nor one that was declared.
    """
    settled = settle(conn, question, *OF_SCORES, kind=Kind.CLASSIFICATION)
    found = score_buckets(
        conn, registry, settled, positive=positive, metrics=metrics, confidence=confidence
    )
    return ScoreAnswer(found.buckets, basis_of(conn, settled, *OF_SCORES), found.positive)


def score_buckets(
    conn: Connection,
    registry: Registry,
    question: Question[Subject],
    *,
    positive: str | None = None,
    metrics: Sequence[str] = METRICS,
    confidence: float | None = None,
) -> ScoreBuckets:
    """The same for a settled question, without its basis. Cost: one statement.

    Raises:
        InvalidInput: as in `scores`.
    """
    asked = _asked(question, positive) | {"metrics": list(metrics), "confidence": confidence}
    with only_of_classes():
        rows = conn.execute(_METRICS, asked).all()
    buckets = [_bucket(row, has_intervals=confidence is not None) for row in rows]
    return ScoreBuckets(buckets, _name(conn, registry, rows[0].class_))


def curves(
    conn: Connection,
    registry: Registry,
    question: Question[Scope],
    *,
    positive: str | None = None,
    thresholds: Sequence[float] | None = None,
    n_points: int = 200,
    n_parts: int = 10,
) -> CurveAnswer:
    """The ROC, precision-recall and reliability curves of a window, whatever the grid.

    Points are at `thresholds`, by default at every distinct score, or at about `n_points` of them.

    Cost: four statements; without thresholds, every score of the window is read.

    Raises:
        InvalidWindow, UnknownModel, WrongKind, InvalidInput: as in `scores`.
    """
    settled = settle(conn, question.over(question.window), *OF_SCORES, kind=Kind.CLASSIFICATION)
    found = score_curves(
        conn,
        registry,
        settled,
        positive=positive,
        thresholds=thresholds,
        n_points=n_points,
        n_parts=n_parts,
    )
    basis = basis_of(conn, settled, *OF_SCORES)
    return CurveAnswer(found.points, found.calibration, basis, found.positive, found.n_unranked)


def score_curves(
    conn: Connection,
    registry: Registry,
    question: Question[Subject],
    *,
    positive: str | None = None,
    thresholds: Sequence[float] | None = None,
    n_points: int = 200,
    n_parts: int = 10,
) -> ScoreCurves:
    """The same for a settled question about a whole window, without its basis.

    Cost: three statements; without thresholds, every score of the window is read.

    Raises:
        InvalidInput: as in `scores`.
    """
    asked = _asked(question, positive)
    with only_of_classes():
        class_id, one_vs_rest, n_unranked = conn.execute(_CLASS, asked).one()
    asked |= {"class": class_id, "one_vs_rest": one_vs_rest, "parts": n_parts}
    rows: Sequence[Row[Any]] = []
    if class_id is not None:
        how = {"points": n_points} if thresholds is None else {"thresholds": list(thresholds)}
        rows = conn.execute(_CURVE if thresholds is None else _AT_THRESHOLDS, asked | how).all()
    return ScoreCurves(
        [_point(row) for row in rows],
        [CalibrationPoint(*row) for row in conn.execute(_CALIBRATION, asked)],
        _name(conn, registry, class_id),
        n_unranked,
        rows[0].n_scores if rows else None,
    )


def metrics_of(positive: str | None) -> list[str]:
    """The metrics that a model with this positive class has, those of ranks first."""
    others = [name for name in METRICS if name not in _OF_TWO_CLASSES]
    return others if positive is None else [*_OF_TWO_CLASSES, *others]


def _point(row: Row[Any]) -> ThresholdPoint:
    return ThresholdPoint(*(getattr(row, name) for name in ThresholdPoint.__slots__))


def classes_of_scores(conn: Connection, question: Question[Subject]) -> list[str]:
    """The classes that scores may be about: both of two, or those of more that were declared.

    Cost: one statement.
    """
    return list(conn.execute(_CLASSES, _asked(question, None)).scalars())


def _asked(question: Question[Subject], positive: str | None) -> dict[str, Any]:
    return parameters(question) | {"model": question.subject.id, "positive": positive}


@contextmanager
def only_of_classes() -> Iterator[None]:
    """Report a class that scores can't be about as an error of the caller.

    Raises:
        InvalidInput: it is not one of two classes, nor one that was declared.
    """
    try:
        yield
    except DataError as error:
        if isinstance(error.orig, InvalidParameterValue):
            raise InvalidInput(error.orig.diag.message_primary) from None
        raise


def _name(conn: Connection, registry: Registry, class_id: int | None) -> str | None:
    return None if class_id is None else registry.label_names(conn, [class_id])[class_id]


def _bucket(row: Row[Any], *, has_intervals: bool) -> ScoreBucket:
    bucket = ScoreBucket(*row[: len(fields(ScoreBucket)) - 1])
    if not has_intervals:
        return bucket
    bounds = ((name, [getattr(row, f"{name}_{end}") for end in ENDS]) for name in _WITH_INTERVAL)
    return replace(bucket, intervals={name: interval(*ends) for name, ends in bounds})


_WITH_INTERVAL = [measure.name for measure in SCORES.values() if measure.interval]
ENDS = ("low", "high")


OF_SCORES = (Counted.SCORED, Counted.RANKED, Counted.VERSUS)
_POSITIVE = """
    truthline_internal.class_of_scores(
        :model, coalesce(CAST(:as_of AS timestamptz), 'infinity'), CAST(:positive AS text))
"""
_CLASS = text(f"""
    SELECT positive, one_vs_rest, CASE WHEN positive IS NOT NULL THEN (
               SELECT coalesce(sum(n), 0)::bigint
               FROM truthline_internal.unranked(
                   CAST(:series AS integer[]), {EDGES}, positive, one_vs_rest)) END
    FROM {_POSITIVE} AS class
""")
_CLASSES = text("""
    SELECT name FROM truthline_internal.classes_for_scores(
        :model, coalesce(CAST(:as_of AS timestamptz), 'infinity')) AS class
    ORDER BY name COLLATE "C"
""")
_METRICS = text(f"""
    SELECT metrics.*, bounds.*, class.positive AS class_
    FROM {_POSITIVE} AS class
    CROSS JOIN LATERAL truthline_internal.score_metrics(
        CAST(:series AS integer[]), {EDGES}, class.positive, CAST(:metrics AS text[]),
        class.one_vs_rest)
        WITH ORDINALITY AS metrics
    LEFT JOIN LATERAL truthline_internal.score_bounds(
        CAST(:series AS integer[]), {EDGES}, class.positive,
        CAST(:confidence AS double precision), class.one_vs_rest)
        AS bounds ON bounds.place = metrics.ordinality
    ORDER BY metrics.ordinality
""")
_POINTS = """
    SELECT threshold, true_positives, false_positives, false_negatives, true_negatives, rates.*,
           {n_scores} AS n_scores
    FROM truthline_internal.{function}(
        CAST(:series AS integer[]), {edges}, :class, {how}, :one_vs_rest)
        AS point
    CROSS JOIN LATERAL truthline_internal.threshold_rates(
        true_positives, false_positives, false_negatives, true_negatives) AS rates
    ORDER BY threshold DESC
"""
_CURVE = text(
    _POINTS.format(function="score_curve", edges=EDGES, how=":points", n_scores="n_scores")
)
_AT_THRESHOLDS = text(
    _POINTS.format(
        function="at_thresholds",
        edges=EDGES,
        how="CAST(:thresholds AS double precision[])",
        n_scores="NULL",
    )
)
_CALIBRATION = text(f"""
    SELECT (part - 1) / CAST(:parts AS float8), part / CAST(:parts AS float8), n, mean_score, share
    FROM truthline_internal.calibration(
        CAST(:series AS integer[]), {EDGES}, CAST(:class AS integer), :parts, :one_vs_rest)
    ORDER BY part
""")
