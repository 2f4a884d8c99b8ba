"""An error as a page: what a browser shows for a path that does not exist. It needs no script."""

from html import escape
from http import HTTPStatus

from flask import Response, request

from app.web.files import address
from app.web.login import POLICY

PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{title} · Truthline</title>
  <link rel="icon" type="image/svg+xml" href="{icon}">
  <link rel="stylesheet" href="{style}">
</head>
<body>
  <main>
    <h1>{title}</h1>
    <p>{detail}</p>
    <p><a href="{root}/">All models</a> · <a href="{root}/docs">API</a></p>
    <p class="hint">Status {status}</p>
  </main>
</body>
</html>
"""
NO_PAGE = (
    "There is no page at this address. It may have been mistyped, or cut off when it was copied."
)


def error_page(status: int, title: str, detail: str) -> Response:
    """The page for an error, with its status."""
    if status == HTTPStatus.NOT_FOUND and title == HTTPStatus.NOT_FOUND.phrase:
        title, detail = "There is no such page", NO_PAGE
    text = detail[:1].upper() + detail[1:].rstrip(".") + "." if detail else ""
    page = PAGE.format(
        title=escape(title),
        detail=escape(text),
        status=status,
        root=escape(request.script_root),
        icon=address("icon.svg"),
        style=address("login.css"),
    )
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return Response(page, status, headers, mimetype="text/html")
