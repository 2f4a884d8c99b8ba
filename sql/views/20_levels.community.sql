-- levels: how far each level may be trusted, where TimescaleDB keeps them.
--
-- Grain    one row per level.
-- Units    every row received before `clean_until` is in the level; -infinity where none is.
-- Bound    the least of its watermark (how far it was ever refreshed) and the earliest change
--          that a refresh has yet to work through: changes of its source, those that were handed
--          to it, and ranges being refreshed. A level of a level is no cleaner than that one.
--          Changes before what retention kept are the dropping itself, and don't count.
-- Exact    TimescaleDB writes a change in the transaction that writes the rows, and removes it in
--          the one that writes the cells, so that whoever reads the bound and the cells in one
--          snapshot sees both or neither. The catalog is read as tables, for its own functions
--          look at the newest state and not at the snapshot.
-- Version  this is what 2.29 keeps. With another version nothing counts as clean: answers then
--          read raw rows, slower and still right.
CREATE OR REPLACE FUNCTION truthline.levels()
RETURNS TABLE (name text, subject text, event_width interval, learned_width interval,
               clean_until timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH RECURSIVE catalog AS (
        SELECT level.*, agg.mat_hypertable_id AS cells_id, agg.raw_hypertable_id AS source_id,
               -- what is before the earliest instant there is can't have been received
               coalesce(extract(epoch FROM kept.since) * 1000000, -210866803200000000) AS kept_since
        FROM truthline_data.level
        JOIN _timescaledb_catalog.continuous_agg AS agg
            ON agg.user_view_schema = 'truthline_data' AND agg.user_view_name = level.name
        LEFT JOIN truthline_data.retention AS kept ON kept.relation = level.source
    ),
    pending AS (
        SELECT cells_id, least(
            (SELECT watermark FROM _timescaledb_catalog.continuous_aggs_watermark
             WHERE mat_hypertable_id = cells_id),
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
    ),
    own AS (
        SELECT catalog.*, truthline_data.learned_start(
            catalog.learned_width,
            CASE WHEN version.known AND microseconds > -210866803200000000
                 THEN TIMESTAMPTZ 'epoch' + make_interval(
                     hours => div(microseconds, 3600000000)::integer,
                     secs => mod(microseconds, 3600000000)::float8 / 1000000)
                 ELSE '-infinity' END
        ) AS own_bound
        FROM catalog
        JOIN pending USING (cells_id)
        CROSS JOIN (SELECT extversion ~ '^2\.29\.' FROM pg_extension
                    WHERE extname = 'timescaledb') AS version (known)
    ),
    chain AS (
        SELECT own.name, own.source, own.own_bound AS bound FROM own
        UNION ALL
        SELECT chain.name, own.source, own.own_bound FROM chain JOIN own ON own.name = chain.source
    )
    SELECT own.name, own.subject, own.event_width, own.learned_width,
           truthline_data.learned_start(own.learned_width, least_bound.bound)
    FROM own
    JOIN (SELECT name, min(bound) AS bound FROM chain GROUP BY 1) AS least_bound USING (name)
    ORDER BY own.place
$$;
COMMENT ON FUNCTION truthline.levels() IS
    'The levels, and until when each holds every row that was received.';
