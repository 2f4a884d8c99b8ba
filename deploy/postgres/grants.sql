-- Privileges of truthline_reader. psql runs this as the owner after every migration.
--
-- The functions of schema truthline run with the privileges of their caller, so the caller also needs
-- SELECT on the tables they read. A continuous aggregate is read with the privileges of its owner, so
-- TimescaleDB's internal tables stay private.
-- Why      tables are granted one by one, so that a new table is private by default.
--          analyst, api_key, signing_secret, refresh_family, refresh_token, prediction_key,
--          pending_feedback, ingest_batch, event_key, event_pair, event_lookup and event_family are
--          not granted: they hold digests of keys, the secret that signs tokens, and ids chosen by
--          clients, and no metric. Neither are receiver, receiver_secret, monitor_receiver, monitor_round
--          and delivery: they hold where messages go. Neither are request_lock and upkeep_lock, because a role that may
--          read a table may lock it. erasure is read through its view. inference_metadata is granted
--          because it filters inference stats.
GRANT USAGE ON SCHEMA truthline, truthline_internal, truthline_data TO truthline_reader;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA truthline, truthline_internal TO truthline_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA truthline TO truthline_reader;
GRANT SELECT ON
    truthline_data.workspace,
    truthline_data.model,
    truthline_data.series,
    truthline_data.label,
    truthline_data.model_class,
    truthline_data.declared_class,
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
    truthline_data.monitor,
    truthline_data.monitor_part,
    truthline_data.verdict,
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
    truthline_data.scored_1h_1h,
    truthline_data.scored_1h_1d,
    truthline_data.scored_1d_1d,
    truthline_data.scored_1h_1mo,
    truthline_data.scored_1d_1mo,
    truthline_data.ranked_1h_1h,
    truthline_data.ranked_1d_1d,
    truthline_data.ranked_1d_1mo,
    truthline_data.versus_1h_1h,
    truthline_data.versus_1d_1d,
    truthline_data.versus_1d_1mo,
    truthline_data.deviation_5m_1h,
    truthline_data.deviation_1h_1h,
    truthline_data.deviation_1h_1d,
    truthline_data.deviation_1d_1d,
    truthline_data.prediction_5m_1h,
    truthline_data.prediction_1h_1h,
    truthline_data.prediction_1d_1d,
    truthline_data.score_1h_1h,
    truthline_data.score_1d_1d,
    truthline_data.latency_1h_1h,
    truthline_data.latency_1d_1d
TO truthline_reader;
-- Recent levels, in the editions that have them.
DO $$
DECLARE
    built text;
BEGIN
    FOR built IN SELECT name FROM truthline_data.level WHERE recent LOOP
        EXECUTE format('GRANT SELECT ON truthline_data.%I TO truthline_reader', built);
    END LOOP;
END
$$;
