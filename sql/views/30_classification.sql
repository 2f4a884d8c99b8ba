-- classification_metrics: accuracy and macro averages, bucket by bucket.
--
-- Grain    one row per bucket of the window, oldest first, empty ones too.
-- Units    every metric is a fraction of 1; NULL where the bucket holds no truth.
--          `predicted`, `actual` and `counts` are the bucket's cells, side by side.
-- Formula  precision = mean of TP/(TP+FP), recall = mean of TP/(TP+FN), specificity = mean of
--          TN/(TN+FP), each over the classes whose denominator is not zero; f1 = harmonic mean
--          of that precision and that recall, 0 if both are 0; accuracy = correct / all.
--          This is how Seldon's metrics server defines them.
-- Classes  those declared and those that occur in the window. A class absent from a bucket is
--          a true negative of every row of it, so its specificity there is 1 and counts.
-- Cost     outcome_cells, and then only cells.
CREATE OR REPLACE FUNCTION truthline.classification_metrics(
    series integer[], start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, origin timestamptz DEFAULT NULL,
    declared integer[] DEFAULT '{}'
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint,
    accuracy float8, "precision" float8, recall float8, specificity float8, f1 float8,
    predicted integer[], actual integer[], counts bigint[]
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH cell AS MATERIALIZED (
        SELECT c.bucket, c.predicted_label AS predicted, c.actual_label AS actual, c.n
        FROM truthline.outcome_cells(series, start_time, end_time, width, origin) AS c
        WHERE c.predicted_label IS NOT NULL
    ),
    known AS (
        SELECT count(*) AS classes FROM (
            SELECT unnest(declared) UNION SELECT predicted FROM cell UNION SELECT actual FROM cell
        ) AS class
    ),
    total AS (
        SELECT bucket, sum(n)::bigint AS n,
               coalesce(sum(n) FILTER (WHERE predicted = actual), 0)::float8 AS correct,
               array_agg(predicted ORDER BY actual, predicted) AS predicted,
               array_agg(actual ORDER BY actual, predicted) AS actual,
               array_agg(n ORDER BY actual, predicted) AS counts
        FROM cell
        GROUP BY bucket
    ),
    class AS (
        SELECT cell.bucket, side.class,
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
    mean AS (
        SELECT class.bucket,
               avg(true_positive / nullif(class.predicted, 0)) AS "precision",
               avg(true_positive / nullif(class.actual, 0)) AS recall,
               coalesce(sum(1 - (class.predicted - true_positive) / nullif(total.n - class.actual, 0)), 0)
                   AS sum_specificity,
               count(*) FILTER (WHERE total.n <> class.actual) AS n_specificity,
               count(*) AS classes
        FROM class JOIN total USING (bucket)
        GROUP BY 1
    )
    SELECT grid.bucket_start, grid.bucket_end, coalesce(total.n, 0),
           total.correct / total.n,
           mean."precision",
           mean.recall,
           -- the classes that this bucket lacks add 1 each
           (mean.sum_specificity + known.classes - mean.classes)
               / nullif(mean.n_specificity + known.classes - mean.classes, 0),
           CASE WHEN mean."precision" + mean.recall = 0 THEN 0
                ELSE 2 * mean."precision" * mean.recall / (mean."precision" + mean.recall) END,
           coalesce(total.predicted, '{}'), coalesce(total.actual, '{}'), coalesce(total.counts, '{}')
    FROM truthline.buckets(start_time, end_time, width, origin) AS grid
    CROSS JOIN known
    LEFT JOIN total USING (bucket)
    LEFT JOIN mean USING (bucket)
    ORDER BY grid.bucket
$$;
COMMENT ON FUNCTION truthline.classification_metrics(integer[], timestamptz, timestamptz, interval, timestamptz, integer[]) IS
    'Accuracy, macro precision, recall, specificity and F1 per bucket, with the confusion matrix as cells.';
