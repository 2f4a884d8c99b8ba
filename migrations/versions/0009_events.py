"""Events and what they add to counters."""

from migrations import sqlfile

revision, down_revision = "0009", "0008"


def upgrade() -> None:
    sqlfile.run("0009_events.up.sql")


def downgrade() -> None:
    sqlfile.run("0009_events.down.sql")
