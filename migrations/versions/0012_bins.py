"""Bins that follow the binary form of a number."""

from migrations import sqlfile

revision, down_revision = "0012", "0011"


def upgrade() -> None:
    sqlfile.run("0012_bins.up.sql")


def downgrade() -> None:
    sqlfile.run("0012_bins.down.sql")
