"""Messages about monitors that are gone, and deleting old verdicts."""

from migrations import sqlfile

revision, down_revision = "0009", "0008"


def upgrade() -> None:
    sqlfile.run("0009_endings.up.sql")


def downgrade() -> None:
    sqlfile.run("0009_endings.down.sql")
