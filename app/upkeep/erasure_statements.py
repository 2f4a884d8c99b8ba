"""The statements that erase, by scope.

Parameters: `workspace_id`, `model_ids`, `series` (ids), `ids` and `keys` of requests.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import TextClause, text

# A columnstore is unpacked as far as rows are deleted from it, however many.
NO_LIMITS = text("""
    SELECT set_config('statement_timeout', '0', true),
           set_config('timescaledb.max_tuples_decompressed_per_dml_transaction', '0', true)
""")
WORKSPACE = text("SELECT id FROM workspace WHERE name = :name")
MODELS = text("""
    SELECT id FROM model
    WHERE workspace_id = :workspace_id
      AND (CAST(:model AS text) IS NULL
           OR (namespace, pipeline, name) = (:namespace, :pipeline, :model))
    ORDER BY id
""")
SERIES = text("""
    SELECT id FROM series
    WHERE model_id = ANY (:model_ids)
      AND (CAST(:tag_key AS text) IS NULL
           OR tags @> jsonb_build_object(CAST(:tag_key AS text), CAST(:value AS text)))
    ORDER BY id
""")
OWN_KEYS = text("""
    SELECT model_id, key FROM prediction_key
    WHERE model_id = ANY (:model_ids) AND key = ANY (CAST(:keys AS uuid[]))
    UNION
    SELECT model_id, key FROM pending_feedback
    WHERE model_id = ANY (:model_ids) AND key = ANY (CAST(:keys AS uuid[]))
""")
CREATE_ERASED = text("""
    CREATE TEMPORARY TABLE erased_row (
        source text, series_id integer, received_at timestamptz, request_id text) ON COMMIT DROP
""")
RECEIVED = text("SELECT min(received_at) AS first, max(received_at) AS last FROM erased_row")
RENAME_TAGS = text("""
    UPDATE series SET tags = jsonb_build_object('erased', CAST(id AS text))
    WHERE id = ANY (:series) AND tags <> '{}'
""")
RECORD = text("""
    INSERT INTO erasure (workspace_id, model_id, scope, tag_key, requests, predictions, outcomes,
                         others, erased_by, reason)
    VALUES (:workspace_id, :model_id, :scope, :tag_key, :requests, :predictions, :outcomes,
            :others, :erased_by, :reason)
""")


def _rows(table: str, condition: str) -> TextClause:
    """Delete raw rows, and list them in `erased_row`."""
    return text(f"""
        WITH gone AS (
            DELETE FROM {table} WHERE series_id = ANY (:series) {condition}
            RETURNING series_id, received_at, request_id
        )
        INSERT INTO erased_row SELECT '{table}', * FROM gone
    """)


RAW = ("outcome", "prediction")
ROWS_OF_REQUESTS = [_rows(table, "AND request_id = ANY (:ids)") for table in RAW]
ROWS_OF_SERIES = [_rows(table, "") for table in RAW]

_KEYED = "model_id = ANY (:model_ids) AND key = ANY (CAST(:keys AS uuid[]))"
_OF_MODELS = "model_id = ANY (:model_ids)"
_OF_WORKSPACE = "workspace_id = :workspace_id"
# Ids that no other prediction of the workspace has.
_OWN_IDS = """
    (SELECT request_id FROM erased_row WHERE request_id IS NOT NULL
     EXCEPT
     SELECT request_id FROM prediction
     WHERE series_id IN (SELECT series.id FROM series JOIN model ON model.id = model_id
                         WHERE workspace_id = :workspace_id)
       AND request_id IN (SELECT request_id FROM erased_row))
"""


def _deletions(conditions: Mapping[str, str]) -> Sequence[TextClause]:
    return [text(f"DELETE FROM {table} WHERE {which}") for table, which in conditions.items()]


# What is locked to join a truth with its row.
BEFORE_ROWS: Mapping[str, Sequence[TextClause]] = {
    "requests": _deletions(
        {"prediction_key": _KEYED, "pending_feedback": _KEYED, "event_lookup": _KEYED}
    ),
    "tag": _deletions({"prediction_key": f"{_OF_MODELS} AND tagged_series_id = ANY (:series)"}),
    "model": _deletions(
        dict.fromkeys(("prediction_key", "pending_feedback", "event_lookup"), _OF_MODELS)
    ),
    "workspace": _deletions(
        dict.fromkeys(("prediction_key", "pending_feedback", "event_lookup"), _OF_MODELS)
    ),
}
_METADATA = "inference_metadata"
_BY_ID = {
    _METADATA: f"{_OF_WORKSPACE} AND inference_id IN {_OWN_IDS}",
    "event_pair": f"{_OF_WORKSPACE} AND request ->> 'request_id' IN {_OWN_IDS}",
}
_METRICS = f"metric_id IN (SELECT id FROM event_metric WHERE {_OF_WORKSPACE})"
AFTER_ROWS: Mapping[str, Sequence[TextClause]] = {
    "requests": _deletions(
        {
            _METADATA: f"{_OF_WORKSPACE} AND inference_id = ANY (:ids)",
            "event_pair": f"{_OF_WORKSPACE} AND request ->> 'request_id' = ANY (:ids)",
        }
    ),
    "tag": _deletions(_BY_ID),
    "model": _deletions(
        {
            **_BY_ID,
            "subscription": _OF_MODELS,
            "monitor": f"{_OF_WORKSPACE} AND (namespace, pipeline, model) IN"
            " (SELECT namespace, pipeline, name FROM model WHERE id = ANY (:model_ids))",
        }
    ),
    "workspace": _deletions(
        {
            "subscription": _OF_MODELS,
            "step_batch": f"metric_id IN (SELECT id FROM step_metric WHERE {_OF_WORKSPACE})",
            "event_count": _METRICS,
            "event_total": _METRICS,
            **dict.fromkeys(
                (
                    *(_METADATA, "event_pair", "event_key", "event_metric", "event_family"),
                    *("ingest_batch", "monitor", "receiver", "step_metric"),
                ),
                _OF_WORKSPACE,
            ),
        }
    ),
}
_REVOKE = text(f"""
    UPDATE api_key SET revoked_at = coalesce(revoked_at, now()), name = '' WHERE {_OF_WORKSPACE}
""")
_END_SESSIONS = text(f"""
    DELETE FROM refresh_family
    WHERE api_key_id IN (SELECT id FROM api_key WHERE {_OF_WORKSPACE})
""")
_DISMISS = text(f"DELETE FROM analyst WHERE {_OF_WORKSPACE}")
_NAMED = ("label", "step_name")
RENAMES: Mapping[str, Sequence[TextClause]] = {
    "requests": (),
    "tag": (),
    "model": (),
    "workspace": (
        _REVOKE,
        _END_SESSIONS,
        _DISMISS,
        *(text(f"UPDATE {t} SET name = 'erased-' || id WHERE {_OF_WORKSPACE}") for t in _NAMED),
        text(f"""
            UPDATE model SET name = 'erased-' || id, namespace = '', pipeline = ''
            WHERE {_OF_WORKSPACE}
        """),
        text(f"""
            UPDATE series SET version = 'erased-' || id, deployment = '', deployment_type = '',
                              server_version = ''
            WHERE {_OF_MODELS}
        """),
        text(f"""
            UPDATE execution SET name = 'erased-' || id, pipeline = '', deployment = ''
            WHERE {_OF_WORKSPACE}
        """),
        text("UPDATE workspace SET name = 'erased-' || id WHERE id = :workspace_id"),
    ),
}
