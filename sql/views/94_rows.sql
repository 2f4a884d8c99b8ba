-- Registries and raw rows with names instead of ids, restricted to the caller's workspaces.
--
-- Cost     a condition on received_at excludes chunks; one on time finds its rows by an index within
--          each chunk. No row is dated more than 25 hours after it was received, so a query of a range
--          of time can state both: time >= t AND received_at >= t - INTERVAL '25 hours'.
--          A condition on an analyst's workspace, model, version, deployment, execution or metric
--          limits what is read, one on time doesn't: predictions() and outcomes() take ranges.
-- Halves   one for roles that can read the tables, with their conditions within the scans, and one that
--          fences rows that an analyst can't see (93_own.sql). The planner removes the other half.
-- Why      conditions on times and names pass the barrier, because their operators are leakproof.
--          Labels are outer joins: the plan omits those that a query doesn't need.

CREATE OR REPLACE VIEW truthline.workspaces WITH (security_barrier) AS
SELECT name AS workspace, created_at FROM truthline_data.workspace
WHERE truthline_internal.reads_tables()
  AND id = ANY ((SELECT truthline.visible_workspaces())::integer[])
UNION ALL
SELECT workspace, created_at FROM truthline_internal.own_workspaces()
WHERE NOT truthline_internal.reads_tables();
COMMENT ON VIEW truthline.workspaces IS
    'Workspaces that the caller can see.';
COMMENT ON COLUMN truthline.workspaces.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.workspaces.created_at IS 'When the workspace was created.';

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
COMMENT ON COLUMN truthline.models.namespace IS 'Namespace of the model, empty if none was given.';
COMMENT ON COLUMN truthline.models.pipeline IS 'Pipeline of the model, empty if none was given.';
COMMENT ON COLUMN truthline.models.model IS 'Name of the model.';
COMMENT ON COLUMN truthline.models.kind IS
    'classification, regression or detection; NULL until the model has a prediction or a subscription.';
COMMENT ON COLUMN truthline.models.created_at IS 'When the model was first seen.';

CREATE OR REPLACE VIEW truthline.series WITH (security_barrier) AS
SELECT workspace.name AS workspace, model.namespace, model.pipeline, model.name AS model,
       series.version, series.deployment, series.deployment_type, series.server_version,
       model.kind, series.created_at, series.tags
FROM truthline_data.series
JOIN truthline_data.model ON model.id = series.model_id
JOIN truthline_data.workspace ON workspace.id = model.workspace_id
WHERE truthline_internal.reads_tables()
  AND workspace.id = ANY ((SELECT truthline.visible_workspaces())::integer[])
UNION ALL
SELECT workspace, namespace, pipeline, model, version, deployment, deployment_type,
       server_version, kind, created_at, tags
FROM truthline_internal.own_series()
WHERE NOT truthline_internal.reads_tables();
COMMENT ON VIEW truthline.series IS
    'Versions and deployments of models: one row per combination with a prediction, and of its tags.';
COMMENT ON COLUMN truthline.series.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.series.namespace IS 'Namespace of the model, empty if none was given.';
COMMENT ON COLUMN truthline.series.pipeline IS 'Pipeline of the model, empty if none was given.';
COMMENT ON COLUMN truthline.series.model IS 'Name of the model.';
COMMENT ON COLUMN truthline.series.version IS 'Version of the model, empty if none was given.';
COMMENT ON COLUMN truthline.series.deployment IS 'Deployment that served it, empty if none was given.';
COMMENT ON COLUMN truthline.series.deployment_type IS 'Type of the deployment, empty if none was given.';
COMMENT ON COLUMN truthline.series.server_version IS
    'Version of the server that ran the model, empty if none was given.';
COMMENT ON COLUMN truthline.series.kind IS 'Kind of the model, as in truthline.models.';
COMMENT ON COLUMN truthline.series.created_at IS 'When the combination was first seen.';
COMMENT ON COLUMN truthline.series.tags IS
    'Tags of the predictions, as keys and values; {} for those without.';

CREATE OR REPLACE VIEW truthline.predictions WITH (security_barrier) AS
SELECT row.time, row.received_at,
       workspace.name AS workspace, model.namespace, model.pipeline, model.name AS model,
       series.version, series.deployment, series.deployment_type, series.server_version,
       row.request_id, row.batch_index, label.name AS label, row.confidence, row.value,
       row.latency_seconds, row.failed, row.starts_request, row.starts_label, series.tags
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
       row.starts_label, s.tags
FROM truthline_internal.own_series() AS s
CROSS JOIN LATERAL truthline_internal.own_predictions(ARRAY[s.id]) AS row
WHERE NOT truthline_internal.reads_tables();
COMMENT ON VIEW truthline.predictions IS
    'Outputs of models: one row per output.';
COMMENT ON COLUMN truthline.predictions.time IS 'When the prediction was made, as the client stated it.';
COMMENT ON COLUMN truthline.predictions.received_at IS
    'When the row was stored, by the database''s clock; rows are stored in this order.';
COMMENT ON COLUMN truthline.predictions.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.predictions.namespace IS 'Namespace of the model, empty if none was given.';
COMMENT ON COLUMN truthline.predictions.pipeline IS 'Pipeline of the model, empty if none was given.';
COMMENT ON COLUMN truthline.predictions.model IS 'Name of the model.';
COMMENT ON COLUMN truthline.predictions.version IS 'Version of the model, empty if none was given.';
COMMENT ON COLUMN truthline.predictions.deployment IS
    'Deployment that served the request, empty if none was given.';
COMMENT ON COLUMN truthline.predictions.deployment_type IS
    'Type of the deployment, empty if none was given.';
COMMENT ON COLUMN truthline.predictions.server_version IS
    'Version of the server that ran the model, empty if none was given.';
COMMENT ON COLUMN truthline.predictions.request_id IS
    'Id of the request, chosen by the client; NULL if it gave none.';
COMMENT ON COLUMN truthline.predictions.batch_index IS 'Position of the row within its request, from 0.';
COMMENT ON COLUMN truthline.predictions.label IS
    'Predicted class; empty if there was no detection, NULL for a value, a failed request, or an answer in a form that can''t be read.';
COMMENT ON COLUMN truthline.predictions.confidence IS
    'Confidence of the prediction, a fraction of 1; NULL if none was given.';
COMMENT ON COLUMN truthline.predictions.value IS
    'Predicted value in the model''s own unit; NULL for a class.';
COMMENT ON COLUMN truthline.predictions.latency_seconds IS
    'Duration of the request in seconds; NULL if none was given.';
COMMENT ON COLUMN truthline.predictions.failed IS 'Whether the request failed.';
COMMENT ON COLUMN truthline.predictions.starts_request IS
    'Marks one row of each request: the number of such rows is the number of requests.';
COMMENT ON COLUMN truthline.predictions.starts_label IS
    'Marks one row per request and class: the number of such rows is the number of requests with the class.';
COMMENT ON COLUMN truthline.predictions.tags IS
    'Tags of the prediction, as keys and values; {} if it has none.';

CREATE OR REPLACE VIEW truthline.outcomes WITH (security_barrier) AS
SELECT row.time, row.received_at,
       workspace.name AS workspace, model.namespace, model.pipeline, model.name AS model,
       series.version, series.deployment, series.deployment_type, series.server_version,
       row.request_id, row.batch_index, predicted.name AS predicted_label,
       actual.name AS actual_label, row.predicted_value, row.actual_value, row.weight, series.tags
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
       row.predicted_label, row.actual_label, row.predicted_value, row.actual_value, row.weight,
       s.tags
FROM truthline_internal.own_series() AS s
CROSS JOIN LATERAL truthline_internal.own_outcomes(ARRAY[s.id]) AS row
WHERE NOT truthline_internal.reads_tables();
COMMENT ON VIEW truthline.outcomes IS
    'Predictions with their truths: one row per received truth, two per correction.';
COMMENT ON COLUMN truthline.outcomes.time IS 'When the prediction was made, as the client stated it.';
COMMENT ON COLUMN truthline.outcomes.received_at IS
    'When the truth was stored, by the database''s clock; rows are stored in this order.';
COMMENT ON COLUMN truthline.outcomes.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.outcomes.namespace IS 'Namespace of the model, empty if none was given.';
COMMENT ON COLUMN truthline.outcomes.pipeline IS 'Pipeline of the model, empty if none was given.';
COMMENT ON COLUMN truthline.outcomes.model IS 'Name of the model.';
COMMENT ON COLUMN truthline.outcomes.version IS 'Version of the model, empty if none was given.';
COMMENT ON COLUMN truthline.outcomes.deployment IS 'Deployment that served the request, empty if none was given.';
COMMENT ON COLUMN truthline.outcomes.deployment_type IS 'Type of the deployment, empty if none was given.';
COMMENT ON COLUMN truthline.outcomes.server_version IS
    'Version of the server that ran the model, empty if none was given.';
COMMENT ON COLUMN truthline.outcomes.request_id IS 'Id of the request, chosen by the client.';
COMMENT ON COLUMN truthline.outcomes.batch_index IS 'Position of the row within its request, from 0.';
COMMENT ON COLUMN truthline.outcomes.predicted_label IS 'Predicted class; NULL for a value.';
COMMENT ON COLUMN truthline.outcomes.actual_label IS 'True class; NULL for a value.';
COMMENT ON COLUMN truthline.outcomes.predicted_value IS
    'Predicted value in the model''s own unit; NULL for a class.';
COMMENT ON COLUMN truthline.outcomes.actual_value IS
    'True value in the model''s own unit; NULL for a class.';
COMMENT ON COLUMN truthline.outcomes.weight IS
    '1, or -1 for a truth that a correction withdraws: sum it instead of counting rows.';
COMMENT ON COLUMN truthline.outcomes.tags IS
    'Tags of the prediction, as keys and values; {} if it has none.';

-- requests: what request_rows returns, whose header says which truth belongs to a prediction.
-- Why      the half that reads tables looks the truths of each row up, so that a condition or a limit
--          on predictions restricts what is read. requests() is faster for all rows of a range.
CREATE OR REPLACE VIEW truthline.requests WITH (security_barrier) AS
SELECT row.time, row.received_at,
       workspace.name AS workspace, model.namespace, model.pipeline, model.name AS model,
       series.version, series.deployment, series.deployment_type, series.server_version,
       row.request_id, row.batch_index, predicted.name AS predicted_label,
       actual.name AS actual_label, row.value AS predicted_value,
       CASE WHEN row.label_id IS NULL THEN truth.latest[2] END AS actual_value,
       row.confidence, row.latency_seconds, row.failed, truth.learned_at, truth.n_truths,
       series.tags
FROM truthline_data.prediction AS row
JOIN truthline_data.series ON series.id = row.series_id
JOIN truthline_data.model ON model.id = series.model_id
JOIN truthline_data.workspace ON workspace.id = model.workspace_id
LEFT JOIN truthline_data.label AS predicted ON predicted.id = row.label_id
CROSS JOIN LATERAL (
    SELECT CASE WHEN sum(o.weight) > 0 THEN max(
               ARRAY[extract(epoch FROM o.received_at)::float8,
                     coalesce(o.actual_label, o.actual_value)]
           ) FILTER (WHERE o.weight = 1) END AS latest,
           CASE WHEN sum(o.weight) > 0
                THEN max(o.received_at) FILTER (WHERE o.weight = 1) END AS learned_at,
           (count(*) FILTER (WHERE o.weight = 1))::integer AS n_truths
    FROM truthline_data.outcome AS o
    WHERE o.series_id = row.series_id AND o.time = row.time AND o.request_id = row.request_id
      AND o.batch_index = row.batch_index AND NOT row.failed
      AND o.predicted_label IS NOT DISTINCT FROM row.label_id
      AND o.predicted_value IS NOT DISTINCT FROM row.value
      AND o.received_at >= row.time - INTERVAL '25 hours'
) AS truth
LEFT JOIN truthline_data.label AS actual
    ON actual.id = CASE WHEN row.label_id IS NOT NULL THEN truth.latest[2]::integer END
WHERE truthline_internal.reads_tables()
  AND workspace.id = ANY ((SELECT truthline.visible_workspaces())::integer[])
  AND row.received_at >= (SELECT coalesce(max(since), '-infinity') FROM truthline_data.retention
                          WHERE relation IN ('prediction', 'outcome'))
UNION ALL
SELECT row.time, row.received_at, s.workspace, s.namespace, s.pipeline, s.model, s.version,
       s.deployment, s.deployment_type, s.server_version, row.request_id, row.batch_index,
       row.predicted_label, row.actual_label, row.predicted_value, row.actual_value,
       row.confidence, row.latency_seconds, row.failed, row.learned_at, row.n_truths, s.tags
FROM truthline_internal.own_series() AS s
CROSS JOIN LATERAL truthline_internal.own_request_rows(ARRAY[s.id]) AS row
WHERE NOT truthline_internal.reads_tables();
COMMENT ON VIEW truthline.requests IS
    'Predictions with their current truths: one row per output, whether its truth is known or not.';
COMMENT ON COLUMN truthline.requests.time IS 'When the prediction was made, as the client stated it.';
COMMENT ON COLUMN truthline.requests.received_at IS
    'When the prediction was stored, by the database''s clock.';
COMMENT ON COLUMN truthline.requests.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.requests.namespace IS 'Namespace of the model, empty if none was given.';
COMMENT ON COLUMN truthline.requests.pipeline IS 'Pipeline of the model, empty if none was given.';
COMMENT ON COLUMN truthline.requests.model IS 'Name of the model.';
COMMENT ON COLUMN truthline.requests.version IS 'Version of the model, empty if none was given.';
COMMENT ON COLUMN truthline.requests.deployment IS
    'Deployment that served the request, empty if none was given.';
COMMENT ON COLUMN truthline.requests.deployment_type IS
    'Type of the deployment, empty if none was given.';
COMMENT ON COLUMN truthline.requests.server_version IS
    'Version of the server that ran the model, empty if none was given.';
COMMENT ON COLUMN truthline.requests.request_id IS
    'Id of the request, chosen by the client; NULL if none was given.';
COMMENT ON COLUMN truthline.requests.batch_index IS 'Position of the row within its request, from 0.';
COMMENT ON COLUMN truthline.requests.predicted_label IS 'Predicted class; NULL for a value.';
COMMENT ON COLUMN truthline.requests.actual_label IS
    'True class as far as it is known now; NULL without a truth, and for a value.';
COMMENT ON COLUMN truthline.requests.predicted_value IS
    'Predicted value in the model''s own unit; NULL for a class.';
COMMENT ON COLUMN truthline.requests.actual_value IS
    'True value in the model''s own unit; NULL without a truth, and for a class.';
COMMENT ON COLUMN truthline.requests.confidence IS 'Confidence in the class, a fraction of 1.';
COMMENT ON COLUMN truthline.requests.latency_seconds IS 'How long the request took, in seconds.';
COMMENT ON COLUMN truthline.requests.failed IS 'Whether the request failed.';
COMMENT ON COLUMN truthline.requests.learned_at IS
    'When the current truth was stored; NULL without a truth.';
COMMENT ON COLUMN truthline.requests.n_truths IS
    'Number of truths that were stored: more than 1 if it was corrected.';

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
    'Metrics of executions: one row per execution, name, and scalar or list.';
COMMENT ON COLUMN truthline.step_metrics.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.step_metrics.execution IS 'Name of the execution.';
COMMENT ON COLUMN truthline.step_metrics.pipeline IS
    'Pipeline that was executed, empty if none was given.';
COMMENT ON COLUMN truthline.step_metrics.deployment IS
    'Deployment that the execution belongs to, empty if none was given.';
COMMENT ON COLUMN truthline.step_metrics.name IS 'Name of the metric.';
COMMENT ON COLUMN truthline.step_metrics.is_list IS 'Whether the metric is a list of values instead of a scalar.';
COMMENT ON COLUMN truthline.step_metrics.n_values IS 'Number of recorded values.';
COMMENT ON COLUMN truthline.step_metrics.value IS 'The latest recorded value.';
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
    'Pipeline that was executed, empty if none was given.';
COMMENT ON COLUMN truthline.step_values.deployment IS
    'Deployment that the execution belongs to, empty if none was given.';
COMMENT ON COLUMN truthline.step_values.name IS 'Name of the metric.';
COMMENT ON COLUMN truthline.step_values.is_list IS 'Whether the metric is a list of values instead of a scalar.';
COMMENT ON COLUMN truthline.step_values.place IS 'Position of the value within its metric, from 1.';
COMMENT ON COLUMN truthline.step_values.value IS 'The value.';
COMMENT ON COLUMN truthline.step_values.recorded_at IS 'When the value was recorded.';
COMMENT ON COLUMN truthline.requests.tags IS
    'Tags of the prediction, as keys and values; {} if it has none.';
