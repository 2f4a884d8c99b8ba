-- What a failed request came with is no output, truths are kept to their last binary digit, and no
-- double makes a sum fail.
--
-- A request that failed was counted in the class it named, and its latency among those of outputs.
-- Truths were added up as their shortest decimals, which are as much as half of the last digit away
-- from the doubles: at an offset of a billion R2 had seven digits left.
SET LOCAL search_path = truthline_data, truthline, public;

-- every_digit: a double as the decimal that it is, with all its binary digits down to 2^-104. From
-- 2^53 on, and below 2^-52, it is as `exact` has it.
-- Why      R2 is made of what is left when the mean is taken away. What is added up for itself is
--          taken as `exact` has it, where 0.1 and 0.2 make 0.3.
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
-- error_of: predicted - actual, also where that is no double. Below 1e-150 it counts as 0.
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
CREATE OR REPLACE FUNCTION percentage_error(predicted float8, actual float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN abs(actual) >= 1e-150
                THEN CASE WHEN abs(predicted) > 1e150 OR abs(actual) > 1e150
                          THEN abs(truthline_data.error_of(predicted, actual)
                                   / truthline_data.exact(actual))
                          ELSE truthline_data.exact(abs((predicted - actual) / actual)) END END
$$;

UPDATE level_column AS c SET expression = v.expression FROM (VALUES
    ('outcome', 'sum_error', 'weight * truthline_data.error_of(predicted_value, actual_value)'),
    ('outcome', 'sum_absolute_error',
     'weight * abs(truthline_data.error_of(predicted_value, actual_value))'),
    ('outcome', 'sum_squared_error',
     'weight * truthline_data.error_squared(predicted_value, actual_value)'),
    ('outcome', 'sum_actual', 'weight * truthline_data.every_digit(actual_value)'),
    ('outcome', 'sum_squared_actual', 'weight * truthline_data.every_digit_squared(actual_value)'),
    ('prediction', 'label_id', 'CASE WHEN NOT failed THEN label_id END'),
    ('prediction', 'n_label_requests', '(starts_label AND NOT failed)::integer'),
    ('prediction', 'n_confidence', 'CASE WHEN failed THEN 0 ELSE num_nonnulls(confidence) END'),
    ('prediction', 'sum_confidence', 'CASE WHEN NOT failed THEN truthline_data.exact(confidence) END'),
    ('prediction', 'n_value', 'CASE WHEN failed THEN 0 ELSE num_nonnulls(value) END'),
    ('prediction', 'sum_value', 'CASE WHEN NOT failed THEN truthline_data.exact(value) END'),
    ('prediction', 'n_output_latency',
     'CASE WHEN failed THEN 0 ELSE num_nonnulls(latency_seconds) END'),
    ('prediction', 'sum_output_latency',
     'CASE WHEN NOT failed THEN truthline_data.exact(latency_seconds) END')
) AS v (subject, name, expression)
WHERE c.subject = v.subject AND c.name = v.name;
UPDATE subject SET condition = 'NOT failed AND num_nonnulls(confidence, value) > 0'
WHERE name = 'score';

-- Levels are made of these expressions, and a continuous aggregate keeps its definition.
CALL drop_levels();
CALL build_levels();
