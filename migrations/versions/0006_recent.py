"""What was received within the hour is counted in advance too."""

from migrations import sqlfile

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    sqlfile.run("0006_recent.up.sql")


def downgrade() -> None:
    sqlfile.drop_views()
    sqlfile.run("0006_recent.down.sql")
