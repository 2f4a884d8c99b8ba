-- Tables of rows become hypertables, partitioned by the clock that only moves forward.
--
-- Why      rows arrive at the head whatever their event time, so old chunks never change again:
--          they can be compressed, rolled up and dropped without looking back.
SET LOCAL search_path = truthline_data, truthline, public;
SELECT create_hypertable('prediction', by_range('received_at', INTERVAL '1 day'),
                         create_default_indexes => false);
SELECT create_hypertable('outcome', by_range('received_at', INTERVAL '1 day'),
                         create_default_indexes => false);
SELECT create_hypertable('step_batch', by_range('received_at', INTERVAL '7 days'),
                         create_default_indexes => false);
