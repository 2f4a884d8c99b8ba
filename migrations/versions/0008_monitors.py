"""Monitors, their verdicts and deliveries."""

from migrations import sqlfile

revision, down_revision = "0008", "0007"


def upgrade() -> None:
    sqlfile.run("0008_monitors.up.sql")


def downgrade() -> None:
    sqlfile.drop_views()  # some of a later release read these tables
    sqlfile.run("0008_monitors.down.sql")
