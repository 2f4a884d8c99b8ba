"""Roles of analysts."""

from migrations import sqlfile

revision, down_revision = "0012", "0010"


def upgrade() -> None:
    sqlfile.run("0012_analysts.up.sql")


def downgrade() -> None:
    sqlfile.run("0012_analysts.down.sql")
