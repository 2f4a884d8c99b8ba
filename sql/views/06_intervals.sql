-- Confidence intervals: from an estimate and its standard error to the bounds of an interval.
--
-- Which interval an estimate has depends on its scale:
--
-- share        hits of n: Wilson's score interval
-- f1           F1 of a class: Wilson's interval of TP / (TP + FP + FN), of which F1 is a function
-- mean         Student's t with n - 1 degrees of freedom
-- fraction     between 0 and 1: normal on the logit, so that it stays between them
-- correlation  between -1 and 1: normal on Fisher's z
-- square       a mean of squares: normal on the logarithm
-- positive     normal on the logarithm
-- number       normal
--
-- Null     an estimate that is no share has no interval below `few` truths, if its standard error is
--          NULL or 0 (nothing varied, so nothing says how much it could), and where a bound could be
--          beyond all doubles.

-- few: with fewer truths, or requests, only shares have intervals, and nothing is compared.
CREATE OR REPLACE FUNCTION truthline_internal.few() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 30 $$;
COMMENT ON FUNCTION truthline_internal.few() IS
    'The fewest truths for the interval of an estimate that is no share, and for a comparison.';

-- few_of_class: an average over classes has no interval if one of them has fewer.
CREATE OR REPLACE FUNCTION truthline_internal.few_of_class() RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT 5 $$;
COMMENT ON FUNCTION truthline_internal.few_of_class() IS
    'The fewest truths, or predictions, of each class for the interval of an average over classes.';

-- normal_quantile: how many standard errors on either side of an estimate an interval reaches.
-- Errors   invalid_parameter_value: the confidence is below 0.5, or not below 1.
-- Why      26.2.23 in Abramowitz and Stegun is right to three digits, and each step of Halley's triples
--          them.
CREATE OR REPLACE FUNCTION truthline_internal.normal_quantile(confidence float8) RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $function$
DECLARE
    tail float8 := (1 - confidence) / 2;
    root float8;
    z float8;
    excess float8;
BEGIN
    IF confidence IS NULL THEN
        RETURN NULL;
    ELSIF NOT (confidence >= 0.5 AND confidence < 1) THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('confidence must be from 0.5 to below 1, and is %s', confidence);
    END IF;
    root := sqrt(-2 * ln(tail));
    z := root - ((0.010328 * root + 0.802853) * root + 2.515517)
              / (((0.001308 * root + 0.189269) * root + 1.432788) * root + 1);
    FOR step IN 1 .. 3 LOOP
        excess := (erfc(z / sqrt(2::float8)) / 2 - tail) * sqrt(2 * pi()) * exp(z * z / 2);
        z := z + excess / (1 - z * excess / 2);
    END LOOP;
    RETURN z;
END
$function$;
COMMENT ON FUNCTION truthline_internal.normal_quantile(float8) IS
    'How many standard errors on either side of an estimate a confidence interval reaches.';

-- student_quantile: the same for a mean whose variance is estimated with some degrees of freedom, of
-- which there are at least `few` - 1: then it is right to seven digits.
-- Why      26.7.5 in Abramowitz and Stegun, the expansion by Fisher and Cornish.
CREATE OR REPLACE FUNCTION truthline_internal.student_quantile(z float8, degrees float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT z
         + z * (z * z + 1) / 4 / degrees
         + z * ((5 * z * z + 16) * z * z + 3) / 96 / degrees ^ 2
         + z * (((3 * z * z + 19) * z * z + 17) * z * z - 15) / 384 / degrees ^ 3
         + z * ((((79 * z * z + 776) * z * z + 1482) * z * z - 1920) * z * z - 945) / 92160
             / degrees ^ 4
$$;
COMMENT ON FUNCTION truthline_internal.student_quantile(float8, float8) IS
    'The quantile of Student''s t that corresponds to a quantile of the normal distribution.';

-- wilson: Wilson's score interval of a share; NULL of nothing.
CREATE OR REPLACE FUNCTION truthline_internal.wilson(hits bigint, n bigint, z float8)
RETURNS TABLE (low float8, high float8) LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT CASE WHEN hits = 0 THEN 0 ELSE middle - half END,
           CASE WHEN hits = n THEN 1 ELSE middle + half END
    FROM (SELECT hits::float8, nullif(n, 0)::float8, z * z) AS counted (hits, n, z2)
    CROSS JOIN LATERAL (
        SELECT (counted.hits + z2 / 2) / (counted.n + z2),
               sqrt(z2 * (counted.hits * (counted.n - counted.hits) / counted.n + z2 / 4))
                   / (counted.n + z2)
    ) AS bounds (middle, half)
    WHERE n > 0
$$;
COMMENT ON FUNCTION truthline_internal.wilson(bigint, bigint, float8) IS
    'Wilson''s score interval of a share.';

-- estimate: a metric of a bucket, and how far it may be from the truth.
--
-- Units    `place` is the bucket's number, `class` the id of a label, NULL for the whole bucket. `n`
--          counts what the metric was computed from, and `hits` those that count for it if it is a
--          share. `standard_error` is in the unit of `value`; NULL for shares, and if it is unknown.
CREATE TYPE truthline_internal.estimate AS (
    place integer, metric text, class integer, n bigint, hits bigint, value float8,
    standard_error float8, scale text
);
COMMENT ON TYPE truthline_internal.estimate IS
    'A metric of a bucket, and how far it may be from the truth.';

-- bound_of: one bound of the interval of an estimate that is no share: `z` is negative for the lower.
CREATE OR REPLACE FUNCTION truthline_internal.bound_of(
    estimate truthline_internal.estimate, z float8
) RETURNS float8 LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $function$
DECLARE
    value float8 := estimate.value;
    error float8 := estimate.standard_error;
BEGIN
    IF (estimate.n >= truthline_internal.few() AND error BETWEEN 1e-290 AND 1e290
        AND abs(value) < 1e290) IS NOT TRUE THEN
        RETURN NULL;
    END IF;
    RETURN CASE
        WHEN estimate.scale = 'mean' THEN value + truthline_internal.student_quantile(z, estimate.n - 1) * error
        WHEN estimate.scale = 'fraction' THEN
            CASE WHEN value > 1e-15 AND value < 1 THEN
                1 / (1 + (1 - value) / value
                         * exp(greatest(-300, least(300, -z * error / (value * (1 - value)))))) END
        WHEN estimate.scale = 'correlation' THEN
            CASE WHEN abs(value) < 1 THEN tanh(atanh(value) + z * error / (1 - value * value)) END
        WHEN estimate.scale IN ('square', 'positive') THEN
            CASE WHEN value > 1e-290 THEN value * exp(greatest(-100, least(100, z * error / value))) END
        WHEN estimate.scale = 'number' THEN value + z * error END;
END
$function$;
COMMENT ON FUNCTION truthline_internal.bound_of(truthline_internal.estimate, float8) IS
    'One bound of the confidence interval of an estimate that is no share.';

-- interval_of: the confidence interval of an estimate; `z` is the normal quantile of the confidence.
CREATE OR REPLACE FUNCTION truthline_internal.interval_of(
    estimate truthline_internal.estimate, z float8
) RETURNS TABLE (low float8, high float8) LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT CASE estimate.scale
               WHEN 'share' THEN share.low
               WHEN 'f1' THEN 2 * share.low / (1 + share.low)
               ELSE truthline_internal.bound_of(estimate, -z) END,
           CASE estimate.scale
               WHEN 'share' THEN share.high
               WHEN 'f1' THEN 2 * share.high / (1 + share.high)
               ELSE truthline_internal.bound_of(estimate, z) END
    FROM (SELECT) AS always
    LEFT JOIN LATERAL truthline_internal.wilson(estimate.hits, estimate.n, z) AS share ON true
$$;
COMMENT ON FUNCTION truthline_internal.interval_of(truthline_internal.estimate, float8) IS
    'The confidence interval of an estimate.';

-- error_of_mean: the standard error of a mean, from the sum of numbers and that of their squares.
-- NULL below two numbers.
CREATE OR REPLACE FUNCTION truthline_internal.error_of_mean(total numeric, squares numeric, n bigint)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN n > 1 THEN truthline_internal.as_double(sqrt(
        greatest(n * squares - total * total, 0) / (n::numeric * n * (n - 1)))) END
$$;
COMMENT ON FUNCTION truthline_internal.error_of_mean(numeric, numeric, bigint) IS
    'The standard error of a mean, from the sum of numbers and that of their squares.';
