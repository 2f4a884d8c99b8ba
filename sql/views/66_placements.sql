-- Where the scores of hits lie among those of misses: what average precision and the error of ROC AUC are
-- computed from.

-- placements: the distinct scores of hits, with the misses around each, per bucket.
--
-- Grain    one row per (bucket with hits, score of a hit), and one per such bucket for what lies below the
--          lowest of them, whose `score` is NULL and `n_hits` 0.
-- Units    `n_equal` misses have that score, `n_between` a higher one that is below that of the next hit;
--          `hits_from` and `misses_from` have that score or a higher one, and those of the additional
--          row are all.
-- Cost     every score of the window: those of hits are sorted, and each miss is looked up among them.
-- Why      arrays of scores must not be part of a sort or an aggregate, which would copy them for each
--          row: OFFSET 0 keeps them out.
CREATE OR REPLACE FUNCTION truthline_internal.placements(
    series integer[], edges timestamptz[], as_of timestamptz, class integer,
    one_vs_rest boolean DEFAULT false
) RETURNS TABLE (
    place integer, score float8, n_hits bigint, n_equal bigint, n_between bigint, hits_from bigint,
    misses_from bigint
) LANGUAGE plpgsql STABLE PARALLEL SAFE SET extra_float_digits = 1
SET jit = off SET enable_nestloop = off SET enable_mergejoin = off AS $function$
DECLARE
    reach record;
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.ranked_reach(series, edges, as_of, one_vs_rest);
    RETURN QUERY EXECUTE format($query$
        WITH cell AS MATERIALIZED (%s),
        hit AS MATERIALIZED (
            SELECT place, score, sum(sign) AS n_hits FROM (%s) AS score
            GROUP BY place, score HAVING sum(sign) <> 0
        ),
        ordered AS MATERIALIZED (
            SELECT place, array_agg(score ORDER BY score) AS scores FROM hit GROUP BY place
        ),
        miss AS MATERIALIZED (
            SELECT place, nth, sum(sign) AS n,
                   sum(CASE WHEN is_equal THEN sign ELSE 0 END) AS n_equal
            FROM (
                SELECT place, sign, nth, scores[nth] = score AS is_equal
                FROM (SELECT place, sign, score, scores, width_bucket(score, scores) AS nth
                      FROM (%s) AS score JOIN ordered USING (place) OFFSET 0) AS found
                OFFSET 0
            ) AS placed
            GROUP BY place, nth
        )
        SELECT place, score, n_hits, coalesce(n_equal, 0), coalesce(n - n_equal, 0),
               truthline_internal.total(n_hits) OVER higher,
               truthline_internal.total(coalesce(n, 0)) OVER higher
        FROM (
            SELECT place, row_number() OVER (PARTITION BY place ORDER BY score)::integer AS nth, score,
                   n_hits
            FROM hit
            UNION ALL
            SELECT place, 0, NULL, 0 FROM ordered
        ) AS numbered
        LEFT JOIN miss USING (place, nth)
        WINDOW higher AS (PARTITION BY place ORDER BY nth DESC)
        $query$,
        reach.cells,
        truthline_internal.scores_in('SELECT * FROM cell', 'hits'),
        truthline_internal.scores_in('SELECT * FROM cell', 'misses'))
    USING series, reach.edges_reached, class;
END
$function$;
COMMENT ON FUNCTION truthline_internal.placements(integer[], timestamptz[], timestamptz, integer, boolean) IS
    'The distinct scores of hits per bucket, with the misses around each.';

-- average_precision: the precision of each hit's threshold, averaged over the hits of a bucket.
--
-- Grain    one row per bucket that has a hit.
-- Formula  sum over thresholds of (recall - recall at the next higher one) * precision, as in
--          scikit-learn: without interpolation.
-- Cost     that of placements.
CREATE OR REPLACE FUNCTION truthline_internal.average_precision(
    series integer[], edges timestamptz[], as_of timestamptz, class integer,
    one_vs_rest boolean DEFAULT false
) RETURNS TABLE (place integer, average_precision float8) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT place, sum(n_hits * hits_from::float8 / (hits_from + misses_from)::float8 ORDER BY score)
                  / sum(n_hits)::float8
    FROM truthline_internal.placements(series, edges, as_of, class, one_vs_rest)
    WHERE score IS NOT NULL
    GROUP BY place
$$;
COMMENT ON FUNCTION truthline_internal.average_precision(integer[], timestamptz[], timestamptz, integer, boolean) IS
    'Average precision of the scores of a class, per bucket.';
