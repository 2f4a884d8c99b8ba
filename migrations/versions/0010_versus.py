"""Scores of one declared class of a model with more than two."""

from migrations import sqlfile

revision, down_revision = "0010", "0009"


def upgrade() -> None:
    sqlfile.run("0010_versus.up.sql")


def downgrade() -> None:
    sqlfile.run("0010_versus.down.sql")
