-- All metrics of scores at once.

-- score_metrics: every metric of the scores of a classifier, per bucket.
--
-- Grain    one row per bucket of the window, oldest first, including empty ones.
-- Units    those of score_losses, roc_auc, average_precision and calibration_error. `n_positive` counts
--          truths of the positive class. Without a positive class, n_positive, roc_auc and
--          average_precision are NULL, and calibration_error is of the predicted class. With
--          `one_vs_rest`, `positive` is a declared class of a model with more than two: those four are
--          of the truths with which its score was kept, and `n_unranked` counts the others; log loss and
--          Brier score are of all classes.
-- Params   only the metrics in `metrics` are computed; NULL means all.
-- Cost     that of the metrics.
CREATE OR REPLACE FUNCTION truthline_internal.score_metrics(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity',
    positive integer DEFAULT NULL, metrics text[] DEFAULT NULL, one_vs_rest boolean DEFAULT false
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint, n_positive bigint, log_loss float8,
    brier_score float8, roc_auc float8, average_precision float8, calibration_error float8,
    n_unranked bigint
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT loss.bucket_start, loss.bucket_end, loss.n,
           CASE WHEN positive IS NOT NULL AND coalesce('roc_auc' = ANY (metrics), true)
                THEN coalesce(curve.n_hits, 0) END,
           CASE WHEN coalesce('log_loss' = ANY (metrics), true) THEN loss.log_loss END,
           CASE WHEN coalesce('brier_score' = ANY (metrics), true) THEN loss.brier_score END,
           curve.area, precise.average_precision, calibrated.error,
           CASE WHEN positive IS NOT NULL THEN coalesce(unranked.n, 0) END
    FROM truthline_internal.score_losses(
        series, edges, as_of, CASE WHEN NOT one_vs_rest THEN positive END) AS loss
    JOIN truthline_internal.buckets_of(edges) AS grid USING (bucket_start)
    LEFT JOIN (
        SELECT * FROM truthline_internal.roc_auc(series, edges, as_of, positive, one_vs_rest)
        WHERE positive IS NOT NULL AND coalesce('roc_auc' = ANY (metrics), true)
    ) AS curve USING (place)
    LEFT JOIN (
        SELECT * FROM truthline_internal.average_precision(series, edges, as_of, positive, one_vs_rest)
        WHERE positive IS NOT NULL AND coalesce('average_precision' = ANY (metrics), true)
    ) AS precise USING (place)
    LEFT JOIN (
        SELECT * FROM truthline_internal.calibration_error(series, edges, as_of, positive, 10, one_vs_rest)
        WHERE coalesce('calibration_error' = ANY (metrics), true)
    ) AS calibrated USING (place)
    LEFT JOIN truthline_internal.unranked(series, edges, as_of, positive, one_vs_rest) AS unranked
        USING (place)
    ORDER BY grid.place
$$;
COMMENT ON FUNCTION truthline_internal.score_metrics(integer[], timestamptz[], timestamptz, integer, text[], boolean) IS
    'Metrics of the scores of a classifier per bucket.';
