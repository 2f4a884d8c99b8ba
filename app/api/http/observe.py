"""Observability of the service: a log line and a few metrics per request."""

import logging
import re
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol
from urllib.parse import quote

from flask import Flask, Response, g, request
from prometheus_client import Counter, Histogram

from app.errors import RowError
from app.ingest.batch import Verdict
from app.logs import request_id
from app.store.disconnects import count_waiting, seconds_waited

_log = logging.getLogger(__name__)
_access = logging.getLogger("truthline.access")
_VALID_ID = re.compile(r"[\w.:-]{1,128}")

REQUESTS = Histogram(
    "truthline_http_request_duration_seconds",
    "Time from the arrival of a request to its response",
    ["method", "route", "status"],
)
REASONS = 5  # in one log line
UNKNOWN = ("(unknown)", "(unknown)")
ROWS = Counter("truthline_ingested_rows", "Rows of ingested batches", ["kind", "verdict"])
EVENTS = Counter("truthline_events", "CloudEvents by verdict", ["verdict"])


def install(app: Flask) -> None:
    """Give each request an id, and log and measure it when it is done."""
    app.before_request(_start)
    app.after_request(_finish)


class Counted(Protocol):
    """The verdict on a batch, or on a bulk body."""

    @property
    def accepted(self) -> int:
        """Rows that were stored."""
        ...

    @property
    def duplicates(self) -> int:
        """Rows that were stored before."""
        ...

    @property
    def pending(self) -> int:
        """Accepted rows that wait for their prediction."""
        ...


def count_rows(kind: str, verdict: Counted) -> None:
    """Count a batch's rows by verdict."""
    with _logging_exceptions():
        for name in ("accepted", "duplicates", "pending"):
            ROWS.labels(kind, name).inc(getattr(verdict, name))


def report_rejected(
    kind: str, row_errors: Sequence[RowError], *, of: int, number: int | None = None
) -> None:
    """Count and log rejected rows of a request with `of` rows, whose other rows were stored.

    `number` is how many they are, if `row_errors` are only the first of them.
    """
    if row_errors:
        number = len(row_errors) if number is None else number
        with _logging_exceptions():
            ROWS.labels(kind, "refused").inc(number)
            _log.warning("%d of %d %s can't be stored: %s", number, of, kind, summary(row_errors))


def report_invalid_events(row_errors: Sequence[RowError], *, of: int) -> None:
    """Count and log rejected events of a request with `of` events."""
    if row_errors:
        with _logging_exceptions():
            EVENTS.labels("refused").inc(len(row_errors))
            _log.warning(
                "%d of %d events can't be stored: %s", len(row_errors), of, summary(row_errors)
            )


def report_invalid_rows(reasons: Sequence[str]) -> None:
    """Count and log rejected rows of events whose other rows were stored."""
    if reasons:
        with _logging_exceptions():
            ROWS.labels("events", "refused").inc(len(reasons))
            rows = [RowError(row, "", reason) for row, reason in enumerate(reasons)]
            _log.warning("rows of events can't be stored, %d: %s", len(reasons), summary(rows))


def summary(row_errors: Sequence[RowError]) -> str:
    """The errors of the first few rows."""
    reasons = [f"{error.field} {error.reason}".strip() for error in row_errors[:REASONS]]
    more = len(row_errors) - len(reasons)
    return "; ".join(reasons) + (f"; and {more} more" if more else "")


def count_events(verdict: Verdict) -> None:
    """Count new events and duplicates."""
    with _logging_exceptions():
        EVENTS.labels("accepted").inc(verdict.accepted)
        EVENTS.labels("duplicates").inc(verdict.duplicates)


def count_ignored_events(number: int) -> None:
    """Count events of types that are ignored."""
    with _logging_exceptions():
        EVENTS.labels("ignored").inc(number)


@contextmanager
def _logging_exceptions() -> Iterator[None]:
    """Log exceptions: a metric that fails must not turn a success into a 500."""
    try:
        yield
    except Exception:  # noqa: BLE001 - every exception is logged
        _log.exception("a metric could not be updated")


def _start() -> None:
    g.began = time.perf_counter()
    count_waiting()
    client_id = request.headers.get("X-Request-ID", "")
    request_id.set(client_id if _VALID_ID.fullmatch(client_id) else uuid.uuid4().hex)


def _timing(**seconds: float) -> str:
    """Milliseconds, as developer tools of browsers show them."""
    return ", ".join(f"{name};dur={1000 * duration:.1f}" for name, duration in seconds.items())


def _finish(response: Response) -> Response:
    seconds = time.perf_counter() - g.began
    # only known routes: a client must not be able to create metrics
    method, route = (request.method, request.url_rule.rule) if request.url_rule else UNKNOWN
    with _logging_exceptions():
        REQUESTS.labels(method, route, response.status_code).observe(seconds)
    response.headers["X-Request-ID"] = request_id.get()
    response.headers["Server-Timing"] = _timing(database=seconds_waited(), total=seconds)
    # without the query, which may contain an api_key; quoted, since it may contain line ends
    fields = {"status": response.status_code, "milliseconds": round(seconds * 1000, 1)}
    fields["workspace"] = g.get("workspace_id")
    _access.info("%s %s", request.method, quote(request.path), extra={"fields": fields})
    return response
