"""How many inferences, how sure, how fast: a window beside the one of equal length before it.

The definitions stand in `sql/views/80_inference_stats.sql`; here they are asked for and named.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from psycopg.errors import NoDataFound
from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError

from app.errors import InvalidWindow, NotKept
from app.query.basis import basis_of, shared_basis
from app.query.question import Basis, Counted, Question, parameters
from app.query.subjects import Selection
from app.query.window import Grid, Window
from app.store.registry import ModelName

Number = TypeVar("Number", int | None, float | None, int, float)
MEDIAN = (0.5,)
LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Compared(Generic[Number]):
    """A number of the window, and of the window before it; None where there is none."""

    now: Number
    before: Number

    @property
    def change(self) -> float | None:
        """By what ratio it grew: 0.5 is half as much again. None without a number to grow from.

        A ratio that no double can hold is the largest one, or the lowest.
        """
        if self.now is None or not self.before:
            return None
        return max(min((self.now - self.before) / self.before, LARGEST), -LARGEST)


@dataclass(frozen=True, slots=True)
class Totals:
    """All inferences that were answered, and the errors beside them.

    `confidence` (a fraction of 1) and `latency` (seconds) are means per output.
    """

    inferences: Compared[int]
    errors: Compared[int]
    confidence: Compared[float | None]
    latency: Compared[float | None]

    @property
    def error_rate(self) -> Compared[float | None]:
        """Errors per request, a fraction of 1; None without requests."""
        return error_rate(self.inferences, self.errors)


@dataclass(frozen=True, slots=True)
class ClassStats:
    """One class of one model. Means and quantiles as in `Totals`; quantiles are of the window.

    `inferences` counts those with the class among their outputs, `outputs` those outputs,
    `model_inferences` all of the model, `model_classes` its classes; names of types and versions
    are joined by commas.
    """

    namespace: str
    pipeline: str
    model: str
    label: str
    inferences: Compared[int | None]
    outputs: Compared[int | None]
    model_inferences: Compared[int | None]
    confidence: Compared[float | None]
    latency: Compared[float | None]
    quantiles: Sequence[float] | None
    deployment_types: str
    server_versions: str
    model_classes: int

    @property
    def full_name(self) -> ModelName:
        """What names its model."""
        return ModelName(self.namespace, self.pipeline, self.model)


@dataclass(frozen=True, slots=True)
class ModelStats:
    """One model: answered inferences, errors, and latencies per inference in seconds."""

    namespace: str
    pipeline: str
    model: str
    inferences: Compared[int]
    errors: Compared[int]
    latency: Compared[float | None]
    quantiles: Sequence[float] | None

    @property
    def full_name(self) -> ModelName:
        """What names it within its workspace."""
        return ModelName(self.namespace, self.pipeline, self.model)

    @property
    def error_rate(self) -> Compared[float | None]:
        """As of all models."""
        return error_rate(self.inferences, self.errors)


def error_rate(answered: Compared[int], failed: Compared[int]) -> Compared[float | None]:
    """Errors per request, a fraction of 1; None without requests."""
    periods = ((answered.now, failed.now), (answered.before, failed.before))
    return Compared(*(errors / (n + errors) if n + errors else None for n, errors in periods))


def inference_totals(conn: Connection, question: Question[Selection]) -> Totals:
    """All that a workspace's models answered in the window.

    Cost: one statement over the cells of both periods; over their rows for a metadata field.

    Raises:
        InvalidWindow: there is no window of this length before it.
        NotKept: rows that a metadata field needs were dropped.
    """
    (row,) = kept_rows(conn, _TOTALS, compared(question))
    return totals_of(row)


def class_stats(
    conn: Connection,
    question: Question[Selection],
    *,
    fractions: Sequence[float] = MEDIAN,
    most: int | None = None,
    per_model: int | None = None,
) -> list[ClassStats]:
    """The same by model and class, with quantiles of confidence at `fractions`.

    Shape: one per class seen in either period, the busiest model first; `most` of them in all, and
        of each model the `per_model` busiest.
    Cost:  one statement over the cells of both periods, and the rows of a bin per quantile.
    """
    limits = {"fractions": list(fractions), "most": most, "per_model": per_model}
    return [
        ClassStats(*row[:4], *pairs(row[4:14]), *(*row[14:17], row.n_classes))
        for row in kept_rows(conn, _CLASSES, compared(question) | limits)
    ]


def model_stats(
    conn: Connection, question: Question[Selection], *, fractions: Sequence[float] = MEDIAN
) -> list[ModelStats]:
    """The same by model, with errors and quantiles of latency at `fractions`.

    Shape and cost: as of `class_stats`.
    """
    rows = kept_rows(conn, _MODELS, compared(question) | {"fractions": list(fractions)})
    return [ModelStats(*row[:3], *pairs(row[3:9]), *row[9:]) for row in rows]


def stats_basis(conn: Connection, question: Question[Selection], *quantiles: Counted) -> Basis:
    """What such an answer rests on, with the quantiles that it has of the window.

    It is of the inferences as they are now. Rows that have a metadata field are all there, or there
    is no answer. Cost: one statement.
    """
    if question.subject.field is not None:
        return basis_of(conn, question.now())
    both, own = question.now().over(*periods(question.window)), question.now().over(question.window)
    return shared_basis(conn, (both, [Counted.PREDICTION]), (own, quantiles))


def totals_of(numbers: Sequence[Any]) -> Totals:
    """Totals of a row of `inference_totals`."""
    return Totals(*pairs(numbers))


def pairs(numbers: Sequence[Any]) -> list[Compared[Any]]:
    """Numbers of a row, each followed by that of the period before."""
    return [Compared(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]


def previous(window: Window) -> Window:
    """The window of equal length that ends where this one starts.

    Raises:
        InvalidWindow: it would begin before the calendar does.
    """
    try:
        return Window(window.start - window.length, window.start)
    except OverflowError:
        raise InvalidWindow("the window is too long: there is none of its length before") from None


def periods(window: Window) -> tuple[Window, Grid]:
    """A window and the one before it, as the two buckets of a grid.

    Raises:
        InvalidWindow: as `previous`.
    """
    return Window(previous(window).start, window.end), Grid(window.length, window.start)


def kept_rows(conn: Connection, statement: TextClause, asked: dict[str, Any]) -> Sequence[Any]:
    """Rows of an answer.

    Raises:
        NotKept: the rows that it would be made of were dropped.
    """
    try:
        return conn.execute(statement, asked).all()
    except DBAPIError as error:
        if isinstance(error.orig, NoDataFound):
            raise NotKept(error.orig.diag.message_primary) from None
        raise


def compared(question: Question[Selection]) -> dict[str, Any]:
    """Parameters of a statement about a window and the one before it.

    Raises:
        InvalidWindow: as `previous`.
    """
    previous(question.window)
    return parameters(question)


COMPARED = (
    ":workspace, CAST(:start AS timestamptz), CAST(:end AS timestamptz), CAST(:models AS text[]),"
    " CAST(:field AS text), CAST(:value AS text)"
)
_TOTALS = text(f"SELECT * FROM truthline_internal.inference_totals({COMPARED})")
_CLASSES = text(f"""
    SELECT * FROM (
        SELECT *, row_number() OVER (model ORDER BY ordinality) AS place,
               count(*) OVER model AS n_classes
        FROM truthline_internal.inference_stats({COMPARED}, CAST(:fractions AS float8[]))
            WITH ORDINALITY
        WINDOW model AS (PARTITION BY namespace, pipeline, model)
    ) AS ranked
    WHERE place <= coalesce(CAST(:per_model AS bigint), place)
    ORDER BY ordinality
    LIMIT :most
""")
_MODELS = text(
    f"SELECT * FROM truthline_internal.model_stats({COMPARED}, CAST(:fractions AS float8[]))"
)
