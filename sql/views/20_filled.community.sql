-- filled_levels: how far each level is filled, where TimescaleDB keeps them, from its own catalog;
-- recent ones are folded.
--
-- Grain    one row per level.
-- Units    a level holds every row received before `filled_until`; -infinity if it holds none.
-- Bound    the least of its source's threshold (TimescaleDB records changes before it) and the earliest
--          change that a refresh has yet to process: changes of its source, those already assigned to
--          the level (ranges that were never refreshed are among them), and ranges being refreshed.
--          Changes before what retention kept are the dropping itself, and don't count. The watermark
--          of the aggregate is of no use: it ends at the last cell, so a level that counts nothing
--          would never be filled.
-- Exact    TimescaleDB records a change in the transaction that writes the rows, and removes it in
--          the one that writes the cells, so that a snapshot holds both the bound and the cells, or
--          neither. The catalog is read as tables, because its own functions read the newest state
--          instead of the snapshot. If a refresh runs during a commit, a change can be missing from
--          this catalog: audits of levels find that (app/rollup/audit.py).
-- Version  this is the catalog of 2.29. With another version no level counts as filled: answers then
--          read raw rows, which is slower and still correct.
CREATE OR REPLACE FUNCTION truthline_internal.filled_levels()
RETURNS TABLE (name text, filled_until timestamptz) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH catalog AS (
        SELECT level.*, agg.mat_hypertable_id AS cells_id, agg.raw_hypertable_id AS source_id,
               -- nothing can have been received before the earliest instant
               coalesce(extract(epoch FROM kept.since) * 1000000, -210866803200000000) AS kept_since
        FROM truthline_data.level
        JOIN _timescaledb_catalog.continuous_agg AS agg
            ON agg.user_view_schema = 'truthline_data' AND agg.user_view_name = level.name
        LEFT JOIN truthline_data.retention AS kept ON kept.relation = level.source
    ),
    pending AS (
        SELECT catalog.*, least(
            (SELECT watermark FROM _timescaledb_catalog.continuous_aggs_invalidation_threshold
             WHERE hypertable_id = source_id),
            (SELECT min(greatest(lowest_modified_value, kept_since))
             FROM _timescaledb_catalog.continuous_aggs_hypertable_invalidation_log
             WHERE hypertable_id = source_id AND greatest_modified_value >= kept_since),
            (SELECT min(greatest(lowest_modified_value, kept_since))
             FROM _timescaledb_catalog.continuous_aggs_materialization_invalidation_log
             WHERE materialization_id = cells_id AND greatest_modified_value >= kept_since),
            (SELECT min(greatest(lowest_modified_value, kept_since))
             FROM _timescaledb_catalog.continuous_aggs_materialization_ranges
             WHERE materialization_id = cells_id AND greatest_modified_value >= kept_since)
        ) AS microseconds
        FROM catalog
    )
    SELECT level.name, level.learned_until FROM truthline_data.level WHERE kept_by = 'fold'
    UNION ALL
    SELECT pending.name, truthline_data.learned_start(
        learned_width,
        CASE WHEN version.known AND microseconds > -210866803200000000
             THEN TIMESTAMPTZ 'epoch' + make_interval(
                 hours => div(microseconds, 3600000000)::integer,
                 secs => mod(microseconds, 3600000000)::float8 / 1000000)
             ELSE '-infinity' END)
    FROM pending
    CROSS JOIN (SELECT extversion ~ '^2\.29\.' FROM pg_extension
                WHERE extname = 'timescaledb') AS version (known)
$$;
COMMENT ON FUNCTION truthline_internal.filled_levels() IS
    'How far each level is filled, before any audit.';

-- written_tables: tables that a writer of `source` locks: the raw hypertable, or the one that holds a
-- level's cells, and its chunks.
CREATE OR REPLACE FUNCTION truthline_internal.written_tables(source text) RETURNS SETOF oid
LANGUAGE sql STABLE AS $$
    WITH root AS (
        SELECT to_regclass(format('truthline_data.%I', source))::oid AS id
        UNION ALL
        SELECT format('%I.%I', h.schema_name, h.table_name)::regclass::oid
        FROM _timescaledb_catalog.continuous_agg AS agg
        JOIN _timescaledb_catalog.hypertable AS h ON h.id = agg.mat_hypertable_id
        WHERE agg.user_view_schema = 'truthline_data' AND agg.user_view_name = source
    )
    SELECT id FROM root
    UNION ALL
    SELECT inhrelid FROM pg_inherits JOIN root ON inhparent = id
$$;
COMMENT ON FUNCTION truthline_internal.written_tables(text) IS
    'Tables that a writer of a raw table or level locks.';
