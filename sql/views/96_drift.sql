-- Drift and what changed, by name. Sides are those of truthline.compare: side B is of the model, namespace
-- and pipeline of side A, unless another is named. Side A is the reference.

-- asked_of_drift: the sides that names and windows stand for; each bucket of side B is one by itself.
-- Errors   those of series_of; invalid_parameter_value: an unknown quantity or statistic.
CREATE OR REPLACE FUNCTION truthline_internal.asked_of_drift(
    workspace text, model text, quantity text, a_start_time timestamptz, a_end_time timestamptz,
    b_start_time timestamptz, b_end_time timestamptz, width interval, a_version text, b_version text,
    a_deployment text, b_deployment text, namespace text, pipeline text, b_model text, b_namespace text,
    b_pipeline text, a_tags jsonb, b_tags jsonb, origin timestamptz, zone text, statistics text[],
    OUT a_series integer[], OUT a_edges timestamptz[], OUT b_series integer[], OUT b_edges timestamptz[]
) LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    IF quantity NOT IN ('predicted_label', 'actual_label', 'confidence', 'value', 'latency') THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'quantity %L is none of predicted_label, actual_label, confidence, value and latency', quantity);
    ELSIF NOT statistics <@ '{psi,jensen_shannon,hellinger,total_variation,chi_squared,ks,wasserstein}' THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'of %s, some are none of psi, jensen_shannon, hellinger, total_variation, chi_squared, ks and'
            ' wasserstein', array_to_string(statistics, ', '));
    END IF;
    SELECT asked.series, asked.edges INTO a_series, a_edges FROM truthline_internal.asked(
        workspace, model, a_version, a_deployment, namespace, pipeline, a_start_time, a_end_time, NULL,
        NULL, 'UTC', a_tags) AS asked;
    SELECT asked.series, asked.edges INTO b_series, b_edges FROM truthline_internal.asked(
        workspace, coalesce(b_model, model), b_version, b_deployment, coalesce(b_namespace, namespace),
        coalesce(b_pipeline, pipeline), b_start_time, b_end_time, width, origin, zone, b_tags) AS asked;
END
$function$;
COMMENT ON FUNCTION truthline_internal.asked_of_drift(text, text, text, timestamptz, timestamptz, timestamptz, timestamptz, interval, text, text, text, text, text, text, text, text, text, jsonb, jsonb, timestamptz, text, text[]) IS
    'The series and edges of both sides that names and windows stand for.';

-- drift: how far an output or truth has drifted from the reference, per bucket of side B.
--
-- Grain    one row per bucket and statistic; numbers have all, labels the first five of part_statistics.
-- Units    those of drift by id (79_drift.sql): `noise` is the value expected without drift.
CREATE OR REPLACE FUNCTION truthline.drift(
    workspace text, model text, quantity text, a_start_time timestamptz, a_end_time timestamptz,
    b_start_time timestamptz, b_end_time timestamptz, width interval DEFAULT NULL,
    a_version text DEFAULT NULL, b_version text DEFAULT NULL,
    a_deployment text DEFAULT NULL, b_deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL,
    b_model text DEFAULT NULL, b_namespace text DEFAULT NULL, b_pipeline text DEFAULT NULL,
    a_as_of timestamptz DEFAULT 'infinity', b_as_of timestamptz DEFAULT 'infinity',
    statistics text[] DEFAULT NULL, a_tags jsonb DEFAULT NULL, b_tags jsonb DEFAULT NULL,
    origin timestamptz DEFAULT NULL, zone text DEFAULT 'UTC'
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, statistic text, value float8, noise float8,
    p_value float8, a_n bigint, b_n bigint
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT grid.bucket_start, grid.bucket_end, s.statistic, s.value, s.noise, s.p_value, d.a_n, d.b_n
    FROM truthline_internal.asked_of_drift(
        workspace, model, quantity, a_start_time, a_end_time, b_start_time, b_end_time, width,
        a_version, b_version, a_deployment, b_deployment, namespace, pipeline, b_model, b_namespace,
        b_pipeline, a_tags, b_tags, origin, zone, statistics) AS asked
    CROSS JOIN LATERAL truthline_internal.drift(
        quantity, asked.a_series, asked.a_edges, a_as_of, asked.b_series, asked.b_edges, b_as_of,
        statistics) AS d
    JOIN LATERAL truthline_internal.buckets_of(asked.b_edges) AS grid USING (place)
    CROSS JOIN LATERAL unnest(d.statistics, d."values", d.noises, d.p_values) WITH ORDINALITY
        AS s (statistic, value, noise, p_value, nth)
    ORDER BY grid.place, s.nth
$$;
COMMENT ON FUNCTION truthline.drift(text, text, text, timestamptz, timestamptz, timestamptz, timestamptz, interval, text, text, text, text, text, text, text, text, text, timestamptz, timestamptz, text[], jsonb, jsonb, timestamptz, text) IS
    'How far labels, confidences, values or latencies have drifted from a reference, per bucket.';

-- drift_parts: how many of each label, or in each part of the range of numbers, both sides have.
--
-- Grain    one row per bucket and part: a label, or the numbers from `lower` to below `upper`, NULL at both
--          ends of the range.
CREATE OR REPLACE FUNCTION truthline.drift_parts(
    workspace text, model text, quantity text, a_start_time timestamptz, a_end_time timestamptz,
    b_start_time timestamptz, b_end_time timestamptz, width interval DEFAULT NULL,
    a_version text DEFAULT NULL, b_version text DEFAULT NULL,
    a_deployment text DEFAULT NULL, b_deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL,
    b_model text DEFAULT NULL, b_namespace text DEFAULT NULL, b_pipeline text DEFAULT NULL,
    a_as_of timestamptz DEFAULT 'infinity', b_as_of timestamptz DEFAULT 'infinity',
    a_tags jsonb DEFAULT NULL, b_tags jsonb DEFAULT NULL,
    origin timestamptz DEFAULT NULL, zone text DEFAULT 'UTC'
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, label text, lower float8, upper float8, a bigint,
    b bigint
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT grid.bucket_start, grid.bucket_end, label.name, part.lower, part.upper, part.a, part.b
    FROM truthline_internal.asked_of_drift(
        workspace, model, quantity, a_start_time, a_end_time, b_start_time, b_end_time, width,
        a_version, b_version, a_deployment, b_deployment, namespace, pipeline, b_model, b_namespace,
        b_pipeline, a_tags, b_tags, origin, zone, NULL) AS asked
    CROSS JOIN LATERAL truthline_internal.drift_parts(
        quantity, asked.a_series, asked.a_edges, a_as_of, asked.b_series, asked.b_edges, b_as_of,
        '{}') AS d
    JOIN LATERAL truthline_internal.buckets_of(asked.b_edges) AS grid USING (place)
    CROSS JOIN LATERAL unnest(d.labels, d.lower, d.upper, d.a, d.b) WITH ORDINALITY
        AS part (label, lower, upper, a, b, nth)
    LEFT JOIN truthline_data.label ON label.id = part.label
    ORDER BY grid.place, label.name COLLATE "C", part.nth
$$;
COMMENT ON FUNCTION truthline.drift_parts(text, text, text, timestamptz, timestamptz, timestamptz, timestamptz, interval, text, text, text, text, text, text, text, text, text, timestamptz, timestamptz, jsonb, jsonb, timestamptz, text) IS
    'How many labels or numbers of each part both sides of a drift have, per bucket.';

-- changes: which parts of the predictions the difference of a metric comes from.
--
-- Grain    one row per division and part, in the order of changes by id (79_changes.sql); none if a side is
--          empty, or if nothing divides the predictions.
-- Errors   those of series_of; invalid_parameter_value: the metric is unknown, or no mean.
CREATE OR REPLACE FUNCTION truthline.changes(
    workspace text, model text, metric text, a_start_time timestamptz, a_end_time timestamptz,
    b_start_time timestamptz, b_end_time timestamptz,
    a_version text DEFAULT NULL, b_version text DEFAULT NULL,
    a_deployment text DEFAULT NULL, b_deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL,
    b_model text DEFAULT NULL, b_namespace text DEFAULT NULL, b_pipeline text DEFAULT NULL,
    a_as_of timestamptz DEFAULT 'infinity', b_as_of timestamptz DEFAULT 'infinity',
    a_tags jsonb DEFAULT NULL, b_tags jsonb DEFAULT NULL
) RETURNS TABLE (
    division text, key text, value text, a float8, b float8, a_n bigint, b_n bigint, rate_effect float8,
    mix_effect float8, effect float8, change float8
) LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $function$
BEGIN
    IF metric NOT IN ('accuracy', 'mean_absolute_error', 'mean_squared_error', 'mean_error', 'error_rate',
                      'mean_confidence', 'mean_value', 'mean_latency') THEN
        RAISE invalid_parameter_value USING MESSAGE = format('metric %L is no mean of predictions', metric);
    END IF;
    RETURN QUERY
    SELECT c.division, c.key, c.value, c.a, c.b, c.a_n, c.b_n, c.rate_effect, c.mix_effect, c.effect,
           c.change
    FROM truthline_internal.asked_of_drift(
        workspace, model, 'value', a_start_time, a_end_time, b_start_time, b_end_time, NULL,
        a_version, b_version, a_deployment, b_deployment, namespace, pipeline, b_model, b_namespace,
        b_pipeline, a_tags, b_tags, NULL, 'UTC', NULL) AS asked
    CROSS JOIN LATERAL truthline_internal.changes(
        metric, asked.a_series, asked.a_edges, a_as_of, asked.b_series, asked.b_edges, b_as_of) AS c
    WHERE c.division IS NOT NULL;
END
$function$;
COMMENT ON FUNCTION truthline.changes(text, text, text, timestamptz, timestamptz, timestamptz, timestamptz, text, text, text, text, text, text, text, text, text, timestamptz, timestamptz, jsonb, jsonb) IS
    'Which parts of the predictions the difference of a metric between two sides comes from.';
