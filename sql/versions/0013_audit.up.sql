-- Levels are audited: a span of the learned clock counts as clean once its cells were found to hold
-- every row it was made from.
--
-- Why      a refresh of a continuous aggregate that meets a commit can lose its rows permanently: a
--          writer reads TimescaleDB's invalidation threshold before its rows can be seen, and a
--          refresh that moves the threshold in between neither sees them nor learns of them. So
--          app/rollup orders the refreshes, after waiting for writers; the policies, which wait for
--          nobody, go; and what was refreshed or folded is counted again before it is answered from.
SET LOCAL search_path = truthline_data, truthline, public;
CALL drop_levels();

-- row_count: the column of a subject's cells that counts rows. The weights of a corrected truth add
-- up to 0, so `n` can't tell whether both of its rows are there.
ALTER TABLE subject ADD COLUMN row_count text NOT NULL DEFAULT 'n';
UPDATE subject SET row_count = 'n_rows' WHERE name = 'outcome';
INSERT INTO level_column (subject, place, name, type, summed, expression) VALUES
    ('outcome', 11, 'n_rows', 'bigint', true, '1');

-- audited_until: every span before it was audited at least once.
ALTER TABLE level ADD COLUMN audited_until timestamptz NOT NULL DEFAULT '-infinity';

-- audit_fault: spans whose cells did not hold the rows they were made from.
--
-- Grain    one row per (level, learned span) and discovery. While `healed_at` is NULL nothing is
--          answered from the level from there on.
-- Units    `n_rows` is what the source held, `n_counted` what the cells had counted of it.
-- Writer   app/rollup/audit.py         Reader  truthline.levels, `truthline status`, /metrics
CREATE TABLE audit_fault (
    level         text        NOT NULL REFERENCES level (name) ON UPDATE CASCADE ON DELETE CASCADE,
    learned_from  timestamptz NOT NULL,
    learned_until timestamptz NOT NULL,
    n_rows        bigint      NOT NULL,
    n_counted     bigint      NOT NULL,
    found_at      timestamptz NOT NULL DEFAULT clock_timestamp(),
    healed_at     timestamptz
);
CREATE UNIQUE INDEX audit_fault_open ON audit_fault (level, learned_from) WHERE healed_at IS NULL;

-- keep_backdated: count rows that were received before what is folded already.
--
-- Why     rows are stamped by the database, but plain SQL may say otherwise, and a server's clock
--         may be set back behind a folded bound: then even rows of now belong to a folded span.
--         They are one more group of cells at the end of each level that is past them. The share
--         lock makes them meet a fold before or after it, never within.
-- Cost    for rows of now one look at the bounds per statement. A fold ends ten minutes before its
--         own clock (app/rollup/fold.py), so rows younger than five minutes and past every bound
--         need no lock.
CREATE OR REPLACE FUNCTION keep_backdated() RETURNS trigger LANGUAGE plpgsql
SET search_path = truthline_data, pg_catalog SET extra_float_digits = 1 AS $function$
DECLARE
    one level;
    earliest timestamptz := (SELECT min(received_at) FROM inserted);
BEGIN
    IF earliest IS NULL
       OR earliest >= clock_timestamp() - INTERVAL '5 minutes'
          AND earliest >= (SELECT max(learned_until) FROM level) THEN
        RETURN NULL;
    END IF;
    FOR one IN SELECT level.* FROM level JOIN subject ON subject.name = level.subject
               WHERE subject.source = TG_TABLE_NAME AND level.kept_by = 'fold'
               ORDER BY level.place FOR SHARE OF level LOOP
        IF earliest < one.learned_until THEN
            one.source := TG_TABLE_NAME;
            EXECUTE format('INSERT INTO %I %s', one.name, level_query(
                one, 'inserted', format('learned_start(%L, {at})', one.learned_width),
                format('{at} < %L', one.learned_until)));
        END IF;
    END LOOP;
    RETURN NULL;
END
$function$;

-- watch_backdated: let every statement that adds raw rows look for backdated ones, where levels are
-- folded. TimescaleDB keeps an account of its own.
CREATE PROCEDURE watch_backdated() LANGUAGE plpgsql SET search_path = truthline_data, public
AS $procedure$
DECLARE
    raw text;
BEGIN
    FOR raw IN SELECT DISTINCT subject.source FROM level JOIN subject ON subject.name = level.subject
               WHERE kept_by = 'fold' LOOP
        EXECUTE format('DROP TRIGGER IF EXISTS keep_backdated ON %I', raw);
        EXECUTE format('CREATE TRIGGER keep_backdated AFTER INSERT ON %I'
                       ' REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT'
                       ' EXECUTE FUNCTION keep_backdated()', raw);
    END LOOP;
END
$procedure$;

-- build_levels: make every level that isn't there, as this edition keeps them.
--
-- Continuous aggregates are materialized_only: the planner adds the newest rows itself. Refreshes
-- look at all that was learned, but work only through what changed; app/rollup holds their start
-- above what was dropped from the source, for a refresh there would erase it.
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
    CALL watch_backdated();
END
$procedure$;

-- build_aggregate: one level as a continuous aggregate. It has no policy: app/rollup refreshes it
-- once those who write have ended. Chunks are larger the fewer cells there are in a span, so that an
-- old day's question opens few of them.
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
END
$procedure$;

-- drop_levels: the reverse of build_levels. Levels hold nothing that the raw rows don't, unless those
-- are dropped.
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
    UPDATE level SET kept_by = 'fold', learned_until = '-infinity', audited_until = '-infinity';
    DELETE FROM audit_fault;
END
$procedure$;

CALL build_levels();
