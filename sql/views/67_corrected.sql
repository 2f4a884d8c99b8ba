-- labelled_cells: predictions with a truth and those that were right, per bucket, class and bin of confidence.
-- Cost     the counts of all cells, and the confidences in cells of an hour and in rows.
CREATE OR REPLACE FUNCTION truthline_internal.labelled_cells(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (place integer, predicted_label integer, bin integer, n bigint, n_right bigint)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET extra_float_digits = 1 SET jit = off AS $function$
DECLARE
    reach record;
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.reach('ranked', series, edges, as_of);
    RETURN QUERY EXECUTE format($query$
        WITH cell AS MATERIALIZED (%s)
        SELECT place, predicted_label, bin, truthline_internal.total(n),
               truthline_internal.total(n_right)
        FROM (
            SELECT place, predicted_label, bin, n, n_hits AS n_right FROM cell WHERE bin IS NOT NULL
            UNION ALL
            SELECT place, predicted_label, truthline_data.confidence_bin(score), sign,
                   CASE WHEN is_hit THEN sign ELSE 0 END
            FROM (%s) AS score
        ) AS counted
        GROUP BY place, predicted_label, bin HAVING truthline_internal.total(n) <> 0
        $query$,
        truthline_internal.ranked_cells(series, reach.reached_edges, reach.reached_as_of),
        truthline_internal.scores_in('SELECT * FROM cell WHERE bin IS NULL'))
    USING series, reach.reached_edges, NULL::integer;
END
$function$;
COMMENT ON FUNCTION truthline_internal.labelled_cells(integer[], timestamptz[], timestamptz) IS
    'Predictions with a truth and those that were right, per bucket, class and bin of confidence.';

-- corrected_accuracy: accuracy corrected for which predictions got a truth, per bucket.
--
-- Truths are often picked: those that a model is unsure of, or those that it predicts positive. Within a
-- stratum of predictions with the same class and similar confidence, a truth says more about those
-- without one. So each stratum counts by its predictions instead of its truths: post-stratification.
--
-- Grain    one row per bucket of the window, oldest first, including empty ones.
-- Units    of predictions with a confidence: `n_predictions`, and `n` that have a truth, `accuracy` of
--          these, and `corrected`, an estimate of the accuracy of all of them with its standard error.
--          `covered` is the share of predictions in a stratum with a truth: only these are estimated.
-- Formula  corrected = sum of N p / sum of N over strata with N predictions and p of their truths right;
--          standard error = sqrt(sum of (N / sum of N)^2 q (1 - q) / n), q = (right + 1) / (n + 2), so
--          that a stratum without an error is not taken for certain.
-- Strata   of each class, 64 equal parts of confidence, from the lowest joined until there are at least
--          `few` truths. A rest with fewer belongs to the last one.
-- Limits   it corrects for what the predicted class and its confidence tell, and nothing else.
CREATE OR REPLACE FUNCTION truthline_internal.corrected_accuracy(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n_predictions bigint, n bigint,
    accuracy float8, corrected float8, standard_error float8, covered float8
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH bin AS (
        SELECT place, label_id, bin, coalesce(made.n, 0) AS n_made, coalesce(known.n, 0) AS n_known,
               coalesce(known.n_right, 0) AS n_right
        FROM (SELECT place, label_id, bin, n
              FROM truthline_internal.score_cells(series, edges, as_of)
              WHERE label_id IS NOT NULL) AS made
        FULL JOIN (SELECT place, predicted_label AS label_id, bin, n, n_right
                   FROM truthline_internal.labelled_cells(series, edges, as_of)) AS known USING (place, label_id, bin)
    ),
    joined AS (
        SELECT place, label_id, n_made, n_known, n_right,
               least((sum(n_known) OVER lower - n_known) / truthline_internal.few(),
                     greatest(floor(sum(n_known) OVER class / truthline_internal.few()), 1) - 1
                    )::integer AS stratum
        FROM bin
        WINDOW class AS (PARTITION BY place, label_id),
               lower AS (PARTITION BY place, label_id ORDER BY bin)
    ),
    stratum AS (
        SELECT place, sum(n_made)::float8 AS n_made, sum(n_known)::float8 AS n_known,
               sum(n_right)::float8 AS n_right
        FROM joined GROUP BY place, label_id, stratum
    ),
    total AS (
        SELECT place, sum(n_made) AS n_made, sum(n_known) AS n_known, sum(n_right) AS n_right,
               sum(n_made) FILTER (WHERE n_known > 0) AS n_covered,
               sum(n_made * n_right / nullif(n_known, 0)) AS n_estimated,
               sqrt(sum(n_made ^ 2 * (n_right + 1) * (n_known - n_right + 1)
                        / (n_known + 2) ^ 2 / nullif(n_known, 0))) AS error
        FROM stratum GROUP BY place
    )
    SELECT grid.bucket_start, grid.bucket_end, coalesce(n_made, 0)::bigint,
           coalesce(n_known, 0)::bigint, n_right / nullif(n_known, 0),
           n_estimated / nullif(n_covered, 0), error / nullif(n_covered, 0),
           coalesce(n_covered, 0) / nullif(n_made, 0)
    FROM truthline_internal.buckets_of(edges) AS grid LEFT JOIN total USING (place)
    ORDER BY grid.place
$$;
COMMENT ON FUNCTION truthline_internal.corrected_accuracy(integer[], timestamptz[], timestamptz) IS
    'Accuracy corrected for which predictions got a truth, per bucket.';

-- corrected_interval: its confidence interval, on the logit.
CREATE OR REPLACE FUNCTION truthline_internal.corrected_interval(
    corrected float8, standard_error float8, n bigint, z float8
) RETURNS TABLE (low float8, high float8) LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT low, high FROM truthline_internal.interval_of(
        ROW(NULL, 'accuracy', NULL, n, NULL, corrected, standard_error, 'fraction'
           )::truthline_internal.estimate, z)
$$;
COMMENT ON FUNCTION truthline_internal.corrected_interval(float8, float8, bigint, float8) IS
    'The confidence interval of a corrected accuracy.';
