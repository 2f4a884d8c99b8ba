-- corrected_accuracy: accuracy corrected for which predictions got a truth, per bucket.
--
-- Units    those by id; `low` and `high` bound the confidence interval of the corrected accuracy, NULL
--          without `confidence`.
CREATE OR REPLACE FUNCTION truthline.corrected_accuracy(
    workspace text, model text, start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity', confidence float8 DEFAULT NULL,
    tags jsonb DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n_predictions bigint, n bigint,
    accuracy float8, corrected float8, covered float8, corrected_low float8, corrected_high float8
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.bucket_start, c.bucket_end, c.n_predictions, c.n, c.accuracy, c.corrected, c.covered,
           bounds.low, bounds.high
    FROM truthline_internal.asked(
        workspace, model, version, deployment, namespace, pipeline, start_time, end_time, width, origin,
        zone, tags) AS asked
    CROSS JOIN LATERAL truthline_internal.corrected_accuracy(asked.series, asked.edges, as_of) AS c
    CROSS JOIN LATERAL truthline_internal.corrected_interval(
        c.corrected, c.standard_error, c.n, truthline_internal.normal_quantile(confidence)) AS bounds
    ORDER BY c.bucket_start
$$;
COMMENT ON FUNCTION truthline.corrected_accuracy(text, text, timestamptz, timestamptz, interval, text, text, text, text, timestamptz, text, timestamptz, float8, jsonb) IS
    'Accuracy of a classifier corrected for which predictions got a truth, per bucket.';
