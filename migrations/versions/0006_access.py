"""Keys with a name and an end, and tokens to exchange them for."""

from migrations import sqlfile

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    sqlfile.run("0006_access.up.sql")


def downgrade() -> None:
    sqlfile.run("0006_access.down.sql")
