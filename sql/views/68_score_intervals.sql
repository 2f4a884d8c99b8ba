-- Confidence intervals of metrics of scores.
--
-- Formula  ROC AUC: DeLong's. The placement of a hit is the share of misses with a lower score (equal ones
--          count half), that of a miss the share of hits with a higher one; the variance is that of the
--          placements of hits / hits + that of the placements of misses / misses. Brier score: a mean
--          of (score - y)^2.
-- Null     for ROC AUC with fewer than `few_of_class` hits or misses, and as any estimate.

-- loss_spread: the mean squared distance of scores from what they should be, and how much it varies.
--
-- Grain    one row per bucket with truths, which `n` counts.
-- Units    `loss` is the mean of (score - y)^2; `of_losses` adds up the squared differences from it.
-- Cost     every score of the window. Squares of doubles below 1e-70 count as 0: PostgreSQL would raise an
--          error.
-- Why      squares are of differences from the mean that cells already know, nearly to the last digit: so
--          one pass loses no digits.
CREATE OR REPLACE FUNCTION truthline_internal.loss_spread(
    series integer[], edges timestamptz[], as_of timestamptz, class integer
) RETURNS TABLE (place integer, n bigint, loss float8, of_losses float8)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET extra_float_digits = 1
SET jit = off SET enable_nestloop = off SET enable_mergejoin = off AS $function$
DECLARE
    reach record;
    means float8[] := ARRAY(SELECT coalesce(losses.brier_score, 0)
                            FROM truthline_internal.score_losses(series, edges, as_of, class) AS losses);
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.ranked_reach(series, edges, as_of);
    RETURN QUERY EXECUTE format($query$
        WITH cell AS MATERIALIZED (%s)
        SELECT place, n, $4[place] + more / n, greatest(of_losses - more * more / n, 0)
        FROM (
            SELECT place, sum(sign) AS n, sum(sign * more) AS more, sum(sign * more * more) AS of_losses
            FROM (SELECT place, sign, CASE WHEN is_hit THEN (1 - score) * (1 - score)
                                           WHEN score > 1e-70 THEN score * score ELSE 0 END - $4[place]
                  FROM (%s) AS score OFFSET 0) AS single (place, sign, more)
            GROUP BY place HAVING sum(sign) > 0
        ) AS added
        $query$,
        reach.cells,
        truthline_internal.scores_in('SELECT * FROM cell'))
    USING series, reach.edges_reached, class, means;
END
$function$;
COMMENT ON FUNCTION truthline_internal.loss_spread(integer[], timestamptz[], timestamptz, integer) IS
    'The mean squared distance of scores from what they should be per bucket, and how much it varies.';

-- score_estimates: how far ROC AUC and Brier score of a class may be from the truth, per bucket.
-- Grain    one row per (bucket with truths, metric); with `one_vs_rest` there is no Brier score, because
--          that of a model with more than two classes is about all of them.
-- Cost     that of placements and loss_spread.
CREATE OR REPLACE FUNCTION truthline_internal.score_estimates(
    series integer[], edges timestamptz[], as_of timestamptz, class integer,
    one_vs_rest boolean DEFAULT false
) RETURNS SETOF truthline_internal.estimate LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH placed AS MATERIALIZED (
        SELECT place, hits, misses, n_hits, n_equal, n_between,
               (misses - misses_from + n_equal / 2::float8) / nullif(misses, 0) AS of_hit,
               (hits_from - n_hits / 2::float8) / hits AS of_equal, (hits_from - n_hits) / hits AS of_higher
        FROM (
            SELECT p.*, (max(hits_from) OVER bucket)::float8 AS hits,
                   (max(misses_from) OVER bucket)::float8 AS misses
            FROM truthline_internal.placements(series, edges, as_of, class, one_vs_rest) AS p
            WINDOW bucket AS (PARTITION BY place)
        ) AS p
    ),
    mean AS (
        SELECT place, hits, misses, sum(n_hits * of_hit) / hits AS area
        FROM placed GROUP BY place, hits, misses
    ),
    spread AS (
        SELECT place, mean.hits, mean.misses, area,
               sum(n_hits * (of_hit - area) * (of_hit - area)) AS of_hits,
               sum(n_equal * (of_equal - area) * (of_equal - area)
                   + n_between * (of_higher - area) * (of_higher - area)) AS of_misses
        FROM placed JOIN mean USING (place) GROUP BY place, mean.hits, mean.misses, area
    ),
    bucket AS (
        SELECT place, n, loss, of_losses
        FROM truthline_internal.loss_spread(series, edges, as_of, class) WHERE NOT one_vs_rest
        UNION ALL
        SELECT place, sum(n)::bigint, NULL, NULL
        FROM truthline_internal.versus_cells(series, edges, as_of)
        WHERE class_label = class AND one_vs_rest GROUP BY place HAVING sum(n) > 0
    )
    SELECT e.*
    FROM bucket
    LEFT JOIN spread USING (place)
    CROSS JOIN LATERAL (
        SELECT place, 'roc_auc', NULL::integer,
               CASE WHEN least(coalesce(hits, 0), misses) >= truthline_internal.few_of_class()
                    THEN n ELSE 0 END,
               NULL::bigint, area,
               sqrt(of_hits / nullif(hits - 1, 0) / nullif(hits, 0)
                    + of_misses / nullif(misses - 1, 0) / nullif(misses, 0)), 'fraction'
        UNION ALL
        SELECT place, 'brier_score', NULL, n, NULL, loss,
               sqrt(of_losses / nullif(n - 1, 0) / n), 'mean' WHERE NOT one_vs_rest
    ) AS e
$$;
COMMENT ON FUNCTION truthline_internal.score_estimates(integer[], timestamptz[], timestamptz, integer, boolean) IS
    'How far ROC AUC and Brier score of a class may be from the truth, per bucket.';

-- score_bounds: the confidence intervals of those, in columns.
-- Grain    one row per bucket with truths; none if `confidence` or `class` is NULL.
CREATE OR REPLACE FUNCTION truthline_internal.score_bounds(
    series integer[], edges timestamptz[], as_of timestamptz, class integer, confidence float8,
    one_vs_rest boolean DEFAULT false
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
    FROM truthline_internal.score_estimates(series, edges, as_of, class, one_vs_rest) AS e
    CROSS JOIN LATERAL truthline_internal.interval_of(e, z) AS bounds
    GROUP BY 1;
END
$function$;
COMMENT ON FUNCTION truthline_internal.score_bounds(integer[], timestamptz[], timestamptz, integer, float8, boolean) IS
    'Confidence intervals of the metrics of the scores of a class per bucket, in columns.';
