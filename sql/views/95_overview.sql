-- The models of a workspace at a glance: a window beside the one of equal length before it.

-- headline: the one number that tells how good a model is.
--
-- Units    accuracy for classification, a fraction of 1; root mean squared error for regression, in
--          the model's own unit; NULL without truths, and for other kinds.
CREATE OR REPLACE FUNCTION truthline.headline(
    kind text, n bigint, n_correct bigint, sum_squared_error numeric
) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE kind
        WHEN 'classification' THEN n_correct::float8 / nullif(n, 0)
        WHEN 'regression' THEN sqrt((sum_squared_error / nullif(n, 0))::float8) END
$$;
COMMENT ON FUNCTION truthline.headline(text, bigint, bigint, numeric) IS
    'Accuracy of a classifier, root mean squared error of a regressor.';

-- overview: all models of a workspace.
--
-- Grain    one row per model, also those without a prediction: the busiest of both periods first.
-- Units    `prev_` is the window of equal length that ends at start_time. n_inferences were
--          answered, n_errors failed; latency in seconds per inference, as in model_stats; n_truths
--          counts predictions whose truth is known. `volumes` and `headlines` cut the window into
--          `parts` of equal length: inferences and headline of each, 0 and NULL where there is none.
-- Cost     cells of predictions and outcomes, per series and part of both periods, in one statement
--          however many models there are. Rows are read where a part's bound lies within a cell: a
--          window of whole multiples of `parts` cells, on their grid, has none.
CREATE OR REPLACE FUNCTION truthline.overview(
    workspace integer, start_time timestamptz, end_time timestamptz, parts integer DEFAULT 24,
    as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    namespace text, pipeline text, model text, kind text, n_inferences bigint,
    prev_n_inferences bigint, n_errors bigint, prev_n_errors bigint, latency float8,
    prev_latency float8, n_truths bigint, prev_n_truths bigint, headline float8,
    prev_headline float8, volumes bigint[], headlines float8[]
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH asked AS MATERIALIZED (
        SELECT truthline.workspace_series(workspace) AS series, start_time - span AS since,
               ceil(extract(epoch FROM span) * 1000000 / parts)::float8 * INTERVAL '1 microsecond'
                   AS width
        FROM truthline.bucket_width(start_time, end_time, NULL) AS span
    ),
    part AS MATERIALIZED (
        SELECT place, bucket_start >= start_time AS latest
        FROM asked CROSS JOIN LATERAL truthline.buckets(since, end_time, width, start_time, 'UTC')
    ),
    answered AS (
        SELECT s.model_id, place, sum(n_requests - n_failed)::bigint AS n,
               sum(n_failed)::bigint AS n_failed, sum(n_latency) AS n_latency,
               sum(sum_latency) AS sum_latency
        FROM asked CROSS JOIN LATERAL truthline.cells(
            'prediction', '{series_id,n_requests,n_failed,n,n_latency,sum_latency}',
            series, since, end_time, width, start_time, 'UTC', as_of
        ) AS cell (
            place integer, series_id integer, n_requests bigint, n_failed bigint, n bigint,
            n_latency bigint, sum_latency numeric
        )
        JOIN truthline_data.series AS s ON s.id = series_id
        GROUP BY 1, 2
    ),
    judged AS (
        SELECT s.model_id, place, sum(n)::bigint AS n,
               coalesce(sum(n) FILTER (WHERE predicted_label = actual_label), 0)::bigint
                   AS n_correct,
               sum(sum_squared_error) AS sum_squared_error
        FROM asked CROSS JOIN LATERAL truthline.cells(
            'outcome', '{series_id,predicted_label,actual_label,n,sum_squared_error}',
            series, since, end_time, width, start_time, 'UTC', as_of
        ) AS cell (
            place integer, series_id integer, predicted_label integer, actual_label integer,
            n bigint, sum_squared_error numeric
        )
        JOIN truthline_data.series AS s ON s.id = series_id
        GROUP BY 1, 2
    ),
    summed AS (
        SELECT model.id, part.latest, coalesce(sum(a.n), 0)::bigint AS n,
               coalesce(sum(a.n_failed), 0)::bigint AS n_failed,
               truthline.mean(sum(a.sum_latency), sum(a.n_latency)) AS latency,
               coalesce(sum(j.n), 0)::bigint AS n_truths,
               truthline.headline(model.kind, sum(j.n)::bigint, sum(j.n_correct)::bigint,
                                  sum(j.sum_squared_error)) AS headline,
               array_agg(coalesce(a.n, 0) ORDER BY part.place) AS volumes,
               array_agg(truthline.headline(model.kind, j.n, j.n_correct, j.sum_squared_error)
                         ORDER BY part.place) AS headlines
        FROM truthline_data.model
        CROSS JOIN part
        LEFT JOIN answered AS a ON a.model_id = model.id AND a.place = part.place
        LEFT JOIN judged AS j ON j.model_id = model.id AND j.place = part.place
        WHERE model.workspace_id = workspace
        GROUP BY 1, 2
    )
    SELECT model.namespace, model.pipeline, model.name, model.kind, now.n, before.n, now.n_failed,
           before.n_failed, now.latency, before.latency, now.n_truths, before.n_truths,
           now.headline, before.headline, now.volumes, now.headlines
    FROM summed AS now
    JOIN summed AS before ON before.id = now.id AND NOT before.latest
    JOIN truthline_data.model ON model.id = now.id
    WHERE now.latest
    ORDER BY now.n + before.n DESC, model.name COLLATE "C", model.namespace COLLATE "C",
             model.pipeline COLLATE "C"
$$;
COMMENT ON FUNCTION truthline.overview(integer, timestamptz, timestamptz, integer, timestamptz) IS
    'All models of a workspace: volume, errors, latency and headline metric beside the period before.';
