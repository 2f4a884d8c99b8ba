"""Levels are audited before they are answered from."""

from migrations import sqlfile

revision, down_revision = "0013", "0012"


def upgrade() -> None:
    sqlfile.run("0013_audit.up.sql")


def downgrade() -> None:
    sqlfile.run("0013_audit.down.sql")
