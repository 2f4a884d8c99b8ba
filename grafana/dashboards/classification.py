"""A classifier: how good it is over time, per class and version by version."""

from grafana_foundation_sdk.models.dashboard import Dashboard, DataTransformerConfig

from app.query.measure import Measure, Surface, Unit, shown_in
from app.query.measures import CLASS, CLASSIFICATION, SCORES, TRUTHS
from grafana.dashboards.parts import (
    Panel,
    board,
    buckets,
    columns,
    compared,
    drifted,
    interval,
    model,
    number,
    of_model,
    of_versions,
    over_time,
    rows,
    titled,
    truths,
    unit_of,
    units,
    with_interval,
    workspace,
)

METRICS = of_model("classification_metrics")
AVERAGES = shown_in(Surface.DASHBOARDS, CLASSIFICATION)
OF_A_CLASS = shown_in(Surface.DASHBOARDS, CLASS)


def classification() -> Dashboard:
    """Build it."""
    return board(
        "classification",
        "Truthline: classification",
        "A classifier: accuracy and averages over time, classes, confusion matrix, versions.",
        [workspace(), *model("classification"), interval()],
        [
            *_numbers(),
            _over_time(),
            with_interval(
                CLASSIFICATION["accuracy"],
                "classification_metrics",
                unit="percentunit",
                within=(0.0, 1.0),
            ),
            compared(AVERAGES),
            drifted("Predicted classes: drift from the period before", "predicted_label"),
            drifted("Confidence: drift from the period before", "confidence"),
            truths("classification_metrics"),
            _classes(),
            _matrix(),
            _f1_of_classes(),
            _correlation(),
            _versions(),
            _of_scores("Ranking of scores", "roc_auc", "average_precision"),
            _of_scores("Losses of scores", "log_loss", "brier_score"),
            _of_scores("Calibration over time", "calibration_error"),
            _calibration(),
            _of_scores("Truths that the class's ranking and calibration lack", "n_unranked"),
            _corrected(),
            _wrong_requests(),
        ],
        annotated=True,
    )


def _numbers() -> list[Panel]:
    return [
        _number("Accuracy", CLASSIFICATION["accuracy"]),
        _number("Macro F1", CLASSIFICATION["f1"]),
        number("Truths", f"SELECT n FROM {METRICS}", about="Predictions whose truth is known"),
        number(
            TRUTHS["labelled_share"].title,
            f"SELECT m.n / nullif(v.n, 0)::float8 AS labelled\n"
            f"FROM {METRICS} AS m,\n     {of_model('prediction_volume')} AS v",
            unit=unit_of(TRUTHS["labelled_share"]),
            about="Truths per answered request",
            decimals=1,
        ),
    ]


def _number(title: str, measure: Measure) -> Panel:
    sql = f"SELECT {measure.column_name} FROM {METRICS}"
    return number(title, sql, unit=unit_of(measure), about=measure.meaning, decimals=2)


def _fractions(title: str, sql: str) -> Panel:
    return over_time(title, sql, unit="percentunit", within=(0.0, 1.0))


def _over_time() -> Panel:
    return _fractions(
        "Accuracy and macro averages",
        f"""
    SELECT bucket_start AS "time",
           {titled(one for one in AVERAGES if one.unit is Unit.SHARE)}
    FROM {buckets("classification_metrics")}
    ORDER BY 1
    """,
    )


def _classes() -> Panel:
    return rows(
        "Classes",
        f"""
    SELECT label, {columns(OF_A_CLASS)}
    FROM {of_model("class_metrics")}
    ORDER BY f1, label
    """,
        about="One class against all others, the worst first",
        units=units(OF_A_CLASS),
    )


def _matrix() -> Panel:
    panel = rows(
        "Confusion matrix",
        f"""
    SELECT actual, predicted, n
    FROM {of_model("confusion_matrix")}
    ORDER BY 1, 2
    """,
        about="A row per true class, a column per predicted class",
    )
    pivot = {"rowField": "actual", "columnField": "predicted", "valueField": "n"}
    return panel.with_transformation(
        DataTransformerConfig(id_val="groupingToMatrix", options=pivot | {"emptyValue": "zero"})
    )


def _f1_of_classes() -> Panel:
    return _fractions(
        "F1 of each class",
        f"""
    SELECT bucket_start AS "time", label AS metric, f1
    FROM {buckets("class_metrics")}
    ORDER BY 1, 2
    """,
    )


def _correlation() -> Panel:
    measure = CLASSIFICATION["matthews_correlation"]
    return over_time(
        measure.title,
        f"""
    SELECT bucket_start AS "time", {titled([measure])}
    FROM {buckets("classification_metrics")}
    ORDER BY 1
    """,
        about=measure.meaning,
        within=(-1.0, 1.0),
    )


def _versions() -> Panel:
    return _fractions(
        "Accuracy of each version",
        f"""
    SELECT m.bucket_start AS "time", s.version AS metric, m.accuracy
    FROM {of_versions("classification_metrics")}
    ORDER BY 1, 2
    """,
    )


def _of_scores(title: str, *names: str) -> Panel:
    measures = [SCORES[name] for name in names]
    only = f"metrics => '{{{','.join(names)}}}'"
    return over_time(
        title,
        f"""
    SELECT bucket_start AS "time", {titled(measures)}
    FROM {buckets("score_metrics", only)}
    ORDER BY 1
    """,
        unit=unit_of(measures[0]),
    )


def _calibration() -> Panel:
    return rows(
        "Calibration",
        f"""
    SELECT part_start AS "from", part_end AS "to", n, mean_score, share
    FROM {of_model("calibration")}
    ORDER BY 1
    """,
        about="Scores in tenths of their range: their mean, and the share that came true",
        units={"mean_score": "percentunit", "share": "percentunit"},
    )


def _corrected() -> Panel:
    return _fractions(
        "Accuracy, and corrected for which truths are known",
        f"""
    SELECT bucket_start AS "time", accuracy AS "Accuracy", corrected AS "Corrected (estimate)",
           covered AS "Covered by truths"
    FROM {buckets("corrected_accuracy")}
    ORDER BY 1
    """,
    )


def _wrong_requests() -> Panel:
    return rows(
        "Newest wrong requests",
        f"""
    SELECT "time", request_id, version, predicted_label, actual_label, confidence, learned_at
    FROM {of_model("newest_requests", "wrong => true", "size => 50")}
    ORDER BY 1 DESC
    """,
        about="Predictions whose class differs from the truth, with when that was learned",
        units={"confidence": "percentunit"},
    )
