"""Pagination of models: a workspace may have too many for one answer.

Each page continues after the last model of the previous page, so models that are added or removed
between two requests do not shift the others.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import Connection, Row, text

from app.query.inferences import COMPARED, TAGGED, Totals, compared, kept_rows, totals_of
from app.query.question import Question
from app.query.subjects import Selection
from app.store.registry import ModelName


@dataclass(frozen=True, slots=True)
class PagePosition:
    """The last model of a page, and its number of inferences if the busiest come first."""

    name: ModelName
    n: int = 0


@dataclass(frozen=True, slots=True)
class ModelPage:
    """Models in order. `total` counts those of all pages; `following` is None on the last page."""

    names: Sequence[ModelName]
    total: int
    following: PagePosition | None


def by_name(
    conn: Connection, *, workspace_id: int, size: int, after: PagePosition | None = None
) -> ModelPage:
    """Models by name; models without predictions are included.

    Cost: the names of the workspace's models are read once.
    """
    rows = conn.execute(
        _BY_NAME, {"workspace": workspace_id} | _position_parameters(size, after)
    ).all()
    return _model_page(rows, size)


def busiest(
    conn: Connection, question: Question[Selection], *, size: int, after: PagePosition | None = None
) -> tuple[Totals, ModelPage]:
    """Models seen in a window or the preceding one, the busiest first, and totals of all pages.

    Cost: one statement that reads the cells of both periods twice.

    Raises:
        InvalidWindow, NotKept: as in `inference_totals`.
    """
    rows = kept_rows(conn, _BUSIEST, compared(question) | _position_parameters(size, after))
    return totals_of(rows[0][-N_TOTALS:]), _model_page(rows, size)


def _position_parameters(size: int, after: PagePosition | None) -> dict[str, Any]:
    after_name = after.name._asdict() if after else dict.fromkeys(ModelName._fields)
    position = {f"after_{member}": text for member, text in after_name.items()}
    return position | {"size": size + 1, "after_n": after.n if after else None}


def _model_page(rows: Sequence[Row[Any]], size: int) -> ModelPage:
    positions = [
        PagePosition(ModelName(row.namespace, row.pipeline, row.name), row.n)
        for row in rows
        if row.name
    ]
    following = positions[size - 1] if len(positions) > size else None
    return ModelPage([position.name for position in positions[:size]], rows[0].total, following)


N_TOTALS = 2 * len(fields(Totals))  # columns: each number has one of the preceding period
# The first row contains the total, even if the page is empty.
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
        f" FROM truthline_internal.busiest_models({COMPARED}, {TAGGED})",
        totals=f"SELECT * FROM truthline_internal.inference_totals({COMPARED}, {TAGGED})",
    )
)
