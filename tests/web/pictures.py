"""Retake the pictures of docs/web.md, of the demo on an embedded server:

python -m tests.web.pictures [name ...]
"""

import sys
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, ViewportSize, expect, sync_playwright
from sqlalchemy import make_url

from app.config import Settings
from app.store.migration import upgrade
from tests.api.live import Keeping, serving
from tests.servers import server_url
from tests.web.conftest import (
    CHROMIUM,
    LAUNCH,
    PATIENCE_MS,
    Scheme,
    Visit,
    demo_in,
    served_to_all,
)

IMAGES = Path(__file__).parents[2] / "docs" / "images"
SIZES = {
    "desktop": ViewportSize(width=1440, height=900),
    "phone": ViewportSize(width=390, height=844),
}
DIGITS = {"namespace": "demo", "pipeline": "digits-pipeline", "model": "digits"}
DIABETES = {"namespace": "demo", "pipeline": "diabetes-pipeline", "model": "diabetes"}
TUMOURS = {"namespace": "demo", "pipeline": "pathology", "model": "tumours"}
REQUEST = "demo-digits-05000"
TALL = 1_600


def main(*names: str) -> None:
    """Each page, or those named."""
    IMAGES.mkdir(exist_ok=True)
    with server_url() as server, sync_playwright() as playwright:
        url = make_url(server).render_as_string(hide_password=False)
        upgrade(url)
        with (
            demo_in(Settings(database_url=url)) as demo,
            serving(served_to_all(demo), Keeping) as base,
        ):
            expect.set_options(timeout=PATIENCE_MS)
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=LAUNCH)
            middle = demo.window.start + demo.window.length / 2
            second = {"startTime": f"{middle:%FT%TZ}", "endTime": f"{demo.window.end:%FT%TZ}"}
            for name, path in pages(second).items():
                if not names or name in names:
                    take(browser, base, name, path)
            browser.close()


def pages(window: dict[str, str]) -> dict[str, str]:
    """What is shown, by the name of its picture."""
    late = datetime.fromisoformat(window["endTime"]) - timedelta(hours=1)
    cut = window | {"interval": "15m"}
    return {
        "overview": "/?" + urlencode(window),
        "classifier": "/model?" + urlencode(DIGITS | cut),
        "bucket": "/model?" + urlencode(DIGITS | cut | {"bucket": f"{late:%FT%H}:00:00Z"}),
        "regressor": "/model?" + urlencode(DIABETES | cut),
        "slices": "/model?" + urlencode(DIGITS | window),
        **dict.fromkeys(("scores", "curves"), "/model?" + urlencode(TUMOURS | cut)),
        "requests": "/requests?" + urlencode(DIGITS | window | {"wrong": "true"}),
        "request": "/request?" + urlencode(window | {"request": REQUEST}),
        "executions": "/executions?metric=accuracy",
        "status": "/status",
    }


# Of each page the ways that are kept: all of them would be some megabytes.
KEPT: dict[str, tuple[tuple[str, Scheme], ...]] = {
    "overview": (("desktop", "light"), ("desktop", "dark"), ("phone", "light")),
    "classifier": (("desktop", "light"), ("phone", "dark")),
    "bucket": (("desktop", "dark"),),
    "regressor": (("desktop", "light"),),
    "slices": (("desktop", "light"),),
    "scores": (("desktop", "light"), ("phone", "dark")),
    "curves": (("desktop", "dark"),),
    "requests": (("desktop", "light"), ("phone", "light")),
    "request": (("phone", "dark"),),
    "executions": (("desktop", "light"), ("phone", "dark")),
    "status": (("desktop", "light"),),
}


# Pictures of a panel instead of a page.
PANELS = {"slices": "slices", "scores": "scores", "curves": "score-curves"}


def take(browser: Browser, base: str, name: str, path: str) -> None:
    """One page in the ways that are kept."""
    for way in KEPT[name]:
        device, scheme = way
        size = SIZES[device]
        context = browser.new_context(viewport=size, color_scheme=scheme)
        visit = Visit(context.new_page(), base, [], [])
        page = visit.open(path)
        page.wait_for_timeout(1_500)  # charts are drawn after their answers have come
        height = page.evaluate("document.documentElement.scrollHeight")
        page.set_viewport_size(ViewportSize(width=size["width"], height=min(height, TALL)))
        page.wait_for_timeout(500)
        path_ = IMAGES / f"{name}-{device}-{scheme}.png"
        if panel := PANELS.get(name):
            page.locator(f"section.panel-{panel}").screenshot(path=path_)
        else:
            page.screenshot(path=path_)
        context.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
