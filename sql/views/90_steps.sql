-- Metrics of training pipelines: current state, every value, over time and per execution.

-- step_metrics: current state of the metrics of executions.
--
-- Grain    one row per (execution, name, scalar or list), in the order of `id`: that of first recording.
-- Units    n_values counts recorded values, `value` is the latest.
-- Cost     there is an index for each of workspace, name and execution; filters are pushed down.
CREATE OR REPLACE FUNCTION truthline_internal.step_metrics(workspace integer)
RETURNS TABLE (
    id bigint, execution text, pipeline text, deployment text, name text, is_list boolean,
    n_values bigint, value float8, created_at timestamptz, recorded_at timestamptz
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT metric.id, execution.name, execution.pipeline, execution.deployment, step_name.name,
           metric.is_list, metric.n_values, metric.value, metric.created_at, metric.received_at
    FROM truthline_data.step_metric AS metric
    -- outer joins, so that a query's plan omits those that it does not need
    LEFT JOIN truthline_data.execution ON execution.id = metric.execution_id
    LEFT JOIN truthline_data.step_name ON step_name.id = metric.name_id
    WHERE metric.workspace_id = workspace
$$;
COMMENT ON FUNCTION truthline_internal.step_metrics(integer) IS
    'Metrics of executions: the latest value, and the number of recorded values.';

-- step_values: every recorded value.
--
-- Grain    one row per value; `place` numbers those of a metric, from 1.
-- Cost     there is an index on metric and clock: filter by name or execution, and by recorded_at.
CREATE OR REPLACE FUNCTION truthline_internal.step_values(workspace integer)
RETURNS TABLE (
    id bigint, execution text, pipeline text, deployment text, name text, is_list boolean,
    place bigint, value float8, recorded_at timestamptz
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT metric.id, metric.execution, metric.pipeline, metric.deployment, metric.name,
           metric.is_list, batch.place + one.nth - 1, one.value, batch.received_at
    FROM truthline_internal.step_metrics(workspace) AS metric
    JOIN truthline_data.step_batch AS batch ON batch.metric_id = metric.id
    CROSS JOIN LATERAL unnest(batch.values) WITH ORDINALITY AS one (value, nth)
$$;
COMMENT ON FUNCTION truthline_internal.step_values(integer) IS
    'Every value that executions recorded, numbered from 1 within its metric.';

-- step_mean: the mean of n doubles, even if their sum overflows.
--
-- Why      a diverging loss comes near the largest double: such values are summed as decimals. And
--          PostgreSQL raises an error where a quotient underflows. A mean is between minimum and maximum.
CREATE OR REPLACE FUNCTION truthline_internal.step_mean(
    sum_usual float8, sum_huge numeric, n bigint, minimum float8, maximum float8
) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT least(greatest(
        CASE WHEN sum_huge IS NULL AND (abs(sum_usual) > 1e-280 OR sum_usual = 0)
             THEN sum_usual / n
             ELSE truthline_internal.mean(
                 coalesce(sum_usual::text::numeric, 0) + coalesce(sum_huge, 0), n) END,
        minimum), maximum)
    WHERE n > 0
$$;
COMMENT ON FUNCTION truthline_internal.step_mean(float8, numeric, bigint, float8, float8) IS
    'Mean of doubles from two sums: of ordinary values, and of those beyond 1e290 as decimals.';

-- step_sums: what a recording contributes to a summary.
CREATE OR REPLACE FUNCTION truthline_internal.step_sums(recorded float8[])
RETURNS TABLE (
    n bigint, sum_usual float8, sum_huge numeric, minimum float8, maximum float8
) LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT count(*), sum(value) FILTER (WHERE abs(value) <= 1e290),
           sum(truthline_data.exact(value)) FILTER (WHERE abs(value) > 1e290), min(value), max(value)
    FROM unnest(recorded) AS one (value)
$$;
COMMENT ON FUNCTION truthline_internal.step_sums(float8[]) IS
    'Number, sums, minimum and maximum of the values of one recording.';

-- step_metric_over_time: one metric, per bucket.
--
-- Grain    one row per bucket of the window, oldest first, including empty ones.
-- Units    values count in the bucket in which they were recorded; `last` is the latest of them.
--          Values of all executions, or of a pipeline, a deployment or one execution.
-- Cost     the recordings of the window.
CREATE OR REPLACE FUNCTION truthline_internal.step_metric_over_time(
    workspace integer, metric_name text, lists boolean, start_time timestamptz,
    end_time timestamptz, width interval DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', of_pipeline text DEFAULT NULL, of_deployment text DEFAULT NULL,
    of_execution text DEFAULT NULL
) RETURNS TABLE (
    bucket_start timestamptz, bucket_end timestamptz, n bigint, mean float8, minimum float8,
    maximum float8, last float8
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH part AS (
        SELECT width_bucket(batch.received_at, grid.edges) AS place, batch.received_at,
               batch.metric_id, batch.values[cardinality(batch.values)] AS last, sums.*
        FROM (SELECT truthline_internal.edges(start_time, end_time, width, origin, zone) OFFSET 0)
            AS grid (edges)
        CROSS JOIN truthline_internal.step_metrics(workspace) AS metric
        JOIN truthline_data.step_batch AS batch ON batch.metric_id = metric.id
        CROSS JOIN LATERAL truthline_internal.step_sums(batch.values) AS sums
        WHERE metric.name = metric_name AND metric.is_list = lists
          AND (of_pipeline IS NULL OR metric.pipeline = of_pipeline)
          AND (of_deployment IS NULL OR metric.deployment = of_deployment)
          AND (of_execution IS NULL OR metric.execution = of_execution)
          AND batch.received_at >= start_time AND batch.received_at < end_time
    )
    SELECT bucket.bucket_start, bucket.bucket_end, coalesce(sum(part.n), 0)::bigint,
           truthline_internal.step_mean(sum(part.sum_usual), sum(part.sum_huge), sum(part.n)::bigint,
                               min(part.minimum), max(part.maximum)),
           min(part.minimum), max(part.maximum),
           (array_agg(part.last ORDER BY part.received_at DESC, part.metric_id DESC))[1]
    FROM truthline_internal.buckets(start_time, end_time, width, origin, zone) AS bucket
    LEFT JOIN part USING (place)
    GROUP BY place, bucket.bucket_start, bucket.bucket_end
    ORDER BY place
$$;
COMMENT ON FUNCTION truthline_internal.step_metric_over_time(integer, text, boolean, timestamptz, timestamptz, interval, timestamptz, text, text, text, text) IS
    'Count, mean, minimum, maximum and last value of one step metric per bucket.';

-- step_metric_by_execution: one metric, per execution.
--
-- Grain    one row per execution that recorded it before `as_of`, in the order of `id`: that of first
--          recording.
-- Units    `last` and the summary are of the values recorded before `as_of`.
-- Cost     the recordings of the returned executions: a limit is pushed down.
CREATE OR REPLACE FUNCTION truthline_internal.step_metric_by_execution(
    workspace integer, metric_name text, lists boolean, as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    id bigint, execution text, pipeline text, deployment text, n bigint, mean float8,
    minimum float8, maximum float8, last float8, first_recorded_at timestamptz,
    last_recorded_at timestamptz
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT metric.id, metric.execution, metric.pipeline, metric.deployment, sums.n, sums.mean,
           sums.minimum, sums.maximum, newest.last, sums.first_at, newest.at
    FROM truthline_internal.step_metrics(workspace) AS metric
    CROSS JOIN LATERAL (
        SELECT batch.values[cardinality(batch.values)], batch.received_at
        FROM truthline_data.step_batch AS batch
        WHERE batch.metric_id = metric.id AND batch.received_at < as_of
        ORDER BY batch.received_at DESC LIMIT 1
    ) AS newest (last, at)
    CROSS JOIN LATERAL (
        SELECT sum(part.n)::bigint AS n, min(part.minimum) AS minimum, max(part.maximum) AS maximum,
               truthline_internal.step_mean(sum(part.sum_usual), sum(part.sum_huge), sum(part.n)::bigint,
                                   min(part.minimum), max(part.maximum)) AS mean,
               min(batch.received_at) AS first_at
        FROM truthline_data.step_batch AS batch
        CROSS JOIN LATERAL truthline_internal.step_sums(batch.values) AS part
        WHERE batch.metric_id = metric.id AND batch.received_at < as_of
    ) AS sums
    WHERE metric.name = metric_name AND metric.is_list = lists
$$;
COMMENT ON FUNCTION truthline_internal.step_metric_by_execution(integer, text, boolean, timestamptz) IS
    'Count, mean, minimum, maximum and last value of one step metric per execution.';
