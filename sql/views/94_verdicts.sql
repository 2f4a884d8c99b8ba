-- Monitors and their verdicts, restricted to the caller's workspaces: see 94_rows.sql.
--
-- Clocks   a verdict is about a window, [window_start, window_end), and was given at as_of. What was known
--          of a window at a moment is the last verdict on it by then:
--              SELECT DISTINCT ON (monitor, part, window_end) * FROM truthline.verdicts
--              WHERE as_of <= moment ORDER BY monitor, part, window_end, as_of DESC

CREATE OR REPLACE VIEW truthline.monitors WITH (security_barrier) AS
SELECT workspace.name AS workspace, monitor.name AS monitor, monitor.revision, monitor.namespace,
       monitor.pipeline, monitor.model, monitor.definition ->> 'metric' AS metric,
       monitor.definition, monitor.created_at, monitor.changed_at, part.part, part.state, part.since,
       part.window_end, part.as_of
FROM truthline_data.monitor
JOIN truthline_data.workspace ON workspace.id = monitor.workspace_id
LEFT JOIN truthline_data.monitor_part AS part ON part.monitor_id = monitor.id
WHERE truthline_internal.reads_tables()
  AND workspace.id = ANY ((SELECT truthline.visible_workspaces())::integer[])
UNION ALL
SELECT workspace, monitor, revision, namespace, pipeline, model, metric, definition, created_at,
       changed_at, part, state, since, window_end, as_of
FROM truthline_internal.own_monitors()
WHERE NOT truthline_internal.reads_tables();
COMMENT ON VIEW truthline.monitors IS
    'Monitors and where they stand: one row per part, and one for a monitor that has not judged yet.';
COMMENT ON COLUMN truthline.monitors.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.monitors.monitor IS 'Name of the monitor.';
COMMENT ON COLUMN truthline.monitors.revision IS 'Counts changes of what is judged, from 1.';
COMMENT ON COLUMN truthline.monitors.namespace IS 'Namespace of the model, empty if none was given.';
COMMENT ON COLUMN truthline.monitors.pipeline IS 'Pipeline of the model, empty if none was given.';
COMMENT ON COLUMN truthline.monitors.model IS 'Name of the model.';
COMMENT ON COLUMN truthline.monitors.metric IS 'Metric that is watched, by its name in the API.';
COMMENT ON COLUMN truthline.monitors.definition IS 'The definition, with the members of the API.';
COMMENT ON COLUMN truthline.monitors.created_at IS 'When the monitor was created.';
COMMENT ON COLUMN truthline.monitors.changed_at IS 'When it was changed last.';
COMMENT ON COLUMN truthline.monitors.part IS
    'Part that the row is about: empty without groups, otherwise like country:FR; NULL before the first verdict.';
COMMENT ON COLUMN truthline.monitors.state IS
    'ok, no data, undecided, pending, warning or critical; NULL before the first verdict.';
COMMENT ON COLUMN truthline.monitors.since IS 'End of the first window in this state.';
COMMENT ON COLUMN truthline.monitors.window_end IS 'End of the last window that was judged.';
COMMENT ON COLUMN truthline.monitors.as_of IS 'Moment as of which it was judged.';

CREATE OR REPLACE VIEW truthline.verdicts WITH (security_barrier) AS
SELECT workspace.name AS workspace, monitor.name AS monitor, monitor.namespace, monitor.pipeline,
       monitor.model, monitor.definition ->> 'metric' AS metric, verdict.part, verdict.window_start,
       verdict.window_end, verdict.as_of, verdict.revision, verdict.state, verdict.reason,
       verdict.value, verdict.low, verdict.high, verdict.baseline, verdict.n, verdict.revised_as_of,
       verdict.revised_state, verdict.revised_value, verdict.learned
FROM truthline_data.verdict
JOIN truthline_data.monitor ON monitor.id = verdict.monitor_id
JOIN truthline_data.workspace ON workspace.id = monitor.workspace_id
WHERE truthline_internal.reads_tables()
  AND workspace.id = ANY ((SELECT truthline.visible_workspaces())::integer[])
UNION ALL
SELECT workspace, monitor, namespace, pipeline, model, metric, part, window_start, window_end, as_of,
       revision, state, reason, value, low, high, baseline, n, revised_as_of, revised_state,
       revised_value, learned
FROM truthline_internal.own_verdicts()
WHERE NOT truthline_internal.reads_tables();
COMMENT ON VIEW truthline.verdicts IS
    'Verdicts of monitors along both clocks: one row per verdict, also those that later ones revised.';
COMMENT ON COLUMN truthline.verdicts.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.verdicts.monitor IS 'Name of the monitor.';
COMMENT ON COLUMN truthline.verdicts.namespace IS 'Namespace of the model, empty if none was given.';
COMMENT ON COLUMN truthline.verdicts.pipeline IS 'Pipeline of the model, empty if none was given.';
COMMENT ON COLUMN truthline.verdicts.model IS 'Name of the model.';
COMMENT ON COLUMN truthline.verdicts.metric IS 'Metric that the monitor watches now.';
COMMENT ON COLUMN truthline.verdicts.part IS
    'Part that the verdict is about: empty without groups, otherwise like country:FR.';
COMMENT ON COLUMN truthline.verdicts.window_start IS 'Start of the window, included.';
COMMENT ON COLUMN truthline.verdicts.window_end IS 'End of the window, excluded.';
COMMENT ON COLUMN truthline.verdicts.as_of IS 'Moment as of which the window was judged.';
COMMENT ON COLUMN truthline.verdicts.revision IS 'Revision of the monitor that judged it.';
COMMENT ON COLUMN truthline.verdicts.state IS
    'ok, no data, undecided, pending, warning or critical.';
COMMENT ON COLUMN truthline.verdicts.reason IS 'Why, in words.';
COMMENT ON COLUMN truthline.verdicts.value IS 'Value of the metric, in its own unit; NULL if it has none.';
COMMENT ON COLUMN truthline.verdicts.low IS 'Lower bound of its confidence interval, NULL without one.';
COMMENT ON COLUMN truthline.verdicts.high IS 'Upper bound of its confidence interval, NULL without one.';
COMMENT ON COLUMN truthline.verdicts.baseline IS 'What the value was compared with.';
COMMENT ON COLUMN truthline.verdicts.n IS 'Number of truths, or requests, that the value was computed from.';
COMMENT ON COLUMN truthline.verdicts.revised_as_of IS
    'Moment of the verdict on the same window that this one revises; NULL for a first verdict.';
COMMENT ON COLUMN truthline.verdicts.revised_state IS 'State of that verdict.';
COMMENT ON COLUMN truthline.verdicts.revised_value IS 'Value of that verdict.';
COMMENT ON COLUMN truthline.verdicts.learned IS
    'Number of truths, or predictions, that were received in between.';
