"""Every panel and every variable of the dashboards, queried as Grafana does.

No Grafana runs here: its macros are expanded by tests/sql/macros.py, and the queries are asked by a
role with the rights of deploy/postgres/grants.sql.
"""

import json
import re
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard
from psycopg.errors import UndefinedObject
from ruamel.yaml import YAML

from grafana.dashboards.__main__ import DIRECTORY, written
from tests.sql.boards import BOARDS, CHOSEN
from tests.sql.macros import ALL, Range

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/grafana.md").read_text()
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
    annotations = [
        {k: v for k, v in one.items() if k != "target"}
        for one in board.get("annotations", {}).get("list", [])
    ]
    return board | {"panels": panels, "annotations": annotations}


def test_everything_is_distinguishable():
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
    levels = "truthline_internal.levels()"  # of operations, which analysts don't see
    assert "truthline." in sql or levels in sql, name
    assert "truthline_" not in sql.replace(levels, "")
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


ANNOTATED = [name for name, board in BOARDS.items() if board.get("annotations")]


@pytest.mark.parametrize("name", ANNOTATED)
def test_verdicts_are_marked(reader, analyst, period, name):
    (annotation,) = BOARDS[name]["annotations"]["list"]
    assert annotation["enable"]
    sql = period.expand(annotation["target"]["rawSql"], CHOSEN[name])
    (mark,) = reader.execute(sql).fetchall()
    assert mark == {
        "time": mark["time"],
        "text": f"watched-{CHOSEN[name]['model']}: critical, was ok before 7 truths",
        "tags": "critical",
    }
    assert len(analyst.execute(sql).fetchall()) == 1


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
    odd |= {"tag": "o'clock:o'clock"}
    with suppress(UndefinedObject):
        reader.execute(period.expand(panel["targets"][0]["rawSql"], CHOSEN[name] | odd))
