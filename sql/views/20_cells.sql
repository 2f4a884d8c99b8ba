-- outcome_cells: what every metric of predictions with truth is made of.
--
-- Grain    one row per (bucket, predicted label, actual label); for regression one per bucket.
-- Units    `n` counts truths; error is predicted minus actual, in the model's own unit.
--          Everything adds up: cells of two windows side by side sum to those of their union.
-- Reader   classification_metrics, regression_metrics; nothing else reads `outcome` for a metric.
-- Cost     an index range of `outcome` per series. No row of the window was received before
--          start_time - 24 h (ingest refuses times further ahead), so older chunks are skipped.
-- Why      error sums are numeric: a corrected truth takes back exactly what it had added,
--          however large the mistake was. Sums of double precision would keep its rounding.
--          Errors below 1e-150 count as 0: their squares are no doubles, and PostgreSQL raises.
CREATE OR REPLACE FUNCTION truthline.outcome_cells(
    series integer[], start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, origin timestamptz DEFAULT NULL
) RETURNS TABLE (
    bucket timestamptz, predicted_label integer, actual_label integer,
    n bigint, sum_absolute_error numeric, sum_squared_error numeric
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT
        date_bin(truthline.bucket_width(start_time, end_time, width),
                 o.time, coalesce(origin, start_time)),
        o.predicted_label,
        o.actual_label,
        sum(o.weight)::bigint,
        sum(o.weight * e.error::numeric),
        sum(o.weight * power(e.error, 2)::numeric)
    FROM truthline_data.outcome AS o
    CROSS JOIN LATERAL (SELECT abs(o.predicted_value - o.actual_value)) AS d (difference)
    CROSS JOIN LATERAL (
        SELECT CASE WHEN d.difference < 1e-150 THEN 0 ELSE d.difference END
    ) AS e (error)
    WHERE o.series_id = ANY (series)
      AND o.time >= start_time AND o.time < end_time
      AND o.received_at >= start_time - INTERVAL '24 hours'
    GROUP BY 1, 2, 3
    HAVING sum(o.weight) <> 0
$$;
COMMENT ON FUNCTION truthline.outcome_cells(integer[], timestamptz, timestamptz, interval, timestamptz) IS
    'Additive cells of outcomes: counts per (bucket, predicted, actual) and sums of errors.';
