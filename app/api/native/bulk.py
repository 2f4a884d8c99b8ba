"""Native ingest of bodies of any size: CSV, Arrow and Parquet, and NDJSON if it is asked for."""

from contextlib import closing

from app.api.http.body import Incoming
from app.api.http.idempotency import batch_key
from app.api.http.observe import count_rows, report_rejected
from app.api.http.query_limiter import admitted_bulk
from app.errors import InvalidInput, TooLarge, TruthlineError
from app.ingest.batch import Verdict
from app.ingest.bulk.checked import PREDICTIONS, TRUTHS
from app.ingest.bulk.chunks import CHUNK_ROWS
from app.ingest.bulk.formats import read_chunks
from app.ingest.bulk.ingest import BulkIngest, BulkVerdict
from app.running import database, settings

KINDS = {kind.name: kind for kind in (PREDICTIONS, TRUTHS)}


def ingest_bulk(member: str, media_type: str, workspace_id: int) -> BulkVerdict:
    """Store the body of the current request in chunks, each in a transaction of its own.

    Raises:
        TruthlineError: it breaks off, or a chunk can't be stored; the message says
            how many rows were stored before.
    """
    kind = KINDS[member]
    bulk = BulkIngest(
        database(),
        workspace_id,
        kind,
        lambda number, chunk: batch_key(f"{member}[{number}]", chunk.digest),
    )
    with admitted_bulk():
        source = Incoming(settings().max_bulk_bytes)
        chunks = read_chunks(
            media_type, source, kind.row_type, spool_bytes=settings().max_parquet_bytes
        )
        try:
            for chunk in chunks:
                bulk.store(chunk)
        except TruthlineError as error:
            raise _with_progress(error, bulk.verdict) from error.__cause__
        finally:
            chunks.close()
            _count(member, bulk.verdict)
    if not bulk.verdict.rows:
        raise InvalidInput("the body has no rows")
    return bulk.verdict


def ingest_batch(member: str, media_type: str, workspace_id: int) -> Verdict:
    """Store the body of the current request whole, or not at all: it must be one chunk.

    Raises:
        TooLarge: it is larger.
        InvalidRows: a row is invalid.
        and as `ingest_bulk`.
    """
    kind = KINDS[member]
    bulk = BulkIngest(
        database(),
        workspace_id,
        kind,
        lambda _, chunk: batch_key(member, chunk.digest),
        whole=True,
    )
    source = Incoming(settings().max_body_bytes)
    with closing(
        read_chunks(media_type, source, kind.row_type, spool_bytes=settings().max_body_bytes)
    ) as chunks:
        chunk = next(chunks, None)
        if chunk is None:
            raise InvalidInput("the body has no rows")
        if next(chunks, None) is not None or chunk.size > settings().max_batch_rows:
            most = min(settings().max_batch_rows, CHUNK_ROWS)
            raise TooLarge(f"a batch of Arrow may have at most {most} rows, or 32 MiB")
        verdict, _ = bulk.store(chunk)
    count_rows(member, verdict)
    return verdict


def _with_progress(error: TruthlineError, verdict: BulkVerdict) -> TruthlineError:
    """The error, with what was done before."""
    if verdict.rows:
        stored = f"{verdict.accepted} stored, {verdict.duplicates} duplicates"
        done = f"{verdict.rows} rows before it: {stored}, {verdict.refused} refused"
        error.args = (f"{error}; {done}",)
    return error


def _count(member: str, verdict: BulkVerdict) -> None:
    count_rows(member, verdict)
    report_rejected(member, verdict.errors, of=verdict.rows, number=verdict.refused)
