-- Confidence intervals of metrics of scores.
--
-- Formula  ROC AUC: DeLong's. The placement of a hit is the share of misses with a lower score (equal ones
--          count half), that of a miss the share of hits with a higher one; the variance is that of the
--          placements of hits / hits + that of the placements of misses / misses. Brier score: a mean
--          of (score - y)^2.
-- Null     for ROC AUC with fewer than `few_of_class` hits or misses, and as any estimate.

-- score_estimates: how far ROC AUC and Brier score of a class may be from the truth, per bucket.
-- Cost     every number of the window.
CREATE OR REPLACE FUNCTION truthline_internal.score_estimates(
    series integer[], edges timestamptz[], as_of timestamptz, class integer
) RETURNS SETOF truthline_internal.estimate LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH ranked AS (
        SELECT place, n_hits::float8, n_misses::float8,
               CASE WHEN score > 1e-70 THEN score * score ELSE 0 END AS missed,
               (1 - score) * (1 - score) AS lacked, hits, misses,
               (misses - misses_above + n_misses / 2::float8) / nullif(misses, 0) AS above,
               (hits_above - n_hits / 2::float8) / nullif(hits, 0) AS below
        FROM (
            SELECT r.*, (sum(n_hits) OVER bucket)::float8 AS hits,
                   (sum(n_misses) OVER bucket)::float8 AS misses
            FROM truthline_internal.ranks(series, edges, as_of, class) AS r
            WINDOW bucket AS (PARTITION BY place)
        ) AS r
    ),
    mean AS (
        SELECT place, hits, misses, sum(n_hits * above) / nullif(hits, 0) AS area,
               sum(n_hits * lacked + n_misses * missed) / (hits + misses) AS loss
        FROM ranked GROUP BY place, hits, misses
    ),
    spread AS (
        SELECT place, hits, misses, area, loss,
               sum(n_hits * (above - area) * (above - area)) AS of_hits,
               sum(n_misses * (below - area) * (below - area)) AS of_misses,
               sum(n_hits * (lacked - loss) * (lacked - loss)
                   + n_misses * (missed - loss) * (missed - loss)) AS of_losses
        FROM ranked JOIN mean USING (place, hits, misses) GROUP BY place, hits, misses, area, loss
    )
    SELECT e.* FROM spread CROSS JOIN LATERAL (
        SELECT place, 'roc_auc', NULL::integer,
               CASE WHEN least(hits, misses) >= truthline_internal.few_of_class()
                    THEN (hits + misses)::bigint ELSE 0 END,
               NULL::bigint, area,
               sqrt(of_hits / nullif(hits - 1, 0) / nullif(hits, 0)
                    + of_misses / nullif(misses - 1, 0) / nullif(misses, 0)), 'fraction'
        UNION ALL
        SELECT place, 'brier_score', NULL, (hits + misses)::bigint, NULL, loss,
               sqrt(of_losses / nullif(hits + misses - 1, 0) / (hits + misses)), 'mean'
    ) AS e
$$;
COMMENT ON FUNCTION truthline_internal.score_estimates(integer[], timestamptz[], timestamptz, integer) IS
    'How far ROC AUC and Brier score of a class may be from the truth, per bucket.';

-- score_bounds: the confidence intervals of those, in columns.
-- Grain    one row per bucket with truths; none if `confidence` or `class` is NULL.
CREATE OR REPLACE FUNCTION truthline_internal.score_bounds(
    series integer[], edges timestamptz[], as_of timestamptz, class integer, confidence float8
) RETURNS TABLE (
    place integer, brier_score_low float8, brier_score_high float8, roc_auc_low float8,
    roc_auc_high float8
) LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
#variable_conflict use_column
DECLARE
    z float8 := truthline_internal.normal_quantile(confidence);
BEGIN
    IF confidence IS NULL OR class IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT e.place,
           max(low) FILTER (WHERE e.metric = 'brier_score'),
           max(high) FILTER (WHERE e.metric = 'brier_score'),
           max(low) FILTER (WHERE e.metric = 'roc_auc'), max(high) FILTER (WHERE e.metric = 'roc_auc')
    FROM truthline_internal.score_estimates(series, edges, as_of, class) AS e
    CROSS JOIN LATERAL truthline_internal.interval_of(e, z) AS bounds
    GROUP BY 1;
END
$function$;
COMMENT ON FUNCTION truthline_internal.score_bounds(integer[], timestamptz[], timestamptz, integer, float8) IS
    'Confidence intervals of the metrics of the scores of a class per bucket, in columns.';
