"""Every panel and every variable of the dashboards, asked as Grafana asks, and equal to the API.

No Grafana runs here: its macros are expanded by tests/sql/macros.py, and the queries are asked by a
role with the rights of deploy/postgres/grants.sql.
"""

import json
import re
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from psycopg.errors import UndefinedObject
from psycopg.rows import dict_row
from ruamel.yaml import YAML

from app.factory import create_app
from grafana.dashboards.__main__ import DASHBOARDS, DIRECTORY, written
from tests.api.given import keyed_client
from tests.demodata import EXECUTIONS
from tests.sql.macros import ALL, Range
from tests.sql.near import near

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/grafana.md").read_text()
GRANTS = (ROOT / "deploy/postgres/grants.sql").read_text()
ANYWHERE = {"workspace": "default", "namespace": ALL, "pipeline": ALL, "version": ALL}
CHOSEN = {
    "models": {"workspace": "default"},
    "classification": ANYWHERE | {"model": "digits", "interval": "30m"},
    "regression": ANYWHERE | {"model": "diabetes", "interval": "30m"},
    "inferences": ANYWHERE | {"model": "digits", "interval": "30m"},
    "steps": {
        "workspace": "default",
        "pipeline": ALL,
        "scalar": "accuracy",
        "list": "loss",
        "execution": "train-3",
        "interval": "15m",
    },
    "operations": {"workspace": "default"},
}
BOARDS = {build.__name__: json.loads(json.dumps(build(), cls=JSONEncoder)) for build in DASHBOARDS}
PANELS = [
    pytest.param(name, panel, id=f"{name}-{panel['title']}")
    for name, board in BOARDS.items()
    for panel in board["panels"]
]
VARIABLES = [
    pytest.param(name, variable, id=f"{name}-{variable['name']}")
    for name, board in BOARDS.items()
    for variable in board["templating"]["list"]
    if variable["type"] == "query"
]


@pytest.fixture(scope="session")
def reader(make_role, superuser, connect, analyst_role):
    """A session with the rights that Grafana's role has."""
    role = make_role(f"{analyst_role}_grafana")
    superuser.execute(GRANTS.replace("truthline_reader", role))
    superuser.execute(f"ALTER ROLE {role} SET default_transaction_read_only = on")
    with connect(role) as connection:
        connection.row_factory = dict_row
        yield connection


@pytest.fixture(scope="session")
def period(demo):
    """A day with the demo's hours; the day before it has rows too."""
    end = demo.end + timedelta(minutes=7)
    return Range(end - timedelta(days=1), end, "30m")


@pytest.fixture(scope="session")
def api(demo):
    """A client of the service over the same database."""
    return keyed_client(create_app(demo.settings, demo.database), demo.key)


@pytest.fixture
def ask(reader, period):
    """The rows of a panel, by its dashboard and title."""

    def ask(name, title, **variables):
        (panel,) = [one for one in BOARDS[name]["panels"] if one["title"] == title]
        (target,) = panel["targets"]
        asked = period.expand(target["rawSql"], CHOSEN[name] | variables)
        return reader.execute(asked).fetchall()

    return ask


@pytest.fixture
def answer(api, period):
    """What the API answers about the same range."""

    def answer(path, **parameters):
        named = {"startTime": period.start.isoformat(), "endTime": period.end.isoformat()}
        found = api.get(f"/api/v1/{path}", query_string=named | parameters)
        assert found.status_code == 200, found.text
        return found.json

    return answer


DIGITS = {"namespace": "demo", "pipeline": "digits-pipeline", "model": "digits"}
DIABETES = {"namespace": "demo", "pipeline": "diabetes-pipeline", "model": "diabetes"}
HALF_HOURS = {"interval": "30m", "align": "epoch"}


# --- as files ---------------------------------------------------------------------------------


def test_the_files_are_what_the_code_makes():
    """Run `make dashboards` after a change."""
    assert {path: path.read_text() for path in DIRECTORY.glob("*.json")} == written()


@pytest.mark.parametrize("path", sorted(DIRECTORY.glob("*.json")), ids=lambda path: path.stem)
def test_a_file_is_a_dashboard_to_the_sdk(path):
    """Reading it into the SDK's types and writing it again loses and changes nothing."""
    register_default_plugins()
    stored = json.loads(path.read_text())
    read = json.loads(json.dumps(Dashboard.from_json(stored), cls=JSONEncoder))

    assert _without_targets(read) == _without_targets(stored)


def _without_targets(board):
    """The SDK knows no queries of PostgreSQL."""
    panels = [{k: v for k, v in one.items() if k != "targets"} for one in board["panels"]]
    return board | {"panels": panels}


def test_everything_can_be_told_apart():
    assert len({board["uid"] for board in BOARDS.values()}) == len(BOARDS) == 6
    for board in BOARDS.values():
        ids = [panel["id"] for panel in board["panels"]]
        titles = [panel["title"] for panel in board["panels"]]
        assert len(set(ids)) == len(set(titles)) == len(ids)


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_a_panel_reads_the_provisioned_source(name, panel):
    sources = YAML(typ="safe", pure=True).load(
        ROOT / "grafana/provisioning/datasources/truthline.yaml"
    )["datasources"]
    named = {"type": sources[0]["type"], "uid": sources[0]["uid"]}

    assert panel["datasource"] == named
    assert [target["datasource"] for target in panel["targets"]] == [named], name


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_a_panel_reads_the_public_contract_and_groups_by_place(name, panel):
    """GROUP BY "time" would mean a column of the source of that name."""
    sql = panel["targets"][0]["rawSql"]
    assert "truthline." in sql, name
    assert "truthline_data" not in sql
    for line in sql.splitlines():
        if "GROUP BY" in line and "WITHIN" not in line:
            assert set(line.split("GROUP BY")[1]) <= set(" 0123456789,")


def test_panels_fill_rows_of_the_grid():
    for board in BOARDS.values():
        widths = {}
        for panel in board["panels"]:
            place = panel["gridPos"]
            widths[place["y"]] = widths.get(place["y"], 0) + place["w"]
        assert all(width <= 24 for width in widths.values())


# --- as queries -------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_a_panel_has_something_to_show(ask, name, panel):
    rows = ask(name, panel["title"])

    assert rows
    if panel["targets"][0]["format"] == "time_series":
        times = [row["time"] for row in rows]
        assert times == sorted(times)
        assert {type(v) for row in rows for k, v in row.items() if k not in ("time", "metric")} <= {
            int,
            float,
            type(None),
        }
    for column in rows[0]:
        assert any(row[column] is not None for row in rows), column


@pytest.mark.parametrize(
    ("name", "panel"), [panel for panel in PANELS if panel.values[0] != "operations"]
)
def test_a_panel_answers_an_analyst(analyst, period, name, panel):
    sql = period.expand(panel["targets"][0]["rawSql"], CHOSEN[name])
    assert analyst.execute(sql).fetchall()


def test_the_example_of_the_page_answers(reader, period):
    (example,) = re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    rows = reader.execute(period.expand(example, {})).fetchall()
    assert [list(row) for row in rows[:1]] == [["time", "accuracy"]]


@pytest.mark.parametrize(("name", "variable"), VARIABLES)
def test_a_variable_offers_what_is_chosen(reader, period, name, variable):
    rows = reader.execute(period.expand(variable["query"], CHOSEN[name])).fetchall()
    offered = [value for row in rows for value in row.values()]

    chosen = CHOSEN[name][variable["name"]]
    if chosen is ALL:
        assert (variable["includeAll"], variable["allValue"]) == (True, "NULL")
        assert offered
    else:
        assert chosen in offered
        assert not variable["includeAll"]
    assert all(len(row) == 1 for row in rows)


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_an_empty_range_is_no_error(reader, period, name, panel):
    empty = Range(period.start - timedelta(days=400), period.end - timedelta(days=400), "30m")
    reader.execute(empty.expand(panel["targets"][0]["rawSql"], CHOSEN[name]))


@pytest.mark.parametrize(("name", "panel"), PANELS)
def test_names_are_literals_to_a_query(reader, period, name, panel):
    """A name with a quote in it is a name that isn't there, not a piece of SQL."""
    odd = {key: "o'clock" for key in CHOSEN[name] if key not in ("interval", "workspace")}
    with suppress(UndefinedObject):
        reader.execute(period.expand(panel["targets"][0]["rawSql"], CHOSEN[name] | odd))


# --- as the API -------------------------------------------------------------------------------


def test_classification_is_the_apis(ask, answer):
    (whole,) = answer("metrics/classification", **DIGITS)["buckets"]
    assert ask("classification", "Accuracy") == [{"accuracy": whole["accuracy"]}]
    assert ask("classification", "Macro F1") == [{"f1": near(whole["f1"])}]
    assert ask("classification", "Truths") == [{"n": whole["n"]}]
    assert ask("classification", "Labelled share") == [{"labelled": whole["labelledShare"]}]
    by_label = {row.pop("label"): row for row in ask("classification", "Classes")}
    assert by_label == {one.pop("label"): one for one in whole["classes"]}

    cells = {
        (r["actual"], r["predicted"]): r["n"] for r in ask("classification", "Confusion matrix")
    }
    names = whole["categories"]
    assert cells == {
        (names[a], names[p]): n
        for a, row in enumerate(whole["confusionMatrix"])
        for p, n in enumerate(row)
        if n
    }


def test_classification_over_time_is_the_apis(ask, answer):
    buckets = answer("metrics/classification", **DIGITS, **HALF_HOURS)["buckets"]
    rows = ask("classification", "Accuracy and macro averages")
    assert [row["time"].timestamp() for row in rows] == [_seconds(b["startTime"]) for b in buckets]
    for row, bucket in zip(rows, buckets, strict=True):
        names = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "F1": "f1"}
        assert {name: row[name] for name in names} == {
            name: near(bucket[other]) for name, other in names.items()
        }
    assert any(row["accuracy"] is None for row in rows)  # a gap, where nothing is known

    counted = ask("classification", "Predictions and truths")
    assert [row["with truth"] + row["without truth"] for row in counted] == [
        b["predictions"] for b in buckets
    ]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_version_is_the_apis(ask, answer, version):
    (whole,) = answer("metrics/classification", **DIGITS, version=version)["buckets"]
    assert ask("classification", "Accuracy", version=version) == [{"accuracy": whole["accuracy"]}]

    buckets = answer("metrics/classification", **DIGITS, **HALF_HOURS, version=version)["buckets"]
    rows = [r for r in ask("classification", "Accuracy of each version") if r["metric"] == version]
    assert [row["accuracy"] for row in rows] == [bucket["accuracy"] for bucket in buckets]


def test_regression_is_the_apis(ask, answer):
    (whole,) = answer("metrics/regression", **DIABETES)["buckets"]
    assert ask("regression", "R2") == [{"r2": whole["r2"]}]
    assert ask("regression", "Truths") == [{"n": whole["n"]}]
    buckets = answer("metrics/regression", **DIABETES, **HALF_HOURS)["buckets"]
    errors = [(row["MAE"], row["RMSE"]) for row in ask("regression", "Errors")]
    assert errors == [(b["meanAbsoluteError"], b["rootMeanSquaredError"]) for b in buckets]
    assert [row["mean error"] for row in ask("regression", "Bias")] == [
        bucket["meanError"] for bucket in buckets
    ]


def test_inference_stats_are_the_apis(ask, answer):
    stats = answer("inference-stats", model="digits")
    totals = stats["totals"]
    for title, name in {
        "Inferences": "inferences",
        "Error rate": "errorRate",
        "Mean confidence": "confidence",
        "Mean latency": "latencySeconds",
    }.items():
        (row,) = ask("inferences", title)
        assert (row["now"], row["before"]) == (totals[name]["now"], totals[name]["previous"])
    classes = {row["label"]: row for row in ask("inferences", "Classes")}
    (digits,) = stats["models"]
    assert classes.keys() == {one["label"] for one in digits["classes"]}
    for one in digits["classes"]:
        row = classes[one["label"]]
        assert row["inferences"] == one["inferences"]["now"]
        assert row["median confidence"] == one["confidenceQuantiles"]["p50"]


def test_the_overview_is_the_apis(ask, answer):
    stats = answer("inference-stats")
    (row,) = ask("models", "Mean latency")
    totals = stats["totals"]["latencySeconds"]
    assert (row["now"], row["before"]) == (totals["now"], totals["previous"])
    (good,) = ask("models", "Classifiers")
    (whole,) = answer("metrics/classification", **DIGITS)["buckets"]
    assert (good["truths"], good["accuracy"]) == (whole["n"], whole["accuracy"])
    assert good["f1"] == near(whole["f1"])


def test_steps_are_the_apis(ask, answer):
    named = {"name": "accuracy"}
    told = answer("metrics/steps", **named, interval="15m", align="epoch")["buckets"]
    rows = ask("steps", "$scalar over time")
    assert [(r["mean"], r["minimum"], r["maximum"], r["last"]) for r in rows] == [
        (b["mean"], b["min"], b["max"], b["last"]) for b in told
    ]
    assert sum(b["n"] for b in told) == 3 * EXECUTIONS


def _seconds(text):
    return datetime.fromisoformat(text).timestamp()
