"""How does a truth find its prediction by request id, weeks later and in bulk?

Three ways, on the same rows in daily chunks: a narrow table of request keys (the one built), an
index on the request id in every chunk, and the columnstore's own bloom filters. For each: seconds
per thousand look-ups, spread over all days, and bytes per prediction. Needs TimescaleDB:
TRUTHLINE_DATABASE_URL=... python -m bench.request_keys [days] [rows per day]
"""

import random
import sys
import time

from sqlalchemy import Connection, text

from bench.database import fresh_database
from bench.report import Sample, heading, note

LOOK_UPS = 1_000

SCHEMA = """
    CREATE TABLE row_index (received_at timestamptz NOT NULL, time timestamptz, series_id integer,
                            label_id integer, confidence float8, request_id text);
    SELECT create_hypertable('row_index', by_range('received_at', INTERVAL '1 day'));
    CREATE TABLE bloom (LIKE row_index);
    SELECT create_hypertable('bloom', by_range('received_at', INTERVAL '1 day'));
    CREATE TABLE keys (model_id integer, key uuid, batch_index integer, series_id integer,
                       time timestamptz, predicted_label integer, predicted_value float8,
                       actual_label integer, actual_value float8,
                       PRIMARY KEY (model_id, key, batch_index, series_id)) WITH (fillfactor = 85);
"""
ROWS = """
    SELECT timestamptz '2026-01-01Z' + :day * interval '1 day' + n * interval '1 ms',
           timestamptz '2026-01-01Z' + :day * interval '1 day' + n * interval '1 ms',
           n % 5, n % 10, random(), md5(:day || '-' || n)::uuid::text
    FROM generate_series(1, :rows) AS n
"""
KEYS = """
    INSERT INTO keys (model_id, key, batch_index, series_id, time, predicted_label)
    SELECT 1, md5(:day || '-' || n)::uuid, 0, n % 5, now(), n % 10
    FROM generate_series(1, :rows) AS n
"""
WAYS = {
    "table of keys": """
        SELECT count(*) FROM unnest(CAST(:ids AS uuid[])) AS id
        CROSS JOIN LATERAL (SELECT 1 FROM keys
                            WHERE (model_id, key, batch_index) = (1, id, 0) OFFSET 0) AS k""",
    "index per chunk": """
        SELECT count(*) FROM unnest(CAST(:ids AS text[])) AS id
        CROSS JOIN LATERAL (SELECT 1 FROM row_index WHERE request_id = id OFFSET 0) AS r""",
    "bloom filters": """
        SELECT count(*) FROM unnest(CAST(:ids AS text[])) AS id
        CROSS JOIN LATERAL (SELECT 1 FROM bloom WHERE request_id = id OFFSET 0) AS r""",
}
SIZES = {
    "table of keys": "SELECT pg_total_relation_size('keys')",
    "index per chunk": "SELECT sum(pg_relation_size(i.indexrelid)) FROM pg_index AS i"
    " JOIN show_chunks('row_index') AS c ON c = i.indrelid::regclass"
    " WHERE pg_get_indexdef(i.indexrelid) LIKE '%request_id%'",
    "bloom filters": "SELECT hypertable_size('bloom')",
}


def main(days: int = 30, rows: int = 100_000) -> None:
    """Note each way."""
    with fresh_database() as database, database.engine.connect() as raw:
        conn = raw.execution_options(isolation_level="AUTOCOMMIT")
        conn.exec_driver_sql("SET search_path = public")
        build(conn, days, rows)
        ids = [f"{random.randrange(days)}-{random.randint(1, rows)}" for _ in range(LOOK_UPS)]
        samples = []
        for way, statement in WAYS.items():
            size = conn.execute(text(SIZES[way])).scalar_one() / (days * rows)
            samples.append(Sample(f"{way}, {size:.0f} B a row", timed(conn, statement, ids)))
    heading()
    note(f"{LOOK_UPS:,} look-ups by request id", *samples)


def build(conn: Connection, days: int, rows: int) -> None:
    """The same predictions in three shapes."""
    conn.exec_driver_sql(SCHEMA)
    for day in range(days):
        bounds = {"day": day, "rows": rows}
        conn.execute(text("INSERT INTO row_index " + ROWS), bounds)
        conn.execute(text("INSERT INTO bloom " + ROWS), bounds)
        conn.execute(text(KEYS), bounds)
    conn.exec_driver_sql("CREATE INDEX ON row_index (request_id)")
    conn.exec_driver_sql(
        "ALTER TABLE bloom SET (timescaledb.enable_columnstore, timescaledb.segmentby='series_id',"
        " timescaledb.orderby='time', timescaledb.sparse_index='bloom(request_id)')"
    )
    conn.exec_driver_sql("SELECT compress_chunk(c) FROM show_chunks('bloom') AS c")
    conn.exec_driver_sql("VACUUM ANALYZE")


def timed(conn: Connection, statement: str, ids: list[str]) -> list[float]:
    """Seconds of each of two runs; every id must be found."""
    hashed = conn.execute(
        text("SELECT md5(id)::uuid::text FROM unnest(CAST(:ids AS text[])) AS id"), {"ids": ids}
    ).scalars()
    bounds = {"ids": list(hashed)}
    seconds = []
    for _ in range(2):
        began = time.perf_counter()
        found = conn.execute(text(statement), bounds).scalar_one()
        seconds.append(time.perf_counter() - began)
        if found != len(ids):
            raise SystemExit(f"{found} of {len(ids)} found")
    return seconds


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
