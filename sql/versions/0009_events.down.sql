-- The public functions read these tables; they come back with the next upgrade.
DROP SCHEMA truthline CASCADE;
CREATE SCHEMA truthline;
SET LOCAL search_path = truthline_data, public;

DROP TABLE event_lookup, event_pair, event_total, event_count, event_metric, event_family, event_key;
DROP FUNCTION timer_bin, timer_bounds;
