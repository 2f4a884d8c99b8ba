"""The API reference: /openapi.json, and a viewer at /docs that needs no internet."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import flask_smorest
import flask_swagger_ui
import msgspec
from flask import Blueprint, Flask, Response, request, send_from_directory

from app.api.http import positions
from app.api.http.answers import JSON, TABLES
from app.api.http.problems import (
    NATIVE_ERROR,
    describe_kinds,
    error_schema_name,
    error_schemas,
)

ASSETS = Path(flask_swagger_ui.__file__).parent / "dist"
# Scripts and styles are only loaded from here; Swagger UI sets inline styles and embeds images.
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
  <link rel="icon" href="{root}/docs/assets/favicon-32x32.png">
  <link rel="stylesheet" href="{root}/docs/assets/swagger-ui.css">
</head>
<body>
  <div id="reference"></div>
  <script src="{root}/docs/assets/swagger-ui-bundle.js"></script>
  <script src="{root}/docs/start.js"></script>
</body>
</html>
"""
PROBLEMS_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Truthline: problems</title></head>
<body><h1>Problems</h1><dl>{rows}</dl></body>
</html>
"""
START = """SwaggerUIBundle({{
  url: "{root}/openapi.json", dom_id: "#reference", deepLinking: true
}});
"""

OPEN_PATHS = ("/livez", "/readyz", "/metrics")
SECURITY_SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
Reference = dict[str, str]
View = TypeVar("View", bound=Callable[..., Any])

pages = Blueprint("reference", __name__, url_prefix="/docs")


@pages.get("/")
def page() -> tuple[str, dict[str, str]]:
    """Show the reference."""
    return PAGE.format(root=request.script_root), {"Content-Security-Policy": POLICY}


@pages.get("/start.js")
def start() -> tuple[str, dict[str, str]]:
    """Start the viewer; in a file of its own, so that the page needs no inline script."""
    script = START.format(root=request.script_root)
    return script, {"Content-Type": "text/javascript; charset=utf-8"}


@pages.get("/assets/<path:name>")
def asset(name: str) -> Response:
    """Serve a file of the viewer."""
    return send_from_directory(ASSETS, name, max_age=86_400)


# Request bodies that views read as msgspec messages; their schemas are added to the document.
_MESSAGES: list[type[msgspec.Struct]] = []


def describe(message: type[msgspec.Struct]) -> None:
    """Add a message's schema to the document, so that others can refer to it."""
    _MESSAGES.append(message)


def takes_body(
    blp: flask_smorest.Blueprint,
    message: type[msgspec.Struct],
    content: Callable[[Reference], dict[str, Any]] = lambda message: {"application/json": message},
    **more: Any,
) -> Callable[[View], View]:
    """Document the request body of a view, which reads it itself.

    `content` maps the message's schema to the content of each media type; `more` is further OpenAPI
    of the operation.
    """
    describe(message)
    reference = {"$ref": f"#/components/schemas/{message.__name__}"}
    media = {name: {"schema": schema} for name, schema in content(reference).items()}
    documented: Callable[[View], View] = blp.doc(
        requestBody={"required": True, "content": media}, **more
    )
    return documented


def _document(api: flask_smorest.Api) -> dict[str, Any]:
    """The OpenAPI document, completed with what the views' decorators don't contain."""
    document: dict[str, Any] = api.spec.to_dict()
    components = document["components"]
    _, messages = msgspec.json.schema_components(
        _MESSAGES, ref_template="#/components/schemas/{name}"
    )
    components["schemas"] = {**_used(components["schemas"]), **messages, **error_schemas()}
    components["responses"] = {name: _error(name) for name in error_schemas()}
    components["securitySchemes"] = SECURITY_SCHEMES
    for path, item in document["paths"].items():
        for method in item.keys() - {"parameters"}:  # those of the path, shared by its methods
            _complete(item[method], path)
            _add_positions(item[method], method)
            _add_tables(item[method], components["schemas"])
    return document


def _add_positions(operation: dict[str, Any], method: str) -> None:
    """Add how a question asks for what was written before it."""
    if method == "get" and operation["security"]:
        operation["parameters"] = [*operation.get("parameters", []), *positions.PARAMETERS]


def _add_tables(operation: dict[str, Any], schemas: Mapping[str, Any]) -> None:
    """Add the other forms of an answer with buckets."""
    content = operation["responses"].get("200", {}).get("content", {})
    name = content.get(JSON, {}).get("schema", {}).get("$ref", "").rpartition("/")[2]
    if "buckets" in schemas.get(name, {}).get("properties", {}):
        binary = {"schema": {"type": "string", "format": "binary"}}
        content.update(dict.fromkeys(TABLES, binary))


def _used(schemas: dict[str, Any]) -> dict[str, Any]:
    """Without what the library adds."""
    return {name: s for name, s in schemas.items() if name not in ("Error", "PaginationMetadata")}


def _error(schema: str) -> dict[str, Any]:
    media = "application/problem+json" if schema == NATIVE_ERROR else "application/json"
    reference = {"$ref": f"#/components/schemas/{schema}"}
    return {"description": "What went wrong", "content": {media: {"schema": reference}}}


def _complete(operation: dict[str, Any], path: str) -> None:
    """Set the error form of this path, and whether it requires a key."""
    form = f"#/components/responses/{error_schema_name(path)}"
    operation["responses"]["default"] = {"$ref": form}
    operation["responses"].pop("422", None)  # the library's own form of errors
    schemes = () if path in OPEN_PATHS else SECURITY_SCHEMES
    # a view that is open for another reason declares that itself
    operation.setdefault("security", [{name: []} for name in schemes])


def problem_kinds() -> tuple[str, dict[str, str]]:
    """The target of a problem's `type`: all kinds of problems."""
    rows = "".join(
        f'<dt id="{name}">{name} ({status:d})</dt><dd>{meaning}</dd>'
        for name, meaning, status in describe_kinds()
    )
    return PROBLEMS_PAGE.format(rows=rows), {"Content-Security-Policy": POLICY}


def _servers() -> dict[str, Any]:
    """Where the paths are, if below a path of this host."""
    return {"servers": [{"url": request.script_root}]} if request.script_root else {}


def install(app: Flask, api: flask_smorest.Api) -> None:
    """Serve the document and the pages. Call it once all views are registered."""
    document = _document(api)
    app.add_url_rule("/openapi.json", "openapi", lambda: document | _servers())
    app.register_blueprint(pages)
    app.add_url_rule("/problems", "problems", problem_kinds)
