"""The pages below a path of their host, in a browser."""

import re
from contextlib import ExitStack
from dataclasses import replace

import pytest
from playwright.sync_api import expect

from app.factory import create_app
from tests.api.live import Keeping, serving
from tests.nginx import PATH, STRIPS, in_front


@pytest.fixture(scope="module", params=["passed on", "stripped by nginx"])
def url_below(request, demo, tmp_path_factory):
    stripped = request.param.startswith("stripped")
    said = "" if stripped else f"http://127.0.0.1{PATH}"
    app = create_app(replace(demo.settings, auth=False, public_url=said), demo.database)
    with ExitStack() as stack:
        url = stack.enter_context(serving(app, Keeping))
        if stripped:
            url = stack.enter_context(in_front(tmp_path_factory.mktemp("nginx"), url, STRIPS))
        yield url + PATH


def test_pages_and_links_stay_below_it(visit, url_below):
    below = visit(url_below)
    page = below.open("/")
    page.get_by_role("link", name="Executions").click()
    expect(page).to_have_url(re.compile(rf"{re.escape(url_below)}/executions"))
    below.settled()
    page.get_by_role("link", name="Truthline").click()
    below.settled()
    page.locator("main a[href*='/model?']").first.click()
    expect(page).to_have_url(re.compile(rf"{re.escape(url_below)}/model\?"))
    below.settled()
    expect(page.get_by_text("There is no such page.")).to_have_count(0)
