"""What the service says of itself: a log line and a few metrics per request."""

import logging
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import quote

from flask import Flask, Response, g, request
from prometheus_client import Counter, Histogram

from app.errors import RowError
from app.ingest.batch import Verdict
from app.logs import request_id

_log = logging.getLogger(__name__)
_access = logging.getLogger("truthline.access")
_GIVEN_ID = re.compile(r"[\w.:-]{1,128}")

REQUESTS = Histogram(
    "truthline_http_request_duration_seconds",
    "Time from a request's arrival to its answer",
    ["method", "route", "status"],
)
REASONS = 5  # in one line of the log
UNKNOWN = ("(unknown)", "(unknown)")
ROWS = Counter("truthline_ingested_rows", "Rows of ingested batches", ["kind", "verdict"])
EVENTS = Counter("truthline_events", "CloudEvents by what became of them", ["verdict"])


def install(app: Flask) -> None:
    """Give each request an id, and tell of it when it is done."""
    app.before_request(_begin)
    app.after_request(_finish)


def count_rows(kind: str, verdict: Verdict) -> None:
    """Count a batch's rows by what became of them."""
    with _never_in_the_way():
        for name in ("accepted", "duplicates", "pending"):
            ROWS.labels(kind, name).inc(getattr(verdict, name))


def tell_refused(kind: str, errors: Sequence[RowError], *, of: int) -> None:
    """Count and log rows that were left out of a post of `of` rows, whose others were stored."""
    if errors:
        with _never_in_the_way():
            ROWS.labels(kind, "refused").inc(len(errors))
            _log.warning("%d of %d %s can't be stored: %s", len(errors), of, kind, in_short(errors))


def tell_odd_events(errors: Sequence[RowError], *, of: int) -> None:
    """Count and log events that were left out of a request of `of` events."""
    if errors:
        with _never_in_the_way():
            EVENTS.labels("refused").inc(len(errors))
            _log.warning("%d of %d events can't be taken: %s", len(errors), of, in_short(errors))


def tell_odd_rows(reasons: Sequence[str]) -> None:
    """Count and log rows that were left out of events whose other rows were stored."""
    if reasons:
        with _never_in_the_way():
            ROWS.labels("events", "refused").inc(len(reasons))
            rows = [RowError(row, "", reason) for row, reason in enumerate(reasons)]
            _log.warning("rows of events can't be stored, %d: %s", len(reasons), in_short(rows))


def in_short(errors: Sequence[RowError]) -> str:
    """What is wrong with the first few rows."""
    reasons = [f"{error.field} {error.reason}".strip() for error in errors[:REASONS]]
    more = len(errors) - len(reasons)
    return "; ".join(reasons) + (f"; and {more} more" if more else "")


def count_events(verdict: Verdict) -> None:
    """Count events: taken, and delivered before."""
    with _never_in_the_way():
        EVENTS.labels("accepted").inc(verdict.accepted)
        EVENTS.labels("duplicates").inc(verdict.duplicates)


def count_ignored_events(number: int) -> None:
    """Count events of types that say nothing here."""
    with _never_in_the_way():
        EVENTS.labels("ignored").inc(number)


@contextmanager
def _never_in_the_way() -> Iterator[None]:
    """What was stored is stored: a metric that can't be kept must not turn the answer into 500."""
    try:
        yield
    except Exception:  # noqa: BLE001 - whatever it is, it is logged
        _log.exception("a metric could not be kept")


def _begin() -> None:
    g.began = time.perf_counter()
    given = request.headers.get("X-Request-ID", "")
    request_id.set(given if _GIVEN_ID.fullmatch(given) else uuid.uuid4().hex)


def _finish(response: Response) -> Response:
    seconds = time.perf_counter() - g.began
    # only what routes answer: a caller must not be able to make metrics at will
    method, route = (request.method, request.url_rule.rule) if request.url_rule else UNKNOWN
    with _never_in_the_way():
        REQUESTS.labels(method, route, response.status_code).observe(seconds)
    response.headers["X-Request-ID"] = request_id.get()
    # the path without its query: an api_key may stand there; quoted, for it may hold line ends
    fields = {"status": response.status_code, "milliseconds": round(seconds * 1000, 1)}
    fields["workspace"] = g.get("workspace_id")
    _access.info("%s %s", request.method, quote(request.path), extra={"fields": fields})
    return response
