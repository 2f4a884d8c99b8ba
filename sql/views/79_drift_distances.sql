-- Distances of the distribution functions of numbers, exactly: Kolmogorov-Smirnov and Wasserstein-1.
--
-- Let D(x) = A(x) - B(x) be the difference of the shares of both sides that are at most x. Counts of bins
-- say what D is where a bin ends. Within a bin it rises with each number of A and falls with each of B, so
-- it can't leave [D - q, D + p], where D is its value at the start, and p and q are the bin's shares of A and
-- B. Only bins where this leaves a doubt are unpacked.

-- doubtful: which bins must be unpacked to find the largest |D|, and to know where D changes its sign.
--
-- Params   the parts of each place in ascending order, as parallel arrays, with the counts of both sides.
-- Grain    one row per bin of a place; none for a place where a side has no numbers.
-- Units    D is multiplied by the numbers of both sides, and so is a whole number, which a double holds
--          exactly below 2^53: `start` where the bin starts. `best` is the largest |D| of the place where any bin ends; `exceeds` whether the bin may
--          have a larger one; `direction` the sign of D throughout, NULL if it may change.
CREATE OR REPLACE FUNCTION truthline_internal.doubtful(
    places integer[], bins integer[], a float8[], b float8[]
) RETURNS TABLE (
    place integer, bin integer, a float8, b float8, a_total float8, b_total float8, start float8,
    best float8, exceeds boolean, direction integer
) LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 100 AS $$
    SELECT place, bin, a, b, a_total, b_total, start, best,
           greatest(start + a * b_total, b * a_total - start) > best,
           CASE WHEN start - b * a_total >= 0 THEN 1 WHEN start + a * b_total <= 0 THEN -1 END
    FROM (
        SELECT *, up_to - (a * b_total - b * a_total) AS start,
               max(abs(up_to)) OVER (PARTITION BY place) AS best
        FROM (
            SELECT *, sum(a * b_total - b * a_total) OVER (PARTITION BY place ORDER BY bin) AS up_to
            FROM (
                SELECT *, sum(a) OVER whole AS a_total, sum(b) OVER whole AS b_total
                FROM unnest(places, bins, a, b) AS part (place, bin, a, b)
                WINDOW whole AS (PARTITION BY place)
            ) AS counted
            WHERE a_total > 0 AND b_total > 0
        ) AS added
    ) AS bounded
$$;
COMMENT ON FUNCTION truthline_internal.doubtful(integer[], integer[], float8[], float8[]) IS
    'Which bins must be unpacked to know the largest distance of two distribution functions, and its sign.';

-- closer_query: text of the expressions that divide doubtful spans of numbers at pivots.
--
-- Grain    `spans_<round>` has one row per span of the numbers of a bin: those above `above`, up to `until`.
--          Counts from the start of the bin: `a_from` and `b_from` up to `above`, `a_to` and `b_to` up to
--          `until`. `best_<round>` has the largest |D| found so far.
-- Cost     a binary search per pivot and cell. Pivots are as close as the doubt requires: half of the largest
--          |D| lies between two of them, in the second round an eighth; but there are at most 1,000 per span, and none in a span
--          of few numbers. Arrays are counted before anything is sorted, which would copy them.
-- Why      pivots are numbers of the longest cell of side A: where A has none, D has no maximum.
CREATE OR REPLACE FUNCTION truthline_internal.closer_query(round integer) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $function$
    SELECT replace(replace(replace($query$,
        wanted_# AS MATERIALIZED (
            SELECT spans_@.*, doubt.start, a_total, b_total, best_@.best,
                   start + a_from * b_total - b_from * a_total AS d
            FROM spans_@ JOIN best_@ USING (place) JOIN doubt USING (place, bin)
            WHERE greatest(start + a_to * b_total - b_from * a_total,
                           b_to * a_total - a_from * b_total - start) > best_@.best
        ),
        pivots_# AS MATERIALIZED (
            SELECT DISTINCT place, bin, above, a_from, b_from, pivot
            FROM wanted_# JOIN longest USING (bin)
            CROSS JOIN LATERAL (
                SELECT coalesce(width_bucket(above, numbers), 0),
                       CASE WHEN until IS NULL THEN length ELSE width_bucket(until, numbers) END
            ) AS rank (low, high)
            CROSS JOIN LATERAL (
                SELECT least(1000, high - low, ceil(&# * greatest(
                    (a_to - a_from) * b_total, (b_to - b_from) * a_total) / best))::integer
            ) AS many (steps)
            CROSS JOIN LATERAL (
                SELECT numbers[low + 1 + ((high - low - 1) * step::float8 / steps)::integer]
                FROM generate_series(0, steps) AS step
            ) AS tried (pivot)
            WHERE a_to - a_from + b_to - b_from > 2000 AND steps > 0
              AND pivot > coalesce(above, '-Infinity') AND pivot < coalesce(until, 'Infinity')
        ),
        a_at_# AS MATERIALIZED (
            SELECT bin, pivot, sum(n) AS a
            FROM (SELECT bin, pivot, sign * width_bucket(pivot, numbers)::float8 AS n
                  FROM (SELECT DISTINCT bin, pivot FROM pivots_#) AS tried
                  JOIN held USING (bin) WHERE place = 0 OFFSET 0) AS counted
            GROUP BY bin, pivot
        ),
        b_at_# AS MATERIALIZED (
            SELECT place, bin, pivot, sum(n) AS b
            FROM (SELECT place, bin, pivot, sign * width_bucket(pivot, numbers)::float8 AS n
                  FROM pivots_# JOIN held USING (place, bin) OFFSET 0) AS counted
            GROUP BY place, bin, pivot
        ),
        spans_# AS MATERIALIZED (
            SELECT place, bin, coalesce(lag(pivot) OVER own, above) AS above, pivot AS until,
                   coalesce(lag(a) OVER own, a_from) AS a_from, a AS a_to,
                   coalesce(lag(b) OVER own, b_from) AS b_from, b AS b_to
            FROM (
                SELECT place, bin, above, pivot, a_from, b_from, a, coalesce(b, 0) AS b
                FROM pivots_# JOIN a_at_# USING (bin, pivot) LEFT JOIN b_at_# USING (place, bin, pivot)
                UNION ALL
                SELECT place, bin, above, until, a_from, b_from, a_to, b_to FROM wanted_#
            ) AS point
            WINDOW own AS (PARTITION BY place, bin, above ORDER BY pivot NULLS LAST)
        ),
        best_# AS MATERIALIZED (
            SELECT place, greatest(best_@.best, found.best) AS best
            FROM best_@ LEFT JOIN (
                SELECT place, max(abs(start + a_to * b_total - b_to * a_total)) AS best
                FROM spans_# JOIN doubt USING (place, bin) GROUP BY place) AS found USING (place)
        )$query$, '&#', CASE round WHEN 1 THEN '2' ELSE '8' END), '#', round::text), '@', (round - 1)::text)
$function$;
COMMENT ON FUNCTION truthline_internal.closer_query(integer) IS
    'The text of the expressions that divide doubtful spans of numbers at pivots.';

-- largest_query: text of a query for the largest |D| per place, as `best` of `doubtful`.
--
-- Params   those of held_query; $6 to $11 are the doubtful bins: their place, bin, start and best, and the
--          counts of both sides in it; $12 and $13 the totals of both sides.
-- Cost     cells of these bins, which are searched twice; the numbers that are still in doubt are sorted.
CREATE OR REPLACE FUNCTION truthline_internal.largest_query(held text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $function$
    SELECT format($query$
        WITH %s,
        doubt AS MATERIALIZED (
            SELECT * FROM unnest($6, $7, $8, $9, $10, $11, $12, $13)
                AS d (place, bin, start, best, a, b, a_total, b_total)
        ),
        longest AS MATERIALIZED (
            SELECT DISTINCT ON (bin) bin, numbers, cardinality(numbers) AS length
            FROM held WHERE place = 0 AND sign > 0 ORDER BY bin, cardinality(numbers) DESC
        ),
        spans_0 AS MATERIALIZED (
            SELECT place, bin, NULL::float8 AS above, NULL::float8 AS until, 0::float8 AS a_from,
                   a::float8 AS a_to, 0::float8 AS b_from, b::float8 AS b_to FROM doubt
        ),
        best_0 AS MATERIALIZED (SELECT place, max(best) AS best FROM doubt GROUP BY place)
        %s
        %s,
        left_over AS MATERIALIZED (
            SELECT spans_2.*, start + a_from * b_total - b_from * a_total AS d, a_total, b_total
            FROM spans_2 JOIN best_2 USING (place) JOIN doubt USING (place, bin)
            WHERE greatest(start + a_to * b_total - b_from * a_total,
                           b_to * a_total - a_from * b_total - start) > best_2.best
        ),
        number AS (
            SELECT place, bin, above, d, number, sum(step) AS step
            FROM (
                SELECT l.place, l.bin, l.above, l.d, sign * CASE held.place WHEN 0 THEN b_total ELSE -a_total END
                           AS step,
                       unnest(numbers[1 + coalesce(width_bucket(above, numbers), 0)
                                      : CASE WHEN until IS NULL THEN cardinality(numbers)
                                             ELSE width_bucket(until, numbers) END]) AS number
                FROM left_over AS l JOIN held ON held.bin = l.bin AND held.place IN (0, l.place)
            ) AS one
            GROUP BY place, bin, above, d, number
        ),
        found AS (
            SELECT place, max(abs(up_to)) AS best
            FROM (SELECT place, d + sum(step) OVER (PARTITION BY place, bin, above ORDER BY number) AS up_to
                  FROM number) AS added
            GROUP BY place
        )
        SELECT place, greatest(best_2.best, found.best) FROM best_2 LEFT JOIN found USING (place)
    $query$, held, truthline_internal.closer_query(1), truthline_internal.closer_query(2))
$function$;
COMMENT ON FUNCTION truthline_internal.largest_query(text) IS
    'The text of a query for the largest distance of two distribution functions.';

-- area_query: text of a query for the area between both functions, which is the Wasserstein-1 distance, or
-- for what is needed of it.
--
-- Formula  the area is the integral of |D|, and so -sum x (|D| after - |D| before) over all numbers x. Where D
--          has one sign, that is the sum of x times the change of D, but for the sign; and over all numbers
--          that sum is the difference of the means.
-- Grain    one row per place and direction, 0 if D may change its sign: `moment` is the sum of x times the
--          change of D over the given bins of that direction, and `area` the sum above.
-- Params   those of held_query; $6 to $9 are the bins: their place, bin, start and direction; $10 and $11
--          the totals of both sides, and $12 a number that is subtracted from all.
-- Units    a quarter of the numbers' unit, so that no difference is beyond all doubles; numbers below
--          1e-150 count as 0, as in all sums.
-- Cost     all numbers of these bins; those of bins without a direction are sorted.
CREATE OR REPLACE FUNCTION truthline_internal.area_query(held text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $function$
    SELECT format($query$
        WITH %s,
        doubt AS MATERIALIZED (
            SELECT * FROM unnest($6, $7, $8, $9, $10, $11)
                AS d (place, bin, start, direction, a_total, b_total)
        ),
        changed AS (
            SELECT place, bin, number, sum(step) AS step
            FROM (
                SELECT d.place, d.bin, unnest(numbers) AS number,
                       sign * CASE held.place WHEN 0 THEN b_total ELSE -a_total END AS step
                FROM doubt AS d JOIN held ON held.bin = d.bin AND held.place IN (0, d.place)
                WHERE d.direction IS NULL
            ) AS one
            GROUP BY place, bin, number
        )
        SELECT place, 0 AS direction, sum(x * (step / total)) AS moment,
               sum(x * ((abs(start + up_to - step) - abs(start + up_to)) / total)) AS area
        FROM (SELECT place, bin, step, truthline_internal.quarter(number, $12) AS x,
                     sum(step) OVER (PARTITION BY place, bin ORDER BY number) AS up_to
              FROM changed) AS added
        JOIN (SELECT place, bin, start, a_total * b_total AS total FROM doubt) AS bin USING (place, bin)
        GROUP BY place
        UNION ALL
        SELECT place, direction, sum(truthline_internal.quarter(number, $12) * step), NULL
        FROM (
            SELECT d.place, d.direction,
                   sign / CASE held.place WHEN 0 THEN a_total ELSE -b_total END AS step,
                   unnest(numbers) AS number
            FROM doubt AS d JOIN held ON held.bin = d.bin AND held.place IN (0, d.place)
            WHERE d.direction IS NOT NULL
        ) AS one
        GROUP BY place, direction
    $query$, held)
$function$;
COMMENT ON FUNCTION truthline_internal.area_query(text) IS
    'The text of a query for the area between two distribution functions.';

-- quarter: a quarter of what a number is above another.
CREATE OR REPLACE FUNCTION truthline_internal.quarter(number float8, above float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN abs(number) < 1e-150 THEN 0 ELSE number / 4 END
         - CASE WHEN abs(above) < 1e-150 THEN 0 ELSE above / 4 END
$$;
COMMENT ON FUNCTION truthline_internal.quarter(float8, float8) IS
    'A quarter of what a number is above another.';
