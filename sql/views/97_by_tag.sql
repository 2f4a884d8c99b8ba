-- Metrics by name, for each value of a tag.
--
-- They are those of 96_named.sql, with columns before them that say which part of the predictions a row is
-- about: as in parts_by_tag, `value` is a value of the tag `key`, NULL for predictions without it. The
-- `most` largest values have parts of their own. The part of all others has `is_rest`, and n_values says how
-- many they are; additive numbers of all parts add up to those of the whole.
-- Access   as those of 96_named.sql.

-- classification_metrics_by_tag: accuracy and averages over classes, per value and bucket.
CREATE OR REPLACE FUNCTION truthline.classification_metrics_by_tag(
    workspace text, model text, key text, start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity', average text DEFAULT 'macro',
    tags jsonb DEFAULT NULL, most integer DEFAULT 10
) RETURNS TABLE (
    value text, is_rest boolean, n_values bigint,
    bucket_start timestamptz, bucket_end timestamptz, n bigint, accuracy float8,
    "precision" float8, recall float8, specificity float8, f1 float8, harmonic_f1 float8,
    matthews_correlation float8
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT part.value, part.is_rest, part.n_values, grid.bucket_start, grid.bucket_end,
           m.n, m.accuracy, m."precision", m.recall, m.specificity, m.f1, m.harmonic_f1,
           m.matthews_correlation
    FROM truthline_internal.asked(
        workspace, model, version, deployment, namespace, pipeline, start_time, end_time, width, origin,
        zone, tags) AS asked
    CROSS JOIN LATERAL truthline_internal.parts_by_tag(
        asked.series, asked.edges, as_of, key, most) AS part
    CROSS JOIN LATERAL truthline_internal.classification_metrics(
        part.part_series, part.truths_edges, part.truths_as_of,
        truthline_internal.declared_classes(
            truthline.model_id(workspace, model, namespace, pipeline)), average)
        WITH ORDINALITY AS m
    JOIN LATERAL truthline_internal.buckets_of(asked.edges) AS grid ON grid.place = m.ordinality
    ORDER BY part.place, grid.place
$$;
COMMENT ON FUNCTION truthline.classification_metrics_by_tag(text, text, text, timestamptz, timestamptz, interval, text, text, text, text, timestamptz, text, timestamptz, text, jsonb, integer) IS
    'Accuracy, precision, recall, specificity and F1 of a model per value of a tag and bucket.';

-- regression_metrics_by_tag: how far predictions were from their truths, per value and bucket.
CREATE OR REPLACE FUNCTION truthline.regression_metrics_by_tag(
    workspace text, model text, key text, start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity',
    tags jsonb DEFAULT NULL, most integer DEFAULT 10
) RETURNS TABLE (
    value text, is_rest boolean, n_values bigint,
    bucket_start timestamptz, bucket_end timestamptz, n bigint,
    mean_absolute_error float8, mean_squared_error float8, root_mean_squared_error float8,
    mean_error float8, r2 float8, mean_absolute_percentage_error float8
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT part.value, part.is_rest, part.n_values, grid.bucket_start, grid.bucket_end,
           m.n, m.mean_absolute_error, m.mean_squared_error, m.root_mean_squared_error,
           m.mean_error, m.r2, m.mean_absolute_percentage_error
    FROM truthline_internal.asked(
        workspace, model, version, deployment, namespace, pipeline, start_time, end_time, width, origin,
        zone, tags) AS asked
    CROSS JOIN LATERAL truthline_internal.parts_by_tag(
        asked.series, asked.edges, as_of, key, most) AS part
    CROSS JOIN LATERAL truthline_internal.regression_metrics(
        part.part_series, part.truths_edges, part.truths_as_of)
        WITH ORDINALITY AS m
    JOIN LATERAL truthline_internal.buckets_of(asked.edges) AS grid ON grid.place = m.ordinality
    ORDER BY part.place, grid.place
$$;
COMMENT ON FUNCTION truthline.regression_metrics_by_tag(text, text, text, timestamptz, timestamptz, interval, text, text, text, text, timestamptz, text, timestamptz, jsonb, integer) IS
    'Errors, R2 and MAPE of a model per value of a tag and bucket.';

-- prediction_volume_by_tag: requests and their latencies, per value and bucket.
CREATE OR REPLACE FUNCTION truthline.prediction_volume_by_tag(
    workspace text, model text, key text, start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity',
    tags jsonb DEFAULT NULL, most integer DEFAULT 10
) RETURNS TABLE (
    value text, is_rest boolean, n_values bigint,
    bucket_start timestamptz, bucket_end timestamptz, n bigint, n_failed bigint,
    mean_latency float8
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT part.value, part.is_rest, part.n_values, grid.bucket_start, grid.bucket_end,
           m.n, m.n_failed, truthline_internal.mean(m.sum_latency, m.n_latency)
    FROM truthline_internal.asked(
        workspace, model, version, deployment, namespace, pipeline, start_time, end_time, width, origin,
        zone, tags) AS asked
    CROSS JOIN LATERAL truthline_internal.parts_by_tag(
        asked.series, asked.edges, as_of, key, most) AS part
    CROSS JOIN LATERAL truthline_internal.prediction_volume(
        part.part_series, part.requests_edges, part.requests_as_of)
        WITH ORDINALITY AS m
    JOIN LATERAL truthline_internal.buckets_of(asked.edges) AS grid ON grid.place = m.ordinality
    ORDER BY part.place, grid.place
$$;
COMMENT ON FUNCTION truthline.prediction_volume_by_tag(text, text, text, timestamptz, timestamptz, interval, text, text, text, text, timestamptz, text, timestamptz, jsonb, integer) IS
    'Successful and failed requests of a model, and their mean latency, per value of a tag and bucket.';

-- inference_totals_by_tag: inferences of a workspace and of the preceding window, per value.
CREATE OR REPLACE FUNCTION truthline.inference_totals_by_tag(
    workspace text, key text, start_time timestamptz, end_time timestamptz,
    models text[] DEFAULT NULL, field text DEFAULT NULL, field_text text DEFAULT NULL,
    tags jsonb DEFAULT NULL, most integer DEFAULT 10
) RETURNS TABLE (
    value text, is_rest boolean, n_values bigint,
    n_inferences bigint, prev_n_inferences bigint, n_errors bigint, prev_n_errors bigint,
    confidence float8, prev_confidence float8, latency float8, prev_latency float8
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT t.value, t.is_rest, t.n_values, t.n_inferences, t.prev_n_inferences, t.n_errors,
           t.prev_n_errors, t.confidence, t.prev_confidence, t.latency, t.prev_latency
    FROM truthline_internal.inference_totals_by_tag(
        truthline.workspace_id(workspace), start_time, end_time, key, most, models, field, field_text,
        tags) AS t
    ORDER BY t.place
$$;
COMMENT ON FUNCTION truthline.inference_totals_by_tag(text, text, timestamptz, timestamptz, text[], text, text, jsonb, integer) IS
    'Inferences, confidences and latencies of a workspace per value of a tag, compared with the preceding window.';
