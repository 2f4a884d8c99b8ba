"""Requests to a model: volume, latency, and inference stats per class, after and before."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from app.query.health import BoxPlot, RequestVolume, box_plots, request_volume
from app.query.inferences import Compared
from app.query.measure import Better, Measure, Unit
from app.query.measures import MODEL, MODEL_CLASS, REQUESTS
from app.query.outputs import ClassOutputs, class_outputs, latency_quantiles
from app.query.question import Counted
from app.query.window import Grid, Window
from app.web import charts
from app.web import markup as html
from app.web.basis import of_model
from app.web.changes import certain_failures
from app.web.comparison import Pair, ask, sides, sides_basis, spans
from app.web.new_monitor import link_to_new
from app.web.panels import Node, Panel, PanelContext, Rows
from app.web.quality import marks
from app.web.question import Question, iso_utc
from app.web.tables import UNHEARD, both, note, table, tile
from app.web.thresholds import Threshold, thresholds
from app.web.units import UNKNOWN, length

FRACTIONS = (0.05, 0.25, 0.5, 0.75, 0.95)
LATENCY_FRACTIONS = (0.5, 0.9, 0.95, 0.99)
NOT_KNOWN: Sequence[float | None] = [None] * max(len(FRACTIONS), len(LATENCY_FRACTIONS))
ANSWERED, FAILED, MEAN = REQUESTS["answered"], REQUESTS["failed"], REQUESTS["mean_latency_ms"]
QUANTILE = MODEL["quantiles"]
MILLISECONDS = 1000
NOTHING_ANSWERED = "The model has no requests in this window."


def both_volumes(context: PanelContext) -> Pair[RequestVolume]:
    """Requests in both windows. Cost: a statement for each."""
    return ask(sides(context), lambda query: request_volume(context.conn, query))


def volume_tiles(volumes: Pair[RequestVolume]) -> list[Markup]:
    """Requests, failed requests and mean latency of both windows."""
    answered = volumes.of(lambda volume: volume.answered)
    rates = volumes.of(_error_rate)
    latency = volumes.of(lambda volume: volume.mean_latency_ms)
    return [
        tile(ANSWERED.title, both(answered, ANSWERED)),
        tile(
            MODEL["error_rate"].title,
            both(
                rates,
                MODEL["error_rate"],
                certain=certain_failures(volumes.after, volumes.before),
            ),
        ),
        tile(MEAN.title, both(latency, MEAN, certain=False)),
    ]


def _error_rate(volume: RequestVolume) -> float | None:
    requests = volume.answered + volume.failed
    return volume.failed / requests if requests else None


# --- volume and mean latency over time ----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Volume:
    """Requests over time, and in both windows."""

    over_time: RequestVolume
    totals: Pair[RequestVolume]
    spans: Pair[Window]


def find_volume(context: PanelContext) -> Volume:
    """Requests in the buckets of the window, and in both windows."""
    windows, volume = spans(context), request_volume(context.conn, of_model(context))
    if windows.after != context.question.window:
        return Volume(volume, both_volumes(context), windows)
    before = sides(context).before  # the totals of the window are known
    totals = Pair(volume, request_volume(context.conn, before) if before else None)
    return Volume(volume, totals, windows)


def show_volume(question: Question, volume: Volume) -> list[Node]:
    """Stacked bars of successful and failed requests."""
    over_time, totals = volume.over_time, volume.totals
    if not over_time.answered and not over_time.failed:
        return [note(NOTHING_ANSWERED)]
    tiles = [
        tile(ANSWERED.label, both(totals.of(lambda one: one.answered), ANSWERED)),
        tile(
            FAILED.label,
            both(
                totals.of(lambda one: one.failed),
                FAILED,
                certain=certain_failures(totals.after, totals.before),
            ),
        ),
        tile("Per bar", length(question.grid.width)),
    ]
    bars = charts.bars(
        f"Predictions per {length(question.grid.width)}",
        question,
        [bucket.start for bucket in over_time.buckets],
        [1000 * (bucket.end - bucket.start).total_seconds() for bucket in over_time.buckets],
        {
            ANSWERED.label.lower(): [bucket.answered for bucket in over_time.buckets],
            FAILED.label.lower(): [bucket.failed for bucket in over_time.buckets],
        },
        marked=marks(question, volume.spans),
        watch=link_to_new(question, MODEL["inferences"].wire_name),
    )
    return [html.Dl(tiles, className="tiles small"), bars]


def volume_rows(_: Question, volume: Volume) -> Rows:
    """A line per bucket."""
    yield ["startTime", "endTime", *REQUESTS]
    for bucket in volume.over_time.buckets:
        yield [
            iso_utc(bucket.start),
            iso_utc(bucket.end),
            *(getattr(bucket, name) for name in REQUESTS),
        ]


# --- latency ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Latency:
    """Means over time, and means and quantiles of both windows."""

    volume: Volume
    quantiles: Pair[Sequence[float] | None]
    thresholds: Sequence[Threshold] = ()


def find_latency(context: PanelContext) -> Latency:
    """Latencies of the window, and of both windows."""
    return Latency(
        find_volume(context),
        ask(
            sides(context),
            lambda query: latency_quantiles(context.conn, query, LATENCY_FRACTIONS),
        ),
        thresholds(context, [MODEL["latency"].wire_name]),
    )


def show_latency(question: Question, latency: Latency) -> list[Node]:
    """Means and quantiles as numbers, the mean of each bucket as a line."""
    buckets = latency.volume.over_time.buckets
    if not any(bucket.mean_latency_ms for bucket in buckets):
        return [note("No latency was reported in this window.")]
    means = latency.volume.totals.of(lambda volume: volume.mean_latency_ms)
    return [
        html.Dl(
            [
                tile("Mean", both(means, MEAN, certain=False)),
                *(
                    tile(f"p{100 * fraction:.0f}", both(numbers, QUANTILE, certain=False))
                    for fraction, numbers in _quantiles(latency)
                ),
            ],
            className="tiles small",
        ),
        charts.lines(
            "Mean latency over time, in milliseconds",
            question,
            [bucket.start for bucket in buckets],
            {"mean latency in ms": [bucket.mean_latency_ms for bucket in buckets]},
            form=".3~g",
            marked=marks(question, latency.volume.spans),
            limits=[
                charts.Limit(limit.monitor, MILLISECONDS * limit.value)
                for limit in latency.thresholds
            ],
            watch=link_to_new(question, MODEL["latency"].wire_name),
        ),
    ]


def _quantiles(latency: Latency) -> list[tuple[float, Compared[float | None]]]:
    after, before = (
        pair or NOT_KNOWN for pair in (latency.quantiles.after, latency.quantiles.before)
    )
    return [
        (fraction, Compared(now, previous))
        for fraction, now, previous in zip(LATENCY_FRACTIONS, after, before, strict=False)
    ]


def latency_rows(_: Question, latency: Latency) -> Rows:
    """The mean and the quantiles, in seconds."""
    yield ["measure", "seconds", "prev_seconds"]
    means = latency.volume.totals.of(_mean_seconds)
    yield ["mean", means.now, means.previous]
    for fraction, numbers in _quantiles(latency):
        yield [f"p{100 * fraction:.0f}", numbers.now, numbers.previous]


def _mean_seconds(volume: RequestVolume) -> float | None:
    return None if volume.mean_latency_ms is None else volume.mean_latency_ms / 1000


# --- per class ----------------------------------------------------------------------------

Classes = Mapping[str, Pair[ClassOutputs | None]]


def find_stats(context: PanelContext) -> Classes:
    """Inferences, confidences and latencies per class, the busiest first; empty for a regressor.

    Cost: a statement for each window.
    """
    answers = ask(sides(context), lambda query: class_outputs(context.conn, query, FRACTIONS))
    after, before = (
        {one.label: one for one in classes or ()} for classes in (answers.after, answers.before)
    )
    pairs = {label: Pair(after.get(label), before.get(label)) for label in {**after, **before}}
    return dict(sorted(pairs.items(), key=lambda item: (-_inferences(item[1]), item[0])))


def _inferences(pair: Pair[ClassOutputs | None]) -> int:
    return sum(one.inferences for one in (pair.after, pair.before) if one)


def show_stats(_: Question, classes: Classes) -> list[Markup] | None:
    """A row per class, each number with the one before and the difference."""
    if not classes:
        return None
    texts = [name for name in TEXTS if any(_text(pair, name) for pair in classes.values())]
    heads: list[Any] = [
        ("Class", ""),
        MODEL_CLASS["inferences"].title,
        MODEL_CLASS["outputs"].title,
        MODEL_CLASS["confidence"].title,
        "Median",
        MODEL_CLASS["latency"].title,
        *((TEXTS[name], "text") for name in texts),
    ]
    rows = [
        [
            _class(label),
            *_stats(pair),
            *(html.Td(_text(pair, name) or UNKNOWN, className="text") for name in texts),
        ]
        for label, pair in classes.items()
    ]
    return [table("Inference stats by class", heads, rows, kind="classes")]


# Columns that are omitted if they are empty.
TEXTS = {"deployment_types": "Deployment types", "server_versions": "Server versions"}


def _text(pair: Pair[ClassOutputs | None], name: str) -> str:
    text: str = getattr(pair.after or pair.before, name)
    return text


def _class(label: str) -> Markup:
    shown = label or "(nothing found)"
    return html.Span(shown, className="class", title=shown)


def _stats(pair: Pair[ClassOutputs | None]) -> list[Markup]:
    numbers = [
        both(_number(pair, name), MODEL_CLASS[name], certain=False)
        for name in ("inferences", "outputs", "confidence")
    ]
    return [
        *numbers,
        both(_quantile(pair, 2), MODEL_CLASS["quantiles"], certain=False),
        both(_number(pair, "latency"), MODEL_CLASS["latency"], certain=False),
    ]


def _number(pair: Pair[ClassOutputs | None], name: str) -> Compared[Any]:
    return pair.of(lambda one: getattr(one, name, None))


def _quantile(pair: Pair[ClassOutputs | None], index: int) -> Compared[float | None]:
    return pair.of(lambda one: one.quantiles[index] if one and one.quantiles else None)


def stats_rows(_: Question, classes: Classes) -> Rows:
    """A line per class, with the names of Roboflow's API."""
    names = {
        "num_inferences": "inferences",
        "class_count": "outputs",
        "avg_confidence": "confidence",
        "avg_response_time": "latency",
        "model_num_inferences": "model_inferences",
    }
    yield [
        "predicted_class",
        *(column for name in names for column in (name, f"prev_{name}")),
        "median_confidence",
        "deployment_types",
        "inference_server_versions",
    ]
    for label, pair in classes.items():
        compared = [_number(pair, name) for name in names.values()]
        yield [
            label,
            *(n for numbers in compared for n in (numbers.now, numbers.previous)),
            _quantile(pair, FRACTIONS.index(0.5)).now,
            *(_text(pair, name) for name in TEXTS),
        ]


def show_confidence(_: Question, classes: Classes) -> Markup | None:
    """Quantiles of confidence as numbers and as box plots, of both windows."""
    shown = {label: pair for label, pair in classes.items() if pair.after and pair.after.quantiles}
    if not shown:
        return None
    heads: list[Any] = [
        ("Class", ""),
        *(f"p{100 * f:.0f}" for f in FRACTIONS),
        ("0 to 100 %", "range"),
    ]
    rows = [
        [_class(label), *_confidences(pair), html.Td(_ranges(pair), className="range")]
        for label, pair in shown.items()
    ]
    return table("Quantiles of confidence by class", heads, rows, kind="classes")


def _confidences(pair: Pair[ClassOutputs | None]) -> list[Markup]:
    measure = MODEL_CLASS["quantiles"]
    return [both(_quantile(pair, index), measure, certain=False) for index in range(len(FRACTIONS))]


def _ranges(pair: Pair[ClassOutputs | None]) -> list[Markup]:
    """A box plot of each window, before above after."""
    return [
        _range(one.quantiles, name)
        for one, name in ((pair.before, "before"), (pair.after, "after"))
        if one and one.quantiles
    ]


def _range(quantiles: Sequence[float], name: str) -> Markup:
    low, first, middle, third, high = (f"{100 * n:.1f}%" for n in quantiles)
    edges = {"--low": low, "--first": first, "--middle": middle, "--third": third, "--high": high}
    return html.Span(className=f"box {name}", style=edges, **UNHEARD)


def confidence_rows(_: Question, classes: Classes) -> Rows:
    """A line per class."""
    names = [f"p{100 * fraction:.0f}" for fraction in FRACTIONS]
    yield ["predicted_class", *names, *(f"prev_{name}" for name in names)]
    for label, pair in classes.items():
        now, previous = (
            (one and one.quantiles) or NOT_KNOWN[: len(FRACTIONS)]
            for one in (pair.after, pair.before)
        )
        yield [label, *now, *previous]


# --- values -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Values:
    """Values over time and in both windows: minimum, quartiles and maximum."""

    boxes: Sequence[BoxPlot]
    totals: Pair[BoxPlot | None]
    spans: Pair[Window]


def find_values(context: PanelContext) -> Values:
    """Predicted values of a regressor, in the buckets of the window and in both windows."""
    boxes = box_plots(context.conn, of_model(context))
    if not boxes:
        return Values(boxes, Pair(None, None), spans(context))
    totals = ask(sides(context), lambda query: next(iter(box_plots(context.conn, query)), None))
    return Values(boxes, totals, spans(context))


def show_values(question: Question, values: Values) -> list[Node] | None:
    """The median, the quartiles and the extremes over time."""
    boxes = values.boxes
    if not boxes:
        return None
    tiles = [
        tile(name, both(values.totals.of(_value(index)), VALUE, certain=False))
        for index, name in enumerate(VALUE_NAMES)
    ]
    chart = charts.box_plot(
        "Predicted values over time: extremes, quartiles and median",
        question,
        [box.start for box in boxes],
        [box.quantiles for box in boxes],
        marked=marks(question, values.spans),
    )
    return [html.Dl(tiles, className="tiles small"), chart]


def _value(index: int) -> Callable[[BoxPlot | None], float | None]:
    return lambda box: box.quantiles[index] if box else None


VALUE = Measure("value", "Value", Unit.OWN, Better.NEITHER, "a predicted value")
VALUE_NAMES = ("Lowest", "First quarter", "Median", "Third quarter", "Highest")


def value_rows(_: Question, values: Values) -> Rows:
    """A line per bucket with values."""
    yield ["startTime", "endTime", "n", "min", "q1", "median", "q3", "max"]
    for box in values.boxes:
        yield [iso_utc(box.start), iso_utc(box.end), box.n, *box.quantiles]


def _grid(context: PanelContext) -> Grid:
    return context.question.grid


OF_VOLUME = sides_basis(Counted.PREDICTION, over_time=_grid)
OF_LATENCY = sides_basis(Counted.PREDICTION, Counted.LATENCY, over_time=_grid)
OF_CLASSES = sides_basis(Counted.PREDICTION, Counted.SCORE)
OF_VALUES = sides_basis(Counted.SCORE, over_time=_grid)
VOLUME = Panel("volume", "Predictions over time", find_volume, show_volume, volume_rows, OF_VOLUME)
LATENCY = Panel("latency", "Latency", find_latency, show_latency, latency_rows, OF_LATENCY)
STATS = Panel("stats", "Inference stats", find_stats, show_stats, stats_rows, OF_CLASSES)
VALUES = Panel("values", "Predicted values", find_values, show_values, value_rows, OF_VALUES)
CONFIDENCE = Panel(
    "confidence", "Confidence", find_stats, show_confidence, confidence_rows, OF_CLASSES
)
