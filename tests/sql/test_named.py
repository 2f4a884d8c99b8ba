"""Functions by name pass their arguments on: their results equal those of functions by id."""

from datetime import UTC, datetime, timedelta

import pytest
from psycopg.errors import AmbiguousAlias
from psycopg.sql import SQL, Composable, Identifier, Literal

from app.query.measure import Surface, shown_in, with_interval
from app.query.measures import CLASS, CLASSIFICATION, REGRESSION
from tests.sql.near import near

ASKED = {
    "width": "3 hours",
    "origin": datetime(2000, 1, 3, 1, 7, tzinfo=UTC),
    "zone": "Europe/Paris",
}
PARTS = [{}, {"version": "v2"}, {"version": "v9"}, {"deployment": ""}, {"deployment": "other"}]


@pytest.fixture
def window(demo):
    return {"start_time": demo.start + timedelta(minutes=7), "end_time": demo.end}


OF_WINDOW = {"start_time", "end_time", "width", "origin", "zone"}


def called(schema, function, arguments):
    """A call with named arguments, of which some may be SQL."""
    given = {n: v if isinstance(v, Composable) else Literal(v) for n, v in arguments.items()}
    named = [SQL("{} => {}").format(Identifier(n), v) for n, v in given.items()]
    return SQL("{}({})").format(Identifier(schema, function), SQL(", ").join(named))


@pytest.fixture
def ask(superuser):
    """The rows of a function by name, called with named arguments."""

    def ask(function, columns="*", **arguments):
        call = called("truthline", function, arguments)
        return superuser.execute(SQL("SELECT {} FROM {}").format(SQL(columns), call)).fetchall()

    return ask


@pytest.fixture
def ask_by_id(superuser):
    """The rows of a function by id, whose edges are those of the window that is given in parts."""

    def ask(function, columns="*", **arguments):
        window = {name: arguments.pop(name) for name in OF_WINDOW & arguments.keys()}
        edges = called("truthline_internal", "edges", window)
        call = called(
            "truthline_internal", function, {"as_of": "infinity", "edges": edges} | arguments
        )
        return superuser.execute(SQL("SELECT {} FROM {}").format(SQL(columns), call)).fetchall()

    return ask


@pytest.fixture
def series(superuser):
    """The ids of the digits' series, of a version or a deployment."""

    def series(version=None, deployment=None):
        found = superuser.execute(
            """SELECT s.id FROM truthline_data.series AS s
               JOIN truthline_data.model AS m ON m.id = s.model_id
               WHERE m.name = 'digits' AND s.version = coalesce(%s, s.version)
                 AND s.deployment = coalesce(%s, s.deployment)""",
            [version, deployment],
        )
        return [id_ for (id_,) in found]

    return series


@pytest.mark.parametrize("part", PARTS, ids=str)
@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
def test_classification(ask, ask_by_id, series, window, demo, part, average):
    metrics = [f'"{one.column_name}"' for one in shown_in(Surface.SQL, CLASSIFICATION)]
    columns = ", ".join(["bucket_start", "bucket_end", "n", *metrics])
    asked = window | ASKED | {"as_of": demo.end - timedelta(hours=1), "average": average}
    named = {"workspace": "default", "model": "digits"} | part

    by_name = ask("classification_metrics", columns, **named, **asked)
    by_id = ask_by_id("classification_metrics", columns, series=series(**part), **asked)
    # 5 hours and 53 minutes, in buckets of three hours that begin where the clock puts them
    assert len(by_name) == len(by_id)
    assert len(by_name) in (2, 3)
    for one, other in zip(by_name, by_id, strict=True):
        assert one[:3] == other[:3]
        assert list(one[3:]) == [near(number) for number in other[3:]]


@pytest.mark.parametrize("place", [{}, {"namespace": "demo"}, {"pipeline": "diabetes-pipeline"}])
def test_regression(ask, ask_by_id, superuser, window, place):
    ids = superuser.execute("SELECT truthline.series_of('default', 'diabetes')").fetchone()[0]
    named = {"workspace": "default", "model": "diabetes"} | place | window | ASKED
    metrics = ["bucket_start", "bucket_end", "n", *REGRESSION]
    by_id = ask_by_id("regression_metrics", series=ids, **window, **ASKED)
    assert ask("regression_metrics", ", ".join(metrics), **named) == by_id


INTERVALS = {"classification": CLASSIFICATION, "class": CLASS, "regression": REGRESSION}


def test_no_confidence_no_bounds(ask, window):
    for name, measures in INTERVALS.items():
        columns = [
            f"{m.column_name}_{bound}"
            for m in with_interval(Surface.SQL, measures)
            for bound in ("low", "high")
        ]
        model = "diabetes" if name == "regression" else "digits"
        rows = ask(
            f"{name}_metrics", ", ".join(columns), workspace="default", model=model, **window
        )
        assert {bound for row in rows for bound in row} == {None}


@pytest.mark.parametrize("average", ["macro", "weighted", "micro"])
def test_bounds_of_classifiers_are_those_of_the_api(bounds_of, answer, average):
    by_name = bounds_of("classification", "digits", average=average)
    of_classes = bounds_of("class", "digits")
    named = {"namespace": "demo", "pipeline": "digits-pipeline", "model": "digits"}
    asked = named | {"average": average, "confidence": 0.9, "interval": "3h"}
    buckets = answer("metrics/classification", **asked)["buckets"]

    assert by_name == [intervals_of(bucket, CLASSIFICATION) for bucket in buckets]
    assert of_classes == [
        intervals_of(one, CLASS) for bucket in buckets for one in bucket["classes"]
    ]
    assert any(intervals["f1"] is not None for intervals in by_name)


def test_bounds_of_regressors_are_those_of_the_api(bounds_of, answer):
    by_name = bounds_of("regression", "diabetes")
    named = {"namespace": "demo", "pipeline": "diabetes-pipeline", "model": "diabetes"}
    buckets = answer("metrics/regression", **named, confidence=0.9, interval="3h")["buckets"]

    assert by_name == [intervals_of(bucket, REGRESSION) for bucket in buckets]
    assert any(None not in intervals.values() for intervals in by_name)


@pytest.fixture
def bounds_of(ask, period):
    """The intervals of each row of a function by name, by the name of their metric on the wire."""

    def bounds_of(name, model, **named):
        measures = with_interval(Surface.REST, INTERVALS[name])
        columns = [f"ARRAY[{m.column_name}_low, {m.column_name}_high]" for m in measures]
        asked = {"start_time": period.start, "end_time": period.end, "width": "3 hours"}
        asked |= {"workspace": "default", "model": model, "confidence": 0.9}
        rows = ask(f"{name}_metrics", ", ".join(columns), **asked | named)
        return [
            {
                measure.name: None if None in bounds else near(bounds)
                for measure, bounds in zip(measures, row, strict=True)
            }
            for row in rows
        ]

    return bounds_of


def intervals_of(numbers, measures):
    """The intervals of a bucket or a class of the API's answer."""
    return {
        measure.name: found and [found["low"], found["high"]]
        for measure in with_interval(Surface.REST, measures)
        for found in [numbers["intervals"][measure.wire_name]]
    }


@pytest.mark.parametrize("measure", ["confidence", "latency"])
def test_quantiles(ask, ask_by_id, series, window, measure):
    asked = {"measure": measure, "fractions": [0.5, 0.95]} | window | ASKED
    by_name = ask("quantiles", "n, quantiles", workspace="default", model="digits", **asked)
    by_id = ask_by_id("quantiles", "n, quantiles", series=series(), **asked)
    assert sorted(by_name) == sorted(by_id)
    assert by_name


def test_confusion_and_classes_add_up(ask, window, demo):
    """Of buckets with truths: one without has no cells and no classes, so no rows."""
    beyond = {"end_time": demo.end + timedelta(hours=7)}  # of its last hours nothing is known
    named = {"workspace": "default", "model": "digits"} | window | beyond | ASKED
    counts = dict(ask("classification_metrics", "bucket_start, n", **named))
    known = {start: n for start, n in counts.items() if n}
    assert 2 <= len(known) <= len(counts) - 2
    for function, n in (("confusion_matrix", "n"), ("class_metrics", "support")):
        counted = ask(function, f"bucket_start, sum({n}) OVER (PARTITION BY bucket_start)", **named)
        assert dict(counted) == known


LONG_AGO = {
    "start_time": datetime(2001, 2, 3, tzinfo=UTC),
    "end_time": datetime(2001, 2, 4, tzinfo=UTC),
}
NUMBERS = {"measure": "latency", "fractions": [0.5]}


@pytest.mark.parametrize(
    ("function", "more", "counts"),
    [
        ("classification_metrics", {}, [(0,), (0,)]),
        ("regression_metrics", {}, [(0,), (0,)]),
        ("prediction_volume", {}, [(0,), (0,)]),
        ("confusion_matrix", {}, []),
        ("class_metrics", {}, []),
        ("quantiles", NUMBERS, []),
    ],
)
def test_where_nothing_is_known_buckets_have_rows_and_their_parts_have_none(
    ask, function, more, counts
):
    model = "diabetes" if function == "regression_metrics" else "digits"
    count = "support" if function == "class_metrics" else "n"
    named = {"workspace": "default", "model": model, "width": "12 hours"} | LONG_AGO | more
    assert ask(function, count, **named) == counts


def test_steps(ask):
    """Each of the optional arguments filters by the column of its name."""
    window = {"start_time": "2000-01-01", "end_time": "2100-01-01"}
    named = {"workspace": "default", "name": "accuracy"} | window
    assert ask("step_metric_over_time", "n", **named) == [(9,)]
    assert ask("step_metric_over_time", "n", execution="train-1", **named) == [(3,)]
    assert ask("step_metric_over_time", "n", execution="other", **named) == [(0,)]
    assert ask("step_metric_over_time", "n", pipeline="digits-training", **named) == [(9,)]
    assert ask("step_metric_over_time", "n", pipeline="other", **named) == [(0,)]
    assert ask("step_metric_over_time", "n", deployment="", **named) == [(9,)]
    assert ask("step_metric_over_time", "n", deployment="other", **named) == [(0,)]
    lists = {"workspace": "default", "name": "loss", "lists": True}
    assert ask("step_metric_over_time", "n", **lists, **window) == [(27,)]
    assert [row[0] for row in ask("step_metric_by_execution", "n", **lists)] == [9, 9, 9]


def test_a_name_that_two_models_have_needs_a_place(superuser):
    """A model of the same name elsewhere, in a transaction that is rolled back."""
    with superuser.transaction(force_rollback=True):
        superuser.execute(
            """INSERT INTO truthline_data.model (workspace_id, namespace, pipeline, name)
               SELECT workspace_id, 'elsewhere', pipeline, name FROM truthline_data.model
               WHERE name = 'digits'"""
        )
        found = superuser.execute(
            "SELECT truthline.series_of('default', 'digits', namespace => 'demo')"
        ).fetchone()[0]
        assert len(found) == 6  # of two versions, without tags and of two countries
        with (
            pytest.raises(AmbiguousAlias, match="there are 2 models 'digits'"),
            superuser.transaction(),
        ):
            superuser.execute("SELECT truthline.series_of('default', 'digits')")


@pytest.mark.parametrize("part", PARTS[:3], ids=str)
def test_label_delay(ask, superuser, series, window, demo, part):
    """As of a moment, and as of now, which is the default."""
    delays = SQL("'{5 minutes,1 hour,1 day}'::interval[]")
    for as_of in ({"as_of": demo.end - timedelta(hours=1)}, {}):
        named = {"workspace": "default", "model": "digits"} | part | window | as_of
        columns = "delay, until, predictions, known, possible"
        by_name = ask("label_delay", f"{columns}, share", **named, delays=delays)
        moment = {"as_of": SQL("clock_timestamp()")} | as_of
        asked = {"series": series(**part)} | window | moment | {"delays": delays}
        call = called("truthline_internal", "label_delay", asked)
        by_id = superuser.execute(SQL("SELECT {} FROM {}").format(SQL(columns), call)).fetchall()

        assert [row[2:5] for row in by_name] == [row[2:5] for row in by_id]
        assert [row[0] for row in by_name] == [
            timedelta(minutes=5),
            timedelta(hours=1),
            timedelta(days=1),
        ]
        for _, _, predictions, known, _, share in by_name:
            assert share == (known / predictions if predictions else None)
    assert part.get("version") == "v9" or any(row[3] for row in by_name)
