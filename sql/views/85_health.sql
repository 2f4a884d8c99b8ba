-- Health of a deployed model: how much it answered, how fast, and which values.

-- mean_milliseconds: a mean latency, from a sum in seconds; NULL where nothing was measured.
-- Why      in decimals up to the last step, or the last digit would be lost.
CREATE OR REPLACE FUNCTION truthline.mean_milliseconds(sum_seconds numeric, n bigint)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (1000 * sum_seconds::numeric(1000, 30) / nullif(n, 0))::float8
$$;
COMMENT ON FUNCTION truthline.mean_milliseconds(numeric, bigint) IS
    'Mean latency in milliseconds, from a sum of seconds.';

-- prediction_volume: requests and how long they took, bucket by bucket.
--
-- Grain    one row per bucket of the window, oldest first, empty ones too.
-- Units    `n` counts requests that were answered, n_failed those that were not. Latencies are
--          those of requests, failed ones too, as far as they were reported: n_latency of them,
--          sum_latency seconds in all.
-- Cost     cells of predictions, one per bucket: classes are added up before they leave the planner.
CREATE OR REPLACE FUNCTION truthline.prediction_volume(
    series integer[], start_time timestamptz, end_time timestamptz, width interval DEFAULT NULL,
    origin timestamptz DEFAULT NULL, zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint, n_failed bigint,
    n_latency bigint, sum_latency numeric
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT grid.bucket_start, grid.bucket_end, coalesce(cell.n_requests - cell.n_failed, 0),
           coalesce(cell.n_failed, 0), coalesce(cell.n_latency, 0), cell.sum_latency
    FROM truthline.buckets(start_time, end_time, width, origin, zone) AS grid
    LEFT JOIN truthline.cells(
        'prediction', '{n_requests,n_failed,n,n_latency,sum_latency}',
        series, start_time, end_time, width, origin, zone, as_of
    ) AS cell (
        place integer, n_requests bigint, n_failed bigint, n bigint, n_latency bigint,
        sum_latency numeric
    ) USING (place)
    ORDER BY grid.place
$$;
COMMENT ON FUNCTION truthline.prediction_volume(integer[], timestamptz, timestamptz, interval, timestamptz, text, timestamptz) IS
    'Requests answered and failed, and their latencies, per bucket.';

-- value_quantiles: exact quantiles of the values that were predicted, bucket by bucket.
--
-- Grain    one row per bucket that holds a value, oldest first.
-- Units    quantiles in the model's own unit, one per fraction of `fractions`, interpolated
--          between the two values next to it as percentile_cont does. NULL where rows that it
--          would take are dropped already.
-- Exact    cells tell which bin holds a rank; only the rows of that bin, a range of values, are then
--          sorted.
-- Cost     score_cells, one look at the values of each bucket, and a sort of at most two bins per
--          fraction.
CREATE OR REPLACE FUNCTION truthline.value_quantiles(
    series integer[], start_time timestamptz, end_time timestamptz, fractions float8[],
    width interval DEFAULT NULL, origin timestamptz DEFAULT NULL, zone text DEFAULT 'UTC',
    as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint, quantiles float8[]
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH cell AS MATERIALIZED (
        SELECT place, bin, sum(c.n)::bigint AS n,
               (sum(sum(c.n)) OVER (PARTITION BY place ORDER BY bin) - sum(c.n))::bigint AS below,
               (sum(sum(c.n)) OVER (PARTITION BY place))::bigint AS total
        FROM truthline.score_cells(series, start_time, end_time, width, origin, zone, as_of) AS c
        WHERE label_id IS NULL
        GROUP BY place, bin
    ),
    wanted AS MATERIALIZED (
        SELECT place, nth, position - floor(position) AS beyond, side.rank
        FROM (SELECT DISTINCT place, total FROM cell) AS bucket
        CROSS JOIN unnest(fractions) WITH ORDINALITY AS f (fraction, nth)
        CROSS JOIN LATERAL (SELECT fraction * (total - 1)) AS exact (position)
        CROSS JOIN LATERAL (VALUES (floor(position)::bigint), (ceil(position)::bigint))
            AS side (rank)
    ),
    bin AS MATERIALIZED (
        SELECT DISTINCT cell.place, cell.bin, cell.below, cell.n
        FROM cell JOIN wanted USING (place)
        WHERE rank >= cell.below AND rank < cell.below + cell.n
    ),
    held AS MATERIALIZED (
        SELECT bin.*, found.ordered
        FROM (SELECT place, array_agg(bin.bin) AS bins FROM bin GROUP BY place) AS looked_for
        JOIN truthline.buckets(start_time, end_time, width, origin, zone) AS grid USING (place)
        CROSS JOIN LATERAL (
            SELECT width_bucket(p.value, bounds.bound), array_agg(p.value ORDER BY p.value)
            FROM truthline_data.prediction AS p,
                 (SELECT truthline_data.bin_bounds() OFFSET 0) AS bounds (bound)
            WHERE p.series_id = ANY (series)
              AND p.received_at >= start_time - INTERVAL '25 hours' AND p.received_at < as_of
              AND p.time >= grid.bucket_start AND p.time < grid.bucket_end
              AND width_bucket(p.value, bounds.bound) = ANY (looked_for.bins)
            GROUP BY 1
        ) AS found (bin, ordered)
        JOIN bin ON bin.place = looked_for.place AND bin.bin = found.bin
    ),
    quantile AS (
        -- a bin that lost rows, or all, can't tell its ranks any more
        SELECT wanted.place, nth, min(beyond) AS beyond,
               CASE WHEN count(*) FILTER (WHERE cardinality(ordered) = held.n) = count(*)
                    THEN array_agg(ordered[rank - below + 1] ORDER BY rank) END AS sides
        FROM wanted
        LEFT JOIN held ON held.place = wanted.place AND rank >= below AND rank < below + held.n
        GROUP BY wanted.place, nth
    )
    SELECT grid.bucket_start, grid.bucket_end, bucket.total, quantile.quantiles
    FROM truthline.buckets(start_time, end_time, width, origin, zone) AS grid
    JOIN (SELECT place, array_agg(sides[1] + beyond * (sides[2] - sides[1]) ORDER BY nth)
          FROM quantile GROUP BY place) AS quantile (place, quantiles) USING (place)
    JOIN (SELECT DISTINCT place, total FROM cell) AS bucket USING (place)
    ORDER BY grid.place
$$;
COMMENT ON FUNCTION truthline.value_quantiles(integer[], timestamptz, timestamptz, float8[], interval, timestamptz, text, timestamptz) IS
    'Exact quantiles of predicted values per bucket: by bin, then the rows of the bin.';
