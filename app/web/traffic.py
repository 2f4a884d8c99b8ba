"""What a model answered and how fast: volume, latency, and inference stats by class."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from app.query.health import Load, Spread, load, spreads
from app.query.inferences import ClassStats, ModelStats, class_stats, model_stats
from app.query.measures import MODEL, MODEL_CLASS, REQUESTS
from app.query.question import Counted
from app.web import charts
from app.web import markup as html
from app.web.basis import of_all, of_model, of_models, of_stats, of_window
from app.web.panels import Look, Panel, Part, Rows
from app.web.question import Question, written
from app.web.tables import UNHEARD, compared, nothing, table, tile
from app.web.units import UNKNOWN, length, said

FRACTIONS = (0.05, 0.25, 0.5, 0.75, 0.95)
LATENCY_FRACTIONS = (0.5, 0.9, 0.95, 0.99)
NOT_KNOWN: Sequence[float | None] = [None] * max(len(FRACTIONS), len(LATENCY_FRACTIONS))
ANSWERED, FAILED = REQUESTS["answered"], REQUESTS["failed"]
NOTHING_ANSWERED = "The model has answered nothing in this window."
WHOLE_MODEL = "Of the whole model, as it is now."


# --- volume and mean latency over time ----------------------------------------------------


def find_load(look: Look) -> Load:
    """Requests in the buckets of the window."""
    return load(look.conn, of_model(look))


def show_volume(question: Question, found: Load) -> list[Part]:
    """Bars: answered, and failed upon them."""
    if not found.answered and not found.failed:
        return [nothing(NOTHING_ANSWERED)]
    totals = [
        tile(ANSWERED.label, said(found.answered, ANSWERED.unit)),
        tile(FAILED.label, said(found.failed, FAILED.unit)),
        tile("Per bar", length(question.grid.width)),
    ]
    bars = charts.bars(
        f"Predictions per {length(question.grid.width)}",
        question,
        [one.start for one in found.buckets],
        [1000 * (one.end - one.start).total_seconds() for one in found.buckets],
        {
            ANSWERED.label.lower(): [one.answered for one in found.buckets],
            FAILED.label.lower(): [one.failed for one in found.buckets],
        },
    )
    return [html.Dl(totals, className="tiles small"), bars]


def show_latency(question: Question, found: "Latency") -> list[Part]:
    """Quantiles of the window as numbers, the mean of each bucket as a line."""
    if found.stats is None or not any(one.mean_latency_ms for one in found.load.buckets):
        return [nothing("No latency was reported in this window.")]
    quantiles = zip(LATENCY_FRACTIONS, found.stats.quantiles or NOT_KNOWN, strict=False)
    return [
        html.Dl(
            [
                tile("Mean", compared(found.stats.latency, MODEL["latency"])),
                *(tile(f"p{100 * f:.0f}", said(n, MODEL["quantiles"].unit)) for f, n in quantiles),
            ],
            className="tiles small",
        ),
        charts.lines(
            "Mean latency over time, in milliseconds",
            question,
            [one.start for one in found.load.buckets],
            {"mean latency in ms": [one.mean_latency_ms for one in found.load.buckets]},
            form=".3~g",
        ),
    ]


def load_rows(_: Question, found: Load) -> Rows:
    """A line per bucket."""
    yield ["startTime", "endTime", *REQUESTS]
    for one in found.buckets:
        yield [written(one.start), written(one.end), *(getattr(one, name) for name in REQUESTS)]


# --- latency ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Latency:
    """Means over time, and quantiles of the window; None where nothing was predicted."""

    load: Load
    stats: ModelStats | None


def find_latency(look: Look) -> Latency:
    """Latencies of the window."""
    found = model_stats(look.conn, of_models(look), fractions=LATENCY_FRACTIONS)
    return Latency(
        find_load(look), next((one for one in found if _is_it(look.question, one)), None)
    )


def _is_it(question: Question, one: ModelStats | ClassStats) -> bool:
    return (one.namespace, one.pipeline, one.model) == tuple(question.model)


def latency_rows(_: Question, found: Latency) -> Rows:
    """The mean and the quantiles, in seconds."""
    yield ["measure", "seconds", "prev_seconds"]
    if found.stats:
        yield ["mean", found.stats.latency.now, found.stats.latency.before]
        for fraction, number in zip(LATENCY_FRACTIONS, found.stats.quantiles or (), strict=False):
            yield [f"p{100 * fraction:.0f}", number, None]


# --- by class -----------------------------------------------------------------------------


def find_stats(look: Look) -> list[ClassStats]:
    """Inferences, confidences and latencies by class; a regressor has none."""
    found = class_stats(look.conn, of_models(look), fractions=FRACTIONS)
    return [one for one in found if _is_it(look.question, one)]


def show_stats(_: Question, found: Sequence[ClassStats]) -> list[Markup] | None:
    """A row per class, each number beside that of the period before."""
    if not found:
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
            one.label or "(nothing found)",
            compared(one.inferences, MODEL_CLASS["inferences"]),
            compared(one.outputs, MODEL_CLASS["outputs"]),
            compared(one.confidence, MODEL_CLASS["confidence"]),
            said(_quantile(one, 0.5), MODEL_CLASS["quantiles"].unit),
            compared(one.latency, MODEL_CLASS["latency"]),
            html.Td(one.deployment_types or UNKNOWN, className="text"),
            html.Td(one.server_versions or UNKNOWN, className="text"),
        ]
        for one in found
    ]
    return [table("Inference stats by class", heads, rows), nothing(WHOLE_MODEL)]


def _quantile(one: ClassStats, fraction: float) -> float | None:
    return one.quantiles[FRACTIONS.index(fraction)] if one.quantiles else None


def stats_rows(_: Question, found: Sequence[ClassStats]) -> Rows:
    """A line per class, under the names of Roboflow's API."""
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
    for one in found:
        numbers = (one.inferences, one.outputs, one.confidence, one.latency, one.model_inferences)
        flat = [n for pair in numbers for n in (pair.now, pair.before)]
        yield [one.label, *flat, _quantile(one, 0.5), one.deployment_types, one.server_versions]


def show_confidence(_: Question, found: Sequence[ClassStats]) -> Markup | None:
    """Quantiles of confidence, with the range from the lowest to the highest drawn."""
    known = [one for one in found if one.quantiles]
    if not known:
        return None
    heads: list[Any] = [
        ("Class", ""),
        *(f"p{100 * f:.0f}" for f in FRACTIONS),
        ("0 to 100 %", "range"),
    ]
    rows = [
        [
            one.label or "(nothing found)",
            *(said(n, MODEL_CLASS["quantiles"].unit) for n in one.quantiles or ()),
            html.Td(_range(one.quantiles or ()), className="range"),
        ]
        for one in known
    ]
    return table("Quantiles of confidence by class", heads, rows)


def _range(quantiles: Sequence[float]) -> Markup:
    low, first, middle, third, high = (f"{100 * n:.1f}%" for n in quantiles)
    edges = {"--low": low, "--first": first, "--middle": middle, "--third": third, "--high": high}
    return html.Span(className="box", style=edges, **UNHEARD)


def confidence_rows(_: Question, found: Sequence[ClassStats]) -> Rows:
    """A line per class."""
    yield ["predicted_class", *(f"p{100 * fraction:.0f}" for fraction in FRACTIONS)]
    for one in found:
        yield [one.label, *(one.quantiles or NOT_KNOWN)]


# --- values -------------------------------------------------------------------------------


def find_values(look: Look) -> list[Spread]:
    """What a regressor predicted: minimum, quartiles and maximum of each bucket."""
    return spreads(look.conn, of_model(look))


def show_values(question: Question, found: Sequence[Spread]) -> Part | None:
    """The median within the middle half and the extremes."""
    if not found:
        return None
    return charts.spread(
        "Predicted values over time: extremes, quartiles and median",
        question,
        [one.start for one in found],
        [one.quantiles for one in found],
    )


def value_rows(_: Question, found: Sequence[Spread]) -> Rows:
    """A line per bucket that holds a value."""
    yield ["startTime", "endTime", "n", "min", "q1", "median", "q3", "max"]
    for one in found:
        yield [written(one.start), written(one.end), one.n, *one.quantiles]


OF_VOLUME = of_window(Counted.PREDICTION)
OF_LATENCY = of_all(OF_VOLUME, of_stats(Counted.LATENCY))
OF_CLASSES = of_stats(Counted.SCORE)
OF_VALUES = of_window(Counted.SCORE)
VOLUME = Panel("volume", "Predictions over time", find_load, show_volume, load_rows, OF_VOLUME)
LATENCY = Panel("latency", "Latency", find_latency, show_latency, latency_rows, OF_LATENCY)
STATS = Panel("stats", "Inference stats", find_stats, show_stats, stats_rows, OF_CLASSES)
VALUES = Panel("values", "Predicted values", find_values, show_values, value_rows, OF_VALUES)
CONFIDENCE = Panel(
    "confidence", "Confidence", find_stats, show_confidence, confidence_rows, OF_CLASSES
)
