"""The schema of the first release."""

from migrations import sqlfile

revision, down_revision = "0001", None

PARTS = ("registry", "access", "rows", "cells", "levels", "steps", "events")


def upgrade() -> None:
    for part in PARTS:
        sqlfile.run(f"0001_{part}.up.sql")
    sqlfile.run_on_timescaledb("0001_hypertables.up.timescaledb.sql")


def downgrade() -> None:
    sqlfile.run("0001_baseline.down.sql")
