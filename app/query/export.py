"""Predictions with their truths, all of them, oldest first, in blocks.

Each block is read in a transaction of its own: between blocks, a reader who is slow holds no
connection, no snapshot, and no lock for which retention would wait. All blocks are of one moment
nevertheless, which is chosen so that everything received before it is visible to each of them.
`sql/views/86_requests.sql` says which truth belongs to a prediction.
"""

from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.rows import TupleRow
from sqlalchemy import Connection, Row, text

from app.errors import NotKept
from app.query.question import Question
from app.query.requests import EVER, Part, RequestFilter
from app.query.settle import moment_of, settle
from app.query.stored_until import stored_until
from app.query.subjects import Scope, in_sql
from app.query.tags import NO_TAGS, TagFilter
from app.query.window import MICROSECOND, Window
from app.store.database import Database, driver
from app.store.disconnects import time_limit
from app.store.registry import Kind, ModelName

# About how many rows are read at once.
BLOCK_ROWS = 20_000
FIRST_WIDTH = timedelta(days=1)
MOST_WIDER = 8
SHARE_OF_BLOCK = 0.75  # at which the next block aims: there may be more rows than before
# Nothing is dated later than this after it was received.
AHEAD = timedelta(hours=26)
# All predictions of one instant are read by one statement: there may be millions.
LONGEST_STATEMENT_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Received:
    """When rows were stored: from `start` on, and before `end`; None is unbounded."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Models:
    """All models of a workspace, or those of a namespace or pipeline, or predictions with tags."""

    namespace: str | None = None
    pipeline: str | None = None
    deployment: str | None = None
    version: str | None = None
    tags: TagFilter = NO_TAGS


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is exported: predictions, or only those whose truth is known (`truths`).

    `received` is when the prediction was stored, and with `truths` when its current truth was.
    """

    workspace_id: int
    subject: Scope | Models
    window: Window = EVER
    which: RequestFilter = RequestFilter()  # noqa: RUF009 - frozen
    received: Received = Received()
    as_of: datetime | None = None
    truths: bool = False


@dataclass(frozen=True, slots=True)
class Origin:
    """What predictions of a series belong to."""

    name: ModelName
    kind: Kind | None
    part: Part


# A row of an export, and the places of what `_ROWS` selects.
ExportedRow = TupleRow
SERIES, TIME, RECEIVED_AT, REQUEST_ID, BATCH_INDEX = range(5)
PREDICTED_LABEL, PREDICTED_VALUE, CONFIDENCE, LATENCY, FAILED, STARTS_REQUEST = range(5, 11)
ACTUAL_LABEL, ACTUAL_VALUE, LEARNED_AT, N_TRUTHS = range(11, 15)


def starts_inference(row: ExportedRow, before: ExportedRow | None) -> bool:
    """Whether a row begins an inference: it doesn't belong to that of the row before it.

    Rows of an inference differ in their output only. Without a request id, the first is marked.
    """
    if before is None or row[TIME] != before[TIME] or row[SERIES] != before[SERIES]:
        return True
    if row[REQUEST_ID] is None:
        return bool(row[STARTS_REQUEST])
    places = REQUEST_ID, BATCH_INDEX, FAILED
    return any(row[place] != before[place] for place in places)


@dataclass(frozen=True, slots=True)
class Export:
    """An export that was begun: `origins` by series, and the moment that it reflects.

    Rows received before `kept_since` were dropped; None if none was. Its rows lie before `position`
    in the database's log.
    """

    wanted: Wanted
    origins: Mapping[int, Origin]
    moment: datetime
    kept_since: datetime | None
    labels: Mapping[str, int]
    position: int

    @classmethod
    def begin(cls, database: Database, wanted: Wanted) -> "Export":
        """Look up what is exported, and as of when.

        Raises:
            UnknownModel, WrongKind, InvalidWindow: as `settle`, and `RequestFilter.require`.
            Unavailable: rows received before `as_of` are still being stored.
        """
        with database.reading() as conn:
            series, asked = _series(conn, wanted)
            moment = stored_until(conn, asked, earlier=wanted.as_of is None)
        position = database.replica.position() if database.replica else 0
        with database.asking(position=position) as conn:
            return cls(
                wanted,
                {
                    row.id: _origin(row)
                    for row in conn.execute(_ORIGINS, {"series": in_sql(series)})
                },
                moment,
                conn.execute(_KEPT_SINCE).scalar_one(),
                _labels(conn, wanted),
                position,
            )

    def blocks(self, database: Database) -> Generator[Sequence[ExportedRow]]:
        """Its rows, by time. No block is empty.

        Cost: a statement that counts the rows of a stretch of time, and one that reads them, for
        about BLOCK_ROWS rows; memory for these. More rows of one instant are read through a cursor,
        which holds a connection until they are done.

        Raises:
            NotKept: retention has dropped rows since the export began.
            Unavailable, ClientGone: as `Database.reading`.
        """
        low, end = self._bounds()
        width = FIRST_WIDTH
        while low < end and self.origins:
            with database.asking(position=self.position) as conn:
                high, number = self._stretch(conn, low, min(width, end - low))
                if number > BLOCK_ROWS:  # of one instant
                    yield from self._through_cursor(conn, low, high)
                    rows: Sequence[ExportedRow] = ()
                else:
                    rows = self._rows(conn, low, high) if number else ()
            if rows:
                yield rows
            wider = min(MOST_WIDER, SHARE_OF_BLOCK * BLOCK_ROWS / max(number, 1))
            width = _bounded((high - low) * wider, end - high)
            low = high

    def _bounds(self) -> tuple[datetime, datetime]:
        window = self.wanted.window
        return max(window.start, EVER.start), min(window.end, self.moment + AHEAD)

    def _stretch(self, conn: Connection, low: datetime, width: timedelta) -> tuple[datetime, int]:
        """The end of a stretch of time from `low`, and how many predictions it has.

        They are at most BLOCK_ROWS, unless they are of one instant.
        """
        while True:
            parameters = self._parameters(low, low + width)
            number, kept_since = conn.exec_driver_sql(_COUNT, parameters).one()
            self._require_kept(kept_since)
            if number <= BLOCK_ROWS or width <= MICROSECOND:
                return low + width, number
            width = max(width / MOST_WIDER, MICROSECOND)

    def _rows(self, conn: Connection, low: datetime, high: datetime) -> Sequence[ExportedRow]:
        return driver(conn).execute(_ROWS, self._parameters(low, high), binary=True).fetchall()

    def _through_cursor(
        self, conn: Connection, low: datetime, high: datetime
    ) -> Iterator[Sequence[ExportedRow]]:
        conn.exec_driver_sql(f"SET LOCAL statement_timeout = '{LONGEST_STATEMENT_SECONDS}s'")
        with (
            time_limit(LONGEST_STATEMENT_SECONDS),
            driver(conn).cursor("exported_rows", scrollable=False) as cursor,
        ):
            cursor.execute(_ROWS, self._parameters(low, high), binary=True)
            yield from _whole(iter(lambda: cursor.fetchmany(BLOCK_ROWS), []))

    def _require_kept(self, kept_since: datetime | None) -> None:
        """Check that no row was dropped that should be read.

        Retention records what it is about to drop first, so a snapshot in which a row is missing
        has that record.
        """
        if kept_since != self.kept_since:
            raise NotKept("retention has dropped rows while they were exported; begin again")

    def _parameters(self, low: datetime, high: datetime) -> dict[str, Any]:
        wanted, which = self.wanted, self.wanted.which
        received = wanted.received
        of_rows = Received() if wanted.truths else received
        since = max(filter(None, (self.kept_since, of_rows.start)), default=None)
        return {
            "series": in_sql(self.origins),
            "start": low,
            "end": high,
            "as_of": self.moment,
            "since": since or "-infinity",
            "counted_until": min(filter(None, (self.moment, of_rows.end))),
            "most": BLOCK_ROWS + 1,
            "predicted": self._label_id(which.predicted),
            "actual": self._label_id(which.actual),
            **{name: getattr(which, name) for name in _PLAIN_FILTERS},
            "truths": wanted.truths,
            "received_start": received.start or "-infinity",
            "received_end": received.end or "infinity",
        }

    def _label_id(self, label: str | None) -> int | None:
        """The id of a class; 0, which no class has, for an unknown one."""
        return None if label is None else self.labels.get(label, 0)


_PLAIN_FILTERS = [name for name in RequestFilter.__slots__ if name not in ("predicted", "actual")]


def _whole(parts: Iterator[Sequence[ExportedRow]]) -> Iterator[Sequence[ExportedRow]]:
    """The same rows in parts none of which ends within an inference."""
    held: list[ExportedRow] = []
    for part in parts:
        held += part
        last = len(held) - 1
        while last > 0 and not starts_inference(held[last], held[last - 1]):
            last -= 1
        if last:
            yield held[:last]
            held = held[last:]
    if held:
        yield held


def _bounded(width: timedelta, most: timedelta) -> timedelta:
    return max(MICROSECOND, min(width, most))


def _series(conn: Connection, wanted: Wanted) -> tuple[Sequence[int], datetime]:
    """The series that are exported, and the moment that is asked for."""
    subject = wanted.subject
    if isinstance(subject, Scope):
        question = settle(
            conn, Question(wanted.workspace_id, subject, wanted.window, as_of=wanted.as_of)
        )
        wanted.which.require(question.subject.kind)
        return question.subject.series, question.settled_moment.effective_as_of
    lookup = {
        "workspace": wanted.workspace_id,
        "namespace": subject.namespace,
        "pipeline": subject.pipeline,
        "deployment": subject.deployment,
        "version": subject.version,
        "tags": subject.tags.in_sql,
    }
    now = conn.execute(_NOW).scalar_one()
    series = conn.execute(_ALL_SERIES, lookup).scalars().all()
    return series, moment_of(wanted.as_of, now).effective_as_of


def _origin(row: Row[Any]) -> Origin:
    name = ModelName(row.namespace, row.pipeline, row.model)
    part = Part(*(getattr(row, field) for field in Part.__slots__))
    return Origin(name, None if row.kind is None else Kind(row.kind), part)


def _labels(conn: Connection, wanted: Wanted) -> dict[str, int]:
    """Ids of the classes that the filter names, by name."""
    names = [name for name in (wanted.which.predicted, wanted.which.actual) if name is not None]
    if not names:
        return {}
    rows = conn.execute(_LABELS, {"workspace": wanted.workspace_id, "names": names})
    return {row.name: row.id for row in rows}


_NOW = text("SELECT clock_timestamp()")
_KEPT_SINCE = text("SELECT nullif(truthline_internal.rows_since(), '-infinity')")
_LABELS = text("""
    SELECT id, name FROM label WHERE workspace_id = :workspace AND name = ANY (:names)
""")
_ALL_SERIES = text("""
    SELECT series.id FROM series JOIN model ON model.id = series.model_id
    WHERE model.workspace_id = :workspace
      AND model.namespace = coalesce(CAST(:namespace AS text), model.namespace)
      AND model.pipeline = coalesce(CAST(:pipeline AS text), model.pipeline)
      AND series.deployment = coalesce(CAST(:deployment AS text), series.deployment)
      AND series.version = coalesce(CAST(:version AS text), series.version)
      AND series.tags @> truthline_internal.certain_tags(CAST(:tags AS jsonb))
      AND truthline_internal.has_tags(series.tags, CAST(:tags AS jsonb))
""")
_ORIGINS = text("""
    SELECT series.id, model.namespace, model.pipeline, model.name AS model, model.kind,
           series.version, series.deployment, series.deployment_type, series.server_version,
           series.tags
    FROM series JOIN model ON model.id = series.model_id
    WHERE series.id = ANY (CAST(:series AS integer[]))
    ORDER BY series.id
""")
_COUNT = """
    SELECT truthline_internal.rows_between(
        CAST(%(series)s AS integer[]), %(start)s, %(end)s, %(counted_until)s,
        CAST(%(since)s AS timestamptz), %(most)s),
        nullif(truthline_internal.rows_since(), '-infinity')
"""
# Only their order says which rows without a request id belong to one inference. Those that were
# received within a microsecond are in the order in which they are found, which is that of storing.
_ROWS = """
    SELECT r.series_id, r.time, r.received_at, r.request_id, r.batch_index,
           predicted.name, r.value, r.confidence, r.latency_seconds, r.failed, r.starts_request,
           actual.name, r.actual_value, r.learned_at, r.n_truths
    FROM (
        SELECT found, row_number() OVER () AS nth
        FROM truthline_internal.request_rows(
            CAST(%(series)s AS integer[]), %(start)s, %(end)s, %(as_of)s,
            CAST(%(since)s AS timestamptz)) AS found
    ) AS numbered
    CROSS JOIN LATERAL (SELECT (found).*) AS r
    LEFT JOIN label AS predicted ON predicted.id = r.label_id
    LEFT JOIN label AS actual ON actual.id = r.actual_label
    CROSS JOIN LATERAL (SELECT CASE WHEN %(truths)s THEN r.learned_at ELSE r.received_at END)
        AS stored (at)
    WHERE truthline_internal.meets(found, CAST(ROW(
              CAST(%(predicted)s AS integer), CAST(%(actual)s AS integer),
              CAST(%(wrong)s AS boolean), CAST(%(labelled)s AS boolean),
              CAST(%(failed)s AS boolean), CAST(%(least_confidence)s AS float8),
              CAST(%(most_confidence)s AS float8), CAST(%(least_error)s AS float8)
          ) AS truthline_internal.request_filter))
      AND (NOT %(truths)s OR r.learned_at IS NOT NULL)
      AND stored.at >= CAST(%(received_start)s AS timestamptz)
      AND stored.at < CAST(%(received_end)s AS timestamptz)
    ORDER BY r.time, r.series_id, r.request_id COLLATE "C", r.batch_index, r.received_at, nth
"""
