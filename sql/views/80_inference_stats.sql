-- Inferences of a window, compared with those of the window of equal length just before it.
--
-- The planner's cells give counts and sums of both periods at once. With a field and its value, only
-- inferences with that value in their metadata count; levels don't include metadata, so such a query
-- reads the rows, and raises an error once they are dropped. As in the levels, the label, confidence
-- and value of a failed inference don't count as output.

-- workspace_series: the series of a workspace, of all models or of those named, with some tags.
CREATE OR REPLACE FUNCTION truthline_internal.workspace_series(
    workspace integer, model_names text[] DEFAULT NULL, tags jsonb DEFAULT NULL
) RETURNS integer[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(series.id), '{}')
    FROM truthline_data.series
    JOIN truthline_data.model ON model.id = series.model_id
    WHERE model.workspace_id = workspace
      AND (model_names IS NULL OR model.name = ANY (model_names))
      AND series.tags @> truthline_internal.certain_tags(workspace_series.tags)
      AND truthline_internal.has_tags(series.tags, workspace_series.tags)
$$;
COMMENT ON FUNCTION truthline_internal.workspace_series(integer, text[], jsonb) IS
    'The series of a workspace, of all its models or of those named, with some tags.';

-- inference_cells: predictions of both periods.
--
-- Grain    one row per (period, series, class); failed inferences, and values, have no class.
-- Units    as those of prediction_cells. `place` is 2 in [start_time, end_time), and 1 before.
CREATE TYPE truthline_internal.inference_cell AS (
    place integer, series_id integer, label_id integer, n_requests bigint, n_failed bigint,
    n_label_requests bigint, n bigint, n_confidence bigint, sum_confidence numeric, n_value bigint,
    n_latency bigint, sum_latency numeric, n_output_latency bigint, sum_output_latency numeric
);
CREATE OR REPLACE FUNCTION truthline_internal.inference_cells(
    workspace integer, start_time timestamptz, end_time timestamptz,
    model_names text[] DEFAULT NULL, field text DEFAULT NULL, field_text text DEFAULT NULL,
    tags jsonb DEFAULT NULL
) RETURNS SETOF truthline_internal.inference_cell LANGUAGE plpgsql STABLE PARALLEL SAFE SET jit = off SET extra_float_digits = 1 AS $function$
#variable_conflict use_column
DECLARE
    series integer[] := truthline_internal.workspace_series(workspace, model_names, tags);
    span interval := truthline_internal.bucket_width(start_time, end_time, NULL);
BEGIN
    IF field IS NULL THEN
        RETURN QUERY SELECT * FROM truthline_internal.cells(
            NULL::truthline_internal.inference_cell, 'prediction', series,
            ARRAY[start_time - span, start_time, end_time]);
        RETURN;
    END IF;
    PERFORM truthline_internal.require_rows(series, start_time - span, end_time);
    RETURN QUERY
    SELECT CASE WHEN p.time < start_time THEN 1 ELSE 2 END, p.series_id,
           CASE WHEN NOT p.failed THEN p.label_id END,
           sum(p.starts_request::integer), sum((p.starts_request AND p.failed)::integer),
           sum((p.starts_label AND NOT p.failed)::integer), count(*),
           count(p.confidence) FILTER (WHERE NOT p.failed),
           sum(truthline_data.exact(p.confidence)) FILTER (WHERE NOT p.failed),
           count(p.value) FILTER (WHERE NOT p.failed),
           count(p.latency_seconds) FILTER (WHERE p.starts_request),
           sum(truthline_data.exact(p.latency_seconds)) FILTER (WHERE p.starts_request),
           count(p.latency_seconds) FILTER (WHERE NOT p.failed),
           sum(truthline_data.exact(p.latency_seconds)) FILTER (WHERE NOT p.failed)
    FROM truthline_internal.tagged_rows(
        workspace, series, start_time - span, end_time, field, field_text) AS p
    GROUP BY 1, 2, 3;
END
$function$;
COMMENT ON FUNCTION truthline_internal.inference_cells(integer, timestamptz, timestamptz, text[], text, text, jsonb) IS
    'Additive cells of a window and of the one before it, per series and class.';

-- tagged_rows: predictions of a window that have a value in a field of their metadata.
-- Cost     reads the rows of the window.
CREATE OR REPLACE FUNCTION truthline_internal.tagged_rows(
    workspace integer, series integer[], start_time timestamptz, end_time timestamptz,
    field text, field_text text
) RETURNS SETOF truthline_data.prediction LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT p.* FROM truthline_data.prediction AS p
    WHERE p.series_id = ANY (series)
      AND p.received_at >= start_time - INTERVAL '25 hours'
      AND p.time >= start_time AND p.time < end_time
      AND p.request_id IN (
          SELECT inference_id FROM truthline_data.inference_metadata
          WHERE workspace_id = workspace AND field_name = field AND field_value = field_text)
$$;
COMMENT ON FUNCTION truthline_internal.tagged_rows(integer, integer[], timestamptz, timestamptz, text, text) IS
    'Predictions of a window that have a value in a field of their metadata.';

-- inference_quantiles: quantiles of confidences per class, or of latencies.
--
-- Grain    one row per model and class that has any; latencies have no class and count per request.
-- Units    `measure` is 'confidence' or 'latency' (seconds); otherwise those of quantiles.
CREATE OR REPLACE FUNCTION truthline_internal.inference_quantiles(
    measure text, workspace integer, start_time timestamptz, end_time timestamptz,
    fractions float8[], model_names text[] DEFAULT NULL, field text DEFAULT NULL,
    field_text text DEFAULT NULL, tags jsonb DEFAULT NULL
) RETURNS TABLE (model_id integer, label_id integer, quantiles float8[])
LANGUAGE plpgsql STABLE PARALLEL SAFE SET jit = off SET extra_float_digits = 1 AS $function$
#variable_conflict use_column
DECLARE
    series integer[] := truthline_internal.workspace_series(workspace, model_names, tags);
BEGIN
    IF field IS NULL THEN
        RETURN QUERY SELECT q.model_id, q.label_id, q.quantiles
        FROM truthline_internal.quantiles(
            measure, series, ARRAY[start_time, end_time], 'infinity', fractions) AS q;
        RETURN;
    END IF;
    PERFORM truthline_internal.require_rows(series, start_time, end_time);
    RETURN QUERY
    SELECT found.model_id, found.label_id, array_agg(
               truthline_internal.interpolated(found.numbers[floor(at)::integer + 1],
                                      found.numbers[ceil(at)::integer + 1], at - floor(at))
               ORDER BY f.nth)
    FROM (
        SELECT s.model_id, CASE measure WHEN 'confidence' THEN p.label_id END AS label_id,
               array_agg(n.number ORDER BY n.number) AS numbers
        FROM truthline_internal.tagged_rows(workspace, series, start_time, end_time, field, field_text) AS p
        JOIN truthline_data.series AS s ON s.id = p.series_id
        CROSS JOIN LATERAL (
            SELECT CASE measure WHEN 'confidence' THEN p.confidence ELSE p.latency_seconds END
        ) AS n (number)
        WHERE CASE measure WHEN 'confidence' THEN num_nulls(p.label_id, n.number) = 0 AND NOT p.failed
                           ELSE p.starts_request AND n.number IS NOT NULL END
        GROUP BY 1, 2
    ) AS found
    CROSS JOIN unnest(fractions) WITH ORDINALITY AS f (fraction, nth)
    CROSS JOIN LATERAL (SELECT f.fraction * (cardinality(found.numbers) - 1)) AS place (at)
    GROUP BY 1, 2;
END
$function$;
COMMENT ON FUNCTION truthline_internal.inference_quantiles(text, integer, timestamptz, timestamptz, float8[], text[], text, text, jsonb) IS
    'Exact interpolated quantiles of confidences per class, or of latencies per model.';

-- inference_stats: both periods, per class.
--
-- Grain    one row per (model, class) seen in either period; columns of a period without it are NULL.
--          Models are ordered by their inferences in both periods, the busiest first; classes of a
--          model likewise.
-- Units    n_inferences counts inferences with the class among their outputs, n_outputs those
--          outputs, n_model_inferences inferences of the model. Means and quantiles are per output:
--          confidence a fraction of 1, latency in seconds. Names of deployment types and server
--          versions are those of the window if it has the class, otherwise of the previous one.
CREATE OR REPLACE FUNCTION truthline_internal.inference_stats(
    workspace integer, start_time timestamptz, end_time timestamptz,
    model_names text[] DEFAULT NULL, field text DEFAULT NULL, field_text text DEFAULT NULL,
    fractions float8[] DEFAULT '{0.5}', tags jsonb DEFAULT NULL
) RETURNS TABLE (
    namespace text, pipeline text, model text, label text,
    n_inferences bigint, prev_n_inferences bigint, n_outputs bigint, prev_n_outputs bigint,
    n_model_inferences bigint, prev_n_model_inferences bigint,
    confidence float8, prev_confidence float8, latency float8, prev_latency float8,
    quantiles float8[], deployment_types text, server_versions text
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH cell AS MATERIALIZED (
        SELECT c.*, s.model_id
        FROM truthline_internal.inference_cells(
            workspace, start_time, end_time, model_names, field, field_text, tags) AS c
        JOIN truthline_data.series AS s ON s.id = c.series_id
    ),
    busy AS (
        SELECT model_id, sum(n_requests - n_failed) FILTER (WHERE place = 2)::bigint AS n,
               sum(n_requests - n_failed) FILTER (WHERE place = 1)::bigint AS prev_n,
               sum(n_requests - n_failed) AS n_both
        FROM cell GROUP BY 1
    ),
    pair AS (
        SELECT place, cell.model_id, label_id, sum(n_label_requests)::bigint AS n_inferences,
               sum(n)::bigint AS n_outputs,
               truthline_internal.mean(sum(sum_confidence), sum(n_confidence)) AS confidence,
               truthline_internal.mean(sum(sum_output_latency), sum(n_output_latency)) AS latency,
               string_agg(DISTINCT deployment_type COLLATE "C", ',' ORDER BY deployment_type COLLATE "C")
                   FILTER (WHERE deployment_type <> '') AS deployment_types,
               string_agg(DISTINCT server_version COLLATE "C", ',' ORDER BY server_version COLLATE "C")
                   FILTER (WHERE server_version <> '') AS server_versions
        FROM cell JOIN truthline_data.series ON series.id = cell.series_id
        WHERE label_id IS NOT NULL
        GROUP BY 1, 2, 3
    )
    SELECT model.namespace, model.pipeline, model.name, label.name,
           now.n_inferences, before.n_inferences, now.n_outputs, before.n_outputs,
           CASE WHEN now.n_outputs > 0 THEN busy.n END,
           CASE WHEN before.n_outputs > 0 THEN busy.prev_n END,
           now.confidence, before.confidence, now.latency, before.latency, q.quantiles,
           coalesce(CASE WHEN now.n_outputs > 0 THEN now.deployment_types
                         ELSE before.deployment_types END, ''),
           coalesce(CASE WHEN now.n_outputs > 0 THEN now.server_versions
                         ELSE before.server_versions END, '')
    FROM (SELECT * FROM pair WHERE place = 2) AS now
    FULL JOIN (SELECT * FROM pair WHERE place = 1) AS before USING (model_id, label_id)
    JOIN busy USING (model_id)
    JOIN truthline_data.model ON model.id = model_id
    JOIN truthline_data.label ON label.id = label_id
    LEFT JOIN truthline_internal.inference_quantiles('confidence', workspace, start_time, end_time,
        fractions, model_names, field, field_text, tags) AS q USING (model_id, label_id)
    ORDER BY busy.n_both DESC, model.name COLLATE "C", model.namespace COLLATE "C",
             model.pipeline COLLATE "C",
             coalesce(now.n_inferences, 0) + coalesce(before.n_inferences, 0) DESC,
             label.name COLLATE "C"
$$;
COMMENT ON FUNCTION truthline_internal.inference_stats(integer, timestamptz, timestamptz, text[], text, text, float8[], jsonb) IS
    'Inferences, confidences and latencies per model and class, compared with the preceding window.';

-- class_stats: the same classes of one model, of some of its series, per bucket and as of a moment.
--
-- Grain    one row per (bucket, class) with an output; `place` is the bucket's number.
-- Units    as those of inference_stats; n_model_inferences counts the inferences of the series in the
--          bucket, whatever their classes.
CREATE OR REPLACE FUNCTION truthline_internal.class_stats(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity',
    fractions float8[] DEFAULT '{0.5}'
) RETURNS TABLE (
    place integer, label text, n_inferences bigint, n_outputs bigint, n_model_inferences bigint,
    confidence float8, latency float8, quantiles float8[], deployment_types text,
    server_versions text
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH counted AS (
        SELECT cell.place, cell.label_id, sum(cell.n_label_requests)::bigint AS n_inferences,
               sum(cell.n)::bigint AS n_outputs,
               (sum(sum(cell.n_requests - cell.n_failed)) OVER (PARTITION BY cell.place))::bigint
                   AS n_model_inferences,
               truthline_internal.mean(sum(sum_confidence), sum(n_confidence)) AS confidence,
               truthline_internal.mean(sum(sum_output_latency), sum(n_output_latency)) AS latency,
               string_agg(DISTINCT deployment_type COLLATE "C", ',' ORDER BY deployment_type COLLATE "C")
                   FILTER (WHERE deployment_type <> '') AS deployment_types,
               string_agg(DISTINCT server_version COLLATE "C", ',' ORDER BY server_version COLLATE "C")
                   FILTER (WHERE server_version <> '') AS server_versions
        FROM truthline_internal.cells(
            NULL::truthline_internal.inference_cell, 'prediction', series, edges, as_of) AS cell
        JOIN truthline_data.series AS s ON s.id = cell.series_id
        GROUP BY 1, 2
    )
    SELECT counted.place, label.name, n_inferences, n_outputs, n_model_inferences, confidence,
           latency, q.quantiles, coalesce(deployment_types, ''), coalesce(server_versions, '')
    FROM counted
    JOIN truthline_data.label ON label.id = counted.label_id
    LEFT JOIN truthline_internal.quantiles('confidence', series, edges, as_of, fractions) AS q
        ON q.place = counted.place AND q.label_id = counted.label_id
    WHERE n_outputs > 0
    ORDER BY counted.place, n_inferences DESC, label.name COLLATE "C"
$$;
COMMENT ON FUNCTION truthline_internal.class_stats(integer[], timestamptz[], timestamptz, float8[]) IS
    'Inferences, confidences and latencies per bucket and class.';

-- inference_totals: the same over all models.
--
-- Grain    one row.
-- Units    n_errors counts failed inferences, which are not among n_inferences; means are per output,
--          NULL if there are none.
CREATE OR REPLACE FUNCTION truthline_internal.inference_totals(
    workspace integer, start_time timestamptz, end_time timestamptz,
    model_names text[] DEFAULT NULL, field text DEFAULT NULL, field_text text DEFAULT NULL,
    tags jsonb DEFAULT NULL
) RETURNS TABLE (
    n_inferences bigint, prev_n_inferences bigint, n_errors bigint, prev_n_errors bigint,
    confidence float8, prev_confidence float8, latency float8, prev_latency float8
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(sum(n_requests - n_failed) FILTER (WHERE place = 2), 0)::bigint,
           coalesce(sum(n_requests - n_failed) FILTER (WHERE place = 1), 0)::bigint,
           coalesce(sum(n_failed) FILTER (WHERE place = 2), 0)::bigint,
           coalesce(sum(n_failed) FILTER (WHERE place = 1), 0)::bigint,
           truthline_internal.mean(sum(sum_confidence) FILTER (WHERE place = 2),
                                   sum(n_confidence) FILTER (WHERE place = 2)),
           truthline_internal.mean(sum(sum_confidence) FILTER (WHERE place = 1),
                                   sum(n_confidence) FILTER (WHERE place = 1)),
           truthline_internal.mean(sum(sum_output_latency) FILTER (WHERE place = 2),
                                   sum(n_output_latency) FILTER (WHERE place = 2)),
           truthline_internal.mean(sum(sum_output_latency) FILTER (WHERE place = 1),
                                   sum(n_output_latency) FILTER (WHERE place = 1))
    FROM truthline_internal.inference_cells(
        workspace, start_time, end_time, model_names, field, field_text, tags)
$$;
COMMENT ON FUNCTION truthline_internal.inference_totals(integer, timestamptz, timestamptz, text[], text, text, jsonb) IS
    'Inferences, confidences and latencies of a workspace, compared with the preceding window.';

-- model_stats: the same per model.
--
-- Grain    one row per model seen in either period, in the order of inference_stats.
-- Units    latency in seconds, per inference, successful or failed, with a reported latency.
CREATE OR REPLACE FUNCTION truthline_internal.model_stats(
    workspace integer, start_time timestamptz, end_time timestamptz,
    model_names text[] DEFAULT NULL, field text DEFAULT NULL, field_text text DEFAULT NULL,
    fractions float8[] DEFAULT '{0.5}', tags jsonb DEFAULT NULL
) RETURNS TABLE (
    namespace text, pipeline text, model text, n_inferences bigint, prev_n_inferences bigint,
    n_errors bigint, prev_n_errors bigint, latency float8, prev_latency float8, quantiles float8[]
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH counted AS (
        SELECT model_id, place, sum(n_requests - n_failed) AS n, sum(n_failed) AS n_failed,
               truthline_internal.mean(sum(sum_latency), sum(n_latency)) AS latency
        FROM truthline_internal.inference_cells(
            workspace, start_time, end_time, model_names, field, field_text, tags) AS cell
        JOIN truthline_data.series ON series.id = cell.series_id
        GROUP BY 1, 2
    )
    SELECT model.namespace, model.pipeline, model.name,
           coalesce(now.n, 0)::bigint, coalesce(before.n, 0)::bigint,
           coalesce(now.n_failed, 0)::bigint, coalesce(before.n_failed, 0)::bigint,
           now.latency, before.latency, q.quantiles
    FROM (SELECT * FROM counted WHERE place = 2) AS now
    FULL JOIN (SELECT * FROM counted WHERE place = 1) AS before USING (model_id)
    JOIN truthline_data.model ON model.id = model_id
    LEFT JOIN truthline_internal.inference_quantiles('latency', workspace, start_time, end_time,
        fractions, model_names, field, field_text, tags) AS q USING (model_id)
    ORDER BY coalesce(now.n, 0) + coalesce(before.n, 0) DESC, model.name COLLATE "C",
             model.namespace COLLATE "C", model.pipeline COLLATE "C"
$$;
COMMENT ON FUNCTION truthline_internal.model_stats(integer, timestamptz, timestamptz, text[], text, text, float8[], jsonb) IS
    'Inferences, errors and latencies per model, compared with the preceding window.';

-- models: the models of a workspace.
--
-- Grain    one row per model, all of them or those named, ordered by name; including models without a
--          prediction.
-- Units    first_seen and last_seen are as in seen. Counts are of
--          [start_time, end_time): successful inferences, and failed ones.
-- Cost     the cells of the window, and two lookups per series.
CREATE TYPE truthline_internal.model_cell AS (
    place integer, series_id integer, n_requests bigint, n_failed bigint, n bigint
);
CREATE OR REPLACE FUNCTION truthline_internal.models(
    workspace integer, start_time timestamptz, end_time timestamptz,
    model_names text[] DEFAULT NULL
) RETURNS TABLE (
    namespace text, pipeline text, name text, kind text, versions text[], deployments text[],
    first_seen timestamptz, last_seen timestamptz, n_inferences bigint, n_errors bigint
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH counted AS (
        SELECT s.model_id, sum(n_requests - n_failed) AS n, sum(n_failed) AS n_failed
        FROM truthline_internal.cells(
            NULL::truthline_internal.model_cell, 'prediction',
            truthline_internal.workspace_series(workspace, model_names), ARRAY[start_time, end_time]
        ) AS cell
        JOIN truthline_data.series AS s ON s.id = cell.series_id
        GROUP BY 1
    ),
    part AS (
        SELECT model_id,
               array_agg(DISTINCT version COLLATE "C") FILTER (WHERE version <> '') AS versions,
               array_agg(DISTINCT deployment COLLATE "C")
                   FILTER (WHERE deployment <> '') AS deployments,
               min(seen.first) AS first_seen, max(seen.last) AS last_seen
        FROM truthline_data.series
        CROSS JOIN LATERAL truthline_internal.seen(series.id) AS seen
        WHERE series.id = ANY (truthline_internal.workspace_series(workspace, model_names))
        GROUP BY 1
    )
    SELECT model.namespace, model.pipeline, model.name, model.kind,
           coalesce(versions, '{}'), coalesce(deployments, '{}'), first_seen, last_seen,
           coalesce(counted.n, 0)::bigint, coalesce(counted.n_failed, 0)::bigint
    FROM truthline_data.model
    LEFT JOIN part ON part.model_id = model.id
    LEFT JOIN counted ON counted.model_id = model.id
    WHERE model.workspace_id = workspace
      AND (model_names IS NULL OR model.name = ANY (model_names))
    ORDER BY model.name COLLATE "C", model.namespace COLLATE "C", model.pipeline COLLATE "C"
$$;
COMMENT ON FUNCTION truthline_internal.models(integer, timestamptz, timestamptz, text[]) IS
    'The models of a workspace, when they were first and last seen, and their inferences in a window.';
