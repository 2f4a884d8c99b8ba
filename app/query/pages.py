"""Which models stand on a page: those of a workspace are too many for one answer.

Pages go on behind the last model of the one before, so that models that come or go meanwhile shift
no other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, TextClause, text

from app.query.inferences import ALL, Selection, asked_of, kept_rows
from app.query.window import Window
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
    return _page(conn, _BY_NAME, {"workspace": workspace_id}, size, after)


def busiest(
    conn: Connection,
    *,
    workspace_id: int,
    window: Window,
    size: int,
    selection: Selection = ALL,
    after: Place | None = None,
) -> ModelPage:
    """Models seen in a window or in the one before it, the busiest first.

    Cost: the cells of both periods.

    Raises:
        NotKept: the rows that it would be made of were dropped.
    """
    return _page(conn, _BUSIEST, asked_of(workspace_id, window, selection), size, after)


def _page(
    conn: Connection, statement: TextClause, asked: dict[str, Any], size: int, after: Place | None
) -> ModelPage:
    after_name = after.name._asdict() if after else dict.fromkeys(ModelName._fields)
    place = {f"after_{part}": text for part, text in after_name.items()}
    asked |= place | {"size": size + 1, "after_n": after.n if after else None}
    rows = kept_rows(conn, statement, asked)
    found = [(ModelName(row.namespace, row.pipeline, row.name), row.n) for row in rows if row.name]
    following = Place(*found[size - 1]) if len(found) > size else None
    return ModelPage([name for name, _ in found[:size]], rows[0].total, following)


# The first row tells the total, also of a page that holds nothing.
_PAGE = """
    WITH known AS MATERIALIZED ({known})
    SELECT counted.total, page.*
    FROM (SELECT count(*) AS total FROM known) AS counted
    LEFT JOIN (
        SELECT * FROM known
        WHERE CAST(:after_name AS text) IS NULL
           OR (-n, name COLLATE "C", namespace COLLATE "C", pipeline COLLATE "C")
            > (-CAST(:after_n AS bigint), :after_name, :after_namespace, :after_pipeline)
        ORDER BY n DESC, name COLLATE "C", namespace COLLATE "C", pipeline COLLATE "C"
        LIMIT :size
    ) AS page ON true
    ORDER BY page.n DESC, page.name COLLATE "C", page.namespace COLLATE "C",
             page.pipeline COLLATE "C"
"""
_BY_NAME = text(
    _PAGE.format(
        known="""
        SELECT namespace, pipeline, name, 0::bigint AS n FROM model
        WHERE workspace_id = :workspace"""
    )
)
_BUSIEST = text(
    _PAGE.format(
        known="""
        SELECT namespace, pipeline, name, n FROM truthline_internal.busiest_models(
            :workspace, CAST(:start AS timestamptz), CAST(:end AS timestamptz),
            CAST(:models AS text[]), CAST(:field AS text), CAST(:value AS text))"""
    )
)
