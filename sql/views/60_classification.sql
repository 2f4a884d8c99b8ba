-- classification_metrics: accuracy and averages over classes, per bucket.
--
-- Grain    one row per bucket of the window, oldest first, including empty ones.
-- Units    every metric is a fraction of 1; NULL if the bucket has no truth.
--          `predicted`, `actual` and `counts` are parallel arrays of the bucket's cells; `classes`,
--          `class_precision`, `class_recall`, `class_f1` and `support` have one element per class that
--          occurs in the bucket, NULL if a class's denominator is zero.
-- Formula  for one class against all others: precision = TP/(TP+FP), recall = TP/(TP+FN),
--          specificity = TN/(TN+FP), f1 = 2 TP/(2 TP+FP+FN). `average` states how they are averaged:
--          macro     mean over the classes whose denominator is not zero
--          weighted  the same, weighted by how often a class is the truth (its support); if none of
--                    those classes ever is, the macro mean, as in scikit-learn
--          micro     from the sums of TP, FP, FN and TN over the classes
--          accuracy = correct / all. matthews_correlation = (correct n - sum p t) /
--          sqrt((n^2 - sum p^2) (n^2 - sum t^2)), where p and t count how often each class is
--          predicted and true; NULL if all predictions, or all truths, are one class.
--          harmonic_f1 = harmonic mean of the averaged precision and recall, 0 if both are 0: what
--          Seldon's metrics server calls f1.
-- Classes  those declared and those that occur in the window. If a class doesn't occur in a bucket,
--          every row there is a true negative of it, so its specificity is 1 and counts.
-- Cost     outcome_cells, and then only cells.
CREATE OR REPLACE FUNCTION truthline_internal.classification_metrics(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity',
    declared integer[] DEFAULT '{}', average text DEFAULT 'macro'
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint,
    accuracy float8, "precision" float8, recall float8, specificity float8, f1 float8,
    harmonic_f1 float8, matthews_correlation float8, predicted integer[], actual integer[], counts bigint[],
    classes integer[], class_precision float8[], class_recall float8[], class_f1 float8[],
    support bigint[]
) LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 100 AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH cell AS MATERIALIZED (
        SELECT c.place, c.predicted_label AS predicted, c.actual_label AS actual, c.n
        FROM truthline_internal.outcome_cells(series, edges, as_of) AS c
        WHERE c.predicted_label IS NOT NULL
        ORDER BY c.place, c.actual_label, c.predicted_label  -- so that both groupings below need no sort
    ),
    total AS (
        SELECT place, array_agg(predicted ORDER BY actual, predicted) AS predicted,
               array_agg(actual ORDER BY actual, predicted) AS actual,
               array_agg(n ORDER BY actual, predicted) AS counts
        FROM cell GROUP BY place
    ),
    class AS MATERIALIZED (
        SELECT place, class, truthline_internal.total(true_positive)::float8 AS true_positive,
               truthline_internal.total(actual)::float8 AS actual,
               truthline_internal.total(predicted)::float8 AS predicted
        FROM (
            SELECT place, actual AS class, truthline_internal.total(n) AS actual, 0::bigint AS predicted,
                   coalesce(truthline_internal.total(n) FILTER (WHERE actual = predicted), 0)
                       AS true_positive
            FROM cell GROUP BY 1, 2
            UNION ALL
            SELECT place, predicted, 0, truthline_internal.total(n), 0 FROM cell GROUP BY 1, 2
        ) AS side
        GROUP BY 1, 2
    ),
    known AS (
        SELECT count(*) AS classes FROM (SELECT unnest(declared) UNION SELECT class FROM class) AS class
    ),
    ratio AS (
        SELECT class.*,
               true_positive / nullif(predicted, 0) AS "precision",
               true_positive / nullif(actual, 0) AS recall,
               1 - (predicted - true_positive) / nullif(n - actual, 0) AS specificity,
               2 * true_positive / nullif(predicted + actual, 0) AS f1,
               CASE WHEN average = 'weighted' THEN actual ELSE 1 END AS weight
        FROM (
            SELECT *, sum(actual) OVER own AS n, sum(true_positive) OVER own AS correct
            FROM class
            WINDOW own AS (PARTITION BY place ORDER BY class
                           ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING)
        ) AS class
    ),
    mean AS (
        SELECT place, min(n) AS n, min(correct) AS correct,
               -- if no class that has a precision ever occurs, all predictions are wrong
               coalesce(sum(weight * "precision")
                            / nullif(sum(weight) FILTER (WHERE "precision" IS NOT NULL), 0),
                        avg("precision")) AS "precision",
               sum(weight * recall) / nullif(sum(weight) FILTER (WHERE recall IS NOT NULL), 0)
                   AS recall,
               sum(weight * f1) / nullif(sum(weight) FILTER (WHERE f1 IS NOT NULL), 0) AS f1,
               coalesce(CASE WHEN average = 'weighted' THEN sum(weight * specificity)
                            / nullif(sum(weight) FILTER (WHERE specificity IS NOT NULL), 0) END,
                        -- with the classes that this bucket lacks: their specificity is 1
                        (coalesce(sum(specificity), 0) + min(known.classes) - count(*))
                            / nullif(count(specificity) + min(known.classes) - count(*), 0)
               ) AS specificity,
               -- whole numbers: as doubles they are exact while n^2 is below 2^53
               sum(actual * predicted) AS sum_both,
               sum(actual * actual) AS sum_actual_squared,
               sum(predicted * predicted) AS sum_predicted_squared,
               sum(actual::numeric * predicted::numeric) FILTER (WHERE n > 9e7) AS exact_both,
               sum(actual::numeric ^ 2) FILTER (WHERE n > 9e7) AS exact_actual_squared,
               sum(predicted::numeric ^ 2) FILTER (WHERE n > 9e7) AS exact_predicted_squared,
               array_agg(class ORDER BY class) AS classes,
               array_agg("precision" ORDER BY class) AS class_precision,
               array_agg(recall ORDER BY class) AS class_recall,
               array_agg(f1 ORDER BY class) AS class_f1,
               array_agg(actual::bigint ORDER BY class) AS support
        FROM ratio CROSS JOIN known
        GROUP BY place
    ),
    averaged AS (
        SELECT mean.*, total.predicted, total.actual, total.counts,
               -- each row is a miss of one class and a false alarm of another, or a hit
               correct / n AS hit,
               1 - (n - correct) / nullif(n * (known.classes - 1), 0) AS micro_specificity,
               CASE WHEN n <= 9e7 THEN
                   (correct * n - sum_both) / nullif(sqrt(
                       (n * n - sum_predicted_squared) * (n * n - sum_actual_squared)), 0)
               ELSE
                   (correct::numeric * n::numeric - exact_both)::float8 / nullif(sqrt(
                       (n::numeric ^ 2 - exact_predicted_squared)::float8
                       * (n::numeric ^ 2 - exact_actual_squared)::float8), 0) END
                   AS matthews_correlation
        FROM mean JOIN total USING (place) CROSS JOIN known
    )
    SELECT grid.bucket_start, grid.bucket_end, coalesce(a.n, 0)::bigint, a.hit,
           harmonic."precision", harmonic.recall,
           CASE average WHEN 'micro' THEN a.micro_specificity ELSE a.specificity END,
           CASE average WHEN 'micro' THEN a.hit ELSE a.f1 END,
           CASE WHEN harmonic."precision" + harmonic.recall = 0 THEN 0
                ELSE 2 * harmonic."precision" * harmonic.recall
                     / (harmonic."precision" + harmonic.recall) END,
           a.matthews_correlation,
           coalesce(a.predicted, '{}'), coalesce(a.actual, '{}'), coalesce(a.counts, '{}'),
           coalesce(a.classes, '{}'), coalesce(a.class_precision, '{}'),
           coalesce(a.class_recall, '{}'), coalesce(a.class_f1, '{}'), coalesce(a.support, '{}')
    FROM truthline_internal.buckets_of(edges) AS grid
    LEFT JOIN averaged AS a USING (place)
    CROSS JOIN LATERAL (
        SELECT CASE average WHEN 'micro' THEN a.hit ELSE a."precision" END,
               CASE average WHEN 'micro' THEN a.hit ELSE a.recall END
    ) AS harmonic ("precision", recall)
    ORDER BY grid.place;
END
$function$;
COMMENT ON FUNCTION truthline_internal.classification_metrics(integer[], timestamptz[], timestamptz, integer[], text) IS
    'Accuracy, precision, recall, specificity and F1 per bucket and per class, with the confusion matrix as cells.';
