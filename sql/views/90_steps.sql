-- What training pipelines measured: as it stands, value by value, over time and over executions.

-- step_metrics: metrics of executions as they stand.
--
-- Grain    one row per (execution, name, scalar or list), in the order of `id` as first recorded.
-- Units    n_values counts what was recorded, `value` is the last of it.
-- Cost     an index for each of workspace, name and execution; a filter goes in.
CREATE OR REPLACE FUNCTION truthline.step_metrics(workspace integer)
RETURNS TABLE (
    id bigint, execution text, pipeline text, deployment text, name text, is_list boolean,
    n_values bigint, value float8, created_at timestamptz, recorded_at timestamptz
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT metric.id, execution.name, execution.pipeline, execution.deployment, step_name.name,
           metric.is_list, metric.n_values, metric.value, metric.created_at, metric.received_at
    FROM truthline_data.step_metric AS metric
    -- outer joins, for those that a question does without are then left out of its plan
    LEFT JOIN truthline_data.execution ON execution.id = metric.execution_id
    LEFT JOIN truthline_data.step_name ON step_name.id = metric.name_id
    WHERE metric.workspace_id = workspace
$$;
COMMENT ON FUNCTION truthline.step_metrics(integer) IS
    'Metrics of executions as they stand: the last value, and how many were recorded.';
