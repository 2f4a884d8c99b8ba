"""Raw tables become hypertables where TimescaleDB is, and get their indexes everywhere."""

from migrations import sqlfile

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    sqlfile.run_on_timescaledb("0003_hypertables.up.timescaledb.sql")
    sqlfile.run("0003_hypertables.up.sql")


def downgrade() -> None:
    sqlfile.run("0003_hypertables.down.sql")
    sqlfile.run_on_timescaledb("0003_hypertables.down.timescaledb.sql")
