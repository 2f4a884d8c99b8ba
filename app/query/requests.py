"""The requests behind a number: predictions with their truths, found newest first.

`sql/views/86_requests.sql` says what a request is and how pages of them are found.
`request_history.py` has everything about a single one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from typing import Any, Self

from sqlalchemy import Connection, Row, text

from app.errors import InvalidInput, WrongKind
from app.query.question import Moment, Question
from app.query.subjects import Subject
from app.query.window import Window
from app.store.registry import Kind

# About how many rows an answer reads before it returns what it found, and a cursor.
MAX_READ = 50_000
# All times are later: see `app/ingest/fields.py`.
EVER = Window(datetime(1970, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class RequestFilter:
    """Which requests are listed. None in a field lists all, and truths that are unknown meet none.

    `wrong` compares classes: predicted and actual differ, or not. `labelled` says whether a truth
    is known. Bounds of confidence are included; `least_error` is one of |predicted - actual|.
    """

    predicted: str | None = None
    actual: str | None = None
    wrong: bool | None = None
    labelled: bool | None = None
    failed: bool | None = None
    least_confidence: float | None = None
    most_confidence: float | None = None
    least_error: float | None = None

    def __post_init__(self) -> None:
        """Reject a filter that no request can meet.

        Raises:
            InvalidInput: it is one of truths and of their absence, or an empty range.
        """
        of_truths = {
            "actualLabel": self.actual,
            "wrong": self.wrong,
            "minError": self.least_error,
        }
        given = [name for name, value in of_truths.items() if value is not None]
        if self.labelled is False and given:
            raise InvalidInput(f"{given[0]} needs a truth, and unlabelled requests have none")
        if self.failed and (given or self.labelled is not None):
            raise InvalidInput("failed requests have no truths")
        least, most = self.least_confidence, self.most_confidence
        if least is not None and most is not None and least > most:
            raise InvalidInput("minConfidence must be at most maxConfidence")

    def require(self, kind: Kind | None) -> None:
        """Check that it can be asked of a model of this kind.

        Raises:
            WrongKind: it is a filter of classes, and the model predicts values, or the reverse.
        """
        of_classes = (self.predicted, self.actual, self.wrong)
        if kind is Kind.REGRESSION and any(value is not None for value in of_classes):
            raise WrongKind("predictedLabel, actualLabel and wrong are of classifiers")
        if kind not in (Kind.REGRESSION, None) and self.least_error is not None:
            raise WrongKind("minError is of regressors; classifiers have wrong=true")


@dataclass(frozen=True, slots=True)
class RequestPosition:
    """Where a page ends: after the `nth` request of a time and a receipt.

    Without `received_at`, everything at `time` and later has been searched.
    """

    time: datetime
    received_at: datetime | None = None
    nth: int | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """The names of a series, and its tags."""

    version: str
    deployment: str
    deployment_type: str
    server_version: str
    tags: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Request:
    """A stored output of a model, with its current truth.

    A class or a value is None if the output is of the other kind, or the truth is unknown.
    `request_id` is None if the client sent none. `learned_at` is when the current truth was stored,
    and `n_truths` counts it and those that it replaced.
    """

    part: Part
    request_id: str | None
    batch_index: int
    time: datetime
    received_at: datetime
    predicted_label: str | None
    predicted_value: float | None
    confidence: float | None
    latency_seconds: float | None
    failed: bool
    actual_label: str | None
    actual_value: float | None
    learned_at: datetime | None
    n_truths: int

    @property
    def wrong(self) -> bool | None:
        """Whether predicted and actual class differ; None without classes or truth."""
        if self.actual_label is None or self.failed:
            return None
        return self.predicted_label != self.actual_label

    @property
    def error(self) -> float | None:
        """Predicted minus actual value; None without values or truth."""
        if self.actual_value is None or self.predicted_value is None:
            return None
        return self.predicted_value - self.actual_value

    @property
    def corrected(self) -> bool:
        """Whether its truth replaced an earlier one."""
        return self.n_truths > 1


@dataclass(frozen=True, slots=True)
class RequestPage:
    """Requests, newest first.

    `n_read` rows were read for them. `following` is the position of the next page, which may be
    empty; None if there is no more. Everything made since `searched_from` was searched, or is on an
    earlier page. Requests received before `kept_since` were dropped; None if none was.
    """

    requests: Sequence[Request]
    following: RequestPosition | None
    n_read: int
    searched_from: datetime
    kept_since: datetime | None
    moment: Moment

    @classmethod
    def nothing(cls, window: Window, moment: Moment) -> Self:
        """The page of a model without predictions."""
        return cls((), None, 0, window.start, None, moment)


def requests_page(
    conn: Connection,
    question: Question[Subject],
    which: RequestFilter,
    *,
    size: int,
    after: RequestPosition | None = None,
) -> RequestPage:
    """A page of the requests of a settled question, which a filter lists.

    Pages of one moment never repeat a request nor omit one, whatever is stored between them: give
    the `as_of` of the first to those that follow.

    Cost: one statement. It reads the cells of the window if the filter is of truths, and about
    MAX_READ rows at most. All predictions of one instant are read together.

    Raises:
        WrongKind: as in `RequestFilter.require`.
    """
    which.require(question.subject.kind)
    moment = question.settled_moment
    rows = conn.execute(_PAGE, _parameters(question, which, size, after)).all()
    *found, summary = rows
    requests = [request_of(row) for row in found[:size]]
    following = _following(question.window, found, summary, size)
    searched = found[size - 1].time if len(found) > size else summary.searched_from
    return RequestPage(requests, following, summary.total, searched, summary.kept_since, moment)


def request_of(row: Row[Any]) -> Request:
    """A row of `REQUEST_COLUMNS`."""
    part = Part(*(getattr(row, name) for name in Part.__slots__))
    return Request(part, *(getattr(row, name) for name in Request.__slots__ if name != "part"))


def _following(
    window: Window, found: Sequence[Row[Any]], summary: Row[Any], size: int
) -> RequestPosition | None:
    if len(found) > size:
        last = found[size - 1]
        return RequestPosition(last.time, last.received_at, last.nth)
    if summary.searched_from > window.start:
        return RequestPosition(summary.searched_from)
    return None


def _parameters(
    question: Question[Subject], which: RequestFilter, size: int, after: RequestPosition | None
) -> dict[str, Any]:
    position = (None, None, None) if after is None else astuple(after)
    names = [name for name in RequestFilter.__slots__ if name not in ("predicted", "actual")]
    return {
        "workspace": question.workspace_id,
        "series": list(question.subject.series),
        "start": question.window.start,
        "end": question.window.end,
        "as_of": question.as_of or "infinity",
        "predicted": which.predicted,
        "actual": which.actual,
        **{name: getattr(which, name) for name in names},
        **dict(zip(("after_time", "after_received_at", "after_nth"), position, strict=True)),
        "size": size + 1,  # one more tells whether there is more
        "most_read": MAX_READ,
    }


# Columns of a `request` of type request_row, with names for ids.
REQUEST_COLUMNS = """
    (found.request).time, (found.request).received_at, (found.request).request_id,
    (found.request).batch_index, predicted.name AS predicted_label,
    (found.request).value AS predicted_value, (found.request).confidence,
    (found.request).latency_seconds, (found.request).failed, actual.name AS actual_label,
    (found.request).actual_value, (found.request).learned_at, (found.request).n_truths,
    series.version, series.deployment, series.deployment_type, series.server_version, series.tags
"""
NAMES = """
    LEFT JOIN series ON series.id = (found.request).series_id
    LEFT JOIN label AS predicted ON predicted.id = (found.request).label_id
    LEFT JOIN label AS actual ON actual.id = (found.request).actual_label
"""
# A class that the workspace has never seen has no id: no request has it.
_LABEL = """
    CASE WHEN CAST(:{name} AS text) IS NOT NULL
         THEN coalesce((SELECT id FROM label WHERE workspace_id = :workspace AND name = :{name}), 0)
    END
"""
_PAGE = text(f"""
    SELECT {REQUEST_COLUMNS}, found.nth, found.n_read AS total, found.searched_from,
           nullif(truthline_internal.rows_since(), '-infinity') AS kept_since
    FROM truthline_internal.requests(
        CAST(:series AS integer[]), CAST(:start AS timestamptz), CAST(:end AS timestamptz),
        CAST(:as_of AS timestamptz),
        CAST(ROW({_LABEL.format(name="predicted")}, {_LABEL.format(name="actual")},
                 CAST(:wrong AS boolean), CAST(:labelled AS boolean), CAST(:failed AS boolean),
                 CAST(:least_confidence AS float8), CAST(:most_confidence AS float8),
                 CAST(:least_error AS float8)) AS truthline_internal.request_filter),
        CAST(ROW(CAST(:after_time AS timestamptz), CAST(:after_received_at AS timestamptz),
                 CAST(:after_nth AS integer)) AS truthline_internal.request_position),
        :size, :most_read
    ) WITH ORDINALITY AS found (request, nth, n_read, searched_from, place)
    {NAMES}
    ORDER BY found.place
""")
