"""Requests: predictions with their truths, listed newest first, and the history of one."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from truthline.extras import extra
from truthline.wire import ABSENT, decode

if TYPE_CHECKING:  # packages that need not be there
    import pandas as pd


@dataclass(frozen=True)
class Request:
    """An output of a model, with its truth: labels of a classifier, values of a regressor.

    What is unknown is None. `learned_at` is when the truth was stored that counts now, `corrected`
    whether it replaced an earlier one, and `wrong` whether the classes differ.
    """

    request_id: str | None = None
    batch_index: int = ABSENT
    time: datetime = ABSENT
    received_at: datetime | None = None
    version: str = ABSENT
    deployment: str = ABSENT
    deployment_type: str = ABSENT
    server_version: str = ABSENT
    tags: Mapping[str, str] | None = field(default=None, hash=False)
    failed: bool = ABSENT
    predicted_label: str | None = None
    predicted_value: float | None = None
    confidence: float | None = None
    latency_seconds: float | None = None
    actual_label: str | None = None
    actual_value: float | None = None
    wrong: bool | None = None
    learned_at: datetime | None = None
    corrected: bool = ABSENT


@dataclass(frozen=True)
class RequestPage:
    """Some of the requests, newest first.

    `rows_read` stored rows were read for it. Every request made since `searched_from` is on this
    page or an earlier one. All pages are as of `as_of`. Requests received before `kept_since` are
    no longer kept; None if all are.
    """

    requests: tuple[Request, ...] = ABSENT
    next_cursor: str | None = None
    rows_read: int = ABSENT
    searched_from: datetime = ABSENT
    as_of: datetime = ABSENT
    kept_since: datetime | None = None


class Requests:
    """The requests that a query lists, newest first. Pages are fetched as they are needed.

    Iterate over it for single requests, or over `pages()`. Each iteration asks again.
    """

    def __init__(self, get: Callable[[dict[str, Any]], Any], asked: dict[str, Any]) -> None:
        self._get = get
        self._asked = asked

    def __iter__(self) -> Iterator[Request]:
        for page in self.pages():
            yield from page.requests

    def pages(self) -> Iterator[RequestPage]:
        """Yield the pages; one may be empty and still be followed by others.

        Raises:
            TruthlineError: the query failed; the subclass states why.
        """
        page = decode(RequestPage, self._get(self._asked))
        yield page
        while page.next_cursor:
            page = decode(RequestPage, self._get({**self._asked, "cursor": page.next_cursor}))
            yield page

    def to_pandas(self, most: int = 1000) -> "pd.DataFrame":
        """Return a DataFrame with a row per request, for the newest ones, at most `most`."""
        pandas = extra("pandas", "pandas")
        columns = [field.name for field in fields(Request)]
        return pandas.DataFrame([vars(one) for one in islice(self, most)], columns=columns)


@dataclass(frozen=True)
class LearnedTruth:
    """A truth, when it was stored, and when the next one replaced it: None for the current one."""

    label: str | None = None
    value: float | None = None
    learned_at: datetime = ABSENT
    replaced_at: datetime | None = None


@dataclass(frozen=True)
class RequestPrediction(Request):
    """A prediction of a request, with every truth that it ever had, oldest first.

    `kept` is False if its row was dropped: only its output and the latest truth are known then.
    """

    namespace: str = ABSENT
    pipeline: str = ABSENT
    model: str = ABSENT
    kept: bool = ABSENT
    truths: tuple[LearnedTruth, ...] = ABSENT


@dataclass(frozen=True)
class PendingTruth:
    """A truth that waits for its prediction."""

    namespace: str = ABSENT
    pipeline: str = ABSENT
    model: str = ABSENT
    batch_index: int = ABSENT
    label: str | None = None
    value: float | None = None
    received_at: datetime = ABSENT


@dataclass(frozen=True)
class RequestHistory:
    """Every prediction of a request, newest first, and truths that wait for one.

    Rows received before `kept_since` are no longer kept; None if all are.
    """

    request_id: str = ABSENT
    predictions: tuple[RequestPrediction, ...] = ABSENT
    pending: tuple[PendingTruth, ...] = ABSENT
    kept_since: datetime | None = None
