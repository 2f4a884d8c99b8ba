"""Inference stats: counts, confidence and latency of a window compared with the preceding one.

`sql/views/80_inference_stats.sql` defines the numbers; this module queries and names them.
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
Other = TypeVar("Other")
MEDIAN = (0.5,)
LARGEST = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Compared(Generic[Number]):
    """A number of the window and of the preceding window of equal length; None if undefined."""

    now: Number
    previous: Number

    @property
    def change(self) -> float | None:
        """(now - previous) / previous: 0.5 is 50 % more. None if `previous` is None or zero.

        A ratio out of the range of a double is the largest double, or the lowest.
        """
        if self.now is None or not self.previous:
            return None
        return max(min((self.now - self.previous) / self.previous, LARGEST), -LARGEST)


@dataclass(frozen=True, slots=True)
class Totals:
    """All inferences and errors.

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

    `inferences` counts inferences with the class among their outputs, `outputs` those outputs,
    `model_inferences` all inferences of the model, `model_classes` its classes. Deployment types
    and server versions are separated by commas.
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
        """The full name of its model."""
        return ModelName(self.namespace, self.pipeline, self.model)


@dataclass(frozen=True, slots=True)
class ModelStats:
    """One model: inferences, errors, and latencies per inference in seconds."""

    namespace: str
    pipeline: str
    model: str
    inferences: Compared[int]
    errors: Compared[int]
    latency: Compared[float | None]
    quantiles: Sequence[float] | None

    @property
    def full_name(self) -> ModelName:
        """Its name, unique within its workspace."""
        return ModelName(self.namespace, self.pipeline, self.model)

    @property
    def error_rate(self) -> Compared[float | None]:
        """Errors per request, as in `Totals`."""
        return error_rate(self.inferences, self.errors)


def error_rate(inferences: Compared[int], errors: Compared[int]) -> Compared[float | None]:
    """Errors per request, a fraction of 1; None without requests."""
    periods = ((inferences.now, errors.now), (inferences.previous, errors.previous))
    return Compared(*(errors / (n + errors) if n + errors else None for n, errors in periods))


def inference_totals(conn: Connection, question: Question[Selection]) -> Totals:
    """Inferences of all models of a workspace in the window.

    Cost: one statement over the cells of both periods; over their rows for a metadata field.

    Raises:
        InvalidWindow: no window of this length precedes it.
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
    """Inference stats per model and class, with quantiles of confidence at `fractions`.

    Shape: one per class seen in either period, the busiest model first; at most `most` in total,
        and for each model the `per_model` busiest.
    Cost:  one statement over the cells of both periods, and the rows of one bin per quantile.
    """
    limits = {"fractions": list(fractions), "most": most, "per_model": per_model}
    return [
        ClassStats(*row[:4], *pairs(row[4:14]), *(*row[14:17], row.n_classes))
        for row in kept_rows(conn, _CLASSES, compared(question) | limits)
    ]


def model_stats(
    conn: Connection, question: Question[Selection], *, fractions: Sequence[float] = MEDIAN
) -> list[ModelStats]:
    """Inference stats per model, with errors and quantiles of latency at `fractions`.

    Shape and cost: as in `class_stats`.
    """
    rows = kept_rows(conn, _MODELS, compared(question) | {"fractions": list(fractions)})
    return [ModelStats(*row[:3], *pairs(row[3:9]), *row[9:]) for row in rows]


def stats_basis(conn: Connection, question: Question[Selection], *quantiles: Counted) -> Basis:
    """The basis of such an answer, including the quantiles of the window.

    It reflects the inferences as of now. With a metadata field, either all rows are kept or the
    query fails. Cost: one statement.
    """
    if question.subject.field is not None:
        return basis_of(conn, question.now())
    both, window = (
        question.now().over(*periods(question.window)),
        question.now().over(question.window),
    )
    return shared_basis(conn, (both, [Counted.PREDICTION]), (window, quantiles))


def totals_of(numbers: Sequence[Any]) -> Totals:
    """Totals from a row of `inference_totals`."""
    return Totals(*pairs(numbers))


def pairs(numbers: Sequence[Any]) -> list[Compared[Any]]:
    """Numbers of a row, each followed by the one of the preceding period."""
    return [Compared(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True)]


def preceding(window: Window) -> Window:
    """The window of equal length that ends where this one starts.

    Raises:
        InvalidWindow: it would begin before the year 1.
    """
    try:
        return Window(window.start - window.length, window.start)
    except OverflowError:
        raise InvalidWindow("the window is too long: no window of its length precedes it") from None


def periods(window: Window) -> tuple[Window, Grid]:
    """A window and the preceding one, as the two buckets of a grid.

    Raises:
        InvalidWindow: as in `preceding`.
    """
    return Window(preceding(window).start, window.end), Grid(window.length, window.start)


def compared_window(question: Question[Other]) -> Question[Other]:
    """The question about a window and the preceding one, as two buckets.

    Raises:
        InvalidWindow: as in `preceding`.
    """
    return question.over(*periods(question.window))


def kept_rows(conn: Connection, statement: TextClause, values: dict[str, Any]) -> Sequence[Any]:
    """Rows of an answer.

    Raises:
        NotKept: rows that it needs were dropped.
    """
    try:
        return conn.execute(statement, values).all()
    except DBAPIError as error:
        if isinstance(error.orig, NoDataFound):
            raise NotKept(error.orig.diag.message_primary) from None
        raise


def compared(question: Question[Selection]) -> dict[str, Any]:
    """Parameters of a statement about a window and the preceding one.

    Raises:
        InvalidWindow: as in `preceding`.
    """
    preceding(question.window)
    return parameters(question)


COMPARED = (
    ":workspace, CAST(:start AS timestamptz), CAST(:end AS timestamptz), CAST(:models AS text[]),"
    " CAST(:field AS text), CAST(:value AS text)"
)
TAGGED = "tags => CAST(:tags AS jsonb)"
_TOTALS = text(f"SELECT * FROM truthline_internal.inference_totals({COMPARED}, {TAGGED})")
_CLASSES = text(f"""
    SELECT * FROM (
        SELECT *, row_number() OVER (model ORDER BY ordinality) AS place,
               count(*) OVER model AS n_classes
        FROM truthline_internal.inference_stats(
            {COMPARED}, CAST(:fractions AS float8[]), {TAGGED}) WITH ORDINALITY
        WINDOW model AS (PARTITION BY namespace, pipeline, model)
    ) AS ranked
    WHERE place <= coalesce(CAST(:per_model AS bigint), place)
    ORDER BY ordinality
    LIMIT :most
""")
_MODELS = text(
    "SELECT * FROM truthline_internal.model_stats("
    f"{COMPARED}, CAST(:fractions AS float8[]), {TAGGED})"
)
