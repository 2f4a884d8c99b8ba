"""Locks that only writers of this schema can hold."""

from migrations import sqlfile

revision, down_revision = "0018", "0015"


def upgrade() -> None:
    sqlfile.run("0018_locks.up.sql")


def downgrade() -> None:
    sqlfile.run("0018_locks.down.sql")
