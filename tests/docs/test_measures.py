"""Every surface has the measures of the registry: a measure missing anywhere fails here.

Schemas, pages and CSV are made from the registry; the rest is compared with it, both ways.
"""

import json
import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

import pytest
import truthline
from sqlalchemy import text
from truthline.plots.buckets import CLASSIFICATION as STYLES
from truthline.plots.buckets import ERRORS, SQUARED

from app.api.native import inferences as stats_routes
from app.api.native import metrics as routes
from app.api.native import scores as score_routes
from app.api.native import steps as steps_routes
from app.api.native.numbers import QUANTILES
from app.query import classification, health, inferences, models, regression, scores, steps
from app.query import measures as registry
from app.query.measure import Better, Method, Surface, Unit, shown_in, with_interval
from app.query.window import Grid, Window
from app.store.registry import Kind
from app.web.comparison import Pair
from app.web.quality import Quality, over_time_rows
from grafana.dashboards.__main__ import written

DAY = Window(datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 2, tzinfo=UTC))
PAGE = (Path(__file__).parents[2] / "docs/metrics.md").read_text()
HEAD = "| metric | name | definition | unit | better |"
BETTER = {Better.UP: "higher", Better.DOWN: "lower", Better.NEITHER: ""}


@dataclass(frozen=True)
class Subject:
    """Where the measures of a table appear; None where a surface has nothing of the kind."""

    measures: registry.Measures
    result: type
    function: str
    schema: type | None = None
    client: type | None = None


SUBJECTS = {
    "classification": Subject(
        registry.TRUTHS | registry.CLASSIFICATION,
        classification.ClassificationBucket,
        "classification_metrics",
        routes.ClassificationBucketSchema,
        truthline.ClassificationBucket,
    ),
    "class": Subject(
        registry.CLASS,
        classification.ClassMetrics,
        "class_metrics",
        routes.ClassMetricsSchema,
        truthline.ClassMetrics,
    ),
    "regression": Subject(
        registry.TRUTHS | registry.REGRESSION,
        regression.RegressionBucket,
        "regression_metrics",
        routes.RegressionBucketSchema,
        truthline.RegressionBucket,
    ),
    "scores": Subject(
        registry.SCORES,
        scores.ScoreBucket,
        "score_metrics",
        score_routes.ScoreBucketSchema,
        truthline.ScoreBucket,
    ),
    "totals": Subject(
        registry.TOTALS,
        inferences.Totals,
        "inference_totals",
        stats_routes.TotalsSchema,
        truthline.Totals,
    ),
    "model": Subject(
        registry.MODEL,
        inferences.ModelStats,
        "model_stats",
        stats_routes.ModelStatsSchema,
        truthline.ModelStats,
    ),
    "class of a model": Subject(
        registry.MODEL_CLASS,
        inferences.ClassStats,
        "inference_stats",
        stats_routes.SeenClassSchema,
        truthline.ClassStats,
    ),
    "known model": Subject(
        registry.KNOWN_MODEL,
        models.KnownModel,
        "models",
        stats_routes.KnownModelSchema,
        truthline.KnownModel,
    ),
    "requests": Subject(
        registry.REQUESTS, health.RequestBucket, "prediction_volume", client=truthline.HealthBucket
    ),
    "step metric over time": Subject(
        registry.STEPS, steps.StepBucket, "step_metric_over_time", steps_routes.StepBucketSchema
    ),
    "step metric by execution": Subject(
        registry.STEPS,
        steps.ExecutionSummary,
        "step_metric_by_execution",
        steps_routes.StepExecutionSchema,
    ),
}
# What names, places or lists something, and measures nothing.
NO_MEASURES = {
    *("start", "end", "start_time", "end_time", "bucket_start", "bucket_end"),
    *("namespace", "pipeline", "model", "name", "full_name", "kind", "label", "execution"),
    *("deployment", "deployments", "versions", "deployment_types", "server_versions"),
    *("positive", "positive_class"),  # the same in every bucket
    *("first_seen", "last_seen", "first_recorded_at", "last_recorded_at"),
    *("classes", "total_classes", "model_classes", "categories", "matrix", "confusion_matrix"),
    "intervals",  # of other numbers; their names are compared with these below
    *("model_inferences", "n_model_inferences"),  # those of the model, repeated for each class
}
# Numbers of a bucket that come from its predictions, not from its truths.
OF_PREDICTIONS = {"predictions", "labelled_share"}
every_subject = pytest.mark.parametrize("subject", SUBJECTS.values(), ids=SUBJECTS)


def snake(name):
    return re.sub(r"[A-Z]", lambda match: f"_{match[0].lower()}", name)


def names_in(subject, surface, name):
    return {getattr(measure, name) for measure in shown_in(surface, subject.measures)}


@every_subject
def test_the_result_of_the_query_function_has_each(subject):
    computed = {name for name, one in vars(subject.result).items() if isinstance(one, property)}
    own = {field.name for field in fields(subject.result)} | computed

    assert own - NO_MEASURES - OF_PREDICTIONS == set(subject.measures) - OF_PREDICTIONS


@every_subject
def test_the_schema_of_the_api_has_each_under_its_name_with_its_meaning(subject):
    if subject.schema is None:
        assert not shown_in(Surface.REST, subject.measures)
        return
    documented = {
        field.data_key or name: field.metadata.get("description")
        for name, field in subject.schema().fields.items()
        if snake(field.data_key or name) not in NO_MEASURES
    }

    assert documented == {
        measure.wire_name: measure.meaning for measure in shown_in(Surface.REST, subject.measures)
    }


@every_subject
def test_the_client_has_each(subject):
    if subject.client is None:
        return  # step metrics: the client has Craft AI's functions
    own = {field.name for field in fields(subject.client)}

    assert own - NO_MEASURES == names_in(subject, Surface.CLIENT, "client_name")


@every_subject
def test_the_function_by_name_has_each(database, subject):
    with database.reading() as conn:
        columns = set(conn.execute(COLUMNS, {"function": subject.function}).scalars())

    own = {column.removeprefix("prev_") for column in columns} - NO_MEASURES
    bounds = {column for column in own if column.endswith(("_low", "_high"))}
    assert own - bounds == names_in(subject, Surface.SQL, "column_name")
    assert bounds == {
        f"{measure.column_name}_{bound}"
        for measure in with_interval(Surface.SQL, subject.measures)
        for bound in ("low", "high")
    }


INTERVALS = {
    "classification": (routes.ClassificationIntervalsSchema, truthline.ClassificationIntervals),
    "class": (routes.ClassIntervalsSchema, truthline.ClassIntervals),
    "regression": (routes.RegressionIntervalsSchema, truthline.RegressionIntervals),
    "scores": (score_routes.ScoreIntervalsSchema, truthline.ScoreIntervals),
}


@pytest.mark.parametrize("name", INTERVALS)
def test_the_api_and_the_client_have_the_interval_of_each(name):
    schema, client = INTERVALS[name]
    measures = SUBJECTS[name].measures

    on_wire = {field.data_key or name for name, field in schema().fields.items()}
    assert on_wire == {m.wire_name for m in with_interval(Surface.REST, measures)}
    assert {field.name for field in fields(client)} == {
        m.client_name for m in with_interval(Surface.CLIENT, measures)
    }


@every_subject
def test_the_page_of_metrics_names_the_method_of_each_interval(subject):
    section = PAGE.split("## Confidence intervals")[1].split("\n## ")[0]
    stated = {
        cells[0]: cells[1]
        for line in section.splitlines()
        if line.startswith("| `") and len(cells := line.strip("| ").split(" | ")) == 2
    }
    missing = [
        measure.name
        for measure in subject.measures.values()
        if measure.interval
        and _method(measure)
        not in [text for name, text in stated.items() if _name(measure) in name]
    ]
    assert missing == []


def _method(measure):
    return measure.interval.value


def test_every_method_of_an_interval_is_that_of_a_measure():
    used = {m.interval for subject in SUBJECTS.values() for m in subject.measures.values()}

    assert used == {None, *Method}


COLUMNS = text("""
    SELECT argument.name
    FROM pg_proc, unnest(proargnames, proargmodes) AS argument (name, mode)
    WHERE pronamespace = 'truthline'::regnamespace AND proname = :function
      AND proargtypes[0] = 'text'::regtype AND argument.mode = 't'
""")


@every_subject
def test_a_dashboard_shows_each(subject):
    boards = [json.loads(board) for board in written().values()]
    queries = [
        target["rawSql"]
        for board in boards
        for panel in board["panels"]
        for target in panel["targets"]
    ]
    asked = " ".join(sql for sql in queries if f"truthline.{subject.function}(" in sql)

    shown = set(re.findall(r"\w+", asked))
    in_sql = shown_in(Surface.SQL, subject.measures)
    missing = [
        measure.column_name
        for measure in shown_in(Surface.DASHBOARDS, subject.measures)
        if measure in in_sql and measure.column_name not in shown
    ]
    assert missing == []


@every_subject
def test_the_page_of_metrics_defines_each(subject):
    missing = [row for row in map(row_of, subject.measures.values()) if row not in PAGE]

    assert not missing, "\n".join(["docs/metrics.md lacks", *missing])


def test_the_page_of_metrics_defines_nothing_else():
    tables = PAGE.split(HEAD)[1:]
    rows = [row for table in tables for row in table.split("\n\n")[0].strip().splitlines()[1:]]

    known = {row_of(m) for subject in SUBJECTS.values() for m in subject.measures.values()}
    assert [row for row in rows if row not in known] == []


def row_of(measure):
    """A measure as a row of a table of docs/metrics.md."""
    title = measure.title + (f" ({measure.short})" if measure.short else "")
    meaning = measure.meaning.replace("|", r"\|")
    cells = (title, _name(measure), meaning, measure.unit.value, BETTER[measure.better])
    return f"| {' | '.join(cells)} |"


def _name(measure):
    on_wire = {Surface.REST, Surface.CLIENT} - measure.left_out
    if Surface.REST in on_wire:
        return f"`{measure.wire_name}`"
    return f"`{measure.client_name}`" if on_wire else f"`{measure.column_name}`"


@pytest.mark.parametrize("kind", registry.OF_KIND)
def test_the_csv_of_a_page_has_each(kind):
    (heads,) = over_time_rows(None, Quality(kind, [], Grid(), Pair(DAY, before=None)))

    measures = registry.TRUTHS | registry.OF_KIND[kind]
    assert set(heads) - {"startTime", "endTime"} == {
        measure.name for measure in shown_in(Surface.PAGES, measures)
    }


@pytest.mark.parametrize("kind", Kind)
def test_leading_metrics_are_metrics(kind):
    assert set(registry.LEADING.get(kind, ())) <= set(registry.OF_KIND.get(kind, {}))


def test_figures_of_the_client_call_a_metric_what_it_is_called():
    styles = {style.metric: style.name for style in (*STYLES, *ERRORS, *SQUARED)}
    measures = registry.CLASSIFICATION | registry.REGRESSION

    assert styles == {name: measures[name].title for name in styles}
    fractions = [
        m for m in shown_in(Surface.CLIENT, registry.CLASSIFICATION) if m.unit is Unit.SHARE
    ]
    assert {one.name for one in fractions} == {style.metric for style in STYLES}


def test_quantiles_of_the_client_are_those_of_the_api():
    assert [field.name for field in fields(truthline.Quantiles)] == list(QUANTILES)


@every_subject
def test_a_definition_is_a_sentence_without_full_stop(subject):
    for measure in subject.measures.values():
        assert measure.title
        assert not measure.meaning.endswith(".")
        assert not measure.null.startswith("null")
