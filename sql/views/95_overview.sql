-- The models of a workspace at a glance: a window compared with the preceding one of equal length.

-- headline: the one metric that summarises how good a model is.
--
-- Units    accuracy for classification, a fraction of 1; root mean squared error for regression, in
--          the model's own unit; NULL without truths, and for other kinds.
CREATE OR REPLACE FUNCTION truthline_internal.headline(
    kind text, n bigint, n_correct bigint, sum_squared_error numeric
) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE kind
        WHEN 'classification' THEN n_correct::float8 / nullif(n, 0)
        WHEN 'regression' THEN truthline_internal.root_mean(sum_squared_error, n) END
$$;
COMMENT ON FUNCTION truthline_internal.headline(text, bigint, bigint, numeric) IS
    'Accuracy of a classifier, root mean squared error of a regressor.';

-- overview: all models of a workspace.
--
-- Reader   pages of release 0.1.0, while the next one is rolled out; pages of this one read triage.
-- Grain    one row per model, including models without a prediction: the busiest of both periods first.
-- Units    `prev_` is the window of equal length that ends at start_time. n_inferences counts
--          successful inferences, n_errors failed ones; latency in seconds per inference, as in
--          model_stats; n_truths counts predictions with a known truth. `volumes` and `headlines` are
--          inferences and headline of each bucket of the window, which begin at `starts`: 0 and NULL
--          if a bucket has none.
-- Cost     cells of predictions and outcomes, summed per series and bucket of both periods, in one
--          statement for any number of models. Edges within cells are the largest part: buckets on a
--          grid of hours or days have two of them.
CREATE TYPE truthline_internal.load_cell AS (
    place integer, series_id integer, n_requests bigint, n_failed bigint, n bigint,
    n_latency bigint, sum_latency numeric
);
CREATE TYPE truthline_internal.judged_cell AS (
    place integer, series_id integer, n bigint, sum_squared_error numeric, n_correct bigint
);
CREATE OR REPLACE FUNCTION truthline_internal.overview(
    workspace integer, start_time timestamptz, end_time timestamptz, width interval DEFAULT NULL,
    origin timestamptz DEFAULT NULL, zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    namespace text, pipeline text, model text, kind text, n_inferences bigint,
    prev_n_inferences bigint, n_errors bigint, prev_n_errors bigint, latency float8,
    prev_latency float8, n_truths bigint, prev_n_truths bigint, headline float8,
    prev_headline float8, starts timestamptz[], volumes bigint[], headlines float8[]
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH bounds AS (
        SELECT truthline_internal.edges(start_time - span, start_time, width, origin, zone) AS earlier,
               truthline_internal.edges(start_time, end_time, width, origin, zone) AS later
        FROM truthline_internal.bucket_width(start_time, end_time, NULL) AS span
    ),
    asked AS MATERIALIZED (
        SELECT truthline_internal.workspace_series(workspace) AS series,
               trim_array(earlier, 1) || later AS edges, cardinality(earlier) AS first_place,
               truthline_internal.shared_reach_as_of('{prediction,outcome}', as_of) AS moment
        FROM bounds
    ),
    bucket AS MATERIALIZED (
        SELECT place, place >= first_place AS latest, edges[place] AS start
        FROM asked CROSS JOIN generate_series(1, cardinality(edges) - 1) AS place
    ),
    answered AS (
        SELECT s.model_id, place, sum(n_requests - n_failed)::bigint AS n,
               sum(n_failed)::bigint AS n_failed, sum(n_latency) AS n_latency,
               sum(sum_latency) AS sum_latency
        FROM asked CROSS JOIN LATERAL truthline_internal.cells(
            NULL::truthline_internal.load_cell, 'prediction', series, edges, moment) AS cell
        JOIN truthline_data.series AS s ON s.id = series_id
        GROUP BY 1, 2
    ),
    judged AS (
        SELECT s.model_id, place, sum(n)::bigint AS n, sum(n_correct)::bigint AS n_correct,
               sum(sum_squared_error) AS sum_squared_error
        FROM asked CROSS JOIN LATERAL truthline_internal.cells(
            NULL::truthline_internal.judged_cell, 'outcome', series, edges, moment) AS cell
        JOIN truthline_data.series AS s ON s.id = series_id
        GROUP BY 1, 2
    ),
    summed AS (
        SELECT model.id, bucket.latest, coalesce(sum(a.n), 0)::bigint AS n,
               coalesce(sum(a.n_failed), 0)::bigint AS n_failed,
               truthline_internal.mean(sum(a.sum_latency), sum(a.n_latency)) AS latency,
               coalesce(sum(j.n), 0)::bigint AS n_truths,
               truthline_internal.headline(model.kind, sum(j.n)::bigint, sum(j.n_correct)::bigint,
                                  sum(j.sum_squared_error)) AS headline,
               array_agg(bucket.start ORDER BY bucket.place) AS starts,
               array_agg(coalesce(a.n, 0) ORDER BY bucket.place) AS volumes,
               array_agg(truthline_internal.headline(model.kind, j.n, j.n_correct, j.sum_squared_error)
                         ORDER BY bucket.place) AS headlines
        FROM truthline_data.model
        CROSS JOIN bucket
        LEFT JOIN answered AS a ON a.model_id = model.id AND a.place = bucket.place
        LEFT JOIN judged AS j ON j.model_id = model.id AND j.place = bucket.place
        WHERE model.workspace_id = workspace
        GROUP BY 1, 2
    )
    SELECT model.namespace, model.pipeline, model.name, model.kind, now.n, before.n, now.n_failed,
           before.n_failed, now.latency, before.latency, now.n_truths, before.n_truths,
           now.headline, before.headline, now.starts, now.volumes, now.headlines
    FROM summed AS now
    JOIN summed AS before ON before.id = now.id AND NOT before.latest
    JOIN truthline_data.model ON model.id = now.id
    WHERE now.latest
    ORDER BY now.n + before.n DESC, model.name COLLATE "C", model.namespace COLLATE "C",
             model.pipeline COLLATE "C"
$$;
COMMENT ON FUNCTION truthline_internal.overview(integer, timestamptz, timestamptz, interval, timestamptz, text, timestamptz) IS
    'All models of a workspace: volume, errors, latency and headline metric, compared with the preceding period.';

-- triage: all models of a workspace, with the sums that show whether a change is more than noise.
--
-- Grain    one row per model, including models without a prediction, the busiest of both periods first.
-- Units    `prev_` is the window of equal length that ends at start_time. n_inferences counts
--          successful inferences, n_errors failed ones; latency in seconds per inference, as in
--          model_stats; n_truths counts predictions with a known truth, n_correct those of the right
--          class; sums are of |error| and error², in the model's own unit and its square, NULL without
--          values. The arrays have an element for each bucket of the window with truths: its number in
--          `headline_places`, from 1, and in `headlines` the accuracy of a classifier or the mean
--          absolute error of a regressor.
-- Cost     as overview, without a row for each model and bucket. The preceding period is cut into
--          buckets too: cells of equal buckets are read faster than those of one long one.
CREATE TYPE truthline_internal.weighed_cell AS (
    place integer, series_id integer, n bigint, sum_absolute_error numeric,
    sum_squared_error numeric, n_correct bigint
);
CREATE OR REPLACE FUNCTION truthline_internal.triage(
    workspace integer, start_time timestamptz, end_time timestamptz, width interval DEFAULT NULL,
    origin timestamptz DEFAULT NULL, zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    namespace text, pipeline text, model text, kind text, n_inferences bigint,
    prev_n_inferences bigint, n_errors bigint, prev_n_errors bigint, latency float8,
    prev_latency float8, n_truths bigint, prev_n_truths bigint, n_correct bigint,
    prev_n_correct bigint, sum_absolute_error numeric, prev_sum_absolute_error numeric,
    sum_squared_error numeric, prev_sum_squared_error numeric, headline_places integer[],
    headlines float8[]
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH bounds AS (
        SELECT truthline_internal.edges(start_time - span, start_time, width, origin, zone) AS earlier,
               truthline_internal.edges(start_time, end_time, width, origin, zone) AS later
        FROM truthline_internal.bucket_width(start_time, end_time, NULL) AS span
    ),
    asked AS MATERIALIZED (
        SELECT truthline_internal.workspace_series(workspace) AS series,
               trim_array(earlier, 1) || later AS edges, cardinality(earlier) - 1 AS before,
               truthline_internal.shared_reach_as_of('{prediction,outcome}', as_of) AS moment
        FROM bounds
    ),
    answered AS (
        SELECT s.model_id, place - before AS place, sum(n_requests - n_failed)::bigint AS n,
               sum(n_failed)::bigint AS n_failed, sum(n_latency) AS n_latency,
               sum(sum_latency) AS sum_latency
        FROM asked CROSS JOIN LATERAL truthline_internal.cells(
            NULL::truthline_internal.load_cell, 'prediction', series, edges, moment) AS cell
        JOIN truthline_data.series AS s ON s.id = series_id
        GROUP BY 1, 2
    ),
    load AS (
        SELECT model_id,
               sum(n) FILTER (WHERE place > 0) AS n, sum(n) FILTER (WHERE place < 1) AS prev_n,
               sum(n_failed) FILTER (WHERE place > 0) AS n_failed,
               sum(n_failed) FILTER (WHERE place < 1) AS prev_n_failed,
               truthline_internal.mean(sum(sum_latency) FILTER (WHERE place > 0),
                                       sum(n_latency) FILTER (WHERE place > 0)) AS latency,
               truthline_internal.mean(sum(sum_latency) FILTER (WHERE place < 1),
                                       sum(n_latency) FILTER (WHERE place < 1)) AS prev_latency
        FROM answered GROUP BY 1
    ),
    judged AS (
        SELECT s.model_id, place - before AS place, sum(n)::bigint AS n,
               sum(n_correct)::bigint AS n_correct, sum(sum_absolute_error) AS sum_absolute_error,
               sum(sum_squared_error) AS sum_squared_error
        FROM asked CROSS JOIN LATERAL truthline_internal.cells(
            NULL::truthline_internal.weighed_cell, 'outcome', series, edges, moment) AS cell
        JOIN truthline_data.series AS s ON s.id = series_id
        GROUP BY 1, 2
    ),
    quality AS (
        SELECT model_id,
               sum(n) FILTER (WHERE place > 0) AS n, sum(n) FILTER (WHERE place < 1) AS prev_n,
               sum(n_correct) FILTER (WHERE place > 0) AS n_correct,
               sum(n_correct) FILTER (WHERE place < 1) AS prev_n_correct,
               sum(sum_absolute_error) FILTER (WHERE place > 0) AS total,
               sum(sum_absolute_error) FILTER (WHERE place < 1) AS prev_total,
               sum(sum_squared_error) FILTER (WHERE place > 0) AS squares,
               sum(sum_squared_error) FILTER (WHERE place < 1) AS prev_squares,
               array_agg(place ORDER BY place) FILTER (WHERE place > 0 AND n > 0) AS places,
               array_agg(CASE model.kind
                   WHEN 'classification' THEN n_correct::float8 / nullif(n, 0)
                   WHEN 'regression' THEN truthline_internal.mean(sum_absolute_error, n) END
                   ORDER BY place) FILTER (WHERE place > 0 AND n > 0) AS headlines
        FROM judged JOIN truthline_data.model ON model.id = model_id GROUP BY 1
    )
    SELECT model.namespace, model.pipeline, model.name, model.kind,
           coalesce(load.n, 0)::bigint, coalesce(load.prev_n, 0)::bigint,
           coalesce(load.n_failed, 0)::bigint, coalesce(load.prev_n_failed, 0)::bigint,
           load.latency, load.prev_latency,
           coalesce(quality.n, 0)::bigint, coalesce(quality.prev_n, 0)::bigint,
           coalesce(quality.n_correct, 0)::bigint, coalesce(quality.prev_n_correct, 0)::bigint,
           quality.total, quality.prev_total, quality.squares, quality.prev_squares,
           coalesce(quality.places, '{}'), coalesce(quality.headlines, '{}')
    FROM truthline_data.model
    LEFT JOIN load ON load.model_id = model.id
    LEFT JOIN quality ON quality.model_id = model.id
    WHERE model.workspace_id = workspace
    ORDER BY coalesce(load.n, 0) + coalesce(load.prev_n, 0) DESC, model.name COLLATE "C",
             model.namespace COLLATE "C", model.pipeline COLLATE "C"
$$;
COMMENT ON FUNCTION truthline_internal.triage(integer, timestamptz, timestamptz, interval, timestamptz, text, timestamptz) IS
    'All models of a workspace: volume, failures, latency, and the sums of their headline metric, compared with the preceding period.';
