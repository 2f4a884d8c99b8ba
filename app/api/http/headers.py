"""Headers of every response, whether from a view, an error, a page, or gunicorn."""

from http import HTTPStatus

from flask import Flask, Response

# Seconds. Most outages are short; H2O's client and ours wait this long before they retry.
RETRY_AFTER = "5"
SAFE = {
    # A browser must use the stated content type, and not execute anything else.
    "X-Content-Type-Options": "nosniff",
    # Proxies must not store the data of a workspace; public files override this.
    "Cache-Control": "no-store",
}


def install(app: Flask) -> None:
    """Complete the headers of each response."""
    app.after_request(complete)


def complete(response: Response) -> Response:
    """Add headers that the response doesn't have."""
    for name, value in SAFE.items():
        response.headers.setdefault(name, value)
    if response.status_code == HTTPStatus.SERVICE_UNAVAILABLE:
        response.headers.setdefault("Retry-After", RETRY_AFTER)
    return response
