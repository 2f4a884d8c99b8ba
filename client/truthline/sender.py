"""Sending in bulk: whole tables, batch by batch, with errors that are raised."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from truthline.batch import Batch
from truthline.errors import InvalidRows, TooLarge, Unloggable
from truthline.outbox import Kind
from truthline.rows import (
    as_detections,
    as_fraction,
    as_label,
    as_scores,
    as_time,
    encode,
    is_missing,
)
from truthline.session import Session
from truthline.tables import rows_of
from truthline.wire import camel, decode

BATCH_ROWS, BATCH_BYTES = 10_000, 8 * 1024 * 1024

# The wire's name of a column, and what makes its values those of the wire.
Column = tuple[str, Callable[[Any], Any]]


def _columns(*plain: str, **converted: Callable[[Any], Any]) -> dict[str, Column]:
    """Columns by each of their names: `request_id` and `requestId`."""
    both = dict.fromkeys(plain, _as_it_is) | converted
    named = {name: (camel(name), convert) for name, convert in both.items()}
    return named | {wire: (wire, convert) for wire, convert in named.values()}


def _as_it_is(value: Any) -> Any:
    return value


_NAME = ("model", "namespace", "pipeline", "request_id", "batch_index", "value")
_COLUMNS = {
    Kind.PREDICTIONS: _columns(
        *_NAME,
        *("deployment", "version", "deployment_type", "server_version"),
        *("latency_seconds", "error"),
        confidence=as_fraction,
        label=as_label,
        scores=as_scores,
        detections=as_detections,
        time=as_time,
    ),
    Kind.FEEDBACK: _columns(*_NAME, label=as_label),
}
# What a row may go without where others have it: one of these is its answer, unless it failed,
_ANSWERS = ("label", "scores", "value", "detections")
# and what isn't known of it is left out of means. Any other hole would be filled with a default
# that nobody meant: now, a request that no truth can name, or another model.
_MAY_BE_MISSING = {*_ANSWERS, "confidence", "latencySeconds"}


@dataclass(frozen=True)
class Verdict:
    """What became of rows: `accepted` were stored now, `duplicates` had been stored before.

    `pending` counts those among the accepted that are truths and wait for their prediction.
    """

    accepted: int = 0
    duplicates: int = 0
    pending: int = 0

    def __add__(self, other: "Verdict") -> "Verdict":
        totals: dict[str, Any] = {}
        for name in (field.name for field in fields(self)):
            both = getattr(self, name), getattr(other, name)
            totals[name] = None if None in both else sum(both)
        return Verdict(**totals)


class Sender:
    """The bulk half of a `Client`."""

    _session: Session

    def send_predictions(self, table: Any, **same: Any) -> Verdict:
        """Store a table of predictions, and return when all of it is stored.

        Rows are sent in batches, each stored whole or not at all, and repeated under the same key
        where an answer got lost. Sending a table again changes nothing, as long as its rows have
        request ids.

        Args:
            table: a DataFrame of pandas or polars, an Arrow table, or rows as mappings. Its
                columns are named as the arguments of `log_prediction`, or as in the API; levels
                of an index that have a name are columns. A column that isn't there stands for
                the argument's default, a hole in one does not: a missing time isn't now.
            same: what is the same for all rows and no column, like `model="returns-model"`.

        Raises:
            InvalidRows: some rows can't be stored, and which; those of batches before them are.
            Unloggable: a row can't be written down, or lacks what others have; as above.
            TruthlineError: the server doesn't take them, and which error says why.
        """
        return self._send(Kind.PREDICTIONS, table, same)

    def send_feedback(self, table: Any, **same: Any) -> Verdict:
        """Store a table of truths, and return when all of it is stored.

        As `send_predictions`, with the columns of `log_feedback`.
        """
        return self._send(Kind.FEEDBACK, table, same)

    def _send(self, kind: Kind, table: Any, same: Mapping[str, Any]) -> Verdict:
        delivery = _Delivery(self._session, kind)
        for rows in _batches(_encoded(kind, rows_of(table), same)):
            delivery.store(rows)
        return delivery.verdict


class _Delivery:
    """A table on its way: what of it is stored, and how many rows that were."""

    def __init__(self, session: Session, kind: Kind) -> None:
        self._session = session
        self._path = f"/api/v1/{kind.value}"
        self.verdict = Verdict()
        self._rows = 0

    def store(self, rows: list[bytes]) -> None:
        """Store a batch; one that the server finds too large in halves.

        Raises:
            TruthlineError: it isn't stored; rows are named by their place in the table.
        """
        batch = Batch(rows)
        try:
            answer = self._session.patiently(
                lambda: self._session.once("POST", self._path, **batch.request)
            )
        except TooLarge:
            if len(rows) == 1:
                raise
            middle = len(rows) // 2
            self.store(rows[:middle])
            self.store(rows[middle:])
        except InvalidRows as error:
            raise error.of_table(offset=self._rows) from None
        else:
            self._rows += len(rows)
            self.verdict += decode(Verdict, answer)


def _batches(rows: Iterable[bytes]) -> Iterator[list[bytes]]:
    """As many rows as fit into BATCH_ROWS and BATCH_BYTES, and at least one."""
    batch: list[bytes] = []
    size = 0
    for row in rows:
        if batch and (len(batch) == BATCH_ROWS or size + len(row) >= BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(row)
        size += len(row) + 1
    if batch:
        yield batch


def _encoded(
    kind: Kind, rows: Iterable[Mapping[str, Any]], same: Mapping[str, Any]
) -> Iterator[bytes]:
    """Rows as they are sent.

    Raises:
        Unloggable: a row can't be; says which.
    """
    columns = _COLUMNS[kind]
    given = {name: value for name, value in same.items() if value is not None}
    shared = dict(_named(given, columns))
    for index, row in enumerate(rows):
        yield _row(index, row, columns, shared)


def _row(
    index: int, row: Mapping[str, Any], columns: Mapping[str, Column], shared: Mapping[str, Any]
) -> bytes:
    try:
        members = {**shared, **dict(_named(row, columns))}
        _refuse_unanswered(members)
        return encode(members)
    except (TypeError, ValueError, AttributeError) as error:
        raise Unloggable(f"row {index}: {error}") from error


def _named(row: Mapping[str, Any], columns: Mapping[str, Column]) -> Iterator[tuple[str, Any]]:
    """Members of the wire by their names; None is what isn't there and may be missing."""
    seen: set[str] = set()
    for name, value in row.items():
        if name not in columns:
            raise Unloggable(f"no column is named {name!r}: there are {', '.join(columns)}")
        wire, convert = columns[name]
        if wire in seen:
            raise Unloggable(f"two columns are named {wire}")
        seen.add(wire)
        missing = is_missing(value)
        if missing and wire not in _MAY_BE_MISSING:
            raise Unloggable(f"{name} is missing: fill it in, or leave the column out")
        yield wire, None if missing else convert(value)


def _refuse_unanswered(members: Mapping[str, Any]) -> None:
    """A row whose only answer is a hole, unless it tells of a failure; others the server judges."""
    answers = [name for name in _ANSWERS if name in members]
    if answers and all(members[name] is None for name in answers) and not members.get("error"):
        verb = "is" if len(answers) == 1 else "are"
        raise Unloggable(f"{' and '.join(answers)} {verb} missing")
