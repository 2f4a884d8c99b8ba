-- What happens if scores at or above a threshold predict a class: at thresholds, and along the curves.

-- at_thresholds: confusion counts of a class at thresholds, per bucket.
--
-- Grain    one row per (bucket that has a truth, threshold).
-- Units    a score at or above the threshold predicts the class.
-- Cost     the counts of all cells, and the numbers of one bin per threshold.
CREATE OR REPLACE FUNCTION truthline_internal.at_thresholds(
    series integer[], edges timestamptz[], as_of timestamptz, class integer, thresholds float8[],
    one_vs_rest boolean DEFAULT false
) RETURNS TABLE (
    place integer, threshold float8, true_positives bigint, false_positives bigint,
    false_negatives bigint, true_negatives bigint
) LANGUAGE plpgsql STABLE PARALLEL SAFE SET extra_float_digits = 1
SET jit = off SET enable_nestloop = off SET enable_mergejoin = off AS $function$
DECLARE
    reach record;
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.ranked_reach(series, edges, as_of, one_vs_rest);
    RETURN QUERY EXECUTE format($query$
        WITH %s,
        asked AS (
            SELECT DISTINCT threshold, truthline_data.confidence_bin(threshold) AS bin,
                   truthline_data.below(threshold) AS lower
            FROM unnest($4) AS threshold
        ),
        bin AS MATERIALIZED (
            SELECT place, bin, sum(n_hits) AS n_hits, sum(n - n_hits) AS n_misses
            FROM cell GROUP BY place, bin
        ),
        above AS (
            SELECT place, threshold, asked.bin,
                   coalesce(sum(n_hits) FILTER (WHERE bin.bin > asked.bin), 0) AS n_hits,
                   coalesce(sum(n_misses) FILTER (WHERE bin.bin > asked.bin), 0) AS n_misses,
                   sum(n_hits) AS all_hits, sum(n_misses) AS all_misses
            FROM bin CROSS JOIN asked GROUP BY place, threshold, asked.bin
        ),
        within AS (
            SELECT place, threshold,
                   sum(sign * (cardinality(hits) - truthline_internal.n_up_to(
                       lower, hits, form))) AS n_hits,
                   sum(sign * (cardinality(misses) - truthline_internal.n_up_to(
                       lower, misses, form))) AS n_misses
            FROM (SELECT place, bin, sign, form, hits || '{}'::float8[] AS hits,
                         misses || '{}'::float8[] AS misses
                  FROM cell WHERE bin IN (SELECT bin FROM asked) OFFSET 0) AS unpacked
            JOIN asked USING (bin) GROUP BY place, threshold
        )
        SELECT place, threshold, at.hits::bigint, at.misses::bigint,
               (all_hits - at.hits)::bigint, (all_misses - at.misses)::bigint
        FROM above
        LEFT JOIN within USING (place, threshold)
        CROSS JOIN LATERAL (SELECT above.n_hits + coalesce(within.n_hits, 0),
                                   above.n_misses + coalesce(within.n_misses, 0)) AS at (hits, misses)
        WHERE all_hits + all_misses > 0
        $query$,
        truthline_internal.binned(reach.cells))
    USING series, reach.edges_reached, class, thresholds;
END
$function$;
COMMENT ON FUNCTION truthline_internal.at_thresholds(integer[], timestamptz[], timestamptz, integer, float8[], boolean) IS
    'Confusion counts of the scores of a class at thresholds, per bucket.';

-- threshold_rates: precision, recall and false positive rate of confusion counts; NULL where a
-- denominator is 0.
CREATE OR REPLACE FUNCTION truthline_internal.threshold_rates(
    true_positives bigint, false_positives bigint, false_negatives bigint, true_negatives bigint
) RETURNS TABLE ("precision" float8, recall float8, false_positive_rate float8)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT true_positives / nullif(true_positives + false_positives, 0)::float8,
           true_positives / nullif(true_positives + false_negatives, 0)::float8,
           false_positives / nullif(false_positives + true_negatives, 0)::float8
$$;
COMMENT ON FUNCTION truthline_internal.threshold_rates(bigint, bigint, bigint, bigint) IS
    'Precision, recall and false positive rate of confusion counts.';

-- ranks: the distinct scores of a class, per bucket, with what lies at and above each.
--
-- Grain    one row per (bucket, score) with a truth.
-- Units    `n_hits` and `n_misses` have exactly that score; `hits_above` and `misses_above` have it or
--          a higher one.
-- Cost     every number of the window.
CREATE OR REPLACE FUNCTION truthline_internal.ranks(
    series integer[], edges timestamptz[], as_of timestamptz, class integer,
    one_vs_rest boolean DEFAULT false
) RETURNS TABLE (
    place integer, score float8, n_hits bigint, n_misses bigint, hits_above bigint,
    misses_above bigint
) LANGUAGE plpgsql STABLE PARALLEL SAFE SET extra_float_digits = 1
SET jit = off SET enable_nestloop = off SET enable_mergejoin = off AS $function$
DECLARE
    reach record;
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.ranked_reach(series, edges, as_of, one_vs_rest);
    RETURN QUERY EXECUTE format($query$
        WITH cell AS MATERIALIZED (%s)
        SELECT place, score, n_hits, n_misses, truthline_internal.total(n_hits) OVER higher,
               truthline_internal.total(n_misses) OVER higher
        FROM (
            SELECT place, score, sum(CASE WHEN is_hit THEN sign ELSE 0 END) AS n_hits,
                   sum(CASE WHEN is_hit THEN 0 ELSE sign END) AS n_misses
            FROM (%s) AS score
            GROUP BY place, score
        ) AS counted
        WHERE n_hits <> 0 OR n_misses <> 0
        WINDOW higher AS (PARTITION BY place ORDER BY score DESC)
        $query$,
        reach.cells,
        truthline_internal.scores_in('SELECT * FROM cell'))
    USING series, reach.edges_reached, class;
END
$function$;
COMMENT ON FUNCTION truthline_internal.ranks(integer[], timestamptz[], timestamptz, integer, boolean) IS
    'The distinct scores of a class per bucket, with the hits and misses at and above each.';

-- score_curve: confusion counts of a class at its own scores, per bucket.
--
-- Grain    one row per distinct score of a bucket, or about `points` of them: every nth, and the last.
-- Units    `n_scores` is how many distinct scores the bucket has.
-- Cost     every number of the window.
CREATE OR REPLACE FUNCTION truthline_internal.score_curve(
    series integer[], edges timestamptz[], as_of timestamptz, class integer, points integer,
    one_vs_rest boolean DEFAULT false
) RETURNS TABLE (
    place integer, threshold float8, true_positives bigint, false_positives bigint,
    false_negatives bigint, true_negatives bigint, n_scores bigint
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT place, score, hits_above, misses_above, all_hits - hits_above, all_misses - misses_above,
           n_scores
    FROM (
        SELECT r.*, row_number() OVER higher AS nth, count(*) OVER bucket AS n_scores,
               max(hits_above) OVER bucket AS all_hits, max(misses_above) OVER bucket AS all_misses
        FROM truthline_internal.ranks(series, edges, as_of, class, one_vs_rest) AS r
        WINDOW bucket AS (PARTITION BY place), higher AS (PARTITION BY place ORDER BY score DESC)
    ) AS ranked
    WHERE (nth - 1) % greatest(1, ceil(n_scores::float8 / points)::bigint) = 0 OR nth = n_scores
$$;
COMMENT ON FUNCTION truthline_internal.score_curve(integer[], timestamptz[], timestamptz, integer, integer, boolean) IS
    'Confusion counts of a class at its own scores, per bucket.';
