"""The demo served twice, with keys and without, and one browser for the whole session.

Without Chromium the tests that need one are skipped, which the summary says.
"""

import functools
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

import pytest
from flask import Flask
from playwright.sync_api import (
    Browser,
    BrowserContext,
    Page,
    Request,
    ViewportSize,
    expect,
    sync_playwright,
)

from app.auth.keys import Role, create_key
from app.auth.workspaces import default_workspace
from app.config import Settings
from app.factory import create_app
from app.query.window import Window
from app.store.database import Database
from tests.api.live import Keeping, serving
from tests.replayed import LENGTH, new_start, record, replay, timeline, train

Scheme = Literal["light", "dark"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# A container's root has no user namespaces for a sandbox; and no name leads anywhere.
LAUNCH = [
    "--no-sandbox",
    "--disable-gpu",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
]
PATIENCE_MS = 60_000  # another suite may be running


@dataclass(frozen=True)
class Demo:
    """The demo's database, the six hours that it covers, and a key that reads it."""

    settings: Settings
    database: Database
    workspace_id: int
    window: Window
    key: str


@pytest.fixture(scope="session")
def demo(empty_database_url: Callable[..., str], template: str) -> Iterator[Demo]:
    """The demo, replayed into a database of its own."""
    with demo_in(Settings(database_url=empty_database_url(template))) as demo:
        yield demo


@contextmanager
def demo_in(settings: Settings) -> Iterator[Demo]:
    database = Database.from_settings(settings)
    workspace_id = default_workspace(database)
    with database.writing() as conn:
        key = create_key(conn, workspace_id, Role.READ)
    record(database, workspace_id)
    start = new_start(datetime.now(UTC))
    for _ in replay(database, workspace_id, timeline(train(), start)):
        pass
    yield Demo(settings, database, workspace_id, Window(start, start + LENGTH), key)
    database.dispose()


def served_to_all(demo: Demo) -> Flask:
    return create_app(replace(demo.settings, auth=False), demo.database)


@pytest.fixture(scope="session")
def open_url(demo: Demo) -> Iterator[str]:
    """Where the demo is served to everybody."""
    with serving(served_to_all(demo), Keeping) as url:
        yield url


@pytest.fixture(scope="session")
def guarded_url(demo: Demo) -> Iterator[str]:
    """The page that requests a key."""
    with serving(create_app(demo.settings, demo.database), Keeping) as url:
        yield url


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("NO CHROMIUM ON THIS MACHINE: the pages are not tested")
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=LAUNCH)
        yield browser
        browser.close()


@dataclass
class Visit:
    """A page in the browser, and what went on behind it."""

    page: Page
    url: str
    complaints: list[str]
    elsewhere: list[str]

    def open(self, path: str) -> Page:
        """Follow a link, and wait until every panel has an answer."""
        self.page.goto(self.url + path)
        return self.settled()

    def hear(self, kind: str, said: str) -> None:
        if kind == "error":
            self.complaints.append(said)

    def note(self, request: Request) -> None:
        if not request.url.startswith((f"{self.url}/", "data:", "blob:")):
            self.elsewhere.append(request.url)

    def settled(self) -> Page:
        """Wait until no request is running, and no panel waits for its turn.

        Dash knows of a request before anything on the page shows it.
        """
        expect(self.page.locator("main section").first).to_be_attached()
        self.page.wait_for_function("() => !window.store.getState().isLoading")
        expect(self.page.locator("main [aria-busy=true]")).to_have_count(0)
        expect(self.page.locator("main [role=status]")).to_have_count(0)
        expect(self.page.locator("main [data-dash-is-loading=true]")).to_have_count(0)
        return self.page


@pytest.fixture(scope="session")
def profile(browser: Browser) -> Callable[[Scheme, int], BrowserContext]:
    """A profile of the browser that tests share: its cache saves them from loading assets again."""

    @functools.cache
    def make(scheme: Scheme, width: int) -> BrowserContext:
        return new_profile(browser, scheme, width)

    return make


def new_profile(browser: Browser, scheme: Scheme, width: int) -> BrowserContext:
    size = ViewportSize(width=width, height=900)
    context = browser.new_context(viewport=size, color_scheme=scheme)
    context.set_default_timeout(PATIENCE_MS)
    return context


@pytest.fixture
def visit(
    browser: Browser, profile: Callable[[Scheme, int], BrowserContext]
) -> Iterator[Callable[..., Visit]]:
    """Open a page; in the end nothing has complained, and nothing has left the machine.

    A `fresh` profile is without cookies and preferences of other tests.
    """
    visits = []

    def begin(
        url: str, *, scheme: Scheme = "light", width: int = 1440, fresh: bool = False
    ) -> Visit:
        context = new_profile(browser, scheme, width) if fresh else profile(scheme, width)
        page = context.new_page()
        visit = Visit(page, url, [], [])
        page.on("console", lambda said: visit.hear(said.type, said.text))
        page.on("pageerror", lambda error: visit.hear("error", str(error)))
        page.on("request", visit.note)
        visits.append(visit)
        return visit

    yield begin
    for one in visits:
        one.page.close()
    assert [one.complaints for one in visits] == [[] for _ in visits]
    assert [one.elsewhere for one in visits] == [[] for _ in visits]
