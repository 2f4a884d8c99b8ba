"""The quality of a model: metrics over time, and before and after in detail."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from app.errors import InvalidInput
from app.query.basis import basis_of
from app.query.classification import Average, ClassificationBucket, classification_buckets
from app.query.compare import MetricComparison, compared
from app.query.intervals import Interval
from app.query.measure import Measure, Unit
from app.query.measures import OF_KIND, TRUTHS, leading, on_pages
from app.query.noise import FEW, LEVEL
from app.query.question import Basis, Counted
from app.query.question import Question as Query
from app.query.regression import RegressionBucket, regression_buckets
from app.query.subjects import Subject
from app.query.window import Grid, Window
from app.store.registry import Kind
from app.web import charts
from app.web import markup as html
from app.web.basis import of_model
from app.web.classes import classes_table
from app.web.comparison import (
    Pair,
    described,
    interval_text,
    neighbours,
    sides,
    sides_basis,
    spans,
    truths_grid,
    words,
)
from app.web.matrix import matrices
from app.web.new_monitor import link_to_new
from app.web.panels import Node, Panel, PanelContext, Rows, once
from app.web.question import Question, iso_utc, query_string
from app.web.request_links import Link, linking, requests_link
from app.web.tables import CONFIDENCE, NOISE, both, note, tile
from app.web.thresholds import AVERAGED, Threshold, thresholds
from app.web.units import length

Bucket = ClassificationBucket | RegressionBucket


# d3 formats of the numbers of a chart; the default is FORM.
FORMS = {Unit.SHARE: ".1%"}
FORM = ".4~g"
NO_TRUTHS = "No truth is known for any prediction in this window."
NO_METRICS = "There are no quality metrics for this kind of model."


@dataclass(frozen=True, slots=True)
class Quality:
    """Buckets of a model, oldest first; none for a kind without metrics."""

    kind: Kind | None
    buckets: Sequence[Bucket]
    grid: Grid
    spans: Pair[Window]
    thresholds: Sequence[Threshold] = ()


def metric_buckets(
    context: PanelContext, query: Query[Subject], confidence: float | None = None
) -> Sequence[Bucket]:
    """The answer to a question; no buckets for a kind without metrics."""
    conn, kind = context.conn, of_model(context).subject.kind
    if kind is Kind.CLASSIFICATION:
        averaged = average(context.question)
        return classification_buckets(conn, context.registry, query, averaged, confidence)
    return regression_buckets(conn, query, confidence) if kind is Kind.REGRESSION else []


def both_qualities(context: PanelContext) -> Pair[Bucket | None]:
    """The metrics of both windows; None for a kind without metrics. Those after have intervals.

    Cost: a statement for each window, and one for the intervals.
    """
    both = sides(context)
    after = metric_buckets(context, both.after, CONFIDENCE)
    before = metric_buckets(context, both.before) if both.before else []
    return Pair(next(iter(after), None), next(iter(before), None))


Differences = Mapping[str, MetricComparison]
"""The metrics of both windows compared, by name; none if nothing is compared."""


@once
def differences(context: PanelContext) -> Differences:
    """Whether the metrics of both windows differ by more than noise.

    Cost: a statement over the cells of both windows.
    """
    both = sides(context)
    if both.before is None or both.after.subject.kind not in OF_KIND:
        return {}
    found = compared(
        context.conn,
        both.after,
        both.before,
        average=average(context.question),
        confidence=1 - LEVEL,
    )
    return {one.measure.name: one for one in found}


def average(question: Question) -> Average:
    """How classes are averaged.

    Raises:
        InvalidInput: the URL names an unknown average.
    """
    try:
        return Average(question.members.get("average", Average.MACRO))
    except ValueError:
        raise InvalidInput(f"the average must be one of {', '.join(Average)}") from None


def label_of(question: Question, measure: Measure) -> str:
    """The name of a metric, with its average if it has one."""
    if measure.name in AVERAGED:
        return f"{measure.label} ({average(question)})"
    return measure.label


# --- over time ----------------------------------------------------------------------------


def find_over_time(context: PanelContext) -> Quality:
    """Metrics in the buckets of the window."""
    query, grid = of_model(context), truths_grid(context)
    buckets = metric_buckets(context, query.over(context.question.window, grid), CONFIDENCE)
    kind = query.subject.kind
    drawn = [measure.wire_name for measure in _drawn(kind)] if kind in OF_KIND else []
    return Quality(kind, buckets, grid, spans(context), thresholds(context, drawn))


def over_time_basis(context: PanelContext) -> Basis:
    """The basis of those buckets."""
    query = of_model(context).over(context.question.window, truths_grid(context))
    return basis_of(context.conn, query, Counted.OUTCOME)


def show_over_time(question: Question, quality: Quality) -> Node | list[Node]:
    """Lines, one per metric, and bars of truths; a click or a drag selects."""
    if quality.kind not in OF_KIND:
        return note(NO_METRICS)
    if not any(bucket.n for bucket in quality.buckets):
        return note(NO_TRUTHS)
    measures = _drawn(quality.kind)
    labels = [label_of(question, measure) for measure in measures]
    chart = charts.lines(
        f"{', '.join(labels)} over time",
        question,
        [bucket.start for bucket in quality.buckets],
        {
            label: [getattr(bucket, measure.name) for bucket in quality.buckets]
            for label, measure in zip(labels, measures, strict=True)
        },
        form=form_of(quality.kind),
        counts=[bucket.n for bucket in quality.buckets],
        styles=[charts.STYLES.get(measure.name, 0) for measure in measures],
        bands={labels[0]: [_interval(bucket, measures[0]) for bucket in quality.buckets]},
        marked=marks(question, quality.spans),
        limits=[charts.Limit(limit.monitor, limit.value) for limit in quality.thresholds],
        watch=link_to_new(question, measures[0].wire_name),
    )
    return [chart, note(_how_drawn(quality, labels[0]))]


def _interval(bucket: Bucket | None, measure: Measure) -> Interval | None:
    """The confidence interval of a metric, if it has one."""
    intervals = bucket.intervals if bucket else None
    return intervals.get(measure.name) if intervals else None


def _how_drawn(quality: Quality, headline: str) -> str:
    text = (
        f"A point is {length(quality.grid.width)}; the band is the {CONFIDENCE:.0%} confidence"
        f" interval of {headline}."
    )
    few = any(0 < bucket.n < FEW for bucket in quality.buckets)
    return f"{text} Points with fewer than {FEW} truths are faded." if few else text


def marks(question: Question, windows: Pair[Window]) -> list[charts.Marked]:
    """The spans to mark in charts: those that were selected."""
    marked = []
    if windows.before and (question.before or windows.after != question.window):
        marked.append(charts.Marked(windows.before, "before"))
    if windows.after != question.window:
        marked.append(charts.Marked(windows.after, "after"))
    return marked


def form_of(kind: Kind | None) -> str:
    """The d3 format of the headline metric of a kind."""
    return FORMS.get(leading(kind)[0].unit, FORM)


def _drawn(kind: Kind | None) -> list[Measure]:
    """The leading metrics with the same unit as the headline."""
    headline, *others = leading(kind)
    return [headline, *(measure for measure in others if measure.unit is headline.unit)]


def over_time_rows(_: Question, quality: Quality) -> Rows:
    """A line per bucket."""
    return _rows(quality.kind, quality.buckets)


def _rows(kind: Kind | None, buckets: Sequence[Bucket]) -> Rows:
    names = [measure.name for measure in on_pages(kind)]
    yield ["startTime", "endTime", "n", *names]
    for bucket in buckets:
        numbers = [getattr(bucket, name) for name in names]
        yield [iso_utc(bucket.start), iso_utc(bucket.end), bucket.n, *numbers]


# --- before and after ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Detail:
    """Both windows, their metrics, and the buckets on either side of a selected one."""

    kind: Kind | None
    spans: Pair[Window]
    qualities: Pair[Bucket | None]
    differences: Differences
    previous: Window | None = None
    next: Window | None = None


def find_detail(context: PanelContext) -> Detail:
    """The selected window, or that of the page, and the one it is compared with."""
    windows, qualities = spans(context), both_qualities(context)
    kind = of_model(context).subject.kind
    if windows.after == context.question.window:
        return Detail(kind, windows, qualities, differences(context))
    return Detail(
        kind, windows, qualities, differences(context), *neighbours(context, windows.after)
    )


def show_detail(question: Question, detail: Detail) -> list[Markup]:
    """The metrics, the classes and the confusion matrices, or the errors."""
    return [
        _navigation(question, detail),
        _requests(question, detail),
        *_contents(question, detail),
    ]


def _requests(question: Question, detail: Detail) -> Markup:
    """Links to the requests of the window that is shown."""
    asked: list[tuple[str, dict[str, str]]] = [
        ("all", {}),
        ("without a truth", {"unlabelled": "true"}),
    ]
    if detail.kind is Kind.CLASSIFICATION:
        asked.insert(1, ("wrong", {"wrong": "true"}))
    window = detail.spans.after
    links = [html.A(words, href=requests_link(question, window, of)) for words, of in asked]
    return html.P([html.Span("Requests:", className="quiet"), *links], className="walk to-requests")


def _navigation(question: Question, detail: Detail) -> Markup:
    after = detail.spans.after
    if after == question.window:
        words_ = "The whole window. Click a point in the chart above, select a time, or"
        first = {**question.members, "after": None, "bucket": iso_utc(question.window.start)}
        link = html.A("step through its buckets", href="/model" + query_string(first))
        return html.P([f"{words_} ", link, "."], className="walk quiet")
    return html.P(
        [
            html.Strong(words(question, after)),
            html.A("← previous", href=_at(question, detail.previous)) if detail.previous else None,
            html.A("next →", href=_at(question, detail.next)) if detail.next else None,
            html.A("whole window", href=_at(question, None)),
        ],
        className="walk",
    )


def _at(question: Question, window: Window | None) -> str:
    chosen = {"bucket": None, "after": interval_text(window) if window else None}
    return "/model" + query_string({**question.members, **chosen})


def _contents(question: Question, detail: Detail) -> Iterator[Markup]:
    after, before = detail.qualities.after, detail.qualities.before
    if detail.kind not in OF_KIND:
        yield note(NO_METRICS)
    elif after is None or not after.n:
        yield note("No truth is known for any of its predictions.")
    else:
        yield html.Dl(_tiles(question, detail), className="tiles small")
        if isinstance(after, ClassificationBucket):
            earlier = before if isinstance(before, ClassificationBucket) else None
            links = _links(question, detail.spans)
            classes = classes_table(question, Pair(after, earlier), links[0])
            drawn = matrices(after, earlier, titles_of(question, detail.spans), links)
            if len(drawn) > 1:
                yield classes
                yield html.Div(drawn, className="matrices")
            else:
                yield html.Div([*drawn, classes], className="side-by-side")


def _links(question: Question, windows: Pair[Window]) -> tuple[Link, Link | None]:
    """Links to the requests after and before."""
    after = linking(question, windows.after)
    if windows.before is None:
        return after, None
    return after, linking(question, windows.before, question.before_version)


def titles_of(question: Question, windows: Pair[Window]) -> tuple[str, str]:
    """What after and before are, as titles: versions, or windows."""
    after = words(question, windows.after)
    if question.before_version and windows.before == windows.after:
        version = question.scope.version or "all versions"
        return version, question.before_version
    before = words(question, windows.before) if windows.before else ""
    return f"After: {after}", f"{described(question).capitalize()}: {before}"


def _tiles(question: Question, detail: Detail) -> Iterator[Markup]:
    pair = detail.qualities
    for measure in [TRUTHS["n"], *on_pages(detail.kind)]:
        yield tile(label_of(question, measure), both_of(pair, measure, detail.differences))


def both_of(pair: Pair[Bucket | None], measure: Measure, differences: Differences) -> Markup:
    """A metric of both windows, and whether they differ by more than noise."""
    numbers = pair.of(lambda bucket: getattr(bucket, measure.name, None))
    difference = differences.get(measure.name)
    return both(
        numbers,
        measure,
        certain=difference is None or difference.distinguishable,
        said=difference.verdict if difference else NOISE,
        interval=_interval(pair.after, measure),
    )


def detail_rows(_: Question, detail: Detail) -> Rows:
    """The confusion matrices, a line per pair of classes; for a regressor its errors."""
    after, before = detail.qualities.after, detail.qualities.before
    if isinstance(after, ClassificationBucket):
        earlier = before.matrix.cells() if isinstance(before, ClassificationBucket) else {}
        now = after.matrix.cells()
        yield ["actual", "predicted", "count", "before_count"]
        for pair in {**now, **earlier}:
            yield [*pair, now.get(pair, 0), earlier.get(pair, 0)]
    elif after is not None:
        yield from _rows(detail.kind, [bucket for bucket in (after, before) if bucket])


OVER_TIME = Panel(
    "quality",
    "Quality over time",
    find_over_time,
    show_over_time,
    over_time_rows,
    over_time_basis,
)
BUCKET = Panel(
    "bucket", "In detail", find_detail, show_detail, detail_rows, sides_basis(Counted.OUTCOME)
)
