"""The API's own reference: /openapi.json, and /docs to read it, without the internet."""

from pathlib import Path

import flask_smorest
import flask_swagger_ui
from flask import Blueprint, Flask, Response, render_template_string, send_from_directory

from app.api.ingest import row_schemas

ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"
# Scripts and styles come from here alone; Swagger UI sets styles of its own and inlines images.
POLICY = (
    "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " script-src 'self'; frame-ancestors 'none'"
)
PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Truthline API</title>
  <link rel="icon" href="/docs/assets/favicon-32x32.png">
  <link rel="stylesheet" href="/docs/assets/swagger-ui.css">
</head>
<body>
  <div id="reference"></div>
  <script src="/docs/assets/swagger-ui-bundle.js"></script>
  <script src="/docs/start.js"></script>
</body>
</html>
"""
START = """SwaggerUIBundle({url: "/openapi.json", dom_id: "#reference", deepLinking: true});\n"""

pages = Blueprint("reference", __name__, url_prefix="/docs")


@pages.get("/")
def page() -> tuple[str, dict[str, str]]:
    """Show the reference."""
    return render_template_string(PAGE), {"Content-Security-Policy": POLICY}


@pages.get("/start.js")
def start() -> tuple[str, dict[str, str]]:
    """Start the viewer; a file of its own, so that the page needs no inline script."""
    return START, {"Content-Type": "text/javascript; charset=utf-8"}


@pages.get("/assets/<path:name>")
def asset(name: str) -> Response:
    """Serve a file of the viewer."""
    return send_from_directory(ASSETS, name, max_age=86_400)


def describe(api: flask_smorest.Api) -> None:
    """Add to the document what the views' decorators can't tell."""
    for name, schema in row_schemas().items():
        api.spec.components.schema(name, schema)
    schemes = {
        "bearer": {"type": "http", "scheme": "bearer"},
        "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
    }
    for name, scheme in schemes.items():
        api.spec.components.security_scheme(name, scheme)
    api.spec.options["security"] = [{name: []} for name in schemes]


def install(app: Flask) -> None:
    """Serve the pages."""
    app.register_blueprint(pages)
