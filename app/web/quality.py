"""How good a model was: metrics over time, and one bucket in full."""

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
from app.web.panels import Look, Panel, Part, Rows
from app.web.question import INTERVALS, Question, query, written
from app.web.tables import nothing, table, tile
from app.web.units import count, moment, said

Bucket = ClassificationBucket | RegressionBucket


# How d3 writes the numbers of a chart, where not as FORM.
FORMS = {Unit.SHARE: ".1%"}
FORM = ".4~g"
NO_TRUTHS = "No truth is known of any prediction in this window."
NO_METRICS = "Truths of this kind of model are not compared."


@dataclass(frozen=True, slots=True)
class Quality:
    """Buckets of a model, oldest first; none for a kind without metrics."""

    kind: Kind | None
    buckets: Sequence[Bucket]


def metrics(look: Look, window: Window, grid: Grid) -> Sequence[Bucket]:
    """Buckets of a window; none for a kind without metrics."""
    asked = look.asked.over(window, grid)
    if asked.subject.kind is Kind.CLASSIFICATION:
        averaged = average(look.question)
        return classification_buckets(look.conn, look.registry, asked, averaged)
    return regression_buckets(look.conn, asked) if asked.subject.kind is Kind.REGRESSION else []


def average(question: Question) -> Average:
    """How classes are averaged.

    Raises:
        InvalidInput: in no way there is.
    """
    try:
        return Average(question.members.get("average", Average.MACRO))
    except ValueError:
        raise InvalidInput(f"the average must be one of {', '.join(Average)}") from None


def kind_of(look: Look) -> Kind | None:
    """What the model does.

    Raises:
        UnknownModel: the workspace has no such model, or nothing in that scope.
    """
    return of_model(look).subject.kind


# --- over time ----------------------------------------------------------------------------


def find_over_time(look: Look) -> Quality:
    """Metrics in the buckets of the window."""
    kind = kind_of(look)
    return Quality(kind, metrics(look, look.question.window, look.question.grid))


def show_over_time(question: Question, found: Quality) -> Part:
    """Lines, one per metric; a bucket is chosen by a click."""
    if found.kind not in OF_KIND:
        return nothing(NO_METRICS)
    if not any(bucket.n for bucket in found.buckets):
        return nothing(NO_TRUTHS)
    measures = _drawn(found.kind)
    chosen = next((one for one in found.buckets if _holds(one, question.bucket)), None)
    return charts.lines(
        f"{', '.join(m.label for m in measures)} over time",
        question,
        [bucket.start for bucket in found.buckets],
        {m.label: [getattr(bucket, m.name) for bucket in found.buckets] for m in measures},
        form=form_of(found.kind),
        clicked="bucket",
        shaded=(chosen.start, chosen.end) if chosen else None,
    )


def form_of(kind: Kind | None) -> str:
    """How d3 writes the headline metric of a kind."""
    return FORMS.get(leading(kind)[0].unit, FORM)


def _drawn(kind: Kind | None) -> list[Measure]:
    """The leading metrics that have the scale of the headline."""
    headline, *others = leading(kind)
    return [headline, *(one for one in others if one.unit is headline.unit)]


def _holds(bucket: Bucket, instant: datetime | None) -> bool:
    return instant is not None and bucket.start <= instant < bucket.end


def over_time_rows(_: Question, found: Quality) -> Rows:
    """A line per bucket."""
    names = [measure.name for measure in on_pages(found.kind)]
    yield ["startTime", "endTime", "n", *names]
    for bucket in found.buckets:
        numbers = [getattr(bucket, name) for name in names]
        yield [written(bucket.start), written(bucket.end), bucket.n, *numbers]


# --- one bucket ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Chosen:
    """A bucket, or the whole window, and the buckets on either side."""

    kind: Kind | None
    bucket: Bucket | None
    before: datetime | None = None
    after: datetime | None = None


def find_bucket(look: Look) -> Chosen:
    """The bucket that was clicked, else the whole window."""
    asked, kind = look.question, kind_of(look)
    if asked.bucket is None:
        return Chosen(kind, next(iter(metrics(look, asked.window, Grid())), None))
    if not asked.window.start <= asked.bucket < asked.window.end:
        return Chosen(kind, None)
    buckets = metrics(look, *_near(asked, asked.bucket))
    place = next((i for i, one in enumerate(buckets) if _holds(one, asked.bucket)), None)
    if place is None:
        return Chosen(kind, None)
    before = buckets[place - 1].start if place else None
    after = buckets[place + 1].start if place + 1 < len(buckets) else None
    return Chosen(kind, buckets[place], before, after)


def _near(asked: Question, bucket: datetime) -> tuple[Window, Grid]:
    """Some buckets on either side of one."""
    reach = 2 * average_length(INTERVALS[asked.interval])
    window = asked.window
    near = Window(
        bucket - min(reach, bucket - window.start), bucket + min(reach, window.end - bucket)
    )
    return near, asked.grid


def bucket_rests_on(look: Look) -> Basis:
    """What the bucket rests on, or one beside it."""
    asked = look.question
    bucket = asked.bucket
    inside = bucket is not None and asked.window.start <= bucket < asked.window.end
    where = _near(asked, bucket) if bucket and inside else (asked.window, Grid())
    return basis_within(look, *where, Counted.OUTCOME)


def show_bucket(question: Question, found: Chosen) -> list[Markup]:
    """Its confusion matrix and classes, or its errors; and a way to its neighbours."""
    return [_walk(question, found), *_contents(found)]


def _walk(question: Question, found: Chosen) -> Markup:
    if question.bucket is None or found.bucket is None:
        first = question.window.start
        words = "The whole window. Click a point of the chart above, or"
        return html.P(
            [f"{words} ", html.A("walk through its buckets", href=_at(question, first)), "."],
            className="walk quiet",
        )
    bounds = [moment(question.local(edge)) for edge in (found.bucket.start, found.bucket.end)]
    return html.P(
        [
            html.Strong(" to ".join(bounds)),
            html.A("← previous", href=_at(question, found.before)) if found.before else None,
            html.A("next →", href=_at(question, found.after)) if found.after else None,
            html.A("whole window", href="/model" + query({**question.members, "bucket": None})),
        ],
        className="walk",
    )


def _at(question: Question, start: datetime) -> str:
    return "/model" + query({**question.members, "bucket": written(start)})


def _contents(found: Chosen) -> Iterator[Markup]:
    if found.kind not in OF_KIND:
        yield nothing(NO_METRICS)
    elif found.bucket is None or not found.bucket.n:
        yield nothing("No truth is known of any prediction in it.")
    else:
        yield html.Dl(_tiles(found.kind, found.bucket), className="tiles small")
        if isinstance(found.bucket, ClassificationBucket):
            yield html.Div(
                [_matrix(found.bucket), _classes(found.bucket)], className="side-by-side"
            )


def _tiles(kind: Kind | None, bucket: Bucket) -> Iterator[Markup]:
    for measure in [TRUTHS["n"], *on_pages(kind)]:
        yield tile(measure.label, said(getattr(bucket, measure.name), measure.unit))


def _matrix(bucket: ClassificationBucket) -> Markup:
    """Counts, and the share of each row: what became of the truths of one class."""
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
        [one.label, *(said(getattr(one, m.name), m.unit) for m in measures)]
        for one in bucket.classes
    ]
    return html.Div([html.H3("Classes"), table("Metrics of each class", heads, rows)])


def bucket_rows(_: Question, found: Chosen) -> Rows:
    """The confusion matrix, a line per pair of classes; of a regressor its errors."""
    bucket = found.bucket
    if isinstance(bucket, ClassificationBucket):
        yield ["actual", "predicted", "count"]
        for actual, counts in zip(bucket.matrix.categories, bucket.matrix.values, strict=True):
            for predicted, n in zip(bucket.matrix.categories, counts, strict=True):
                yield [actual, predicted, n]
    elif bucket is not None:
        yield from over_time_rows(_, Quality(found.kind, [bucket]))


OVER_TIME = Panel(
    "quality",
    "Quality over time",
    find_over_time,
    show_over_time,
    over_time_rows,
    of_window(Counted.OUTCOME),
)
BUCKET = Panel("bucket", "In detail", find_bucket, show_bucket, bucket_rows, bucket_rests_on)
