"""The worst slices of a model; and pages about predictions with a tag."""

import csv
import io
import re
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

import pytest
from playwright.sync_api import expect

from app.ingest.feedback import Feedback, ingest_feedback
from app.ingest.inferences import Prediction
from app.ingest.predictions import ingest_predictions
from app.web.export import as_csv
from app.web.page import render_panel
from app.web.question import Question, query_string
from app.web.question import members_of as members_of_search
from app.web.session import WORKSPACE
from app.web.slices import PANEL
from tests.web.test_model import MOST_CLICKS, Hand
from tests.web.test_pages import DIGITS, asked, downloaded, link, members_of, panel, written

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
    members = members_of_search(search)
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


# --- in a browser -------------------------------------------------------------------------


def test_from_the_overview_to_the_wrong_requests_of_the_worst_slice(visit, open_url, demo):
    """And to the history of one of them: no more than four clicks."""
    window = {"startTime": written(demo.window.start), "endTime": written(demo.window.end)}
    one = visit(open_url)
    page = one.open(link("/", window))
    hand = Hand(one)
    hand.click(page.get_by_role("link", name="digits", exact=True))
    one.settled()
    worst, *_ = downloaded(one, "slices")
    tag = f"{worst['key']}:{worst['value']}"
    hand.click(panel(page, "slices").locator("tbody a").first)
    assert hand.waits_for("tag") == DIGITS | window | {"tag": tag}
    expect(panel(page, "summary")).to_contain_text(f"{int(worst['n']):,}")
    hand.click(panel(page, "bucket").get_by_role("link", name="wrong", exact=True))
    members = hand.waits_for("wrong")
    assert members == DIGITS | window | {"tag": tag, "wrong": "true"}

    wanted = asked(open_url, "/api/v1/requests", **members, limit=50)["requests"]
    rows = panel(page, "requests").locator("tbody tr")
    assert rows.locator("th").all_inner_texts() == [r["requestId"] for r in wanted] != []
    assert {r["tags"][worst["key"]] for r in wanted} == {worst["value"]}
    assert set(rows.locator("td.tags").all_inner_texts()) == {tag}
    assert f"only with {worst['key']} {worst['value']}" in panel(page, "requests").inner_text()
    table = downloaded(one, "requests")
    assert {row[f"tag_{worst['key']}"] for row in table} == {worst["value"]}
    hand.click(rows.first.get_by_role("link").first)
    hand.waits_for("request")
    assert hand.clicks <= MOST_CLICKS < 5
    expect(panel(page, "request").locator(".tag").first).to_have_text(tag)
    for width in (820, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_tag_of_a_request_leads_to_those_that_have_it(visit, open_url, demo):
    window = {"startTime": written(demo.window.start), "endTime": written(demo.window.end)}
    one = visit(open_url)
    page = one.open(link("/requests", DIGITS, window, {"failed": "true"}))
    first = panel(page, "requests").locator("td.tags a").first
    tag = first.inner_text()
    first.click()
    page.wait_for_url(re.compile("[?&]tag="))
    one.settled()
    assert members_of(page) == DIGITS | window | {"failed": "true", "tag": tag}
    assert set(panel(page, "requests").locator("td.tags").all_inner_texts()) == {tag}
    panel(page, "requests").get_by_role("link", name="show all").click()
    page.wait_for_url(lambda url: "tag=" not in url)
    one.settled()
