-- Inferences of a window beside those of the window of equal length just before it.
--
-- Counts and sums come from the cells of the planner, both periods at once. A quantile is exact: the
-- cells say in which bin of confidence or latency its rank lies, and only the rows of that bin are
-- sorted. With a field and its value only inferences that have it in their metadata count; no level
-- knows of metadata, so that question is answered from the rows.

-- mean: a sum over its count, NULL where that is 0.
-- Why      a division of decimals keeps 16 digits, and a double has 17: it is given more.
CREATE OR REPLACE FUNCTION truthline.mean(total numeric, n numeric)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (round(total, 40) / nullif(n, 0))::float8
$$;
COMMENT ON FUNCTION truthline.mean(numeric, numeric) IS 'A sum over its count; NULL without any.';

-- workspace_series: the series of a workspace, of all models or of those named.
CREATE OR REPLACE FUNCTION truthline.workspace_series(
    workspace integer, model_names text[] DEFAULT NULL
) RETURNS integer[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(array_agg(series.id), '{}')
    FROM truthline_data.series
    JOIN truthline_data.model ON model.id = series.model_id
    WHERE model.workspace_id = workspace
      AND (model_names IS NULL OR model.name = ANY (model_names))
$$;
COMMENT ON FUNCTION truthline.workspace_series(integer, text[]) IS
    'The series of a workspace, of all its models or of those named.';

-- inference_cells: what was predicted in both periods.
--
-- Grain    one row per (period, series, class); failed inferences without an answer, and values,
--          have no class.
-- Units    as those of prediction_cells. `latest` is true of [start_time, end_time).
CREATE OR REPLACE FUNCTION truthline.inference_cells(
    workspace integer, start_time timestamptz, end_time timestamptz,
    model_names text[] DEFAULT NULL, field text DEFAULT NULL, field_text text DEFAULT NULL
) RETURNS TABLE (
    latest boolean, model_id integer, series_id integer, label_id integer, n_requests bigint,
    n_failed bigint, n_label_requests bigint, n bigint, n_confidence bigint,
    sum_confidence numeric, n_value bigint, n_latency bigint, sum_latency numeric,
    n_output_latency bigint, sum_output_latency numeric
) LANGUAGE plpgsql STABLE PARALLEL SAFE SET jit = off AS $function$
#variable_conflict use_column
DECLARE
    series integer[] := truthline.workspace_series(workspace, model_names);
    span interval := truthline.bucket_width(start_time, end_time, NULL);
BEGIN
    IF field IS NULL THEN
        RETURN QUERY
        SELECT cell.place = 2, s.model_id, cell.series_id, cell.label_id, cell.n_requests,
               cell.n_failed, cell.n_label_requests, cell.n, cell.n_confidence,
               cell.sum_confidence, cell.n_value, cell.n_latency, cell.sum_latency,
               cell.n_output_latency, cell.sum_output_latency
        FROM truthline.cells(
            'prediction', '{series_id,label_id,n_requests,n_failed,n_label_requests,n,n_confidence,'
                          'sum_confidence,n_value,n_latency,sum_latency,n_output_latency,'
                          'sum_output_latency}',
            series, start_time - span, end_time, span, NULL, 'UTC', 'infinity'
        ) AS cell (
            place integer, series_id integer, label_id integer, n_requests bigint, n_failed bigint,
            n_label_requests bigint, n bigint, n_confidence bigint, sum_confidence numeric,
            n_value bigint, n_latency bigint, sum_latency numeric, n_output_latency bigint,
            sum_output_latency numeric
        )
        JOIN truthline_data.series AS s ON s.id = cell.series_id;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT p.time >= start_time, s.model_id, p.series_id, p.label_id,
           sum(p.starts_request::integer), sum((p.starts_request AND p.failed)::integer),
           sum(p.starts_label::integer), count(*), count(p.confidence),
           sum(truthline_data.exact(p.confidence)), count(p.value),
           count(p.latency_seconds) FILTER (WHERE p.starts_request),
           sum(truthline_data.exact(p.latency_seconds)) FILTER (WHERE p.starts_request),
           count(p.latency_seconds), sum(truthline_data.exact(p.latency_seconds))
    FROM truthline.tagged_rows(
        workspace, series, start_time - span, end_time, field, field_text) AS p
    JOIN truthline_data.series AS s ON s.id = p.series_id
    GROUP BY 1, 2, 3, 4;
END
$function$;
COMMENT ON FUNCTION truthline.inference_cells(integer, timestamptz, timestamptz, text[], text, text) IS
    'Additive cells of a window and of the one before it, per series and class.';

-- tagged_rows: the predictions of a window that have a value in a field of their metadata.
-- Cost     reads the rows of the window.
CREATE OR REPLACE FUNCTION truthline.tagged_rows(
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
COMMENT ON FUNCTION truthline.tagged_rows(integer, integer[], timestamptz, timestamptz, text, text) IS
    'The predictions of a window that have a value in a field of their metadata.';

-- bin_range: the numbers of a bin of confidence or latency, [first, last).
CREATE OR REPLACE FUNCTION truthline.bin_range(measure text, bin integer)
RETURNS float8[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN measure = 'confidence' THEN ARRAY[bin / 64.0, (bin + 1) / 64.0]::float8[]
                ELSE ARRAY[coalesce((truthline_data.bin_bounds())[bin], '-infinity'),
                           coalesce((truthline_data.bin_bounds())[bin + 1], 'infinity')] END
$$;
COMMENT ON FUNCTION truthline.bin_range(text, integer) IS 'The range of numbers of a bin.';

-- binned: how many numbers are in each bin, and how many are below it.
--
-- Grain    one row per (model, class, bin); latencies have no class.
CREATE OR REPLACE FUNCTION truthline.binned(
    measure text, series integer[], start_time timestamptz, end_time timestamptz
) RETURNS TABLE (model_id integer, label_id integer, bin integer, n bigint, below bigint,
                 total bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH cell AS (
        SELECT * FROM truthline.cells(
            'score', '{series_id,label_id,bin,n}', series, start_time, end_time, NULL, NULL, 'UTC',
            'infinity') AS cell (place integer, series_id integer, label_id integer, bin integer,
                                 n bigint)
        WHERE measure = 'confidence' AND label_id IS NOT NULL
        UNION ALL
        SELECT place, series_id, NULL, bin, n FROM truthline.cells(
            'latency', '{series_id,bin,n}', series, start_time, end_time, NULL, NULL, 'UTC',
            'infinity') AS cell (place integer, series_id integer, bin integer, n bigint)
        WHERE measure = 'latency'
    ),
    bin AS (
        SELECT s.model_id, cell.label_id, cell.bin, sum(cell.n)::bigint AS n
        FROM cell JOIN truthline_data.series AS s ON s.id = cell.series_id
        GROUP BY 1, 2, 3
    )
    SELECT model_id, label_id, bin, n,
           (sum(n) OVER (PARTITION BY model_id, label_id ORDER BY bin) - n)::bigint,
           sum(n) OVER (PARTITION BY model_id, label_id)::bigint
    FROM bin
$$;
COMMENT ON FUNCTION truthline.binned(text, integer[], timestamptz, timestamptz) IS
    'Confidences or latencies per bin, and how many are below.';

-- interpolated: between two neighbours in order, as numpy and percentile_cont do it.
CREATE OR REPLACE FUNCTION truthline.interpolated(lower float8, upper float8, share float8)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN share < 0.5 THEN lower + (upper - lower) * share
                ELSE upper - (upper - lower) * (1 - share) END
$$;
COMMENT ON FUNCTION truthline.interpolated(float8, float8, float8) IS
    'The number that lies a share of the way from one to the other.';

-- bin_rows_query: the text of a query for the rows of the bins where the ranks of `fractions` lie.
-- Why      bounds are literals, model by model: on the columnstore that reads one series' batches,
--          and compares whole columns with constants.
CREATE OR REPLACE FUNCTION truthline.bin_rows_query(
    measure text, series integer[], start_time timestamptz, end_time timestamptz,
    model_ids integer[], label_ids integer[], bins integer[]
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT string_agg(format(
        'SELECT %s AS model_id, %s AS label_id, %s AS number FROM truthline_data.prediction'
        ' WHERE series_id = ANY (%L::integer[]) AND received_at >= %L AND time >= %L AND time < %L'
        ' AND %s (%s)',
        model.id,
        CASE measure WHEN 'confidence' THEN 'label_id' ELSE 'NULL::integer' END,
        CASE measure WHEN 'confidence' THEN 'confidence' ELSE 'latency_seconds' END,
        model.series, start_time - INTERVAL '25 hours', start_time, end_time,
        CASE measure WHEN 'confidence' THEN 'label_id IS NOT NULL AND' ELSE 'starts_request AND' END,
        model.conditions), ' UNION ALL ')
    FROM (
        SELECT wanted.model_id,
               ARRAY(SELECT s.id FROM truthline_data.series AS s
                     WHERE s.model_id = wanted.model_id AND s.id = ANY ($2)),
               string_agg(format(
                   CASE measure
                       WHEN 'confidence' THEN '(label_id = %1$s AND confidence >= %2$L::float8'
                                              ' AND confidence < %3$L::float8)'
                       ELSE '(latency_seconds >= %2$L::float8'
                            ' AND latency_seconds < %3$L::float8)' END,
                   wanted.label_id, range[1], range[2]), ' OR ')
        FROM unnest(model_ids, label_ids, bins) AS wanted (model_id, label_id, bin)
        CROSS JOIN truthline.bin_range(measure, wanted.bin) AS range
        GROUP BY 1
    ) AS model (id, series, conditions)
$$;
COMMENT ON FUNCTION truthline.bin_rows_query(text, integer[], timestamptz, timestamptz, integer[], integer[], integer[]) IS
    'The text of a query for the rows of some bins.';

-- inference_quantiles: interpolated quantiles of the confidences per class, or of the latencies.
--
-- Grain    one row per model and class that has any; latencies have no class and count per request.
-- Units    `measure` is 'confidence' or 'latency' (seconds); quantiles stand in the order of
--          `fractions`. NULL where the rows were dropped.
-- Cost     the cells of the window, and the rows of one or two bins per quantile.
CREATE OR REPLACE FUNCTION truthline.inference_quantiles(
    measure text, workspace integer, start_time timestamptz, end_time timestamptz,
    fractions float8[], model_names text[] DEFAULT NULL, field text DEFAULT NULL,
    field_text text DEFAULT NULL
) RETURNS TABLE (model_id integer, label_id integer, quantiles float8[])
LANGUAGE plpgsql STABLE PARALLEL SAFE SET jit = off AS $function$
#variable_conflict use_column
DECLARE
    series integer[] := truthline.workspace_series(workspace, model_names);
    ranked text := $$
        SELECT wanted.model_id, wanted.label_id,
               array_agg(truthline.interpolated(a.number, b.number, position - floor(position))
                         ORDER BY place)
        FROM (SELECT DISTINCT model_id, label_id, total
              FROM unnest($1, $2, $4) AS bin (model_id, label_id, total)) AS wanted
        CROSS JOIN unnest($5) WITH ORDINALITY AS f (fraction, place)
        CROSS JOIN LATERAL (SELECT fraction * (total - 1)) AS p (position)
        LEFT JOIN numbered AS a ON a.model_id = wanted.model_id
            AND a.label_id IS NOT DISTINCT FROM wanted.label_id AND a.rank = floor(position)
        LEFT JOIN numbered AS b ON b.model_id = wanted.model_id
            AND b.label_id IS NOT DISTINCT FROM wanted.label_id AND b.rank = ceil(position)
        GROUP BY 1, 2
    $$;
    of record;
BEGIN
    IF field IS NOT NULL THEN
        RETURN QUERY
        SELECT s.model_id, CASE measure WHEN 'confidence' THEN p.label_id END,
               percentile_cont(fractions) WITHIN GROUP (ORDER BY
                   CASE measure WHEN 'confidence' THEN p.confidence ELSE p.latency_seconds END)
        FROM truthline.tagged_rows(workspace, series, start_time, end_time, field, field_text) AS p
        JOIN truthline_data.series AS s ON s.id = p.series_id
        WHERE CASE measure WHEN 'confidence' THEN num_nulls(p.label_id, p.confidence) = 0
                           ELSE p.starts_request AND p.latency_seconds IS NOT NULL END
        GROUP BY 1, 2;
        RETURN;
    END IF;
    SELECT array_agg(bin.model_id) AS model_ids, array_agg(bin.label_id) AS label_ids,
           array_agg(bin.bin) AS bins, array_agg(bin.total) AS totals, array_agg(bin.below) AS below
    INTO of
    FROM truthline.binned(measure, series, start_time, end_time) AS bin
    WHERE EXISTS (SELECT FROM unnest(fractions) AS fraction
                  WHERE floor(fraction * (bin.total - 1)) < bin.below + bin.n
                    AND ceil(fraction * (bin.total - 1)) >= bin.below
                    AND (floor(fraction * (bin.total - 1)) >= bin.below
                         OR ceil(fraction * (bin.total - 1)) < bin.below + bin.n));
    IF of.model_ids IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
        'WITH found AS (%s), numbered AS MATERIALIZED ('
        ' SELECT found.model_id, found.label_id, found.number, bin.below - 1 + row_number() OVER ('
        '     PARTITION BY found.model_id, found.label_id, bin.bin ORDER BY found.number) AS rank'
        ' FROM found JOIN unnest($1, $2, $3, $6) AS bin (model_id, label_id, bin, below)'
        ' ON bin.model_id = found.model_id AND bin.label_id IS NOT DISTINCT FROM found.label_id'
        ' AND bin.bin = %s(found.number)) %s',
        truthline.bin_rows_query(measure, series, start_time, end_time,
                                 of.model_ids, of.label_ids, of.bins),
        CASE measure WHEN 'confidence' THEN 'truthline_data.confidence_bin'
                     ELSE 'truthline_data.value_bin' END,
        ranked)
    USING of.model_ids, of.label_ids, of.bins, of.totals, fractions, of.below;
END
$function$;
COMMENT ON FUNCTION truthline.inference_quantiles(text, integer, timestamptz, timestamptz, float8[], text[], text, text) IS
    'Exact interpolated quantiles of confidences per class, or of latencies per model.';

-- inference_stats: both periods, class by class.
--
-- Grain    one row per (model, class) seen in either period; what the other lacks is NULL. Models by
--          their inferences in both periods, the busiest first; within one, classes likewise.
-- Units    n_inferences counts inferences with the class among their outputs, n_outputs those
--          outputs, n_model_inferences inferences of the model. Means and quantiles are per output:
--          confidence a fraction of 1, latency in seconds. Names of deployment types and server
--          versions are of the window itself where it has the class, otherwise of the one before.
CREATE OR REPLACE FUNCTION truthline.inference_stats(
    workspace integer, start_time timestamptz, end_time timestamptz,
    model_names text[] DEFAULT NULL, field text DEFAULT NULL, field_text text DEFAULT NULL,
    fractions float8[] DEFAULT '{0.5}'
) RETURNS TABLE (
    namespace text, pipeline text, model text, label text,
    n_inferences bigint, prev_n_inferences bigint, n_outputs bigint, prev_n_outputs bigint,
    n_model_inferences bigint, prev_n_model_inferences bigint,
    confidence float8, prev_confidence float8, latency float8, prev_latency float8,
    quantiles float8[], deployment_types text, server_versions text
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH cell AS MATERIALIZED (
        SELECT * FROM truthline.inference_cells(
            workspace, start_time, end_time, model_names, field, field_text)
    ),
    busy AS (
        SELECT model_id, sum(n_requests - n_failed) FILTER (WHERE latest)::bigint AS n,
               sum(n_requests - n_failed) FILTER (WHERE NOT latest)::bigint AS prev_n,
               sum(n_requests - n_failed) AS n_both
        FROM cell GROUP BY 1
    ),
    pair AS (
        SELECT latest, cell.model_id, label_id, sum(n_label_requests)::bigint AS n_inferences,
               sum(n)::bigint AS n_outputs,
               truthline.mean(sum(sum_confidence), sum(n_confidence)) AS confidence,
               truthline.mean(sum(sum_output_latency), sum(n_output_latency)) AS latency,
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
    FROM (SELECT * FROM pair WHERE latest) AS now
    FULL JOIN (SELECT * FROM pair WHERE NOT latest) AS before USING (model_id, label_id)
    JOIN busy USING (model_id)
    JOIN truthline_data.model ON model.id = model_id
    JOIN truthline_data.label ON label.id = label_id
    LEFT JOIN truthline.inference_quantiles('confidence', workspace, start_time, end_time,
        fractions, model_names, field, field_text) AS q USING (model_id, label_id)
    ORDER BY busy.n_both DESC, model.name COLLATE "C", model.namespace COLLATE "C",
             model.pipeline COLLATE "C",
             coalesce(now.n_inferences, 0) + coalesce(before.n_inferences, 0) DESC,
             label.name COLLATE "C"
$$;
COMMENT ON FUNCTION truthline.inference_stats(integer, timestamptz, timestamptz, text[], text, text, float8[]) IS
    'Inferences, confidences and latencies per model and class, beside those of the window before.';

-- inference_totals: the same over all models.
--
-- Grain    one row.
-- Units    n_errors counts failed inferences, which are not among n_inferences; means are per
--          output, NULL without any.
CREATE OR REPLACE FUNCTION truthline.inference_totals(
    workspace integer, start_time timestamptz, end_time timestamptz,
    model_names text[] DEFAULT NULL, field text DEFAULT NULL, field_text text DEFAULT NULL
) RETURNS TABLE (
    n_inferences bigint, prev_n_inferences bigint, n_errors bigint, prev_n_errors bigint,
    confidence float8, prev_confidence float8, latency float8, prev_latency float8
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(sum(n_requests - n_failed) FILTER (WHERE latest), 0)::bigint,
           coalesce(sum(n_requests - n_failed) FILTER (WHERE NOT latest), 0)::bigint,
           coalesce(sum(n_failed) FILTER (WHERE latest), 0)::bigint,
           coalesce(sum(n_failed) FILTER (WHERE NOT latest), 0)::bigint,
           truthline.mean(sum(sum_confidence) FILTER (WHERE latest),
                          sum(n_confidence) FILTER (WHERE latest)),
           truthline.mean(sum(sum_confidence) FILTER (WHERE NOT latest),
                          sum(n_confidence) FILTER (WHERE NOT latest)),
           truthline.mean(sum(sum_output_latency) FILTER (WHERE latest AND answered),
                          sum(n_output_latency) FILTER (WHERE latest AND answered)),
           truthline.mean(sum(sum_output_latency) FILTER (WHERE NOT latest AND answered),
                          sum(n_output_latency) FILTER (WHERE NOT latest AND answered))
    FROM truthline.inference_cells(
        workspace, start_time, end_time, model_names, field, field_text) AS cell
    CROSS JOIN LATERAL (SELECT label_id IS NOT NULL OR n_value > 0) AS a (answered)
$$;
COMMENT ON FUNCTION truthline.inference_totals(integer, timestamptz, timestamptz, text[], text, text) IS
    'Inferences, confidences and latencies of a workspace, beside those of the window before.';

-- model_stats: the same by model.
--
-- Grain    one row per model seen in either period, in the order of inference_stats.
-- Units    latency in seconds, per inference that was answered or failed and says how long it took.
CREATE OR REPLACE FUNCTION truthline.model_stats(
    workspace integer, start_time timestamptz, end_time timestamptz,
    model_names text[] DEFAULT NULL, field text DEFAULT NULL, field_text text DEFAULT NULL,
    fractions float8[] DEFAULT '{0.5}'
) RETURNS TABLE (
    namespace text, pipeline text, model text, n_inferences bigint, prev_n_inferences bigint,
    n_errors bigint, prev_n_errors bigint, latency float8, prev_latency float8, quantiles float8[]
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH counted AS (
        SELECT model_id, latest, sum(n_requests - n_failed) AS n, sum(n_failed) AS n_failed,
               truthline.mean(sum(sum_latency), sum(n_latency)) AS latency
        FROM truthline.inference_cells(
            workspace, start_time, end_time, model_names, field, field_text)
        GROUP BY 1, 2
    )
    SELECT model.namespace, model.pipeline, model.name,
           coalesce(now.n, 0)::bigint, coalesce(before.n, 0)::bigint,
           coalesce(now.n_failed, 0)::bigint, coalesce(before.n_failed, 0)::bigint,
           now.latency, before.latency, q.quantiles
    FROM (SELECT * FROM counted WHERE latest) AS now
    FULL JOIN (SELECT * FROM counted WHERE NOT latest) AS before USING (model_id)
    JOIN truthline_data.model ON model.id = model_id
    LEFT JOIN truthline.inference_quantiles('latency', workspace, start_time, end_time,
        fractions, model_names, field, field_text) AS q USING (model_id)
    ORDER BY coalesce(now.n, 0) + coalesce(before.n, 0) DESC, model.name COLLATE "C",
             model.namespace COLLATE "C", model.pipeline COLLATE "C"
$$;
COMMENT ON FUNCTION truthline.model_stats(integer, timestamptz, timestamptz, text[], text, text, float8[]) IS
    'Inferences, errors and latencies per model, beside those of the window before.';

-- models: what there is in a workspace.
--
-- Grain    one row per model, by name; also those without a prediction.
-- Units    first_seen and last_seen are the times of its first and last prediction. Counts are of
--          [start_time, end_time): answered inferences, and failed ones.
-- Cost     the cells of the window, and two look-ups per series.
CREATE OR REPLACE FUNCTION truthline.models(
    workspace integer, start_time timestamptz, end_time timestamptz
) RETURNS TABLE (
    namespace text, pipeline text, name text, kind text, versions text[], deployments text[],
    first_seen timestamptz, last_seen timestamptz, n_inferences bigint, n_errors bigint
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH counted AS (
        SELECT s.model_id, sum(n_requests - n_failed) AS n, sum(n_failed) AS n_failed
        FROM truthline.cells(
            'prediction', '{series_id,n_requests,n_failed,n}', truthline.workspace_series(workspace),
            start_time, end_time, NULL, NULL, 'UTC', 'infinity'
        ) AS cell (place integer, series_id integer, n_requests bigint, n_failed bigint, n bigint)
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
        CROSS JOIN LATERAL (
            SELECT (SELECT min(time) FROM truthline_data.prediction WHERE series_id = series.id),
                   (SELECT max(time) FROM truthline_data.prediction WHERE series_id = series.id)
        ) AS seen (first, last)
        WHERE series.id = ANY (truthline.workspace_series(workspace))
        GROUP BY 1
    )
    SELECT model.namespace, model.pipeline, model.name, model.kind,
           coalesce(versions, '{}'), coalesce(deployments, '{}'), first_seen, last_seen,
           coalesce(counted.n, 0)::bigint, coalesce(counted.n_failed, 0)::bigint
    FROM truthline_data.model
    LEFT JOIN part ON part.model_id = model.id
    LEFT JOIN counted ON counted.model_id = model.id
    WHERE model.workspace_id = workspace
    ORDER BY model.name COLLATE "C", model.namespace COLLATE "C", model.pipeline COLLATE "C"
$$;
COMMENT ON FUNCTION truthline.models(integer, timestamptz, timestamptz) IS
    'The models of a workspace, when they were seen, and how often in a window.';
