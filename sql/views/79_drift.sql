-- Drift: how far the distribution of an output or truth on side B is from that of a reference, side A.
--
-- A side is any series between any edges, as of any moment; each bucket of side B is compared with the
-- whole of side A, which has two edges.
--
-- Labels are counted by themselves. Numbers are counted in parts: about tenths of side A, cut where bins
-- of stored cells end, or at its own quantiles where one bin holds more than a tenth of it.

-- label_cell, actual_cell: outputs per class, and truths per class.
CREATE TYPE truthline_internal.label_cell AS (place integer, label_id integer, n bigint);
CREATE TYPE truthline_internal.actual_cell AS (place integer, actual_label integer, n bigint);
COMMENT ON TYPE truthline_internal.label_cell IS 'Outputs per bucket and class.';
COMMENT ON TYPE truthline_internal.actual_cell IS 'Truths per bucket and class.';

-- counted: how many outputs, requests or truths are in each part.
--
-- Grain    one row per bucket and part: a label, or the bin of a number.
-- Params   `quantity` is predicted_label, actual_label, confidence, value or latency.
-- Cost     cells, without the numbers in them.
CREATE OR REPLACE FUNCTION truthline_internal.counted(
    quantity text, series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (place integer, part integer, n bigint) LANGUAGE plpgsql STABLE PARALLEL SAFE
AS $function$
#variable_conflict use_column
BEGIN
    CASE quantity
    WHEN 'predicted_label' THEN
        RETURN QUERY SELECT cell.place, cell.label_id, cell.n FROM truthline_internal.cells(
            NULL::truthline_internal.label_cell, 'prediction', series, edges, as_of) AS cell
        WHERE cell.label_id IS NOT NULL;
    WHEN 'actual_label' THEN
        RETURN QUERY SELECT cell.place, cell.actual_label, cell.n FROM truthline_internal.cells(
            NULL::truthline_internal.actual_cell, 'outcome', series, edges, as_of) AS cell
        WHERE cell.actual_label IS NOT NULL;
    WHEN 'latency' THEN
        RETURN QUERY SELECT cell.place, cell.bin, cell.n
        FROM truthline_internal.latency_cells(series, edges, as_of) AS cell;
    ELSE
        RETURN QUERY SELECT cell.place, cell.bin, truthline_internal.total(cell.n)
        FROM truthline_internal.score_cells(series, edges, as_of) AS cell
        WHERE (cell.label_id IS NULL) = (quantity = 'value') GROUP BY 1, 2;
    END CASE;
END
$function$;
COMMENT ON FUNCTION truthline_internal.counted(text, integer[], timestamptz[], timestamptz) IS
    'How many outputs, requests or truths have each label, or are in each bin of a number.';

-- bin_end: the smallest number above all of a bin; NULL of the last bin.
-- Formula  the inverse of magnitude_bin and confidence_bin: its number less one is the first bits of a
--          double, which are its exponent and the first bits of its mantissa. A negative bin includes the
--          bound nearer to zero.
CREATE OR REPLACE FUNCTION truthline_internal.bin_end(quantity text, bin integer) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN quantity = 'confidence' THEN CASE WHEN bin < 64 THEN (bin + 1) / 64::float8 END
        WHEN first_bits >= 2047 * parts THEN NULL
        WHEN bin = -1 THEN 0
        WHEN bin < 0 THEN -truthline_data.below(bound)
        ELSE bound END
    FROM (SELECT CASE quantity WHEN 'latency' THEN 8 ELSE 16 END, CASE WHEN bin < 0 THEN -bin - 1 ELSE bin END)
        AS of (parts, first_bits)
    CROSS JOIN LATERAL (
        SELECT CASE
            WHEN first_bits < parts THEN first_bits * (2.2250738585072014e-308 / parts)
            WHEN first_bits < 2047 * parts
            THEN power(2::float8, first_bits / parts - 1023)
                 * (1 + (first_bits % parts) / parts::float8) END) AS number (bound)
$$;
COMMENT ON FUNCTION truthline_internal.bin_end(text, integer) IS
    'The smallest number above all numbers of a bin; NULL of the last bin.';

-- number_below: the largest double below a number.
CREATE OR REPLACE FUNCTION truthline_internal.number_below(number float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN number > 0 THEN truthline_data.below(number)
                WHEN number > -4.450147717014403e-308 THEN number - 4.94065645841247e-324
                WHEN number = -1.7976931348623157e308 THEN '-Infinity'
                ELSE number + number * 1.1102230246251568e-16 END
$$;
COMMENT ON FUNCTION truthline_internal.number_below(float8) IS 'The largest double below a number.';

-- cuts: where the numbers of a side are cut into about ten parts.
--
-- Params   its bins in ascending order, and how many numbers are in each.
-- Grain    one row per cut, in ascending order. A cut belongs to a bin: it is where the bin ends (`inner`
--          is false), or a quantile of the side within it, at `fraction`.
-- Why      the cells know how many numbers lie below the end of a bin, but must be unpacked for any other
--          number. A bin with at most a tenth is never divided.
CREATE OR REPLACE FUNCTION truthline_internal.cuts_of(bins integer[], counts bigint[])
RETURNS TABLE (bin integer, is_inner boolean, fraction float8)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 9 AS $$
    WITH bin AS (
        SELECT bin, n, sum(n) OVER (ORDER BY bin) AS up_to, sum(n) OVER () AS total,
               lag(bin) OVER (ORDER BY bin) AS before, max(bin) OVER () AS last
        FROM unnest(bins, counts) AS b (bin, n)
    )
    SELECT DISTINCT CASE WHEN is_large OR up_to - wanted <= wanted - (up_to - n) THEN bin ELSE before END,
           is_large, CASE WHEN is_large THEN tenth / 10::float8 END
    FROM generate_series(1, 9) AS tenth
    CROSS JOIN LATERAL (
        SELECT bin.*, n * 10 > total AS is_large, total * tenth / 10 AS wanted
        FROM bin WHERE up_to >= total * tenth / 10 ORDER BY bin LIMIT 1) AS reached
    WHERE is_large
       OR CASE WHEN up_to - wanted <= wanted - (up_to - n) THEN bin <> last ELSE before IS NOT NULL END
    ORDER BY 1, 3
$$;
COMMENT ON FUNCTION truthline_internal.cuts_of(integer[], bigint[]) IS
    'Where the numbers of a side are cut into about ten parts: at ends of bins, or within large ones.';

-- held_query: text of a query for the numbers of both sides in some bins.
--
-- Grain    one row per cell, or for all small cells of a bin. `place` is 0 for side A; `sign` is -1 where
--          the numbers are subtracted.
-- Params   $1 and $2 are the series and edges of side A, $3 and $4 of side B, and $5 the bins. Edges and
--          moments are those that can be reached.
-- Why      a search in an array costs as much for one number as for a hundred, and rows have one each.
--          Arrays are concatenated with an empty one so that they are decompressed once.
CREATE OR REPLACE FUNCTION truthline_internal.held_query(
    quantity text, a_series integer[], a_edges timestamptz[], a_as_of timestamptz,
    b_series integer[], b_edges timestamptz[], b_as_of timestamptz
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format(
        'cell AS MATERIALIZED (
            SELECT 0 AS place, bin, sign(n)::integer AS sign, numbers || ''{}'' AS numbers
            FROM (%s) AS of_a WHERE bin = ANY ($5)
            UNION ALL
            SELECT place, bin, sign(n)::integer, numbers || ''{}''
            FROM (%s) AS of_b WHERE bin = ANY ($5)
        ),
        held AS MATERIALIZED (
            SELECT place, bin, sign, numbers FROM cell WHERE cardinality(numbers) >= 100
            UNION ALL
            SELECT place, bin, sign, array_agg(number ORDER BY number)
            FROM (SELECT place, bin, sign, unnest(numbers) AS number FROM cell
                  WHERE cardinality(numbers) < 100) AS of_small
            GROUP BY place, bin, sign
        )',
        truthline_internal.of_many(truthline_internal.numbered_cells(
            quantity, a_series, a_edges, a_as_of), a_series),
        replace(replace(truthline_internal.of_many(truthline_internal.numbered_cells(
            quantity, b_series, b_edges, b_as_of), b_series), '$1', '$3'), '$2', '$4'))
$$;
COMMENT ON FUNCTION truthline_internal.held_query(text, integer[], timestamptz[], timestamptz, integer[], timestamptz[], timestamptz) IS
    'The text of a query for the numbers of both sides in some bins.';

-- drift: how far an output or truth on side B is from the reference, side A.
--
-- Params   both sides as ids, edges and moments; `wanted` are statistics, NULL for all of the quantity.
-- Grain    one row per bucket of side B, oldest first, including empty ones.
-- Units    `labels`, or `lower` and `upper`, describe the parts, whose counts are in `a_counts` and
--          `b_counts`: labels by their ids, and numbers as in drift_of_numbers. Statistics are parallel arrays of
--          names, values, expected values without drift, and p-values: those of part_statistics, and for
--          numbers ks and wasserstein. Values are NULL if a side is empty.
-- Cost     cells of both sides; for ks and wasserstein the numbers of some bins, and for the latter up to
--          all of them where the sides hardly differ.
CREATE OR REPLACE FUNCTION truthline_internal.drift(
    quantity text, a_series integer[], a_edges timestamptz[], a_as_of timestamptz,
    b_series integer[], b_edges timestamptz[], b_as_of timestamptz, wanted text[] DEFAULT NULL
) RETURNS TABLE (
    place integer, a_n bigint, b_n bigint, labels integer[], lower float8[], upper float8[],
    a_counts bigint[], b_counts bigint[], statistics text[], "values" float8[], noises float8[],
    p_values float8[]
) LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    SELECT p.place, n.a, n.b, p.labels, p.lower, p.upper, p.a, p.b, s.statistics, s."values", s.noises,
           s.p_values
    FROM truthline_internal.drift_parts(
        quantity, a_series, a_edges, a_as_of, b_series, b_edges, b_as_of, wanted) AS p
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(one.a), 0)::bigint, coalesce(sum(one.b), 0)::bigint
        FROM unnest(p.a, p.b) AS one (a, b)) AS n (a, b)
    CROSS JOIN LATERAL (
        SELECT array_agg(name ORDER BY nth) AS statistics, array_agg(value ORDER BY nth) AS "values",
               array_agg(noise ORDER BY nth) AS noises, array_agg(p_value ORDER BY nth) AS p_values
        FROM unnest(ARRAY['psi', 'jensen_shannon', 'hellinger', 'total_variation', 'chi_squared', 'ks',
                          'wasserstein']) WITH ORDINALITY AS known (name, nth)
        LEFT JOIN (
            SELECT * FROM truthline_internal.part_statistics(p.a, p.b)
            UNION ALL
            SELECT 'ks', p.largest, sqrt(pi() / 2) * ln(2::float8) * sqrt(1 / n.a::float8 + 1 / n.b::float8),
                   truthline_internal.kolmogorov_p(
                       p.largest / sqrt(1 / n.a::float8 + 1 / n.b::float8))
            WHERE p.largest IS NOT NULL
            UNION ALL
            SELECT 'wasserstein', p.area, p.noise, NULL
        ) AS found ON found.statistic = name
        WHERE (wanted IS NULL OR name = ANY (wanted)) AND (p.labels IS NULL OR nth <= 5)
    ) AS s
    ORDER BY p.place;
END
$function$;
COMMENT ON FUNCTION truthline_internal.drift(text, integer[], timestamptz[], timestamptz, integer[], timestamptz[], timestamptz, text[]) IS
    'How far the distribution of an output or truth on side B is from that of side A, per bucket of B.';

-- drift_parts: the parts of both sides, and the distances of numbers, as drift.
CREATE OR REPLACE FUNCTION truthline_internal.drift_parts(
    quantity text, a_series integer[], a_edges timestamptz[], a_as_of timestamptz,
    b_series integer[], b_edges timestamptz[], b_as_of timestamptz, wanted text[]
) RETURNS TABLE (
    place integer, labels integer[], lower float8[], upper float8[], a bigint[], b bigint[],
    largest float8, area float8, noise float8
) LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1 AS $function$
#variable_conflict use_column
BEGIN
    IF quantity IN ('confidence', 'value', 'latency') THEN
        RETURN QUERY
        SELECT n.place, NULL::integer[], n.lower, n.upper, n.a, n.b, n.largest, n.area, n.noise
        FROM truthline_internal.drift_of_numbers(
            quantity, a_series, a_edges, a_as_of, b_series, b_edges, b_as_of,
            coalesce(wanted, '{ks,wasserstein}')) AS n;
        RETURN;
    END IF;
    RETURN QUERY
    WITH bucket AS (SELECT generate_series(1, cardinality(b_edges) - 1) AS place),
    part AS (
        SELECT place, part, sum(a)::bigint AS a, sum(b)::bigint AS b
        FROM (
            SELECT bucket.place, of_a.part, of_a.n AS a, 0 AS b
            FROM truthline_internal.counted(quantity, a_series, a_edges, a_as_of) AS of_a
            CROSS JOIN bucket
            UNION ALL
            SELECT place, part, 0, n
            FROM truthline_internal.counted(quantity, b_series, b_edges, b_as_of)
        ) AS both_sides
        GROUP BY place, part
    )
    SELECT place, coalesce(array_agg(part ORDER BY part) FILTER (WHERE part IS NOT NULL), '{}'),
           NULL::float8[], NULL::float8[],
           coalesce(array_agg(a ORDER BY part) FILTER (WHERE part IS NOT NULL), '{}'),
           coalesce(array_agg(b ORDER BY part) FILTER (WHERE part IS NOT NULL), '{}'),
           NULL::float8, NULL::float8, NULL::float8
    FROM bucket LEFT JOIN part USING (place) GROUP BY place;
END
$function$;
COMMENT ON FUNCTION truthline_internal.drift_parts(text, integer[], timestamptz[], timestamptz, integer[], timestamptz[], timestamptz, text[]) IS
    'The parts of both sides that drift is computed from, and the distances of numbers.';
