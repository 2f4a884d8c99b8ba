-- Confidence intervals of metrics of scores.
--
-- Formula  ROC AUC: DeLong's. The placement of a hit is the share of misses with a lower score (equal ones
--          count half), that of a miss the share of hits with a higher one; the variance is that of the
--          placements of hits / hits + that of the placements of misses / misses. Average precision: the
--          logit interval of Boyd, Eng and Page (2013), as of a share of hits: its variance is
--          value (1 - value) / hits. Brier score: a mean of (score - y)^2. Log loss: a mean of losses,
--          which are skewed, so that its interval is one on the logarithm.
-- Null     for ROC AUC with fewer than `few_of_class` hits or misses, for average precision with fewer
--          hits, and as any estimate.

-- spread_query: text of a query for the mean loss of scores and how much losses vary.
--
-- Params   `cells` is the text of a query for cells, `loss` an expression of a score and of whether it is a
--          hit; $4 stands for the mean of each bucket.
-- Grain    one row per bucket with truths, which `n` counts.
-- Units    `of_losses` adds up the squared differences from the mean.
-- Why      squares are of differences from the mean that cells already know, nearly to the last digit: so
--          one pass loses no digits.
CREATE OR REPLACE FUNCTION truthline_internal.spread_query(cells text, loss text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT format($query$
        WITH cell AS MATERIALIZED (%s)
        SELECT place, n, $4[place] + more / n, greatest(of_losses - more * more / n, 0)
        FROM (
            SELECT place, sum(sign) AS n, sum(sign * more) AS more, sum(sign * more * more) AS of_losses
            FROM (SELECT place, sign, %s - $4[place]
                  FROM (%s) AS score OFFSET 0) AS single (place, sign, more)
            GROUP BY place HAVING sum(sign) > 0
        ) AS added
        $query$, cells, loss, truthline_internal.scores_in('SELECT * FROM cell'))
$$;
COMMENT ON FUNCTION truthline_internal.spread_query(text, text) IS
    'The text of a query for the mean loss of scores and how much losses vary.';

-- true_cells: text of a query for the scores of the true class of a binary model, as those of ranked_cells:
-- of the predicted class where that was right, and of the other one where it was wrong. All are hits.
CREATE OR REPLACE FUNCTION truthline_internal.true_cells(
    series integer[], edges timestamptz[], as_of timestamptz
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format($query$
        SELECT place, NULL::integer AS predicted_label, sign(n)::integer AS sign, of.hits,
               NULL::float8[] AS misses, of.form
        FROM (%s) AS cell
        CROSS JOIN LATERAL (
            VALUES (CASE WHEN kept = 1 THEN others_right ELSE scores_right END, (kept = 1)::integer),
                   (CASE WHEN kept > 1 THEN scores_wrong ELSE others_wrong END, greatest(kept - 1, 0))
        ) AS of (hits, form)
        $query$, truthline_internal.pieces_query(
            truthline_internal.wanted_of(
                'ranked', '{kept,n,scores_right,scores_wrong,others_right,others_wrong}'),
            series, edges, as_of))
$$;
COMMENT ON FUNCTION truthline_internal.true_cells(integer[], timestamptz[], timestamptz) IS
    'The text of a query for the scores of the true class of a binary model.';

-- loss_spread: Brier score and log loss of a binary model, and how much the losses vary that they are means
-- of.
--
-- Grain    one row per (bucket with truths, metric).
-- Cost     every score of the window, twice. Squares of doubles below 1e-70 count as 0: PostgreSQL would
--          raise an error.
CREATE OR REPLACE FUNCTION truthline_internal.loss_spread(
    series integer[], edges timestamptz[], as_of timestamptz, class integer
) RETURNS TABLE (metric text, place integer, n bigint, loss float8, of_losses float8)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET extra_float_digits = 1
SET jit = off SET enable_nestloop = off SET enable_mergejoin = off AS $function$
#variable_conflict use_column
DECLARE
    reach record;
    brier float8[];
    logarithmic float8[];
BEGIN
    SELECT array_agg(coalesce(brier_score, 0) ORDER BY bucket_start),
           array_agg(coalesce(log_loss, 0) ORDER BY bucket_start)
    INTO brier, logarithmic
    FROM truthline_internal.score_losses(series, edges, as_of, class);
    SELECT * INTO STRICT reach FROM truthline_internal.reach('ranked', series, edges, as_of);
    RETURN QUERY EXECUTE format('SELECT %L, * FROM (%s) AS spread', 'brier_score',
        truthline_internal.spread_query(
            truthline_internal.ranked_cells(series, reach.reached_edges, reach.reached_as_of),
            'CASE WHEN is_hit THEN (1 - score) * (1 - score)'
            ' WHEN score > 1e-70 THEN score * score ELSE 0 END'))
    USING series, reach.reached_edges, class, brier;
    RETURN QUERY EXECUTE format('SELECT %L, * FROM (%s) AS spread', 'log_loss',
        truthline_internal.spread_query(
            truthline_internal.true_cells(series, reach.reached_edges, reach.reached_as_of),
            '-ln(least(greatest(score, 2.220446049250313e-16), 1 - 2.220446049250313e-16))'))
    USING series, reach.reached_edges, class, logarithmic;
END
$function$;
COMMENT ON FUNCTION truthline_internal.loss_spread(integer[], timestamptz[], timestamptz, integer) IS
    'Brier score and log loss of a binary model per bucket, and how much their losses vary.';

-- score_estimates: how far the metrics of the scores of a class may be from the truth, per bucket.
-- Grain    one row per (bucket with truths, metric); with `one_vs_rest` there are no Brier score and no log
--          loss, because those of a model with more than two classes are about all of them.
-- Cost     that of placements and loss_spread.
CREATE OR REPLACE FUNCTION truthline_internal.score_estimates(
    series integer[], edges timestamptz[], as_of timestamptz, class integer,
    one_vs_rest boolean DEFAULT false
) RETURNS SETOF truthline_internal.estimate LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH placed AS MATERIALIZED (
        SELECT place, score, hits, misses, n_hits, n_equal, n_between,
               (misses - misses_from + n_equal / 2::float8) / nullif(misses, 0) AS of_hit,
               (hits_from - n_hits / 2::float8) / hits AS of_equal, (hits_from - n_hits) / hits AS of_higher,
               hits_from::float8 / (hits_from + misses_from) AS "precision"
        FROM (
            SELECT p.*, (max(hits_from) OVER bucket)::float8 AS hits,
                   (max(misses_from) OVER bucket)::float8 AS misses
            FROM truthline_internal.placements(series, edges, as_of, class, one_vs_rest) AS p
            WINDOW bucket AS (PARTITION BY place)
        ) AS p
    ),
    mean AS (
        SELECT place, hits, misses, sum(n_hits * of_hit) / hits AS area,
               sum(n_hits * "precision" ORDER BY score) / hits AS average_precision
        FROM placed GROUP BY place, hits, misses
    ),
    spread AS (
        SELECT place, mean.hits, mean.misses, area, average_precision,
               sum(n_hits * (of_hit - area) * (of_hit - area)) AS of_hits,
               sum(n_equal * (of_equal - area) * (of_equal - area)
                   + n_between * (of_higher - area) * (of_higher - area)) AS of_misses
        FROM placed JOIN mean USING (place)
        GROUP BY place, mean.hits, mean.misses, area, average_precision
    ),
    lost AS MATERIALIZED (
        SELECT * FROM truthline_internal.loss_spread(series, edges, as_of, class) WHERE NOT one_vs_rest
    ),
    bucket AS (
        SELECT place, n FROM lost WHERE metric = 'brier_score'
        UNION ALL
        SELECT place, sum(n)::bigint
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
        SELECT place, 'average_precision', NULL,
               CASE WHEN hits >= truthline_internal.few_of_class() THEN n ELSE 0 END, NULL,
               average_precision,
               sqrt(greatest(average_precision * (1 - average_precision), 0) / nullif(hits, 0)),
               'fraction'
    ) AS e
    UNION ALL
    SELECT place, metric, NULL, n, NULL, loss, sqrt(of_losses / nullif(n - 1, 0) / n),
           CASE metric WHEN 'log_loss' THEN 'square' ELSE 'mean' END
    FROM lost
$$;
COMMENT ON FUNCTION truthline_internal.score_estimates(integer[], timestamptz[], timestamptz, integer, boolean) IS
    'How far metrics of the scores of a class may be from the truth, per bucket.';

-- score_bounds: the confidence intervals of those, in columns.
-- Grain    one row per bucket with truths; none if `confidence` or `class` is NULL.
CREATE OR REPLACE FUNCTION truthline_internal.score_bounds(
    series integer[], edges timestamptz[], as_of timestamptz, class integer, confidence float8,
    one_vs_rest boolean DEFAULT false
) RETURNS TABLE (
    place integer, brier_score_low float8, brier_score_high float8, roc_auc_low float8,
    roc_auc_high float8, average_precision_low float8, average_precision_high float8,
    log_loss_low float8, log_loss_high float8
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
           max(low) FILTER (WHERE e.metric = 'roc_auc'), max(high) FILTER (WHERE e.metric = 'roc_auc'),
           max(low) FILTER (WHERE e.metric = 'average_precision'),
           max(high) FILTER (WHERE e.metric = 'average_precision'),
           max(low) FILTER (WHERE e.metric = 'log_loss'), max(high) FILTER (WHERE e.metric = 'log_loss')
    FROM truthline_internal.score_estimates(series, edges, as_of, class, one_vs_rest) AS e
    CROSS JOIN LATERAL truthline_internal.interval_of(e, z) AS bounds
    GROUP BY 1;
END
$function$;
COMMENT ON FUNCTION truthline_internal.score_bounds(integer[], timestamptz[], timestamptz, integer, float8, boolean) IS
    'Confidence intervals of the metrics of the scores of a class per bucket, in columns.';
