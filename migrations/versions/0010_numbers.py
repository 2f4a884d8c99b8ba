"""Cells of bins that keep their numbers."""

from migrations import sqlfile

revision, down_revision = "0010", "0009"


def upgrade() -> None:
    sqlfile.run("0010_numbers.up.sql")


def downgrade() -> None:
    sqlfile.run("0010_numbers.down.sql")
