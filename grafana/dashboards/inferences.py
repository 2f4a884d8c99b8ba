"""Inference stats: a period and the preceding one, per class, and latency over time."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.dashboards.parts import (
    WINDOW,
    Panel,
    board,
    buckets,
    interval,
    model,
    number,
    over_time,
    rows,
    workspace,
)

NAMED = "${workspace:sqlstring}, " + WINDOW + ", ARRAY[${model:sqlstring}]"
TOTALS = f"truthline.inference_totals({NAMED})"


def inferences() -> Dashboard:
    """Build it."""
    return board(
        "inferences",
        "Truthline: inference stats",
        "Requests, confidence and latency of a model, compared with the preceding period of equal"
        " length.",
        [workspace(), *model(), interval()],
        [*_numbers(), _volume(), _latency(), _classes(), _confidence()],
    )


def _numbers() -> list[Panel]:
    about = "In this period and in the one before, of all models of that name"
    rate = "{p}n_errors / nullif({p}n_errors + {p}n_inferences, 0)::float8"
    return [
        number(
            "Inferences",
            f'SELECT n_inferences AS "now", prev_n_inferences AS "before" FROM {TOTALS}',
            about=about,
        ),
        number(
            "Failed requests",
            f'SELECT {rate.format(p="")} AS "now", {rate.format(p="prev_")} AS "before"'
            f" FROM {TOTALS}",
            unit="percentunit",
            about=about,
        ),
        number(
            "Mean confidence",
            f'SELECT confidence AS "now", prev_confidence AS "before" FROM {TOTALS}',
            unit="percentunit",
            about=about,
        ),
        number(
            "Mean latency",
            f'SELECT latency AS "now", prev_latency AS "before" FROM {TOTALS}',
            unit="s",
            about=about,
        ),
    ]


def _volume() -> Panel:
    return over_time(
        "Requests",
        f"""
    SELECT bucket_start AS "time", n AS "answered", n_failed AS "failed"
    FROM {buckets("prediction_volume")}
    ORDER BY 1
    """,
        bars=True,
    )


def _latency() -> Panel:
    return over_time(
        "Latency",
        f"""
    SELECT bucket_start AS "time", quantiles[1] AS "p50", quantiles[2] AS "p95",
           quantiles[3] AS "p99"
    FROM {buckets("quantiles", "'latency'", "'{0.5,0.95,0.99}'")}
    ORDER BY 1
    """,
        unit="s",
        about="Exact quantiles, of requests that say how long they took",
    )


def _classes() -> Panel:
    return rows(
        "Classes",
        f"""
    SELECT label, namespace, pipeline, n_inferences AS "inferences",
           prev_n_inferences AS "inferences before",
           (n_inferences - prev_n_inferences) / nullif(prev_n_inferences, 0)::float8 AS "change",
           confidence, prev_confidence AS "confidence before", quantiles[1] AS "median confidence",
           latency, prev_latency AS "latency before"
    FROM truthline.inference_stats({NAMED})
    """,
        about="Inferences with the class among their outputs; means are per output",
        width=24,
        units={
            "change": "percentunit",
            "confidence": "percentunit",
            "confidence before": "percentunit",
            "median confidence": "percentunit",
            "latency": "s",
            "latency before": "s",
        },
    )


def _confidence() -> Panel:
    return over_time(
        "Median confidence of each class",
        f"""
    SELECT bucket_start AS "time", label AS metric, quantiles[1] AS "median"
    FROM {buckets("quantiles", "'confidence'", "'{0.5}'")}
    ORDER BY 1, 2
    """,
        unit="percentunit",
        within=(0.0, 1.0),
        width=24,
    )
