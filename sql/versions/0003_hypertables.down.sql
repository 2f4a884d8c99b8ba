-- The indexes of the raw tables, on every edition.
SET LOCAL search_path = truthline_data, truthline, public;
DROP INDEX prediction_series_time, prediction_received_at, outcome_series_time, outcome_received_at;
