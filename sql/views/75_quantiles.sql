-- Exact quantiles of confidences, values and latencies.
--
-- Cells count numbers per bin, and say in which bin a rank lies. The numbers of those bins alone are
-- then looked up and sorted: levels keep them, and what edges cut off is added or taken away.

-- binned: how many numbers are in each bin, and how many are below it.
--
-- Grain    one row per (bucket, model, class, bin); values and latencies have no class.
-- Units    `measure` is 'confidence' (a fraction of 1), 'value' (the model's own unit) or 'latency'
--          (seconds). `total` counts all numbers of a (bucket, model, class).
CREATE OR REPLACE FUNCTION truthline.binned(
    measure text, series integer[], start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, origin timestamptz DEFAULT NULL, zone text DEFAULT 'UTC',
    as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (place integer, model_id integer, label_id integer, bin integer, n bigint,
                 below bigint, total bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH cell AS (
        SELECT * FROM truthline.cells(
            'score', '{series_id,label_id,bin,n}', series, start_time, end_time, width, origin,
            zone, as_of
        ) AS cell (place integer, series_id integer, label_id integer, bin integer, n bigint)
        WHERE measure <> 'latency' AND (label_id IS NULL) = (measure = 'value')
        UNION ALL
        SELECT place, series_id, NULL, bin, n FROM truthline.cells(
            'latency', '{series_id,bin,n}', series, start_time, end_time, width, origin, zone, as_of
        ) AS cell (place integer, series_id integer, bin integer, n bigint)
        WHERE measure = 'latency'
    ),
    bin AS (
        SELECT cell.place, s.model_id, cell.label_id, cell.bin, sum(cell.n)::bigint AS n
        FROM cell JOIN truthline_data.series AS s ON s.id = cell.series_id
        GROUP BY 1, 2, 3, 4
    )
    SELECT bin.*,
           (sum(n) OVER (PARTITION BY place, model_id, label_id ORDER BY bin) - n)::bigint,
           sum(n) OVER (PARTITION BY place, model_id, label_id)::bigint
    FROM bin
$$;
COMMENT ON FUNCTION truthline.binned(text, integer[], timestamptz, timestamptz, interval, timestamptz, text, timestamptz) IS
    'Confidences, values or latencies per bin, and how many are below.';

-- interpolated: between two neighbours in order, as numpy and percentile_cont do it.
CREATE OR REPLACE FUNCTION truthline.interpolated(lower float8, upper float8, share float8)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN share < 0.5 THEN lower + (upper - lower) * share
                ELSE upper - (upper - lower) * (1 - share) END
$$;
COMMENT ON FUNCTION truthline.interpolated(float8, float8, float8) IS
    'The number that lies a share of the way from one to the other.';

-- numbers_query: the text of a query for the numbers of some bins.
--
-- Grain    one row per cell, or per raw row; its numbers count as often as `n` has the sign.
-- Units    $1 stands for the series, $2 for the edges; $3, $4 and $5 name series, class and bin of
--          what is looked for. No class is -1.
CREATE OR REPLACE FUNCTION truthline.numbers_query(
    measure text, series integer[], edges timestamptz[], as_of timestamptz
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT string_agg(
        format('SELECT place, series_id, %s AS label_id, bin, sign(n)::integer AS n, numbers'
               ' FROM (%s) AS piece', asked.label, query), ' UNION ALL ')
    FROM (VALUES
        ('confidence', 'score', '{series_id,label_id,bin,n,numbers}'::text[], 'label_id',
         '(series_id, label_id, bin) IN (SELECT * FROM unnest($3, $4, $5))'),
        ('value', 'score', '{series_id,label_id,bin,n,numbers}', '-1',
         'label_id IS NULL AND (series_id, bin) IN (SELECT * FROM unnest($3, $5))'),
        ('latency', 'latency', '{series_id,bin,n,numbers}', '-1',
         '(series_id, bin) IN (SELECT * FROM unnest($3, $5))')
    ) AS asked (name, subject, columns, label, picked)
    CROSS JOIN LATERAL truthline.plan(
        asked.subject, asked.columns, series, edges, as_of, asked.picked)
    WHERE asked.name = measure
$$;
COMMENT ON FUNCTION truthline.numbers_query(text, integer[], timestamptz[], timestamptz) IS
    'The text of a query for the numbers of some bins.';

-- ranked_query: the text of a query that finds which numbers have the ranks that quantiles lie
-- between. $6 to $12 are the bins that hold a rank, $13 the fractions.
--
-- Cost     numbers of a cell are in order, so how many are below a pivot is a binary search. Pivots
--          spread over a bin, as many as half the root of its numbers, leave few to be sorted.
-- Why      what edges cut off has n = -1 and is taken away number by number. A bin that lost
--          numbers, or all, can't tell its ranks any more: those are NULL. Numbers are joined with
--          an empty array to be unpacked once, and aren't carried through a sort (OFFSET 0).
--          There is one key to join by: of several the database would expect one row, and go
--          through all cells again for each rank.
CREATE OR REPLACE FUNCTION truthline.ranked_query(numbers text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT format($query$
        WITH bin AS MATERIALIZED (
            SELECT row_number() OVER ()::integer AS id, ARRAY[place, model_id, label_id] AS key, bin.*
            FROM unnest($6, $7, $8, $9, $10, $11, $12)
                AS bin (place, model_id, label_id, bin, n, below, total)
        ),
        rank AS MATERIALIZED (
            SELECT key, total, nth, position - floor(position) AS beyond,
                   floor(position)::bigint AS low, ceil(position)::bigint AS high
            FROM (SELECT DISTINCT key, total FROM bin) AS asked
            CROSS JOIN unnest($13) WITH ORDINALITY AS f (fraction, nth)
            CROSS JOIN LATERAL (SELECT fraction * (total - 1)) AS exact (position)
        ),
        cell AS MATERIALIZED (
            SELECT bin.id, piece.n, piece.numbers || '{}'::float8[] AS numbers,
                   min(piece.n) OVER (PARTITION BY bin.id) < 0 AS cut
            FROM (%s) AS piece
            JOIN truthline_data.series AS s ON s.id = piece.series_id
            JOIN bin ON key || bin.bin = ARRAY[piece.place, s.model_id, piece.label_id, piece.bin]
        ),
        pivot AS MATERIALIZED (
            SELECT span.id, k, n_steps, lowest + k * ((highest - lowest) / n_steps) AS pivot
            FROM (SELECT id, min(first), max(last)
                  FROM (SELECT id, numbers[1], numbers[cardinality(numbers)] FROM cell OFFSET 0)
                      AS ends (id, first, last)
                  GROUP BY 1) AS span (id, lowest, highest)
            JOIN bin USING (id)
            CROSS JOIN LATERAL (
                SELECT CASE WHEN lowest > -1e300 AND highest < 1e300
                            THEN greatest(1, least(128, sqrt(bin.n) / 2))::integer ELSE 1 END
            ) AS steps (n_steps)
            CROSS JOIN generate_series(1, n_steps - 1) AS k
        ),
        counted AS MATERIALIZED (
            SELECT id, k, sum(up_to)::bigint AS up_to
            FROM (
                SELECT id, k, n * width_bucket(pivot, numbers) FROM cell JOIN pivot USING (id)
                UNION ALL
                SELECT id, 129, n * cardinality(numbers) FROM cell
                UNION ALL
                SELECT id, 0, 0 FROM bin
                OFFSET 0
            ) AS searched (id, k, up_to)
            GROUP BY 1, 2
        ),
        around AS MATERIALIZED (
            SELECT sought.*, max(k) FILTER (WHERE up_to <= rank - below) AS from_k,
                   min(k) FILTER (WHERE up_to > rank - below) AS until_k,
                   below + max(up_to) FILTER (WHERE up_to <= rank - below) AS n_before,
                   max(up_to) = n AS whole
            FROM (
                SELECT DISTINCT id, key, below, bin.n, side.rank
                FROM rank JOIN bin USING (key)
                CROSS JOIN LATERAL (VALUES (low), (high)) AS side (rank)
                WHERE side.rank >= below AND side.rank < below + bin.n
            ) AS sought
            JOIN counted USING (id)
            GROUP BY id, key, below, n, rank
        ),
        near AS MATERIALIZED (
            SELECT around.id, around.rank, cell.n, cut, numbers[
                1 + coalesce(width_bucket(a.pivot, numbers), 0)
                : coalesce(width_bucket(b.pivot, numbers), cardinality(numbers))] AS numbers
            FROM around JOIN cell USING (id)
            LEFT JOIN pivot AS a ON a.id = around.id AND a.k = from_k
            LEFT JOIN pivot AS b ON b.id = around.id AND b.k = until_k
        ),
        held AS (
            SELECT id, rank, number FROM near CROSS JOIN unnest(numbers) AS number WHERE NOT cut
            UNION ALL (
                SELECT id, rank, number FROM near CROSS JOIN unnest(numbers) AS number
                WHERE cut AND n > 0
                EXCEPT ALL
                SELECT id, rank, number FROM near CROSS JOIN unnest(numbers) AS number
                WHERE cut AND n < 0
            )
        ),
        found AS MATERIALIZED (
            SELECT key, rank, CASE WHEN whole THEN numbers[rank - n_before + 1] END AS number
            FROM (SELECT id, rank, array_agg(number ORDER BY number) AS numbers
                  FROM held GROUP BY 1, 2) AS ordered
            JOIN around USING (id, rank)
        )
        SELECT rank.key[1], rank.key[2], nullif(rank.key[3], -1), rank.total,
               array_agg(truthline.interpolated(a.number, b.number, beyond) ORDER BY nth)
        FROM rank
        LEFT JOIN found AS a ON a.key = rank.key AND a.rank = low
        LEFT JOIN found AS b ON b.key = rank.key AND b.rank = high
        GROUP BY rank.key, rank.total
    $query$, numbers)
$$;
COMMENT ON FUNCTION truthline.ranked_query(text) IS
    'The text of a query that reads quantiles off the numbers of some bins.';

-- quantiles: interpolated quantiles per bucket.
--
-- Grain    one row per (bucket, model, class) that has any number; `place` is the bucket's number
--          from truthline.buckets. Values and latencies have no class; a latency is a request's.
-- Units    as those of binned; quantiles stand in the order of `fractions`, interpolated between
--          the two numbers beside them as percentile_cont does. NULL where numbers that it would
--          take are dropped already.
-- Cost     the cells of the window, and the numbers of one or two bins per quantile.
CREATE OR REPLACE FUNCTION truthline.quantiles(
    measure text, series integer[], start_time timestamptz, end_time timestamptz,
    fractions float8[], width interval DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (place integer, model_id integer, label_id integer, n bigint, quantiles float8[])
LANGUAGE plpgsql STABLE PARALLEL SAFE SET jit = off AS $function$
#variable_conflict use_column
DECLARE
    reach record;
    held record;     -- the bins that hold a rank
    sought record;   -- the same by series
BEGIN
    SELECT array_agg(b.place) AS places, array_agg(b.model_id) AS models,
           array_agg(coalesce(b.label_id, -1)) AS labels, array_agg(b.bin) AS bins,
           array_agg(b.n) AS n, array_agg(b.below) AS below, array_agg(b.total) AS totals
    INTO held
    FROM (
        SELECT DISTINCT bin.*
        FROM truthline.binned(
            measure, series, start_time, end_time, width, origin, zone, as_of) AS bin
        JOIN unnest(fractions) AS fraction
            ON ceil(fraction * (total - 1)) >= below AND floor(fraction * (total - 1)) < below + n
    ) AS b;
    IF held.bins IS NULL THEN
        RETURN;
    END IF;
    SELECT array_agg(s.id) AS series, array_agg(b.label_id) AS labels, array_agg(b.bin) AS bins
    INTO sought
    FROM (SELECT DISTINCT * FROM unnest(held.models, held.labels, held.bins)) AS b (
        model_id, label_id, bin)
    JOIN truthline_data.series AS s ON s.model_id = b.model_id AND s.id = ANY (series);
    SELECT * INTO STRICT reach FROM truthline.reach(
        CASE measure WHEN 'latency' THEN 'latency' ELSE 'score' END, series,
        truthline.edges(start_time, end_time, width, origin, zone), as_of);
    RETURN QUERY EXECUTE truthline.ranked_query(
        truthline.numbers_query(measure, series, reach.reached_edges, reach.reached_as_of))
    USING series, reach.reached_edges, sought.series, sought.labels, sought.bins, held.places,
          held.models, held.labels, held.bins, held.n, held.below, held.totals, fractions;
END
$function$;
COMMENT ON FUNCTION truthline.quantiles(text, integer[], timestamptz, timestamptz, float8[], interval, timestamptz, text, timestamptz) IS
    'Exact interpolated quantiles of confidences per class, of values or of latencies.';
