"""Draw the pictures of the client's figures: `make pictures`.

The scenes are logged to a server on an embedded database, asked for, drawn by plotly, and taken
from Chromium.
"""

import logging
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright
from truthline import Client

from app.config import Settings
from app.factory import create_app
from bench.database import fresh_database
from docs.pictures.scenes import DAY, HOUR, IRIS, IRIS_START, PRICES, RETURNS, log_all
from tests.api.live import serving

HERE = Path(__file__).parent
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
WIDTH, SCALE = 960, 2
TODAY: dict[str, Any] = {"start": DAY, "end": DAY + 24 * HOUR}


def figures(client: Client) -> Iterator[tuple[str, Any]]:
    """Each figure with its name."""
    iris = client.classification_metrics(
        **IRIS, start=IRIS_START, end=IRIS_START + timedelta(minutes=2), interval="10s"
    )
    yield "iris-metrics", iris.plot()
    yield "iris-confusion-matrix", iris.confusion_matrix("2025-02-25T11:51:45Z").plot()
    returns = client.classification_metrics(**RETURNS, **TODAY, interval="1h")
    yield "classification-metrics", returns.plot()
    whole = client.classification_metrics(**RETURNS, **TODAY)
    yield "confusion-matrix", whole.confusion_matrix(0).plot()
    yield (
        "regression-metrics",
        client.regression_metrics(**PRICES, **TODAY, interval="1h").plot("k€"),
    )
    yield "inference-stats", client.inference_stats(**TODAY).plot()
    yield "models", client.models(**TODAY).plot()
    yield "health-of-a-classifier", client.health("shop-eu", **TODAY).plot()
    yield "health-of-a-regressor", client.health("homes-eu", **TODAY).plot()


def main() -> None:
    """Write a PNG for each figure."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    settings = Settings(database_url="postgresql://", auth=False)
    with (
        fresh_database() as database,
        serving(create_app(settings, database)) as url,
        Client(url) as client,
        sync_playwright() as playwright,
    ):
        log_all(client)
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(device_scale_factor=SCALE)
        for name, figure in figures(client):
            height = int(figure.layout.height)
            width = int(figure.layout.width or WIDTH)
            page.set_viewport_size({"width": width, "height": height})
            style = "<style>body { margin: 0 }</style>"
            page.set_content(style + figure.to_html(config={"displayModeBar": False}))
            page.wait_for_selector(".main-svg", state="attached")
            page.wait_for_timeout(300)  # the last layout
            page.screenshot(path=HERE / f"{name}.png")
        browser.close()


if __name__ == "__main__":
    main()
