"""Which models stand on a page: those of a workspace are too many for one answer.

Pages go on behind the last model of the one before, so that models that come or go meanwhile shift
no other.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, text

from app.query.inferences import COMPARED, Totals, compared, kept_rows, totals_of
from app.query.question import Question
from app.query.subjects import Selection
from app.store.registry import ModelName


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page ended: a model, and how busy it was where the busiest come first."""

    name: ModelName
    n: int = 0


@dataclass(frozen=True, slots=True)
class ModelPage:
    """Models in order. `total` counts those of all pages, `following` is None on the last one."""

    names: Sequence[ModelName]
    total: int
    following: Place | None


def by_name(
    conn: Connection, *, workspace_id: int, size: int, after: Place | None = None
) -> ModelPage:
    """Models by name, also those without a prediction.

    Cost: the names of the workspace's models, once.
    """
    rows = conn.execute(_BY_NAME, {"workspace": workspace_id} | _place(size, after)).all()
    return _page(rows, size)


def busiest(
    conn: Connection, question: Question[Selection], *, size: int, after: Place | None = None
) -> tuple[Totals, ModelPage]:
    """Models seen in a window or in the one before it, the busiest first; with totals of all pages.

    Cost: one statement over the cells of both periods, twice.

    Raises:
        InvalidWindow, NotKept: as `inference_totals`.
    """
    rows = kept_rows(conn, _BUSIEST, compared(question) | _place(size, after))
    return totals_of(rows[0][-N_TOTALS:]), _page(rows, size)


def _place(size: int, after: Place | None) -> dict[str, Any]:
    after_name = after.name._asdict() if after else dict.fromkeys(ModelName._fields)
    place = {f"after_{part}": text for part, text in after_name.items()}
    return place | {"size": size + 1, "after_n": after.n if after else None}


def _page(rows: Sequence[Row[Any]], size: int) -> ModelPage:
    places = [
        Place(ModelName(row.namespace, row.pipeline, row.name), row.n) for row in rows if row.name
    ]
    following = places[size - 1] if len(places) > size else None
    return ModelPage([place.name for place in places[:size]], rows[0].total, following)


N_TOTALS = 2 * len(fields(Totals))  # columns: of each number that of the period before, too
# The first row tells the total, also of a page that holds nothing.
_PAGE = """
    WITH known AS MATERIALIZED ({known}), totals AS MATERIALIZED ({totals})
    SELECT counted.total, page.*, totals.*
    FROM (SELECT count(*) AS total FROM known) AS counted
    LEFT JOIN (
        SELECT * FROM known
        WHERE CAST(:after_name AS text) IS NULL
           OR (-n, name COLLATE "C", namespace COLLATE "C", pipeline COLLATE "C")
            > (-CAST(:after_n AS bigint), :after_name, :after_namespace, :after_pipeline)
        ORDER BY n DESC, name COLLATE "C", namespace COLLATE "C", pipeline COLLATE "C"
        LIMIT :size
    ) AS page ON true
    CROSS JOIN totals
    ORDER BY page.n DESC, page.name COLLATE "C", page.namespace COLLATE "C",
             page.pipeline COLLATE "C"
"""
_BY_NAME = text(
    _PAGE.format(
        known="""
        SELECT namespace, pipeline, name, 0::bigint AS n FROM model
        WHERE workspace_id = :workspace""",
        totals="SELECT",
    )
)
_BUSIEST = text(
    _PAGE.format(
        known="SELECT namespace, pipeline, name, n"
        f" FROM truthline_internal.busiest_models({COMPARED})",
        totals=f"SELECT * FROM truthline_internal.inference_totals({COMPARED})",
    )
)
