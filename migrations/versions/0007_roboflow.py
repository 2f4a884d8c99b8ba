"""Metadata of inferences."""

from migrations import sqlfile

revision, down_revision = "0007", "0006"


def upgrade() -> None:
    sqlfile.run("0007_roboflow.up.sql")


def downgrade() -> None:
    sqlfile.run("0007_roboflow.down.sql")
