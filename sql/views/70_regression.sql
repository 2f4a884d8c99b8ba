-- regression_metrics: how far predictions were from their truths, per bucket.
--
-- Grain    one row per bucket of the window, oldest first, including empty ones.
-- Units    error = predicted - actual. mean_error (the bias), mean absolute and root mean squared
--          error in the model's own unit, mean squared error in its square, the others fractions
--          of 1; NULL if the bucket has no truth.
--          A result outside the range of a double becomes the nearest double.
-- Formula  r2 = 1 - sum error^2 / sum (actual - mean actual)^2, NULL where all truths are equal;
--          mean_absolute_percentage_error = mean of |error / actual| over truths other than 0.
-- Cost     error_cells, one per bucket.
CREATE OR REPLACE FUNCTION truthline_internal.regression_metrics(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint,
    mean_absolute_error float8, mean_squared_error float8, root_mean_squared_error float8,
    mean_error float8, r2 float8, mean_absolute_percentage_error float8
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT grid.bucket_start, grid.bucket_end, coalesce(cell.n, 0),
           truthline_internal.mean(cell.sum_absolute_error, cell.n),
           truthline_internal.mean(cell.sum_squared_error, cell.n),
           truthline_internal.root_mean(cell.sum_squared_error, cell.n),
           truthline_internal.mean(cell.sum_error, cell.n),
           CASE WHEN truths.spread > 0 THEN truthline_internal.mean(
               truths.spread - cell.n * cell.sum_squared_error, truths.spread) END,
           truthline_internal.mean(cell.sum_percentage_error, cell.n_percentage)
    FROM truthline_internal.buckets_of(edges) AS grid
    LEFT JOIN truthline_internal.error_cells(series, edges, as_of) AS cell USING (place)
    CROSS JOIN LATERAL (
        -- n times the sum of squares around the mean, an exact number, because nothing is divided
        SELECT cell.n * cell.sum_squared_actual - cell.sum_actual * cell.sum_actual
    ) AS truths (spread)
    ORDER BY grid.place
$$;
COMMENT ON FUNCTION truthline_internal.regression_metrics(integer[], timestamptz[], timestamptz) IS
    'Mean absolute, mean squared, root mean squared and mean error, R2 and MAPE per bucket.';
