-- Doubles that no answer fails over: the least, the largest, and what lies between two of them.
--
-- PostgreSQL raises an error where a product or a quotient of doubles vanishes, or a sum of two is
-- none. Numbers are added up and divided as decimals; what comes out is the nearest double.

-- as_double: the nearest double there is: the largest for what is beyond it, and 0 below the least.
CREATE OR REPLACE FUNCTION truthline_internal.as_double(number numeric) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN abs(number) < 2.4703282292062328e-324 THEN 0
                WHEN abs(number) < 1.7976931348623158e308 THEN number::float8
                ELSE sign(number)::float8 * 1.7976931348623157e308::float8 END
$$;
COMMENT ON FUNCTION truthline_internal.as_double(numeric) IS
    'The nearest double: the largest for what is beyond it, 0 for what is below the least.';

-- mean: a sum over its count, to the last digit of a double; NULL where the count is 0.
-- Why      a division of decimals may keep 16 digits, and a double has 17: the remainder is divided
--          too. Nearly always a plain cast will do, and the whole is part of the caller's plan.
CREATE OR REPLACE FUNCTION truthline_internal.mean(total numeric, n numeric)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN n = 0 THEN NULL
        WHEN total = 0 THEN 0
        WHEN abs(total) BETWEEN 1e-200 AND 1e300 AND n BETWEEN 1 AND 1e30
        THEN (total / n + (total - total / n * n) / n)::float8
        ELSE truthline_internal.as_double(total / n + (total - total / n * n) / n) END
$$;
COMMENT ON FUNCTION truthline_internal.mean(numeric, numeric) IS 'A sum over its count; NULL without any.';

-- root_mean: the square root of that. Squares of large errors are no doubles; their roots are.
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
    'The square root of a sum over its count; NULL without any.';

-- interpolated: between two neighbours in order, as numpy and percentile_cont do it.
-- Why      doubles where their difference and its parts are doubles too, decimals elsewhere.
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
    'The number that lies a share of the way from one to the other.';
