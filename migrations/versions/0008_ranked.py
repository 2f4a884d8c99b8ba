"""Levels of scores take a third of the space."""

from migrations import sqlfile

revision, down_revision = "0008", "0005"


def upgrade() -> None:
    sqlfile.run("0008_ranked.up.sql")


def downgrade() -> None:
    sqlfile.run("0008_ranked.down.sql")
