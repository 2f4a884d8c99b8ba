"""The worst slices of a model; and pages about predictions with a tag."""

import csv
import io
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest

from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.predictions import ingest_predictions
from app.web.export import as_csv
from app.web.page import render_panel
from app.web.question import Question, members_of, query_string
from app.web.session import WORKSPACE
from app.web.slices import PANEL

START = datetime(2026, 3, 1, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
ASKED = {"startTime": START.isoformat(), "endTime": (START + HOUR).isoformat()}
# Country, plan, hour, right and wrong.
TOLD = [
    ("FR", "pro", 0, 30, 10),
    ("DE", "pro", 0, 36, 4),
    ("IT", "free", 0, 0, 3),
    ("FR", "pro", -1, 39, 1),
    ("DE", "free", -1, 0, 2),
]


@pytest.fixture
def model(database, workspace):
    """A classifier that is worse in France than an hour before."""
    predictions, truths = [], []
    for country, plan, hour, right, wrong in TOLD:
        for n in range(right + wrong):
            id_ = f"{country}-{plan}-{hour}-{n}"
            time = START + hour * HOUR + timedelta(seconds=n)
            tags = {"country": country, "plan": plan}
            predictions.append(
                Prediction(model="fraud", request_id=id_, time=time, label="yes", tags=tags)
            )
            label = "yes" if n < right else "no"
            truths.append(Feedback(model="fraud", request_id=id_, label=label))
    ingest_predictions(database, workspace.id, predictions)
    ingest_feedback(database, workspace.id, truths)
    return "fraud"


def rows_of(database, workspace, panel, **asked):
    search = "?" + urlencode(ASKED | asked, doseq=True)
    return list(csv.DictReader(io.StringIO(as_csv(database, panel, search, workspace.id))))


def test_slices_with_enough_truths_come_first_the_worst_before_the_others(
    database, workspace, model
):
    rows = rows_of(database, workspace, "slices", model=model)

    assert [(row["key"], row["value"], int(row["n"]), row["headline"]) for row in rows] == [
        ("country", "FR", 40, "0.75"),
        ("plan", "pro", 80, "0.825"),
        ("country", "DE", 40, "0.9"),
        ("country", "IT", 3, "0.0"),
        ("plan", "free", 3, "0.0"),
    ]
    france, _, germany, *_ = rows
    assert (france["previous_n"], france["previous_headline"]) == ("40", "0.975")
    assert france["significant"] == "True"
    assert germany["significant"] == ""  # two truths before


def test_panels_are_about_predictions_with_the_tags_of_the_url(database, workspace, model):
    def truths(**tags):
        rows = rows_of(database, workspace, "versions", model=model, **tags)
        return [int(row["n"]) for row in rows]

    assert truths() == [83]
    assert truths(tag="country:FR") == [40]
    assert truths(tag=["country:FR", "country:IT"]) == [43]
    assert truths(tag=["plan:pro", "country:DE"]) == [40]
    slices = rows_of(database, workspace, "slices", model=model, tag="country:FR")
    assert [(row["key"], row["value"]) for row in slices] == [("country", "FR"), ("plan", "pro")]


def test_a_url_has_several_tags():
    search = "?model=m&tag=country:FR&tag=plan:a%26b"
    members = members_of(search)
    assert query_string(members) == search
    assert Question.read(search, START).scope.tags.texts == ["country:FR", "plan:a&b"]


def test_a_value_links_to_the_page_about_it(app, database, workspace, model):
    search = "?" + urlencode(ASKED | {"model": model, "tag": "plan:pro"})
    with app.test_request_context(environ_overrides={WORKSPACE: workspace.id}):
        shown = str(render_panel(database, PANEL, search))

    assert "tag=plan:pro&amp;tag=country:FR" in shown
    assert "tag=plan:pro&amp;tag=plan:pro" not in shown
    assert "more than noise" in shown
    assert "75" in shown
