"""Replies: events that are forwarded to a configured address."""

import http.client
import urllib.error
import urllib.request
from typing import Any

from cloudevents.core.bindings.http import HTTPMessage

from app.errors import ReplyFailed

TIMEOUT_SECONDS = 5


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would lead to an address that is not configured, and turn POST into GET."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """Follow none: the response counts as a failure."""


_OPENER = urllib.request.build_opener(_NoRedirects)


def send_reply(url: str, message: HTTPMessage) -> None:
    """Post an event in binary mode.

    Raises:
        ReplyFailed: it was not accepted, or not within TIMEOUT_SECONDS.
    """
    post = urllib.request.Request(url, message.body, message.headers, method="POST")  # noqa: S310 - http(s) only
    try:
        with _OPENER.open(post, timeout=TIMEOUT_SECONDS):
            return
    except urllib.error.HTTPError as error:
        error.close()
        raise ReplyFailed(f"the reply URL returned {error.code}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise ReplyFailed("the reply URL can't be reached") from error
