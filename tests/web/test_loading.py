"""What a page loads first: the panels on the screen. The others follow without being asked for."""

import json

import pytest
from playwright.sync_api import expect

from app.web.pages import PAGES
from tests.web.test_pages import DIGITS, TUMOURS, link, members_of, panel, written

ALL = {one.name for one in PAGES["/model"].panels}
BELOW = {"latency", "stats", "confidence", "slices", "versions", "late-truths", "score-curves"}
# Turns in which the browser had time for what waits.
IDLE = """async () => {
    for (let turn = 0; turn < 10; turn += 1) {
        await new Promise((done) => setTimeout(() => requestIdleCallback(done), 50));
    }
}"""


@pytest.fixture
def window(demo):
    return {"startTime": written(demo.window.start), "endTime": written(demo.window.end)}


def panel_of(request):
    """Which panel a request asks for; None if it is for something else."""
    id_ = json.loads(request.post_data)["outputs"]
    return id_["id"]["panel"] if isinstance(id_, dict) and isinstance(id_["id"], dict) else None


@pytest.fixture
def held(visit, open_url, window):
    """A model's page whose chart of quality has not been answered yet, and what it asked for."""
    one = visit(open_url)
    asked, quality = [], []

    def answer(route):
        name = panel_of(route.request)
        asked.append(name)
        quality.append(route) if name == "quality" and not quality else route.continue_()

    one.page.route("**/_dash-update-component*", answer)
    one.page.goto(open_url + link("/model", DIGITS, window))
    expect(panel(one.page, "summary").locator(".tiles")).to_be_attached()
    expect(panel(one.page, "quality").get_by_role("status")).to_be_attached()
    yield one, asked, quality
    one.page.unroute_all(behavior="wait")


def test_panels_below_the_screen_wait_for_those_on_it(held):
    one, asked, quality = held
    one.page.evaluate(IDLE)

    assert {"summary", "quality"} <= set(asked)
    assert not BELOW & set(asked)
    expect(panel(one.page, "latency")).to_have_attribute("aria-busy", "true")

    quality[0].continue_()
    one.settled()
    assert sorted(name for name in asked if name) == sorted(ALL)  # each one once, without scrolling


def test_a_long_list_that_is_closed_has_no_options(held):
    """With all time zones the browser was busy for a second before it asked for anything."""
    one, _, quality = held
    paris = one.page.get_by_role("option", name="Europe/Paris", exact=True, include_hidden=True)

    expect(paris).to_have_count(0)
    quality[0].continue_()
    one.page.get_by_role("textbox", name="Time zone").click()
    expect(paris).to_be_attached()
    one.settled()


def test_a_refresh_loads_every_panel_once(held):
    one, asked, quality = held
    quality[0].continue_()
    one.settled()
    asked.clear()

    one.page.evaluate("dash_clientside.set_props('tick', {n_intervals: 1})")
    one.settled()
    assert sorted(name for name in asked if name) == sorted(ALL)


def test_a_panel_that_is_scrolled_to_does_not_wait(held):
    one, asked, quality = held

    one.page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    expect(panel(one.page, "score-curves").get_by_role("status")).to_have_count(0)
    assert "score-curves" in asked
    assert panel(one.page, "quality").get_by_role("status").count() == 1

    quality[0].continue_()
    one.settled()


def test_a_list_that_appears_chooses_nothing(visit, open_url, window):
    """The page's URL stays what was opened, and nothing is loaded twice."""
    one = visit(open_url)
    asked = []

    def note(request):
        asked.append(request)

    one.page.on("request", note)

    page = one.open(link("/model", TUMOURS, window))
    expect(page.get_by_role("textbox", name="Positive class")).to_have_value("malignant")
    page.evaluate(IDLE)
    one.settled()

    assert members_of(page) == TUMOURS | window
    names = [panel_of(request) for request in asked if "_dash-update" in request.url]
    assert sorted(filter(None, names)) == sorted(ALL)
