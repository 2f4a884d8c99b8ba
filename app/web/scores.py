"""The scores of a classifier: how good they are as probabilities, and how well they rank."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from dash import html as dash_html
from dash.development.base_component import Component
from markupsafe import Markup

from app.errors import InvalidInput
from app.query.compare import compared_scores
from app.query.intervals import Interval
from app.query.measure import Measure
from app.query.measures import SCORES
from app.query.noise import FEW, LEVEL
from app.query.question import Question as Query
from app.query.scores import (
    METRICS,
    OF_EACH_SCORE,
    OF_SCORES,
    ScoreBucket,
    ScoreBuckets,
    classes_of_scores,
    metrics_of,
    score_buckets,
)
from app.query.subjects import Subject
from app.query.window import Grid, Window
from app.store.registry import Kind
from app.web import charts
from app.web import markup as html
from app.web.basis import of_model
from app.web.comparison import Pair, ask, sides, sides_basis, spans, truths_grid
from app.web.new_monitor import link_to_new
from app.web.panels import Node, Panel, PanelContext, Rows
from app.web.quality import FORM, FORMS, Differences, marks
from app.web.question import Question, iso_utc
from app.web.selects import select
from app.web.tables import CONFIDENCE, both, note, tile
from app.web.thresholds import Threshold, thresholds
from app.web.units import length

COUNTS = ("n", "n_positive", "n_unranked")
ON_WIRE = {SCORES[name].wire_name: SCORES[name] for name in METRICS}
# With more truths than this in a window, reading every score would take seconds.
MANY = 250_000
LARGE = (
    f"There are more than {MANY:,} truths. Intervals, average precision and comparisons read every"
    " score, and are omitted here: the API has them. Average precision can still be drawn."
)
UNTESTED = "whether it is more than noise is not tested"
UNDECLARED = (
    "The model has not two classes, and declares none, so it has no ROC AUC and no average"
    " precision. Its calibration error is that of the predicted class. Once a class is declared"
    " (PUT /api/v1/models/positive-class), its score is kept with each truth."
)
UNRANKED = (
    "{n:,} truths were stored while class {positive} was not declared: without its score, they are"
    " not part of its ROC AUC, average precision, calibration error and curves."
)


@dataclass(frozen=True, slots=True)
class Scores:
    """Metrics of scores in both windows, and one of them in the buckets of the page.

    `classes` are those that scores may be about; `positive` is the one they are
    about. With `is_large` there are more than MANY truths, and what reads every score is omitted.
    """

    positive: str | None
    classes: Sequence[str]
    qualities: Pair[ScoreBucket]
    differences: Differences
    drawn: Measure
    over_time: Sequence[ScoreBucket]
    grid: Grid
    spans: Pair[Window]
    is_large: bool
    thresholds: Sequence[Threshold] = ()

    @property
    def measures(self) -> list[Measure]:
        """The metrics that there are for this model."""
        return [SCORES[name] for name in metrics_of(self.positive)]


def positive_of(question: Question) -> str | None:
    """The class that scores shall be about; None leaves it to the model."""
    return question.members.get("positiveClass") or None


def find(context: PanelContext) -> Scores | None:
    """Metrics of scores; None for a model without scores.

    Cost: two statements for each window and for the buckets. Those of up to MANY truths read every
    score.

    Raises:
        InvalidInput: the URL names an unknown metric, or a class that scores can't be about.
    """
    if of_model(context).subject.kind is not Kind.CLASSIFICATION:
        return None
    both_sides = sides(context)
    counts = ask(both_sides, lambda side: _buckets(context, side, ()))
    after = counts.after
    drawn = _drawn(context.question, after.positive)
    is_large = any(one.buckets[0].n > MANY for one in (after, counts.before) if one)
    qualities = ask(both_sides, lambda side: _whole(context, side, drawn, is_large=is_large))
    query = of_model(context).over(context.question.window, truths_grid(context))
    over_time = _over_time(context, query, drawn)
    if not any(one.n for one in (qualities.after, qualities.before, *over_time) if one):
        return None
    return Scores(
        after.positive,
        classes_of_scores(context.conn, both_sides.after),
        qualities,
        {} if is_large else _differences(context, after.positive),
        drawn,
        over_time,
        query.grid,
        spans(context),
        is_large,
        [] if positive_of(context.question) else thresholds(context, [drawn.wire_name]),
    )


def _buckets(
    context: PanelContext,
    query: Query[Subject],
    metrics: Sequence[str],
    confidence: float | None = None,
) -> ScoreBuckets:
    return score_buckets(
        context.conn,
        context.registry,
        query,
        positive=positive_of(context.question),
        metrics=metrics,
        confidence=confidence,
    )


def _whole(
    context: PanelContext, side: Query[Subject], drawn: Measure, *, is_large: bool
) -> ScoreBucket:
    """The metrics of a window: of a large one only those that need not read each score."""
    slow = () if not is_large else set(OF_EACH_SCORE) - {drawn.name}
    metrics = [name for name in METRICS if name not in slow]
    return _buckets(context, side, metrics, None if is_large else CONFIDENCE).buckets[0]


def _over_time(
    context: PanelContext, query: Query[Subject], drawn: Measure
) -> Sequence[ScoreBucket]:
    """The metric that is drawn, with intervals unless there are too many scores to read each."""
    buckets = _buckets(context, query, [drawn.name]).buckets
    if drawn.interval is None or sum(bucket.n for bucket in buckets) > MANY:
        return buckets
    bounds = _buckets(context, query, (), CONFIDENCE).buckets
    pairs = zip(buckets, bounds, strict=True)
    return [replace(bucket, intervals=bound.intervals) for bucket, bound in pairs]


def _drawn(question: Question, positive: str | None) -> Measure:
    """The metric of the chart; one that the model hasn't is replaced by the first that it has."""
    name = question.members.get("metric")
    if name and name not in ON_WIRE:
        raise InvalidInput(f"metric must be one of {', '.join(ON_WIRE)}")
    measures = [SCORES[one] for one in metrics_of(positive)]
    return next((one for one in measures if one.wire_name == name), measures[0])


def _differences(context: PanelContext, positive: str | None) -> Differences:
    """Whether the metrics of both windows differ by more than noise, where a test knows."""
    both_sides = sides(context)
    if both_sides.before is None or positive is None:
        return {}
    found = compared_scores(
        context.conn,
        both_sides.after,
        both_sides.before,
        positive=positive,
        confidence=1 - LEVEL,
    )
    return {one.measure.name: one for one in found}


# --- what is shown ------------------------------------------------------------------------


def show(question: Question, scores: Scores | None) -> list[Node] | None:
    """The choices, a tile per metric, and one metric over time."""
    if scores is None:
        return None
    label = scores.drawn.title
    interval = any(_interval(bucket, scores.drawn) for bucket in scores.over_time)
    chart = charts.lines(
        f"{label} over time",
        question,
        [bucket.start for bucket in scores.over_time],
        {label: [getattr(bucket, scores.drawn.name) for bucket in scores.over_time]},
        form=FORMS.get(scores.drawn.unit, FORM),
        counts=[bucket.n for bucket in scores.over_time],
        bands={label: [_interval(b, scores.drawn) for b in scores.over_time]} if interval else None,
        marked=marks(question, scores.spans),
        limits=[charts.Limit(limit.monitor, limit.value) for limit in scores.thresholds],
        watch="" if positive_of(question) else link_to_new(question, scores.drawn.wire_name),
    )
    return [
        dash_html.Div(list(_choices(scores)), className="choices score-choices"),
        html.Dl(list(_tiles(scores)), className="tiles small"),
        *([] if scores.positive else [note(UNDECLARED)]),
        *unranked(scores.qualities.after.n_unranked, scores.positive),
        *([note(LARGE)] if scores.is_large else []),
        html.H3(f"{label} over time"),
        chart,
        note(_how_drawn(scores, interval=interval)),
    ]


def _choices(scores: Scores) -> Iterator[Component]:
    """Which class is the positive one, and which metric is drawn."""
    if scores.positive:
        classes = [{"value": name, "label": name} for name in scores.classes]
        yield select(
            {"choice": "positiveClass"},
            classes,
            label="Positive class",
            value=scores.positive,
            w=WIDTH,
        )
    metrics = [{"value": one.wire_name, "label": one.title} for one in scores.measures]
    drawn = scores.drawn.wire_name
    yield select({"choice": "metric"}, metrics, label="Drawn over time", value=drawn, w=WIDTH)


# Of a list to choose from, in pixels.
WIDTH = 210


def _tiles(scores: Scores) -> Iterator[Markup]:
    counts = [SCORES[name] for name in COUNTS if _is_counted(scores, name)]
    for measure in (*scores.measures, *counts):
        yield tile(measure.label, _both(scores, measure))


def _is_counted(scores: Scores, name: str) -> bool:
    """Whether there is a tile for a count: of positive truths only with a positive class."""
    if name == "n_unranked":
        return bool(scores.qualities.after.n_unranked)
    return scores.positive is not None or name == "n"


def unranked(n: int | None, positive: str | None) -> list[Node]:
    """Which truths are not ranked, and why; nothing if all are."""
    return [note(UNRANKED.format(n=n, positive=positive))] if n else []


def _both(scores: Scores, measure: Measure) -> Markup:
    """A metric of both windows. A difference that no test judges is not coloured."""
    difference = scores.differences.get(measure.name)
    return both(
        scores.qualities.of(lambda bucket: getattr(bucket, measure.name)),
        measure,
        certain=difference is not None and difference.distinguishable,
        said=difference.verdict if difference else UNTESTED,
        interval=_interval(scores.qualities.after, measure),
    )


def _interval(bucket: ScoreBucket, measure: Measure) -> Interval | None:
    return bucket.intervals.get(measure.name) if bucket.intervals else None


def _how_drawn(scores: Scores, *, interval: bool) -> str:
    text = f"A point is {length(scores.grid.width)}"
    if interval:
        text += f"; the band is its {CONFIDENCE:.0%} confidence interval"
    few = any(0 < bucket.n < FEW for bucket in scores.over_time)
    return f"{text}. Points with fewer than {FEW} truths are faded." if few else f"{text}."


def rows(_: Question, scores: Scores | None) -> Rows:
    """A line for after, for before, and per bucket, which has only the metric that is drawn."""
    names = [*COUNTS, *METRICS]
    bounds = [f"{m.name}_{end}" for m in ON_WIRE.values() if m.interval for end in ("low", "high")]
    yield ["part", "startTime", "endTime", "positive_class", *names, *bounds]
    if scores is None:
        return
    parts = [("after", scores.qualities.after), ("before", scores.qualities.before)]
    for part, bucket in (*parts, *(("bucket", one) for one in scores.over_time)):
        if bucket:
            yield [
                part,
                iso_utc(bucket.start),
                iso_utc(bucket.end),
                scores.positive,
                *(getattr(bucket, name) for name in names),
                *_bounds(bucket),
            ]


def _bounds(bucket: ScoreBucket) -> Iterator[Any]:
    for measure in ON_WIRE.values():
        if measure.interval:
            interval = _interval(bucket, measure)
            yield from (interval.low, interval.high) if interval else (None, None)


PANEL = Panel("scores", "Scores", find, show, rows, sides_basis(*OF_SCORES, over_time=truths_grid))
