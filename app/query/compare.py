"""Two sides compared: whether each metric differs by more than chance explains.

`sql/views/77_compare.sql` defines the tests; this module queries and names them. A side is any
window, part and moment of a model.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import Connection, Row, text

from app.errors import WrongKind
from app.query.basis import OF_TRUTHS, basis_of
from app.query.classification import Average
from app.query.intervals import Interval, interval
from app.query.measure import Better, Measure, Measures, Surface, shown_in
from app.query.measures import OF_KIND, SCORES
from app.query.question import Basis, Question, parameters
from app.query.scores import OF_SCORES, only_of_classes
from app.query.settle import settle
from app.query.subjects import Scope, Subject
from app.store.registry import Kind

A_IS_HIGHER, B_IS_HIGHER = "A is higher", "B is higher"


@dataclass(frozen=True, slots=True)
class SideMetric:
    """A metric of one side: `n` counts what it was computed from. None without truths."""

    value: float | None
    n: int
    interval: Interval | None


@dataclass(frozen=True, slots=True)
class MetricComparison:
    """A metric of both sides; `difference` is A minus B.

    `interval` and `p_value` are None if there are too few truths, if nothing varies, and if both
    sides count the same predictions. `better` is "a" or "b" if one is distinguishably better.
    """

    measure: Measure
    a: SideMetric
    b: SideMetric
    difference: float | None
    interval: Interval | None
    p_value: float | None
    verdict: str

    @property
    def distinguishable(self) -> bool:
        """Whether one of both is higher by more than chance explains."""
        return self.verdict in (A_IS_HIGHER, B_IS_HIGHER)

    @property
    def better(self) -> str | None:
        """The better side; None if they are not distinguishable, or no direction is better."""
        if not self.distinguishable or self.measure.better is Better.NEITHER:
            return None
        a_is_better = (self.verdict == A_IS_HIGHER) is (self.measure.better is Better.UP)
        return "a" if a_is_better else "b"


@dataclass(frozen=True, slots=True)
class Comparison:
    """The metrics of two sides of a kind, each with its basis."""

    kind: Kind | None
    a: Basis
    b: Basis
    metrics: Sequence[MetricComparison]


def compare(
    conn: Connection,
    a: Question[Scope],
    b: Question[Scope],
    *,
    average: Average = Average.MACRO,
    confidence: float = 0.95,
    scores: bool = False,
    positive: str | None = None,
) -> Comparison:
    """The metrics of two sides, their differences, and what these say.

    With `scores`, those of classifiers include what `compared_scores` compares.

    Shape: one per metric of the kind; none for a model without predictions.
    Cost:  five statements, one of them over the cells of both windows; with `scores` a sixth, over
           all scores of both windows.

    Raises:
        InvalidWindow, UnknownModel: as in `settle`.
        WrongKind: the models are of different kinds, or of one that has no metrics with truths.
        InvalidInput: `positive` is not one of two classes, nor one that was declared.
    """
    counted = (*OF_TRUTHS, *OF_SCORES) if scores else OF_TRUTHS
    settled_a = settle(conn, a, *counted)
    settled_b = in_snapshot_of(settled_a, settle(conn, b, *counted))
    kind = _common_kind(settled_a.subject, settled_b.subject)
    metrics = compared(conn, settled_a, settled_b, average=average, confidence=confidence)
    if scores and kind is Kind.CLASSIFICATION:
        metrics += compared_scores(
            conn, settled_a, settled_b, positive=positive, confidence=confidence
        )
    return Comparison(
        kind,
        basis_of(conn, settled_a, *counted),
        basis_of(conn, settled_b, *counted),
        metrics,
    )


def compared(
    conn: Connection,
    a: Question[Subject],
    b: Question[Subject],
    *,
    average: Average = Average.MACRO,
    confidence: float = 0.95,
) -> list[MetricComparison]:
    """The same for settled questions, whose subjects are of one kind.

    Cost: one statement over the cells of both windows.
    """
    kind = _common_kind(a.subject, b.subject)
    asked = {"kind": kind, "average": average, "confidence": confidence}
    rows = conn.execute(_COMPARE, asked | side_parameters("a", a) | side_parameters("b", b)).all()
    return _named(rows, OF_KIND.get(kind, {}))


def compared_scores(
    conn: Connection,
    a: Question[Subject],
    b: Question[Subject],
    *,
    positive: str | None = None,
    confidence: float = 0.95,
) -> list[MetricComparison]:
    """ROC AUC of a class of settled questions; of two classes, Brier score and log loss too.

    `positive` is the class that scores are about, as in `app/query/scores.py`. By default it is the
    positive one of the models; none are compared if these differ in it, or have none.

    Cost: one statement over all scores of both windows.

    Raises:
        InvalidInput: `positive` is not one of two classes, nor one that was declared.
    """
    about = {"a_model": a.subject.id, "b_model": b.subject.id, "positive": positive}
    about |= {"confidence": confidence} | side_parameters("a", a) | side_parameters("b", b)
    with only_of_classes():
        rows = conn.execute(_COMPARE_SCORES, about).all()
    return _named(rows, SCORES)


def _named(rows: Sequence[Row[Any]], measures: Measures) -> list[MetricComparison]:
    by_name = {row.metric: row for row in rows}
    return [
        _metric(measure, by_name[measure.name])
        for measure in shown_in(Surface.REST, measures)
        if measure.name in by_name
    ]


def _metric(measure: Measure, row: Row[Any]) -> MetricComparison:
    return MetricComparison(
        measure,
        SideMetric(row.a, row.a_n, interval(row.a_low, row.a_high)),
        SideMetric(row.b, row.b_n, interval(row.b_low, row.b_high)),
        row.difference,
        interval(row.difference_low, row.difference_high),
        row.p_value,
        row.verdict,
    )


def in_snapshot_of(first: Question[Subject], second: Question[Subject]) -> Question[Subject]:
    """The second question, whose moment is that of the one snapshot that both are answered from."""
    taken = first.settled_moment.snapshot_at
    return replace(second, moment=replace(second.settled_moment, snapshot_at=taken))


def _common_kind(a: Subject, b: Subject) -> Kind | None:
    kinds = {subject.kind for subject in (a, b)} - {None}
    if len(kinds) > 1:
        raise WrongKind(f"model {a.scope.name} does {a.kind}, and model {b.scope.name} {b.kind}")
    kind = next(iter(kinds), None)
    if kind is not None and kind not in OF_KIND:
        raise WrongKind(f"model {a.scope.name} does {kind}, which has no metrics with truths")
    return kind


def side_parameters(name: str, question: Question[Subject]) -> dict[str, Any]:
    """Parameters of a side, each with its name in front."""
    asked = parameters(question) | {"declared": list(question.subject.declared)}
    return {f"{name}_{key}": value for key, value in asked.items()}


def side_arguments(side: str) -> str:
    """SQL arguments for them: series, edges of one bucket, moment."""
    return f"""
        CAST(:{side}_series AS integer[]),
        ARRAY[CAST(:{side}_start AS timestamptz), CAST(:{side}_end AS timestamptz)],
        CAST(:{side}_as_of AS timestamptz)"""


_COMPARE = text(f"""
    SELECT * FROM truthline_internal.compare(
        CAST(:kind AS text),
        {side_arguments("a")}, CAST(:a_declared AS integer[]),
        {side_arguments("b")}, CAST(:b_declared AS integer[]), :average, :confidence)
""")
_COMPARE_SCORES = text(f"""
    SELECT compared.*
    FROM truthline_internal.class_of_scores(
        :a_model, CAST(:a_as_of AS timestamptz), CAST(:positive AS text)) AS a
    JOIN truthline_internal.class_of_scores(
        :b_model, CAST(:b_as_of AS timestamptz), CAST(:positive AS text)) AS b USING (positive)
    CROSS JOIN LATERAL truthline_internal.compare_scores(
        {side_arguments("a")}, {side_arguments("b")}, positive, :confidence,
        a.one_vs_rest, b.one_vs_rest) AS compared
""")
