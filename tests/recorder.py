"""Which statements an application sends: counted on the cursors of its own connections.

SQLAlchemy and what goes past it (`driver(conn)`, `Database.glancing`) make their cursors with the
factory of psycopg's connection, so all statements are seen there, each once.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from sqlalchemy import Engine, event

# Round trips that ask for nothing. psycopg sends BEGIN, COMMIT and ROLLBACK without a cursor.
APART = ("BEGIN", "COMMIT", "ROLLBACK", "SET ", "RESET ")


class QueryRecorder:
    """The statements sent since the last `clear`, oldest first."""

    def __init__(self) -> None:
        self.statements: list[str] = []

    def clear(self) -> None:
        """Forget them."""
        self.statements.clear()

    def record(self, query: Any) -> None:
        """Keep a statement, unless it only begins, ends or sets something."""
        text = query.decode() if isinstance(query, bytes) else str(query)
        if not text.lstrip().upper().startswith(APART):
            self.statements.append(" ".join(text.split()))

    def cursor_class(self) -> type[psycopg.Cursor[Any]]:
        """A cursor that records what it executes."""
        record = self.record

        class RecordingCursor(psycopg.Cursor[Any]):
            def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
                record(query)
                return super().execute(query, *args, **kwargs)

            def executemany(self, query: Any, *args: Any, **kwargs: Any) -> None:
                record(query)
                super().executemany(query, *args, **kwargs)

            def copy(self, statement: Any, *args: Any, **kwargs: Any) -> Any:
                record(statement)
                return super().copy(statement, *args, **kwargs)

        return RecordingCursor

    @contextmanager
    def watching(self, engine: Engine) -> Iterator[None]:
        """Record the statements on the engine's connections in this context."""
        recording = self.cursor_class()

        def begin(connection: psycopg.Connection[Any], *_: Any) -> None:
            connection.cursor_factory = recording

        def end(connection: psycopg.Connection[Any] | None, *_: Any) -> None:
            if connection is not None:  # it was invalidated
                connection.cursor_factory = psycopg.Cursor

        event.listen(engine, "checkout", begin)
        event.listen(engine, "checkin", end)
        try:
            yield
        finally:
            event.remove(engine, "checkout", begin)
            event.remove(engine, "checkin", end)
