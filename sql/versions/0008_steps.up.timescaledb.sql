-- Recordings arrive in order, so old chunks never change again.
SET LOCAL search_path = truthline_data, truthline, public;
SELECT create_hypertable('step_batch', by_range('received_at', INTERVAL '7 days'),
                         create_default_indexes => false);
