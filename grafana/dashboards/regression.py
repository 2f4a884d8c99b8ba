"""A regressor: its errors over time, its values, and its versions."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from app.query.measure import Better, Measure, Surface, Unit, shown_in
from app.query.measures import REGRESSION
from grafana.dashboards.parts import (
    Panel,
    board,
    buckets,
    compared,
    drifted,
    interval,
    model,
    number,
    of_model,
    of_versions,
    over_time,
    titled,
    truths,
    unit_of,
    with_interval,
    workspace,
)

METRICS = of_model("regression_metrics")
SHOWN = shown_in(Surface.DASHBOARDS, REGRESSION)
ERRORS = [one for one in SHOWN if one.unit is Unit.OWN and one.better is Better.DOWN]
BIAS, R2, MAPE = (
    REGRESSION[name] for name in ("mean_error", "r2", "mean_absolute_percentage_error")
)


def regression() -> Dashboard:
    """Build it."""
    return board(
        "regression",
        "Truthline: regression",
        "A regressor: errors, bias and R2 over time, the values it predicts, versions. Errors and"
        " values are in the model's own unit.",
        [workspace(), *model("regression"), interval()],
        [
            *_numbers(),
            _errors(),
            with_interval(REGRESSION["mean_absolute_error"], "regression_metrics"),
            compared(SHOWN),
            drifted("Predicted values: drift from the period before", "value"),
            _bias(),
            _share(),
            truths("regression_metrics"),
            _values(),
            _versions(),
        ],
        annotated=True,
    )


def _numbers() -> list[Panel]:
    return [
        *(_number(measure) for measure in ERRORS),
        _number(R2, decimals=3),
        number("Truths", f"SELECT n FROM {METRICS}", about="Predictions whose truth is known"),
    ]


def _number(measure: Measure, decimals: int | None = None) -> Panel:
    sql = f"SELECT {measure.column_name} FROM {METRICS}"
    return number(
        measure.title, sql, unit=unit_of(measure), about=measure.meaning, decimals=decimals
    )


def _errors() -> Panel:
    return over_time(
        "Errors",
        f"""
    SELECT bucket_start AS "time",
           {titled(ERRORS)}
    FROM {buckets("regression_metrics")}
    ORDER BY 1
    """,
    )


def _bias() -> Panel:
    return over_time(
        BIAS.label,
        f"""
    SELECT bucket_start AS "time", {titled([BIAS])}
    FROM {buckets("regression_metrics")}
    ORDER BY 1
    """,
        about="Mean of predicted minus actual: above zero where predictions are too high",
    ).axis_centered_zero(True)


def _share() -> Panel:
    return over_time(
        f"{R2.title} and {MAPE.title.lower()}",
        f"""
    SELECT bucket_start AS "time", {titled([R2])}, {titled([MAPE])}
    FROM {buckets("regression_metrics")}
    ORDER BY 1
    """,
        unit=unit_of(MAPE),
    )


def _values() -> Panel:
    return over_time(
        "Predicted values",
        f"""
    SELECT bucket_start AS "time", quantiles[1] AS "minimum", quantiles[2] AS "lower quartile",
           quantiles[3] AS "median", quantiles[4] AS "upper quartile", quantiles[5] AS "maximum"
    FROM {buckets("quantiles", "'value'", "'{0,0.25,0.5,0.75,1}'")}
    ORDER BY 1
    """,
        about="Exact quartiles",
    )


def _versions() -> Panel:
    return over_time(
        "Root mean squared error of each version",
        f"""
    SELECT m.bucket_start AS "time", s.version AS metric, m.root_mean_squared_error AS "RMSE"
    FROM {of_versions("regression_metrics")}
    ORDER BY 1, 2
    """,
    )
