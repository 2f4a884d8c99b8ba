"""The buckets of a question: their edges, and how many truths there are to fill them."""

from datetime import datetime

from sqlalchemy import Connection, text

from app.query.question import Question, parameters
from app.query.subjects import HasSeries
from app.query.window import GRID_EDGES, WHOLE


def bucket_edges(conn: Connection, question: Question[HasSeries]) -> list[datetime]:
    """The first instant of each bucket, and the end of the last.

    Cost: one statement that reads no rows.
    """
    edges: list[datetime] = conn.execute(_EDGES, parameters(question)).scalar_one()
    return edges


def truth_count(conn: Connection, question: Question[HasSeries]) -> int:
    """The number of truths in the window, regardless of the grid.

    Cost: one statement over the cells of the window.
    """
    return int(conn.execute(_TRUTHS, parameters(question)).scalar_one())


_EDGES = text(f"SELECT {GRID_EDGES}")
_TRUTHS = text(f"""
    SELECT coalesce(sum(n), 0)
    FROM truthline_internal.outcome_cells(CAST(:series AS integer[]), {WHOLE})
""")
