"""Pages of monitors: their states and verdicts, and a monitor made from a chart."""

import csv
import io
import json
from itertools import pairwise
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import expect
from sqlalchemy import text

from app.monitors.rounds import judge_due
from tests.web.test_pages import DIGITS, PHONE, link, members_of, panel, serious, window

__all__ = ["window"]
ACCURACY = DIGITS | {
    "metric": "accuracy",
    "window": "30m",
    "compare": {"with": "value", "value": 0.99},
    "rule": {"is": "below"},
    "confidence": None,
    "notify": ["ops"],
    "silence": [{"cron": "0 3 * * 0", "duration": "1h"}],
}
CALM = ACCURACY | {"compare": {"with": "value", "value": 0.1}, "notify": [], "silence": []}
BY_VERSION = ACCURACY | {"compare": {"with": "previous"}, "notify": [], "groupBy": "site"}


def put(url, path, body):
    request = Request(url + path, json.dumps(body).encode(), method="PUT")
    request.add_header("Content-Type", "application/json")
    with urlopen(request) as answer:
        return json.load(answer)


@pytest.fixture(scope="module")
def judged(demo, open_url):
    """Monitors that have judged the demo's six hours, a revision, and a message that is dead."""
    put(open_url, "/api/v1/receivers/ops", {"kind": "webhook", "url": "https://ops.example.com/x"})
    for name, body in (("accuracy", ACCURACY), ("calm", CALM)):
        put(open_url, f"/api/v1/monitors/{name}", body)
    with demo.database.writing() as conn:
        start = demo.window.start
        conn.execute(text("UPDATE monitor SET judged_from = :s, judged_until = :s"), {"s": start})
        conn.execute(text("UPDATE monitor_round SET as_of = NULL"))
    judge_due(demo.database)
    with demo.database.writing() as conn:
        conn.execute(REVISED)
        conn.execute(DEAD)
    yield
    with demo.database.writing() as conn:
        for table in ("monitor", "receiver"):
            conn.execute(text(f"DELETE FROM {table}"))
        conn.execute(text("UPDATE monitor_round SET as_of = NULL"))


# As late truths leave a verdict, which tests/monitors shows.
REVISED = text("""
    UPDATE verdict SET revised_as_of = as_of - INTERVAL '1 hour', revised_state = 'ok',
                       revised_value = 0.995, learned = 17
    WHERE (monitor_id, window_end) = (
        SELECT monitor_id, max(window_end) FROM verdict
        JOIN monitor ON monitor.id = monitor_id AND name = 'accuracy' GROUP BY 1)
""")
DEAD = text("""
    UPDATE delivery SET dead_at = clock_timestamp(), attempts = 10, error = 'it answered with 500'
    WHERE id = (SELECT min(id) FROM delivery)
""")


def stated(database, name):
    """The verdicts of a monitor, the latest first: state and value."""
    with database.reading() as conn:
        rows = conn.execute(
            text("""
                SELECT state, value, verdict.window_end, verdict.as_of FROM verdict
                JOIN monitor ON monitor.id = monitor_id WHERE name = :name
                ORDER BY window_end DESC
            """),
            {"name": name},
        )
        return list(rows)


def test_what_fires_is_on_the_overview_and_first_in_the_list(visit, open_url, judged, window, demo):
    one = visit(open_url)
    page = one.open(link("/", window))
    expect(panel(page, "firing")).to_contain_text("critical accuracy since")
    panel(page, "firing").get_by_role("link", name="all monitors").click()
    one.settled()

    rows = panel(page, "monitors").locator("tbody tr")
    expect(rows).to_have_count(2)
    assert rows.nth(0).inner_text().startswith("accuracy\tcritical")
    assert rows.nth(1).inner_text().startswith("calm\tok")
    expect(panel(page, "receivers")).to_contain_text("https://ops.example.com")
    assert serious(page) == []
    rows.nth(0).get_by_role("link").click()
    one.settled()
    expect(page.get_by_role("heading", level=1)).to_have_text("accuracy")


def test_a_monitors_page_has_its_verdicts_and_what_was_not_delivered(
    visit, open_url, judged, window, demo
):
    one = visit(open_url)
    page = one.open(link("/monitor", {"monitor": "accuracy"}, window))
    found = stated(demo.database, "accuracy")

    rows = panel(page, "verdicts").locator("tbody tr")
    expect(rows).to_have_count(len(found))
    shown = [row.split("\t")[1] for row in rows.all_inner_texts()]
    assert shown == [verdict.state for verdict in found]
    assert "ok 99.5 %" in rows.first.inner_text()
    assert "before 17 truths" in rows.first.inner_text()
    runs = 1 + sum(a.state != b.state for a, b in pairwise(found))
    expect(panel(page, "states").locator(".bar")).to_have_count(runs)
    expect(panel(page, "undelivered")).to_contain_text("it answered with 500")
    expect(panel(page, "monitor")).to_contain_text("0 3 * * 0")
    assert serious(page) == []

    rows.first.get_by_role("link").click()  # the model, in that window, as it was known then
    one.settled()
    assert members_of(page)["asOf"] == f"{found[0].as_of:%FT%T.%fZ}"
    value = f"{100 * found[0].value:.1f} %"
    expect(panel(page, "summary").locator(".tile .now").first).to_contain_text(value)
    exported = link("/export/verdicts.csv", {"monitor": "accuracy"}, window)
    with urlopen(open_url + exported) as answer:
        lines = list(csv.DictReader(io.StringIO(answer.read().decode())))
    assert [float(line["value"]) for line in lines] == [verdict.value for verdict in found]
    assert lines[0]["learned"] == "17"


def test_a_limit_is_drawn_where_the_same_is_shown(visit, open_url, judged, window):
    one = visit(open_url)
    for more, limits in (({}, ["accuracy", "calm"]), ({"version": "v1"}, [])):
        page = one.open(link("/model", DIGITS, window, more))
        drawn = panel(page, "quality").locator(".annotation-text", has_text="limit of")
        expect(drawn).to_have_text([f"limit of {name}" for name in limits])


def test_a_monitor_is_made_in_two_clicks_from_a_chart(visit, open_url, judged, window, demo):
    one = visit(open_url)
    page = one.open(link("/model", DIGITS, window))
    panel(page, "quality").get_by_role("link", name="Make a monitor").click()
    one.settled()
    assert serious(page) == []
    name = page.get_by_label("Name").input_value()
    limit = float(page.get_by_role("textbox", name="Value").input_value())
    page.get_by_role("button", name="Create monitor").click()
    one.settled()

    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    with urlopen(f"{open_url}/api/v1/monitors/{name}") as answer:
        made = json.load(answer)["definition"]
    with urlopen(
        f"{open_url}/api/v1/metrics/classification?" + urlencode(DIGITS | window)
    ) as answer:
        accuracy = json.load(answer)["buckets"][0]["accuracy"]
    assert {member: made[member] for member in DIGITS} == DIGITS
    assert made["metric"] == "accuracy"
    assert limit == made["compare"]["value"] == pytest.approx(1 - 1.5 * (1 - accuracy), abs=6e-4)


FORM = DIGITS | {"name": "mine", "metric": "latencyQuantile", "quantile": "0.9", "value": "0.5"}
FORM |= {"with": "value", "is": "above", "by": "value", "window": "1h", "severity": "warning"}


def test_only_an_admin_of_this_site_makes_one(app, workspace):
    for key, status in ((workspace.read_key, 403), (workspace.admin_key, 303)):
        browser = app.test_client()
        browser.post("/login", data={"key": key})
        assert browser.post("/monitors", data=FORM).status_code == status
    elsewhere = browser.post("/monitors", data=FORM, headers={"Sec-Fetch-Site": "cross-site"})
    assert elsewhere.status_code == 403
    assert app.test_client().post("/monitors", data=FORM).status_code == 401
    admin = {"Authorization": f"Bearer {workspace.admin_key}"}
    made = app.test_client().get("/api/v1/monitors/mine", headers=admin).json["definition"]
    assert (made["quantile"], made["compare"]["value"], made["notify"]) == (0.9, 0.5, [])


def test_a_form_that_says_nothing_says_why(app, workspace):
    browser = app.test_client()
    browser.post("/login", data={"key": workspace.admin_key})
    assert browser.post("/monitors", data=FORM).status_code == 303
    wrong = {
        "there is a monitor": {},
        "name must not": {"name": " "},
        "value must be a number": {"name": "n", "value": "much"},
        "windows must be at least 1": {"name": "n", "with": "trailing", "windows": "0"},
        "no such receiver": {"name": "n", "notify": "nobody"},
        "every must be a duration": {"name": "n", "every": "0m"},
    }
    for reason, members in wrong.items():
        answer = browser.post("/monitors", data=FORM | members)
        assert answer.status_code == 400, reason
        assert reason in answer.text, answer.text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_fit_a_phone(visit, open_url, judged, window, scheme):
    one = visit(open_url, width=PHONE, scheme=scheme)
    for path in (
        link("/monitors", window),
        link("/monitor", {"monitor": "accuracy"}, window),
        link("/new-monitor", DIGITS, window, {"watch": "accuracy"}),
    ):
        page = one.open(path)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE, path
        assert serious(page) == []
