"""The quality of a model: metrics over time, and one bucket in detail."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from markupsafe import Markup

from app.errors import InvalidInput
from app.query.classification import Average, ClassificationBucket, classification_buckets
from app.query.measure import Measure, Unit
from app.query.measures import CLASS, OF_KIND, TRUTHS, leading, on_pages
from app.query.question import Basis, Counted
from app.query.regression import RegressionBucket, regression_buckets
from app.query.window import Grid, Window, average_length
from app.store.registry import Kind
from app.web import charts
from app.web import markup as html
from app.web.basis import basis_within, of_model, of_window
from app.web.panels import Node, Panel, PanelContext, Rows
from app.web.question import INTERVALS, Question, iso_utc, query_string
from app.web.tables import note, table, tile
from app.web.units import count, format_number, moment

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


def metric_buckets(context: PanelContext, window: Window, grid: Grid) -> Sequence[Bucket]:
    """Buckets of a window; none for a kind without metrics."""
    query = context.query.over(window, grid)
    if query.subject.kind is Kind.CLASSIFICATION:
        averaged = average(context.question)
        return classification_buckets(context.conn, context.registry, query, averaged)
    return regression_buckets(context.conn, query) if query.subject.kind is Kind.REGRESSION else []


def average(question: Question) -> Average:
    """How classes are averaged.

    Raises:
        InvalidInput: the URL names an unknown average.
    """
    try:
        return Average(question.members.get("average", Average.MACRO))
    except ValueError:
        raise InvalidInput(f"the average must be one of {', '.join(Average)}") from None


def kind_of(context: PanelContext) -> Kind | None:
    """The kind of the model.

    Raises:
        UnknownModel: the workspace has no such model, or no predictions in this scope.
    """
    return of_model(context).subject.kind


# --- over time ----------------------------------------------------------------------------


def find_over_time(context: PanelContext) -> Quality:
    """Metrics in the buckets of the window."""
    kind = kind_of(context)
    return Quality(kind, metric_buckets(context, context.question.window, context.question.grid))


def show_over_time(question: Question, quality: Quality) -> Node:
    """Lines, one per metric; a click selects a bucket."""
    if quality.kind not in OF_KIND:
        return note(NO_METRICS)
    if not any(bucket.n for bucket in quality.buckets):
        return note(NO_TRUTHS)
    measures = _drawn(quality.kind)
    chosen = next((bucket for bucket in quality.buckets if _holds(bucket, question.bucket)), None)
    return charts.lines(
        f"{', '.join(m.label for m in measures)} over time",
        question,
        [bucket.start for bucket in quality.buckets],
        {m.label: [getattr(bucket, m.name) for bucket in quality.buckets] for m in measures},
        form=form_of(quality.kind),
        clicked="bucket",
        shaded=(chosen.start, chosen.end) if chosen else None,
    )


def form_of(kind: Kind | None) -> str:
    """The d3 format of the headline metric of a kind."""
    return FORMS.get(leading(kind)[0].unit, FORM)


def _drawn(kind: Kind | None) -> list[Measure]:
    """The leading metrics with the same unit as the headline."""
    headline, *others = leading(kind)
    return [headline, *(measure for measure in others if measure.unit is headline.unit)]


def _holds(bucket: Bucket, instant: datetime | None) -> bool:
    return instant is not None and bucket.start <= instant < bucket.end


def over_time_rows(_: Question, quality: Quality) -> Rows:
    """A line per bucket."""
    names = [measure.name for measure in on_pages(quality.kind)]
    yield ["startTime", "endTime", "n", *names]
    for bucket in quality.buckets:
        numbers = [getattr(bucket, name) for name in names]
        yield [iso_utc(bucket.start), iso_utc(bucket.end), bucket.n, *numbers]


# --- one bucket ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SelectedBucket:
    """A bucket, or the whole window, and the buckets on either side."""

    kind: Kind | None
    bucket: Bucket | None
    previous_start: datetime | None = None
    next_start: datetime | None = None


def find_bucket(context: PanelContext) -> SelectedBucket:
    """The clicked bucket, or the whole window."""
    question, kind = context.question, kind_of(context)
    if question.bucket is None:
        return SelectedBucket(
            kind, next(iter(metric_buckets(context, question.window, Grid())), None)
        )
    if not question.window.start <= question.bucket < question.window.end:
        return SelectedBucket(kind, None)
    buckets = metric_buckets(context, *_near(question, question.bucket))
    index = next(
        (i for i, candidate in enumerate(buckets) if _holds(candidate, question.bucket)), None
    )
    if index is None:
        return SelectedBucket(kind, None)
    previous_start = buckets[index - 1].start if index else None
    next_start = buckets[index + 1].start if index + 1 < len(buckets) else None
    return SelectedBucket(kind, buckets[index], previous_start, next_start)


def _near(question: Question, bucket: datetime) -> tuple[Window, Grid]:
    """A window and grid with some buckets on either side of one."""
    margin = 2 * average_length(INTERVALS[question.interval])
    window = question.window
    near = Window(
        bucket - min(margin, bucket - window.start), bucket + min(margin, window.end - bucket)
    )
    return near, question.grid


def bucket_basis(context: PanelContext) -> Basis:
    """The basis of the bucket and its neighbours, or of the whole window."""
    question = context.question
    bucket = question.bucket
    inside = bucket is not None and question.window.start <= bucket < question.window.end
    where = _near(question, bucket) if bucket and inside else (question.window, Grid())
    return basis_within(context, *where, Counted.OUTCOME)


def show_bucket(question: Question, selected: SelectedBucket) -> list[Markup]:
    """The confusion matrix and classes, or the errors; and links to the neighbours."""
    return [_navigation(question, selected), *_contents(selected)]


def _navigation(question: Question, selected: SelectedBucket) -> Markup:
    if question.bucket is None or selected.bucket is None:
        first = question.window.start
        words = "The whole window. Click a point in the chart above, or"
        return html.P(
            [f"{words} ", html.A("step through its buckets", href=_at(question, first)), "."],
            className="walk quiet",
        )
    edges = [moment(question.local(edge)) for edge in (selected.bucket.start, selected.bucket.end)]
    return html.P(
        [
            html.Strong(" to ".join(edges)),
            html.A("← previous", href=_at(question, selected.previous_start))
            if selected.previous_start
            else None,
            html.A("next →", href=_at(question, selected.next_start))
            if selected.next_start
            else None,
            html.A(
                "whole window", href="/model" + query_string({**question.members, "bucket": None})
            ),
        ],
        className="walk",
    )


def _at(question: Question, start: datetime) -> str:
    return "/model" + query_string({**question.members, "bucket": iso_utc(start)})


def _contents(selected: SelectedBucket) -> Iterator[Markup]:
    if selected.kind not in OF_KIND:
        yield note(NO_METRICS)
    elif selected.bucket is None or not selected.bucket.n:
        yield note("No truth is known for any of its predictions.")
    else:
        yield html.Dl(_tiles(selected.kind, selected.bucket), className="tiles small")
        if isinstance(selected.bucket, ClassificationBucket):
            yield html.Div(
                [_matrix(selected.bucket), _classes(selected.bucket)], className="side-by-side"
            )


def _tiles(kind: Kind | None, bucket: Bucket) -> Iterator[Markup]:
    for measure in [TRUTHS["n"], *on_pages(kind)]:
        yield tile(measure.label, format_number(getattr(bucket, measure.name), measure.unit))


def _matrix(bucket: ClassificationBucket) -> Markup:
    """Counts, and the share within each row: how truths of one class were predicted."""
    categories = bucket.matrix.categories
    heads: list[Any] = [("truth ↓ predicted →", "corner"), *categories, ("truths", "number sum")]
    rows = [
        [
            name,
            *(_matrix_cell(n, sum(counts), i == j) for j, n in enumerate(counts)),
            html.Td(count(sum(counts)), className="number sum"),
        ]
        for i, (name, counts) in enumerate(zip(categories, bucket.matrix.values, strict=True))
    ]
    return html.Div(
        [html.H3("Confusion matrix"), table("Confusion matrix", heads, rows, kind="matrix")]
    )


def _matrix_cell(n: int, total: int, hit: bool) -> Markup:
    share = n / total if total else 0.0
    return html.Td(
        [
            html.Span(count(n) if n else "·", className="n"),
            html.Span(_row_share(n, total), className="share"),
        ],
        className="hit" if hit else "miss" if n else "empty",
        style={"--share": f"{share:.3f}"},
    )


def _row_share(n: int, total: int) -> str:
    if not n:
        return ""
    return f"{100 * n / total:.0f} %" if 200 * n >= total else "<1 %"


def _classes(bucket: ClassificationBucket) -> Markup:
    measures = sorted(CLASS.values(), key=lambda measure: measure.unit is not Unit.COUNT)
    heads: list[Any] = [("Class", ""), *(m.label for m in measures)]
    rows = [
        [metrics.label, *(format_number(getattr(metrics, m.name), m.unit) for m in measures)]
        for metrics in bucket.classes
    ]
    return html.Div([html.H3("Classes"), table("Metrics of each class", heads, rows)])


def bucket_rows(_: Question, selected: SelectedBucket) -> Rows:
    """The confusion matrix, a line per pair of classes; for a regressor its errors."""
    bucket = selected.bucket
    if isinstance(bucket, ClassificationBucket):
        yield ["actual", "predicted", "count"]
        for actual, counts in zip(bucket.matrix.categories, bucket.matrix.values, strict=True):
            for predicted, n in zip(bucket.matrix.categories, counts, strict=True):
                yield [actual, predicted, n]
    elif bucket is not None:
        yield from over_time_rows(_, Quality(selected.kind, [bucket]))


OVER_TIME = Panel(
    "quality",
    "Quality over time",
    find_over_time,
    show_over_time,
    over_time_rows,
    of_window(Counted.OUTCOME),
)
BUCKET = Panel("bucket", "In detail", find_bucket, show_bucket, bucket_rows, bucket_basis)
