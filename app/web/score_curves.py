"""The curves behind the metrics of scores: ROC, precision-recall and reliability."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields

from dash import html as dash_html
from dash.development.base_component import Component

from app.query.measure import Unit
from app.query.measures import CLASS
from app.query.scores import (
    OF_SCORES,
    CalibrationPoint,
    ScoreCurves,
    ThresholdPoint,
    score_buckets,
    score_curves,
)
from app.query.window import Window
from app.store.registry import Kind
from app.web import markup as html
from app.web.basis import of_model
from app.web.comparison import Pair, ask, names_of_sides, sides, sides_basis, spans
from app.web.markup import to_component
from app.web.panels import Node, Panel, PanelContext, Rows
from app.web.question import Question
from app.web.scores import MANY, positive_of, unranked
from app.web.squares import DIAGONAL, Axes, Curve, level, square
from app.web.tables import note
from app.web.units import count, format_number

# As many points per curve as a chart has room for.
POINTS = 200
# Closer to each other near 0 and 1, where most scores of a good classifier are.
THRESHOLDS = [1 / (1 + math.exp(-(place - POINTS / 2) / 11)) for place in range(POINTS)]
PRECISION, RECALL = CLASS["precision"].title, CLASS["recall"].title
ABSENT = (
    "The model has not two classes, and declares none, so it has no ROC curve and no"
    " precision–recall curve. Its reliability is that of the predicted class: how often predictions"
    " are right, by their score."
)
LARGE = (
    f"There are more than {MANY:,} truths: points are drawn at {POINTS} fixed thresholds, each of"
    " them exact."
)
Lines = Mapping[str, ScoreCurves]


@dataclass(frozen=True, slots=True)
class Curves:
    """The curves of both windows.

    With `is_large`, there are more than MANY truths, and points are at fixed thresholds.
    """

    curves: Pair[ScoreCurves]
    spans: Pair[Window]
    is_large: bool


def find(context: PanelContext) -> Curves | None:
    """The curves of both windows; None for a model without scores.

    Cost: four statements for each window, of which one reads every score of up to MANY truths.

    Raises:
        InvalidInput: the URL names a class that scores can't be about.
    """
    most = _most_truths(context)
    if not most:
        return None
    is_large = most > MANY
    found = ask(
        sides(context),
        lambda query: score_curves(
            context.conn,
            context.registry,
            query,
            positive=positive_of(context.question),
            thresholds=THRESHOLDS if is_large else None,
            n_points=POINTS,
        ),
    )
    return Curves(found, spans(context), is_large)


def _most_truths(context: PanelContext) -> int:
    """How many truths with scores the larger window has; 0 if the model is no classifier."""
    if of_model(context).subject.kind is not Kind.CLASSIFICATION:
        return 0
    found = ask(
        sides(context),
        lambda query: score_buckets(context.conn, context.registry, query, metrics=()),
    )
    return max(answer.buckets[0].n for answer in (found.after, found.before) if answer)


# --- what is drawn ------------------------------------------------------------------------


def show(question: Question, found: Curves | None) -> list[Node] | None:
    """The charts beside each other, after and before in each."""
    if found is None:
        return None
    lines = _lines(question, found)
    positive = found.curves.after.positive
    drawn = [_roc(lines), _precision_recall(lines)] if positive else []
    about = f"Of scores for class {positive}." if positive else ABSENT
    return [
        note(about),
        *unranked(found.curves.after.n_unranked, positive),
        dash_html.Div([*drawn, _reliability(lines, positive)], className="squares"),
        *([note(LARGE)] if found.is_large and positive else []),
        *_thinned(lines),
    ]


def _lines(question: Question, found: Curves) -> Lines:
    """The curves by what they are called in a legend."""
    pair = found.curves
    named = zip(names_of_sides(question, found.spans), (pair.after, pair.before), strict=True)
    return {name: curves for name, curves in named if curves is not None}


def _framed(title: str, chart: Component) -> Component:
    return dash_html.Div([to_component(html.H3(title)), chart], className="square-chart")


def _roc(lines: Lines) -> Component:
    """Recall over the false positive rate; the diagonal is that of scores without meaning."""
    title = "ROC curve"
    curves = {
        name: _curve([(0.0, 0.0, NOTHING), *_rates(one.points, "false_positive_rate", "recall")])
        for name, one in lines.items()
    }
    axes = Axes("False positive rate", RECALL)
    return _framed(title, square(title, axes, curves, guide=DIAGONAL))


def _precision_recall(lines: Lines) -> Component:
    """Precision over recall, as steps; the guide is the precision of predicting all positive."""
    title = "Precision–recall curve"
    found = {name: _rates(one.points, "recall", "precision") for name, one in lines.items()}
    curves = {name: _curve(_from_zero(points)) for name, points in found.items()}
    all_positive = next((points[-1][1] for points in found.values() if points), None)
    guide = None if all_positive is None else level(all_positive)
    chart = square(title, Axes(RECALL, PRECISION), curves, guide=guide, shape="vh")
    return _framed(title, chart)


Point = tuple[float, float, str]
NOTHING = "above every score"


def _rates(points: Sequence[ThresholdPoint], across: str, up: str) -> list[Point]:
    """Points by two of their rates: none without truths of the class, or of the other."""
    pairs = [(getattr(point, across), getattr(point, up), _at(point)) for point in points]
    return [pair for pair in pairs if pair[0] is not None and pair[1] is not None]


def _from_zero(points: Sequence[Point]) -> Sequence[Point]:
    """With a start at recall 0, as precise as the first threshold."""
    return [(0.0, points[0][1], points[0][2]), *points] if points else points


def _curve(points: Sequence[Point]) -> Curve:
    return Curve(*zip(*points, strict=True)) if points else Curve((), (), ())


def _at(point: ThresholdPoint) -> str:
    """What happens at a threshold."""
    rates = {
        PRECISION: point.precision,
        RECALL: point.recall,
        "False positive rate": point.false_positive_rate,
    }
    words = [f"{name} {format_number(rate, Unit.SHARE)}" for name, rate in rates.items()]
    return "\n".join([f"score at least {point.threshold:.4g}", *words])


def _reliability(lines: Lines, positive: str | None) -> Component:
    """How often scores come true; on the diagonal they do as often as they say."""
    title = "Reliability curve"
    curves = {
        name: _curve([(part.mean_score, part.share, _part(part)) for part in one.calibration])
        for name, one in lines.items()
    }
    axes = Axes("Mean score", f"Truths that are {positive}" if positive else "Predictions right")
    return _framed(title, square(title, axes, curves, guide=DIAGONAL, markers=True))


def _part(part: CalibrationPoint) -> str:
    score, share = (format_number(number, Unit.SHARE) for number in (part.mean_score, part.share))
    span = f"scores from {part.start:g} to {part.end:g}: {count(part.n)}"
    return f"{span}\nmean score {score}\ncame true {share}"


def _thinned(lines: Lines) -> Iterator[Node]:
    """Of which curves not every point is drawn."""
    for name, one in lines.items():
        if one.n_scores is not None and len(one.points) < one.n_scores:
            drawn, known = len(one.points), one.n_scores
            yield note(
                f"Thinned ({name}): {drawn} of {known:,} distinct scores are drawn, evenly by rank;"
                " each point is exact."
            )


# --- CSV ----------------------------------------------------------------------------------

OF_THRESHOLD = [field.name for field in fields(ThresholdPoint)]
OF_PART = [field.name for field in fields(CalibrationPoint)]


def rows(_: Question, found: Curves | None) -> Rows:
    """A line per point, of a threshold or of a part of the range of scores."""
    yield ["part", "curve", "positive_class", *OF_THRESHOLD, *OF_PART]
    pairs = (
        () if found is None else (("after", found.curves.after), ("before", found.curves.before))
    )
    for part, curves in pairs:
        if curves is None:
            continue
        for point in curves.points:
            yield [part, "threshold", curves.positive, *astuple(point), *[None] * len(OF_PART)]
        for share in curves.calibration:
            blank = [None] * len(OF_THRESHOLD)
            yield [part, "reliability", curves.positive, *blank, *astuple(share)]


PANEL = Panel("score-curves", "Curves of scores", find, show, rows, sides_basis(*OF_SCORES))
