"""Raw tables: predictions, outcomes, and what joins them."""

from migrations import sqlfile

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    sqlfile.run("0002_raw.up.sql")


def downgrade() -> None:
    sqlfile.run("0002_raw.down.sql")
