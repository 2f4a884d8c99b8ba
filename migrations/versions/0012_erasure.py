"""Erasures are recorded."""

from migrations import sqlfile

revision, down_revision = "0012", "0010"


def upgrade() -> None:
    sqlfile.run("0012_erasure.up.sql")


def downgrade() -> None:
    sqlfile.drop_views()
    sqlfile.run("0012_erasure.down.sql")
