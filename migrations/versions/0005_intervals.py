"""Confidence intervals of regression metrics have levels to be computed from."""

from migrations import sqlfile

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    sqlfile.run("0005_intervals.up.sql")


def downgrade() -> None:
    sqlfile.run("0005_intervals.down.sql")
