"""All models of a workspace: volume, latency and quality, and the preceding period."""

from grafana_foundation_sdk.models.dashboard import Dashboard

from grafana.dashboards.parts import GRID, WINDOW, Panel, board, number, over_time, rows, workspace

W = "${workspace:sqlstring}"
TOTALS = f"truthline.inference_totals({W}, {WINDOW})"
STATS = f"truthline.model_stats({W}, {WINDOW}, fractions => '{{0.95}}')"
HERE = "${__url_time_range}&${workspace:queryparam}&var-model=${__data.fields.model}"
LINKS = {
    kind: [(f"{kind.capitalize()} of this model", f"/d/truthline-{kind}?{HERE}")]
    for kind in ("classification", "regression")
}
OF_EACH = """m.workspace, m.model, $__timeFrom(), $__timeTo(),
        namespace => m.namespace, pipeline => m.pipeline"""


def models() -> Dashboard:
    """Build it."""
    return board(
        "models",
        "Truthline: models",
        "All models of a workspace: inferences, errors, latency and headline metrics, compared"
        " with the preceding period of equal length.",
        [workspace()],
        [*_numbers(), _inferences(), _errors(), _stats(), _classifiers(), _regressors()],
    )


def _numbers() -> list[Panel]:
    rate = "{p}n_errors / nullif({p}n_errors + {p}n_inferences, 0)::float8"
    return [
        number(
            "Inferences",
            f'SELECT n_inferences AS "now", prev_n_inferences AS "before" FROM {TOTALS}',
            about="Requests that were answered, in this period and in the one before",
        ),
        number(
            "Failed requests",
            f'SELECT {rate.format(p="")} AS "now", {rate.format(p="prev_")} AS "before"'
            f" FROM {TOTALS}",
            unit="percentunit",
            about="Failed requests per request",
        ),
        number(
            "Mean latency",
            f'SELECT latency AS "now", prev_latency AS "before" FROM {TOTALS}',
            unit="s",
            about="Mean over outputs, each with its request's latency",
        ),
        number(
            "Known models",
            f'SELECT count(*) FILTER (WHERE n_inferences + n_errors > 0) AS "busy",'
            f' count(*) AS "known" FROM truthline.models({W}, {WINDOW})',
            about="Models with requests in this period, and all that are known",
        ),
    ]


BUSIEST = f"""(
        SELECT namespace, pipeline, model FROM truthline.model_stats({W}, {WINDOW})
        ORDER BY n_inferences + n_errors DESC LIMIT 10
    ) AS m"""
VOLUME = f"""truthline.prediction_volume(
        {W}, m.model, $__timeFrom(), $__timeTo(), width => '$__interval',
        namespace => m.namespace, pipeline => m.pipeline, {GRID}) AS v"""


def _inferences() -> Panel:
    return over_time(
        "Inferences of the ten busiest models",
        f"""
    SELECT v.bucket_start AS "time", m.model AS metric, v.n AS "inferences"
    FROM {BUSIEST}
    CROSS JOIN LATERAL {VOLUME}
    ORDER BY 1, 2
    """,
        bars=True,
    )


def _errors() -> Panel:
    return over_time(
        "Failed requests of the ten busiest models",
        f"""
    SELECT v.bucket_start AS "time", m.model AS metric,
           v.n_failed / nullif(v.n + v.n_failed, 0)::float8 AS "error rate"
    FROM {BUSIEST}
    CROSS JOIN LATERAL {VOLUME}
    ORDER BY 1, 2
    """,
        unit="percentunit",
    )


def _stats() -> Panel:
    return rows(
        "Models, the busiest first",
        f"""
    SELECT model, namespace, pipeline, n_inferences AS "inferences",
           (n_inferences - prev_n_inferences) / nullif(prev_n_inferences, 0)::float8 AS "change",
           n_errors AS "errors",
           n_errors / nullif(n_errors + n_inferences, 0)::float8 AS "error rate",
           latency AS "mean latency", prev_latency AS "mean latency before",
           quantiles[1] AS "latency p95"
    FROM {STATS}
    """,
        about="Of each model; change is against the period of equal length just before",
        width=24,
        units={
            "change": "percentunit",
            "error rate": "percentunit",
            "mean latency": "s",
            "mean latency before": "s",
            "latency p95": "s",
        },
    )


def _classifiers() -> Panel:
    return rows(
        "Classifiers",
        f"""
    SELECT m.model, m.namespace, m.pipeline, a.n AS "truths", a.accuracy, a."precision", a.recall,
           a.f1
    FROM truthline.models AS m
    CROSS JOIN LATERAL truthline.classification_metrics(
        {OF_EACH}) AS a
    WHERE m.workspace = {W} AND m.kind = 'classification'
    ORDER BY a.accuracy, m.model
    """,
        about="Macro averages over the period, the least accurate first",
        units=dict.fromkeys(["accuracy", "precision", "recall", "f1"], "percentunit"),
        links={"model": LINKS["classification"]},
    )


def _regressors() -> Panel:
    return rows(
        "Regressors",
        f"""
    SELECT m.model, m.namespace, m.pipeline, a.n AS "truths", a.mean_absolute_error AS "MAE",
           a.root_mean_squared_error AS "RMSE", a.mean_error AS "bias", a.r2 AS "R2"
    FROM truthline.models AS m
    CROSS JOIN LATERAL truthline.regression_metrics(
        {OF_EACH}) AS a
    WHERE m.workspace = {W} AND m.kind = 'regression'
    ORDER BY a.r2, m.model
    """,
        about="Errors in each model's own unit",
        links={"model": LINKS["regression"]},
    )
