"""Requests to a model: volume, latency, and inference stats per class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from app.query.health import BoxPlot, RequestVolume, box_plots, request_volume
from app.query.inferences import ClassStats, ModelStats, class_stats, model_stats
from app.query.measures import MODEL, MODEL_CLASS, REQUESTS
from app.query.question import Counted
from app.web import charts
from app.web import markup as html
from app.web.basis import of_all, of_model, of_models, of_stats, of_window
from app.web.panels import Node, Panel, PanelContext, Rows
from app.web.question import Question, iso_utc
from app.web.tables import UNHEARD, compared, note, table, tile
from app.web.units import UNKNOWN, format_number, length

FRACTIONS = (0.05, 0.25, 0.5, 0.75, 0.95)
LATENCY_FRACTIONS = (0.5, 0.9, 0.95, 0.99)
NOT_KNOWN: Sequence[float | None] = [None] * max(len(FRACTIONS), len(LATENCY_FRACTIONS))
ANSWERED, FAILED = REQUESTS["answered"], REQUESTS["failed"]
NOTHING_ANSWERED = "The model has no requests in this window."
WHOLE_MODEL = "For the whole model, as of now."


# --- volume and mean latency over time ----------------------------------------------------


def find_volume(context: PanelContext) -> RequestVolume:
    """Requests in the buckets of the window."""
    return request_volume(context.conn, of_model(context))


def show_volume(question: Question, volume: RequestVolume) -> list[Node]:
    """Stacked bars of successful and failed requests."""
    if not volume.answered and not volume.failed:
        return [note(NOTHING_ANSWERED)]
    totals = [
        tile(ANSWERED.label, format_number(volume.answered, ANSWERED.unit)),
        tile(FAILED.label, format_number(volume.failed, FAILED.unit)),
        tile("Per bar", length(question.grid.width)),
    ]
    bars = charts.bars(
        f"Predictions per {length(question.grid.width)}",
        question,
        [bucket.start for bucket in volume.buckets],
        [1000 * (bucket.end - bucket.start).total_seconds() for bucket in volume.buckets],
        {
            ANSWERED.label.lower(): [bucket.answered for bucket in volume.buckets],
            FAILED.label.lower(): [bucket.failed for bucket in volume.buckets],
        },
    )
    return [html.Dl(totals, className="tiles small"), bars]


def show_latency(question: Question, latency: "Latency") -> list[Node]:
    """Quantiles of the window as numbers, the mean of each bucket as a line."""
    if latency.stats is None or not any(
        bucket.mean_latency_ms for bucket in latency.volume.buckets
    ):
        return [note("No latency was reported in this window.")]
    quantiles = zip(LATENCY_FRACTIONS, latency.stats.quantiles or NOT_KNOWN, strict=False)
    return [
        html.Dl(
            [
                tile("Mean", compared(latency.stats.latency, MODEL["latency"])),
                *(
                    tile(f"p{100 * f:.0f}", format_number(n, MODEL["quantiles"].unit))
                    for f, n in quantiles
                ),
            ],
            className="tiles small",
        ),
        charts.lines(
            "Mean latency over time, in milliseconds",
            question,
            [bucket.start for bucket in latency.volume.buckets],
            {"mean latency in ms": [bucket.mean_latency_ms for bucket in latency.volume.buckets]},
            form=".3~g",
        ),
    ]


def volume_rows(_: Question, volume: RequestVolume) -> Rows:
    """A line per bucket."""
    yield ["startTime", "endTime", *REQUESTS]
    for bucket in volume.buckets:
        yield [
            iso_utc(bucket.start),
            iso_utc(bucket.end),
            *(getattr(bucket, name) for name in REQUESTS),
        ]


# --- latency ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Latency:
    """Means over time, and stats of the window; None without predictions."""

    volume: RequestVolume
    stats: ModelStats | None


def find_latency(context: PanelContext) -> Latency:
    """Latencies of the window."""
    models = model_stats(context.conn, of_models(context), fractions=LATENCY_FRACTIONS)
    return Latency(
        find_volume(context),
        next((model for model in models if _is_of_model(context.question, model)), None),
    )


def _is_of_model(question: Question, stats: ModelStats | ClassStats) -> bool:
    return (stats.namespace, stats.pipeline, stats.model) == tuple(question.model)


def latency_rows(_: Question, latency: Latency) -> Rows:
    """The mean and the quantiles, in seconds."""
    yield ["measure", "seconds", "prev_seconds"]
    if latency.stats:
        yield ["mean", latency.stats.latency.now, latency.stats.latency.previous]
        for fraction, number in zip(LATENCY_FRACTIONS, latency.stats.quantiles or (), strict=False):
            yield [f"p{100 * fraction:.0f}", number, None]


# --- per class ----------------------------------------------------------------------------


def find_stats(context: PanelContext) -> list[ClassStats]:
    """Inferences, confidences and latencies per class; empty for a regressor."""
    classes = class_stats(context.conn, of_models(context), fractions=FRACTIONS)
    return [stats for stats in classes if _is_of_model(context.question, stats)]


def show_stats(_: Question, classes: Sequence[ClassStats]) -> list[Markup] | None:
    """A row per class, each number compared with the preceding period."""
    if not classes:
        return None
    heads: list[Any] = [
        ("Class", ""),
        MODEL_CLASS["inferences"].title,
        MODEL_CLASS["outputs"].title,
        MODEL_CLASS["confidence"].title,
        "Median",
        MODEL_CLASS["latency"].title,
        ("Deployment types", "text"),
        ("Server versions", "text"),
    ]
    rows = [
        [
            stats.label or "(nothing found)",
            compared(stats.inferences, MODEL_CLASS["inferences"]),
            compared(stats.outputs, MODEL_CLASS["outputs"]),
            compared(stats.confidence, MODEL_CLASS["confidence"]),
            format_number(_quantile(stats, 0.5), MODEL_CLASS["quantiles"].unit),
            compared(stats.latency, MODEL_CLASS["latency"]),
            html.Td(stats.deployment_types or UNKNOWN, className="text"),
            html.Td(stats.server_versions or UNKNOWN, className="text"),
        ]
        for stats in classes
    ]
    return [table("Inference stats by class", heads, rows), note(WHOLE_MODEL)]


def _quantile(stats: ClassStats, fraction: float) -> float | None:
    return stats.quantiles[FRACTIONS.index(fraction)] if stats.quantiles else None


def stats_rows(_: Question, classes: Sequence[ClassStats]) -> Rows:
    """A line per class, with the names of Roboflow's API."""
    pairs = (
        "num_inferences",
        "class_count",
        "avg_confidence",
        "avg_response_time",
        "model_num_inferences",
    )
    names = [name for pair in pairs for name in (pair, f"prev_{pair}")]
    yield [
        "predicted_class",
        *names,
        "median_confidence",
        "deployment_types",
        "inference_server_versions",
    ]
    for stats in classes:
        numbers = (
            stats.inferences,
            stats.outputs,
            stats.confidence,
            stats.latency,
            stats.model_inferences,
        )
        flat = [n for pair in numbers for n in (pair.now, pair.previous)]
        yield [
            stats.label,
            *flat,
            _quantile(stats, 0.5),
            stats.deployment_types,
            stats.server_versions,
        ]


def show_confidence(_: Question, classes: Sequence[ClassStats]) -> Markup | None:
    """Quantiles of confidence as numbers and as a box plot."""
    with_quantiles = [stats for stats in classes if stats.quantiles]
    if not with_quantiles:
        return None
    heads: list[Any] = [
        ("Class", ""),
        *(f"p{100 * f:.0f}" for f in FRACTIONS),
        ("0 to 100 %", "range"),
    ]
    rows = [
        [
            stats.label or "(nothing found)",
            *(format_number(n, MODEL_CLASS["quantiles"].unit) for n in stats.quantiles or ()),
            html.Td(_range(stats.quantiles or ()), className="range"),
        ]
        for stats in with_quantiles
    ]
    return table("Quantiles of confidence by class", heads, rows)


def _range(quantiles: Sequence[float]) -> Markup:
    low, first, middle, third, high = (f"{100 * n:.1f}%" for n in quantiles)
    edges = {"--low": low, "--first": first, "--middle": middle, "--third": third, "--high": high}
    return html.Span(className="box", style=edges, **UNHEARD)


def confidence_rows(_: Question, classes: Sequence[ClassStats]) -> Rows:
    """A line per class."""
    yield ["predicted_class", *(f"p{100 * fraction:.0f}" for fraction in FRACTIONS)]
    for stats in classes:
        yield [stats.label, *(stats.quantiles or NOT_KNOWN)]


# --- values -------------------------------------------------------------------------------


def find_values(context: PanelContext) -> list[BoxPlot]:
    """Predicted values of a regressor: minimum, quartiles and maximum of each bucket."""
    return box_plots(context.conn, of_model(context))


def show_values(question: Question, boxes: Sequence[BoxPlot]) -> Node | None:
    """The median, the quartiles and the extremes over time."""
    if not boxes:
        return None
    return charts.box_plot(
        "Predicted values over time: extremes, quartiles and median",
        question,
        [box.start for box in boxes],
        [box.quantiles for box in boxes],
    )


def value_rows(_: Question, boxes: Sequence[BoxPlot]) -> Rows:
    """A line per bucket with values."""
    yield ["startTime", "endTime", "n", "min", "q1", "median", "q3", "max"]
    for box in boxes:
        yield [iso_utc(box.start), iso_utc(box.end), box.n, *box.quantiles]


OF_VOLUME = of_window(Counted.PREDICTION)
OF_LATENCY = of_all(OF_VOLUME, of_stats(Counted.LATENCY))
OF_CLASSES = of_stats(Counted.SCORE)
OF_VALUES = of_window(Counted.SCORE)
VOLUME = Panel("volume", "Predictions over time", find_volume, show_volume, volume_rows, OF_VOLUME)
LATENCY = Panel("latency", "Latency", find_latency, show_latency, latency_rows, OF_LATENCY)
STATS = Panel("stats", "Inference stats", find_stats, show_stats, stats_rows, OF_CLASSES)
VALUES = Panel("values", "Predicted values", find_values, show_values, value_rows, OF_VALUES)
CONFIDENCE = Panel(
    "confidence", "Confidence", find_stats, show_confidence, confidence_rows, OF_CLASSES
)
