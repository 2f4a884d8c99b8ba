"""Take the pictures of docs/web.md anew, of the demo on an embedded server:

python -m tests.web.pictures
"""

from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, sync_playwright
from sqlalchemy import make_url

from app.config import Settings
from app.store.migration import upgrade
from tests.servers import server_url
from tests.web.conftest import CHROMIUM, LAUNCH, Visit, demo_in, listening, served_to_all

IMAGES = Path(__file__).parents[2] / "docs" / "images"
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
DIGITS = {"namespace": "demo", "pipeline": "digits-pipeline", "model": "digits"}
DIABETES = {"namespace": "demo", "pipeline": "diabetes-pipeline", "model": "diabetes"}
TALL = 2_400


def main() -> None:
    """Each page, wide and narrow, by day and by night."""
    IMAGES.mkdir(exist_ok=True)
    with server_url() as server, sync_playwright() as playwright:
        url = make_url(server).render_as_string(hide_password=False)
        upgrade(url)
        with demo_in(Settings(database_url=url)) as demo, listening(served_to_all(demo)) as base:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=LAUNCH)
            middle = demo.window.start + demo.window.length / 2
            second = {"startTime": f"{middle:%FT%TZ}", "endTime": f"{demo.window.end:%FT%TZ}"}
            for name, path in pages(second).items():
                take(browser, base, name, path)
            browser.close()


def pages(window: dict[str, str]) -> dict[str, str]:
    """What is shown, by the name of its picture."""
    worst = DIGITS | window | {"interval": "15m", "bucket": window["endTime"][:14] + "00:00Z"}
    return {
        "overview": "/?" + urlencode(window),
        "classifier": "/model?" + urlencode(DIGITS | window | {"interval": "15m"}),
        "bucket": "/model?" + urlencode(worst),
        "regressor": "/model?" + urlencode(DIABETES | window | {"interval": "15m"}),
        "executions": "/executions?metric=accuracy",
        "status": "/status",
    }


def take(browser: Browser, base: str, name: str, path: str) -> None:
    """One page in four ways."""
    for device, size in (("desktop", DESKTOP), ("phone", PHONE)):
        for scheme in ("light", "dark"):
            context = browser.new_context(viewport=size, color_scheme=scheme)
            visit = Visit(context.new_page(), base, [], [])
            page = visit.open(path)
            page.wait_for_timeout(1_500)  # charts are drawn after their answers have come
            height = min(page.evaluate("document.documentElement.scrollHeight"), TALL)
            page.set_viewport_size({"width": size["width"], "height": max(height, size["height"])})
            page.wait_for_timeout(500)
            page.screenshot(path=IMAGES / f"{name}-{device}-{scheme}.png")
            context.close()


if __name__ == "__main__":
    main()
