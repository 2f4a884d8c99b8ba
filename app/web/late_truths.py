"""Late and missing truth: how late truths are, how many are expected, and accuracy without them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from dash import html as dash_html
from dash.development.base_component import Component
from markupsafe import Markup

from app.query.basis import OF_TRUTHS_AND_PREDICTIONS
from app.query.corrected import OF_CORRECTED, CorrectedBucket, corrected_buckets
from app.query.inferences import Compared
from app.query.intervals import Interval
from app.query.label_delay import (
    DELAYS,
    Delayed,
    Expected,
    delay_curve,
    expected_buckets,
    expected_overall,
)
from app.query.measures import CLASSIFICATION, OF_KIND, TRUTHS
from app.query.question import Question as Query
from app.query.subjects import Subject
from app.query.window import Grid, Window
from app.store.registry import Kind
from app.web import charts
from app.web import markup as html
from app.web.basis import of_model
from app.web.comparison import Pair, ask, names_of_sides, sides, sides_basis, spans, truths_grid
from app.web.markup import to_component
from app.web.panels import Node, Panel, PanelContext, Rows
from app.web.quality import marks
from app.web.question import DAY, Question, iso_utc
from app.web.scores import UNTESTED
from app.web.tables import CONFIDENCE, both, note, tile
from app.web.units import format_number, length

SHARE, ACCURACY = TRUTHS["labelled_share"], CLASSIFICATION["accuracy"]
FORM = ".0%"
# With more truths than this in a window, reading every row would take seconds.
MANY = 500_000
LONG = tuple(name for name, delay in DELAYS.items() if delay >= DAY)
LARGE = f"With more than {MANY:,} truths, delays below a day are omitted: they read every row."
WORDS = {"1h": "1 h", "6h": "6 h", "1d": "1 day", "7d": "7 days", "30d": "30 days"}
KNOWN, NAIVE, CORRECTED = "Truths known", "Accuracy of known truths", "Corrected accuracy"
IS_ESTIMATE = (
    "Corrected accuracy is an estimate of that of all predictions: truths count as often as there"
    " are predictions of the same class and similar confidence. What these do not tell about a"
    " prediction is not corrected."
)


@dataclass(frozen=True, slots=True)
class Delays:
    """How late truths are in both windows, and what is expected in the buckets of the page.

    `totals` has what is known in each window.
    """

    curves: Pair[list[Delayed]]
    totals: Pair[Expected]
    over_time: Sequence[Expected]


@dataclass(frozen=True, slots=True)
class Corrected:
    """Accuracy as it is and corrected, in both windows and in the buckets of the page."""

    totals: Pair[CorrectedBucket]
    over_time: Sequence[CorrectedBucket]


@dataclass(frozen=True, slots=True)
class LateTruths:
    """What is known of late truths; `corrected` is None for a model without confidences."""

    delays: Delays
    corrected: Corrected | None
    grid: Grid
    spans: Pair[Window]


def find(context: PanelContext) -> LateTruths | None:
    """Delays and corrected accuracy; None for a kind without truths.

    Cost: eight statements at most, over cells, and over rows for delays below a day.
    """
    kind = of_model(context).subject.kind
    if kind not in OF_KIND:
        return None
    query = of_model(context).over(context.question.window, truths_grid(context))
    corrected = _corrected(context, query) if kind is Kind.CLASSIFICATION else None
    return LateTruths(_delays(context, query), corrected, query.grid, spans(context))


def _delays(context: PanelContext, query: Query[Subject]) -> Delays:
    conn, both_sides = context.conn, sides(context)
    totals = ask(both_sides, lambda side: expected_buckets(conn, side, ())[0])
    counted = [one.n for one in (totals.after, totals.before) if one]
    delays = tuple(DELAYS) if max(counted) <= MANY else LONG
    curves = ask(both_sides, lambda side: delay_curve(conn, side, delays))
    is_whole = both_sides.after.window == query.window
    curve = curves.after if is_whole else delay_curve(conn, query, delays)
    return Delays(curves, totals, expected_buckets(conn, query, curve))


def _corrected(context: PanelContext, query: Query[Subject]) -> Corrected | None:
    totals = ask(sides(context), lambda side: corrected_buckets(context.conn, side, CONFIDENCE)[0])
    if not any(bucket and bucket.n for bucket in (totals.after, totals.before)):
        return None
    return Corrected(totals, corrected_buckets(context.conn, query, CONFIDENCE))


# --- what is shown ------------------------------------------------------------------------


def show(question: Question, found: LateTruths | None) -> list[Node] | None:
    """Tiles, the curve of label delay, what is expected over time, and both accuracies."""
    if found is None:
        return None
    if not any(bucket.predictions for bucket in found.delays.over_time):
        return [note("The model has no predictions in this window.")]
    charts_ = [_curve(question, found), _expected(question, found)]
    if found.corrected:
        charts_.append(_accuracies(question, found, found.corrected))
    return [
        html.Dl(list(_tiles(found)), className="tiles small"),
        dash_html.Div(charts_, className="squares"),
        note(" ".join(_words(found))),
    ]


def _tiles(found: LateTruths) -> Iterator[Markup]:
    known = found.delays.totals.of(lambda bucket: bucket.labelled_share)
    yield tile(KNOWN, both(known, SHARE, certain=False, said=UNTESTED))
    expected = expected_overall(found.delays.over_time)
    yield tile("Still expected", format_number(expected, SHARE.unit))
    if found.corrected:
        totals = found.corrected.totals
        after = totals.after
        naive = totals.of(lambda bucket: bucket.accuracy)
        estimated = totals.of(lambda bucket: bucket.corrected)
        yield tile(NAIVE, _accuracy(naive, after.accuracy_interval))
        yield tile(f"{CORRECTED} (estimate)", _accuracy(estimated, after.interval))


def _accuracy(numbers: Compared[float | None], interval: Interval | None) -> Markup:
    return both(numbers, ACCURACY, certain=False, said=UNTESTED, interval=interval)


def _framed(title: str, chart: Component) -> Component:
    return dash_html.Div([to_component(html.H3(title)), chart], className="square-chart")


def _curve(question: Question, found: LateTruths) -> Component:
    """Which share of predictions had a truth after each delay that any of them has reached."""
    names = names_of_sides(question, found.spans)
    curves = (found.delays.curves.after, found.delays.curves.before)
    points: Mapping[str, charts.Points] = {
        name: _reached(curve) for name, curve in zip(names, curves, strict=True) if curve
    }
    title = "Truths known after a delay"
    return _framed(title, charts.curves(title, points, form=FORM))


def _reached(curve: Sequence[Delayed]) -> charts.Points:
    reached = [one for one in curve if one.share is not None]
    return [WORDS[one.delay] for one in reached], [one.share for one in reached]


def _expected(question: Question, found: LateTruths) -> Component:
    buckets = found.delays.over_time
    title = "Truths known and still expected"
    return _framed(
        title,
        charts.lines(
            title,
            question,
            [bucket.start for bucket in buckets],
            {
                "known": [bucket.labelled_share for bucket in buckets],
                "still expected": [bucket.still_expected for bucket in buckets],
            },
            form=FORM,
            marked=marks(question, found.spans),
            picks=False,
        ),
    )


def _accuracies(question: Question, found: LateTruths, corrected: Corrected) -> Component:
    buckets = corrected.over_time
    names = ("known truths", "corrected (estimate)")
    title = "Accuracy of known truths, and corrected"
    return _framed(
        title,
        charts.lines(
            title,
            question,
            [bucket.start for bucket in buckets],
            dict(
                zip(
                    names,
                    ([b.accuracy for b in buckets], [b.corrected for b in buckets]),
                    strict=True,
                )
            ),
            form=FORM,
            bands={names[1]: [bucket.interval for bucket in buckets]},
            marked=marks(question, found.spans),
            picks=False,
        ),
    )


def _words(found: LateTruths) -> Iterator[str]:
    """What the numbers are, and what they are not."""
    yield (
        f"A point over time is {length(found.grid.width)}. What is still expected is estimated by"
        " the curve of label delay: choose a window long enough for old predictions to have their"
        " truths."
    )
    if len(found.delays.curves.after) == len(LONG):
        yield LARGE
    if any(one.known != one.possible for one in found.delays.curves.after):
        yield "Rows were dropped that would tell all delays: shares of the curve are lower bounds."
    if found.corrected:
        yield IS_ESTIMATE
        covered = found.corrected.totals.after.covered
        if covered is not None and covered < 1:
            share = format_number(covered, SHARE.unit)
            yield f"It is about {share} of them: no truth is known of the classes of the others."


# --- CSV ----------------------------------------------------------------------------------


def rows(_: Question, found: LateTruths | None) -> Rows:
    """A line per delay of both windows, and per bucket."""
    yield [
        *("part", "startTime", "endTime", "delay", "until", "predictions", "known", "possible"),
        *("share", "labelled_share", "still_expected", "accuracy", "accuracy_low"),
        *("accuracy_high", "corrected_accuracy", "corrected_low", "corrected_high"),
        "covered_share",
    ]
    if found is None:
        return
    delays, corrected = found.delays, found.corrected
    pairs = (("after", found.spans.after), ("before", found.spans.before))
    for (part, window), curve in zip(
        pairs, (delays.curves.after, delays.curves.before), strict=True
    ):
        for one in curve or ():
            span = [iso_utc(window.start), iso_utc(window.end)] if window else [None, None]
            until = one.until and iso_utc(one.until)
            counts = [one.predictions, one.known, one.possible, one.share]
            yield [part, *span, one.delay, until, *counts, *[None] * 9]
    for part in ("after", "before"):
        of = attrgetter(part)
        if bucket := of(delays.totals):
            yield _row(part, bucket, of(corrected.totals) if corrected else None)
    accuracies: Sequence[CorrectedBucket | None] = (
        corrected.over_time if corrected else [None] * len(delays.over_time)
    )
    for bucket, accuracy in zip(delays.over_time, accuracies, strict=True):
        yield _row("bucket", bucket, accuracy)


def _row(part: str, bucket: Expected, accuracy: CorrectedBucket | None) -> list[object]:
    blank = [None] * 2
    return [
        *(part, iso_utc(bucket.start), iso_utc(bucket.end)),
        *(None, None, bucket.predictions, bucket.n, bucket.n, None),
        *(bucket.labelled_share, bucket.still_expected),
        *((accuracy.accuracy, *_ends(accuracy.accuracy_interval)) if accuracy else (None, *blank)),
        *((accuracy.corrected, *_ends(accuracy.interval)) if accuracy else (None, *blank)),
        accuracy.covered if accuracy else None,
    ]


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (interval.low, interval.high) if interval else (None, None)


PANEL = Panel(
    "late-truths",
    "Late and missing truth",
    find,
    show,
    rows,
    sides_basis(*OF_TRUTHS_AND_PREDICTIONS, *OF_CORRECTED, over_time=truths_grid),
)
