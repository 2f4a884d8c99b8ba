-- Health of a deployed model: how many requests it answers, how fast, and with which values.

-- mean_milliseconds: a mean latency, from a sum in seconds; NULL if no latency was reported.
CREATE OR REPLACE FUNCTION truthline_internal.mean_milliseconds(sum_seconds numeric, n bigint)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT truthline_internal.mean(1000 * sum_seconds, n)
$$;
COMMENT ON FUNCTION truthline_internal.mean_milliseconds(numeric, bigint) IS
    'Mean latency in milliseconds, from a sum of seconds.';

-- prediction_volume: requests and their latencies, per bucket.
--
-- Grain    one row per bucket of the window, oldest first, including empty ones.
-- Units    `n` counts successful requests, n_failed failed ones. Latencies are per request, including
--          failed ones, where reported: n_latency counts them, sum_latency is their sum in seconds.
-- Cost     cells of predictions, one per bucket: the planner sums over classes.
CREATE TYPE truthline_internal.volume_cell AS (
    place integer, n_requests bigint, n_failed bigint, n bigint, n_latency bigint,
    sum_latency numeric
);
CREATE OR REPLACE FUNCTION truthline_internal.prediction_volume(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint, n_failed bigint,
    n_latency bigint, sum_latency numeric
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT grid.bucket_start, grid.bucket_end, coalesce(cell.n_requests - cell.n_failed, 0),
           coalesce(cell.n_failed, 0), coalesce(cell.n_latency, 0), cell.sum_latency
    FROM truthline_internal.buckets_of(edges) AS grid
    LEFT JOIN truthline_internal.cells(
        NULL::truthline_internal.volume_cell, 'prediction', series, edges, as_of
    ) AS cell USING (place)
    ORDER BY grid.place
$$;
COMMENT ON FUNCTION truthline_internal.prediction_volume(integer[], timestamptz[], timestamptz) IS
    'Successful and failed requests, and their latencies, per bucket.';

-- value_quantiles: exact quantiles of the values that a model predicted, per bucket.
--
-- Grain    one row per bucket that has a value, oldest first.
-- Units    quantiles in the model's own unit, as those of truthline_internal.quantiles.
CREATE OR REPLACE FUNCTION truthline_internal.value_quantiles(
    series integer[], edges timestamptz[], as_of timestamptz, fractions float8[]
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint, quantiles float8[]
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT grid.bucket_start, grid.bucket_end, q.n, q.quantiles
    FROM truthline_internal.quantiles('value', series, edges, as_of, fractions) AS q
    JOIN truthline_internal.buckets_of(edges) AS grid USING (place)
    ORDER BY grid.place
$$;
COMMENT ON FUNCTION truthline_internal.value_quantiles(integer[], timestamptz[], timestamptz, float8[]) IS
    'Exact quantiles of predicted values per bucket.';
