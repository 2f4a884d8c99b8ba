"""How much room the database takes, by kind of data."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, text

from app.store.edition import server_info


@dataclass(frozen=True, slots=True)
class Space:
    """Bytes of a kind of data: of its rows, and of their indexes."""

    kind: str
    rows: int
    indexes: int

    @property
    def total(self) -> int:
        """Both together."""
        return self.rows + self.indexes


def space_by_kind(conn: Connection) -> list[Space]:
    """The room that each kind takes, also in the columnstore. Cost: one look at each file's size.

    The kinds are predictions, outcomes, request keys, levels, and what is left of the database.
    """
    chunked = server_info(conn).timescaledb is not None
    rows = conn.execute(_CHUNKED if chunked else _PLAIN).all()
    return _with_rest(conn, [Space(*row) for row in rows])


def _with_rest(conn: Connection, kinds: Sequence[Space]) -> list[Space]:
    whole = conn.execute(_WHOLE).scalar_one()
    return [*kinds, Space("other", max(0, whole - sum(kind.total for kind in kinds)), 0)]


_KINDS = """
    named AS (
        SELECT * FROM (VALUES (1, 'predictions', 'prediction'), (2, 'outcomes', 'outcome'),
                              (3, 'keys', 'prediction_key'), (3, 'keys', 'pending_feedback'),
                              (3, 'keys', 'request_lock')) AS raw (place, kind, name)
        UNION ALL
        SELECT 4, 'levels', name FROM truthline_data.level
    ),
    relation AS (
        SELECT place, kind, name, to_regclass(format('truthline_data.%I', name)) AS id FROM named
    )
"""
_SIZES = """
    SELECT kind, coalesce(sum(rows), 0)::bigint, coalesce(sum(indexes), 0)::bigint
    FROM ({sizes}) AS size GROUP BY place, kind ORDER BY place
"""
_PLAIN = text(
    f"WITH {_KINDS}"
    + _SIZES.format(
        sizes="SELECT place, kind, pg_table_size(id) AS rows, pg_indexes_size(id) AS indexes"
        " FROM relation"
    )
)
# What has chunks is a hypertable, or a continuous aggregate whose cells are in one.
_CHUNKED = text(
    f"""
    WITH {_KINDS},
    chunked AS (
        SELECT to_regclass(format('%I.%I', hypertable_schema, hypertable_name)) AS id
        FROM timescaledb_information.hypertables
        UNION ALL
        SELECT to_regclass(format('%I.%I', view_schema, view_name))
        FROM timescaledb_information.continuous_aggregates
    )
    """
    + _SIZES.format(
        sizes="""
            SELECT place, kind, size.table_bytes + coalesce(size.toast_bytes, 0) AS rows,
                   size.index_bytes AS indexes
            FROM relation JOIN chunked USING (id)
            CROSS JOIN LATERAL public.hypertable_detailed_size(id) AS size
            UNION ALL
            SELECT place, kind, pg_table_size(id), pg_indexes_size(id) FROM relation
            WHERE id NOT IN (TABLE chunked)
        """
    )
)
_WHOLE = text("SELECT pg_database_size(current_database())")
