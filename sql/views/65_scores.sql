-- score_losses: how good the scores of a classifier are as probabilities, per bucket.
--
-- Grain    one row per bucket of the window, oldest first, including empty ones.
-- Units    `n` counts truths whose prediction has scores, or a confidence if the model is binary;
--          log_loss in nats, brier_score from 0 to 1 for a binary model and from 0 to 2 otherwise; NULL
--          if `n` is 0.
-- Formula  log_loss = mean of -ln(score of the true class), with scores within [2^-52, 1 - 2^-52];
--          brier_score = mean of (score of the positive class - y)^2 for a binary model, where y is 1
--          if that class is true and 0 otherwise; mean over truths of the sum over classes of
--          (score - y)^2 for others. Both are those of scikit-learn. Scores are not normalized; a class
--          without a score has 0.
-- Params   `positive` is the positive class of a binary model, NULL for others: see positive_class.
-- Cost     scored_cells, and then only cells.
CREATE OR REPLACE FUNCTION truthline_internal.score_losses(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity',
    positive integer DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint, log_loss float8, brier_score float8
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT grid.bucket_start, grid.bucket_end, coalesce(total.n, 0),
           truthline_internal.mean(total.log_loss, total.n),
           truthline_internal.mean(total.missing_squared + total.rest_squared, total.n)
    FROM truthline_internal.buckets_of(edges) AS grid
    LEFT JOIN (
        SELECT place, sum(n)::bigint AS n, sum(sum_log_loss) AS log_loss,
               coalesce(sum(sum_missing_squared)
                            FILTER (WHERE positive IS NULL OR actual_label = positive), 0)
                   AS missing_squared,
               coalesce(sum(sum_rest_squared)
                            FILTER (WHERE positive IS NULL OR actual_label <> positive), 0)
                   AS rest_squared
        FROM truthline_internal.scored_cells(series, edges, as_of)
        WHERE has_scores OR positive IS NOT NULL
        GROUP BY place
    ) AS total USING (place)
    ORDER BY grid.place
$$;
COMMENT ON FUNCTION truthline_internal.score_losses(integer[], timestamptz[], timestamptz, integer) IS
    'Log loss and Brier score per bucket.';
