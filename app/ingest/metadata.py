"""Metadata of inferences: fields that a client tells about them, before or after."""

from collections.abc import Mapping

from sqlalchemy import text

from app.store.database import Database

# What names a value: the field, and the inference that has it.
Fields = Mapping[tuple[str, str], str]


def ingest_metadata(database: Database, workspace_id: int, fields: Fields) -> None:
    """Keep values of fields, all or none; a later value of a field replaces the earlier one."""
    names = sorted(fields)  # in one order, so that two writers wait for each other one way only
    rows = {
        "workspace_id": workspace_id,
        "field_names": [field for field, _ in names],
        "inference_ids": [inference for _, inference in names],
        "field_values": [fields[name] for name in names],
    }
    with database.writing() as conn:
        conn.execute(_KEEP, rows)


_KEEP = text("""
    INSERT INTO inference_metadata AS known (workspace_id, field_name, inference_id, field_value)
    SELECT :workspace_id, * FROM unnest(CAST(:field_names AS text[]),
                                        CAST(:inference_ids AS text[]),
                                        CAST(:field_values AS text[]))
    ON CONFLICT (workspace_id, field_name, inference_id) DO UPDATE
    SET field_value = EXCLUDED.field_value, received_at = clock_timestamp()
    WHERE known.field_value <> EXCLUDED.field_value
""")
