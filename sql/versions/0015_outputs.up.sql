-- What a failed request came with is no output, truths are kept to their last binary digit, and no
-- double makes a sum fail.
--
-- A request that failed was counted in the class it named, and its latency among those of outputs.
-- Truths were added up as their shortest decimals, which are as much as half of the last digit away
-- from the doubles: at an offset of a billion R2 had seven digits left.
SET LOCAL search_path = truthline_data, truthline, public;

-- every_digit: a double as the decimal that it is, with all its binary digits down to 2^-104. From
-- 2^53 on, and below 2^-52, it is as `exact` has it.
-- Why      R2 is made of what is left when the mean is taken away. What is added up for itself is
--          taken as `exact` has it, where 0.1 and 0.2 make 0.3.
CREATE FUNCTION every_digit(number float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN abs(number) >= 9007199254740992 OR abs(number) < 2.220446049250313e-16
            THEN truthline_data.exact(number)
        WHEN number = trunc(number) THEN number::bigint
        WHEN abs(number) >= 1
            THEN trunc(number)::bigint
                + ((number - trunc(number)) * 4503599627370496)::bigint
                    * 2.220446049250313080847263336181640625e-16
        ELSE trunc(number * 4503599627370496)::bigint * 2.220446049250313080847263336181640625e-16
            + ((number * 4503599627370496 - trunc(number * 4503599627370496))
               * 4503599627370496)::bigint
                * 4.930380657631323783823303533017413935457540219431393779814243316650390625e-32 END
$$;
CREATE FUNCTION every_digit_squared(number float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT truthline_data.every_digit(number) * truthline_data.every_digit(number)
$$;
-- error_of: predicted - actual, also where that is no double. Below 1e-150 it counts as 0.
CREATE FUNCTION error_of(predicted float8, actual float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN (abs(predicted) > 8e307 OR abs(actual) > 8e307) AND sign(predicted) <> sign(actual)
                THEN truthline_data.exact(predicted) - truthline_data.exact(actual)
                ELSE truthline_data.exact(predicted - actual) END
$$;
CREATE FUNCTION error_squared(predicted float8, actual float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT truthline_data.error_of(predicted, actual) * truthline_data.error_of(predicted, actual)
$$;
CREATE OR REPLACE FUNCTION percentage_error(predicted float8, actual float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN abs(actual) >= 1e-150
                THEN CASE WHEN abs(predicted) > 1e150 OR abs(actual) > 1e150
                          THEN abs(truthline_data.error_of(predicted, actual)
                                   / truthline_data.exact(actual))
                          ELSE truthline_data.exact(abs((predicted - actual) / actual)) END END
$$;

UPDATE level_column AS c SET expression = v.expression FROM (VALUES
    ('outcome', 'sum_error', 'weight * truthline_data.error_of(predicted_value, actual_value)'),
    ('outcome', 'sum_absolute_error',
     'weight * abs(truthline_data.error_of(predicted_value, actual_value))'),
    ('outcome', 'sum_squared_error',
     'weight * truthline_data.error_squared(predicted_value, actual_value)'),
    ('outcome', 'sum_actual', 'weight * truthline_data.every_digit(actual_value)'),
    ('outcome', 'sum_squared_actual', 'weight * truthline_data.every_digit_squared(actual_value)'),
    ('prediction', 'label_id', 'CASE WHEN NOT failed THEN label_id END'),
    ('prediction', 'n_label_requests', '(starts_label AND NOT failed)::integer'),
    ('prediction', 'n_confidence', 'CASE WHEN failed THEN 0 ELSE num_nonnulls(confidence) END'),
    ('prediction', 'sum_confidence', 'CASE WHEN NOT failed THEN truthline_data.exact(confidence) END'),
    ('prediction', 'n_value', 'CASE WHEN failed THEN 0 ELSE num_nonnulls(value) END'),
    ('prediction', 'sum_value', 'CASE WHEN NOT failed THEN truthline_data.exact(value) END'),
    ('prediction', 'n_output_latency',
     'CASE WHEN failed THEN 0 ELSE num_nonnulls(latency_seconds) END'),
    ('prediction', 'sum_output_latency',
     'CASE WHEN NOT failed THEN truthline_data.exact(latency_seconds) END')
) AS v (subject, name, expression)
WHERE c.subject = v.subject AND c.name = v.name;
UPDATE subject SET condition = 'NOT failed AND num_nonnulls(confidence, value) > 0'
WHERE name = 'score';

-- rebuild_levels: the levels of some subjects anew, from what their sources have.
--
-- Kept     cells of which the source was dropped, as they are: nothing is left to count them from.
--          A level is then clean up to there. Retention drops whole days, and what it drops is
--          never the source of spans longer than a day.
CREATE PROCEDURE rebuild_levels(subjects text[]) LANGUAGE plpgsql
SET search_path = truthline_data, public AS $procedure$
DECLARE
    one level;
    since timestamptz;
BEGIN
    CREATE TEMPORARY TABLE kept_level (name text, relation text, start_offset jsonb) ON COMMIT DROP;
    FOR one IN SELECT * FROM level WHERE subject = ANY (subjects) ORDER BY place DESC LOOP
        since := coalesce((SELECT max(r.since) FROM retention AS r
                           WHERE r.relation IN (one.source, one.name)), '-infinity');
        IF one.kept_by = 'fold' THEN
            EXECUTE format('DELETE FROM %I WHERE learned >= %L', one.name, since);
            UPDATE level SET learned_until = since WHERE name = one.name;
        ELSE
            CALL set_aside(one, since);
        END IF;
    END LOOP;
    CALL build_levels();
    FOR one IN SELECT level.* FROM level JOIN kept_level USING (name) LOOP
        CALL put_back(one.name);
    END LOOP;
    DROP TABLE kept_level;
END
$procedure$;

-- set_aside: note the cells of an aggregate that were learned before an instant, and drop it.
-- Why      TimescaleDB can't change what an aggregate is made of.
CREATE PROCEDURE set_aside(one level, since timestamptz) LANGUAGE plpgsql
SET search_path = truthline_data, public AS $procedure$
BEGIN
    EXECUTE format('CREATE TEMPORARY TABLE %I ON COMMIT DROP AS SELECT * FROM %I WHERE learned < %L',
                   'kept_' || one.name, one.name, since);
    INSERT INTO kept_level
    SELECT one.name, 'kept_' || one.name, job.config -> 'start_offset'
    FROM _timescaledb_catalog.continuous_agg AS agg
    LEFT JOIN _timescaledb_config.bgw_job AS job
        ON (job.config ->> 'mat_hypertable_id')::integer = agg.mat_hypertable_id
        AND job.proc_name = 'policy_refresh_continuous_aggregate'
    WHERE agg.user_view_schema = 'truthline_data' AND agg.user_view_name = one.name;
    EXECUTE format('DROP MATERIALIZED VIEW %I', one.name);
    UPDATE level SET kept_by = 'fold', learned_until = '-infinity' WHERE name = one.name;
END
$procedure$;

-- put_back: those cells into the aggregate that was made anew.
-- Why      its policy must look no further back than the one before, or would erase them.
CREATE PROCEDURE put_back(level_name text) LANGUAGE plpgsql
SET search_path = truthline_data, public AS $procedure$
DECLARE
    kept record;
BEGIN
    SELECT kept_level.*, agg.mat_hypertable_id AS id, cells.schema_name, cells.table_name
    INTO STRICT kept
    FROM kept_level
    JOIN _timescaledb_catalog.continuous_agg AS agg
        ON agg.user_view_schema = 'truthline_data' AND agg.user_view_name = kept_level.name
    JOIN _timescaledb_catalog.hypertable AS cells ON cells.id = agg.mat_hypertable_id
    WHERE kept_level.name = level_name;
    EXECUTE (
        SELECT format('INSERT INTO %1$I.%2$I (%3$s) SELECT %3$s FROM %4$I', kept.schema_name,
                      kept.table_name, string_agg(quote_ident(attname), ', '), kept.relation)
        FROM pg_attribute WHERE attrelid = kept.relation::regclass AND attnum > 0);
    EXECUTE format('DROP TABLE %I', kept.relation);
    PERFORM public.alter_job(job.id, config => job.config
                                 || jsonb_build_object('start_offset', kept.start_offset))
    FROM _timescaledb_config.bgw_job AS job
    WHERE job.proc_name = 'policy_refresh_continuous_aggregate' AND kept.start_offset IS NOT NULL
      AND (job.config ->> 'mat_hypertable_id')::integer = kept.id;
END
$procedure$;

CALL rebuild_levels('{outcome,prediction,score}');
