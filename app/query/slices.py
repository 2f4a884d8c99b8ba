"""How good a model is with each value of each tag: which slices of its predictions are worst.

`sql/views/95_slices.sql` defines the numbers; this module queries and names them.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

from app.query.basis import basis_of
from app.query.inferences import Compared, compared_window
from app.query.noise import FEW, Interval
from app.query.overview import headline_of
from app.query.question import Basis, Counted, Question, parameters
from app.query.subjects import Subject
from app.query.window import EDGES
from app.store.registry import Kind


@dataclass(frozen=True, slots=True)
class Slice:
    """Predictions with one value of a tag, compared with the period of equal length before.

    `headline` and `change` are as in `app/query/overview.py`.
    """

    key: str
    value: str
    truths: Compared[int]
    headline: Compared[float | None]
    change: Interval | None

    @property
    def tag(self) -> str:
        """The tag as queries have it."""
        return f"{self.key}:{self.value}"


def worst_slices(conn: Connection, question: Question[Subject]) -> list[Slice]:
    """Slices of a settled model with a truth in the window, the worst headline metric first.

    Those with fewer than FEW truths come last: chance decides how good they are.

    Cost: one statement over the cells of both periods, regardless of the number of values.

    Raises:
        InvalidWindow: no window of this length precedes it.
    """
    kind = question.subject.kind
    rows = conn.execute(_SLICES, parameters(compared_window(question)))
    found = [
        Slice(
            row.key, row.value, Compared(row.n_truths, row.prev_n_truths), *headline_of(kind, row)
        )
        for row in rows
        if row.n_truths
    ]
    sign = 1 if kind is Kind.CLASSIFICATION else -1
    return sorted(
        found, key=lambda one: (one.truths.now < FEW, sign * (one.headline.now or 0), one.tag)
    )


def slices_basis(conn: Connection, question: Question[Subject]) -> Basis:
    """The basis of such an answer."""
    return basis_of(conn, compared_window(question), Counted.OUTCOME)


_SLICES = text(f"SELECT * FROM truthline_internal.slices(CAST(:series AS integer[]), {EDGES})")
