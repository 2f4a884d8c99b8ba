"""Bulk sending of whole tables in batches. Errors are raised."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Any

from truthline.batch import ArrowBatch, Batch
from truthline.columns import NotPlain, batches_of, rows_in
from truthline.errors import InvalidRows, Refused, TooLarge, Unloggable
from truthline.outbox import Kind
from truthline.rows import FEEDBACK, PREDICTIONS, as_tags, encode, is_missing
from truthline.session import Session
from truthline.tables import rows_of
from truthline.values import converted
from truthline.wire import camel, decode

BATCH_ROWS, BATCH_BYTES = 10_000, 8 * 1024 * 1024
# Smaller tables are sent row by row: importing pyarrow would take longer.
_WORTH_COLUMNS = 1_000
_UNSUPPORTED = 415

# Name of a column on the wire, and the conversion of its values.
Column = tuple[str, Callable[[Any], Any]]


def _columns(converts: Mapping[str, Callable[[Any], Any]]) -> dict[str, Column]:
    """Return columns by both of their names: `request_id` and `requestId`."""
    named = {name: (camel(name), convert) for name, convert in converts.items()}
    return named | {wire: (wire, convert) for wire, convert in named.values()}


_COLUMNS = {Kind.PREDICTIONS: _columns(PREDICTIONS), Kind.FEEDBACK: _columns(FEEDBACK)}
# Columns in which a value may be missing: one of these is the output, unless the request failed,
_ANSWERS = ("label", "scores", "value", "detections")
# and unknown confidences and latencies are excluded from means. A missing value in any other column
# would be replaced by an unintended default: now, a generated request id, or no namespace.
_MAY_BE_MISSING = {*_ANSWERS, "confidence", "latencySeconds", "tags"}
_TAG = "tag_"


@dataclass(frozen=True)
class Verdict:
    """Numbers of rows: `accepted` were stored now, `duplicates` had been stored before.

    `pending` is the number of accepted truths that wait for their prediction.
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
    """The bulk methods of a `Client`."""

    _session: Session

    def send_predictions(self, table: Any, **same: Any) -> Verdict:
        """Store a table of predictions, and return when all rows are stored.

        Rows are sent in batches, each stored completely or not at all, and retried with the same
        key if a response is lost. Large tables are sent as Arrow if pyarrow is installed. Sending a
        table again changes nothing if its rows have request ids.

        Args:
            table: a pandas or polars DataFrame, an Arrow table, or rows as mappings. Its columns
                are named after the arguments of `log_prediction`, or as in the API; named levels
                of an index are columns. For an absent column the default of the argument applies,
                for a missing value in a column it does not: a missing time isn't now. A column
                `tag_country` has the values of the tag `country`; where one is missing, the row
                doesn't have the tag.
            same: values that are the same for all rows, like `model="returns-model"`.

        Raises:
            InvalidRows: some rows are invalid; names them. Earlier batches are stored.
            Unloggable: a row can't be serialized, or lacks a value. Earlier batches are stored.
            TruthlineError: the server did not store the rows; the subclass states why.
        """
        return self._send(Kind.PREDICTIONS, table, same)

    def send_feedback(self, table: Any, **same: Any) -> Verdict:
        """Store a table of truths, and return when all rows are stored.

        As `send_predictions`, with the columns of `log_feedback`.
        """
        return self._send(Kind.FEEDBACK, table, same)

    def _send(self, kind: Kind, table: Any, same: Mapping[str, Any]) -> Verdict:
        delivery = _Delivery(self._session, kind)
        if not self._by_column(delivery, kind, table, same):
            for rows in _batches(_encoded(kind, rows_of(table), same)):
                delivery.store(Batch(rows))
        return delivery.verdict

    def _by_column(
        self, delivery: "_Delivery", kind: Kind, table: Any, same: Mapping[str, Any]
    ) -> bool:
        """Send a table by column; returns whether that was done, or it must be sent by row."""
        if rows_in(table) < _WORTH_COLUMNS:
            return False
        names = {name: wire for name, (wire, _) in _COLUMNS[kind].items()}
        try:
            batches = batches_of(table, names, _shared(kind, same), BATCH_ROWS)
        except (NotPlain, ImportError):
            return False
        for number, batch in enumerate(batches):
            try:
                delivery.store(batch)
            except Refused as error:  # noqa: PERF203 - each batch its own
                if number or error.status != _UNSUPPORTED:
                    raise
                return False  # a server without pyarrow
        return True


class _Delivery:
    """A table being sent: the verdict so far, and the number of stored rows."""

    def __init__(self, session: Session, kind: Kind) -> None:
        self._session = session
        self._path = f"/api/v1/{kind.value}"
        self.verdict = Verdict()
        self._rows = 0

    def store(self, batch: Batch | ArrowBatch) -> None:
        """Store a batch; if it is too large for the server, bisect it.

        Raises:
            TruthlineError: it was not stored; rows are named by their index in the table.
        """
        try:
            answer = self._session.patiently(
                lambda: self._session.once("POST", self._path, **batch.request)
            )
        except TooLarge:
            if len(batch) == 1:
                raise
            for half in batch.halves():
                self.store(half)
        except InvalidRows as error:
            raise error.of_table(offset=self._rows) from None
        else:
            self._rows += len(batch)
            self.verdict += decode(Verdict, answer)


def _batches(rows: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Yield as many rows as fit into BATCH_ROWS and BATCH_BYTES, but at least one."""
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
    """Encode rows.

    Raises:
        Unloggable: a row can't be encoded; names it.
    """
    columns, shared = _COLUMNS[kind], _shared(kind, same)
    for index, row in enumerate(rows):
        yield _row(index, row, columns, shared)


def _shared(kind: Kind, same: Mapping[str, Any]) -> dict[str, Any]:
    """Members that all rows have."""
    given = {name: value for name, value in same.items() if value is not None}
    return dict(_named(given, _COLUMNS[kind]))


def _row(
    index: int, row: Mapping[str, Any], columns: Mapping[str, Column], shared: Mapping[str, Any]
) -> bytes:
    try:
        members = _merged(shared, dict(_named(row, columns)))
        _refuse_unanswered(members)
        return encode(members)
    except (TypeError, ValueError, AttributeError) as error:
        raise Unloggable(f"row {index}: {error}") from error


def _named(row: Mapping[str, Any], columns: Mapping[str, Column]) -> Iterator[tuple[str, Any]]:
    """Yield members by their names on the wire; None for a missing value that may be missing."""
    seen: set[str] = set()
    tags: dict[str, Any] = {}
    for name, value in row.items():
        if name not in columns:
            if "tags" not in columns or not str(name).startswith(_TAG):
                raise _unknown(name, columns)
            tags[str(name).removeprefix(_TAG)] = value
            continue
        wire, convert = columns[name]
        if wire in seen:
            raise Unloggable(f"two columns are named {wire}")
        seen.add(wire)
        missing = is_missing(value)
        if missing and wire not in _MAY_BE_MISSING:
            raise Unloggable(f"{name} is missing: fill it in, or omit the column")
        yield wire, None if missing else converted(convert, name, value)
    if tags:
        if "tags" in seen:
            raise Unloggable("tags are given twice: as a column of their own, and as one per tag")
        yield "tags", converted(as_tags, "tags", tags)


def _unknown(name: Any, columns: Mapping[str, Column]) -> Unloggable:
    more = f", and {_TAG}… for each tag" if "tags" in columns else ""
    return Unloggable(f"no column is named {name!r}; the columns are {', '.join(columns)}{more}")


def _merged(shared: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Members of a row; its own tags are added to those that all rows have."""
    members = {**shared, **own}
    if shared.get("tags") and own.get("tags"):
        members["tags"] = {**shared["tags"], **own["tags"]}
    return members


def _refuse_unanswered(members: Mapping[str, Any]) -> None:
    """Reject a row whose outputs are all missing, unless it failed; the server checks the rest."""
    answers = [name for name in _ANSWERS if name in members]
    if answers and all(members[name] is None for name in answers) and not members.get("error"):
        verb = "is" if len(answers) == 1 else "are"
        raise Unloggable(f"{' and '.join(answers)} {verb} missing")
