-- label_delay: how many predictions had their truth within some delays.
--
-- Grain    one row per delay, in the order given.
-- Units    those by id; `share` is known / predictions, a fraction of 1, NULL without predictions. With a
--          moment `as_of`, delays are judged by what was known then.
-- Access   as those of 96_named.sql.
CREATE OR REPLACE FUNCTION truthline.label_delay(
    workspace text, model text, start_time timestamptz, end_time timestamptz,
    version text DEFAULT NULL, deployment text DEFAULT NULL, namespace text DEFAULT NULL,
    pipeline text DEFAULT NULL, as_of timestamptz DEFAULT 'infinity', tags jsonb DEFAULT NULL,
    delays interval[] DEFAULT '{1 hour,6 hours,1 day,7 days,30 days}'
) RETURNS TABLE (
    delay interval, until timestamptz, predictions bigint, known bigint, possible bigint,
    share float8
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    SELECT d.delay, d.until, d.predictions, d.known, d.possible,
           d.known / nullif(d.predictions, 0)::float8
    FROM truthline_internal.asked(
        workspace, model, version, deployment, namespace, pipeline, start_time, end_time, NULL, NULL,
        'UTC', tags) AS asked
    CROSS JOIN LATERAL truthline_internal.label_delay(
        asked.series, start_time, end_time, least(as_of, clock_timestamp()), delays) AS d
$$;
COMMENT ON FUNCTION truthline.label_delay(text, text, timestamptz, timestamptz, text, text, text, text, timestamptz, jsonb, interval[]) IS
    'How many predictions of a model had their truth within some delays, of those that are old enough.';
