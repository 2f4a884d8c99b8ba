-- Ten bins per power of ten, as 0005 made them.
SET LOCAL search_path = truthline_data, truthline, public;
CREATE FUNCTION bin_bounds() RETURNS float8[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(sign * bound ORDER BY sign * bound)
    FROM (
        SELECT (mantissa || 'e' || exponent)::float8 AS bound
        FROM unnest('{1,1.25,1.6,2,2.5,3.2,4,5,6.3,8}'::text[]) AS mantissa,
             generate_series(-6, 11) AS exponent
    ) AS scale, (VALUES (-1), (1)) AS side (sign)
$$;
CREATE OR REPLACE FUNCTION value_bin(value float8) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT width_bucket(value, truthline_data.bin_bounds())
$$;
UPDATE level_column SET expression = 'truthline_data.value_bin(latency_seconds)'
WHERE subject = 'latency' AND name = 'bin';
-- build_levels: make every level that isn't there, as this edition keeps them.
--
-- Continuous aggregates are materialized_only: the planner adds the newest rows itself. Their
-- refreshes look at all that was learned, but work only through what changed; app/rollup holds
-- their start above what was dropped from the source, for a refresh there would erase it.
CREATE OR REPLACE PROCEDURE build_levels() LANGUAGE plpgsql
SET search_path = truthline_data, public AS $procedure$
DECLARE
    one level;
    by_timescaledb boolean := current_setting('timescaledb.license', true) = 'timescale'
        AND EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb');
BEGIN
    FOR one IN SELECT * FROM level WHERE to_regclass(format('truthline_data.%I', name)) IS NULL
               ORDER BY place LOOP
        IF by_timescaledb THEN
            CALL build_aggregate(one);
            UPDATE level SET kept_by = 'timescaledb' WHERE name = one.name;
        ELSE
            EXECUTE format('CREATE TABLE %I AS %s WITH NO DATA', one.name, level_query(
                one, one.source, format('learned_start(%L, {at})', one.learned_width)));
            EXECUTE format('CREATE INDEX ON %I USING brin (learned) WITH (pages_per_range = 32)',
                           one.name);
        END IF;
        EXECUTE format('CREATE INDEX ON %I (series_id, bucket)', one.name);
        IF EXISTS (SELECT FROM level_column AS c WHERE c.subject = one.subject AND collected) THEN
            -- a quantile asks for the cells of one bin
            EXECUTE format('CREATE INDEX ON %I (series_id, %s, bucket)', one.name,
                (SELECT string_agg(format('%I', c.name), ', ' ORDER BY c.place) FROM level_column AS c
                 WHERE c.subject = one.subject AND NOT summed AND NOT collected));
        END IF;
    END LOOP;
    IF NOT by_timescaledb THEN
        CREATE OR REPLACE TRIGGER keep_backdated AFTER INSERT ON outcome FOR EACH ROW
            WHEN (NEW.received_at < clock_timestamp() - INTERVAL '5 minutes')
            EXECUTE FUNCTION keep_backdated('outcome');
        CREATE OR REPLACE TRIGGER keep_backdated AFTER INSERT ON prediction FOR EACH ROW
            WHEN (NEW.received_at < clock_timestamp() - INTERVAL '5 minutes')
            EXECUTE FUNCTION keep_backdated('prediction');
    END IF;
END
$procedure$;

CALL rebuild_bins();
DROP FUNCTION latency_bin, magnitude_bin;
