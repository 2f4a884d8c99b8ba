-- Metrics by name: the functions that analysts and dashboards call.
--
-- Each calls one of the functions by id, with the series or the workspace that the names stand for: see
-- its header for grain, units and formula. Labels are names here. A model has its name within its
-- workspace; version, deployment, namespace and pipeline are not restricted if they are NULL.
-- Access   they run with the privileges of their owner, and name the workspace through workspace_id or
--          series_of, which raise an error if the caller can't see it.

-- asked: the series and the edges of buckets that names and a window stand for.
-- Errors   those of series_of.
-- Why      functions by name take the parts of a window, those by id the edges: this is the one place
--          that converts the former to the latter.
CREATE OR REPLACE FUNCTION truthline_internal.asked(
    workspace text, model text, version text, deployment text, namespace text, pipeline text,
    start_time timestamptz, end_time timestamptz, width interval, origin timestamptz, zone text,
    tags jsonb, OUT series integer[], OUT edges timestamptz[]
) LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS $$
    SELECT truthline.series_of(workspace, model, version, deployment, namespace, pipeline, tags),
           truthline_internal.edges(start_time, end_time, width, origin, zone)
$$;
COMMENT ON FUNCTION truthline_internal.asked(text, text, text, text, text, text, timestamptz, timestamptz, interval, timestamptz, text, jsonb) IS
    'The series and the edges of buckets that names and a window stand for.';

-- classification_metrics: accuracy and averages over classes, per bucket.
--
-- Units    with a `confidence`, columns that end in `_low` and `_high` are the bounds of confidence
--          intervals; NULL without, and if undefined (06_intervals.sql).
CREATE OR REPLACE FUNCTION truthline.classification_metrics(
    workspace text, model text, start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity', average text DEFAULT 'macro',
    confidence float8 DEFAULT NULL, tags jsonb DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint, accuracy float8,
    "precision" float8, recall float8, specificity float8, f1 float8, harmonic_f1 float8,
    matthews_correlation float8, accuracy_low float8, accuracy_high float8, precision_low float8,
    precision_high float8, recall_low float8, recall_high float8, specificity_low float8,
    specificity_high float8, f1_low float8, f1_high float8, harmonic_f1_low float8,
    harmonic_f1_high float8, matthews_correlation_low float8, matthews_correlation_high float8
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    WITH metrics AS MATERIALIZED (
        SELECT row_number() OVER (ORDER BY m.bucket_start)::integer AS place, own.declared, m.*
        FROM truthline_internal.asked(
            workspace, model, version, deployment, namespace, pipeline, start_time, end_time, width,
            origin, zone, tags) AS asked
        CROSS JOIN truthline_internal.declared_classes(
            truthline.model_id(workspace, model, namespace, pipeline)) AS own (declared)
        CROSS JOIN LATERAL truthline_internal.classification_metrics(
            asked.series, asked.edges, as_of, own.declared, average) AS m
    )
    SELECT m.bucket_start, m.bucket_end, m.n, m.accuracy, m."precision", m.recall, m.specificity,
           m.f1, m.harmonic_f1, m.matthews_correlation, b.accuracy_low, b.accuracy_high,
           b.precision_low, b.precision_high, b.recall_low, b.recall_high, b.specificity_low,
           b.specificity_high, b.f1_low, b.f1_high, b.harmonic_f1_low, b.harmonic_f1_high,
           b.matthews_correlation_low, b.matthews_correlation_high
    FROM metrics AS m
    LEFT JOIN (
        SELECT bounds.*
        FROM (
            SELECT array_agg(cell.place) AS places, array_agg(cell.predicted) AS predicted,
                   array_agg(cell.actual) AS actual, array_agg(cell.n) AS counts,
                   (SELECT declared FROM metrics LIMIT 1) AS declared
            FROM (SELECT place, unnest(predicted), unnest(actual), unnest(counts) FROM metrics
                  WHERE confidence IS NOT NULL) AS cell (place, predicted, actual, n)
        ) AS cells
        CROSS JOIN LATERAL truthline_internal.classification_bounds(
            cells.places, cells.predicted, cells.actual, cells.counts, cells.declared, average,
            confidence) AS bounds
    ) AS b ON b.place = m.place
    ORDER BY m.place
$$;
COMMENT ON FUNCTION truthline.classification_metrics(text, text, timestamptz, timestamptz, interval, text, text, text, text, timestamptz, text, timestamptz, text, float8, jsonb) IS
    'Accuracy, precision, recall, specificity and F1 of a model per bucket, and their confidence intervals.';

-- class_metrics: one class against all others, per bucket.
--
-- Grain    one row per (bucket, class that occurs in it), ordered by bucket and label; none for a
--          bucket without truths, in which no class occurs.
-- Units    fractions of 1, NULL if a denominator is zero; `support` counts truths of the class. Bounds
--          as in classification_metrics.
CREATE OR REPLACE FUNCTION truthline.class_metrics(
    workspace text, model text, start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity', confidence float8 DEFAULT NULL,
    tags jsonb DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, label text, support bigint,
    "precision" float8, recall float8, f1 float8, precision_low float8, precision_high float8,
    recall_low float8, recall_high float8, f1_low float8, f1_high float8
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT m.bucket_start, m.bucket_end, label.name, class.support, class."precision",
           class.recall, class.f1, class.precision_low, class.precision_high, class.recall_low,
           class.recall_high, class.f1_low, class.f1_high
    FROM truthline_internal.asked(
        workspace, model, version, deployment, namespace, pipeline, start_time, end_time, width, origin,
        zone, tags) AS asked
    CROSS JOIN LATERAL truthline_internal.classification_metrics(asked.series, asked.edges, as_of) AS m
    CROSS JOIN LATERAL (
        SELECT class.*, bounds.*
        FROM unnest(m.classes, m.support, m.class_precision, m.class_recall, m.class_f1)
            AS class (id, support, "precision", recall, f1)
        LEFT JOIN truthline_internal.class_bounds(
            array_fill(1, ARRAY[cardinality(m.counts)]), m.predicted, m.actual, m.counts, confidence
        ) AS bounds ON bounds.class = class.id
    ) AS class
    JOIN truthline_data.label ON label.id = class.id
    ORDER BY m.bucket_start, label.name COLLATE "C"
$$;
COMMENT ON FUNCTION truthline.class_metrics(text, text, timestamptz, timestamptz, interval, text, text, text, text, timestamptz, text, timestamptz, float8, jsonb) IS
    'Precision, recall and F1 of each class of a model per bucket; no row for a bucket without truths.';

-- confusion_matrix: how often each class was predicted for each truth, per bucket.
--
-- Grain    one row per (bucket, actual, predicted) with a count; so none for a bucket without truths,
--          whose matrix has no cells. classification_metrics has a row for it, with `n` 0.
CREATE OR REPLACE FUNCTION truthline.confusion_matrix(
    workspace text, model text, start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity',
    tags jsonb DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, actual text, predicted text, n bigint
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT m.bucket_start, m.bucket_end, actual.name, predicted.name, cell.n
    FROM truthline_internal.asked(
        workspace, model, version, deployment, namespace, pipeline, start_time, end_time, width, origin,
        zone, tags) AS asked
    CROSS JOIN LATERAL truthline_internal.classification_metrics(asked.series, asked.edges, as_of) AS m
    CROSS JOIN LATERAL unnest(m.actual, m.predicted, m.counts) AS cell (actual, predicted, n)
    JOIN truthline_data.label AS actual ON actual.id = cell.actual
    JOIN truthline_data.label AS predicted ON predicted.id = cell.predicted
    ORDER BY m.bucket_start, actual.name COLLATE "C", predicted.name COLLATE "C"
$$;
COMMENT ON FUNCTION truthline.confusion_matrix(text, text, timestamptz, timestamptz, interval, text, text, text, text, timestamptz, text, timestamptz, jsonb) IS
    'Counts of truths per bucket, actual and predicted class; no row for a bucket without truths.';

-- regression_metrics: how far predictions were from their truths, per bucket.
CREATE OR REPLACE FUNCTION truthline.regression_metrics(
    workspace text, model text, start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity', confidence float8 DEFAULT NULL,
    tags jsonb DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint,
    mean_absolute_error float8, mean_squared_error float8, root_mean_squared_error float8,
    mean_error float8, r2 float8, mean_absolute_percentage_error float8,
    mean_absolute_error_low float8, mean_absolute_error_high float8,
    mean_squared_error_low float8, mean_squared_error_high float8,
    root_mean_squared_error_low float8, root_mean_squared_error_high float8,
    mean_error_low float8, mean_error_high float8, r2_low float8, r2_high float8,
    mean_absolute_percentage_error_low float8, mean_absolute_percentage_error_high float8
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT m.*, b.mean_absolute_error_low, b.mean_absolute_error_high, b.mean_squared_error_low,
           b.mean_squared_error_high, b.root_mean_squared_error_low, b.root_mean_squared_error_high,
           b.mean_error_low, b.mean_error_high, b.r2_low, b.r2_high,
           b.mean_absolute_percentage_error_low, b.mean_absolute_percentage_error_high
    FROM truthline_internal.asked(
        workspace, model, version, deployment, namespace, pipeline, start_time, end_time, width, origin,
        zone, tags) AS asked
    CROSS JOIN LATERAL truthline_internal.regression_metrics(asked.series, asked.edges, as_of) AS m
    LEFT JOIN truthline_internal.regression_bounds(asked.series, asked.edges, as_of, confidence) AS b
        ON asked.edges[b.place] = m.bucket_start
    ORDER BY m.bucket_start
$$;
COMMENT ON FUNCTION truthline.regression_metrics(text, text, timestamptz, timestamptz, interval, text, text, text, text, timestamptz, text, timestamptz, float8, jsonb) IS
    'Mean absolute, mean squared, root mean squared and mean error, R2 and MAPE of a model per bucket, and their confidence intervals.';

-- prediction_volume: requests and their latencies, per bucket.
--
-- Units    `n` counts successful requests, n_failed failed ones; mean_latency in seconds, over requests
--          with a reported latency.
CREATE OR REPLACE FUNCTION truthline.prediction_volume(
    workspace text, model text, start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity',
    tags jsonb DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint, n_failed bigint,
    mean_latency float8
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT v.bucket_start, v.bucket_end, v.n, v.n_failed,
           truthline_internal.mean(v.sum_latency, v.n_latency)
    FROM truthline_internal.asked(
        workspace, model, version, deployment, namespace, pipeline, start_time, end_time, width, origin,
        zone, tags) AS asked
    CROSS JOIN LATERAL truthline_internal.prediction_volume(asked.series, asked.edges, as_of) AS v
    ORDER BY v.bucket_start
$$;
COMMENT ON FUNCTION truthline.prediction_volume(text, text, timestamptz, timestamptz, interval, text, text, text, text, timestamptz, text, timestamptz, jsonb) IS
    'Successful and failed requests of a model, and their mean latency, per bucket.';

-- quantiles: exact, interpolated quantiles, per bucket.
--
-- Grain    one row per (bucket, class) that has any number; values and latencies have no class.
-- Units    `measure` is 'confidence' (a fraction of 1), 'value' (the model's own unit) or 'latency'
--          (seconds, per request); quantiles are in the order of `fractions`.
CREATE OR REPLACE FUNCTION truthline.quantiles(
    workspace text, model text, measure text, fractions float8[], start_time timestamptz,
    end_time timestamptz, width interval DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity',
    tags jsonb DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, label text, n bigint, quantiles float8[]
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT grid.bucket_start, grid.bucket_end, label.name, q.n, q.quantiles
    FROM truthline_internal.asked(
        workspace, model, version, deployment, namespace, pipeline, start_time, end_time, width, origin,
        zone, tags) AS asked
    CROSS JOIN LATERAL truthline_internal.quantiles(
        measure, asked.series, asked.edges, as_of, fractions) AS q
    JOIN LATERAL truthline_internal.buckets_of(asked.edges) AS grid USING (place)
    LEFT JOIN truthline_data.label ON label.id = q.label_id
    ORDER BY q.place, label.name COLLATE "C"
$$;
COMMENT ON FUNCTION truthline.quantiles(text, text, text, float8[], timestamptz, timestamptz, interval, text, text, text, text, timestamptz, text, timestamptz, jsonb) IS
    'Exact quantiles of confidences per class, of values or of latencies of a model, per bucket.';

-- inference_stats: both periods, per class.
CREATE OR REPLACE FUNCTION truthline.inference_stats(
    workspace text, start_time timestamptz, end_time timestamptz,
    models text[] DEFAULT NULL, field text DEFAULT NULL, field_text text DEFAULT NULL,
    fractions float8[] DEFAULT '{0.5}', tags jsonb DEFAULT NULL
) RETURNS TABLE (
    namespace text, pipeline text, model text, label text,
    n_inferences bigint, prev_n_inferences bigint, n_outputs bigint, prev_n_outputs bigint,
    n_model_inferences bigint, prev_n_model_inferences bigint,
    confidence float8, prev_confidence float8, latency float8, prev_latency float8,
    quantiles float8[], deployment_types text, server_versions text
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM truthline_internal.inference_stats(
        truthline.workspace_id(workspace), start_time, end_time, models, field, field_text,
        fractions, tags)
$$;
COMMENT ON FUNCTION truthline.inference_stats(text, timestamptz, timestamptz, text[], text, text, float8[], jsonb) IS
    'Inferences, confidences and latencies per model and class, compared with the preceding window.';

-- inference_totals: the same over all models.
CREATE OR REPLACE FUNCTION truthline.inference_totals(
    workspace text, start_time timestamptz, end_time timestamptz,
    models text[] DEFAULT NULL, field text DEFAULT NULL, field_text text DEFAULT NULL,
    tags jsonb DEFAULT NULL
) RETURNS TABLE (
    n_inferences bigint, prev_n_inferences bigint, n_errors bigint, prev_n_errors bigint,
    confidence float8, prev_confidence float8, latency float8, prev_latency float8
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM truthline_internal.inference_totals(
        truthline.workspace_id(workspace), start_time, end_time, models, field, field_text,
        tags)
$$;
COMMENT ON FUNCTION truthline.inference_totals(text, timestamptz, timestamptz, text[], text, text, jsonb) IS
    'Inferences, confidences and latencies of a workspace, compared with the preceding window.';

-- model_stats: the same per model.
CREATE OR REPLACE FUNCTION truthline.model_stats(
    workspace text, start_time timestamptz, end_time timestamptz,
    models text[] DEFAULT NULL, field text DEFAULT NULL, field_text text DEFAULT NULL,
    fractions float8[] DEFAULT '{0.5}', tags jsonb DEFAULT NULL
) RETURNS TABLE (
    namespace text, pipeline text, model text, n_inferences bigint, prev_n_inferences bigint,
    n_errors bigint, prev_n_errors bigint, latency float8, prev_latency float8, quantiles float8[]
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM truthline_internal.model_stats(
        truthline.workspace_id(workspace), start_time, end_time, models, field, field_text,
        fractions, tags)
$$;
COMMENT ON FUNCTION truthline.model_stats(text, timestamptz, timestamptz, text[], text, text, float8[], jsonb) IS
    'Inferences, errors and latencies per model, compared with the preceding window.';

-- models: the models of a workspace.
CREATE OR REPLACE FUNCTION truthline.models(
    workspace text, start_time timestamptz, end_time timestamptz
) RETURNS TABLE (
    namespace text, pipeline text, name text, kind text, versions text[], deployments text[],
    first_seen timestamptz, last_seen timestamptz, n_inferences bigint, n_errors bigint
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM truthline_internal.models(truthline.workspace_id(workspace), start_time, end_time)
$$;
COMMENT ON FUNCTION truthline.models(text, timestamptz, timestamptz) IS
    'The models of a workspace, when they were first and last seen, and their inferences in a window.';

-- step_metric_over_time: one metric of executions, per bucket.
CREATE OR REPLACE FUNCTION truthline.step_metric_over_time(
    workspace text, name text, start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, lists boolean DEFAULT false, pipeline text DEFAULT NULL,
    deployment text DEFAULT NULL, execution text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC'
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint, mean float8, minimum float8,
    maximum float8, last float8
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM truthline_internal.step_metric_over_time(
        truthline.workspace_id(workspace), name, lists, start_time, end_time, width, origin, zone,
        pipeline, deployment, execution)
$$;
COMMENT ON FUNCTION truthline.step_metric_over_time(text, text, timestamptz, timestamptz, interval, boolean, text, text, text, timestamptz, text) IS
    'Count, mean, minimum, maximum and last value of one step metric per bucket.';

-- step_metric_by_execution: one metric, per execution, in the order of first recording.
CREATE OR REPLACE FUNCTION truthline.step_metric_by_execution(
    workspace text, name text, lists boolean DEFAULT false, as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    execution text, pipeline text, deployment text, n bigint, mean float8, minimum float8,
    maximum float8, last float8, first_recorded_at timestamptz, last_recorded_at timestamptz
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT e.execution, e.pipeline, e.deployment, e.n, e.mean, e.minimum, e.maximum, e.last,
           e.first_recorded_at, e.last_recorded_at
    FROM truthline_internal.step_metric_by_execution(
        truthline.workspace_id(workspace), name, lists, as_of) AS e
    ORDER BY e.id
$$;
COMMENT ON FUNCTION truthline.step_metric_by_execution(text, text, boolean, timestamptz) IS
    'Count, mean, minimum, maximum and last value of one step metric per execution.';

-- series_in: the series of a workspace; a NULL does not restrict.
-- Errors   those of workspace_id, and of model_id if a model is named.
CREATE OR REPLACE FUNCTION truthline_internal.series_in(
    workspace text, model text, version text, deployment text, namespace text, pipeline text,
    tags jsonb
) RETURNS integer[] LANGUAGE plpgsql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    ours integer := truthline.workspace_id(workspace);
BEGIN
    IF model IS NOT NULL THEN
        RETURN truthline.series_of(workspace, model, version, deployment, namespace, pipeline, tags);
    END IF;
    RETURN ARRAY(
        SELECT s.id
        FROM truthline_data.model AS m
        JOIN truthline_data.series AS s ON s.model_id = m.id
        WHERE m.workspace_id = ours
          AND m.namespace = coalesce(series_in.namespace, m.namespace)
          AND m.pipeline = coalesce(series_in.pipeline, m.pipeline)
          AND s.version = coalesce(series_in.version, s.version)
          AND s.deployment = coalesce(series_in.deployment, s.deployment)
          AND s.tags @> truthline_internal.certain_tags(series_in.tags)
          AND truthline_internal.has_tags(s.tags, series_in.tags));
END
$function$;
COMMENT ON FUNCTION truthline_internal.series_in(text, text, text, text, text, text, jsonb) IS
    'The series of a workspace, of a model, of a version or of a deployment, or with some tags.';

-- predictions: rows of a workspace, or of a model, within ranges of both clocks.
--
-- Grain    that of the view of the same name, and so are the columns.
-- Cost     that of own_predictions: the ranges limit what is read.
CREATE OR REPLACE FUNCTION truthline.predictions(
    workspace text, start_time timestamptz, end_time timestamptz, model text DEFAULT NULL,
    version text DEFAULT NULL, deployment text DEFAULT NULL, namespace text DEFAULT NULL,
    pipeline text DEFAULT NULL, received_from timestamptz DEFAULT '-infinity',
    received_until timestamptz DEFAULT 'infinity', tags jsonb DEFAULT NULL
) RETURNS SETOF truthline.predictions LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
ROWS 10000 SET search_path = pg_catalog, pg_temp AS $$
    SELECT row.time, row.received_at, s.workspace, s.namespace, s.pipeline, s.model, s.version,
           s.deployment, s.deployment_type, s.server_version, row.request_id, row.batch_index,
           row.label, row.confidence, row.value, row.latency_seconds, row.failed,
           row.starts_request, row.starts_label, s.tags
    FROM truthline_internal.own_predictions(
        truthline_internal.series_in(workspace, model, version, deployment, namespace, pipeline, tags),
        start_time, end_time, received_from, received_until) AS row
    JOIN truthline_internal.own_series() AS s ON s.id = row.series_id
$$;
COMMENT ON FUNCTION truthline.predictions(text, timestamptz, timestamptz, text, text, text, text, text, timestamptz, timestamptz, jsonb) IS
    'Outputs of models of a workspace within ranges of both clocks: one row per output.';

-- outcomes: the same for predictions with their truths.
CREATE OR REPLACE FUNCTION truthline.outcomes(
    workspace text, start_time timestamptz, end_time timestamptz, model text DEFAULT NULL,
    version text DEFAULT NULL, deployment text DEFAULT NULL, namespace text DEFAULT NULL,
    pipeline text DEFAULT NULL, received_from timestamptz DEFAULT '-infinity',
    received_until timestamptz DEFAULT 'infinity', tags jsonb DEFAULT NULL
) RETURNS SETOF truthline.outcomes LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
ROWS 10000 SET search_path = pg_catalog, pg_temp AS $$
    SELECT row.time, row.received_at, s.workspace, s.namespace, s.pipeline, s.model, s.version,
           s.deployment, s.deployment_type, s.server_version, row.request_id, row.batch_index,
           row.predicted_label, row.actual_label, row.predicted_value, row.actual_value, row.weight,
           s.tags
    FROM truthline_internal.own_outcomes(
        truthline_internal.series_in(workspace, model, version, deployment, namespace, pipeline, tags),
        start_time, end_time, received_from, received_until) AS row
    JOIN truthline_internal.own_series() AS s ON s.id = row.series_id
$$;
COMMENT ON FUNCTION truthline.outcomes(text, timestamptz, timestamptz, text, text, text, text, text, timestamptz, timestamptz, jsonb) IS
    'Predictions of a workspace with their truths, within ranges of both clocks.';

-- requests: predictions of a workspace, or of a model, with their truths as known at a moment.
--
-- Grain    that of the view of the same name, and so are the columns.
-- Cost     that of request_rows: the rows of the range.
CREATE OR REPLACE FUNCTION truthline.requests(
    workspace text, start_time timestamptz, end_time timestamptz, model text DEFAULT NULL,
    version text DEFAULT NULL, deployment text DEFAULT NULL, namespace text DEFAULT NULL,
    pipeline text DEFAULT NULL, as_of timestamptz DEFAULT 'infinity', tags jsonb DEFAULT NULL
) RETURNS SETOF truthline.requests LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
ROWS 10000 SET search_path = pg_catalog, pg_temp AS $$
    SELECT row.time, row.received_at, s.workspace, s.namespace, s.pipeline, s.model, s.version,
           s.deployment, s.deployment_type, s.server_version, row.request_id, row.batch_index,
           row.predicted_label, row.actual_label, row.predicted_value, row.actual_value,
           row.confidence, row.latency_seconds, row.failed, row.learned_at, row.n_truths, s.tags
    FROM truthline_internal.own_request_rows(
        truthline_internal.series_in(workspace, model, version, deployment, namespace, pipeline, tags),
        start_time, end_time, as_of) AS row
    JOIN truthline_internal.own_series() AS s ON s.id = row.series_id
$$;
COMMENT ON FUNCTION truthline.requests(text, timestamptz, timestamptz, text, text, text, text, text, timestamptz, jsonb) IS
    'Predictions of a workspace within a range of time, with their truths as known at a moment.';

-- label_id: the id of a class; NULL for NULL, and 0, which no class has, for an unknown one.
CREATE OR REPLACE FUNCTION truthline_internal.label_id(workspace text, label text) RETURNS integer
LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN label IS NOT NULL THEN coalesce(
        (SELECT l.id FROM truthline_data.label AS l
         WHERE l.workspace_id = truthline.workspace_id(label_id.workspace)
           AND l.name = label_id.label), 0) END
$$;
COMMENT ON FUNCTION truthline_internal.label_id(text, text) IS
    'The id of a class of a workspace; 0 if it has none of that name.';

-- newest_requests: the newest requests of a model that meet conditions; NULL restricts nothing.
--
-- Grain    that of the view requests, and so are the columns; ordered by time, newest first.
-- Cost     that of truthline_internal.requests, until `size` requests are found: hours and days without
--          such a class or truth are skipped.
CREATE OR REPLACE FUNCTION truthline.newest_requests(
    workspace text, model text, start_time timestamptz, end_time timestamptz,
    size integer DEFAULT 100, wrong boolean DEFAULT NULL, labelled boolean DEFAULT NULL,
    failed boolean DEFAULT NULL, predicted_label text DEFAULT NULL, actual_label text DEFAULT NULL,
    min_confidence float8 DEFAULT NULL, max_confidence float8 DEFAULT NULL,
    min_error float8 DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, as_of timestamptz DEFAULT 'infinity',
    tags jsonb DEFAULT NULL
) RETURNS SETOF truthline.requests LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
ROWS 100 SET search_path = pg_catalog, pg_temp AS $$
    SELECT (found.request).time, (found.request).received_at, s.workspace, s.namespace, s.pipeline,
           s.model, s.version, s.deployment, s.deployment_type, s.server_version,
           (found.request).request_id, (found.request).batch_index, predicted.name, actual.name,
           (found.request).value, (found.request).actual_value, (found.request).confidence,
           (found.request).latency_seconds, (found.request).failed, (found.request).learned_at,
           (found.request).n_truths, s.tags
    FROM truthline_internal.requests(
        truthline.series_of(workspace, model, version, deployment, namespace, pipeline, tags),
        start_time, end_time, as_of,
        ROW(truthline_internal.label_id(workspace, predicted_label),
            truthline_internal.label_id(workspace, actual_label),
            wrong, labelled, failed, min_confidence, max_confidence, min_error
        )::truthline_internal.request_filter,
        NULL, size, 2147483647) AS found
    JOIN truthline_internal.own_series() AS s ON s.id = (found.request).series_id
    LEFT JOIN truthline_data.label AS predicted ON predicted.id = (found.request).label_id
    LEFT JOIN truthline_data.label AS actual ON actual.id = (found.request).actual_label
    ORDER BY (found.request).time DESC, (found.request).received_at DESC, found.nth
$$;
COMMENT ON FUNCTION truthline.newest_requests(text, text, timestamptz, timestamptz, integer, boolean, boolean, boolean, text, text, float8, float8, float8, text, text, text, text, timestamptz, jsonb) IS
    'The newest requests of a model that meet conditions, with their truths.';
