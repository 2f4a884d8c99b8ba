"""Schemas and registries."""

from migrations import sqlfile

revision, down_revision = "0001", None


def upgrade() -> None:
    sqlfile.run("0001_registry.up.sql")


def downgrade() -> None:
    sqlfile.run("0001_registry.down.sql")
