"""A model's page in a browser: when did it get worse, and for which class."""

import re

import pytest
from playwright.sync_api import expect

from tests.web.test_pages import DIGITS, PHONE, asked, link, members_of, panel, serious, written

METRICS = "/api/v1/metrics/classification"
MOST_CLICKS = 4


class Hand:
    """Clicks and drags on a page, and counts them."""

    def __init__(self, visit):
        self.visit, self.page, self.clicks = visit, visit.page, 0

    def click(self, locator):
        self.clicks += 1
        locator.click()

    def drag(self, start, end):
        """From one fraction of the width of the chart to another."""
        self.clicks += 1
        box = area(self.page)
        y = box["y"] + box["height"] / 2
        self.page.mouse.move(box["x"] + start * box["width"], y)
        self.page.mouse.down()
        self.page.mouse.move(box["x"] + (start + end) / 2 * box["width"], y)
        self.page.mouse.move(box["x"] + end * box["width"], y)
        self.page.mouse.up()

    def waits_for(self, member):
        """Until the URL has it, and the chart that is drawn for that URL has been marked."""
        self.page.wait_for_url(re.compile(f"[?&]{member}="))
        if member in ("before", "after"):
            expect(chart(self.page).locator(f"text:text-is('{member}')")).to_be_attached()
        self.visit.settled()
        return members_of(self.page)


def chart(page):
    return panel(page, "quality").locator(".js-plotly-plot")


def area(page):
    """Where the lines of the chart are drawn."""
    return (
        chart(page)
        .locator(".nsewdrag")
        .first.evaluate(
            """place => {
            place.scrollIntoView({block: "center"});
            const {x, y, width, height} = place.getBoundingClientRect();
            return {x, y, width, height};
        }"""
        )
    )


def spot(page, fraction):
    box = area(page)
    return box["x"] + fraction * box["width"], box["y"] + box["height"] / 2


def window_of(span):
    start, end = span.split("/")
    return {"startTime": start, "endTime": end}


def answered(url, members):
    """The only bucket of the API's answer."""
    (bucket,) = asked(url, METRICS, **DIGITS, **members)["buckets"]
    return bucket


def expect_matrices(page, *buckets):
    """Wait until the confusion matrices are those of these buckets of the API's answers."""
    counts = [f"{n:,}" if n else "·" for bucket in buckets for n in flat(bucket)]
    tables = panel(page, "bucket").locator("table.matrix:has(.sum)")
    expect(tables.locator("td .n")).to_have_text(counts)


def flat(bucket):
    return [n for row in bucket["confusionMatrix"] for n in row]


def share(number):
    return f"{100 * number:.1f} %"


@pytest.fixture
def hand(visit, open_url, window):
    """At the overview, where each task begins."""
    one = visit(open_url)
    one.open(link("/", window))
    return Hand(one)


@pytest.fixture
def window(demo):
    return {"startTime": written(demo.window.start), "endTime": written(demo.window.end)}


def test_when_and_for_which_class_it_got_worse(hand, open_url, window):
    """Two drags: both matrices, the difference, and every class, sorted by its change."""
    page = hand.page
    hand.click(page.get_by_role("link", name="digits", exact=True))
    hand.visit.settled()
    button = panel(page, "quality").get_by_role("button", name="Select before")
    hand.click(button)
    expect(button).to_have_attribute("aria-pressed", "true")
    hand.drag(0.1, 0.4)
    hand.waits_for("before")
    hand.drag(0.8, 0.99)
    members = hand.waits_for("after")
    assert hand.clicks <= MOST_CLICKS

    before, after = (answered(open_url, window_of(members[name])) for name in ("before", "after"))
    assert before["accuracy"] > after["accuracy"]
    tile = panel(page, "summary").locator(".tile").filter(has_text="Accuracy").inner_text()
    points = 100 * (after["accuracy"] - before["accuracy"])
    said = (share(after["accuracy"]), f"vs {share(before['accuracy'])}", f"−{-points:.1f} pt")
    assert all(words in tile for words in said), tile
    expect_matrices(page, before, after)
    assert "F1 (macro)" in panel(page, "summary").inner_text()

    by_name = [{one["label"]: one for one in bucket["classes"]} for bucket in (before, after)]
    changes = {name: by_name[1][name]["f1"] - one["f1"] for name, one in by_name[0].items()}
    shown = panel(page, "bucket").locator(".classes tbody th").all_inner_texts()
    assert shown == sorted(shown, key=changes.get)
    first = panel(page, "bucket").locator(".classes tbody tr").first.inner_text()
    assert f"vs {share(by_name[0][shown[0]]['f1'])}" in first
    stats = panel(page, "stats").locator("tbody tr").first.inner_text()
    assert "vs " in stats
    assert "vs " in panel(page, "confidence").inner_text()

    page.reload()
    hand.visit.settled()
    expect_matrices(page, before, after)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(page.locator("html")).to_have_attribute("data-mantine-color-scheme", scheme)
        assert serious(page) == [], scheme
    page.emulate_media(color_scheme="light")


def test_two_versions_side_by_side(hand, open_url, window):
    page = hand.page
    hand.click(page.get_by_role("link", name="digits", exact=True))
    hand.visit.settled()
    hand.click(panel(page, "versions").get_by_role("link", name="compare with v1"))
    members = hand.waits_for("beforeVersion")
    assert hand.clicks <= MOST_CLICKS
    assert (members["version"], members["beforeVersion"]) == ("v2", "v1")

    old, new = (answered(open_url, window | {"version": version}) for version in ("v1", "v2"))
    expect_matrices(page, old, new)
    tile = panel(page, "summary").locator(".tile").filter(has_text="Accuracy").inner_text()
    assert share(new["accuracy"]) in tile
    assert f"vs {share(old['accuracy'])}" in tile
    volume = panel(page, "volume").locator(".tile").first.inner_text()
    older, newer = (bucket["predictions"] for bucket in (old, new))
    assert f"{newer:,}" in volume
    assert f"vs {older:,}" in volume


def test_the_page_as_of_a_moment(hand, demo):
    """All panels follow: nothing was known, and nothing had been received, before the replay."""
    page = hand.page
    hand.click(page.get_by_role("link", name="digits", exact=True))
    hand.visit.settled()
    hand.click(page.get_by_label("As known at", exact=True))
    page.keyboard.type(f"{demo.window.start:%F %T}")
    page.keyboard.press("Enter")
    members = hand.waits_for("asOf")
    assert hand.clicks <= MOST_CLICKS
    assert members["asOf"] == written(demo.window.start)
    assert "No truth is known" in panel(page, "quality").inner_text()
    assert "no requests" in panel(page, "volume").inner_text()
    assert "No latency" in panel(page, "latency").inner_text()
    expect(panel(page, "stats").locator("table")).to_have_count(0)
    expect(panel(page, "confidence").locator("table")).to_have_count(0)


def test_a_chart_is_dragged_doubly_clicked_hidden_and_saved(visit, open_url, window):
    """A drag sets the range of all panels; a double click resets it, and selects nothing."""
    one = visit(open_url)
    page = one.open(link("/model", DIGITS, window))
    hand = Hand(one)
    page.mouse.move(*spot(page, 0.5))
    hover = chart(page).locator(".hoverlayer")
    expect(hover).to_contain_text("Accuracy")
    expect(hover).to_contain_text("truths")
    opaque = hover.locator("rect.bg").first.evaluate("box => getComputedStyle(box).fillOpacity")
    assert opaque == "1"

    hand.drag(0.4, 0.8)
    page.wait_for_url(lambda url: window["startTime"] not in url)
    one.settled()
    zoomed = members_of(page)
    assert window["startTime"] < zoomed["startTime"] < zoomed["endTime"] < window["endTime"]
    inside = answered(open_url, {name: zoomed[name] for name in window})
    expect(panel(page, "summary")).to_contain_text(f"{inside['n']:,}")
    one.settled()
    page.mouse.dblclick(*spot(page, 0.5))
    page.wait_for_url(lambda url: window["startTime"] in url)
    one.settled()
    page.wait_for_timeout(500)  # a click would be told from a double click by then
    assert members_of(page) == DIGITS | window

    key = panel(page, "quality").get_by_role("button", name="Recall")
    key.click()
    expect(key).to_have_attribute("aria-pressed", "false")
    shown = "chart => chart.data.filter(l => l.name.startsWith('Recall')).map(l => l.visible)"
    assert set(chart(page).evaluate(shown)) == {"legendonly"}
    key.click()
    assert set(chart(page).evaluate(shown)) == {True}
    with page.expect_download() as download:
        panel(page, "quality").get_by_role("button", name="PNG").click()
    assert download.value.suggested_filename.endswith(".png")
    assert download.value.path().read_bytes().startswith(b"\x89PNG")


def test_a_chart_that_is_replaced_during_a_drag_ends_it(visit, open_url, window):
    """As a refresh may do at any moment; plotly must not go on with the chart that is gone."""
    one = visit(open_url)
    page = one.open(link("/model", DIGITS, window))
    for end in (lambda: page.mouse.move(*spot(page, 0.3)), page.mouse.up):
        page.mouse.move(*spot(page, 0.5))
        page.mouse.down()
        page.mouse.move(*spot(page, 0.6))
        expect(page.locator(".dragcover")).to_be_attached()
        chart(page).evaluate("chart => chart.dataset.old = true")
        reload(page)
        expect(page.locator("[data-old]")).to_have_count(0)
        one.settled()
        end()
        page.mouse.up()
        expect(page.locator(".dragcover")).to_have_count(0)
        assert members_of(page) == DIGITS | window

    Hand(one).drag(0.2, 0.7)
    page.wait_for_url(lambda url: window["startTime"] not in url)


def reload(page):
    """All panels, as a refresh would."""
    page.evaluate("dash_clientside.set_props('tick', {n_intervals: 1 + performance.now()})")


def test_a_double_click_resets_all_while_selecting_too(visit, open_url, window):
    one = visit(open_url)
    page = one.open(link("/model", DIGITS, window))
    button = panel(page, "quality").get_by_role("button", name="Select before")
    button.click()
    Hand(one).drag(0.3, 0.6)
    page.wait_for_url(re.compile("[?&]before="))
    one.settled()
    button.click()  # a selection is followed by the other

    page.mouse.dblclick(*spot(page, 0.8))

    page.wait_for_url(lambda url: "before=" not in url)
    one.settled()
    page.wait_for_timeout(500)  # a click would be told from a double click by then
    assert members_of(page) == DIGITS | window


def test_names_and_numbers_fit_a_phone(visit, open_url, window):
    page = visit(open_url, width=PHONE).open(link("/model", DIGITS, window))

    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE
    first = panel(page, "bucket").locator(".classes tbody th").first
    assert first.evaluate("cell => getComputedStyle(cell).position") == "sticky"
