-- Bins that follow the binary form of a number.
--
-- Ten bins per power of ten held a third of a model's values in one: all its numbers were unpacked
-- to find a few. Now each power of two is cut into 16 bins for values and into 8 for latencies, of
-- which every hour keeps cells. And a bin is had by arithmetic alone; a table of bounds was made
-- anew with each plan. A quantile reads all cells of a window once, no longer those of one bin: the
-- index is on what that takes.
SET LOCAL search_path = truthline_data, truthline, public;

-- magnitude_bin: which of 2 ^ bits equal parts of a power of two a number lies in, ascending.
-- Why      it is read off the double: sign, eleven bits of exponent, and the first of the mantissa.
--          A logarithm could differ in its last digit from one machine to another.
CREATE FUNCTION magnitude_bin(value float8, bits integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN value < 0 THEN -1 ELSE 1 END * (
        1 + ((get_byte(float8send(abs(value)), 0) << 16) + (get_byte(float8send(abs(value)), 1) << 8)
             + get_byte(float8send(abs(value)), 2)) / (1 << (12 - bits)))
$$;
CREATE OR REPLACE FUNCTION value_bin(value float8) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT truthline_data.magnitude_bin(value, 4) $$;
CREATE FUNCTION latency_bin(seconds float8) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT truthline_data.magnitude_bin(seconds, 3) $$;
UPDATE level_column SET expression = 'truthline_data.latency_bin(latency_seconds)'
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
            -- there are many of them in the hours since the last whole day
            EXECUTE format('CREATE INDEX ON %I (series_id, learned)', one.name);
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
DROP FUNCTION bin_bounds();
