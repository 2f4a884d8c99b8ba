-- Functions that compute cells: numbers as exact decimals, bins, and the spans of both clocks.
--
-- Why      these are frozen, unlike the functions of sql/machinery/ and sql/views/. A continuous
--          aggregate keeps the definition it was created with, and a folded level keeps the cells
--          counted so far: with a changed function, a level would hold two kinds of cells. A change
--          needs a new function, and a new level that uses it.
SET LOCAL search_path = truthline_data, truthline, public;

-- exact: a number as the shortest decimal that reads back as the same double. Below 1e-150 it is 0.
-- Why      a decimal can be subtracted again exactly; a sum of double precision keeps the rounding
--          error of every value that was corrected. A cast without text would keep 15 digits, and
--          the mean of two numbers would then lose its last one.
CREATE FUNCTION exact(number float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN abs(number) < 1e-150 THEN 0 ELSE number::text::numeric END
$$;

-- every_digit: the exact value of a double, with all its binary digits down to 2^-104. From 2^53 on,
-- and below 2^-52, it is the same as `exact`.
-- Why      R2 depends on what remains after the mean is subtracted: with shortest decimals, truths
--          around a billion would leave it seven digits. Plain sums use `exact`, in which 0.1 and
--          0.2 add up to 0.3.
CREATE FUNCTION every_digit(number float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN abs(number) >= 9007199254740992 OR abs(number) < 2.220446049250313e-16
            THEN truthline_data.exact(number)
        WHEN number = trunc(number) THEN number::bigint
        WHEN abs(number) >= 1
            THEN trunc(number)::bigint
                + ((number - trunc(number)) * 4503599627370496)::bigint
                    * 2.220446049250313080847263336181640625e-16
        ELSE trunc(number * 4503599627370496)::bigint * 2.220446049250313080847263336181640625e-16
            + ((number * 4503599627370496 - trunc(number * 4503599627370496))
               * 4503599627370496)::bigint
                * 4.930380657631323783823303533017413935457540219431393779814243316650390625e-32 END
$$;
CREATE FUNCTION every_digit_squared(number float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT truthline_data.every_digit(number) * truthline_data.every_digit(number)
$$;

-- error_of: predicted - actual, even where no double can hold it. Below 1e-150 it counts as 0.
CREATE FUNCTION error_of(predicted float8, actual float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN (abs(predicted) > 8e307 OR abs(actual) > 8e307) AND sign(predicted) <> sign(actual)
                THEN truthline_data.exact(predicted) - truthline_data.exact(actual)
                ELSE truthline_data.exact(predicted - actual) END
$$;
CREATE FUNCTION error_squared(predicted float8, actual float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT truthline_data.error_of(predicted, actual) * truthline_data.error_of(predicted, actual)
$$;

-- percentage_error: |error / actual|, a fraction of 1; NULL where the actual value is 0.
CREATE FUNCTION percentage_error(predicted float8, actual float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN abs(actual) >= 1e-150
                THEN CASE WHEN abs(predicted) > 1e150 OR abs(actual) > 1e150
                          THEN abs(truthline_data.error_of(predicted, actual)
                                   / truthline_data.exact(actual))
                          ELSE truthline_data.exact(abs((predicted - actual) / actual)) END END
$$;

-- magnitude_bin: which of 2 ^ bits equal parts of a power of two contains a number, ascending.
-- Why      the bits of the double give it: sign, eleven bits of exponent, and the first of the
--          mantissa. A logarithm could differ in its last digit between machines, and a table of
--          bounds would be rebuilt for each plan.
CREATE FUNCTION magnitude_bin(value float8, bits integer) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN value < 0 THEN -1 ELSE 1 END * (
        1 + ((get_byte(float8send(abs(value)), 0) << 16) + (get_byte(float8send(abs(value)), 1) << 8)
             + get_byte(float8send(abs(value)), 2)) / (1 << (12 - bits)))
$$;
CREATE FUNCTION value_bin(value float8) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT truthline_data.magnitude_bin(value, 4) $$;
CREATE FUNCTION latency_bin(seconds float8) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT truthline_data.magnitude_bin(seconds, 3) $$;
CREATE FUNCTION confidence_bin(confidence float8) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT floor(confidence * 64)::integer $$;

-- event_start, learned_start: the first instant of the bucket or span that contains an instant. Days
-- begin at midnight UTC, weeks on Monday.
CREATE FUNCTION event_start(width interval, at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT date_bin(width, at, TIMESTAMPTZ '2000-01-03 00:00:00+00')
$$;
CREATE FUNCTION learned_start(width interval, at timestamptz) RETURNS timestamptz
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN NOT isfinite(at) THEN at
                WHEN width = INTERVAL '1 month' THEN date_trunc('month', at, 'UTC')
                ELSE date_bin(width, at, TIMESTAMPTZ '2000-01-03 00:00:00+00') END
$$;
