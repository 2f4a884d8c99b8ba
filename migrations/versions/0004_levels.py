"""Levels of outcome along both clocks."""

from migrations import sqlfile

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    sqlfile.run("0004_levels.up.sql")


def downgrade() -> None:
    sqlfile.run("0004_levels.down.sql")
