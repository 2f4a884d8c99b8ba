-- Exact quantiles of confidences, values and latencies.
--
-- Cells count numbers per bin and hold them in order. The counts give the bin that contains a rank;
-- binary search then finds the numbers of that bin near the rank, and only those are sorted.

-- numbered_cells: text of a query for the cells of a measure with their numbers.
--
-- Grain    one row per cell, or per raw row; if `n` is negative, its numbers are subtracted.
-- Units    $1 stands for the series, $2 for the edges. -1 means no class.
CREATE OR REPLACE FUNCTION truthline_internal.numbered_cells(
    measure text, series integer[], edges timestamptz[], as_of timestamptz
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format('SELECT place, series_id, %s AS label_id, bin, n, numbers FROM (%s) AS piece', asked.label,
                  truthline_internal.pieces_query(
                      truthline_internal.wanted_of(asked.subject, asked.columns, asked.picked),
                      series, edges, as_of))
    FROM (VALUES
        ('confidence', 'score', '{series_id,label_id,bin,n,numbers}'::text[], 'label_id',
         'label_id IS NOT NULL'),
        ('value', 'score', '{series_id,label_id,bin,n,numbers}', '-1', 'label_id IS NULL'),
        ('latency', 'latency', '{series_id,bin,n,numbers}', '-1', 'true')
    ) AS asked (name, subject, columns, label, picked)
    WHERE asked.name = measure
$$;
COMMENT ON FUNCTION truthline_internal.numbered_cells(text, integer[], timestamptz[], timestamptz) IS
    'The text of a query for cells of bins with their numbers.';

-- quantiles_query: text of a query that computes quantiles from such cells. $3 are the fractions.
--
-- Cost     the cells once. A binary search counts the numbers of a cell below a pivot. The longest cell
--          of a bin gives two of its own numbers that enclose a rank, and counting the bin's numbers
--          below those narrows it down; the few numbers that remain are all sorted. Where a guess
--          misleads, an earlier bound is used, or none.
-- Doubles  guesses lie between existing numbers, and none is made where these are so small that their
--          parts would underflow: PostgreSQL would raise an error.
-- Why      numbers that edges cut off are subtracted one by one. Arrays of numbers are concatenated with
--          an empty one so that they are decompressed once. There is one join key: for several, the
--          optimizer would estimate one row. Counts are doubles, which are summed faster, and exactly.
CREATE OR REPLACE FUNCTION truthline_internal.quantiles_query(cells text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT format($query$
        WITH cell AS MATERIALIZED (
            SELECT piece.place, s.model_id, piece.label_id, piece.bin, piece.n, piece.numbers
            FROM (%s) AS piece
            JOIN truthline_data.series AS s ON s.id = piece.series_id
        ),
        added AS MATERIALIZED (
            SELECT place, model_id, label_id, bin, sum(n::float8) AS n, min(n) < 0 AS is_cut
            FROM cell GROUP BY place, model_id, label_id, bin
        ),
        bin AS MATERIALIZED (
            SELECT row_number() OVER ()::integer AS id, ARRAY[place, model_id, label_id, bin] AS key,
                   place, model_id, label_id, n, is_cut, below, total
            FROM (
                SELECT place, model_id, label_id, bin, n, is_cut,
                       sum(n) OVER (class ORDER BY bin) - n AS below, sum(n) OVER class AS total
                FROM added
                WINDOW class AS (PARTITION BY place, model_id, label_id)
            ) AS counted
            WHERE n > 0 AND EXISTS (
                SELECT FROM unnest($3) AS fraction
                WHERE ceil(fraction * (total - 1)) >= below
                  AND floor(fraction * (total - 1)) < below + n)
        ),
        held AS MATERIALIZED (
            SELECT id, sign(n)::integer AS n, numbers, cardinality(numbers) AS length
            FROM (SELECT bin.id, cell.n, cell.numbers || '{}'::float8[] AS numbers
                  FROM cell JOIN bin
                      ON bin.key = ARRAY[cell.place, cell.model_id, cell.label_id, cell.bin]
                  OFFSET 0) AS unpacked
        ),
        sought AS MATERIALIZED (
            SELECT row_number() OVER ()::integer AS sought_id, bin.*, nth, low, high,
                   position - floor(position) AS beyond,
                   greatest(low, 0) AS lowest, least(high, n - 1) AS highest
            FROM bin
            CROSS JOIN unnest($3) WITH ORDINALITY AS f (fraction, nth)
            CROSS JOIN LATERAL (SELECT fraction * (total - 1)) AS exact (position)
            CROSS JOIN LATERAL (SELECT floor(position) - below, ceil(position) - below) AS side (low, high)
            WHERE high >= 0 AND low < n
        ),
        guess AS (
            SELECT sought_id, id, numbers[nth_number] AS pivot
            FROM sought
            JOIN (SELECT DISTINCT ON (id) id, numbers, length, 2 + 1.5 * sqrt(length) AS margin
                  FROM held WHERE n > 0 ORDER BY id, length DESC) AS longest USING (id)
            CROSS JOIN LATERAL (
                VALUES (ceil(lowest / n * length - margin)::integer),
                       (floor(highest / n * length + margin)::integer + 2)) AS side (nth_number)
        ),
        counted AS MATERIALIZED (
            SELECT sought_id, pivot, sum(held.n * width_bucket(pivot, numbers)) AS up_to
            FROM guess JOIN held USING (id) GROUP BY sought_id, pivot
        ),
        closer AS (
            SELECT sought_id, id, pivot
            FROM (
                SELECT sought_id, id, lowest, highest,
                       max(pivot) FILTER (WHERE up_to <= lowest) AS above,
                       min(pivot) FILTER (WHERE up_to > highest) AS until,
                       max(up_to) FILTER (WHERE up_to <= lowest) AS n_above,
                       min(up_to) FILTER (WHERE up_to > highest) AS n_until
                FROM sought JOIN counted USING (sought_id) GROUP BY sought_id, id, lowest, highest
            ) AS bracket
            CROSS JOIN LATERAL (
                SELECT n_until - n_above, 2 + 1.5 * sqrt(n_until - n_above),
                       CASE WHEN until - above > 1e-280
                            THEN (until - above) / (n_until - n_above) END
            ) AS step (n_between, margin, width)
            CROSS JOIN LATERAL (VALUES (greatest(lowest - n_above - margin, 0)),
                                       (least(highest + 1 - n_above + margin, n_between)))
                AS side (n_steps)
            CROSS JOIN LATERAL (SELECT above + n_steps * width) AS guessed (pivot)
            WHERE pivot > above AND pivot < until
        ),
        near AS MATERIALIZED (
            SELECT sought_id, id, is_cut, max(pivot) FILTER (WHERE up_to <= lowest) AS above,
                   min(pivot) FILTER (WHERE up_to > highest) AS until,
                   coalesce(max(up_to) FILTER (WHERE up_to <= lowest), 0) AS n_before
            FROM sought
            LEFT JOIN (
                SELECT * FROM counted
                UNION ALL
                SELECT sought_id, pivot, sum(held.n * width_bucket(pivot, numbers))
                FROM closer JOIN held USING (id) GROUP BY sought_id, pivot
            ) AS tried USING (sought_id)
            GROUP BY sought_id, id, is_cut
        ),
        slice AS MATERIALIZED (
            SELECT sought_id, is_cut, held.n, numbers[
                1 + coalesce(width_bucket(above, numbers), 0)
                : coalesce(width_bucket(until, numbers), length)] AS numbers
            FROM near JOIN held USING (id)
        ),
        number AS (
            SELECT sought_id, number FROM slice CROSS JOIN unnest(numbers) AS number WHERE NOT is_cut
            UNION ALL (
                SELECT sought_id, number FROM slice CROSS JOIN unnest(numbers) AS number
                WHERE is_cut AND n > 0
                EXCEPT ALL
                SELECT sought_id, number FROM slice CROSS JOIN unnest(numbers) AS number
                WHERE is_cut AND n < 0
            )
        ),
        found AS (
            SELECT place, model_id, label_id, total, nth, beyond,
                   CASE WHEN low >= 0 THEN numbers[(low - n_before)::integer + 1] END AS lower,
                   CASE WHEN high < n THEN numbers[(high - n_before)::integer + 1] END AS upper
            FROM sought
            JOIN near USING (sought_id)
            JOIN (SELECT sought_id, array_agg(number ORDER BY number) AS numbers
                  FROM number GROUP BY 1) AS ordered USING (sought_id)
        )
        SELECT place, model_id, nullif(label_id, -1), total::bigint, array_agg(quantile ORDER BY nth)
        FROM (
            SELECT place, model_id, label_id, total, nth,
                   truthline_internal.interpolated(max(lower), max(upper), beyond) AS quantile
            FROM found GROUP BY place, model_id, label_id, total, nth, beyond
        ) AS of_class
        GROUP BY place, model_id, label_id, total
    $query$, cells)
$$;
COMMENT ON FUNCTION truthline_internal.quantiles_query(text) IS
    'The text of a query that computes quantiles from cells of bins.';

-- quantiles_of: runs that query on cells.
-- Why      the optimizer has no estimate of the numbers of cells, bins and ranks: it would use nested
--          loops over all of them, or sort all cells with their numbers. A hash of the smaller side
--          suits both few and many. JIT compilation takes longer than the query.
CREATE OR REPLACE FUNCTION truthline_internal.quantiles_of(
    cells text, series integer[], edges timestamptz[], fractions float8[]
) RETURNS TABLE (place integer, model_id integer, label_id integer, n bigint, quantiles float8[])
LANGUAGE plpgsql STABLE PARALLEL SAFE SET extra_float_digits = 1
SET jit = off SET enable_nestloop = off SET enable_mergejoin = off AS $function$
BEGIN
    RETURN QUERY EXECUTE truthline_internal.quantiles_query(cells) USING series, edges, fractions;
END
$function$;
COMMENT ON FUNCTION truthline_internal.quantiles_of(text, integer[], timestamptz[], float8[]) IS
    'Quantiles of the cells that a query returns.';

-- quantiles: interpolated quantiles per bucket.
--
-- Grain    one row per (bucket, model, class) that has any number; `place` is the bucket's number from
--          truthline_internal.buckets_of. Values and latencies have no class; latencies are per request.
-- Units    `measure` is 'confidence' (a fraction of 1), 'value' (the model's own unit) or 'latency'
--          (seconds). Quantiles are in the order of `fractions`, interpolated between the two nearest
--          numbers as in percentile_cont.
-- Cost     the cells of the window, and the numbers of one or two bins per quantile.
CREATE OR REPLACE FUNCTION truthline_internal.quantiles(
    measure text, series integer[], edges timestamptz[], as_of timestamptz, fractions float8[]
) RETURNS TABLE (place integer, model_id integer, label_id integer, n bigint, quantiles float8[])
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    reach record;
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.reach(
        CASE measure WHEN 'latency' THEN 'latency' ELSE 'score' END, series, edges, as_of);
    RETURN QUERY SELECT * FROM truthline_internal.quantiles_of(
        truthline_internal.numbered_cells(measure, series, reach.reached_edges, reach.reached_as_of),
        series, reach.reached_edges, fractions);
END
$function$;
COMMENT ON FUNCTION truthline_internal.quantiles(text, integer[], timestamptz[], timestamptz, float8[]) IS
    'Exact interpolated quantiles of confidences per class, of values or of latencies.';
