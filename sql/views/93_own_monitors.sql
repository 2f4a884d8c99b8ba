-- Monitors and verdicts that the caller can see, selected before any condition of the caller's is
-- evaluated: see 93_own.sql.

-- own_monitors: a row per part of a monitor, and one for a monitor that has not judged yet.
CREATE OR REPLACE FUNCTION truthline_internal.own_monitors()
RETURNS TABLE (
    workspace text, monitor text, revision integer, namespace text, pipeline text, model text,
    metric text, definition jsonb, created_at timestamptz, changed_at timestamptz, part text,
    state text, since timestamptz, window_end timestamptz, as_of timestamptz
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER ROWS 100
SET search_path = pg_catalog, pg_temp AS $$
    SELECT w.name, m.name, m.revision, m.namespace, m.pipeline, m.model, m.definition ->> 'metric',
           m.definition, m.created_at, m.changed_at, p.part, p.state, p.since, p.window_end, p.as_of
    FROM truthline_data.monitor AS m
    JOIN truthline_data.workspace AS w ON w.id = m.workspace_id
    LEFT JOIN truthline_data.monitor_part AS p ON p.monitor_id = m.id
    WHERE m.workspace_id = ANY ((SELECT truthline.visible_workspaces())::integer[])
$$;
COMMENT ON FUNCTION truthline_internal.own_monitors() IS
    'Monitors of the workspaces that the caller can see, and where their parts stand.';

-- own_verdicts: every verdict of those monitors, also those that later ones have revised.
CREATE OR REPLACE FUNCTION truthline_internal.own_verdicts()
RETURNS TABLE (
    workspace text, monitor text, namespace text, pipeline text, model text, metric text, part text,
    window_start timestamptz, window_end timestamptz, as_of timestamptz, revision integer, state text,
    reason text, value float8, low float8, high float8, baseline float8, n bigint,
    revised_as_of timestamptz, revised_state text, revised_value float8, learned bigint
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER ROWS 10000
SET search_path = pg_catalog, pg_temp AS $$
    SELECT w.name, m.name, m.namespace, m.pipeline, m.model, m.definition ->> 'metric', v.part,
           v.window_start, v.window_end, v.as_of, v.revision, v.state, v.reason, v.value, v.low,
           v.high, v.baseline, v.n, v.revised_as_of, v.revised_state, v.revised_value, v.learned
    FROM truthline_data.monitor AS m
    JOIN truthline_data.workspace AS w ON w.id = m.workspace_id
    JOIN truthline_data.verdict AS v ON v.monitor_id = m.id
    WHERE m.workspace_id = ANY ((SELECT truthline.visible_workspaces())::integer[])
$$;
COMMENT ON FUNCTION truthline_internal.own_verdicts() IS
    'Verdicts of monitors of the workspaces that the caller can see.';
