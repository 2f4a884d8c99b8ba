"""${message}."""

from migrations import sqlfile

revision, down_revision = ${repr(up_revision)}, ${repr(down_revision)}


def upgrade() -> None:
    sqlfile.run("${up_revision}_name.up.sql")


def downgrade() -> None:
    sqlfile.run("${up_revision}_name.down.sql")
