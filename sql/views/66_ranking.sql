-- How well scores rank predictions with their truths, and how well they are calibrated.
--
-- Every function is of one class: `class` is one of the two classes of a binary model, and a hit is a
-- truth of that class; or NULL, which stands for whichever class was predicted, and a hit is a
-- prediction that was right. A prediction with a truth is one number, its score of that class.
--
-- Exact    as for other cells. Corrected truths and cuts are subtracted, number by number where numbers
--          count.
-- Why      settings of functions that run a query are as in quantiles_of: the optimizer has no estimate
--          of the numbers of cells and bins.

-- ranked_cells: text of a query for the cells of a class.
--
-- Grain    one row per cell, or per raw row; if `sign` is -1, its numbers are subtracted.
-- Units    $1 stands for the series, $2 for the edges, $3 for the class. `hits` and `misses` are the
--          scores of the bin, in ascending order; `n_hits` counts hits, `n` both, `total` adds up
--          their scores; `pairs` is NULL for a raw row.
CREATE OR REPLACE FUNCTION truthline_internal.ranked_cells(
    series integer[], edges timestamptz[], as_of timestamptz
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format($query$
        SELECT place, CASE WHEN mine THEN bin ELSE other_bin END AS bin, n,
               sign(n)::integer AS sign, CASE WHEN mine THEN n_right ELSE n - n_right END AS n_hits,
               CASE WHEN mine THEN sum_score ELSE sum_other END AS total,
               CASE WHEN mine THEN scores_right ELSE others_wrong END AS hits,
               CASE WHEN mine THEN scores_wrong ELSE others_right END AS misses,
               CASE WHEN mine THEN pairs ELSE other_pairs END AS pairs
        FROM (SELECT piece.*, $3 IS NULL OR predicted_label = $3 AS mine FROM (%s) AS piece) AS cell
        $query$, string_agg(truthline_internal.piece_query(piece, wanted), ' UNION ALL '))
    FROM truthline_internal.wanted_of('ranked', '{predicted_label,bin,other_bin,n,n_right,sum_score,
        sum_other,scores_right,scores_wrong,others_right,others_wrong,pairs,other_pairs}') AS wanted
    CROSS JOIN LATERAL truthline_internal.plan('ranked', series, edges, as_of) AS piece
$$;
COMMENT ON FUNCTION truthline_internal.ranked_cells(integer[], timestamptz[], timestamptz) IS
    'The text of a query for the cells of the scores of a class.';

-- score_parts: text of common table expressions that put the cells of a bin together.
--
-- Grain    `bin` has one row per (bucket, bin), `part` one per part of the bins that meet `chosen`: a
--          large cell with all that it holds, or all others of one sign, merged.
-- Why      pairs are counted between parts, so a bin must have few of them; but merging sorts numbers
--          that are in order already. Arrays are concatenated with an empty one so that they are
--          decompressed once.
CREATE OR REPLACE FUNCTION truthline_internal.score_parts(cells text, chosen text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT format($query$
        cell AS MATERIALIZED (
            SELECT *, pairs IS NOT NULL AND nth <= 4 AS is_own
            FROM (SELECT *, row_number() OVER (PARTITION BY place, bin
                                               ORDER BY pairs IS NULL, abs(n) DESC) AS nth
                  FROM (%1$s) AS piece) AS numbered
        ),
        bin AS MATERIALIZED (
            SELECT place, bin, sum(n_hits) AS n_hits, sum(n - n_hits) AS n_misses,
                   bool_and(is_own) AND count(*) = 1 AS is_counted, sum(pairs) AS pairs
            FROM cell GROUP BY place, bin
        ),
        part AS MATERIALIZED (
            SELECT place, bin, nth, sign, cell.pairs, hits || '{}'::float8[] AS hits,
                   misses || '{}'::float8[] AS misses
            FROM cell JOIN bin USING (place, bin) WHERE is_own AND %2$s
            UNION ALL
            SELECT place, bin, NULL, sign, NULL,
                   array_agg(number ORDER BY number) FILTER (WHERE is_hit),
                   array_agg(number ORDER BY number) FILTER (WHERE NOT is_hit)
            FROM cell
            JOIN bin USING (place, bin)
            CROSS JOIN LATERAL (SELECT true, unnest(hits) UNION ALL SELECT false, unnest(misses))
                AS score (is_hit, number)
            WHERE NOT is_own AND %2$s
            GROUP BY place, bin, sign
        )
    $query$, cells, chosen)
$$;
COMMENT ON FUNCTION truthline_internal.score_parts(text, text) IS
    'The text of common table expressions that put the cells of a bin together.';

-- auc_query: text of a query that computes areas under ROC curves from such cells.
--
-- Formula  (pairs of a hit and a miss in order + half of those that are equal) / all pairs: Mann and
--          Whitney's U over its maximum, which is the area under the curve with its ties.
-- Cost     the counts of all cells. Numbers are read only in bins of several cells.
CREATE OR REPLACE FUNCTION truthline_internal.auc_query(cells text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT format($query$
        WITH %s,
        shared AS (
            SELECT place, bin, sum(above.sign * below.sign
                * CASE WHEN above.nth = below.nth THEN above.pairs
                       ELSE truthline_data.pairs_of(above.hits, below.misses) END) AS pairs
            FROM part AS above JOIN part AS below USING (place, bin) GROUP BY place, bin
        )
        SELECT place, sum(n_hits + n_misses)::bigint, sum(n_hits)::bigint,
               truthline_internal.mean(sum(pairs + 2 * n_hits * n_below),
                                       2 * sum(n_hits) * sum(n_misses))
        FROM (
            SELECT place, bin.n_hits, bin.n_misses, coalesce(shared.pairs, bin.pairs, 0) AS pairs,
                   sum(bin.n_misses) OVER (PARTITION BY place ORDER BY bin) - bin.n_misses AS n_below
            FROM bin LEFT JOIN shared USING (place, bin)
        ) AS counted
        GROUP BY place
        HAVING sum(n_hits + n_misses) > 0
    $query$, truthline_internal.score_parts(cells, 'NOT is_counted'))
$$;
COMMENT ON FUNCTION truthline_internal.auc_query(text) IS
    'The text of a query that computes areas under ROC curves from cells of scores.';

-- roc_auc: the area under the ROC curve of a class, per bucket.
--
-- Grain    one row per bucket that has a truth; `place` is the bucket's number.
-- Units    `n` counts truths with a score, `n_hits` those of the class; `area` is from 0 to 1, NULL
--          unless there are both hits and misses.
CREATE OR REPLACE FUNCTION truthline_internal.roc_auc(
    series integer[], edges timestamptz[], as_of timestamptz, class integer
) RETURNS TABLE (place integer, n bigint, n_hits bigint, area float8)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET extra_float_digits = 1
SET jit = off SET enable_nestloop = off SET enable_mergejoin = off AS $function$
DECLARE
    reach record;
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.reach('ranked', series, edges, as_of);
    RETURN QUERY EXECUTE truthline_internal.auc_query(truthline_internal.ranked_cells(
        series, reach.reached_edges, reach.reached_as_of)) USING series, reach.reached_edges, class;
END
$function$;
COMMENT ON FUNCTION truthline_internal.roc_auc(integer[], timestamptz[], timestamptz, integer) IS
    'The area under the ROC curve of a class, per bucket.';

-- ranks: the distinct scores of a class, per bucket, with what lies at and above each.
--
-- Grain    one row per (bucket, score) with a truth.
-- Units    `n_hits` and `n_misses` have exactly that score; `hits_above` and `misses_above` have it or
--          a higher one.
-- Cost     every number of the window.
CREATE OR REPLACE FUNCTION truthline_internal.ranks(
    series integer[], edges timestamptz[], as_of timestamptz, class integer
) RETURNS TABLE (
    place integer, score float8, n_hits bigint, n_misses bigint, hits_above bigint,
    misses_above bigint
) LANGUAGE plpgsql STABLE PARALLEL SAFE SET extra_float_digits = 1
SET jit = off SET enable_nestloop = off SET enable_mergejoin = off AS $function$
DECLARE
    reach record;
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.reach('ranked', series, edges, as_of);
    RETURN QUERY EXECUTE format($query$
        SELECT place, number, n_hits, n_misses,
               (sum(n_hits) OVER higher)::bigint, (sum(n_misses) OVER higher)::bigint
        FROM (
            SELECT place, number, sum(hit)::bigint AS n_hits, sum(miss)::bigint AS n_misses
            FROM (SELECT place, sign AS hit, 0 AS miss, unnest(hits) AS number
                  FROM (%1$s) AS cell
                  UNION ALL
                  SELECT place, 0, sign, unnest(misses) FROM (%1$s) AS cell) AS each
            GROUP BY place, number
            HAVING sum(hit) <> 0 OR sum(miss) <> 0
        ) AS counted
        WINDOW higher AS (PARTITION BY place ORDER BY number DESC)
        $query$, truthline_internal.ranked_cells(series, reach.reached_edges, reach.reached_as_of))
    USING series, reach.reached_edges, class;
END
$function$;
COMMENT ON FUNCTION truthline_internal.ranks(integer[], timestamptz[], timestamptz, integer) IS
    'The distinct scores of a class per bucket, with the hits and misses at and above each.';

-- average_precision: the precision of each hit's threshold, averaged over the hits of a bucket.
--
-- Grain    one row per bucket that has a hit.
-- Formula  sum over thresholds of (recall - recall at the next higher one) * precision, as in
--          scikit-learn: without interpolation.
-- Cost     the counts of all cells, and a few binary searches per hit.
CREATE OR REPLACE FUNCTION truthline_internal.average_precision(
    series integer[], edges timestamptz[], as_of timestamptz, class integer
) RETURNS TABLE (place integer, average_precision float8)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET extra_float_digits = 1
SET jit = off SET enable_nestloop = off SET enable_mergejoin = off AS $function$
DECLARE
    reach record;
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.reach('ranked', series, edges, as_of);
    RETURN QUERY EXECUTE format($query$
        WITH %s,
        above AS (
            SELECT place, bin, sum(n_hits) OVER higher - n_hits AS n_hits,
                   sum(n_misses) OVER higher - n_misses AS n_misses
            FROM bin WINDOW higher AS (PARTITION BY place ORDER BY bin DESC)
        ),
        hit AS (
            SELECT place, bin, number, sum(sign) AS n FROM part CROSS JOIN unnest(hits) AS number
            GROUP BY place, bin, number HAVING sum(sign) <> 0
        ),
        counted AS (
            SELECT hit.place, hit.bin, hit.number, hit.n,
                   coalesce(sum(part.sign * (cardinality(part.misses) - width_bucket(
                       truthline_data.below(hit.number), part.misses))), 0) AS n_misses
            FROM hit LEFT JOIN part ON part.place = hit.place AND part.bin = hit.bin
                                   AND part.misses <> '{}'
            GROUP BY hit.place, hit.bin, hit.number, hit.n
        ),
        ranked AS (
            SELECT place, number, counted.n,
                   above.n_hits + sum(counted.n) OVER (PARTITION BY place, bin
                                                       ORDER BY number DESC) AS n_hits,
                   above.n_misses + counted.n_misses AS n_misses
            FROM counted JOIN above USING (place, bin)
        )
        SELECT place, sum(n * n_hits::float8 / (n_hits + n_misses)::float8 ORDER BY number)
                      / sum(n)::float8
        FROM ranked GROUP BY place
        $query$, truthline_internal.score_parts(truthline_internal.ranked_cells(
            series, reach.reached_edges, reach.reached_as_of), 'bin.n_hits <> 0'))
    USING series, reach.reached_edges, class;
END
$function$;
COMMENT ON FUNCTION truthline_internal.average_precision(integer[], timestamptz[], timestamptz, integer) IS
    'Average precision of the scores of a class, per bucket.';

-- at_thresholds: confusion counts of a class at thresholds, per bucket.
--
-- Grain    one row per (bucket that has a truth, threshold).
-- Units    a score at or above the threshold predicts the class.
-- Cost     the counts of all cells, and the numbers of one bin per threshold.
CREATE OR REPLACE FUNCTION truthline_internal.at_thresholds(
    series integer[], edges timestamptz[], as_of timestamptz, class integer, thresholds float8[]
) RETURNS TABLE (
    place integer, threshold float8, true_positives bigint, false_positives bigint,
    false_negatives bigint, true_negatives bigint
) LANGUAGE plpgsql STABLE PARALLEL SAFE SET extra_float_digits = 1
SET jit = off SET enable_nestloop = off SET enable_mergejoin = off AS $function$
DECLARE
    reach record;
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.reach('ranked', series, edges, as_of);
    RETURN QUERY EXECUTE format($query$
        WITH cell AS MATERIALIZED (%s),
        asked AS (
            SELECT DISTINCT threshold, truthline_data.confidence_bin(threshold) AS bin
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
                   sum(sign * (cardinality(hits)
                                  - width_bucket(truthline_data.below(threshold), hits))) AS n_hits,
                   sum(sign * (cardinality(misses)
                                  - width_bucket(truthline_data.below(threshold), misses))) AS n_misses
            FROM (SELECT place, bin, sign, hits || '{}'::float8[] AS hits,
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
        $query$, truthline_internal.ranked_cells(series, reach.reached_edges, reach.reached_as_of))
    USING series, reach.reached_edges, class, thresholds;
END
$function$;
COMMENT ON FUNCTION truthline_internal.at_thresholds(integer[], timestamptz[], timestamptz, integer, float8[]) IS
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

-- score_curve: confusion counts of a class at its own scores, per bucket.
--
-- Grain    one row per distinct score of a bucket, or about `points` of them: every nth, and the last.
-- Units    `n_scores` is how many distinct scores the bucket has.
-- Cost     every number of the window.
CREATE OR REPLACE FUNCTION truthline_internal.score_curve(
    series integer[], edges timestamptz[], as_of timestamptz, class integer, points integer
) RETURNS TABLE (
    place integer, threshold float8, true_positives bigint, false_positives bigint,
    false_negatives bigint, true_negatives bigint, n_scores bigint
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT place, score, hits_above, misses_above, all_hits - hits_above, all_misses - misses_above,
           n_scores
    FROM (
        SELECT r.*, row_number() OVER higher AS nth, count(*) OVER bucket AS n_scores,
               max(hits_above) OVER bucket AS all_hits, max(misses_above) OVER bucket AS all_misses
        FROM truthline_internal.ranks(series, edges, as_of, class) AS r
        WINDOW bucket AS (PARTITION BY place), higher AS (PARTITION BY place ORDER BY score DESC)
    ) AS ranked
    WHERE (nth - 1) % greatest(1, ceil(n_scores::float8 / points)::bigint) = 0 OR nth = n_scores
$$;
COMMENT ON FUNCTION truthline_internal.score_curve(integer[], timestamptz[], timestamptz, integer, integer) IS
    'Confusion counts of a class at its own scores, per bucket.';

-- calibration: how often scores come true, per bucket and part of their range.
--
-- Grain    one row per (bucket, part with a truth); `part` is from 1 to `n_parts`, which are equally
--          wide and include their upper bound, the first one both bounds: as in scikit-learn.
-- Units    `mean_score` and `share` of hits are fractions of 1.
-- Cost     the counts and sums of all cells, and the numbers of bins that a bound divides.
CREATE OR REPLACE FUNCTION truthline_internal.calibration(
    series integer[], edges timestamptz[], as_of timestamptz, class integer, n_parts integer DEFAULT 10
) RETURNS TABLE (
    place integer, part integer, n bigint, n_hits bigint, mean_score float8, share float8
) LANGUAGE plpgsql STABLE PARALLEL SAFE SET extra_float_digits = 1
SET jit = off SET enable_nestloop = off SET enable_mergejoin = off AS $function$
DECLARE
    reach record;
    bounds float8[] := ARRAY(SELECT i * (1::float8 / n_parts) FROM generate_series(1, n_parts - 1) AS i);
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.reach('ranked', series, edges, as_of);
    RETURN QUERY EXECUTE format($query$
        WITH cell AS MATERIALIZED (
            SELECT piece.*, width_bucket(truthline_data.below(bin / 64::float8), $4) AS first_part,
                   width_bucket(truthline_data.below(truthline_data.below((bin + 1) / 64::float8)), $4)
                   AS last_part
            FROM (%s) AS piece
        ),
        counted AS (
            SELECT place, first_part AS part, n, n_hits, total FROM cell WHERE first_part = last_part
            UNION ALL
            SELECT place, width_bucket(truthline_data.below(number), $4), sign,
                   CASE WHEN is_hit THEN sign ELSE 0 END, sign * truthline_data.exact(number)
            FROM cell
            CROSS JOIN LATERAL (SELECT true, unnest(hits) UNION ALL SELECT false, unnest(misses))
                AS score (is_hit, number)
            WHERE first_part <> last_part
        )
        SELECT place, part + 1, sum(n)::bigint, sum(n_hits)::bigint,
               truthline_internal.mean(sum(total), sum(n)),
               truthline_internal.mean(sum(n_hits), sum(n))
        FROM counted GROUP BY place, part HAVING sum(n) > 0
        $query$, truthline_internal.ranked_cells(series, reach.reached_edges, reach.reached_as_of))
    USING series, reach.reached_edges, class, bounds;
END
$function$;
COMMENT ON FUNCTION truthline_internal.calibration(integer[], timestamptz[], timestamptz, integer, integer) IS
    'How often the scores of a class come true, per bucket and part of their range.';

-- calibration_error: the expected calibration error, per bucket.
--
-- Formula  mean over truths of |mean score - share of hits| of the part that contains its score.
CREATE OR REPLACE FUNCTION truthline_internal.calibration_error(
    series integer[], edges timestamptz[], as_of timestamptz, class integer, n_parts integer DEFAULT 10
) RETURNS TABLE (place integer, error float8) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT place, sum(n * abs(mean_score - share) ORDER BY part) / sum(n)::float8
    FROM truthline_internal.calibration(series, edges, as_of, class, n_parts)
    GROUP BY place
$$;
COMMENT ON FUNCTION truthline_internal.calibration_error(integer[], timestamptz[], timestamptz, integer, integer) IS
    'The expected calibration error of the scores of a class, per bucket.';

-- score_metrics: every metric of the scores of a classifier, per bucket.
--
-- Grain    one row per bucket of the window, oldest first, including empty ones.
-- Units    those of score_losses, roc_auc, average_precision and calibration_error. `n_positive` counts
--          truths of the positive class. Without a positive class, n_positive, roc_auc and
--          average_precision are NULL, and calibration_error is of the predicted class.
-- Params   only the metrics in `metrics` are computed; NULL means all.
-- Cost     that of the metrics.
CREATE OR REPLACE FUNCTION truthline_internal.score_metrics(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity',
    positive integer DEFAULT NULL, metrics text[] DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint, n_positive bigint, log_loss float8,
    brier_score float8, roc_auc float8, average_precision float8, calibration_error float8
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT loss.bucket_start, loss.bucket_end, loss.n,
           CASE WHEN positive IS NOT NULL AND coalesce('roc_auc' = ANY (metrics), true)
                THEN coalesce(curve.n_hits, 0) END,
           CASE WHEN coalesce('log_loss' = ANY (metrics), true) THEN loss.log_loss END,
           CASE WHEN coalesce('brier_score' = ANY (metrics), true) THEN loss.brier_score END,
           curve.area, precise.average_precision, calibrated.error
    FROM truthline_internal.score_losses(series, edges, as_of, positive) AS loss
    JOIN truthline_internal.buckets_of(edges) AS grid USING (bucket_start)
    LEFT JOIN (
        SELECT * FROM truthline_internal.roc_auc(series, edges, as_of, positive)
        WHERE positive IS NOT NULL AND coalesce('roc_auc' = ANY (metrics), true)
    ) AS curve USING (place)
    LEFT JOIN (
        SELECT * FROM truthline_internal.average_precision(series, edges, as_of, positive)
        WHERE positive IS NOT NULL AND coalesce('average_precision' = ANY (metrics), true)
    ) AS precise USING (place)
    LEFT JOIN (
        SELECT * FROM truthline_internal.calibration_error(series, edges, as_of, positive)
        WHERE coalesce('calibration_error' = ANY (metrics), true)
    ) AS calibrated USING (place)
    ORDER BY grid.place
$$;
COMMENT ON FUNCTION truthline_internal.score_metrics(integer[], timestamptz[], timestamptz, integer, text[]) IS
    'Metrics of the scores of a classifier per bucket.';
