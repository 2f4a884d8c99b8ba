"""A database whose levels have learned spans so short that many pass during a test."""

from collections.abc import Iterator
from datetime import datetime

import pytest
from sqlalchemy import Connection, text

from app.config import Settings
from app.rollup import aggregates, recent
from app.rollup import fold as folding
from app.rollup.audit import audit_new
from app.rollup.fold import Folded, fold
from app.rollup.levels import levels
from app.rollup.merge import merge
from app.rollup.recent import refresh_recent
from app.store.database import Database

SPANS = {"1 hour": "20 milliseconds", "1 day": "100 milliseconds", "1 month": "500 milliseconds"}

# What most tests store of an outcome, for `copy_rows`.
OUTCOME = {
    "received_at": "timestamptz",
    "time": "timestamptz",
    "series_id": "integer",
    "predicted_label": "integer",
    "actual_label": "integer",
    "weight": "smallint",
    "batch_index": "integer",
}

NEW_SERIES = text("""
    WITH m AS (INSERT INTO model (workspace_id, namespace, pipeline, name)
               SELECT 1, '', '', gen_random_uuid()::text RETURNING id)
    INSERT INTO series (model_id, deployment, version, deployment_type, server_version)
    SELECT m.id, '', v, '', '' FROM m, unnest(ARRAY['v1', 'v2']) AS v RETURNING id
""")


@pytest.fixture
def own(fresh_database_url: str) -> Iterator[Database]:
    """A database of a test's own."""
    database = Database.from_settings(Settings(database_url=fresh_database_url))
    yield database
    database.dispose()


def shorten(conn: Connection) -> None:
    """Learn in hours, days and months of milliseconds; what events are about stays as it is."""
    conn.execute(text("CALL drop_levels()"))
    for ours, short in SPANS.items():
        conn.execute(
            text("UPDATE level SET learned_width = :short WHERE learned_width = :ours"),
            {"short": short, "ours": ours},
        )
    conn.execute(text("CALL build_levels()"))


def new_series(database: Database) -> list[int]:
    """Two versions of a new model."""
    with database.writing() as conn:
        return list(conn.execute(NEW_SERIES).scalars())


def fold_all(database: Database, until: datetime | None = None) -> list[Folded]:
    """Fold and audit every level that TimescaleDB doesn't keep; returns what the folds did."""
    with database.reading() as conn:
        ours = [level for level in levels(conn) if level.folded]
    done = []
    for level in ours:
        if not level.recent:
            done.append(fold(database, level, until))
            assert audit_new(database, level) == []
    refresh_recent(database, until)
    merge(database, [level for level in ours if level.recent])
    return [folded for folded in done if folded]


@pytest.fixture
def brisk(fresh_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    """A database of this test's own, with short spans and no margin for clocks."""
    monkeypatch.setattr(folding, "CLOCK_MARGIN", "0 s")
    monkeypatch.setattr(recent, "CLOCK_MARGIN", "0 s")
    # a month in spans of milliseconds is more transactions than anybody wants
    monkeypatch.setattr(aggregates, "OPTIONS", {"buckets_per_batch": 0})
    database = Database.from_settings(Settings(database_url=fresh_database_url, pool_size=32))
    with database.writing() as conn:
        shorten(conn)
    yield database
    database.dispose()
