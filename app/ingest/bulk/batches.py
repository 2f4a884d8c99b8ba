"""Record batches as columns of predictions and truths.

Each builder returns the columns, and which rows the rules must check one by one: see
`screens.py`. Of such a row any value may be in the columns.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.ingest.bulk.arrow import (
    combinations,
    common_keys,
    distinct,
    flags_of,
    has_value,
    items_of,
    texts_of,
    value_at,
)
from app.ingest.bulk.columns import (
    NO_CODE,
    NOW,
    Coded,
    Flags,
    Floats,
    Integers,
    PredictionColumns,
    ScoredRows,
    Subject,
    Texts,
    TruthColumns,
    clamped,
)
from app.ingest.bulk.members import Members, number_of, truth_of, whole_number_of
from app.ingest.bulk.screens import Given, doubtful_predictions, doubtful_truths
from app.ingest.feedback import Feedback
from app.ingest.fields import (
    LEAST_FRACTION,
    MAX_BATCH_INDEX,
    MAX_MAGNITUDE,
    MAX_NAME_LENGTH,
    MOST_FRACTION,
    read_field,
)
from app.ingest.inferences import Prediction
from app.ingest.validation_errors import UNREADABLE

NAMES = ("namespace", "pipeline", "deployment", "version", "deploymentType", "serverVersion")
_SNAKE = {name: name for name in NAMES} | {
    "deploymentType": "deployment_type",
    "serverVersion": "server_version",
}
# What a time looks like that Arrow parses as `instant` does.
_INSTANT = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$"
_FINER_THAN_MICROSECONDS = r"(\.\d{6})\d+"


class _Reader:
    """Reads the columns of a batch, and collects the rows that must be checked singly."""

    def __init__(self, members: Members, row_type: type[msgspec.Struct]) -> None:
        self.members = members
        self.doubtful = np.zeros(members.number, bool)
        self._types = {field.encode_name: field.type for field in msgspec.structs.fields(row_type)}

    def present(self, member: str) -> Flags:
        """The rows that have this member, or an entry of it."""
        column = self.members.column(member)
        if column is not None:
            return flags_of(column.is_valid())
        present = np.zeros(self.members.number, bool)
        for entry in self.members.entries(member).values():
            present |= flags_of(entry.is_valid())
        return present

    def coded(self, member: str) -> Coded:
        """A text of few distinct values, each checked and read as its type says."""
        coded = self._distinct(member, self.members.column(member))
        good = {value: read for value in coded.values if (read := self._read(member, value))}
        self.doubtful |= coded.where(lambda value: value not in good)
        return coded.mapped(lambda value: good.get(value, [""])[0])

    def _distinct(self, member: str, column: pa.Array | None) -> Coded:
        if column is None:
            return Coded.empty(self.members.number)
        try:
            return distinct(column)
        except (pa.ArrowNotImplementedError, pa.ArrowInvalid, TypeError):  # lists, for example
            self.doubtful |= self.present(member)
            return Coded.empty(self.members.number)

    def _read(self, member: str, value: Any) -> list[Any]:
        """What a value is read as; empty if it is invalid."""
        if value is None:
            return []
        try:
            return [msgspec.convert(value, self._types[member], dec_hook=read_field)]
        except UNREADABLE:
            return []

    def texts(self, member: str) -> Texts:
        """A text of many distinct values."""
        column = self.members.column(member)
        if column is not None and pa.types.is_dictionary(column.type):
            column = self._unpacked(column)
        if column is None or not pa.types.is_string(column.type):
            self.doubtful |= self.present(member)
            return Texts.of([None] * self.members.number)
        texts = texts_of(column)
        lengths = np.diff(texts.offsets)  # in bytes: a text may have fewer characters
        self.doubtful |= texts.present & ((lengths == 0) | (lengths > MAX_NAME_LENGTH))
        return texts

    def _unpacked(self, column: pa.DictionaryArray) -> pa.Array | None:
        """A dictionary's values row by row, unless one is so long that they might need too much."""
        values = column.dictionary
        if not pa.types.is_string(values.type) and not pa.types.is_large_string(values.type):
            return None
        longest = pc.max(pc.binary_length(values)).as_py() or 0
        return column.cast(pa.string()) if longest <= 4 * MAX_NAME_LENGTH else None

    def numbers(self, member: str, least: float, most: float) -> Floats:
        """A number within limits; NaN if absent."""
        column = self.members.column(member)
        if column is None:
            return np.full(self.members.number, np.nan)
        return self._within(column, least, most)

    def _within(self, column: pa.Array, least: float, most: float) -> Floats:
        """The numbers of a column; those outside the limits are doubtful."""
        numbers = self._floats(column)
        if numbers is None:
            self.doubtful |= flags_of(column.is_valid())
            return np.full(self.members.number, np.nan)
        with np.errstate(invalid="ignore"):
            within = (numbers >= least) & (numbers <= most)  # NaN is not
        self.doubtful |= flags_of(column.is_valid()) & ~within
        return numbers

    def _floats(self, column: pa.Array) -> Floats | None:
        """Numbers of any type as doubles, NaN for a null; None if they are no numbers."""
        kind = column.type
        if self.members.texts and pa.types.is_string(kind):
            return np.array([_float(text) for text in column.to_pylist()], np.float64)
        if not pa.types.is_floating(kind) and not pa.types.is_integer(kind):
            return None
        doubles = column.cast(pa.float64(), safe=False)
        return np.asarray(doubles.to_numpy(zero_copy_only=False), np.float64)

    def batch_index(self) -> Integers:
        """The batch index, 0 by default."""
        numbers = self._integers(self.members.column("batchIndex"))
        odd = (numbers < 0) | (numbers > MAX_BATCH_INDEX)
        self.doubtful |= odd
        return np.where(odd, 0, numbers)

    def _integers(self, column: pa.Array | None) -> Integers:
        if column is None:
            return np.zeros(self.members.number, np.int64)
        if self.members.texts:
            return self._integers_of_texts(column)
        if not pa.types.is_integer(column.type):
            self.doubtful |= flags_of(column.is_valid())
            return np.zeros(self.members.number, np.int64)
        integers = column.fill_null(0).cast(pa.int64(), safe=False)  # what wraps is negative
        return np.asarray(integers.to_numpy(zero_copy_only=False), np.int64)

    def _integers_of_texts(self, column: pa.Array) -> Integers:
        read = distinct(column).mapped(whole_number_of)
        self.doubtful |= read.where(lambda value: not isinstance(value, int))
        usable = [value if isinstance(value, int) else -1 for value in read.values]
        return np.array([*usable, 0], np.int64)[read.codes]

    def failed(self) -> Flags:
        """Whether the inference failed; by default not."""
        column = self.members.column("error")
        if column is None:
            return np.zeros(self.members.number, bool)
        if pa.types.is_boolean(column.type):
            return flags_of(column.fill_null(False))
        coded = self._distinct("error", column)
        read = truth_of if self.members.texts else (lambda _: None)
        self.doubtful |= coded.where(lambda value: not isinstance(read(value), bool))
        return coded.where(lambda value: read(value) is True)

    def times(self) -> Integers:
        """Microseconds since 1970; NOW where there is no time."""
        column = self.members.column("time")
        if column is None:
            return np.full(self.members.number, NOW)
        if pa.types.is_dictionary(column.type):
            column = self._unpacked(column)
        present = self.present("time")
        if column is not None and pa.types.is_string(column.type):
            column = self._parsed(column)
        if column is None or column.type != pa.timestamp("us", getattr(column.type, "tz", None)):
            self.doubtful |= present
            return np.full(self.members.number, NOW)
        if column.type.tz is None:  # without an offset
            self.doubtful |= present
        times = np.asarray(column.cast(pa.int64()).fill_null(int(NOW)), np.int64)
        self.doubtful |= present & (times == NOW)
        return times

    def _parsed(self, column: pa.StringArray) -> pa.Array | None:
        """Times of texts; null where Arrow does not read them as `instant` does."""
        plain = pc.match_substring_regex(column, _INSTANT)
        texts = pc.if_else(plain, column, pa.scalar(None, pa.string()))
        texts = pc.replace_substring_regex(texts, _FINER_THAN_MICROSECONDS, r"\1")
        try:
            return texts.cast(pa.timestamp("us", "UTC"))
        except pa.ArrowInvalid:  # a month 13, for example
            return None

    def subjects(self, tags: Coded) -> Coded:
        """The model and the series of each row."""
        model = self.coded("model")
        self.doubtful |= model.codes == NO_CODE
        names = [self.coded(member) for member in NAMES if member in self._types]
        combined, first = combinations([model, *names, tags])
        members = ["model", *(_SNAKE[member] for member in NAMES if member in self._types)]
        values = [
            Subject(
                **{name: value_at(c, at) for name, c in zip(members, [model, *names], strict=True)},
                tags=value_at(tags, at, ()),
            )
            for at in first
        ]
        return Coded(combined, values)

    def tags(self) -> Coded:
        """The tags of each row, sorted."""
        entries = self.members.entries("tags")
        if not entries:
            return self._tag_maps()
        columns = {key: self._distinct("tags", column) for key, column in entries.items()}
        combined, first = combinations(list(columns.values()))
        given = [
            {
                key: value_at(column, place)
                for key, column in columns.items()
                if has_value(column, place)
            }
            for place in first
        ]
        return self._checked_tags(Coded(combined, given))

    def _tag_maps(self) -> Coded:
        column = self.members.column("tags")
        if column is None:
            return Coded.empty(self.members.number)
        if not pa.types.is_map(column.type):
            self.doubtful |= self.present("tags")
            return Coded.empty(self.members.number)
        frozen = [tuple(pairs) if pairs is not None else None for pairs in column.to_pylist()]
        coded = Coded.of(frozen)
        twice = coded.where(lambda pairs: len({key for key, _ in pairs}) < len(pairs))
        self.doubtful |= twice
        given = [{k: v for k, v in pairs if v is not None} for pairs in coded.values]
        return self._checked_tags(Coded(coded.codes, given))

    def _checked_tags(self, coded: Coded) -> Coded:
        good = [bool(self._read("tags", given)) for given in coded.values]
        usable = [
            tuple(sorted(given.items())) if is_good else None
            for given, is_good in zip(coded.values, good, strict=True)
        ]
        indexed = Coded(coded.codes, range(len(good)))
        self.doubtful |= indexed.where(lambda place: not good[place])
        return indexed.mapped(lambda place: usable[place] or ())

    def scores(self) -> tuple[list[ScoredRows], Flags]:
        """Scores, by the classes that were scored; and the rows that have any."""
        entries = self.members.entries("scores")
        if not entries:
            return self._score_maps()
        numbers = np.full((self.members.number, len(entries)), np.nan)
        given = np.zeros(numbers.shape, bool)
        for place, column in enumerate(entries.values()):
            given[:, place] = flags_of(column.is_valid())
            numbers[:, place] = self._within(column, LEAST_FRACTION, MOST_FRACTION)
        labels = tuple(entries)
        self._check_classes(labels, given)
        return list(_by_classes(labels, numbers, given)), np.asarray(given.any(axis=1), bool)

    def _check_classes(self, labels: Sequence[str], given: Flags) -> None:
        for place, label in enumerate(labels):
            if not 0 < len(label) <= MAX_NAME_LENGTH:
                self.doubtful |= given[:, place]

    def _score_maps(self) -> tuple[list[ScoredRows], Flags]:
        """Maps of which all have the same keys in the same order; others row by row."""
        column = self.members.column("scores")
        nothing: list[ScoredRows] = []
        if column is None:
            return nothing, np.zeros(self.members.number, bool)
        present = self.present("scores")
        labels = common_keys(column)
        if labels is None:
            self.doubtful |= present
            return nothing, present
        items = items_of(column)
        numbers = self._floats(items)
        if numbers is None or items.null_count:
            self.doubtful |= present
            return nothing, present
        matrix = numbers.reshape(-1, len(labels))
        rows = np.flatnonzero(present)
        within = ((matrix >= LEAST_FRACTION) & (matrix <= MOST_FRACTION)).all(axis=1)
        self.doubtful[rows[~within]] = True
        self._check_classes(labels, np.repeat(present[:, None], len(labels), axis=1))
        return [ScoredRows(rows, labels, matrix)], present


def predictions_of(members: Members, index: Integers) -> tuple[PredictionColumns, Flags]:
    """Predictions without detections, and which of them `check` must check."""
    reader = _Reader(members, Prediction)
    groups, has_scores = reader.scores()
    label = reader.coded("label")
    confidence = reader.numbers("confidence", LEAST_FRACTION, MOST_FRACTION)
    value = reader.numbers("value", -MAX_MAGNITUDE, MAX_MAGNITUDE)
    given = Given(
        label=reader.present("label"),
        scores=has_scores,
        value=reader.present("value"),
        confidence=reader.present("confidence"),
    )
    label, confidence = _with_tops(label, clamped(confidence), groups)
    columns = PredictionColumns(
        index=index,
        subject=reader.subjects(reader.tags()),
        time=reader.times(),
        request_id=reader.texts("requestId"),
        batch_index=reader.batch_index(),
        label=label,
        confidence=confidence,
        scores=[ScoredRows(g.rows, g.labels, clamped(g.numbers)) for g in groups],
        value=value,
        latency=reader.numbers("latencySeconds", 0, MAX_MAGNITUDE),
        failed=reader.failed(),
    )
    return columns, reader.doubtful | doubtful_predictions(columns, given)


def truths_of(members: Members, index: Integers) -> tuple[TruthColumns, Flags]:
    """Truths, and which of them `check` must check."""
    reader = _Reader(members, Feedback)
    columns = TruthColumns(
        index=index,
        subject=reader.subjects(Coded.empty(members.number)),
        request_id=reader.texts("requestId"),
        batch_index=reader.batch_index(),
        label=reader.coded("label"),
        value=reader.numbers("value", -MAX_MAGNITUDE, MAX_MAGNITUDE),
    )
    return columns, reader.doubtful | doubtful_truths(columns)


def _with_tops(
    label: Coded, confidence: Floats, groups: Iterable[ScoredRows]
) -> tuple[Coded, Floats]:
    """Labels and confidences, with those that scores make: the largest, the first of equals."""
    values = [*label.values]
    codes, confidence = label.codes.copy(), confidence.copy()
    for group in groups:
        best = np.argmax(np.nan_to_num(group.numbers, nan=-1.0), axis=1)
        codes[group.rows] = best + len(values)
        confidence[group.rows] = clamped(group.numbers[np.arange(len(best)), best])
        values += group.labels
    return Coded(codes, values).mapped(lambda value: value), confidence


def _by_classes(labels: Sequence[str], numbers: Floats, given: Flags) -> Iterable[ScoredRows]:
    """Rows by which of the classes they have scores of."""
    if given.all():
        yield ScoredRows(np.arange(len(numbers)), tuple(labels), numbers)
        return
    patterns, places = np.unique(np.packbits(given, axis=1), axis=0, return_inverse=True)
    for number in range(len(patterns)):
        rows = np.flatnonzero(places.reshape(-1) == number)
        kept = given[rows[0]]
        if kept.any():
            names = tuple(label for label, keep in zip(labels, kept, strict=True) if keep)
            yield ScoredRows(rows, names, numbers[np.ix_(rows, kept)])


def _float(text: str | None) -> float:
    number = None if text is None else number_of(text)
    return number if isinstance(number, float) else np.nan
