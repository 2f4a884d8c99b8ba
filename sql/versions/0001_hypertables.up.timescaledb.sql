-- Tables of rows become hypertables, partitioned by the time of receipt, which only grows.
--
-- Why      rows are appended to the newest chunk whatever their event time, so old chunks never
--          change: they can be compressed, rolled up and dropped independently.
SET LOCAL search_path = truthline_data, truthline, public;
SELECT create_hypertable('prediction', by_range('received_at', INTERVAL '1 day'),
                         create_default_indexes => false);
SELECT create_hypertable('outcome', by_range('received_at', INTERVAL '1 day'),
                         create_default_indexes => false);
SELECT create_hypertable('step_batch', by_range('received_at', INTERVAL '7 days'),
                         create_default_indexes => false);
