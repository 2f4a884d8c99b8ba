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
from collections.abc import Callable, Iterator

from sqlalchemy import text

from app.rollup.refresh import Audited, audit_levels, refresh
from app.store.database import Database
from app.store.edition import Edition, server_info
from bench.database import fresh_database
from bench.levels import prepare

COUNT = text("SELECT series_id, count(*) FROM outcome GROUP BY 1")
INSERT = text("""
    INSERT INTO outcome (time, series_id, predicted_label, actual_label, batch_index)
    SELECT clock_timestamp(), 1 + n % 5, 1, 1, 0 FROM generate_series(1, :rows) AS n
""")
BATCH = 20_000
ROUNDS = 7


def main(rows: int = 2_000_000) -> None:
    """Print seconds and ratios."""
    with fresh_database() as database:
        prepare(database, rows, 10)
        filled = seconds(lambda: refresh(database))
        counted = min(seconds(lambda: count(database)) for _ in range(ROUNDS))
        audited = {level.level: spent for level, spent in timed(audit_levels(database))}
        of_rows = audited["outcome_5m_1h"]
        million = rows / 1_000_000
        print(f"filled and audited in {filled:.1f} s, of {rows:,} outcomes")
        every = sum(audited.values())
        print(f"audit of all levels {every:.2f} s, {every / filled:.0%} of that")
        print(f"audit against the rows {of_rows / million:.3f} s per million rows,"
              f" {of_rows / counted:.1f} x a bare count")  # fmt: skip
        with database.reading() as conn:
            if server_info(conn).edition is not Edition.COMMUNITY:
                print(f"an insert with the trigger takes {trigger_ratio(database):.2f} x")


def timed(audits: Iterator[Audited]) -> Iterator[tuple[Audited, float]]:
    """Each level's audit and its seconds."""
    began = time.perf_counter()
    for audited in audits:
        if audited.faults:
            raise RuntimeError(audited)
        yield audited, time.perf_counter() - began
        began = time.perf_counter()


def seconds(action: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    action()
    return time.perf_counter() - began


def count(database: Database) -> None:
    """The least that comparing numbers of rows can take."""
    with database.reading() as conn:
        conn.execute(COUNT).all()


def insert(database: Database, role: str) -> float:
    """Seconds of a batch, rolled back; triggers don't fire for a replica."""
    with database.engine.connect() as conn:
        conn.exec_driver_sql(f"SET LOCAL session_replication_role = {role}")
        spent = seconds(lambda: conn.execute(INSERT, {"rows": BATCH}))
        conn.rollback()
        return spent


def trigger_ratio(database: Database) -> float:
    """The fastest of some inserts with the trigger, over the fastest without."""
    rounds = [(insert(database, "origin"), insert(database, "replica")) for _ in range(3 * ROUNDS)]
    return min(r[0] for r in rounds) / min(r[1] for r in rounds)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
