"""The login page, which needs no script."""

from html import escape
from http import HTTPStatus

from flask import Response, request

from app.web.files import address
from app.web.session import local_path

PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Log in · Truthline</title>
  <link rel="icon" type="image/svg+xml" href="{icon}">
  <link rel="stylesheet" href="{style}">
</head>
<body>
  <main>
    <h1>Truthline</h1>
    <p>What your models predicted, and what turned out true.</p>
    <form method="post" action="{root}/login">
      <label for="key">API key</label>
      <input id="key" name="key" type="password" autocomplete="current-password" required autofocus
             spellcheck="false"{described}>
      {error}
      <input type="hidden" name="next" value="{target}">
      <button type="submit">Log in</button>
    </form>
    <p class="hint">A key with the role read or admin. The server's operator creates one with
      <code>truthline keys create --role read</code>. The API itself is described at
      <a href="{root}/docs">{root}/docs</a>.</p>
  </main>
</body>
</html>
"""
ERROR = '<p id="wrong" role="alert">{}</p>'
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; base-uri 'none';"
    " frame-ancestors 'none'"
)


def login_page(target: str, error: str = "", status: int = HTTPStatus.OK) -> Response:
    """Show the form, and the error of the last attempt."""
    page = PAGE.format(
        icon=address("icon.svg"),
        style=address("login.css"),
        root=escape(request.script_root),
        target=escape(local_path(target)),
        error=ERROR.format(escape(error[:1].upper() + error[1:] + ".")) if error else "",
        described=' aria-describedby="wrong" aria-invalid="true"' if error else "",
    )
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
    return Response(page, status, headers, mimetype="text/html")
