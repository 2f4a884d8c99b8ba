"""Levels of predictions and outcomes, as continuous aggregates where the edition has them."""

from migrations import sqlfile

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    sqlfile.run("0005_levels.up.sql")


def downgrade() -> None:
    sqlfile.run("0005_levels.down.sql")
    sqlfile.run("0004_levels.up.sql")
