-- Levels of predictions and outcomes along both clocks, described once and kept per edition.
--
-- A level counts the rows of a table beforehand, by (learned span, event bucket, series, key).
-- `learned` follows the clock that only moves forward, so a late or corrected truth is one more
-- cell at the end and what was counted never changes. Levels are named subject_event_learned:
-- outcome_5m_1d has buckets of five minutes, per day in which they were learned.
--
-- Where TimescaleDB Community is, levels are continuous aggregates (build_levels); elsewhere
-- they are tables of the same shape, appended to by app/rollup/fold.py. Both are made of the
-- same expressions, which stand in `level_column`, and so are the raw parts of an answer.
SET LOCAL search_path = truthline_data, truthline, public;
DROP SCHEMA truthline CASCADE;  -- its functions read the older levels; they come back
CREATE SCHEMA truthline;
DROP VIEW IF EXISTS outcome_measure;
DROP TABLE outcome_1h, outcome_1d, outcome_1mo, level;

-- Functions that the expressions of levels are made of. A continuous aggregate keeps its
-- definition, so these are frozen; what may change is in sql/views/.

-- exact: a number as the shortest decimal that is read as the same number. It can be taken back
-- exactly: sums of double precision keep the rounding of every mistake that was corrected. A cast
-- without the text would keep 15 digits, and a mean of two then misses its last one. Below 1e-150
-- it counts as 0.
CREATE FUNCTION exact(number float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN abs(number) < 1e-150 THEN 0 ELSE number::text::numeric END
$$;
CREATE FUNCTION exact_square(number float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT truthline_data.exact(number) * truthline_data.exact(number)
$$;
-- percentage_error: |error / actual|, a fraction of 1; NULL where the actual value is 0.
CREATE FUNCTION percentage_error(predicted float8, actual float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN abs(actual) >= 1e-150
                THEN truthline_data.exact(abs((predicted - actual) / actual)) END
$$;
-- Bins keep where a quantile lies: rows of one bin are then looked at one by one. Their bounds
-- are exact numbers, so a bin is the same as a range of values: a confidence by 64ths, other
-- numbers by ten steps per power of ten, from 1e-6 to 1e12 on either side of 0.
CREATE FUNCTION bin_bounds() RETURNS float8[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(sign * bound ORDER BY sign * bound)
    FROM (
        SELECT (mantissa || 'e' || exponent)::float8 AS bound
        FROM unnest('{1,1.25,1.6,2,2.5,3.2,4,5,6.3,8}'::text[]) AS mantissa,
             generate_series(-6, 11) AS exponent
    ) AS scale, (VALUES (-1), (1)) AS side (sign)
$$;
CREATE FUNCTION value_bin(value float8) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT width_bucket(value, truthline_data.bin_bounds())
$$;
CREATE FUNCTION confidence_bin(confidence float8) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT floor(confidence * 64)::integer $$;
-- event_start, learned_start: the first instant of the bucket or span an instant lies in. Days
-- begin at midnight UTC, weeks on Monday.
CREATE FUNCTION event_start(width interval, at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT date_bin(width, at, TIMESTAMPTZ '2000-01-03 00:00:00+00')
$$;
CREATE FUNCTION learned_start(width interval, at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN NOT isfinite(at) THEN at
                WHEN width = INTERVAL '1 month' THEN date_trunc('month', at, 'UTC')
                ELSE date_bin(width, at, TIMESTAMPTZ '2000-01-03 00:00:00+00') END
$$;

-- subject: what is counted in levels.
-- Grain   one row per subject. `source` is the raw table; rows without `condition` don't count.
-- Writer  migrations                   Reader  build_levels, app/rollup, the planner
CREATE TABLE subject (
    name      text PRIMARY KEY,
    source    text NOT NULL,
    condition text NOT NULL DEFAULT 'true'
);
INSERT INTO subject VALUES
    ('outcome', 'outcome', 'true'),
    ('prediction', 'prediction', 'true'),
    ('score', 'prediction', 'num_nonnulls(confidence, value) > 0'),
    ('latency', 'prediction', 'starts_request AND latency_seconds IS NOT NULL');

-- level_column: what the cells of a subject hold beside learned, bucket and series_id.
-- Grain   one row per column. `expression` is what one raw row has or adds; columns that are
--         `summed` hold the sum of it, the others are keys.
-- Units   `n` counts raw rows, a truth that was taken back as -1; confidence is a fraction of 1, latency in seconds, error = predicted - actual.
-- Writer  migrations                   Reader  build_levels, app/rollup, the planner
CREATE TABLE level_column (
    subject    text    NOT NULL REFERENCES subject (name),
    place      integer NOT NULL,
    name       text    NOT NULL,
    type       text    NOT NULL,
    summed     boolean NOT NULL,
    expression text    NOT NULL,
    PRIMARY KEY (subject, place)
);
INSERT INTO level_column VALUES
    ('outcome', 1, 'predicted_label', 'integer', false, 'predicted_label'),
    ('outcome', 2, 'actual_label', 'integer', false, 'actual_label'),
    ('outcome', 3, 'n', 'bigint', true, 'weight'),
    ('outcome', 4, 'sum_error', 'numeric', true,
     'weight * truthline_data.exact(predicted_value - actual_value)'),
    ('outcome', 5, 'sum_absolute_error', 'numeric', true,
     'weight * abs(truthline_data.exact(predicted_value - actual_value))'),
    ('outcome', 6, 'sum_squared_error', 'numeric', true,
     'weight * truthline_data.exact_square(predicted_value - actual_value)'),
    ('outcome', 7, 'sum_actual', 'numeric', true, 'weight * truthline_data.exact(actual_value)'),
    ('outcome', 8, 'sum_squared_actual', 'numeric', true,
     'weight * truthline_data.exact_square(actual_value)'),
    ('outcome', 9, 'n_percentage', 'bigint', true,
     'CASE WHEN abs(actual_value) >= 1e-150 THEN weight END'),
    ('outcome', 10, 'sum_percentage_error', 'numeric', true,
     'weight * truthline_data.percentage_error(predicted_value, actual_value)'),
    ('prediction', 1, 'label_id', 'integer', false, 'label_id'),
    ('prediction', 2, 'n_requests', 'bigint', true, 'starts_request::integer'),
    ('prediction', 3, 'n_failed', 'bigint', true, '(starts_request AND failed)::integer'),
    ('prediction', 4, 'n_label_requests', 'bigint', true, 'starts_label::integer'),
    ('prediction', 5, 'n', 'bigint', true, '1'),
    ('prediction', 6, 'n_confidence', 'bigint', true, 'num_nonnulls(confidence)'),
    ('prediction', 7, 'sum_confidence', 'numeric', true, 'truthline_data.exact(confidence)'),
    ('prediction', 8, 'n_value', 'bigint', true, 'num_nonnulls(value)'),
    ('prediction', 9, 'sum_value', 'numeric', true, 'truthline_data.exact(value)'),
    ('prediction', 10, 'n_latency', 'bigint', true,
     '(starts_request AND latency_seconds IS NOT NULL)::integer'),
    ('prediction', 11, 'sum_latency', 'numeric', true,
     'CASE WHEN starts_request THEN truthline_data.exact(latency_seconds) END'),
    ('prediction', 12, 'n_output_latency', 'bigint', true, 'num_nonnulls(latency_seconds)'),
    ('prediction', 13, 'sum_output_latency', 'numeric', true,
     'truthline_data.exact(latency_seconds)'),
    ('score', 1, 'label_id', 'integer', false, 'label_id'),
    ('score', 2, 'bin', 'integer', false,
     'coalesce(truthline_data.confidence_bin(confidence), truthline_data.value_bin(value))'),
    ('score', 3, 'n', 'bigint', true, '1'),
    ('latency', 1, 'bin', 'integer', false, 'truthline_data.value_bin(latency_seconds)'),
    ('latency', 2, 'n', 'bigint', true, '1');

-- level: which levels there are, and how far those that we fold ourselves are folded.
-- Grain    one row per level, in the order in which they are brought up to date: each is made
--          from `source`, the raw table or a finer level.
-- Writer   migrations; app/rollup/fold.py moves `learned_until` in the transaction that folds
-- Reader   truthline.clean_until, the planner, app/rollup
CREATE TABLE level (
    place         integer     PRIMARY KEY,
    name          text        NOT NULL UNIQUE,
    subject       text        NOT NULL REFERENCES subject (name),
    event_width   interval    NOT NULL,
    learned_width interval    NOT NULL,
    source        text        NOT NULL,
    kept_by       text        NOT NULL DEFAULT 'fold' CHECK (kept_by IN ('fold', 'timescaledb')),
    learned_until timestamptz NOT NULL DEFAULT '-infinity'
);
-- Predictions are learned as they are made, so learned days would hold what learned hours do;
-- a minute's cells are as many as a minute's rows. docs/decisions/0003 has the measurements.
INSERT INTO level (place, name, subject, event_width, learned_width, source) VALUES
    (1, 'outcome_5m_1h', 'outcome', '5 minutes', '1 hour', 'outcome'),
    (2, 'outcome_1h_1h', 'outcome', '1 hour', '1 hour', 'outcome_5m_1h'),
    (3, 'outcome_5m_1d', 'outcome', '5 minutes', '1 day', 'outcome_5m_1h'),
    (4, 'outcome_1h_1d', 'outcome', '1 hour', '1 day', 'outcome_1h_1h'),
    (5, 'outcome_1d_1d', 'outcome', '1 day', '1 day', 'outcome_1h_1d'),
    (6, 'outcome_1h_1mo', 'outcome', '1 hour', '1 month', 'outcome_1h_1d'),
    (7, 'outcome_1d_1mo', 'outcome', '1 day', '1 month', 'outcome_1d_1d'),
    (8, 'prediction_5m_1h', 'prediction', '5 minutes', '1 hour', 'prediction'),
    (9, 'prediction_1h_1h', 'prediction', '1 hour', '1 hour', 'prediction_5m_1h'),
    (10, 'prediction_1d_1d', 'prediction', '1 day', '1 day', 'prediction_1h_1h'),
    (11, 'score_1h_1h', 'score', '1 hour', '1 hour', 'prediction'),
    (12, 'score_1d_1d', 'score', '1 day', '1 day', 'score_1h_1h'),
    (13, 'latency_1h_1h', 'latency', '1 hour', '1 hour', 'prediction'),
    (14, 'latency_1d_1d', 'latency', '1 day', '1 day', 'latency_1h_1h');

-- retention: from when on each table still has its rows.
-- Grain    one row per raw table or level of which something was dropped.
-- Writer   app/rollup/retention.py, in the transaction that drops
-- Reader   the planner, truthline.clean_until
CREATE TABLE retention (
    relation text        PRIMARY KEY,
    since    timestamptz NOT NULL
);

-- Keys are forgotten by age, when their truths are no longer waited for; they lie in about that
-- order.
CREATE INDEX prediction_key_time ON prediction_key USING brin (time) WITH (pages_per_range = 32);

-- level_query: the cells of a level out of its source, as the text of a query.
-- `relation` is what to read, `learned` the expression of the learned span over {at}, and
-- `picked` says which rows.
CREATE FUNCTION level_query(level level, relation text, learned text, picked text DEFAULT 'true')
RETURNS text LANGUAGE sql STABLE SET search_path = truthline_data, pg_catalog AS $function$
    SELECT format(
        'SELECT %s AS learned, %s AS bucket, series_id, %s, %s FROM %s WHERE %s AND %s GROUP BY %s',
        replace(learned, '{at}', from_raw.clock),
        format('date_bin(%L::interval, %I, TIMESTAMPTZ ''2000-01-03 00:00:00+00'')',
               level.event_width, CASE WHEN from_raw.yes THEN 'time' ELSE 'bucket' END),
        string_agg(format('%s AS %I', CASE WHEN from_raw.yes THEN expression ELSE c.name END, c.name),
                   ', ' ORDER BY c.place) FILTER (WHERE NOT summed),
        string_agg(format('sum(%s)::%s AS %I',
                          CASE WHEN from_raw.yes THEN expression ELSE c.name END, type, c.name),
                   ', ' ORDER BY c.place) FILTER (WHERE summed),
        relation,
        CASE WHEN from_raw.yes THEN subject.condition ELSE 'true' END,
        replace(picked, '{at}', from_raw.clock),
        (SELECT string_agg(n::text, ', ')
         FROM generate_series(1, 3 + count(*) FILTER (WHERE NOT summed)) AS n)
    )
    FROM subject
    JOIN level_column AS c ON c.subject = subject.name
    CROSS JOIN LATERAL (
        SELECT level.source = subject.source,
               CASE WHEN level.source = subject.source THEN 'received_at' ELSE 'learned' END
    ) AS from_raw (yes, clock)
    WHERE subject.name = level.subject
    GROUP BY subject.name, from_raw.yes, from_raw.clock
$function$;

-- keep_backdated: count a row that was received before what is folded already.
--
-- Why     rows are stamped by the database, but plain SQL may say otherwise, and a server's
--         clock may be set back. The cell is one more at the end of each level that is past it.
--         The share lock makes it meet a fold before or after it, never within.
-- Cost    none for a row of now: WHEN keeps the trigger from being queued.
CREATE FUNCTION keep_backdated() RETURNS trigger LANGUAGE plpgsql
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

-- build_levels: make every level that isn't there, as this edition keeps them.
--
-- Continuous aggregates are materialized_only: the planner adds the newest rows itself. Their
-- refreshes look at all that was learned, but work only through what changed; app/rollup holds
-- their start above what was dropped from the source, for a refresh there would erase it.
CREATE PROCEDURE build_levels() LANGUAGE plpgsql
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

-- build_aggregate: one level as a continuous aggregate with its policy. Chunks are larger the
-- fewer cells there are in a span, so that an old day's question opens few of them. Policies run
-- one after the other, each after that of its source: all at once they would want more background
-- workers than most servers have.
CREATE PROCEDURE build_aggregate(one level) LANGUAGE plpgsql
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

-- drop_levels: the reverse. Levels hold nothing that the raw rows don't, unless those are dropped.
CREATE PROCEDURE drop_levels() LANGUAGE plpgsql
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

CALL build_levels();
