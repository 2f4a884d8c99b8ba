"""DuckDB or chDB in process: counts of label and truth per bucket, of the rows in a Parquet file.

Rows are sorted by model and time, as one would keep them for these questions; two threads.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

THREADS = 2
STRUCTURE = "model Int16, time Int64, label Int8, actual Int8"
WHERE = "model = {model} AND time >= {start} AND time < {end}"
Count = Callable[[dict[str, Any]], int]


def duckdb(path: str) -> tuple[str, Count]:
    """The version, and what answers a question with the number of rows counted."""
    import duckdb as engine  # noqa: PLC0415 - one of both engines is loaded

    conn = engine.connect()
    conn.execute(f"SET threads = {THREADS}")
    conn.execute(f"CREATE TABLE t AS SELECT * FROM read_parquet('{path}') ORDER BY model, time")
    query = (
        "SELECT (time - {start}) // {width} AS bucket, label, actual, count(*) AS n FROM t"
        f" WHERE {WHERE} GROUP BY ALL"
    )

    def count(question: dict[str, Any]) -> int:
        return sum(row[3] for row in conn.execute(query.format(**question)).fetchall())

    return engine.__version__, count


def chdb(path: str) -> tuple[str, Count]:
    """The same."""
    import chdb as engine  # noqa: PLC0415 - as above
    from chdb.session import Session  # noqa: PLC0415

    session = Session()
    session.query("CREATE DATABASE bench")
    session.query(
        "CREATE TABLE bench.t ENGINE = MergeTree ORDER BY (model, time) AS"
        f" SELECT * FROM file('{path}', Parquet, '{STRUCTURE}')"
    )
    query = (
        "SELECT intDiv(time - {start}, {width}) AS bucket, label, actual, count() AS n FROM bench.t"
        f" WHERE {WHERE} GROUP BY bucket, label, actual SETTINGS max_threads = {THREADS}"
    )

    def count(question: dict[str, Any]) -> int:
        text = str(session.query(query.format(**question), "CSV"))
        return sum(int(line.rsplit(",", 1)[1]) for line in text.splitlines())

    return engine.__version__, count


def main(name: str, path: str) -> None:
    """Answer questions until there are no more."""
    version, count = {"duckdb": duckdb, "chdb": chdb}[name](path)
    print(json.dumps({name: version}), flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        began = time.perf_counter()
        rows = count(question)
        print(json.dumps({"seconds": time.perf_counter() - began, "rows": rows}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
