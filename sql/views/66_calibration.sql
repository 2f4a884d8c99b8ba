-- How often scores come true.

-- calibration: how often scores come true, per bucket and part of their range.
--
-- Grain    one row per (bucket, part with a truth); `part` is from 1 to `n_parts`, which are equally
--          wide and include their upper bound, the first one both bounds: as in scikit-learn.
-- Units    `mean_score` and `share` of hits are fractions of 1.
-- Cost     the counts and sums of all cells, and the numbers of bins that a bound divides, of cells of an
--          hour and of rows.
CREATE OR REPLACE FUNCTION truthline_internal.calibration(
    series integer[], edges timestamptz[], as_of timestamptz, class integer, n_parts integer DEFAULT 10,
    one_vs_rest boolean DEFAULT false
) RETURNS TABLE (
    place integer, part integer, n bigint, n_hits bigint, mean_score float8, share float8
) LANGUAGE plpgsql STABLE PARALLEL SAFE SET extra_float_digits = 1
SET jit = off SET enable_nestloop = off SET enable_mergejoin = off AS $function$
DECLARE
    reach record;
    bounds float8[] := ARRAY(SELECT i * (1::float8 / n_parts) FROM generate_series(1, n_parts - 1) AS i);
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.ranked_reach(series, edges, as_of, one_vs_rest);
    RETURN QUERY EXECUTE format($query$
        WITH piece AS MATERIALIZED (%s),
        cell AS MATERIALIZED (
            SELECT piece.*, width_bucket(truthline_data.below(bin / 64::float8), $4) AS first_part,
                   width_bucket(truthline_data.below(truthline_data.below((bin + 1) / 64::float8)), $4)
                   AS last_part
            FROM piece
        ),
        counted AS (
            SELECT place, first_part AS part, n, n_hits, total FROM cell WHERE first_part = last_part
            UNION ALL
            SELECT place, width_bucket(truthline_data.below(score), $4), sign,
                   CASE WHEN is_hit THEN sign ELSE 0 END, sign * truthline_data.exact(score)
            FROM (%s) AS score
        )
        SELECT place, part + 1, sum(n)::bigint, sum(n_hits)::bigint,
               truthline_internal.mean(sum(total), sum(n)),
               truthline_internal.mean(sum(n_hits), sum(n))
        FROM counted GROUP BY place, part HAVING sum(n) > 0
        $query$,
        reach.cells,
        truthline_internal.scores_in('SELECT * FROM cell WHERE first_part = last_part IS NOT TRUE'))
    USING series, reach.edges_reached, class, bounds;
END
$function$;
COMMENT ON FUNCTION truthline_internal.calibration(integer[], timestamptz[], timestamptz, integer, integer, boolean) IS
    'How often the scores of a class come true, per bucket and part of their range.';

-- calibration_error: the expected calibration error, per bucket.
--
-- Formula  mean over truths of |mean score - share of hits| of the part that contains its score.
CREATE OR REPLACE FUNCTION truthline_internal.calibration_error(
    series integer[], edges timestamptz[], as_of timestamptz, class integer, n_parts integer DEFAULT 10,
    one_vs_rest boolean DEFAULT false
) RETURNS TABLE (place integer, error float8) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT place, sum(n * abs(mean_score - share) ORDER BY part) / sum(n)::float8
    FROM truthline_internal.calibration(series, edges, as_of, class, n_parts, one_vs_rest)
    GROUP BY place
$$;
COMMENT ON FUNCTION truthline_internal.calibration_error(integer[], timestamptz[], timestamptz, integer, integer, boolean) IS
    'The expected calibration error of the scores of a class, per bucket.';
