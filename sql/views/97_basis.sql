-- The basis of metrics by name: the functions of 96_named.sql have no columns for it.

-- basis: how much remains of the data for a model's metrics, or for all models' if `model` is NULL.
--
-- Grain    one row per subject: `outcome` for metrics with truths, `prediction` for volumes, means and
--          inference stats, `score` for quantiles of confidence and value, `latency` for those of
--          latency, `scored` and `ranked` for metrics of scores.
-- Units    those of basis by id.
CREATE OR REPLACE FUNCTION truthline.basis(
    workspace text, model text, start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, version text DEFAULT NULL, deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL, origin timestamptz DEFAULT NULL,
    zone text DEFAULT 'UTC', as_of timestamptz DEFAULT 'infinity', tags jsonb DEFAULT NULL
) RETURNS TABLE (
    subject text, exact boolean, asked timestamptz[], answered timestamptz[],
    known_at timestamptz, clean_until timestamptz
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM truthline_internal.basis(
        '{outcome,prediction,score,latency,scored,ranked}'::text[],
        CASE WHEN model IS NULL
             THEN truthline_internal.workspace_series(
                     truthline.workspace_id(workspace), tags => tags)
             ELSE truthline.series_of(
                 workspace, model, version, deployment, namespace, pipeline, tags) END,
        truthline_internal.edges(start_time, end_time, width, origin, zone), as_of)
$$;
COMMENT ON FUNCTION truthline.basis(text, text, timestamptz, timestamptz, interval, text, text, text, text, timestamptz, text, timestamptz, jsonb) IS
    'The basis of a model''s metrics: whether they are exact, which edges were moved, and as of when.';
