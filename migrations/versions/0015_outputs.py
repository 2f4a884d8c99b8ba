"""Outputs are of answered requests; truths keep every digit; no double makes a sum fail."""

from migrations import sqlfile

revision, down_revision = "0015", "0013"


def upgrade() -> None:
    sqlfile.run("0015_outputs.up.sql")


def downgrade() -> None:
    sqlfile.run("0015_outputs.down.sql")
