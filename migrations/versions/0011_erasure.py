"""Erasures are recorded."""

from migrations import sqlfile

revision, down_revision = "0011", "0010"


def upgrade() -> None:
    sqlfile.run("0011_erasure.up.sql")


def downgrade() -> None:
    sqlfile.drop_views()
    sqlfile.run("0011_erasure.down.sql")
