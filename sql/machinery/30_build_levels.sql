-- Builds levels in the form that this edition keeps: continuous aggregates on TimescaleDB Community,
-- tables elsewhere. Recent levels are tables everywhere.

-- build_levels: builds every level that is missing.
--
-- Caller   each upgrade, after all migrations and the rest of sql/machinery/
-- Why      a migration only describes levels, in `subject`, `level_column` and `level`, and drops
--          those whose description it changes: so no migration depends on the machinery of its time.
--          Existing levels are not touched. Continuous aggregates are materialized_only: the planner
--          adds the newest rows itself.
CREATE OR REPLACE PROCEDURE truthline_data.build_levels() LANGUAGE plpgsql
SET search_path = truthline_data, public AS $procedure$
DECLARE
    missing level;
    by_timescaledb boolean := current_setting('timescaledb.license', true) = 'timescale'
        AND EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb');
BEGIN
    FOR missing IN SELECT * FROM level WHERE to_regclass(format('truthline_data.%I', name)) IS NULL
                   ORDER BY place LOOP
        IF by_timescaledb AND NOT missing.recent THEN
            CALL build_aggregate(missing);
            UPDATE level SET kept_by = 'timescaledb' WHERE name = missing.name;
        ELSE
            CALL build_table(missing);
        END IF;
        EXECUTE format('CREATE INDEX ON %I (series_id, bucket)', missing.name);
        IF EXISTS (SELECT FROM level_column AS c WHERE c.subject = missing.subject AND collected) THEN
            -- there are many of them in the hours since the last whole day
            EXECUTE format('CREATE INDEX ON %I (series_id, learned)', missing.name);
        END IF;
    END LOOP;
    CALL watch_backdated();
    CALL watch_updated();
END
$procedure$;

-- build_table: builds a level as a table, which app/rollup/fold.py appends to.
CREATE OR REPLACE PROCEDURE truthline_data.build_table(level truthline_data.level) LANGUAGE plpgsql
SET search_path = truthline_data, public AS $procedure$
BEGIN
    EXECUTE format('CREATE TABLE %I AS %s WITH NO DATA', level.name, level_query(
        level, level.source, format('learned_start(%L, {at})', level.learned_width)));
    EXECUTE format('CREATE INDEX ON %I USING brin (learned) WITH (pages_per_range = 32)', level.name);
END
$procedure$;

-- build_aggregate: builds a level as a continuous aggregate. It has no policy: app/rollup refreshes it
-- once concurrent writers have finished, and never below what was dropped from its source, because that
-- would erase those cells.
--
-- Why      the fewer cells a span has, the longer its chunks, so that a query about an old day opens
--          few of them.
CREATE OR REPLACE PROCEDURE truthline_data.build_aggregate(level truthline_data.level)
LANGUAGE plpgsql SET search_path = truthline_data, public AS $procedure$
BEGIN
    EXECUTE format(
        'CREATE MATERIALIZED VIEW %I WITH (timescaledb.continuous,'
        ' timescaledb.materialized_only = true, timescaledb.create_group_indexes = false,'
        ' timescaledb.chunk_interval = %L) AS %s WITH NO DATA',
        level.name,
        CASE WHEN level.learned_width < INTERVAL '1 day' THEN INTERVAL '30 days'
             WHEN level.learned_width = INTERVAL '1 day' THEN INTERVAL '180 days'
             ELSE INTERVAL '3650 days' END,
        level_query(level, format('truthline_data.%I', level.source),
                    CASE WHEN level.learned_width = INTERVAL '1 month'
                         THEN 'public.time_bucket(INTERVAL ''1 month'', {at}, ''UTC'')'
                         ELSE format('public.time_bucket(INTERVAL %L, {at})', level.learned_width)
                    END));
END
$procedure$;

-- drop_levels: drops every level; the upgrade rebuilds them from the raw rows that remain.
--
-- Caller   a migration that changes what levels count (migrations/sqlfile.py)
-- Why      levels can be recomputed from raw rows, except where retention has dropped those.
-- Errors   object_not_in_prerequisite_state: it has, and their cells would be lost. Such a migration has
--          to add levels, and to leave those that exist.
CREATE OR REPLACE PROCEDURE truthline_data.drop_levels() LANGUAGE plpgsql
SET search_path = truthline_data, public AS $procedure$
DECLARE
    built level;
    watching record;
BEGIN
    IF EXISTS (SELECT FROM retention JOIN subject ON subject.source = relation) THEN
        RAISE object_not_in_prerequisite_state USING MESSAGE =
            'levels count rows that retention has dropped, and can''t be computed again';
    END IF;
    FOR built IN SELECT * FROM level ORDER BY place DESC LOOP
        EXECUTE format('DROP %s IF EXISTS %I',
                       CASE built.kept_by WHEN 'fold' THEN 'TABLE' ELSE 'MATERIALIZED VIEW' END,
                       built.name);
    END LOOP;
    FOR watching IN SELECT tgname, tgrelid::regclass AS raw FROM pg_trigger
                    WHERE tgrelid IN (SELECT source::regclass FROM subject)
                      AND tgname IN ('keep_backdated', 'keep_updated', 'void_backdated', 'void_behind')
    LOOP
        EXECUTE format('DROP TRIGGER %I ON %s', watching.tgname, watching.raw);
    END LOOP;
    UPDATE level SET kept_by = 'fold', learned_since = '-infinity', learned_until = '-infinity',
                     audited_until = '-infinity';
    DELETE FROM audit_fault;
END
$procedure$;
