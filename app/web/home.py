"""The first page: what this is, and where to go on."""

from flask import Blueprint

blp = Blueprint("home", __name__)

PAGE = """<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>Truthline</title>
  <style>
    :root { color-scheme: light dark; }
    body { font: 1.05rem/1.6 system-ui, sans-serif; }
    body { max-width: 40rem; margin: 4rem auto; padding: 0 1rem; }
    li { margin: .3rem 0; }
    code { font-size: .95em; }
  </style>
</head>
<body>
  <h1>Truthline</h1>
  <p>What your models predicted, what turned out true, and the metrics of both at any window.</p>
  <ul>
    <li><a href="/docs">API reference</a>, with a form to try each call</li>
    <li><a href="/readyz">Readiness</a>: database, migrations, edition</li>
    <li><a href="/metrics">The service's own metrics</a>, for Prometheus</li>
  </ul>
</body>
</html>
"""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@blp.get("/")
def page() -> tuple[str, dict[str, str]]:
    """Show the first page."""
    return PAGE, {"Content-Security-Policy": POLICY}
