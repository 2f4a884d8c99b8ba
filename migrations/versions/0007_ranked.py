"""Levels of scores take a third of the space."""

from migrations import sqlfile

revision, down_revision = "0007", "0006"


def upgrade() -> None:
    sqlfile.run("0007_ranked.up.sql")


def downgrade() -> None:
    sqlfile.run("0007_ranked.down.sql")
