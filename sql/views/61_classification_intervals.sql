-- classification_estimates: how far each metric of a classifier may be from the truth, per bucket.
--
-- Params   `places`, `predicted`, `actual` and `counts` are parallel arrays of the cells of all buckets;
--          `classes` counts those declared and those that occur in the window.
-- Grain    one row per (bucket, metric), and per (bucket, class, metric) for metrics of a class.
-- Formula  metrics as in classification_metrics. Accuracy, precision and recall of a class, and
--          averages that equal the accuracy, are shares. The others are functions of the shares of the
--          cells: each pair of classes counts as one draw of a multinomial distribution. The influence
--          of a cell is how much one more draw of it moves the metric, times n; the variance is the
--          mean of its squares divided by n (the delta method). `times_` are the factors of that: n
--          divided by the denominator of the class's metric.
-- Null     the standard error of an average over classes, if one of them has too few rows in its
--          denominator (few_of_class; twice as many for F1, whose denominator counts both).
-- Cost     the arrays, once for all buckets. Nested loops are off: the optimizer, which can't estimate how
--          long arrays are, would compare each cell with each class.
CREATE OR REPLACE FUNCTION truthline_internal.classification_estimates(
    places integer[], predicted integer[], actual integer[], counts bigint[], classes bigint,
    average text DEFAULT 'macro'
) RETURNS SETOF truthline_internal.estimate LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET enable_nestloop = off SET jit = off AS $$
    WITH cell AS MATERIALIZED (
        SELECT c.place, c.predicted, c.actual, c.n, (c.predicted = c.actual)::integer AS hit
        FROM unnest(places, predicted, actual, counts) AS c (place, predicted, actual, n)
        ORDER BY c.place, c.actual, c.predicted  -- sums of doubles depend on their order
    ),
    total AS (
        SELECT place, truthline_internal.total(n)::float8 AS n,
               truthline_internal.total(hit * n)::float8 AS correct
        FROM cell GROUP BY 1
    ),
    class AS (
        SELECT place, class, truthline_internal.total(true_positive)::float8 AS true_positive,
               truthline_internal.total(actual)::float8 AS actual,
               truthline_internal.total(predicted)::float8 AS predicted
        FROM (
            SELECT place, actual AS class, truthline_internal.total(n) AS actual, 0::bigint AS predicted,
                   truthline_internal.total(hit * n) AS true_positive
            FROM cell GROUP BY 1, 2
            UNION ALL
            SELECT place, predicted, 0, truthline_internal.total(n), 0 FROM cell GROUP BY 1, 2
        ) AS side
        GROUP BY 1, 2
    ),
    ratio AS MATERIALIZED (
        SELECT class.*, total.n, total.correct, class.actual / total.n AS share_actual,
               class.predicted / total.n AS share_predicted,
               CASE WHEN average = 'weighted' THEN class.actual / total.n ELSE 1 END AS weight,
               true_positive / nullif(predicted, 0) AS "precision",
               true_positive / nullif(actual, 0) AS recall,
               1 - (predicted - true_positive) / nullif(total.n - actual, 0) AS specificity,
               2 * true_positive / (predicted + actual) AS f1,
               total.n / nullif(predicted, 0) AS times_precision,
               total.n / nullif(actual, 0) AS times_recall,
               total.n / nullif(total.n - actual, 0) AS times_specificity,
               total.n / (predicted + actual) AS times_f1
        FROM class JOIN total USING (place)
    ),
    weight AS (
        SELECT place, n, correct,
               nullif(sum(weight) FILTER (WHERE predicted > 0), 0) AS of_precision,
               nullif(sum(weight) FILTER (WHERE actual > 0), 0) AS of_recall,
               nullif(sum(weight) FILTER (WHERE actual < n)
                      + CASE WHEN average = 'weighted' THEN 0 ELSE classes - count(*) END, 0)
                   AS of_specificity,
               sum(weight) AS of_f1,
               CASE WHEN average = 'weighted' THEN 0 ELSE classes - count(*) END AS of_absent,
               min(predicted) FILTER (WHERE predicted > 0 AND weight > 0) AS least_predicted,
               min(actual) FILTER (WHERE actual > 0) AS least_actual,
               min(n - actual) FILTER (WHERE actual < n AND weight > 0) AS least_other,
               min(predicted + actual) FILTER (WHERE weight > 0) AS least_either
        FROM ratio GROUP BY place, n, correct
    ),
    mean AS MATERIALIZED (
        SELECT weight.*,
               sum(r.weight * r."precision") / of_precision AS "precision",
               sum(r.weight * r.recall) / of_recall AS recall,
               (coalesce(sum(r.weight * r.specificity), 0) + of_absent) / of_specificity
                   AS specificity,
               sum(r.weight * r.f1) / of_f1 AS f1,
               sum(r.weight * (1 - r.specificity) * r.times_specificity) AS sum_other,
               weight.correct / weight.n - sum(share_actual * share_predicted) AS covariance,
               sum(share_actual * share_predicted) AS sum_both,
               sum(share_actual ^ 2) AS sum_actual, sum(share_predicted ^ 2) AS sum_predicted
        FROM weight JOIN ratio AS r USING (place)
        GROUP BY weight.place, weight.n, weight.correct, of_precision, of_recall, of_specificity, of_f1,
                 of_absent, least_predicted, least_actual, least_other, least_either
    ),
    influence AS (
        SELECT cell.place, cell.n::float8 AS drawn,
               (p.weight * (hit - p."precision") * p.times_precision
                + CASE WHEN average = 'weighted' AND a."precision" IS NOT NULL
                       THEN a."precision" - mean."precision" ELSE 0 END) / of_precision AS "precision",
               (a.weight * (hit - a.recall) * a.times_recall
                + CASE WHEN average = 'weighted' THEN a.recall - mean.recall ELSE 0 END)
                   / of_recall AS recall,
               (sum_other
                - coalesce(a.weight * (1 - a.specificity) * a.times_specificity, 0)
                - CASE WHEN hit = 1 THEN 0 ELSE p.weight * p.times_specificity END
                + CASE WHEN average = 'weighted' AND a.specificity IS NOT NULL
                       THEN a.specificity - mean.specificity ELSE 0 END)
                   / of_specificity AS specificity,
               (a.weight * (hit - a.f1) * a.times_f1 + p.weight * (hit - p.f1) * p.times_f1
                + CASE WHEN average = 'weighted' THEN a.f1 - mean.f1 ELSE 0 END) / of_f1 AS f1,
               hit - mean.correct / mean.n
                   - (a.share_predicted + p.share_actual - 2 * sum_both)
                   + covariance * ((p.share_predicted - sum_predicted) / nullif(1 - sum_predicted, 0)
                                   + (a.share_actual - sum_actual) / nullif(1 - sum_actual, 0))
                   AS covariance
        FROM cell
        JOIN ratio AS a ON a.place = cell.place AND a.class = cell.actual
        JOIN ratio AS p ON p.place = cell.place AND p.class = cell.predicted
        JOIN mean ON mean.place = cell.place
    ),
    variance AS (
        SELECT i.place, sum(drawn * i."precision" ^ 2) AS "precision", sum(drawn * i.recall ^ 2) AS recall,
               sum(drawn * i.specificity ^ 2) AS specificity, sum(drawn * i.f1 ^ 2) AS f1,
               sum(drawn * (mean.recall ^ 2 * i."precision" + mean."precision" ^ 2 * i.recall) ^ 2)
                   AS harmonic_f1,
               sum(drawn * i.covariance ^ 2) AS covariance
        FROM influence AS i JOIN mean USING (place)
        GROUP BY 1
    )
    SELECT ROW(mean.place, e.metric, NULL, mean.n,
               CASE WHEN e.is_share THEN mean.correct END, e.value,
               CASE WHEN NOT e.is_share AND e.is_enough THEN sqrt(e.variance) / mean.n END,
               CASE WHEN e.is_share THEN 'share' ELSE e.scale END)::truthline_internal.estimate
    FROM mean JOIN variance AS v USING (place)
    CROSS JOIN LATERAL (
        SELECT average = 'micro', mean.correct / mean.n, 1 - mean.sum_predicted, 1 - mean.sum_actual,
               truthline_internal.few_of_class()
    ) AS of (is_micro, accuracy, spread_predicted, spread_actual, few)
    CROSS JOIN LATERAL (VALUES
        ('accuracy', true, of.accuracy, NULL::float8, true, NULL),
        ('precision', of.is_micro, CASE WHEN of.is_micro THEN of.accuracy ELSE mean."precision" END,
         v."precision", least_predicted >= of.few, 'fraction'),
        ('recall', average <> 'macro',
         CASE WHEN average <> 'macro' THEN of.accuracy ELSE mean.recall END,
         v.recall, least_actual >= of.few, 'fraction'),
        ('specificity', false,
         CASE WHEN of.is_micro THEN 1 - (1 - of.accuracy) / nullif(classes - 1, 0)
              ELSE mean.specificity END,
         CASE WHEN of.is_micro
              THEN mean.n * of.accuracy * (1 - of.accuracy) / nullif(classes - 1, 0)::float8 ^ 2
              ELSE v.specificity END,
         of.is_micro OR least_other >= of.few, 'fraction'),
        ('f1', of.is_micro, CASE WHEN of.is_micro THEN of.accuracy ELSE mean.f1 END,
         v.f1, least_either >= 2 * of.few, 'fraction'),
        ('harmonic_f1', of.is_micro,
         CASE WHEN of.is_micro THEN of.accuracy
              ELSE 2 * mean."precision" * mean.recall / nullif(mean."precision" + mean.recall, 0) END,
         4 * v.harmonic_f1 / nullif(mean."precision" + mean.recall, 0) ^ 4,
         least(least_predicted, least_actual) >= of.few, 'fraction'),
        ('matthews_correlation', false,
         mean.covariance / nullif(sqrt(spread_predicted * spread_actual), 0),
         v.covariance / nullif(spread_predicted * spread_actual, 0), true, 'correlation')
    ) AS e (metric, is_share, value, variance, is_enough, scale)
    UNION ALL
    SELECT ROW(r.place, e.metric, r.class, e.n, r.true_positive, e.value, NULL, e.scale)
               ::truthline_internal.estimate
    FROM ratio AS r
    CROSS JOIN LATERAL (VALUES
        ('precision', r.predicted, r."precision", 'share'),
        ('recall', r.actual, r.recall, 'share'),
        ('f1', r.predicted + r.actual - r.true_positive, r.f1, 'f1')
    ) AS e (metric, n, value, scale)
$$;
COMMENT ON FUNCTION truthline_internal.classification_estimates(integer[], integer[], integer[], bigint[], bigint, text) IS
    'How far each metric of a classifier may be from the truth, per bucket and per class.';

-- classification_intervals: the confidence intervals of those estimates.
-- Grain    one row per (bucket, metric), and per (bucket, class, metric); bounds are NULL where there is
--          no interval.
CREATE OR REPLACE FUNCTION truthline_internal.classification_intervals(
    places integer[], predicted integer[], actual integer[], counts bigint[], classes bigint,
    average text DEFAULT 'macro', confidence float8 DEFAULT 0.95
) RETURNS TABLE (place integer, metric text, class integer, low float8, high float8)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT e.place, e.metric, e.class, i.low, i.high
    FROM (SELECT truthline_internal.normal_quantile(confidence) OFFSET 0) AS quantile (z)
    CROSS JOIN LATERAL truthline_internal.classification_estimates(
        places, predicted, actual, counts, classes, average) AS e
    CROSS JOIN LATERAL truthline_internal.interval_of(e, quantile.z) AS i
$$;
COMMENT ON FUNCTION truthline_internal.classification_intervals(integer[], integer[], integer[], bigint[], bigint, text, float8) IS
    'Confidence intervals of the metrics of a classifier, per bucket and per class.';

-- classification_bounds: the same per bucket, in columns, for functions by name.
-- Grain    one row per bucket with truths; none if `confidence` is NULL.
CREATE OR REPLACE FUNCTION truthline_internal.classification_bounds(
    places integer[], predicted integer[], actual integer[], counts bigint[], declared integer[],
    average text, confidence float8
) RETURNS TABLE (
    place integer, accuracy_low float8, accuracy_high float8, precision_low float8,
    precision_high float8, recall_low float8, recall_high float8, specificity_low float8,
    specificity_high float8, f1_low float8, f1_high float8, harmonic_f1_low float8,
    harmonic_f1_high float8, matthews_correlation_low float8, matthews_correlation_high float8
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $function$
#variable_conflict use_column
BEGIN
    IF confidence IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT i.place,
           max(low) FILTER (WHERE metric = 'accuracy'), max(high) FILTER (WHERE metric = 'accuracy'),
           max(low) FILTER (WHERE metric = 'precision'), max(high) FILTER (WHERE metric = 'precision'),
           max(low) FILTER (WHERE metric = 'recall'), max(high) FILTER (WHERE metric = 'recall'),
           max(low) FILTER (WHERE metric = 'specificity'),
           max(high) FILTER (WHERE metric = 'specificity'),
           max(low) FILTER (WHERE metric = 'f1'), max(high) FILTER (WHERE metric = 'f1'),
           max(low) FILTER (WHERE metric = 'harmonic_f1'),
           max(high) FILTER (WHERE metric = 'harmonic_f1'),
           max(low) FILTER (WHERE metric = 'matthews_correlation'),
           max(high) FILTER (WHERE metric = 'matthews_correlation')
    FROM (SELECT count(*) FROM (SELECT unnest(declared) UNION SELECT unnest(predicted)
                                UNION SELECT unnest(actual)) AS class) AS known (classes)
    CROSS JOIN LATERAL truthline_internal.classification_intervals(
        places, predicted, actual, counts, known.classes, average, confidence) AS i
    WHERE i.class IS NULL
    GROUP BY 1;
END
$function$;
COMMENT ON FUNCTION truthline_internal.classification_bounds(integer[], integer[], integer[], bigint[], integer[], text, float8) IS
    'Confidence intervals of the metrics of a classifier per bucket, in columns.';

-- class_bounds: the same per class.
-- Grain    one row per (bucket, class that occurs in it); none if `confidence` is NULL.
CREATE OR REPLACE FUNCTION truthline_internal.class_bounds(
    places integer[], predicted integer[], actual integer[], counts bigint[], confidence float8
) RETURNS TABLE (
    place integer, class integer, precision_low float8, precision_high float8, recall_low float8,
    recall_high float8, f1_low float8, f1_high float8
) LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $function$
#variable_conflict use_column
BEGIN
    IF confidence IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT i.place, i.class,
           max(low) FILTER (WHERE metric = 'precision'), max(high) FILTER (WHERE metric = 'precision'),
           max(low) FILTER (WHERE metric = 'recall'), max(high) FILTER (WHERE metric = 'recall'),
           max(low) FILTER (WHERE metric = 'f1'), max(high) FILTER (WHERE metric = 'f1')
    FROM truthline_internal.classification_intervals(
        places, predicted, actual, counts, 0, 'micro', confidence) AS i
    WHERE i.class IS NOT NULL
    GROUP BY 1, 2;
END
$function$;
COMMENT ON FUNCTION truthline_internal.class_bounds(integer[], integer[], integer[], bigint[], float8) IS
    'Confidence intervals of the metrics of each class per bucket, in columns.';
