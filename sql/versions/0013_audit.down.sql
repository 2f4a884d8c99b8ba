-- Levels as 0012 had them: not audited, and refreshed by TimescaleDB's policies.
SET LOCAL search_path = truthline_data, truthline, public;
CALL drop_levels();
DROP TABLE audit_fault;
DROP PROCEDURE watch_backdated();
ALTER TABLE level DROP COLUMN audited_until;
DELETE FROM level_column WHERE subject = 'outcome' AND name = 'n_rows';
ALTER TABLE subject DROP COLUMN row_count;
CREATE OR REPLACE FUNCTION keep_backdated() RETURNS trigger LANGUAGE plpgsql
SET search_path = truthline_data, pg_catalog SET extra_float_digits = 1 AS $function$
DECLARE
    one level;
BEGIN
    FOR one IN SELECT level.* FROM level JOIN subject ON subject.name = level.subject
               WHERE subject.source = TG_ARGV[0] AND level.kept_by = 'fold'
               ORDER BY level.place FOR SHARE OF level LOOP
        IF NEW.received_at < one.learned_until THEN
            one.source := TG_ARGV[0];
            EXECUTE format('INSERT INTO %I %s', one.name, level_query(
                one, '(SELECT ($1).*) AS row', format('learned_start(%L, {at})', one.learned_width)))
            USING NEW;
        END IF;
    END LOOP;
    RETURN NULL;
END
$function$;
CREATE OR REPLACE PROCEDURE drop_levels() LANGUAGE plpgsql
SET search_path = truthline_data, public AS $procedure$
DECLARE
    one level;
BEGIN
    FOR one IN SELECT * FROM level ORDER BY place DESC LOOP
        EXECUTE format('DROP %s IF EXISTS %I',
                       CASE one.kept_by WHEN 'fold' THEN 'TABLE' ELSE 'MATERIALIZED VIEW' END,
                       one.name);
    END LOOP;
    DROP TRIGGER IF EXISTS keep_backdated ON outcome;
    DROP TRIGGER IF EXISTS keep_backdated ON prediction;
    UPDATE level SET kept_by = 'fold', learned_until = '-infinity';
END
$procedure$;
CREATE OR REPLACE PROCEDURE build_aggregate(one level) LANGUAGE plpgsql
SET search_path = truthline_data, public AS $procedure$
BEGIN
    EXECUTE format(
        'CREATE MATERIALIZED VIEW %I WITH (timescaledb.continuous,'
        ' timescaledb.materialized_only = true, timescaledb.create_group_indexes = false,'
        ' timescaledb.chunk_interval = %L) AS %s WITH NO DATA',
        one.name,
        CASE WHEN one.learned_width < INTERVAL '1 day' THEN INTERVAL '30 days'
             WHEN one.learned_width = INTERVAL '1 day' THEN INTERVAL '180 days'
             ELSE INTERVAL '3650 days' END,
        level_query(one, format('truthline_data.%I', one.source),
                    CASE WHEN one.learned_width = INTERVAL '1 month'
                         THEN 'public.time_bucket(INTERVAL ''1 month'', {at}, ''UTC'')'
                         ELSE format('public.time_bucket(INTERVAL %L, {at})', one.learned_width)
                    END));
    EXECUTE format(
        'SELECT public.add_continuous_aggregate_policy(%L, start_offset => NULL,'
        ' end_offset => INTERVAL ''1 minute'', schedule_interval => %L::interval,'
        ' initial_start => %L::timestamptz)',
        'truthline_data.' || one.name,
        CASE WHEN one.learned_width < INTERVAL '1 day' THEN INTERVAL '1 minute'
             ELSE INTERVAL '10 minutes' END,
        clock_timestamp() + one.place * INTERVAL '4 seconds');
END
$procedure$;
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
CALL build_levels();
