-- Metrics of scores, for people: everything by name.

-- asked_of_scores: what `asked` returns, and the class that scores are about, as of class_of_scores.
CREATE OR REPLACE FUNCTION truthline_internal.asked_of_scores(
    workspace text, model text, version text, deployment text, namespace text, pipeline text,
    start_time timestamptz, end_time timestamptz, width interval, origin timestamptz, zone text,
    tags jsonb, as_of timestamptz, positive_class text
) RETURNS TABLE (
    series integer[], edges timestamptz[], positive integer, positive_name text, one_vs_rest boolean
) LANGUAGE sql STABLE PARALLEL RESTRICTED SET search_path = pg_catalog, pg_temp AS $$
    SELECT asked.series, asked.edges, class.positive, label.name, class.one_vs_rest
    FROM truthline_internal.asked(
        workspace, model, version, deployment, namespace, pipeline, start_time, end_time, width, origin,
        zone, tags) AS asked
    CROSS JOIN LATERAL truthline_internal.class_of_scores(
        truthline.model_id(workspace, model, namespace, pipeline), as_of, positive_class) AS class
    LEFT JOIN truthline_data.label ON label.id = class.positive
$$;
COMMENT ON FUNCTION truthline_internal.asked_of_scores(text, text, text, text, text, text, timestamptz, timestamptz, interval, timestamptz, text, jsonb, timestamptz, text) IS
    'The series and the edges of buckets that names and a window stand for, and the class of scores.';

-- score_metrics: metrics of the scores of a classifier, per bucket.
--
-- Params   `positive_class` is one of the classes of a model with two classes, or a declared one of a model
--          with more; NULL means the one that the model declares. Only the metrics in `metrics` are
--          computed; NULL means all.
-- Units    as those by id; `positive` names that class; NULL for a model that has more than two classes
--          and declares none.
CREATE OR REPLACE FUNCTION truthline.score_metrics(
    workspace text, model text, start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity', positive_class text DEFAULT NULL,
    tags jsonb DEFAULT NULL,
    metrics text[] DEFAULT NULL, confidence float8 DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint, n_positive bigint, log_loss float8,
    brier_score float8, roc_auc float8, average_precision float8, calibration_error float8,
    positive text, brier_score_low float8, brier_score_high float8, roc_auc_low float8,
    roc_auc_high float8, n_unranked bigint, average_precision_low float8, average_precision_high float8,
    log_loss_low float8, log_loss_high float8
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT m.bucket_start, m.bucket_end, m.n, m.n_positive, m.log_loss, m.brier_score, m.roc_auc,
           m.average_precision, m.calibration_error, asked.positive_name, b.brier_score_low,
           b.brier_score_high, b.roc_auc_low, b.roc_auc_high, m.n_unranked, b.average_precision_low,
           b.average_precision_high, b.log_loss_low, b.log_loss_high
    FROM truthline_internal.asked_of_scores(
        workspace, model, version, deployment, namespace, pipeline, start_time, end_time, width, origin,
        zone, tags, as_of, positive_class) AS asked
    CROSS JOIN LATERAL truthline_internal.score_metrics(
        asked.series, asked.edges, as_of, asked.positive, metrics, asked.one_vs_rest) AS m
    LEFT JOIN truthline_internal.score_bounds(
        asked.series, asked.edges, as_of, asked.positive, confidence, asked.one_vs_rest) AS b
        ON asked.edges[b.place] = m.bucket_start
    ORDER BY m.bucket_start
$$;
COMMENT ON FUNCTION truthline.score_metrics(text, text, timestamptz, timestamptz, interval, text, text, text, text, timestamptz, text, timestamptz, text, jsonb, text[], float8) IS
    'Log loss, Brier score, ROC AUC, average precision and calibration error of a classifier per bucket, with confidence intervals.';

-- score_thresholds: confusion counts of the positive class at thresholds of its score, per bucket.
--
-- Grain    one row per (bucket with a truth, threshold). A model without a positive class has none.
-- Units    a score at or above the threshold predicts the positive class; precision, recall and the
--          false positive rate are fractions of 1, NULL where a denominator is 0.
CREATE OR REPLACE FUNCTION truthline.score_thresholds(
    workspace text, model text, start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity', positive_class text DEFAULT NULL,
    tags jsonb DEFAULT NULL,
    thresholds float8[] DEFAULT '{0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9}'
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, threshold float8, true_positives bigint,
    false_positives bigint, false_negatives bigint, true_negatives bigint, "precision" float8,
    recall float8, false_positive_rate float8, positive text, n_unranked bigint
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    WITH asked AS MATERIALIZED (
        SELECT * FROM truthline_internal.asked_of_scores(
            workspace, model, version, deployment, namespace, pipeline, start_time, end_time, width,
            origin, zone, tags, as_of, positive_class)
    ),
    unranked AS MATERIALIZED (
        SELECT u.* FROM asked
        CROSS JOIN LATERAL truthline_internal.unranked(
            asked.series, asked.edges, as_of, asked.positive, asked.one_vs_rest) AS u
    )
    SELECT grid.bucket_start, grid.bucket_end, t.threshold, t.true_positives, t.false_positives,
           t.false_negatives, t.true_negatives, r.*, asked.positive_name, coalesce(unranked.n, 0)
    FROM asked
    CROSS JOIN LATERAL truthline_internal.at_thresholds(
        asked.series, asked.edges, as_of, asked.positive, thresholds, asked.one_vs_rest) AS t
    LEFT JOIN unranked USING (place)
    JOIN LATERAL truthline_internal.buckets_of(asked.edges) AS grid USING (place)
    CROSS JOIN LATERAL truthline_internal.threshold_rates(
        t.true_positives, t.false_positives, t.false_negatives, t.true_negatives) AS r
    WHERE asked.positive IS NOT NULL
    ORDER BY t.place, t.threshold
$$;
COMMENT ON FUNCTION truthline.score_thresholds(text, text, timestamptz, timestamptz, interval, text, text, text, text, timestamptz, text, timestamptz, text, jsonb, float8[]) IS
    'Confusion counts, precision and recall of the positive class at thresholds of its score, per bucket.';

-- score_curve: the ROC and precision-recall curves of the positive class, per bucket.
--
-- Grain    one row per point of a bucket's curve, from the highest threshold to the lowest.
-- Units    as those of score_thresholds.
-- Params   a curve has a point per distinct score, or if these are more, about `points` of them, which
--          are exact too: every nth score, the first and the last.
CREATE OR REPLACE FUNCTION truthline.score_curve(
    workspace text, model text, start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity', positive_class text DEFAULT NULL,
    tags jsonb DEFAULT NULL,
    points integer DEFAULT 200
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, threshold float8, true_positives bigint,
    false_positives bigint, false_negatives bigint, true_negatives bigint, "precision" float8,
    recall float8, false_positive_rate float8, positive text, n_unranked bigint
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    WITH asked AS MATERIALIZED (
        SELECT * FROM truthline_internal.asked_of_scores(
            workspace, model, version, deployment, namespace, pipeline, start_time, end_time, width,
            origin, zone, tags, as_of, positive_class)
    ),
    unranked AS MATERIALIZED (
        SELECT u.* FROM asked
        CROSS JOIN LATERAL truthline_internal.unranked(
            asked.series, asked.edges, as_of, asked.positive, asked.one_vs_rest) AS u
    )
    SELECT grid.bucket_start, grid.bucket_end, c.threshold, c.true_positives, c.false_positives,
           c.false_negatives, c.true_negatives, r.*, asked.positive_name, coalesce(unranked.n, 0)
    FROM asked
    CROSS JOIN LATERAL truthline_internal.score_curve(
        asked.series, asked.edges, as_of, asked.positive, points, asked.one_vs_rest) AS c
    LEFT JOIN unranked USING (place)
    JOIN LATERAL truthline_internal.buckets_of(asked.edges) AS grid USING (place)
    CROSS JOIN LATERAL truthline_internal.threshold_rates(
        c.true_positives, c.false_positives, c.false_negatives, c.true_negatives) AS r
    WHERE asked.positive IS NOT NULL
    ORDER BY c.place, c.threshold DESC
$$;
COMMENT ON FUNCTION truthline.score_curve(text, text, timestamptz, timestamptz, interval, text, text, text, text, timestamptz, text, timestamptz, text, jsonb, integer) IS
    'Points of the ROC and precision-recall curves of the positive class, per bucket.';

-- calibration: how often scores come true, per bucket and part of their range.
--
-- Grain    one row per (bucket, part with a truth).
-- Units    `part_start` and `part_end` bound the scores of a part, which includes its end; mean_score
--          and share of truths are fractions of 1. Without a positive class, scores are those of
--          the predicted class.
CREATE OR REPLACE FUNCTION truthline.calibration(
    workspace text, model text, start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity', positive_class text DEFAULT NULL,
    tags jsonb DEFAULT NULL,
    parts integer DEFAULT 10
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, part_start float8, part_end float8, n bigint,
    mean_score float8, share float8, positive text, n_unranked bigint
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    WITH asked AS MATERIALIZED (
        SELECT * FROM truthline_internal.asked_of_scores(
            workspace, model, version, deployment, namespace, pipeline, start_time, end_time, width,
            origin, zone, tags, as_of, positive_class)
    ),
    unranked AS MATERIALIZED (
        SELECT u.* FROM asked
        CROSS JOIN LATERAL truthline_internal.unranked(
            asked.series, asked.edges, as_of, asked.positive, asked.one_vs_rest) AS u
    )
    SELECT grid.bucket_start, grid.bucket_end, (c.part - 1) / parts::float8, c.part / parts::float8,
           c.n, c.mean_score, c.share, asked.positive_name,
           CASE WHEN asked.positive IS NOT NULL THEN coalesce(unranked.n, 0) END
    FROM asked
    CROSS JOIN LATERAL truthline_internal.calibration(
        asked.series, asked.edges, as_of, asked.positive, parts, asked.one_vs_rest) AS c
    LEFT JOIN unranked USING (place)
    JOIN LATERAL truthline_internal.buckets_of(asked.edges) AS grid USING (place)
    ORDER BY c.place, c.part
$$;
COMMENT ON FUNCTION truthline.calibration(text, text, timestamptz, timestamptz, interval, text, text, text, text, timestamptz, text, timestamptz, text, jsonb, integer) IS
    'How often the scores of a classifier come true, per bucket and part of their range.';
