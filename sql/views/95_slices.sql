-- slices: how good a model is with each value of each tag, and how good it was just before.
--
-- Grain    one row per (key, value) that has a truth between the first edge and the last. A prediction
--          counts once for each of its tags.
-- Units    three edges bound two periods; `prev_` is the first of them. The numbers are those of triage.
-- Cost     cells of outcomes, summed per series and period, in one statement for any number of values.
CREATE OR REPLACE FUNCTION truthline_internal.slices(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    key text, value text, n_truths bigint, prev_n_truths bigint, n_correct bigint,
    prev_n_correct bigint, sum_absolute_error numeric, prev_sum_absolute_error numeric,
    sum_squared_error numeric, prev_sum_squared_error numeric
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT tag.key, tag.value,
           coalesce(sum(n) FILTER (WHERE place = 2), 0)::bigint,
           coalesce(sum(n) FILTER (WHERE place = 1), 0)::bigint,
           coalesce(sum(n_correct) FILTER (WHERE place = 2), 0)::bigint,
           coalesce(sum(n_correct) FILTER (WHERE place = 1), 0)::bigint,
           sum(cell.sum_absolute_error) FILTER (WHERE place = 2),
           sum(cell.sum_absolute_error) FILTER (WHERE place = 1),
           sum(cell.sum_squared_error) FILTER (WHERE place = 2),
           sum(cell.sum_squared_error) FILTER (WHERE place = 1)
    FROM truthline_internal.cells(
        NULL::truthline_internal.weighed_cell, 'outcome', series, edges, as_of) AS cell
    JOIN truthline_data.series AS s ON s.id = cell.series_id
    CROSS JOIN LATERAL jsonb_each_text(s.tags) AS tag
    GROUP BY 1, 2
    ORDER BY 3 DESC, 1, 2
$$;
COMMENT ON FUNCTION truthline_internal.slices(integer[], timestamptz[], timestamptz) IS
    'How good a model is with each value of each tag, compared with the preceding period.';
