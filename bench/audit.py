"""What does it cost that levels are audited, and that backdated rows are looked for?

Outcomes of one week. An audit reads what a level was made from once more: it is compared with the
time that filling and auditing took together, and with that of a bare count of the rows by series.
The trigger that looks for backdated rows (not on TimescaleDB Community) is compared with the same
insert without it. Run it with

    python -m bench.audit [outcomes]

TRUTHLINE_DATABASE_URL names a server; without, an embedded one is started.
"""

import sys
import time
from collections.abc import Iterator

from sqlalchemy import text

from app.rollup.refresh import Audited, audit_levels, refresh
from app.store.database import Database
from app.store.edition import Edition, server_info
from bench.database import fresh_database
from bench.levels import prepare
from bench.report import Sample, heading, note
from bench.timing import taken

COUNT = text("SELECT series_id, count(*) FROM outcome GROUP BY 1")
INSERT = text("""
    INSERT INTO outcome (time, series_id, predicted_label, actual_label, batch_index)
    SELECT clock_timestamp(), 1 + n % 5, 1, 1, 0 FROM generate_series(1, :rows) AS n
""")
BATCH = 20_000
ROUNDS = 7


def main(rows: int = 2_000_000) -> None:
    """Note what audits and the trigger take."""
    with fresh_database() as database:
        prepare(database, rows, 10)
        filled = taken(lambda: refresh(database))
        counted = [taken(lambda: count(database)) for _ in range(ROUNDS)]
        audited = {level.level: spent for level, spent in timed(audit_levels(database))}
        of_rows = audited["outcome_5m_1h"]
        heading()
        every = Sample("audit of all", [sum(audited.values())])
        note("filling and auditing all levels", Sample("both", [filled]), every)
        note("auditing one level", Sample("its audit", [of_rows]), Sample("a bare count", counted))
        with database.reading() as conn:
            if server_info(conn).edition is not Edition.COMMUNITY:
                report_trigger(database)


def timed(audits: Iterator[Audited]) -> Iterator[tuple[Audited, float]]:
    """Each level's audit and its seconds."""
    began = time.perf_counter()
    for audited in audits:
        if audited.faults:
            raise RuntimeError(audited)
        yield audited, time.perf_counter() - began
        began = time.perf_counter()


def count(database: Database) -> None:
    """The least that comparing numbers of rows can take."""
    with database.reading() as conn:
        conn.execute(COUNT).all()


def insert(database: Database, role: str) -> float:
    """Seconds of a batch, rolled back; triggers don't fire for a replica."""
    with database.engine.connect() as conn:
        conn.exec_driver_sql(f"SET LOCAL session_replication_role = {role}")
        spent = taken(lambda: conn.execute(INSERT, {"rows": BATCH}))
        conn.rollback()
        return spent


def report_trigger(database: Database) -> None:
    """Inserts with the trigger, and without it."""
    rounds = [(insert(database, "origin"), insert(database, "replica")) for _ in range(3 * ROUNDS)]
    fired, bare = zip(*rounds, strict=True)
    note("inserting with its trigger", Sample("Truthline", fired), Sample("without", bare))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
