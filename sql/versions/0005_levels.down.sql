-- Back to the older levels, which 0004_levels.up.sql makes anew; the public functions come back
-- with the upgrade.
SET LOCAL search_path = truthline_data, truthline, public;
DROP SCHEMA truthline CASCADE;
CREATE SCHEMA truthline;
CALL drop_levels();
DROP INDEX prediction_key_time;
DROP PROCEDURE build_levels, build_aggregate, drop_levels;
DROP FUNCTION level_query, keep_backdated;
DROP TABLE level, level_column, subject, retention;
DROP FUNCTION learned_start, event_start, confidence_bin, value_bin, bin_bounds, percentage_error,
    exact_square, exact;
