-- Predictions by the values of a tag: one part per value, and one for the rest.
--
-- Exact    the parts have all series of the whole, each in one part. Rows that were dropped may move an
--          edge of the whole and not that of a part, so all parts are asked of the edges and the moment
--          that the whole reaches: then their additive numbers add up to those of the whole.

-- parts_by_tag: which series have which value of a tag, the values with the most truths first.
--
-- Grain    one row per value, at most `most` of them, numbered from 1; then one row for the rest, if any
--          of its predictions or truths are in the window.
-- Units    `value` is NULL for series without the tag, and for the rest. n counts truths and n_inferences
--          successful requests in the window, n_values the values that have any. Metrics with truths
--          are asked of `truths_edges`, those of predictions of `requests_edges`.
-- Cost     the widest cells of the window, of predictions and of outcomes.
CREATE TYPE truthline_internal.truth_cell AS (place integer, series_id integer, n bigint);
CREATE OR REPLACE FUNCTION truthline_internal.parts_by_tag(
    series integer[], edges timestamptz[], as_of timestamptz, key text, most integer
) RETURNS TABLE (
    place integer, value text, is_rest boolean, n_values bigint, n bigint, n_inferences bigint,
    part_series integer[], truths_edges timestamptz[], truths_as_of timestamptz,
    requests_edges timestamptz[], requests_as_of timestamptz
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH truths_reach AS MATERIALIZED (
        SELECT * FROM truthline_internal.reach('outcome', series, edges, as_of)
    ),
    requests_reach AS MATERIALIZED (
        SELECT * FROM truthline_internal.reach('prediction', series, edges, as_of)
    ),
    tagged AS MATERIALIZED (
        SELECT s.id, coalesce(s.tags ->> key, '') AS value
        FROM truthline_data.series AS s WHERE s.id = ANY (series)
    ),
    counted AS (
        SELECT tagged.value, coalesce(sum(truths.n), 0) AS n,
               coalesce(sum(load.n_requests - load.n_failed), 0) AS n_inferences,
               count(truths.n) + count(load.n) > 0 AS seen
        FROM tagged
        LEFT JOIN truthline_internal.cells(
            NULL::truthline_internal.truth_cell, 'outcome', series,
            ARRAY[edges[1], edges[array_upper(edges, 1)]], as_of) AS truths ON truths.series_id = tagged.id
        LEFT JOIN truthline_internal.cells(
            NULL::truthline_internal.model_cell, 'prediction', series,
            ARRAY[edges[1], edges[array_upper(edges, 1)]], as_of) AS load ON load.series_id = tagged.id
        GROUP BY 1
    ),
    ranked AS (
        SELECT *, row_number() OVER (ORDER BY seen DESC, n DESC, n_inferences DESC,
                                     counted.value COLLATE "C") AS rank
        FROM counted
    ),
    placed AS (
        SELECT *, least(CASE WHEN seen THEN rank END, most + 1)::integer AS place FROM ranked
    ),
    part AS (
        SELECT placed.place, placed.place > most AS is_rest,
               CASE WHEN placed.place <= most THEN min(placed.value) END AS value,
               count(*) FILTER (WHERE seen) AS n_values, sum(placed.n) AS n,
               sum(placed.n_inferences) AS n_inferences
        FROM placed GROUP BY 1
    )
    SELECT part.place, nullif(part.value, ''), part.is_rest, part.n_values, part.n::bigint,
           part.n_inferences::bigint, own.ids, truths_reach.reached_edges,
           truths_reach.reached_as_of, requests_reach.reached_edges, requests_reach.reached_as_of
    FROM part
    CROSS JOIN truths_reach
    CROSS JOIN requests_reach
    JOIN (
        SELECT placed.place, array_agg(tagged.id ORDER BY tagged.id) AS ids
        FROM tagged JOIN placed USING (value) GROUP BY 1
    ) AS own USING (place)
    WHERE part.n_values > 0
    ORDER BY part.place
$$;
COMMENT ON FUNCTION truthline_internal.parts_by_tag(integer[], timestamptz[], timestamptz, text, integer) IS
    'The series with each value of a tag, those with the most truths first, and the rest.';

-- inference_totals_by_tag: inferences by the values of a tag, of a window and of the preceding one.
--
-- Grain    as parts_by_tag, the values with the most successful inferences in both periods first.
-- Units    those of inference_totals; n_values counts values with a request in either period.
-- Cost     that of inference_totals: the cells of both periods are read once for all values.
CREATE OR REPLACE FUNCTION truthline_internal.inference_totals_by_tag(
    workspace integer, start_time timestamptz, end_time timestamptz, key text, most integer,
    model_names text[] DEFAULT NULL, field text DEFAULT NULL, field_text text DEFAULT NULL,
    tags jsonb DEFAULT NULL
) RETURNS TABLE (
    place integer, value text, is_rest boolean, n_values bigint,
    n_inferences bigint, prev_n_inferences bigint, n_errors bigint, prev_n_errors bigint,
    confidence float8, prev_confidence float8, latency float8, prev_latency float8
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH summed AS MATERIALIZED (
        SELECT coalesce(s.tags ->> key, '') AS value, c.place,
               sum(n_requests) AS n_requests, sum(n_failed) AS n_failed,
               sum(sum_confidence) AS sum_confidence, sum(n_confidence) AS n_confidence,
               sum(sum_output_latency) AS sum_latency, sum(n_output_latency) AS n_latency
        FROM truthline_internal.inference_cells(
            workspace, start_time, end_time, model_names, field, field_text,
            inference_totals_by_tag.tags) AS c
        JOIN truthline_data.series AS s ON s.id = c.series_id
        GROUP BY 1, 2
    ),
    ranked AS (
        SELECT summed.value, least(row_number() OVER (
                   ORDER BY sum(n_requests - n_failed) DESC, summed.value COLLATE "C"),
                   most + 1)::integer AS part
        FROM summed GROUP BY 1
    )
    SELECT part, CASE WHEN part <= most THEN nullif(min(value), '') END, part > most,
           count(DISTINCT value),
           coalesce(sum(n_requests - n_failed) FILTER (WHERE summed.place = 2), 0)::bigint,
           coalesce(sum(n_requests - n_failed) FILTER (WHERE summed.place = 1), 0)::bigint,
           coalesce(sum(n_failed) FILTER (WHERE summed.place = 2), 0)::bigint,
           coalesce(sum(n_failed) FILTER (WHERE summed.place = 1), 0)::bigint,
           truthline_internal.mean(sum(sum_confidence) FILTER (WHERE summed.place = 2),
                                   sum(n_confidence) FILTER (WHERE summed.place = 2)),
           truthline_internal.mean(sum(sum_confidence) FILTER (WHERE summed.place = 1),
                                   sum(n_confidence) FILTER (WHERE summed.place = 1)),
           truthline_internal.mean(sum(sum_latency) FILTER (WHERE summed.place = 2),
                                   sum(n_latency) FILTER (WHERE summed.place = 2)),
           truthline_internal.mean(sum(sum_latency) FILTER (WHERE summed.place = 1),
                                   sum(n_latency) FILTER (WHERE summed.place = 1))
    FROM summed JOIN ranked USING (value)
    GROUP BY part
    ORDER BY part
$$;
COMMENT ON FUNCTION truthline_internal.inference_totals_by_tag(integer, timestamptz, timestamptz, text, integer, text[], text, text, jsonb) IS
    'Inferences, confidences and latencies by the values of a tag, compared with the preceding window.';
