"""The requests behind a number in a browser: listed, found by their id, and reached by a click."""

import re
from itertools import pairwise

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from tests.web.test_pages import (
    DIABETES,
    DIGITS,
    PHONE,
    asked,
    downloaded,
    link,
    members_of,
    panel,
    serious,
    written,
)

WRONG = {"wrong": "true"}


@pytest.fixture
def window(demo):
    """The demo's six hours, as members of a URL."""
    return {"startTime": written(demo.window.start), "endTime": written(demo.window.end)}


def listed(url, model, window, **query):
    """The first page of requests, as the API lists them."""
    return asked(url, "/api/v1/requests", **model, **window, **query, limit=50)["requests"]


def rows(page):
    return panel(page, "requests").locator("tbody tr")


def ids(page):
    return rows(page).locator("th").all_inner_texts()


def test_the_list_is_that_of_the_api(visit, open_url, window):
    visit = visit(open_url)
    page = visit.open(link("/requests", DIGITS, window, WRONG))

    wanted = listed(open_url, DIGITS, window, **WRONG)
    assert ids(page) == [one["requestId"] for one in wanted] != []
    first = rows(page).first.inner_text()
    assert wanted[0]["predictedLabel"] in first
    assert wanted[0]["actualLabel"] in first
    table = downloaded(visit, "requests")
    assert [row["requestId"] for row in table] == ids(page)
    assert {row["wrong"] for row in table} == {"true"}
    assert "rows read" in panel(page, "requests").locator(".basis").inner_text()


def test_older_pages_follow_without_a_gap(visit, open_url, window):
    visit = visit(open_url)
    page = visit.open(link("/requests", DIGITS, window))
    found = [ids(page)]
    for _ in range(2):
        page.get_by_role("link", name="older →").click()
        expect(rows(page).first.locator("th")).not_to_have_text(found[-1][0])
        visit.settled()
        found.append(ids(page))

    answer = asked(open_url, "/api/v1/requests", **DIGITS, **window, limit=150)["requests"]
    assert [id_ for part in found for id_ in part] == [one["requestId"] for one in answer]
    assert all(not set(a) & set(b) for a, b in pairwise(found))
    page.get_by_role("link", name="← newest").click()
    expect(rows(page).first.locator("th")).to_have_text(found[0][0])
    assert "cursor" not in members_of(page)


def test_states_and_fields_are_filters_in_the_url(visit, open_url, window):
    visit = visit(open_url)
    page = visit.open(link("/requests", DIGITS, window))
    page.get_by_role("group", name="Requests by state").get_by_role("link", name="Wrong").click()
    expect(page).to_have_url(re.compile("wrong=true"))
    visit.settled()
    page.get_by_label("Confidence from").fill("0.5")
    page.get_by_label("Confidence from").press("Enter")
    expect(page).to_have_url(re.compile("minConfidence=0.5"))
    visit.settled()

    assert members_of(page) == DIGITS | window | WRONG | {"minConfidence": "0.5"}
    wanted = listed(open_url, DIGITS, window, **WRONG, minConfidence=0.5)
    expect(rows(page)).to_have_count(len(wanted))
    assert ids(page) == [one["requestId"] for one in wanted]


def test_a_cell_of_the_matrix_leads_to_its_requests(visit, open_url, window):
    visit = visit(open_url)
    query = window | {"before": "none"}
    page = visit.open(link("/model", DIGITS, query))
    cell = panel(page, "bucket").locator("table.matrix td.miss a").first
    count = int(cell.locator(".n").inner_text())
    cell.click()
    visit.settled()

    members = members_of(page)
    assert {name: members[name] for name in window} == window
    assert members["actualLabel"] != members["predictedLabel"]
    expect(rows(page)).to_have_count(min(count, 50))


HALFWAY = text("""
    SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY received_at) FROM outcome
    WHERE predicted_label IS NOT NULL
""")


def test_a_class_and_what_has_no_truth_lead_to_their_requests(visit, open_url, window, demo):
    visit = visit(open_url)
    with demo.database.reading() as conn:  # some truths came later
        at = {"asOf": conn.execute(HALFWAY).scalar_one().isoformat().replace("+00:00", "Z")}
    page = visit.open(link("/model", DIGITS, window, at))
    page.get_by_role("link", name=re.compile("still without")).click()
    visit.settled()
    assert members_of(page) == DIGITS | window | at | {"unlabelled": "true"}
    wanted = listed(open_url, DIGITS, window, **at, unlabelled="true")
    assert ids(page) == [one["requestId"] for one in wanted] != []

    page = visit.open(link("/model", DIGITS, window))
    named = panel(page, "bucket").locator("table.classes a.class").first
    name = named.inner_text()
    named.click()
    visit.settled()
    assert members_of(page) == DIGITS | window | WRONG | {"actualLabel": name}


def test_from_the_overview_to_a_wrong_request_in_four_clicks(visit, open_url, window):
    visit = visit(open_url)
    page = visit.open(link("/", window))
    page.get_by_role("link", name="digits").click()
    visit.settled()
    panel(page, "bucket").get_by_role("link", name="wrong", exact=True).click()
    visit.settled()
    id_ = ids(page)[0]
    rows(page).first.get_by_role("link").first.click()
    visit.settled()

    expect(panel(page, "request").locator("h2.request-id")).to_have_text(id_)
    assert members_of(page) == DIGITS | window | {
        "request": id_,
        "time": listed(open_url, DIGITS, window, **WRONG)[0]["time"],
    }
    expect(panel(page, "request").locator(".prediction").first).to_contain_text("wrong")
    panel(page, "request").get_by_role("link", name="digits").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("digits")
    visit.settled()
    assert members_of(page) == DIGITS | window


def test_a_request_is_found_by_its_id_from_the_overview(visit, open_url, window):
    visit = visit(open_url)
    (one, *_) = listed(open_url, DIABETES, window, unlabelled="false")
    page = visit.open(link("/", window))
    page.get_by_label("Find a request by its id").fill(one["requestId"])
    page.get_by_role("button", name="Find").click()
    page.wait_for_url(re.compile("/request"))
    visit.settled()

    assert members_of(page) == window | {"request": one["requestId"]}
    shown = panel(page, "request").inner_text()
    history = asked(open_url, f"/api/v1/requests/{one['requestId']}")
    assert "diabetes" in shown
    truths = history["predictions"][0]["truths"]
    expect(panel(page, "request").locator("table.truths").first.locator("tbody tr")).to_have_count(
        len(truths)
    )
    page.get_by_label("Find a request by its id").fill("nothing-like-it")
    page.get_by_role("button", name="Find").click()
    expect(page.locator(".refusal")).to_have_text("No request nothing-like-it.")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"wrong": "maybe"}, "Wrong must be true or false."),
        ({"minConfidence": "x"}, "MinConfidence must be a number from 0 to 1."),
        ({"cursor": "x"}, "The cursor is not one of a link to older requests."),
        (
            {"wrong": "true", "unlabelled": "true"},
            "Wrong needs a truth, and unlabelled requests have none.",
        ),
    ],
)
def test_what_can_not_be_asked_is_said(visit, open_url, window, query, reason):
    page = visit(open_url).open(link("/requests", DIGITS, window, query))

    expect(panel(page, "requests").locator(".refusal")).to_have_text(reason)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, PHONE])
def test_the_pages_have_no_accessibility_faults_and_fit(visit, open_url, window, scheme, width):
    visit = visit(open_url, scheme=scheme, width=width)
    one = listed(open_url, DIGITS, window, **WRONG)[0]["requestId"]
    for path in (
        link("/requests", DIGITS, window),
        link("/requests", DIABETES, window),
        link("/request", DIGITS, window, {"request": one}),
        link("/request", window),
    ):
        page = visit.open(path)
        assert serious(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= width
