"""Scores of classifiers, and metrics of them."""

from migrations import sqlfile

revision, down_revision = "0003", "0002"


def upgrade() -> None:
    sqlfile.run("0003_scores.up.sql")


def downgrade() -> None:
    sqlfile.run("0003_scores.down.sql")
