"""Rows by column: what any format is read into, and what is checked and stored.

A missing text is no code, and a missing number NaN: no row that is stored has one.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Value = TypeVar("Value")

NO_CODE = -1
NOW = np.iinfo(np.int64).min  # instead of a time that was not sent


def clamped(fractions: Floats) -> Floats:
    """Fractions as they are stored: see `app/ingest/fields.py`. NaN stays."""
    within: Floats = np.clip(fractions, 0.0, 1.0) + 0.0  # no negative zero
    return within


def in_key_order(
    model_id: Integers, digests: np.ndarray, *less: Integers
) -> tuple[Integers, Flags]:
    """The order of rows by model, digest (16 bytes) and `less`; of equal rows that of the body.

    The flags say of each row in this order whether it differs from the one before.
    """
    halves = np.ascontiguousarray(digests).view(">u8").astype(np.uint64).reshape(-1, 2)
    parts = (*reversed(less), halves[:, 1], halves[:, 0], model_id)
    order: Integers = np.lexsort(parts)
    differs = np.ones(len(order), bool)
    differs[1:] = False
    for part in parts:
        ordered = part[order]
        differs[1:] |= ordered[1:] != ordered[:-1]
    return order, differs


@dataclass(frozen=True, slots=True)
class Coded:
    """A column of few distinct values: the position of each row's value, or NO_CODE."""

    codes: Integers
    values: Sequence[Any]

    def take(self, order: Integers | Flags) -> "Coded":
        """These rows, in this order."""
        return Coded(self.codes[order], self.values)

    def where(self, is_so: Callable[[Any], bool]) -> Flags:
        """The rows with a value of which this is true; it is called once per value."""
        flags = np.array([is_so(value) for value in self.values] + [False], bool)
        chosen: Flags = flags[self.codes]  # NO_CODE is the last of them
        return chosen

    def mapped(self, new: Callable[[Any], Any]) -> "Coded":
        """Each value replaced by a different one; equal ones get one code."""
        places: dict[Any, int] = {}
        codes = [places.setdefault(new(value), len(places)) for value in self.values]
        return Coded(np.array([*codes, NO_CODE], np.int64)[self.codes], list(places))

    @classmethod
    def of(cls, values: Iterable[Any]) -> "Coded":
        """Code values; None gets no code."""
        places: dict[Any, int] = {None: NO_CODE}
        codes = [places.setdefault(value, len(places) - 1) for value in values]
        return cls(np.array(codes, np.int64), list(places)[1:])

    @classmethod
    def empty(cls, number: int) -> "Coded":
        """A column without values."""
        return cls(np.full(number, NO_CODE, np.int64), [])

    @classmethod
    def concatenated(cls, first: "Coded", second: "Coded") -> "Coded":
        """The rows of both."""
        shifted = np.where(second.codes == NO_CODE, NO_CODE, second.codes + len(first.values))
        both = cls(np.concatenate([first.codes, shifted]), [*first.values, *second.values])
        return both.mapped(lambda value: value)


@dataclass(frozen=True, slots=True)
class Texts:
    """Texts of which most are distinct, as UTF-8: text n is `content[offsets[n]:offsets[n+1]]`.

    `present` is false if there is no text.
    """

    content: NDArray[np.uint8]
    offsets: Integers
    present: Flags

    def take(self, order: Integers | Flags) -> "Texts":
        """These rows, in this order."""
        lengths = np.diff(self.offsets)[order]
        offsets = np.concatenate([[0], np.cumsum(lengths)])
        shift = np.repeat(self.offsets[:-1][order] - offsets[:-1], lengths)
        content = self.content[shift + np.arange(offsets[-1])]
        return Texts(content, offsets, self.present[order])

    def encoded(self) -> list[bytes]:
        """Each text as bytes; b"" if absent."""
        content, bounds = self.content.tobytes(), self.offsets.tolist()
        return [content[a:b] for a, b in pairwise(bounds)]

    def has_byte(self, byte: int) -> Flags:
        """The texts that contain this byte."""
        flags = np.zeros(len(self.present), bool)
        found = np.flatnonzero(self.content == byte)
        flags[np.searchsorted(self.offsets, found, side="right") - 1] = True
        return flags

    @classmethod
    def of(cls, texts: Sequence[str | None]) -> "Texts":
        """Encode texts."""
        encoded = [b"" if text is None else text.encode() for text in texts]
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        present = np.fromiter((text is not None for text in texts), bool, len(texts))
        content = np.frombuffer(b"".join(encoded), np.uint8)
        return cls(content, np.concatenate([[0], np.cumsum(lengths)]), present)

    @classmethod
    def concatenated(cls, first: "Texts", second: "Texts") -> "Texts":
        """The rows of both."""
        start = first.offsets[-1]
        return cls(
            np.concatenate([first.content, second.content]),
            np.concatenate([first.offsets, second.offsets[1:] + start]),
            np.concatenate([first.present, second.present]),
        )


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Scores of rows that were scored for the same classes: a row of numbers for each of `rows`."""

    rows: Integers
    labels: tuple[str, ...]
    numbers: Floats


@dataclass(frozen=True, slots=True)
class Subject:
    """What the names of a row say: its model and its series."""

    model: str
    namespace: str = ""
    pipeline: str = ""
    deployment: str = ""
    version: str = ""
    deployment_type: str = ""
    server_version: str = ""
    tags: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionColumns:
    """Predictions of one output each; `index` is the position of each in its body.

    The label of a row with scores is that of the largest; its confidence is their maximum.
    """

    index: Integers
    subject: Coded
    time: Integers
    request_id: Texts
    batch_index: Integers
    label: Coded
    confidence: Floats
    scores: Sequence[ScoredRows]
    value: Floats
    latency: Floats
    failed: Flags

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.index)

    @property
    def scored(self) -> Flags:
        """The rows that have scores."""
        flags = np.zeros(len(self), bool)
        for group in self.scores:
            flags[group.rows] = True
        return flags

    def take(self, order: Integers | Flags) -> "PredictionColumns":
        """These rows, in this order."""
        places = np.arange(len(self))[order]
        return replace(
            self,
            scores=list(_taken(self.scores, places, len(self))),
            **_each(self, _NUMBERS, lambda column: column[places]),
            **_each(self, _TEXTS, lambda column: column.take(places)),
        )

    def followed_by(self, other: "PredictionColumns") -> "PredictionColumns":
        """The rows of both, in the order of the body."""
        shifted = [replace(group, rows=group.rows + len(self)) for group in other.scores]
        both = replace(
            self, scores=[*self.scores, *shifted], **_together(self, other, _NUMBERS, _TEXTS)
        )
        return both.take(np.argsort(both.index, kind="stable"))


_NUMBERS = ("index", "time", "batch_index", "confidence", "value", "latency", "failed")
_TEXTS = ("subject", "label", "request_id")


def _each(columns: Any, names: Iterable[str], change: Callable[[Any], Any]) -> dict[str, Any]:
    return {name: change(getattr(columns, name)) for name in names}


def _together(
    first: Any, second: Any, numbers: Iterable[str], texts: Iterable[str]
) -> dict[str, Any]:
    """The rows of both in each of these columns."""
    pairs = {name: (getattr(first, name), getattr(second, name)) for name in (*numbers, *texts)}
    return {
        name: np.concatenate(pair) if name in numbers else type(pair[0]).concatenated(*pair)
        for name, pair in pairs.items()
    }


def _taken(groups: Iterable[ScoredRows], taken: Integers, number: int) -> Iterable[ScoredRows]:
    """Groups of the rows that were taken, at their new places."""
    places = np.full(number, NO_CODE, np.int64)
    places[taken] = np.arange(len(taken))
    for group in groups:
        rows = places[group.rows]
        kept = rows != NO_CODE
        if kept.any():
            yield ScoredRows(rows[kept], group.labels, group.numbers[kept])


@dataclass(frozen=True, slots=True, kw_only=True)
class TruthColumns:
    """Truths, each a label or a value; `index` is the position of each in its body."""

    index: Integers
    subject: Coded
    request_id: Texts
    batch_index: Integers
    label: Coded
    value: Floats

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.index)

    def take(self, order: Integers | Flags) -> "TruthColumns":
        """These rows, in this order."""
        return replace(
            self,
            **_each(self, _TRUTH_NUMBERS, lambda column: column[order]),
            **_each(self, _TEXTS, lambda column: column.take(order)),
        )

    def followed_by(self, other: "TruthColumns") -> "TruthColumns":
        """The rows of both, in the order of the body."""
        both = replace(self, **_together(self, other, _TRUTH_NUMBERS, _TEXTS))
        return both.take(np.argsort(both.index, kind="stable"))


_TRUTH_NUMBERS = ("index", "batch_index", "value")
