-- The rows a caller can see, selected before any condition of the caller's is evaluated.
--
-- The views consist of these functions for a role that can't read the tables. A function is a fence: a
-- plan shows how many rows it returned, and no condition of the caller's is evaluated, estimated or
-- counted on rows that it excluded. A barrier alone is not enough: leakproof operators are pushed
-- through it, and EXPLAIN shows how many rows of others they removed.
-- Why      a caller can guess ids, so each function by id excludes those that the caller can't see.

-- reads_tables: whether the caller can read the tables anyway.
-- Why      it is declared immutable, though a role's privileges can change, so that the planner removes
--          the half of a view that does not apply: an analyst's plan has no table, and that of other
--          roles no fence. Both halves return the same rows, so a plan that is cached while privileges
--          change stays correct.
CREATE OR REPLACE FUNCTION truthline_internal.reads_tables() RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT has_table_privilege(truthline_internal.caller(), 'truthline_data.prediction', 'SELECT')
$$;
COMMENT ON FUNCTION truthline_internal.reads_tables() IS
    'Whether the caller can read the tables of all workspaces.';

-- own_models: models of the workspaces that the caller can see.
CREATE OR REPLACE FUNCTION truthline_internal.own_models()
RETURNS TABLE (
    id integer, workspace text, namespace text, pipeline text, model text, kind text,
    created_at timestamptz
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp AS $$
    SELECT m.id, w.name, m.namespace, m.pipeline, m.name, m.kind, m.created_at
    FROM truthline_data.model AS m
    JOIN truthline_data.workspace AS w ON w.id = m.workspace_id
    WHERE m.workspace_id = ANY ((SELECT truthline.visible_workspaces())::integer[])
$$;
COMMENT ON FUNCTION truthline_internal.own_models() IS
    'Models of the workspaces that the caller can see.';

-- own_series: versions and deployments of those models, with their tags.
CREATE OR REPLACE FUNCTION truthline_internal.own_series()
RETURNS TABLE (
    id integer, workspace text, namespace text, pipeline text, model text, version text,
    deployment text, deployment_type text, server_version text, kind text, created_at timestamptz,
    tags jsonb
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.id, m.workspace, m.namespace, m.pipeline, m.model, s.version, s.deployment,
           s.deployment_type, s.server_version, m.kind, s.created_at, s.tags
    FROM truthline_internal.own_models() AS m
    JOIN truthline_data.series AS s ON s.model_id = m.id
$$;
COMMENT ON FUNCTION truthline_internal.own_series() IS
    'Versions and deployments of models that the caller can see.';

-- own_among: those of some series that the caller can see; for functions that run as the owner.
CREATE OR REPLACE FUNCTION truthline_internal.own_among(series integer[]) RETURNS integer[]
LANGUAGE sql STABLE PARALLEL RESTRICTED
SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(s.id), '{}')
    FROM truthline_data.series AS s
    JOIN truthline_data.model AS m ON m.id = s.model_id
    WHERE s.id = ANY (series)
      AND m.workspace_id = ANY ((SELECT truthline.visible_workspaces())::integer[])
$$;
COMMENT ON FUNCTION truthline_internal.own_among(integer[]) IS
    'Those of some series that the caller can see.';

-- own_predictions: rows of those of some series that the caller can see.
--
-- Window   `time` within [start_time, end_time), received within [received_from, received_until).
-- Cost     an index finds a series' range of time, in the chunks of the range of receipt: a row is never
--          dated more than 25 hours after it was received, so either range limits the other.
-- Why      plpgsql plans with the actual bounds; SQL functions do so only from PostgreSQL 18 on.
CREATE OR REPLACE FUNCTION truthline_internal.own_predictions(
    series integer[], start_time timestamptz DEFAULT '-infinity',
    end_time timestamptz DEFAULT 'infinity', received_from timestamptz DEFAULT '-infinity',
    received_until timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    "time" timestamptz, received_at timestamptz, series_id integer, request_id text,
    batch_index integer, label text, confidence float8, value float8, latency_seconds float8,
    failed boolean, starts_request boolean, starts_label boolean
) LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER ROWS 10000
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $function$
#variable_conflict use_column
DECLARE
    own integer[] := truthline_internal.own_among(series);
    first timestamptz := greatest(received_from, start_time - INTERVAL '25 hours');
    last timestamptz := least(end_time, received_until + INTERVAL '25 hours');
BEGIN
    RETURN QUERY
    SELECT p.time, p.received_at, p.series_id, p.request_id, p.batch_index, l.name, p.confidence,
           p.value, p.latency_seconds, p.failed, p.starts_request, p.starts_label
    FROM truthline_data.prediction AS p
    LEFT JOIN truthline_data.label AS l ON l.id = p.label_id
    WHERE p.series_id = ANY (own) AND p.time >= start_time AND p.time < last
      AND p.received_at >= first AND p.received_at < received_until;
END
$function$;
COMMENT ON FUNCTION truthline_internal.own_predictions(integer[], timestamptz, timestamptz, timestamptz, timestamptz) IS
    'Rows of predictions of some series, if the caller can see them.';

-- own_outcomes: the same for outcomes.
CREATE OR REPLACE FUNCTION truthline_internal.own_outcomes(
    series integer[], start_time timestamptz DEFAULT '-infinity',
    end_time timestamptz DEFAULT 'infinity', received_from timestamptz DEFAULT '-infinity',
    received_until timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    "time" timestamptz, received_at timestamptz, series_id integer, request_id text,
    batch_index integer, predicted_label text, actual_label text, predicted_value float8,
    actual_value float8, weight smallint
) LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER ROWS 10000
SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $function$
#variable_conflict use_column
DECLARE
    own integer[] := truthline_internal.own_among(series);
    first timestamptz := greatest(received_from, start_time - INTERVAL '25 hours');
    last timestamptz := least(end_time, received_until + INTERVAL '25 hours');
BEGIN
    RETURN QUERY
    SELECT o.time, o.received_at, o.series_id, o.request_id, o.batch_index, predicted.name,
           actual.name, o.predicted_value, o.actual_value, o.weight
    FROM truthline_data.outcome AS o
    LEFT JOIN truthline_data.label AS predicted ON predicted.id = o.predicted_label
    LEFT JOIN truthline_data.label AS actual ON actual.id = o.actual_label
    WHERE o.series_id = ANY (own) AND o.time >= start_time AND o.time < last
      AND o.received_at >= first AND o.received_at < received_until;
END
$function$;
COMMENT ON FUNCTION truthline_internal.own_outcomes(integer[], timestamptz, timestamptz, timestamptz, timestamptz) IS
    'Rows of outcomes of some series, if the caller can see them.';

-- own_request_rows: predictions of those series with their current truths, as known at a moment.
--
-- Cost     that of request_rows.
CREATE OR REPLACE FUNCTION truthline_internal.own_request_rows(
    series integer[], start_time timestamptz DEFAULT '-infinity',
    end_time timestamptz DEFAULT 'infinity', as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    "time" timestamptz, received_at timestamptz, series_id integer, request_id text,
    batch_index integer, predicted_label text, actual_label text, predicted_value float8,
    actual_value float8, confidence float8, latency_seconds float8, failed boolean,
    learned_at timestamptz, n_truths integer
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER ROWS 10000
SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.time, r.received_at, r.series_id, r.request_id, r.batch_index, predicted.name,
           actual.name, r.value, r.actual_value, r.confidence, r.latency_seconds, r.failed,
           r.learned_at, r.n_truths
    FROM truthline_internal.request_rows(
        truthline_internal.own_among(series), start_time, end_time, as_of,
        truthline_internal.rows_since()) AS r
    LEFT JOIN truthline_data.label AS predicted ON predicted.id = r.label_id
    LEFT JOIN truthline_data.label AS actual ON actual.id = r.actual_label
$$;
COMMENT ON FUNCTION truthline_internal.own_request_rows(integer[], timestamptz, timestamptz, timestamptz) IS
    'Predictions of some series with their current truths, if the caller can see them.';

-- own_step_metrics: metrics of executions of the workspaces that the caller can see.
CREATE OR REPLACE FUNCTION truthline_internal.own_step_metrics()
RETURNS TABLE (
    id bigint, workspace text, execution text, pipeline text, deployment text, name text,
    is_list boolean, n_values bigint, value float8, created_at timestamptz, recorded_at timestamptz
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER ROWS 10000
SET search_path = pg_catalog, pg_temp AS $$
    SELECT metric.id, w.name, metric.execution, metric.pipeline, metric.deployment, metric.name,
           metric.is_list, metric.n_values, metric.value, metric.created_at, metric.recorded_at
    FROM truthline_data.workspace AS w
    CROSS JOIN LATERAL truthline_internal.step_metrics(w.id) AS metric
    WHERE w.id = ANY ((SELECT truthline.visible_workspaces())::integer[])
$$;
COMMENT ON FUNCTION truthline_internal.own_step_metrics() IS
    'Metrics of executions of the workspaces that the caller can see.';

-- own_step_values: the values of one such metric.
CREATE OR REPLACE FUNCTION truthline_internal.own_step_values(metric bigint)
RETURNS TABLE (place bigint, value float8, recorded_at timestamptz)
LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp AS $$
    SELECT batch.place + one.nth - 1, one.value, batch.received_at
    FROM truthline_data.step_metric AS m
    JOIN truthline_data.step_batch AS batch ON batch.metric_id = m.id
    CROSS JOIN LATERAL unnest(batch.values) WITH ORDINALITY AS one (value, nth)
    WHERE m.id = metric
      AND m.workspace_id = ANY ((SELECT truthline.visible_workspaces())::integer[])
$$;
COMMENT ON FUNCTION truthline_internal.own_step_values(bigint) IS
    'Values of a metric of an execution, if the caller can see it.';

-- own_erasures: erasures in the workspaces that the caller can see.
CREATE OR REPLACE FUNCTION truthline_internal.own_erasures()
RETURNS TABLE (
    erased_at timestamptz, workspace text, scope text, namespace text, pipeline text, model text,
    tag_key text, requests bigint, predictions bigint, outcomes bigint, others bigint,
    erased_by text, role_name name, reason text
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp AS $$
    SELECT e.erased_at, w.name, e.scope, m.namespace, m.pipeline, m.name, e.tag_key, e.requests,
           e.predictions, e.outcomes, e.others, e.erased_by, e.role_name, e.reason
    FROM truthline_data.erasure AS e
    JOIN truthline_data.workspace AS w ON w.id = e.workspace_id
    LEFT JOIN truthline_data.model AS m ON m.id = e.model_id
    WHERE e.workspace_id = ANY ((SELECT truthline.visible_workspaces())::integer[])
$$;
COMMENT ON FUNCTION truthline_internal.own_erasures() IS
    'Erasures in the workspaces that the caller can see.';
