-- What changed: how much each part of the predictions contributes to the difference of a metric.

-- change_of_truths, change_of_predictions: sums that metrics which are means are computed from.
CREATE TYPE truthline_internal.judged_class_cell AS (
    place integer, series_id integer, predicted_label integer, actual_label integer, n bigint,
    sum_error numeric, sum_absolute_error numeric, sum_squared_error numeric, n_correct bigint
);
CREATE TYPE truthline_internal.made_class_cell AS (
    place integer, series_id integer, label_id integer, n_requests bigint, n_failed bigint, n bigint,
    n_confidence bigint, sum_confidence numeric, n_value bigint, sum_value numeric, n_latency bigint,
    sum_latency numeric
);
COMMENT ON TYPE truthline_internal.judged_class_cell IS 'Errors and hits per bucket, series and pair of classes.';
COMMENT ON TYPE truthline_internal.made_class_cell IS 'Sums of predictions per bucket, series and class.';

-- mean_cells: the sums and counts of a metric that is a mean.
--
-- Grain    one row per series and pair of classes.
-- Params   `metric` is accuracy, mean_absolute_error, mean_squared_error, mean_error, error_rate,
--          mean_confidence, mean_value or mean_latency.
-- Units    the metric is total / n; latencies in seconds.
CREATE OR REPLACE FUNCTION truthline_internal.mean_cells(
    metric text, series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (series_id integer, predicted integer, actual integer, n bigint, total numeric)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
#variable_conflict use_column
BEGIN
    IF metric IN ('error_rate', 'mean_confidence', 'mean_value', 'mean_latency') THEN
        RETURN QUERY
        SELECT c.series_id, c.label_id, NULL::integer,
               CASE metric WHEN 'error_rate' THEN c.n_requests WHEN 'mean_confidence' THEN c.n_confidence
                           WHEN 'mean_value' THEN c.n_value ELSE c.n_latency END,
               CASE metric WHEN 'error_rate' THEN c.n_failed WHEN 'mean_confidence' THEN c.sum_confidence
                           WHEN 'mean_value' THEN c.sum_value ELSE c.sum_latency END
        FROM truthline_internal.cells(
            NULL::truthline_internal.made_class_cell, 'prediction', series, edges, as_of) AS c;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT c.series_id, c.predicted_label, c.actual_label, c.n,
           CASE metric WHEN 'accuracy' THEN c.n_correct WHEN 'mean_absolute_error' THEN c.sum_absolute_error
                       WHEN 'mean_squared_error' THEN c.sum_squared_error ELSE c.sum_error END
    FROM truthline_internal.cells(
        NULL::truthline_internal.judged_class_cell, 'outcome', series, edges, as_of) AS c
    WHERE (c.predicted_label IS NOT NULL) = (metric = 'accuracy');
END
$function$;
COMMENT ON FUNCTION truthline_internal.mean_cells(text, integer[], timestamptz[], timestamptz) IS
    'The sums and counts of a metric that is a mean, per series and pair of classes.';

-- changes: the parts of the difference of a metric between two sides.
--
-- Grain    one row per division of the predictions and part: the values of a tag, versions, deployments, and
--          true classes, or predicted ones for a metric without truths: with truths these would be effects
--          and not causes, because a wrong answer is one of another class. A division with one part says nothing, and is omitted; if
--          none remains, there is one row, whose `division` is NULL. Divisions come in the order of how
--          much more the part that contributes most does than its share of the predictions; and parts in
--          the order of what they contribute, the largest first.
-- Units    `division` is tag, predicted_class, actual_class, version or deployment, and `key` that of a tag;
--          `value` is NULL for predictions without the tag or class. `a` and `b` are the metric of the
--          part on both sides, NULL without any of its predictions; `a_n` and `b_n` count these. Effects
--          are in the metric's unit, and within a division add up to `change`, which is B minus A.
-- Formula  with the part's share of the predictions w and its metric r: rate_effect = mean w * (difference of
--          r), mix_effect = (difference of w) * (mean r - mean of the whole metric), each mean over both
--          sides (Kitagawa 1955, Marshall-Edgeworth weights). A part that a side lacks has no rate effect.
-- Cost     cells of both sides, per series and pair of classes.
CREATE OR REPLACE FUNCTION truthline_internal.changes(
    metric text, a_series integer[], a_edges timestamptz[], a_as_of timestamptz,
    b_series integer[], b_edges timestamptz[], b_as_of timestamptz
) RETURNS TABLE (
    whole_a float8, whole_b float8, whole_a_n bigint, whole_b_n bigint, change float8, division text,
    key text, value text, a float8, b float8, a_n bigint, b_n bigint, rate_effect float8,
    mix_effect float8, effect float8
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH cell AS MATERIALIZED (
        SELECT series_id, predicted, actual, n AS a_n, total AS a_total, 0 AS b_n, 0::numeric AS b_total
        FROM truthline_internal.mean_cells(metric, a_series, a_edges, a_as_of) WHERE n > 0
        UNION ALL
        SELECT series_id, predicted, actual, 0, 0, n, total
        FROM truthline_internal.mean_cells(metric, b_series, b_edges, b_as_of) WHERE n > 0
    ),
    whole AS MATERIALIZED (
        SELECT coalesce(sum(a_n), 0) AS a_n, coalesce(sum(b_n), 0) AS b_n,
               sum(a_total) / nullif(sum(a_n), 0) AS a, sum(b_total) / nullif(sum(b_n), 0) AS b FROM cell
    ),
    described AS MATERIALIZED (
        SELECT cell.*, s.version, s.deployment, s.tags
        FROM cell JOIN truthline_data.series AS s ON s.id = cell.series_id
    ),
    divided AS (
        SELECT 'tag' AS division, key.name AS key, d.tags ->> key.name AS value, d.*
        FROM described AS d
        CROSS JOIN (SELECT DISTINCT jsonb_object_keys(tags) FROM described) AS key (name)
        UNION ALL SELECT 'version', '', d.version, d.* FROM described AS d
        UNION ALL SELECT 'deployment', '', d.deployment, d.* FROM described AS d
        UNION ALL
        SELECT 'predicted_class', '', label.name, d.*
        FROM described AS d LEFT JOIN truthline_data.label ON label.id = d.predicted
        WHERE metric IN ('mean_confidence', 'mean_value', 'mean_latency')
        UNION ALL
        SELECT 'actual_class', '', label.name, d.*
        FROM described AS d JOIN truthline_data.label ON label.id = d.actual
    ),
    part AS (
        SELECT division, key, value, sum(a_n) AS a_n, sum(b_n) AS b_n,
               sum(a_total) / nullif(sum(a_n), 0) AS a, sum(b_total) / nullif(sum(b_n), 0) AS b,
               count(*) OVER (PARTITION BY division, key) AS n_parts
        FROM divided GROUP BY division, key, value
    ),
    weighed AS (
        SELECT part.*, whole.b - whole.a AS change, weight,
               weight * coalesce(part.b - part.a, 0) AS rate_effect,
               moved * (coalesce((part.a + part.b) / 2, part.a, part.b) - (whole.a + whole.b) / 2)
                   AS mix_effect
        FROM part CROSS JOIN whole
        CROSS JOIN LATERAL (
            SELECT (part.a_n / whole.a_n + part.b_n / whole.b_n) / 2,
                   part.b_n / whole.b_n - part.a_n / whole.a_n) AS share (weight, moved)
        WHERE n_parts > 1 AND whole.a_n > 0 AND whole.b_n > 0
    ),
    ordered AS (
        SELECT *, max(sign(change) * (rate_effect + mix_effect - weight * change))
                      OVER (PARTITION BY division, key) AS beyond_share
        FROM weighed
    )
    SELECT truthline_internal.as_double(whole.a), truthline_internal.as_double(whole.b),
           whole.a_n::bigint, whole.b_n::bigint, truthline_internal.as_double(whole.b - whole.a),
           o.division, o.key, o.value, truthline_internal.as_double(o.a), truthline_internal.as_double(o.b),
           o.a_n::bigint, o.b_n::bigint, truthline_internal.as_double(o.rate_effect),
           truthline_internal.as_double(o.mix_effect),
           truthline_internal.as_double(o.rate_effect + o.mix_effect)
    FROM whole LEFT JOIN ordered AS o ON true
    ORDER BY o.beyond_share DESC, o.division, o.key, abs(o.rate_effect + o.mix_effect) DESC, o.value
$$;
COMMENT ON FUNCTION truthline_internal.changes(text, integer[], timestamptz[], timestamptz, integer[], timestamptz[], timestamptz) IS
    'How much each part of the predictions contributes to the difference of a metric between two sides.';
