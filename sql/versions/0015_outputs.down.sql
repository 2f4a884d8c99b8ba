-- As 0005 added up errors and truths, and what failed requests came with.
SET LOCAL search_path = truthline_data, truthline, public;
UPDATE level_column AS c SET expression = v.expression FROM (VALUES
    ('outcome', 'sum_error', 'weight * truthline_data.exact(predicted_value - actual_value)'),
    ('outcome', 'sum_absolute_error',
     'weight * abs(truthline_data.exact(predicted_value - actual_value))'),
    ('outcome', 'sum_squared_error',
     'weight * truthline_data.exact_square(predicted_value - actual_value)'),
    ('outcome', 'sum_actual', 'weight * truthline_data.exact(actual_value)'),
    ('outcome', 'sum_squared_actual', 'weight * truthline_data.exact_square(actual_value)'),
    ('prediction', 'label_id', 'label_id'),
    ('prediction', 'n_label_requests', 'starts_label::integer'),
    ('prediction', 'n_confidence', 'num_nonnulls(confidence)'),
    ('prediction', 'sum_confidence', 'truthline_data.exact(confidence)'),
    ('prediction', 'n_value', 'num_nonnulls(value)'),
    ('prediction', 'sum_value', 'truthline_data.exact(value)'),
    ('prediction', 'n_output_latency', 'num_nonnulls(latency_seconds)'),
    ('prediction', 'sum_output_latency', 'truthline_data.exact(latency_seconds)')
) AS v (subject, name, expression)
WHERE c.subject = v.subject AND c.name = v.name;
UPDATE subject SET condition = 'num_nonnulls(confidence, value) > 0' WHERE name = 'score';
CREATE OR REPLACE FUNCTION percentage_error(predicted float8, actual float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN abs(actual) >= 1e-150
                THEN truthline_data.exact(abs((predicted - actual) / actual)) END
$$;
CALL drop_levels();
CALL build_levels();
DROP FUNCTION error_squared, error_of, every_digit_squared, every_digit;
