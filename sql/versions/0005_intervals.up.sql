-- Levels of what the confidence intervals of regression metrics need: powers and products of errors and
-- truths.
--
-- They are a subject of their own, because a built level can't gain a column, and rebuilding outcome
-- levels would lose the history whose rows retention has dropped. So outcome levels stay as they are.
-- The new levels are filled from the rows that remain; where they lack rows that an outcome level
-- counts, the interval is NULL (sql/views/71_regression_intervals.sql). Rows of classifiers are not
-- counted, so their cells cost nothing.
SET LOCAL search_path = truthline_data, truthline, public;

-- error_fourth: the fourth power of an error. The second powers are error_squared.
CREATE FUNCTION error_fourth(predicted float8, actual float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT truthline_data.error_squared(predicted, actual)
         * truthline_data.error_squared(predicted, actual)
$$;

-- exact_squared: the square of a number's shortest decimal.
CREATE FUNCTION exact_squared(number float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT truthline_data.exact(number) * truthline_data.exact(number)
$$;

-- percentage_error_squared: NULL where the actual value is 0.
CREATE FUNCTION percentage_error_squared(predicted float8, actual float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT truthline_data.percentage_error(predicted, actual)
         * truthline_data.percentage_error(predicted, actual)
$$;

INSERT INTO subject (name, source, condition, row_count) VALUES
    ('deviation', 'outcome', 'predicted_value IS NOT NULL', 'n_rows');

-- Units   error = predicted - actual. All powers of truths are of their shortest decimals, so that the
--         moments around their mean agree with each other.
INSERT INTO level_column (subject, place, name, type, summed, expression) VALUES
    ('deviation', 1, 'n', 'bigint', true, 'weight'),
    ('deviation', 2, 'sum_squared_error', 'numeric', true,
     'weight * truthline_data.error_squared(predicted_value, actual_value)'),
    ('deviation', 3, 'sum_fourth_error', 'numeric', true,
     'weight * truthline_data.error_fourth(predicted_value, actual_value)'),
    ('deviation', 4, 'sum_actual', 'numeric', true,
     'weight * truthline_data.exact(actual_value)'),
    ('deviation', 5, 'sum_squared_actual', 'numeric', true,
     'weight * truthline_data.exact_squared(actual_value)'),
    ('deviation', 6, 'sum_cubed_actual', 'numeric', true,
     'weight * truthline_data.exact_squared(actual_value) * truthline_data.exact(actual_value)'),
    ('deviation', 7, 'sum_fourth_actual', 'numeric', true,
     'weight * truthline_data.exact_squared(actual_value)'
     ' * truthline_data.exact_squared(actual_value)'),
    ('deviation', 8, 'sum_squared_error_actual', 'numeric', true,
     'weight * truthline_data.error_squared(predicted_value, actual_value)'
     ' * truthline_data.exact(actual_value)'),
    ('deviation', 9, 'sum_squared_error_squared_actual', 'numeric', true,
     'weight * truthline_data.error_squared(predicted_value, actual_value)'
     ' * truthline_data.exact_squared(actual_value)'),
    ('deviation', 10, 'sum_squared_percentage_error', 'numeric', true,
     'weight * truthline_data.percentage_error_squared(predicted_value, actual_value)'),
    ('deviation', 11, 'n_rows', 'bigint', true, '1');

-- One cell per bucket and series, not one per pair of classes: fewer widths of learned spans suffice
-- than for outcomes.
INSERT INTO level (place, name, subject, event_width, learned_width, source) VALUES
    (41, 'deviation_5m_1h', 'deviation', '5 minutes', '1 hour', 'outcome'),
    (42, 'deviation_1h_1h', 'deviation', '1 hour', '1 hour', 'deviation_5m_1h'),
    (43, 'deviation_1h_1d', 'deviation', '1 hour', '1 day', 'deviation_1h_1h'),
    (44, 'deviation_1d_1d', 'deviation', '1 day', '1 day', 'deviation_1h_1d');
