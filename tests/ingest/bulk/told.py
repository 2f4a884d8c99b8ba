"""What a database has stored for a workspace, in names instead of ids; and bodies to store."""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
from pyarrow import csv, parquet
from sqlalchemy import text

from app.errors import RowError
from app.ingest.bulk.checked import PREDICTIONS, Kind
from app.ingest.bulk.formats import read_chunks
from app.ingest.bulk.ingest import BulkIngest, BulkVerdict
from app.store.database import Database

SPOOL = 2**30
Rows = list[tuple[Any, ...]]

_PREDICTIONS = text("""
    SELECT m.namespace, m.pipeline, m.name, s.deployment, s.version, s.deployment_type,
           s.server_version, s.tags::text, l.name, p.value, p.confidence, p.latency_seconds,
           p.starts_request, p.starts_label, p.failed, p.request_id, p.batch_index, p.time
    FROM prediction AS p
    JOIN series AS s ON s.id = p.series_id
    JOIN model AS m ON m.id = s.model_id
    LEFT JOIN label AS l ON l.id = p.label_id
    WHERE m.workspace_id = :workspace_id
""")
_KEYS = text("""
    SELECT m.name, k.key, k.batch_index, s.version, s.tags::text, tagged.tags::text, k.time,
           l.name, k.predicted_value, k.confidence, truth.name, k.actual_value,
           (SELECT json_object_agg(c.name, k.scores[place])::text
            FROM (SELECT place, label.name FROM model_class
                  JOIN label ON label.id = label_id WHERE model_id = m.id ORDER BY 2) AS c
            WHERE k.scores[place] IS NOT NULL)
    FROM prediction_key AS k
    JOIN series AS s ON s.id = k.series_id
    JOIN model AS m ON m.id = k.model_id
    LEFT JOIN series AS tagged ON tagged.id = k.tagged_series_id
    LEFT JOIN label AS l ON l.id = k.predicted_label
    LEFT JOIN label AS truth ON truth.id = k.actual_label
    WHERE m.workspace_id = :workspace_id
""")
_OUTCOMES = text("""
    SELECT m.name, s.version, l.name, truth.name, o.predicted_value, o.actual_value, o.weight,
           o.batch_index, o.request_id, o.time, o.predicted_score, o.actual_score, o.other_score,
           o.rest_squared, declared.name, o.class_score
    FROM outcome AS o
    JOIN series AS s ON s.id = o.series_id
    JOIN model AS m ON m.id = s.model_id
    LEFT JOIN label AS l ON l.id = o.predicted_label
    LEFT JOIN label AS declared ON declared.id = o.class_label
    LEFT JOIN label AS truth ON truth.id = o.actual_label
    WHERE m.workspace_id = :workspace_id
""")
_PENDING = text("""
    SELECT m.name, f.key, f.batch_index, l.name, f.actual_value, f.request_id
    FROM pending_feedback AS f
    JOIN model AS m ON m.id = f.model_id
    LEFT JOIN label AS l ON l.id = f.actual_label
    WHERE m.workspace_id = :workspace_id
""")


def stored(database: Database, workspace_id: int) -> Mapping[str, Rows]:
    """All rows of a workspace, in an order of their own."""
    statements = {
        "predictions": _PREDICTIONS,
        "keys": _KEYS,
        "outcomes": _OUTCOMES,
        "pending": _PENDING,
    }
    with database.reading() as conn:
        return {
            name: sorted(map(tuple, conn.execute(s, {"workspace_id": workspace_id})), key=repr)
            for name, s in statements.items()
        }


def bulk(
    database: Database,
    workspace_id: int,
    media_type: str,
    body: bytes,
    kind: Kind[Any, Any] = PREDICTIONS,
) -> BulkVerdict:
    """Store a body."""
    ingest = BulkIngest(database, workspace_id, kind)
    chunks = read_chunks(media_type, io.BytesIO(body), kind.row_type, spool_bytes=SPOOL)
    for chunk in chunks:
        ingest.store(chunk)
    return ingest.verdict


def counts(verdict: BulkVerdict) -> tuple[int, int, int, int]:
    """Accepted, duplicates, pending, refused."""
    return (verdict.accepted, verdict.duplicates, verdict.pending, verdict.refused)


def reasons(errors: Sequence[RowError]) -> list[tuple[int, str, str]]:
    """Errors as tuples."""
    return [(error.index, error.field, error.reason) for error in errors]


def ndjson(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Rows as lines."""
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def arrow(table: pa.Table, **options: Any) -> bytes:
    """A table as an Arrow stream."""
    out = io.BytesIO()
    with pa.ipc.new_stream(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return out.getvalue()


def parquet_file(table: pa.Table, **options: Any) -> bytes:
    """A table as a Parquet file."""
    out = io.BytesIO()
    parquet.write_table(table, out, **options)
    return out.getvalue()


def csv_file(table: pa.Table) -> bytes:
    """A table as CSV."""
    out = io.BytesIO()
    csv.write_csv(table, out)
    return out.getvalue()
