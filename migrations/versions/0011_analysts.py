"""Roles of analysts."""

from migrations import sqlfile

revision, down_revision = "0011", "0010"


def upgrade() -> None:
    sqlfile.run("0011_analysts.up.sql")


def downgrade() -> None:
    sqlfile.run("0011_analysts.down.sql")
