-- Drift of numbers: counts in parts of the range of side A, and exact distances.

-- sum_cell: how many outputs have a number, and the sums of these.
CREATE TYPE truthline_internal.sum_cell AS (
    place integer, n bigint, n_confidence bigint, sum_confidence numeric, n_value bigint,
    sum_value numeric, n_latency bigint, sum_latency numeric
);
COMMENT ON TYPE truthline_internal.sum_cell IS 'Counts and sums of confidences, values and latencies per bucket.';

-- sums_of: the sum of the numbers of a quantity per bucket, and how many they are.
CREATE OR REPLACE FUNCTION truthline_internal.sums_of(
    quantity text, series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (place integer, n bigint, total numeric) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT place, CASE quantity WHEN 'confidence' THEN n_confidence WHEN 'value' THEN n_value
                                WHEN 'latency' THEN n_latency END,
           CASE quantity WHEN 'confidence' THEN sum_confidence WHEN 'value' THEN sum_value
                         WHEN 'latency' THEN sum_latency END
    FROM truthline_internal.cells(
        NULL::truthline_internal.sum_cell, 'prediction', series, edges, as_of)
$$;
COMMENT ON FUNCTION truthline_internal.sums_of(text, integer[], timestamptz[], timestamptz) IS
    'The sum of the numbers of a quantity per bucket, and how many they are.';

-- quantiles_of_all: quantiles of a quantity, of all classes together.
CREATE OR REPLACE FUNCTION truthline_internal.quantiles_of_all(
    quantity text, series integer[], edges timestamptz[], as_of timestamptz, fractions float8[]
) RETURNS float8[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT found.quantiles FROM truthline_internal.quantiles_of(
        format('SELECT place, series_id, -1 AS label_id, bin, n, numbers FROM (%s) AS of_class',
               truthline_internal.numbered_cells(quantity, series, edges, as_of)),
        series, edges, fractions) AS found
$$;
COMMENT ON FUNCTION truthline_internal.quantiles_of_all(text, integer[], timestamptz[], timestamptz, float8[]) IS
    'Quantiles of confidences, values or latencies, of all classes together.';

-- bin_of: the bin of a number.
CREATE OR REPLACE FUNCTION truthline_internal.bin_of(quantity text, number float8) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE quantity WHEN 'confidence' THEN truthline_data.confidence_bin(number)
                         WHEN 'value' THEN truthline_data.value_bin(number)
                         WHEN 'latency' THEN truthline_data.latency_bin(number) END
$$;
COMMENT ON FUNCTION truthline_internal.bin_of(text, float8) IS 'The bin of a confidence, value or latency.';

-- area_noise: the Wasserstein-1 distance of two samples of one distribution, on average.
--
-- Formula  the integral of sqrt(2 c / pi * F (1 - F)), by trapezoids between quantiles at `fractions`.
-- Units    that of the quantiles.
CREATE OR REPLACE FUNCTION truthline_internal.area_noise(
    quantiles float8[], fractions float8[], n float8, m float8
) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT truthline_internal.as_double(
        sum((at - before) * ((height + height_before) / 2)::numeric)
        * sqrt(2 * (1 / n + 1 / m) / pi())::numeric)
    FROM (
        SELECT at, height, lag(at) OVER own AS before, lag(height) OVER own AS height_before
        FROM (SELECT quantile::text::numeric AS at, fraction, sqrt(fraction * (1 - fraction)) AS height
              FROM unnest(quantiles, fractions) AS q (quantile, fraction)) AS point
        WINDOW own AS (ORDER BY fraction)
    ) AS span
$$;
COMMENT ON FUNCTION truthline_internal.area_noise(float8[], float8[], float8, float8) IS
    'The Wasserstein-1 distance of two samples of one distribution, on average.';

-- area_of: the Wasserstein-1 distance per bucket of side B.
--
-- Params   those of drift_of_numbers, with edges and moments that can be reached; the text of held_query; and
--          the parallel arrays of doubtful.
-- Grain    one row per bucket with numbers.
-- Cost     the numbers of bins in which D may change its sign, and of those where it has the sign that is
--          the rarer one: what the others add follows from the means. Where those aren't known of the same
--          numbers, because retention dropped rows, all numbers.
CREATE OR REPLACE FUNCTION truthline_internal.area_of(
    quantity text, a_series integer[], a_edges timestamptz[], a_as_of timestamptz,
    b_series integer[], b_edges timestamptz[], b_as_of timestamptz, held text,
    places integer[], bins integer[], a float8[], b float8[]
) RETURNS TABLE (place integer, area float8) LANGUAGE plpgsql STABLE PARALLEL SAFE
SET jit = off SET extra_float_digits = 1
SET enable_nestloop = off SET enable_mergejoin = off SET enable_sort = off
AS $function$
#variable_conflict use_column
DECLARE
    own record;     -- side A as a whole
    needed record;  -- arrays of the bins to read
    found record;   -- arrays of what they add
    mean record;    -- arrays of the differences of the means
BEGIN
    SELECT s.n, s.total INTO own FROM truthline_internal.sums_of(quantity, a_series, a_edges, a_as_of) AS s;
    SELECT array_agg(d.place) AS places, array_agg(is_up) AS is_up, array_agg(moment) AS moments INTO mean
    FROM (
        SELECT place, min(a_total) AS a_total, min(b_total) AS b_total,
               -- which of both directions is read
               coalesce(sum(a + b) FILTER (WHERE direction = 1), 0)
                   < coalesce(sum(a + b) FILTER (WHERE direction = -1), 0) AS is_up
        FROM truthline_internal.doubtful(places, bins, a, b) GROUP BY place
    ) AS d
    LEFT JOIN LATERAL (
        SELECT truthline_internal.as_double(
            (own.total * s.n - s.total * own.n) / nullif(own.n::numeric * s.n * 4, 0)) AS moment
        FROM truthline_internal.sums_of(quantity, b_series, b_edges, b_as_of) AS s
        WHERE s.place = d.place AND s.n = d.b_total AND own.n = d.a_total
    ) AS known ON true;
    SELECT array_agg(place) AS places, array_agg(bin) AS bins, array_agg(start) AS starts,
           array_agg(direction) AS directions, array_agg(a_total) AS a_totals, array_agg(b_total) AS b_totals
    INTO needed
    FROM truthline_internal.doubtful(places, bins, a, b)
    JOIN unnest(mean.places, mean.is_up, mean.moments) AS m (place, is_up, moment) USING (place)
    WHERE moment IS NULL OR direction IS NULL OR (direction = 1) = is_up;
    EXECUTE format('SELECT array_agg(place) AS places, array_agg(direction) AS directions,'
                   ' array_agg(moment) AS moments, array_agg(area) AS areas FROM (%s) AS found',
                   truthline_internal.area_query(held))
    INTO found
    USING a_series, a_edges, b_series, b_edges, needed.bins, needed.places, needed.bins, needed.starts,
          needed.directions, needed.a_totals, needed.b_totals,
          coalesce(truthline_internal.mean(own.total, own.n), 0);
    RETURN QUERY
    SELECT m.place,
           4 * greatest(0, least(4.49423283715579e307, CASE
               WHEN moment IS NULL THEN between_signs - up + down
               WHEN is_up THEN between_signs + moment - 2 * up - unsure
               ELSE between_signs - moment + 2 * down + unsure END))
    FROM unnest(mean.places, mean.is_up, mean.moments) AS m (place, is_up, moment)
    CROSS JOIN LATERAL (
        SELECT coalesce(sum(f.area), 0)::float8,
               coalesce(sum(f.moment) FILTER (WHERE f.direction = 0), 0)::float8,
               coalesce(sum(f.moment) FILTER (WHERE f.direction = 1), 0)::float8,
               coalesce(sum(f.moment) FILTER (WHERE f.direction = -1), 0)::float8
        FROM unnest(found.places, found.directions, found.moments, found.areas)
            AS f (place, direction, moment, area)
        WHERE f.place = m.place
    ) AS added (between_signs, unsure, up, down);
END
$function$;
COMMENT ON FUNCTION truthline_internal.area_of(text, integer[], timestamptz[], timestamptz, integer[], timestamptz[], timestamptz, text, integer[], integer[], float8[], float8[]) IS
    'The Wasserstein-1 distance per bucket.';

-- largest_of: the Kolmogorov-Smirnov distance per bucket of side B, as area_of.
-- Cost     the cells of bins that may have a larger |D| than the ends of all bins, and few of their numbers.
CREATE OR REPLACE FUNCTION truthline_internal.largest_of(
    quantity text, a_series integer[], a_edges timestamptz[], b_series integer[], b_edges timestamptz[],
    held text, places integer[], bins integer[], a float8[], b float8[]
) RETURNS TABLE (place integer, largest float8) LANGUAGE plpgsql STABLE PARALLEL SAFE
SET jit = off SET extra_float_digits = 1
SET enable_nestloop = off SET enable_mergejoin = off SET enable_sort = off
AS $function$
#variable_conflict use_column
DECLARE
    doubt record;
    found_places integer[];
    found_best float8[];
BEGIN
    SELECT array_agg(place) AS places, array_agg(bin) AS bins, array_agg(start) AS starts,
           array_agg(best) AS best, array_agg(d.a) AS a, array_agg(d.b) AS b,
           array_agg(a_total) AS a_totals, array_agg(b_total) AS b_totals
    INTO doubt FROM truthline_internal.doubtful(places, bins, a, b) AS d WHERE exceeds;
    IF doubt.bins IS NOT NULL THEN
        EXECUTE format('SELECT array_agg(place), array_agg(best) FROM (%s) AS found (place, best)',
                       truthline_internal.largest_query(held))
        INTO found_places, found_best
        USING a_series, a_edges, b_series, b_edges, doubt.bins, doubt.places, doubt.bins, doubt.starts,
              doubt.best, doubt.a, doubt.b, doubt.a_totals, doubt.b_totals;
    END IF;
    RETURN QUERY
    SELECT d.place, greatest(max(d.best), max(f.best)) / max(d.a_total * d.b_total)
    FROM truthline_internal.doubtful(places, bins, a, b) AS d
    LEFT JOIN unnest(found_places, found_best) AS f (place, best) ON f.place = d.place
    GROUP BY d.place;
END
$function$;
COMMENT ON FUNCTION truthline_internal.largest_of(text, integer[], timestamptz[], integer[], timestamptz[], text, integer[], integer[], float8[], float8[]) IS
    'The Kolmogorov-Smirnov distance per bucket.';

-- below_cuts: how many numbers of a place are below some numbers within their bin.
--
-- Params   those of held_query, its text, and the parallel arrays of bins and numbers.
-- Grain    one row per place (0 for side A) and number, if the place has numbers in its bin.
CREATE OR REPLACE FUNCTION truthline_internal.below_cuts(
    a_series integer[], a_edges timestamptz[], b_series integer[], b_edges timestamptz[], held text,
    bins integer[], numbers float8[]
) RETURNS TABLE (place integer, cut float8, n bigint) LANGUAGE plpgsql STABLE PARALLEL SAFE
SET jit = off SET extra_float_digits = 1
SET enable_nestloop = off SET enable_mergejoin = off SET enable_sort = off
AS $function$
BEGIN
    IF bins IS NOT NULL THEN
        RETURN QUERY EXECUTE format(
            'WITH %s SELECT place, cut, sum(n)::bigint'
            ' FROM (SELECT place, cut, sign * width_bucket(below, numbers) AS n'
            '       FROM (SELECT bin, cut, truthline_internal.number_below(cut) AS below'
            '             FROM unnest($5, $6) AS c (bin, cut)) AS wanted'
            '       JOIN held USING (bin) OFFSET 0) AS counted'
            ' GROUP BY place, cut', held)
        USING a_series, a_edges, b_series, b_edges, bins, numbers;
    END IF;
END
$function$;
COMMENT ON FUNCTION truthline_internal.below_cuts(integer[], timestamptz[], integer[], timestamptz[], text, integer[], float8[]) IS
    'How many numbers are below some numbers within their bin.';

-- drift_of_numbers: what drift of numbers is computed from.
--
-- Params   both sides as ids, edges and moments; `distances` are those wanted of ks and wasserstein.
-- Grain    one row per bucket of side B.
-- Units    part i holds the numbers from lower[i] to below upper[i], NULL at the ends; a[i] and b[i] count
--          them. `largest` is the Kolmogorov-Smirnov distance, a fraction of 1; `area` the Wasserstein-1
--          distance and `noise` its expected value without drift, in the numbers' unit. NULL if not wanted,
--          or if a side has no numbers.
CREATE OR REPLACE FUNCTION truthline_internal.drift_of_numbers(
    quantity text, a_series integer[], a_edges timestamptz[], a_as_of timestamptz,
    b_series integer[], b_edges timestamptz[], b_as_of timestamptz, distances text[]
) RETURNS TABLE (
    place integer, lower float8[], upper float8[], a bigint[], b bigint[], largest float8, area float8,
    noise float8
) LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1 AS $function$
#variable_conflict use_column
DECLARE
    subject text := CASE quantity WHEN 'latency' THEN 'latency' ELSE 'score' END;
    -- with tails, for the noise of an area
    fractions float8[] := '{0.001,0.01,0.03,0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8,0.9,0.97,0.99,0.999}';
    held text;
    own record;
    other record;
    cuts record;
    quantiles float8[];
    shared record;
    largest_places integer[];
    largest_found float8[];
    area_places integer[];
    area_found float8[];
    wants_area boolean := 'wasserstein' = ANY (distances);
BEGIN
    SELECT reached_edges, reached_as_of INTO STRICT a_edges, a_as_of
    FROM truthline_internal.reach(subject, a_series, a_edges, a_as_of);
    SELECT reached_edges, reached_as_of INTO STRICT b_edges, b_as_of
    FROM truthline_internal.reach(subject, b_series, b_edges, b_as_of);
    held := truthline_internal.held_query(
        quantity, a_series, a_edges, a_as_of, b_series, b_edges, b_as_of);
    SELECT array_agg(part ORDER BY part) AS bins, array_agg(n ORDER BY part) AS counts,
           coalesce(sum(n), 0)::bigint AS total INTO own
    FROM truthline_internal.counted(quantity, a_series, a_edges, a_as_of);
    SELECT array_agg(c.place) AS places, array_agg(part) AS bins, array_agg(n) AS counts INTO other
    FROM truthline_internal.counted(quantity, b_series, b_edges, b_as_of) AS c;

    IF wants_area OR EXISTS (SELECT FROM truthline_internal.cuts_of(own.bins, own.counts) WHERE is_inner) THEN
        quantiles := truthline_internal.quantiles_of_all(
            quantity, a_series, a_edges, a_as_of, CASE WHEN wants_area THEN fractions
                                                       ELSE fractions[4:12] END);
    END IF;
    SELECT array_agg(cut ORDER BY cut) AS numbers, array_agg(bin ORDER BY cut) AS bins,
           array_agg(is_inner ORDER BY cut) AS is_inner,
           -- bins below this number are whole below the cut
           array_agg(bin + (NOT is_inner)::integer ORDER BY cut) AS whole_below INTO cuts
    FROM (
        SELECT DISTINCT ON (cut) cut, CASE WHEN is_inner THEN truthline_internal.bin_of(quantity, cut) ELSE bin END
                   AS bin, is_inner
        FROM truthline_internal.cuts_of(own.bins, own.counts)
        CROSS JOIN LATERAL (
            SELECT CASE WHEN is_inner THEN quantiles[(fraction * 10)::integer + CASE WHEN wants_area THEN 3 ELSE 0 END]
                        ELSE truthline_internal.bin_end(quantity, bin) END) AS at (cut)
        ORDER BY cut, is_inner
    ) AS one;
    SELECT array_agg(p.place) AS places, array_agg(p.bin) AS bins, array_agg(p.a) AS a, array_agg(p.b) AS b
    INTO shared
    FROM (
        SELECT place, bin, sum(a)::float8 AS a, sum(b)::float8 AS b
        FROM (
            SELECT b_place.place, bin, n AS a, 0 AS b
            FROM unnest(own.bins, own.counts) AS o (bin, n)
            CROSS JOIN generate_series(1, cardinality(b_edges) - 1) AS b_place (place)
            UNION ALL
            SELECT place, bin, 0, n FROM unnest(other.places, other.bins, other.counts) AS o (place, bin, n)
        ) AS both_sides
        GROUP BY place, bin
    ) AS p;

    IF 'ks' = ANY (distances) THEN
        SELECT array_agg(l.place), array_agg(l.largest) INTO largest_places, largest_found
        FROM truthline_internal.largest_of(
            quantity, a_series, a_edges, b_series, b_edges, held, shared.places, shared.bins, shared.a,
            shared.b) AS l;
    END IF;
    IF wants_area THEN
        SELECT array_agg(w.place), array_agg(w.area) INTO area_places, area_found
        FROM truthline_internal.area_of(
            quantity, a_series, a_edges, a_as_of, b_series, b_edges, b_as_of, held, shared.places,
            shared.bins, shared.a, shared.b) AS w;
    END IF;

    RETURN QUERY
    WITH bucket AS (SELECT generate_series(1, cardinality(b_edges) - 1) AS place),
    inner_cut AS MATERIALIZED (
        SELECT * FROM truthline_internal.below_cuts(
            a_series, a_edges, b_series, b_edges, held,
            (SELECT array_agg(bin) FROM unnest(cuts.bins, cuts.is_inner) AS c (bin, is_inner) WHERE is_inner),
            (SELECT array_agg(cut) FROM unnest(cuts.numbers, cuts.is_inner) AS c (cut, is_inner)
             WHERE is_inner))
    ),
    between_cuts AS MATERIALIZED (  -- whole bins, by how many cuts are below them or within
        SELECT place, coalesce(width_bucket(bin, cuts.whole_below), 0) AS nth, sum(a) AS a, sum(b) AS b
        FROM unnest(shared.places, shared.bins, shared.a, shared.b) AS p (place, bin, a, b)
        GROUP BY 1, 2
    ),
    below AS (  -- how many are below each cut, and in all
        SELECT bucket.place, cut.nth, cut.number, coalesce(whole.a, 0) + coalesce(of_a.n, 0) AS a,
               coalesce(whole.b, 0) + coalesce(of_b.n, 0) AS b
        FROM bucket
        CROSS JOIN (
            SELECT * FROM unnest(cuts.numbers, cuts.is_inner) WITH ORDINALITY AS c (number, is_inner, nth)
            UNION ALL SELECT NULL, false, 1000) AS cut
        LEFT JOIN LATERAL (
            SELECT sum(c.a) AS a, sum(c.b) AS b FROM between_cuts AS c
            WHERE c.place = bucket.place AND c.nth < cut.nth) AS whole ON true
        LEFT JOIN inner_cut AS of_a ON cut.is_inner AND of_a.place = 0 AND of_a.cut = cut.number
        LEFT JOIN inner_cut AS of_b
            ON cut.is_inner AND of_b.place = bucket.place AND of_b.cut = cut.number
    ),
    parts AS (
        SELECT place, array_agg(from_number ORDER BY nth) AS lower, array_agg(number ORDER BY nth) AS upper,
               array_agg(a ORDER BY nth) AS a, array_agg(b ORDER BY nth) AS b, sum(b) AS b_total
        FROM (
            SELECT place, nth, number, lag(number) OVER own AS from_number,
                   (a - coalesce(lag(a) OVER own, 0))::bigint AS a,
                   (b - coalesce(lag(b) OVER own, 0))::bigint AS b
            FROM below WINDOW own AS (PARTITION BY place ORDER BY nth)
        ) AS part
        GROUP BY place
    )
    SELECT parts.place, parts.lower, parts.upper, parts.a, parts.b, l.largest, w.area,
           CASE WHEN w.area IS NOT NULL THEN truthline_internal.area_noise(
               quantiles, fractions, own.total, parts.b_total::float8) END
    FROM parts
    LEFT JOIN unnest(largest_places, largest_found) AS l (place, largest)
        ON l.place = parts.place
    LEFT JOIN unnest(area_places, area_found) AS w (place, area) ON w.place = parts.place
    ORDER BY parts.place;
END
$function$;
COMMENT ON FUNCTION truthline_internal.drift_of_numbers(text, integer[], timestamptz[], timestamptz, integer[], timestamptz[], timestamptz, text[]) IS
    'What drift of numbers is computed from: counts in parts of the range of side A, and exact distances.';
