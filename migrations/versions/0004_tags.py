"""Tags of predictions are part of their series."""

from migrations import sqlfile

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    sqlfile.run("0004_tags.up.sql")


def downgrade() -> None:
    sqlfile.drop_views()
    sqlfile.run("0004_tags.down.sql")
