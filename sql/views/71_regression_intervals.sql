-- deviation_cells: sums of powers and products of errors and truths, of which the standard errors of
-- regression metrics are made.
--
-- Grain    one row per bucket.
-- Units    those of the level columns of `deviation` (sql/versions/0005_intervals.up.sql).
CREATE TYPE truthline_internal.deviation_cell AS (
    place integer, n bigint, sum_squared_error numeric, sum_fourth_error numeric, sum_actual numeric,
    sum_squared_actual numeric, sum_cubed_actual numeric, sum_fourth_actual numeric,
    sum_squared_error_actual numeric, sum_squared_error_squared_actual numeric,
    sum_squared_percentage_error numeric
);
CREATE OR REPLACE FUNCTION truthline_internal.deviation_cells(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS SETOF truthline_internal.deviation_cell LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT * FROM truthline_internal.cells(
        NULL::truthline_internal.deviation_cell, 'deviation', series, edges, as_of)
$$;
COMMENT ON FUNCTION truthline_internal.deviation_cells(integer[], timestamptz[], timestamptz) IS
    'Additive cells for intervals of regression metrics: powers and products of errors and truths.';

-- r2_error: the standard error of R2 by the delta method: NULL if all truths are equal.
--
-- Formula  with centred truths c and V, the mean of c^2, the influence of one truth is
--          (MSE c^2 / V - error^2) / V; its mean is 0. `w` is n^2 V, and the others are sums of error^4,
--          error^2 c^2 and c^4, each times a power of n that makes it exact.
CREATE OR REPLACE FUNCTION truthline_internal.r2_error(cell truthline_internal.deviation_cell)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT truthline_internal.as_double(sqrt(greatest(
        (sums.errors - 2 * ratio.r * sums.products + ratio.r * ratio.r * sums.truths)
            / (sums.w * sums.w * cell.n), 0)))
    FROM (
        SELECT nullif(cell.n * cell.sum_squared_actual - cell.sum_actual ^ 2, 0),
               cell.n::numeric ^ 3 * cell.sum_fourth_error,
               cell.n * (cell.n::numeric ^ 2 * cell.sum_squared_error_squared_actual
                         - 2 * cell.n * cell.sum_actual * cell.sum_squared_error_actual
                         + cell.sum_actual * cell.sum_actual * cell.sum_squared_error),
               cell.n::numeric ^ 3 * cell.sum_fourth_actual
                   - 4 * cell.n::numeric ^ 2 * cell.sum_actual * cell.sum_cubed_actual
                   + 6 * cell.n * cell.sum_actual * cell.sum_actual * cell.sum_squared_actual
                   - 3 * cell.sum_actual * cell.sum_actual * cell.sum_actual * cell.sum_actual
    ) AS sums (w, errors, products, truths)
    CROSS JOIN LATERAL (SELECT cell.sum_squared_error * cell.n / sums.w) AS ratio (r)
$$;
COMMENT ON FUNCTION truthline_internal.r2_error(truthline_internal.deviation_cell) IS
    'The standard error of R2.';

-- regression_estimates: how far each metric of a regressor may be from the truth, per bucket.
--
-- Params   the cells of all buckets, at most one of each kind per bucket.
-- Grain    one row per (bucket with truths, metric).
-- Formula  metrics as in regression_metrics. Means have the standard error of a mean; that of the root
--          of a mean is the mean's divided by twice the root.
-- Null     the standard errors that need deviation cells, if these don't count the same truths as the
--          error cells: they began later, so rows that retention had dropped by then are missing.
-- Cost     the arrays.
CREATE OR REPLACE FUNCTION truthline_internal.regression_estimates(
    errors truthline_internal.error_cell[], deviations truthline_internal.deviation_cell[]
) RETURNS SETOF truthline_internal.estimate LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ROW(e.place, m.metric, NULL, m.n, NULL, m.value, m.standard_error, m.scale)
               ::truthline_internal.estimate
    FROM unnest(errors) AS e
    LEFT JOIN unnest(deviations) AS d
        ON d.place = e.place AND d.n = e.n AND d.sum_squared_error = e.sum_squared_error
    CROSS JOIN LATERAL (
        SELECT truthline_internal.mean(e.sum_squared_error, e.n),
               truthline_internal.root_mean(e.sum_squared_error, e.n),
               truthline_internal.error_of_mean(d.sum_squared_error, d.sum_fourth_error, d.n),
               e.n * e.sum_squared_actual - e.sum_actual * e.sum_actual
    ) AS squared (mean, root, error, spread)
    CROSS JOIN LATERAL (VALUES
        ('mean_absolute_error', e.n, truthline_internal.mean(e.sum_absolute_error, e.n),
         truthline_internal.error_of_mean(e.sum_absolute_error, e.sum_squared_error, e.n), 'mean'),
        ('mean_squared_error', e.n, squared.mean, squared.error, 'square'),
        ('root_mean_squared_error', e.n, squared.root,
         CASE WHEN squared.root > 1e-145 AND squared.error > 1e-145
              THEN squared.error / 2 / squared.root END, 'positive'),
        ('mean_error', e.n, truthline_internal.mean(e.sum_error, e.n),
         truthline_internal.error_of_mean(e.sum_error, e.sum_squared_error, e.n), 'mean'),
        ('r2', e.n,
         CASE WHEN squared.spread > 0 THEN truthline_internal.mean(
             squared.spread - e.n * e.sum_squared_error, squared.spread) END,
         truthline_internal.r2_error(d), 'number'),
        ('mean_absolute_percentage_error', e.n_percentage,
         truthline_internal.mean(e.sum_percentage_error, e.n_percentage),
         truthline_internal.error_of_mean(
             e.sum_percentage_error, d.sum_squared_percentage_error, e.n_percentage), 'mean')
    ) AS m (metric, n, value, standard_error, scale)
    WHERE e.n > 0
$$;
COMMENT ON FUNCTION truthline_internal.regression_estimates(truthline_internal.error_cell[], truthline_internal.deviation_cell[]) IS
    'How far each metric of a regressor may be from the truth, per bucket.';

-- estimated_errors: the same for series.
-- Cost     error_cells and deviation_cells, one of each per bucket.
CREATE OR REPLACE FUNCTION truthline_internal.estimated_errors(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS SETOF truthline_internal.estimate LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT * FROM truthline_internal.regression_estimates(
        ARRAY(SELECT e FROM truthline_internal.error_cells(series, edges, as_of) AS e),
        ARRAY(SELECT d FROM truthline_internal.deviation_cells(series, edges, as_of) AS d))
$$;
COMMENT ON FUNCTION truthline_internal.estimated_errors(integer[], timestamptz[], timestamptz) IS
    'How far each metric of a regressor may be from the truth, per bucket of its series.';

-- regression_intervals: the confidence intervals of those estimates.
-- Grain    one row per (bucket with truths, metric); bounds are NULL where there is no interval.
CREATE OR REPLACE FUNCTION truthline_internal.regression_intervals(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity',
    confidence float8 DEFAULT 0.95
) RETURNS TABLE (place integer, metric text, low float8, high float8)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT e.place, e.metric, i.low, i.high
    FROM (SELECT truthline_internal.normal_quantile(confidence) OFFSET 0) AS quantile (z)
    CROSS JOIN LATERAL truthline_internal.estimated_errors(series, edges, as_of) AS e
    CROSS JOIN LATERAL truthline_internal.interval_of(e, quantile.z) AS i
$$;
COMMENT ON FUNCTION truthline_internal.regression_intervals(integer[], timestamptz[], timestamptz, float8) IS
    'Confidence intervals of the metrics of a regressor, per bucket.';

-- regression_bounds: the same per bucket, in columns, for functions by name.
-- Grain    one row per bucket with truths; none if `confidence` is NULL.
CREATE OR REPLACE FUNCTION truthline_internal.regression_bounds(
    series integer[], edges timestamptz[], as_of timestamptz, confidence float8
) RETURNS TABLE (
    place integer, mean_absolute_error_low float8, mean_absolute_error_high float8,
    mean_squared_error_low float8, mean_squared_error_high float8,
    root_mean_squared_error_low float8, root_mean_squared_error_high float8,
    mean_error_low float8, mean_error_high float8, r2_low float8, r2_high float8,
    mean_absolute_percentage_error_low float8, mean_absolute_percentage_error_high float8
) LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
#variable_conflict use_column
BEGIN
    IF confidence IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT i.place,
           max(low) FILTER (WHERE metric = 'mean_absolute_error'),
           max(high) FILTER (WHERE metric = 'mean_absolute_error'),
           max(low) FILTER (WHERE metric = 'mean_squared_error'),
           max(high) FILTER (WHERE metric = 'mean_squared_error'),
           max(low) FILTER (WHERE metric = 'root_mean_squared_error'),
           max(high) FILTER (WHERE metric = 'root_mean_squared_error'),
           max(low) FILTER (WHERE metric = 'mean_error'), max(high) FILTER (WHERE metric = 'mean_error'),
           max(low) FILTER (WHERE metric = 'r2'), max(high) FILTER (WHERE metric = 'r2'),
           max(low) FILTER (WHERE metric = 'mean_absolute_percentage_error'),
           max(high) FILTER (WHERE metric = 'mean_absolute_percentage_error')
    FROM truthline_internal.regression_intervals(series, edges, as_of, confidence) AS i
    GROUP BY 1;
END
$function$;
COMMENT ON FUNCTION truthline_internal.regression_bounds(integer[], timestamptz[], timestamptz, float8) IS
    'Confidence intervals of the metrics of a regressor per bucket, in columns.';
