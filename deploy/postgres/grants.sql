-- What truthline_reader may read. psql runs this as the owner after every migration.
--
-- The functions of schema truthline run with the rights of who calls them, so the tables that
-- they read have to be open too. A continuous aggregate is read with the rights of its owner, so
-- what TimescaleDB keeps it in stays closed.
-- Why      tables are named one by one, so that a new one is closed until somebody opens it.
--          analyst, api_key, signing_secret, refresh_family, refresh_token, prediction_key,
--          pending_feedback, ingest_batch, event_key, event_pair, event_lookup and event_family stay
--          closed: they hold digests of keys, what tokens are signed with, and what clients chose
--          as ids, and no metric. So do request_lock and upkeep_lock: whoever may read a table may
--          lock it. What is told of an inference filters its stats.
GRANT USAGE ON SCHEMA truthline, truthline_data TO truthline_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA truthline TO truthline_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA truthline TO truthline_reader;
GRANT SELECT ON
    truthline_data.workspace,
    truthline_data.model,
    truthline_data.series,
    truthline_data.label,
    truthline_data.subscription,
    truthline_data.prediction,
    truthline_data.outcome,
    truthline_data.subject,
    truthline_data.level_column,
    truthline_data.level,
    truthline_data.audit_fault,
    truthline_data.retention,
    truthline_data.inference_metadata,
    truthline_data.execution,
    truthline_data.step_name,
    truthline_data.step_metric,
    truthline_data.step_batch,
    truthline_data.event_metric,
    truthline_data.event_count,
    truthline_data.event_total,
    truthline_data.outcome_5m_1h,
    truthline_data.outcome_1h_1h,
    truthline_data.outcome_5m_1d,
    truthline_data.outcome_1h_1d,
    truthline_data.outcome_1d_1d,
    truthline_data.outcome_1h_1mo,
    truthline_data.outcome_1d_1mo,
    truthline_data.prediction_5m_1h,
    truthline_data.prediction_1h_1h,
    truthline_data.prediction_1d_1d,
    truthline_data.score_1h_1h,
    truthline_data.score_1d_1d,
    truthline_data.latency_1h_1h,
    truthline_data.latency_1d_1d
TO truthline_reader;
