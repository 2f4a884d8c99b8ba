"""Step metrics: what training pipelines measured, over time and per execution."""

from grafana_foundation_sdk.builders import common, trend
from grafana_foundation_sdk.builders.dashboard import QueryVariable
from grafana_foundation_sdk.models.common import LegendDisplayMode, LegendPlacement
from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.dashboards.parts import (
    GRID,
    IN_WORKSPACE,
    SOURCE,
    WINDOW,
    Panel,
    Query,
    board,
    choice,
    interval,
    over_time,
    rows,
    workspace,
)

W = "${workspace:sqlstring}"
OF_PIPELINE = f"{IN_WORKSPACE} AND pipeline = coalesce(${{pipeline:sqlstring}}, pipeline)"


def steps() -> Dashboard:
    """Build it."""
    return board(
        "steps",
        "Truthline: step metrics",
        "What executions recorded of themselves: scalars over time and side by side, lists as"
        " curves.",
        [workspace(), *_variables(), interval()],
        [_scalar_over_time(), _by_execution(), _curve(), _list_over_time(), _all()],
        since="now-7d",
    )


def _variables() -> list[QueryVariable]:
    names = f"SELECT DISTINCT name FROM truthline.step_metrics WHERE {OF_PIPELINE}"
    return [
        choice(
            "pipeline",
            "Pipeline",
            f"SELECT DISTINCT pipeline FROM truthline.step_metrics WHERE {IN_WORKSPACE} ORDER BY 1",
            optional=True,
        ),
        choice("scalar", "Scalar", f"{names} AND NOT is_list ORDER BY 1"),
        choice("list", "List", f"{names} AND is_list ORDER BY 1"),
        choice(
            "execution",
            "Execution",
            f"SELECT execution FROM truthline.step_metrics WHERE {OF_PIPELINE} AND is_list"
            " AND name = ${list:sqlstring} ORDER BY recorded_at DESC",
        ),
    ]


def _over_time(name: str, *more: str) -> str:
    arguments = [W, f"${{{name}:sqlstring}}", WINDOW, "width => '$interval'", GRID]
    arguments += ["pipeline => ${pipeline:sqlstring}", *more]
    return f"""
    SELECT bucket_start AS "time", mean AS "mean", minimum AS "minimum", maximum AS "maximum",
           last AS "last"
    FROM truthline.step_metric_over_time({", ".join(arguments)})
    ORDER BY 1
    """


def _scalar_over_time() -> Panel:
    return over_time(
        "$scalar over time",
        _over_time("scalar"),
        about="Of all executions of the pipeline, in the bucket in which it was recorded",
    )


def _list_over_time() -> Panel:
    return over_time("$list over time", _over_time("list", "lists => true"))


def _by_execution() -> Panel:
    return rows(
        "$scalar of the last executions",
        f"""
    SELECT execution, pipeline, last, n, mean, minimum, maximum, last_recorded_at
    FROM truthline.step_metric_by_execution({W}, ${{scalar:sqlstring}})
    WHERE pipeline = coalesce(${{pipeline:sqlstring}}, pipeline)
      AND last_recorded_at >= $__timeFrom() AND first_recorded_at < $__timeTo()
    ORDER BY first_recorded_at DESC LIMIT 100
    """,
        about="As they stand now: of those that recorded it in this period, at most a hundred",
    )


def _curve() -> trend.Panel:
    return (
        trend.Panel()
        .title("$list of $execution")
        .description("All values of the list, in the order in which they were appended")
        .datasource(SOURCE)
        .span(12)
        .height(8)
        .x_field("place")
        .legend(
            common.VizLegendOptions()
            .display_mode(LegendDisplayMode.LIST)
            .placement(LegendPlacement.BOTTOM)
            .show_legend(True)
            .calcs([])
        )
        .with_target(
            Query(f"""
    SELECT place, value
    FROM truthline.step_values
    WHERE {IN_WORKSPACE} AND execution = ${{execution:sqlstring}} AND name = ${{list:sqlstring}}
      AND is_list
    ORDER BY place
    """)
        )
    )


def _all() -> Panel:
    return rows(
        "All metrics as they stand",
        f"""
    SELECT execution, pipeline, deployment, name, is_list AS "list", n_values AS "values",
           value AS "last value", recorded_at
    FROM truthline.step_metrics
    WHERE {OF_PIPELINE} AND recorded_at >= $__timeFrom() AND recorded_at < $__timeTo()
    ORDER BY recorded_at DESC LIMIT 1000
    """,
        about="Those recorded in this period, the latest thousand",
        width=24,
    )
