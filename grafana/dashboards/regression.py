"""A regressor: its errors over time, its values, and its versions."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.dashboards.parts import (
    Panel,
    board,
    buckets,
    interval,
    model,
    number,
    of_model,
    of_versions,
    over_time,
    truths,
    workspace,
)

METRICS = of_model("regression_metrics")


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
            _bias(),
            _share(),
            truths("regression_metrics"),
            _values(),
            _versions(),
        ],
    )


def _numbers() -> list[Panel]:
    return [
        number("Mean absolute error", f"SELECT mean_absolute_error FROM {METRICS}"),
        number("Root mean squared error", f"SELECT root_mean_squared_error FROM {METRICS}"),
        number("R2", f"SELECT r2 FROM {METRICS}", decimals=3),
        number("Truths", f"SELECT n FROM {METRICS}", about="Predictions whose truth is known"),
    ]


def _errors() -> Panel:
    return over_time(
        "Errors",
        f"""
    SELECT bucket_start AS "time", mean_absolute_error AS "MAE", root_mean_squared_error AS "RMSE"
    FROM {buckets("regression_metrics")}
    ORDER BY 1
    """,
    )


def _bias() -> Panel:
    return over_time(
        "Bias",
        f"""
    SELECT bucket_start AS "time", mean_error AS "mean error"
    FROM {buckets("regression_metrics")}
    ORDER BY 1
    """,
        about="Mean of predicted minus actual: above zero where predictions are too high",
    ).axis_centered_zero(True)


def _share() -> Panel:
    return over_time(
        "R2 and mean absolute percentage error",
        f"""
    SELECT bucket_start AS "time", r2 AS "R2", mean_absolute_percentage_error AS "MAPE"
    FROM {buckets("regression_metrics")}
    ORDER BY 1
    """,
        unit="percentunit",
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
