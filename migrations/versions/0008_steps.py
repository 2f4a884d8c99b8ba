"""Step metrics of executions."""

from migrations import sqlfile

revision, down_revision = "0008", "0007"


def upgrade() -> None:
    sqlfile.run("0008_steps.up.sql")
    sqlfile.run_on_timescaledb("0008_steps.up.timescaledb.sql")


def downgrade() -> None:
    sqlfile.run("0008_steps.down.sql")
