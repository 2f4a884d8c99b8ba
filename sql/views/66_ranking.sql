-- How well scores rank predictions with their truths.
--
-- Every function is of one class: `class` is one of the two classes of a binary model, and a hit is a
-- truth of that class; or NULL, which stands for whichever class was predicted, and a hit is a
-- prediction that was right. A prediction with a truth is one number, its score of that class. With
-- `one_vs_rest`, `class` is a declared class of a model with more than two, and only truths count with
-- which its score was kept.
--
-- Exact    as for other cells. Corrected truths and cuts are subtracted, number by number where numbers
--          count.
-- Why      settings of functions that run a query are as in quantiles_of: the optimizer has no estimate
--          of the numbers of cells and bins.

-- ranked_cells: text of a query for the cells of a class.
--
-- Grain    one row per cell, or per raw row; if `sign` is -1, its numbers are subtracted.
-- Units    $1 stands for the series, $2 for the edges, $3 for the class. `hits` and `misses` are the
--          scores of the bin, in ascending order, as `form` says: 0: as they are; 1: the score is 1 - the
--          number; 2: it is 0. `n_hits` counts hits, `n` both, `total` adds up their scores. Rows and cells
--          of an hour have no `bin`, `total` and `pairs`.
CREATE OR REPLACE FUNCTION truthline_internal.ranked_cells(
    series integer[], edges timestamptz[], as_of timestamptz
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format($query$
        SELECT place, predicted_label, CASE WHEN mine THEN bin ELSE other_bin END AS bin, n,
               sign(n)::integer AS sign, CASE WHEN mine THEN n_right ELSE n - n_right END AS n_hits,
               CASE WHEN mine THEN sum_score ELSE sum_other END AS total,
               CASE WHEN mine THEN pairs ELSE other_pairs END AS pairs,
               CASE WHEN NOT mine AND kept > 1 THEN scores_wrong WHEN NOT mine THEN others_wrong
                    WHEN kept = 1 THEN others_right ELSE scores_right END AS hits,
               CASE WHEN NOT mine AND kept > 1 THEN scores_right WHEN NOT mine THEN others_right
                    WHEN kept = 1 THEN others_wrong ELSE scores_wrong END AS misses,
               CASE WHEN mine THEN (kept = 1)::integer ELSE greatest(kept - 1, 0) END AS form
        FROM (SELECT piece.*, $3 IS NULL OR predicted_label = $3 AS mine FROM (%s) AS piece) AS cell
        $query$, truthline_internal.pieces_query(
            truthline_internal.wanted_of('ranked', '{predicted_label,bin,other_bin,kept,n,n_right,sum_score,
                sum_other,scores_right,scores_wrong,others_right,others_wrong,pairs,other_pairs}'),
            series, edges, as_of))
$$;
COMMENT ON FUNCTION truthline_internal.ranked_cells(integer[], timestamptz[], timestamptz) IS
    'The text of a query for the cells of the scores of a class.';

-- one_vs_rest_cells: the same for a declared class of a model with more than two.
CREATE OR REPLACE FUNCTION truthline_internal.one_vs_rest_cells(
    series integer[], edges timestamptz[], as_of timestamptz
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format($query$
        SELECT place, NULL::integer AS predicted_label, bin, n, sign(n)::integer AS sign, n_hits,
               sum_score AS total, pairs, hits, misses, 0 AS form
        FROM (%s) AS cell
        $query$, truthline_internal.pieces_query(
            truthline_internal.wanted_of(
                'versus', '{class_label,bin,n,n_hits,sum_score,hits,misses,pairs}', 'class_label = $3'),
            series, edges, as_of))
$$;
COMMENT ON FUNCTION truthline_internal.one_vs_rest_cells(integer[], timestamptz[], timestamptz) IS
    'The text of a query for the cells of the scores of a declared class.';

-- ranked_reach: what a query of the scores of a class reads: the edges it can reach, and the text of a
-- query for the cells.
CREATE OR REPLACE FUNCTION truthline_internal.ranked_reach(
    series integer[], edges timestamptz[], as_of timestamptz, one_vs_rest boolean DEFAULT false,
    OUT edges_reached timestamptz[], OUT cells text
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT reach.reached_edges,
           CASE WHEN one_vs_rest
                THEN truthline_internal.one_vs_rest_cells(
                    series, reach.reached_edges, reach.reached_as_of)
                ELSE truthline_internal.ranked_cells(
                    series, reach.reached_edges, reach.reached_as_of) END
    FROM truthline_internal.reach(
        CASE WHEN one_vs_rest THEN 'versus' ELSE 'ranked' END, series, edges, as_of) AS reach
$$;
COMMENT ON FUNCTION truthline_internal.ranked_reach(integer[], timestamptz[], timestamptz, boolean) IS
    'The edges that a query of the scores of a class can reach, and the text of a query for the cells.';

-- unranked: truths with scores that ranks and curves of a declared class can't count, because its score was
-- not kept: they were learned before it was declared, or while another class was.
--
-- Grain    one row per bucket with truths; none unless `one_vs_rest`.
CREATE OR REPLACE FUNCTION truthline_internal.unranked(
    series integer[], edges timestamptz[], as_of timestamptz, class integer, one_vs_rest boolean
) RETURNS TABLE (place integer, n bigint) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT place, sum(n)::bigint
    FROM (
        SELECT place, n FROM truthline_internal.scored_cells(series, edges, as_of)
        WHERE has_scores AND one_vs_rest
        UNION ALL
        SELECT place, -n FROM truthline_internal.versus_cells(series, edges, as_of)
        WHERE class_label = class AND one_vs_rest
    ) AS cell
    GROUP BY place
$$;
COMMENT ON FUNCTION truthline_internal.unranked(integer[], timestamptz[], timestamptz, integer, boolean) IS
    'Truths with scores that ranks and curves of a declared class can''t count.';

-- scores_in: text of a query of the single scores of such cells.
--
-- Params   `source` is the query or table of cells; `numbers` is hits or misses, NULL for both.
-- Grain    one row per score, with the columns `place`, `predicted_label`, `sign`, `is_hit` and `score`.
CREATE OR REPLACE FUNCTION truthline_internal.scores_in(source text, numbers text DEFAULT NULL)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_agg(format(
        'SELECT place, predicted_label, sign, %L::boolean AS is_hit,'
        ' CASE form WHEN 0 THEN number WHEN 1 THEN 1 - number ELSE 0 END AS score'
        ' FROM (SELECT place, predicted_label, sign, form, unnest(%I) AS number'
        '       FROM (%s) AS cell WHERE %I IS NOT NULL) AS number', name = 'hits', name, source, name),
        ' UNION ALL ')
    FROM unnest('{hits,misses}'::text[]) AS name
    WHERE numbers IS NULL OR name = numbers
$$;
COMMENT ON FUNCTION truthline_internal.scores_in(text, text) IS
    'The text of a query of the single scores of cells.';

-- binned: text of common table expressions that put such cells into bins.
--
-- Grain    `cell` has one row per cell of a bin, of which those without bins are merged to one per
--          (bucket, bin, sign).
CREATE OR REPLACE FUNCTION truthline_internal.binned(cells text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT format($query$
        piece AS MATERIALIZED (%s),
        cell AS MATERIALIZED (
            SELECT place, bin, sign, n, n_hits, total, pairs, hits, misses, form
            FROM piece WHERE bin IS NOT NULL
            UNION ALL
            SELECT place, bin, sign, sign * count(*), sign * count(*) FILTER (WHERE is_hit), NULL, NULL,
                   array_agg(score ORDER BY score) FILTER (WHERE is_hit),
                   array_agg(score ORDER BY score) FILTER (WHERE NOT is_hit), 0
            FROM (SELECT *, truthline_data.confidence_bin(score) AS bin FROM (%s) AS score) AS loose
            GROUP BY place, bin, sign
        )
    $query$, cells, truthline_internal.scores_in('SELECT * FROM piece WHERE bin IS NULL'))
$$;
COMMENT ON FUNCTION truthline_internal.binned(text) IS
    'The text of common table expressions that put cells of scores into bins.';

-- n_up_to: how many scores of a cell are no higher than a score, by binary search.
--
-- Params   `numbers` and `form` are those of ranked_cells.
-- Why      numbers whose complements are the scores are searched as they are. A complement below 1/2 is
--          exact; 1 - score may be rounded to a number whose complement is higher. From 1/2 on, doubles are
--          2^-53 apart, and all numbers within 2^-54 of 1 - score have that score; those at that distance
--          have it if its last digit is even.
CREATE OR REPLACE FUNCTION truthline_internal.n_up_to(score float8, numbers float8[], form integer)
RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN form = 0 THEN width_bucket(score, numbers)
        WHEN score < 0 THEN 0
        WHEN form = 2 OR score >= 1 THEN cardinality(numbers)
        WHEN score < 0.5 AND 1 - (1 - score) <= score THEN cardinality(numbers)
            - width_bucket(truthline_data.below(1 - score), numbers)
        WHEN score < 0.5 THEN cardinality(numbers) - width_bucket(1 - score, numbers)
        WHEN (score * 9007199254740992)::bigint % 2 = 0 THEN cardinality(numbers)
            - width_bucket(truthline_data.below(1 - score - 5.551115123125783e-17), numbers)
        ELSE cardinality(numbers) - width_bucket(1 - score - 5.551115123125783e-17, numbers) END
$$;
COMMENT ON FUNCTION truthline_internal.n_up_to(float8, float8[], integer) IS
    'How many scores of a cell are no higher than a score.';

-- with_lower: text of a query of the single scores of a cell, each with the largest double below it.
-- Why      OFFSET 0 makes plain columns of both: a function is part of a query, instead of being called, only
--          if what it repeats costs nothing.
CREATE OR REPLACE FUNCTION truthline_internal.with_lower(numbers text, form text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT format('SELECT score, truthline_data.below(score) AS lower FROM ('
                  ' SELECT CASE %2$s WHEN 0 THEN number WHEN 1 THEN 1 - number ELSE 0 END AS score'
                  ' FROM (SELECT unnest(%1$s) AS number) AS number OFFSET 0) AS single OFFSET 0', numbers, form)
$$;
COMMENT ON FUNCTION truthline_internal.with_lower(text, text) IS
    'The text of a query of the single scores of a cell, each with the largest double below it.';

-- auc_query: text of a query that computes areas under ROC curves from such cells.
--
-- Formula  (pairs of a hit and a miss in order + half of those that are equal) / all pairs: Mann and
--          Whitney's U over its maximum, which is the area under the curve with its ties.
-- Cost     the counts of all cells, if each bin has one cell. In a bin of a few cells their pairs are
--          counted between each two of them; that reads the numbers of all, and looks up those of the
--          smaller one of both. In a bin of more cells, the fewer of its hits and misses are merged, and
--          compared with each cell of the others: at most two lookups for every number.
CREATE OR REPLACE FUNCTION truthline_internal.auc_query(cells text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT format($query$
        WITH %1$s,
        bin AS MATERIALIZED (
            SELECT place, bin, sum(n_hits) AS n_hits, sum(n - n_hits) AS n_misses,
                   sum(pairs) AS pairs, bool_and(pairs IS NOT NULL) AND count(*) = 1 AS is_counted,
                   count(*) <= 4 AND sum(abs(n)) FILTER (WHERE pairs IS NULL)
                                     <= sum(abs(n)) FILTER (WHERE pairs IS NOT NULL) IS NOT FALSE
                   AND count(pairs) > 0 AS has_few,
                   sum(abs(n_hits)) <= sum(abs(n - n_hits)) AS has_fewer_hits
            FROM cell GROUP BY place, bin
        ),
        part AS MATERIALIZED (
            SELECT cell.*, has_few, has_fewer_hits, row_number() OVER () AS id
            FROM cell JOIN bin USING (place, bin) WHERE NOT is_counted
        ),
        fewer AS MATERIALIZED (
            SELECT place, bin, sign, has_fewer_hits,
                   array_agg(score ORDER BY score) AS scores
            FROM (
                SELECT place, bin, sign, has_fewer_hits,
                       CASE form WHEN 0 THEN number WHEN 1 THEN 1 - number ELSE 0 END AS score
                FROM (SELECT place, bin, sign, form, has_fewer_hits,
                             unnest(CASE WHEN has_fewer_hits THEN hits ELSE misses END) AS number
                      FROM part WHERE NOT has_few) AS number
            ) AS single
            GROUP BY place, bin, sign, has_fewer_hits
        ),
        faced AS (
            SELECT place, bin, above.sign * below.sign AS sign,
                   CASE WHEN above.id = below.id THEN above.pairs END AS pairs,
                   above.hits, above.form AS form_of_hits, below.misses, below.form AS form_of_misses
            FROM part AS above JOIN part AS below USING (place, bin)
            WHERE above.has_few AND below.has_few
            UNION ALL
            SELECT place, bin, part.sign * fewer.sign, NULL,
                   CASE WHEN fewer.has_fewer_hits THEN fewer.scores ELSE part.hits END,
                   CASE WHEN fewer.has_fewer_hits THEN 0 ELSE part.form END,
                   CASE WHEN fewer.has_fewer_hits THEN part.misses ELSE fewer.scores END,
                   CASE WHEN fewer.has_fewer_hits THEN part.form ELSE 0 END
            FROM part JOIN fewer USING (place, bin) WHERE NOT part.has_few
        ),
        counted AS MATERIALIZED (
            SELECT place, bin, sign * CASE
                WHEN pairs IS NOT NULL THEN pairs
                WHEN cardinality(hits) <= cardinality(misses) THEN
                    (SELECT sum(truthline_internal.n_up_to(score, misses, form_of_misses)
                                + truthline_internal.n_up_to(lower, misses, form_of_misses))
                     FROM (%2$s) AS hit)
                ELSE (SELECT sum(2 * cardinality(hits)
                                 - truthline_internal.n_up_to(score, hits, form_of_hits)
                                 - truthline_internal.n_up_to(lower, hits, form_of_hits))
                      FROM (%3$s) AS miss) END AS pairs
            FROM (SELECT place, bin, sign, pairs, form_of_hits, form_of_misses,
                         CASE WHEN pairs IS NULL THEN hits || '{}'::float8[] END AS hits,
                         CASE WHEN pairs IS NULL THEN misses || '{}'::float8[] END AS misses
                  FROM faced WHERE hits IS NOT NULL AND misses IS NOT NULL OFFSET 0) AS unpacked
        ),
        shared AS (
            SELECT place, bin, sum(pairs) AS pairs FROM counted GROUP BY place, bin
        )
        SELECT place, sum(n_hits + n_misses)::bigint, sum(n_hits)::bigint,
               truthline_internal.mean(sum(pairs + 2 * n_hits * n_below),
                                       2 * sum(n_hits) * sum(n_misses))
        FROM (
            SELECT place, bin.n_hits, bin.n_misses,
                   CASE WHEN is_counted THEN bin.pairs ELSE coalesce(shared.pairs, 0) END AS pairs,
                   sum(bin.n_misses) OVER (PARTITION BY place ORDER BY bin) - bin.n_misses AS n_below
            FROM bin LEFT JOIN shared USING (place, bin)
        ) AS counted
        GROUP BY place
        HAVING sum(n_hits + n_misses) > 0
    $query$, truthline_internal.binned(cells), truthline_internal.with_lower('hits', 'form_of_hits'),
        truthline_internal.with_lower('misses', 'form_of_misses'))
$$;
COMMENT ON FUNCTION truthline_internal.auc_query(text) IS
    'The text of a query that computes areas under ROC curves from cells of scores.';

-- roc_auc: the area under the ROC curve of a class, per bucket.
--
-- Grain    one row per bucket that has a truth; `place` is the bucket's number.
-- Units    `n` counts truths with a score, `n_hits` those of the class; `area` is from 0 to 1, NULL
--          unless there are both hits and misses.
CREATE OR REPLACE FUNCTION truthline_internal.roc_auc(
    series integer[], edges timestamptz[], as_of timestamptz, class integer,
    one_vs_rest boolean DEFAULT false
) RETURNS TABLE (place integer, n bigint, n_hits bigint, area float8)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET extra_float_digits = 1
SET jit = off SET enable_nestloop = off SET enable_mergejoin = off AS $function$
DECLARE
    reach record;
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.ranked_reach(series, edges, as_of, one_vs_rest);
    RETURN QUERY EXECUTE truthline_internal.auc_query(reach.cells)
    USING series, reach.edges_reached, class;
END
$function$;
COMMENT ON FUNCTION truthline_internal.roc_auc(integer[], timestamptz[], timestamptz, integer, boolean) IS
    'The area under the ROC curve of a class, per bucket.';
