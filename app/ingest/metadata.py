"""Metadata of inferences: fields that a client sends for them, before or after they arrive."""

from collections.abc import Mapping

from sqlalchemy import text

from app.store.database import Database

# Values by field and inference.
Fields = Mapping[tuple[str, str], str]


def ingest_metadata(database: Database, workspace_id: int, fields: Fields) -> None:
    """Store values of fields, all or none; a later value of a field replaces the earlier one."""
    names = sorted(fields)  # in key order, so that writers can't deadlock
    rows = {
        "workspace_id": workspace_id,
        "field_names": [field for field, _ in names],
        "inference_ids": [inference for _, inference in names],
        "field_values": [fields[name] for name in names],
    }
    with database.writing() as conn:
        conn.execute(_STORE, rows)


_STORE = text("""
    INSERT INTO inference_metadata AS known (workspace_id, field_name, inference_id, field_value)
    SELECT :workspace_id, * FROM unnest(CAST(:field_names AS text[]),
                                        CAST(:inference_ids AS text[]),
                                        CAST(:field_values AS text[]))
    ON CONFLICT (workspace_id, field_name, inference_id) DO UPDATE
    SET field_value = EXCLUDED.field_value, received_at = clock_timestamp()
    WHERE known.field_value <> EXCLUDED.field_value
""")
