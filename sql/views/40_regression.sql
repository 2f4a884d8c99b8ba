-- regression_metrics: how far predictions were from the truth, bucket by bucket.
--
-- Grain    one row per bucket of the window, oldest first, empty ones too.
-- Units    mean absolute and root mean squared error in the model's own unit, mean squared
--          error in its square; NULL where the bucket holds no truth.
-- Cost     outcome_cells, and then one cell per bucket.
CREATE OR REPLACE FUNCTION truthline.regression_metrics(
    series integer[], start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, origin timestamptz DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint,
    mean_absolute_error float8, mean_squared_error float8, root_mean_squared_error float8
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT grid.bucket_start, grid.bucket_end, coalesce(cell.n, 0),
           (cell.sum_absolute_error / cell.n)::float8,
           (cell.sum_squared_error / cell.n)::float8,
           sqrt((cell.sum_squared_error / cell.n)::float8)
    FROM truthline.buckets(start_time, end_time, width, origin) AS grid
    LEFT JOIN truthline.outcome_cells(series, start_time, end_time, width, origin) AS cell
        ON cell.bucket = grid.bucket AND cell.predicted_label IS NULL
    ORDER BY grid.bucket
$$;
COMMENT ON FUNCTION truthline.regression_metrics(integer[], timestamptz, timestamptz, interval, timestamptz) IS
    'Mean absolute, mean squared and root mean squared error per bucket.';
