"""Requests that get no response can be counted as failed."""

from migrations import sqlfile

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    sqlfile.run("0002_unanswered.up.sql")


def downgrade() -> None:
    sqlfile.run("0002_unanswered.down.sql")
