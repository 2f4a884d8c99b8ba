"""Headers that every answer carries, whoever made it: a view, an error, a page, or gunicorn."""

from http import HTTPStatus

from flask import Flask, Response

# Seconds. Most outages are a busy moment; H2O's client and ours wait that long and ask again.
RETRY_AFTER = "5"
SAFE = {
    # A browser must take a body for what it is said to be, and nothing that could be run.
    "X-Content-Type-Options": "nosniff",
    # What a workspace holds is no proxy's to keep; files that belong to nobody say otherwise.
    "Cache-Control": "no-store",
}


def install(app: Flask) -> None:
    """Complete the headers of each answer."""
    app.after_request(complete)


def complete(response: Response) -> Response:
    """Add what the answer doesn't say itself."""
    for name, value in SAFE.items():
        response.headers.setdefault(name, value)
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers.setdefault("Retry-After", RETRY_AFTER)
    return response
