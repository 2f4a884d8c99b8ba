"""What a database's schemas hold, so that two databases can be compared."""

from sqlalchemy import Connection

SCHEMAS = "('truthline', 'truthline_internal', 'truthline_data')"
OURS = f"(SELECT oid FROM pg_namespace WHERE nspname IN {SCHEMAS})"
CATALOG = {
    "columns": f"""
        SELECT table_schema, table_name, column_name, data_type, is_nullable, column_default
        FROM information_schema.columns WHERE table_schema IN {SCHEMAS}
    """,
    "constraints": f"""
        SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE connamespace IN {OURS} AND contype <> 'n'
    """,
    "indexes": f"""
        SELECT pg_get_indexdef(indexrelid) FROM pg_index JOIN pg_class AS c ON c.oid = indrelid
        WHERE relnamespace IN {OURS}
    """,
    "triggers": f"""
        SELECT pg_get_triggerdef(t.oid) FROM pg_trigger AS t JOIN pg_class AS c ON c.oid = tgrelid
        WHERE relnamespace IN {OURS} AND NOT tgisinternal
    """,
    "routines": f"""
        SELECT CASE WHEN aggregate IS NULL THEN pg_get_functiondef(oid) ELSE aggregate::text END,
               obj_description(oid, 'pg_proc'), proacl::text
        FROM pg_proc LEFT JOIN pg_aggregate AS aggregate ON aggfnoid = oid
        WHERE pronamespace IN {OURS}
    """,
    "views": "SELECT viewname, definition FROM pg_views WHERE schemaname = 'truthline'",
    "subjects": "SELECT * FROM truthline_data.subject",
    "level columns": "SELECT * FROM truthline_data.level_column",
    "levels": """
        SELECT place, name, subject, event_width, learned_width, source, kept_by
        FROM truthline_data.level
    """,
}
ON_TIMESCALEDB = {
    "dimensions": """
        SELECT hypertable_name, column_name, time_interval
        FROM timescaledb_information.dimensions WHERE hypertable_schema = 'truthline_data'
    """,
    "aggregates": """
        SELECT view_name, materialized_only, view_definition
        FROM timescaledb_information.continuous_aggregates WHERE view_schema = 'truthline_data'
    """,
}


def snapshot(conn: Connection) -> dict[str, list[str]]:
    """Every definition of Truthline's schemas, by kind, in order."""
    installed = "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"
    kinds = CATALOG | (ON_TIMESCALEDB if conn.exec_driver_sql(installed).first() else {})
    plain = conn.execution_options(no_parameters=True)
    return {
        kind: sorted(str(tuple(row)) for row in plain.exec_driver_sql(statement))
        for kind, statement in kinds.items()
    }
