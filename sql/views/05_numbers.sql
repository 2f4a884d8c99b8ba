-- Arithmetic on doubles that raises no error at either end of their range.
--
-- PostgreSQL raises an error where a product or quotient of doubles underflows, or a sum overflows.
-- So numbers are summed and divided as decimals, and the result is the nearest double.

-- as_double: the nearest double: the largest one for decimals above it, and 0 for those below the
-- smallest.
CREATE OR REPLACE FUNCTION truthline_internal.as_double(number numeric) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN abs(number) < 2.4703282292062328e-324 THEN 0
                WHEN abs(number) < 1.7976931348623158e308 THEN number::float8
                ELSE sign(number)::float8 * 1.7976931348623157e308::float8 END
$$;
COMMENT ON FUNCTION truthline_internal.as_double(numeric) IS
    'The nearest double: the largest one for decimals above it, 0 for those below the smallest.';

-- mean: a sum divided by its count, to the last digit of a double; NULL where the count is 0.
-- Why      a division of decimals may keep only 16 digits, and a double has 17: so the remainder is
--          divided too. A plain cast nearly always suffices, and the function is inlined.
CREATE OR REPLACE FUNCTION truthline_internal.mean(total numeric, n numeric)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN n = 0 THEN NULL
        WHEN total = 0 THEN 0
        WHEN abs(total) BETWEEN 1e-200 AND 1e300 AND n BETWEEN 1 AND 1e30
        THEN (total / n + (total - total / n * n) / n)::float8
        ELSE truthline_internal.as_double(total / n + (total - total / n * n) / n) END
$$;
COMMENT ON FUNCTION truthline_internal.mean(numeric, numeric) IS 'A sum divided by its count; NULL where that is 0.';

-- root_mean: the square root of that mean. Squares of large errors exceed a double; their roots don't.
CREATE OR REPLACE FUNCTION truthline_internal.root_mean(total numeric, n numeric)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN n = 0 THEN NULL
        WHEN total = 0 THEN 0
        WHEN abs(total) BETWEEN 1e-200 AND 1e300 AND n BETWEEN 1 AND 1e30
        THEN sqrt(truthline_internal.mean(total, n))
        ELSE truthline_internal.as_double(sqrt(total / n)) END
$$;
COMMENT ON FUNCTION truthline_internal.root_mean(numeric, numeric) IS
    'The square root of a sum divided by its count; NULL where that is 0.';

-- interpolated: linear interpolation between two neighbours, as in numpy and percentile_cont.
-- Why      in doubles where their difference and its parts are doubles too, in decimals elsewhere.
CREATE OR REPLACE FUNCTION truthline_internal.interpolated(lower float8, upper float8, share float8)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN lower = upper OR share = 0 THEN lower
        WHEN CASE WHEN share > 1e-20 AND greatest(-lower, upper) < 8e307
                  THEN upper - lower > 1e-280 END
        THEN CASE WHEN share < 0.5 THEN lower + (upper - lower) * share
                  ELSE upper - (upper - lower) * (1 - share) END
        ELSE truthline_internal.as_double(
            lower::text::numeric
            + (upper::text::numeric - lower::text::numeric) * share::text::numeric) END
$$;
COMMENT ON FUNCTION truthline_internal.interpolated(float8, float8, float8) IS
    'Linear interpolation between two numbers, at a share of the way from the first to the second.';

-- total: the sum of whole numbers as one.
-- Why      `sum` adds them up as decimals, which takes longer than all else that an answer does to a cell.
CREATE AGGREGATE truthline_internal.total(bigint) (
    SFUNC = int8pl, STYPE = bigint, COMBINEFUNC = int8pl, PARALLEL = SAFE
);
COMMENT ON AGGREGATE truthline_internal.total(bigint) IS 'The sum of whole numbers.';
