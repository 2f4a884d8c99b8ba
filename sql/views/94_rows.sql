-- Registries and raw rows with names in place of ids, and nothing but the caller's workspaces.
--
-- Cost     a condition on received_at leaves out chunks, one on time finds its rows by an index within
--          each chunk. No row is dated more than 25 hours after it was received, so whoever asks for a
--          span of time can say both: time >= t AND received_at >= t - INTERVAL '25 hours'.
--          A condition on an analyst's workspace, model, version, deployment, execution or metric
--          limits what is read, one on time doesn't: predictions() and outcomes() take spans.
-- Halves   one for whoever may read the tables, with their conditions within the scans, and one that
--          fences what an analyst doesn't see (93_own.sql). The planner leaves the other one out.
-- Why      conditions on times and names are let through the barrier, for their operators are
--          leakproof. Labels are outer joins: what isn't asked for is left out of the plan.

CREATE OR REPLACE VIEW truthline.workspaces WITH (security_barrier) AS
SELECT name AS workspace, created_at FROM truthline_data.workspace
WHERE truthline_internal.reads_tables()
  AND id = ANY ((SELECT truthline.visible_workspaces())::integer[])
UNION ALL
SELECT workspace, created_at FROM truthline_internal.own_workspaces()
WHERE NOT truthline_internal.reads_tables();
COMMENT ON VIEW truthline.workspaces IS
    'Workspaces that the caller sees.';
COMMENT ON COLUMN truthline.workspaces.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.workspaces.created_at IS 'When it was made.';

CREATE OR REPLACE VIEW truthline.models WITH (security_barrier) AS
SELECT workspace.name AS workspace, model.namespace, model.pipeline, model.name AS model, model.kind,
       model.created_at
FROM truthline_data.model
JOIN truthline_data.workspace ON workspace.id = model.workspace_id
WHERE truthline_internal.reads_tables()
  AND workspace.id = ANY ((SELECT truthline.visible_workspaces())::integer[])
UNION ALL
SELECT workspace, namespace, pipeline, model, kind, created_at FROM truthline_internal.own_models()
WHERE NOT truthline_internal.reads_tables();
COMMENT ON VIEW truthline.models IS
    'Models: one row per model.';
COMMENT ON COLUMN truthline.models.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.models.namespace IS 'Namespace of the model, empty if none was told.';
COMMENT ON COLUMN truthline.models.pipeline IS 'Pipeline of the model, empty if none was told.';
COMMENT ON COLUMN truthline.models.model IS 'Name of the model.';
COMMENT ON COLUMN truthline.models.kind IS
    'classification, regression or detection; NULL while nothing but feedback came.';
COMMENT ON COLUMN truthline.models.created_at IS 'When it was first heard of.';

CREATE OR REPLACE VIEW truthline.series WITH (security_barrier) AS
SELECT workspace.name AS workspace, model.namespace, model.pipeline, model.name AS model,
       series.version, series.deployment, series.deployment_type, series.server_version,
       model.kind, series.created_at
FROM truthline_data.series
JOIN truthline_data.model ON model.id = series.model_id
JOIN truthline_data.workspace ON workspace.id = model.workspace_id
WHERE truthline_internal.reads_tables()
  AND workspace.id = ANY ((SELECT truthline.visible_workspaces())::integer[])
UNION ALL
SELECT workspace, namespace, pipeline, model, version, deployment, deployment_type,
       server_version, kind, created_at
FROM truthline_internal.own_series()
WHERE NOT truthline_internal.reads_tables();
COMMENT ON VIEW truthline.series IS
    'Versions and deployments of models: one row per combination that predicted.';
COMMENT ON COLUMN truthline.series.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.series.namespace IS 'Namespace of the model, empty if none was told.';
COMMENT ON COLUMN truthline.series.pipeline IS 'Pipeline of the model, empty if none was told.';
COMMENT ON COLUMN truthline.series.model IS 'Name of the model.';
COMMENT ON COLUMN truthline.series.version IS 'Version of the model, empty if none was told.';
COMMENT ON COLUMN truthline.series.deployment IS 'Deployment that answered, empty if none was told.';
COMMENT ON COLUMN truthline.series.deployment_type IS 'Kind of deployment, empty if none was told.';
COMMENT ON COLUMN truthline.series.server_version IS
    'Version of the server that answered, empty if none was told.';
COMMENT ON COLUMN truthline.series.kind IS 'As of models.';
COMMENT ON COLUMN truthline.series.created_at IS 'When it was first heard of.';

CREATE OR REPLACE VIEW truthline.predictions WITH (security_barrier) AS
SELECT row.time, row.received_at,
       workspace.name AS workspace, model.namespace, model.pipeline, model.name AS model,
       series.version, series.deployment, series.deployment_type, series.server_version,
       row.request_id, row.batch_index, label.name AS label, row.confidence, row.value,
       row.latency_seconds, row.failed, row.starts_request, row.starts_label
FROM truthline_data.prediction AS row
JOIN truthline_data.series ON series.id = row.series_id
JOIN truthline_data.model ON model.id = series.model_id
JOIN truthline_data.workspace ON workspace.id = model.workspace_id
LEFT JOIN truthline_data.label ON label.id = row.label_id
WHERE truthline_internal.reads_tables()
  AND workspace.id = ANY ((SELECT truthline.visible_workspaces())::integer[])
UNION ALL
SELECT row.time, row.received_at, s.workspace, s.namespace, s.pipeline, s.model, s.version,
       s.deployment, s.deployment_type, s.server_version, row.request_id, row.batch_index,
       row.label, row.confidence, row.value, row.latency_seconds, row.failed, row.starts_request,
       row.starts_label
FROM truthline_internal.own_series() AS s
CROSS JOIN LATERAL truthline_internal.own_predictions(ARRAY[s.id]) AS row
WHERE NOT truthline_internal.reads_tables();
COMMENT ON VIEW truthline.predictions IS
    'What models answered: one row per output.';
COMMENT ON COLUMN truthline.predictions.time IS 'When it happened, by the client''s word.';
COMMENT ON COLUMN truthline.predictions.received_at IS
    'When the database learned it; rows are kept in this order.';
COMMENT ON COLUMN truthline.predictions.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.predictions.namespace IS 'Namespace of the model, empty if none was told.';
COMMENT ON COLUMN truthline.predictions.pipeline IS 'Pipeline of the model, empty if none was told.';
COMMENT ON COLUMN truthline.predictions.model IS 'Name of the model.';
COMMENT ON COLUMN truthline.predictions.version IS 'Version of the model, empty if none was told.';
COMMENT ON COLUMN truthline.predictions.deployment IS
    'Deployment that answered, empty if none was told.';
COMMENT ON COLUMN truthline.predictions.deployment_type IS
    'Kind of deployment, empty if none was told.';
COMMENT ON COLUMN truthline.predictions.server_version IS
    'Version of the server that answered, empty if none was told.';
COMMENT ON COLUMN truthline.predictions.request_id IS
    'The client''s name for the request, NULL if it gave none.';
COMMENT ON COLUMN truthline.predictions.batch_index IS 'Place of the row within its request, from 0.';
COMMENT ON COLUMN truthline.predictions.label IS
    'Predicted class; empty where a detection found nothing, NULL for a value or a failure.';
COMMENT ON COLUMN truthline.predictions.confidence IS
    'How sure the model was, a fraction of 1; NULL if it did not say.';
COMMENT ON COLUMN truthline.predictions.value IS
    'Predicted value in the model''s own unit; NULL for a class.';
COMMENT ON COLUMN truthline.predictions.latency_seconds IS
    'How long the request took, in seconds; NULL if not told.';
COMMENT ON COLUMN truthline.predictions.failed IS 'The request was not answered.';
COMMENT ON COLUMN truthline.predictions.starts_request IS
    'Marks one row of each request: the sum counts requests.';
COMMENT ON COLUMN truthline.predictions.starts_label IS
    'Marks one row of each class of a request: the sum counts requests with the class.';

CREATE OR REPLACE VIEW truthline.outcomes WITH (security_barrier) AS
SELECT row.time, row.received_at,
       workspace.name AS workspace, model.namespace, model.pipeline, model.name AS model,
       series.version, series.deployment, series.deployment_type, series.server_version,
       row.request_id, row.batch_index, predicted.name AS predicted_label,
       actual.name AS actual_label, row.predicted_value, row.actual_value, row.weight
FROM truthline_data.outcome AS row
JOIN truthline_data.series ON series.id = row.series_id
JOIN truthline_data.model ON model.id = series.model_id
JOIN truthline_data.workspace ON workspace.id = model.workspace_id
LEFT JOIN truthline_data.label AS predicted ON predicted.id = row.predicted_label
LEFT JOIN truthline_data.label AS actual ON actual.id = row.actual_label
WHERE truthline_internal.reads_tables()
  AND workspace.id = ANY ((SELECT truthline.visible_workspaces())::integer[])
UNION ALL
SELECT row.time, row.received_at, s.workspace, s.namespace, s.pipeline, s.model, s.version,
       s.deployment, s.deployment_type, s.server_version, row.request_id, row.batch_index,
       row.predicted_label, row.actual_label, row.predicted_value, row.actual_value, row.weight
FROM truthline_internal.own_series() AS s
CROSS JOIN LATERAL truthline_internal.own_outcomes(ARRAY[s.id]) AS row
WHERE NOT truthline_internal.reads_tables();
COMMENT ON VIEW truthline.outcomes IS
    'Predictions beside their truths: one row per truth learned, two per correction.';
COMMENT ON COLUMN truthline.outcomes.time IS 'When the prediction was made, by the client''s word.';
COMMENT ON COLUMN truthline.outcomes.received_at IS
    'When the database learned the truth; rows are kept in this order.';
COMMENT ON COLUMN truthline.outcomes.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.outcomes.namespace IS 'Namespace of the model, empty if none was told.';
COMMENT ON COLUMN truthline.outcomes.pipeline IS 'Pipeline of the model, empty if none was told.';
COMMENT ON COLUMN truthline.outcomes.model IS 'Name of the model.';
COMMENT ON COLUMN truthline.outcomes.version IS 'Version of the model, empty if none was told.';
COMMENT ON COLUMN truthline.outcomes.deployment IS 'Deployment that answered, empty if none was told.';
COMMENT ON COLUMN truthline.outcomes.deployment_type IS 'Kind of deployment, empty if none was told.';
COMMENT ON COLUMN truthline.outcomes.server_version IS
    'Version of the server that answered, empty if none was told.';
COMMENT ON COLUMN truthline.outcomes.request_id IS 'The client''s name for the request.';
COMMENT ON COLUMN truthline.outcomes.batch_index IS 'Place of the row within its request, from 0.';
COMMENT ON COLUMN truthline.outcomes.predicted_label IS 'Predicted class; NULL for a value.';
COMMENT ON COLUMN truthline.outcomes.actual_label IS 'True class; NULL for a value.';
COMMENT ON COLUMN truthline.outcomes.predicted_value IS
    'Predicted value in the model''s own unit; NULL for a class.';
COMMENT ON COLUMN truthline.outcomes.actual_value IS
    'True value in the model''s own unit; NULL for a class.';
COMMENT ON COLUMN truthline.outcomes.weight IS
    '1, or -1 where a correction takes a truth back: sum it instead of counting rows.';

CREATE OR REPLACE VIEW truthline.step_metrics WITH (security_barrier) AS
SELECT workspace.name AS workspace, execution.name AS execution, execution.pipeline,
       execution.deployment, step_name.name, metric.is_list, metric.n_values, metric.value,
       metric.created_at, metric.received_at AS recorded_at
FROM truthline_data.step_metric AS metric
JOIN truthline_data.workspace ON workspace.id = metric.workspace_id
LEFT JOIN truthline_data.execution ON execution.id = metric.execution_id
LEFT JOIN truthline_data.step_name ON step_name.id = metric.name_id
WHERE truthline_internal.reads_tables()
  AND workspace.id = ANY ((SELECT truthline.visible_workspaces())::integer[])
UNION ALL
SELECT workspace, execution, pipeline, deployment, name, is_list, n_values, value, created_at,
       recorded_at
FROM truthline_internal.own_step_metrics()
WHERE NOT truthline_internal.reads_tables();
COMMENT ON VIEW truthline.step_metrics IS
    'Metrics of executions as they stand: one row per execution, name, and scalar or list.';
COMMENT ON COLUMN truthline.step_metrics.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.step_metrics.execution IS 'Name of the execution.';
COMMENT ON COLUMN truthline.step_metrics.pipeline IS
    'Pipeline that was executed, empty if none was told.';
COMMENT ON COLUMN truthline.step_metrics.deployment IS
    'Deployment that executed it, empty if none was told.';
COMMENT ON COLUMN truthline.step_metrics.name IS 'Name of the metric.';
COMMENT ON COLUMN truthline.step_metrics.is_list IS 'A list of values, not a scalar.';
COMMENT ON COLUMN truthline.step_metrics.n_values IS 'How many values were recorded.';
COMMENT ON COLUMN truthline.step_metrics.value IS 'The last of them.';
COMMENT ON COLUMN truthline.step_metrics.created_at IS 'When the first value was recorded.';
COMMENT ON COLUMN truthline.step_metrics.recorded_at IS 'When the last value was recorded.';

CREATE OR REPLACE VIEW truthline.step_values WITH (security_barrier) AS
SELECT workspace.name AS workspace, execution.name AS execution, execution.pipeline,
       execution.deployment, step_name.name, metric.is_list, batch.place + one.nth - 1 AS place,
       one.value, batch.received_at AS recorded_at
FROM truthline_data.step_batch AS batch
JOIN truthline_data.step_metric AS metric ON metric.id = batch.metric_id
JOIN truthline_data.workspace ON workspace.id = metric.workspace_id
LEFT JOIN truthline_data.execution ON execution.id = metric.execution_id
LEFT JOIN truthline_data.step_name ON step_name.id = metric.name_id
CROSS JOIN LATERAL unnest(batch.values) WITH ORDINALITY AS one (value, nth)
WHERE truthline_internal.reads_tables()
  AND workspace.id = ANY ((SELECT truthline.visible_workspaces())::integer[])
UNION ALL
SELECT metric.workspace, metric.execution, metric.pipeline, metric.deployment, metric.name,
       metric.is_list, one.place, one.value, one.recorded_at
FROM truthline_internal.own_step_metrics() AS metric
CROSS JOIN LATERAL truthline_internal.own_step_values(metric.id) AS one
WHERE NOT truthline_internal.reads_tables();
COMMENT ON VIEW truthline.step_values IS
    'Every value that executions recorded: one row per value.';
COMMENT ON COLUMN truthline.step_values.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.step_values.execution IS 'Name of the execution.';
COMMENT ON COLUMN truthline.step_values.pipeline IS
    'Pipeline that was executed, empty if none was told.';
COMMENT ON COLUMN truthline.step_values.deployment IS
    'Deployment that executed it, empty if none was told.';
COMMENT ON COLUMN truthline.step_values.name IS 'Name of the metric.';
COMMENT ON COLUMN truthline.step_values.is_list IS 'A list of values, not a scalar.';
COMMENT ON COLUMN truthline.step_values.place IS 'Place of the value within its metric, from 1.';
COMMENT ON COLUMN truthline.step_values.value IS 'The value.';
COMMENT ON COLUMN truthline.step_values.recorded_at IS 'When it was recorded.';
