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
--          harmonic_f1 = harmonic mean of the averaged precision and
--          recall, 0 if both are 0: what Seldon's metrics server calls f1.
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
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH cell AS MATERIALIZED (
        SELECT c.place, c.predicted_label AS predicted, c.actual_label AS actual, c.n
        FROM truthline_internal.outcome_cells(series, edges, as_of) AS c
        WHERE c.predicted_label IS NOT NULL
    ),
    known AS (
        SELECT count(*) AS classes FROM (
            SELECT unnest(declared) UNION SELECT predicted FROM cell UNION SELECT actual FROM cell
        ) AS class
    ),
    total AS (
        SELECT place, sum(n)::bigint AS n,
               coalesce(sum(n) FILTER (WHERE predicted = actual), 0)::float8 AS correct,
               array_agg(predicted ORDER BY actual, predicted) AS predicted,
               array_agg(actual ORDER BY actual, predicted) AS actual,
               array_agg(n ORDER BY actual, predicted) AS counts
        FROM cell
        GROUP BY place
    ),
    class AS (
        SELECT cell.place, side.class,
               sum(side.hit)::float8 AS true_positive,
               sum(side.as_actual)::float8 AS actual,
               sum(side.as_predicted)::float8 AS predicted
        FROM cell
        CROSS JOIN LATERAL (VALUES
            (cell.actual, cell.n, 0::bigint, CASE WHEN cell.actual = cell.predicted THEN cell.n ELSE 0 END),
            (cell.predicted, 0::bigint, cell.n, 0::bigint)
        ) AS side (class, as_actual, as_predicted, hit)
        GROUP BY 1, 2
    ),
    ratio AS (
        SELECT class.place, class.class, class.actual, total.n,
               true_positive / nullif(class.predicted, 0) AS "precision",
               true_positive / nullif(class.actual, 0) AS recall,
               1 - (class.predicted - true_positive) / nullif(total.n - class.actual, 0)
                   AS specificity,
               2 * true_positive / nullif(class.predicted + class.actual, 0) AS f1,
               CASE WHEN average = 'weighted' THEN class.actual ELSE 1 END AS weight,
               class.predicted
        FROM class JOIN total USING (place)
    ),
    mean AS (
        SELECT place,
               -- if no class that has a precision ever occurs, all predictions are wrong
               coalesce(sum(weight * "precision")
                            / nullif(sum(weight) FILTER (WHERE "precision" IS NOT NULL), 0),
                        avg("precision")) AS "precision",
               sum(weight * recall) / nullif(sum(weight) FILTER (WHERE recall IS NOT NULL), 0) AS recall,
               sum(weight * f1) / nullif(sum(weight) FILTER (WHERE f1 IS NOT NULL), 0) AS f1,
               coalesce(CASE WHEN average = 'weighted' THEN sum(weight * specificity)
                            / nullif(sum(weight) FILTER (WHERE specificity IS NOT NULL), 0) END,
                        -- with the classes that this bucket lacks: their specificity is 1
                        (coalesce(sum(specificity), 0) + known.classes - count(*))
                            / nullif(count(specificity) + known.classes - count(*), 0)
               ) AS specificity,
               -- whole numbers, exact as decimals
               sum(actual::numeric * predicted::numeric) AS sum_both,
               sum(actual::numeric ^ 2) AS sum_actual_squared,
               sum(predicted::numeric ^ 2) AS sum_predicted_squared,
               array_agg(class ORDER BY class) AS classes,
               array_agg("precision" ORDER BY class) AS class_precision,
               array_agg(recall ORDER BY class) AS class_recall,
               array_agg(f1 ORDER BY class) AS class_f1,
               array_agg(actual::bigint ORDER BY class) AS support
        FROM ratio CROSS JOIN known
        GROUP BY place, known.classes
    ),
    averaged AS (
        SELECT total.*, mean.classes, mean.class_precision, mean.class_recall, mean.class_f1,
               mean.support,
               CASE average WHEN 'micro' THEN micro.hit ELSE mean."precision" END AS "precision",
               CASE average WHEN 'micro' THEN micro.hit ELSE mean.recall END AS recall,
               CASE average WHEN 'micro' THEN micro.hit ELSE mean.f1 END AS f1,
               CASE average WHEN 'micro' THEN micro.specificity ELSE mean.specificity END
                   AS specificity,
               (total.correct::numeric * total.n - mean.sum_both)::float8 / nullif(sqrt(
                   (total.n::numeric ^ 2 - mean.sum_predicted_squared)::float8
                   * (total.n::numeric ^ 2 - mean.sum_actual_squared)::float8), 0)
                   AS matthews_correlation
        FROM total JOIN mean USING (place) CROSS JOIN known
        -- each row is a miss of one class and a false alarm of another, or a hit
        CROSS JOIN LATERAL (
            SELECT correct / n,
                   1 - (n - correct) / nullif(n * (known.classes - 1), 0)
        ) AS micro (hit, specificity)
    )
    SELECT grid.bucket_start, grid.bucket_end, coalesce(a.n, 0), a.correct / a.n,
           a."precision", a.recall, a.specificity, a.f1,
           CASE WHEN a."precision" + a.recall = 0 THEN 0
                ELSE 2 * a."precision" * a.recall / (a."precision" + a.recall) END,
           a.matthews_correlation,
           coalesce(a.predicted, '{}'), coalesce(a.actual, '{}'), coalesce(a.counts, '{}'),
           coalesce(a.classes, '{}'), coalesce(a.class_precision, '{}'),
           coalesce(a.class_recall, '{}'), coalesce(a.class_f1, '{}'), coalesce(a.support, '{}')
    FROM truthline_internal.buckets_of(edges) AS grid
    LEFT JOIN averaged AS a USING (place)
    ORDER BY grid.place
$$;
COMMENT ON FUNCTION truthline_internal.classification_metrics(integer[], timestamptz[], timestamptz, integer[], text) IS
    'Accuracy, precision, recall, specificity and F1 per bucket and per class, with the confusion matrix as cells.';
