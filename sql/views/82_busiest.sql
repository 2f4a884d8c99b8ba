-- Which models an answer about many of them includes, in a stable order.

-- busiest_models: models seen in a window or in the preceding one of equal length.
--
-- Grain    one row per model, in the order of model_stats: the busiest of both periods first.
-- Units    n counts successful inferences of both periods.
-- Cost     the cells of both periods, summed per model.
CREATE OR REPLACE FUNCTION truthline_internal.busiest_models(
    workspace integer, start_time timestamptz, end_time timestamptz,
    model_names text[] DEFAULT NULL, field text DEFAULT NULL, field_text text DEFAULT NULL,
    tags jsonb DEFAULT NULL
) RETURNS TABLE (namespace text, pipeline text, name text, n bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT model.namespace, model.pipeline, model.name, counted.n
    FROM (
        SELECT model_id, sum(n_requests - n_failed)::bigint AS n
        FROM truthline_internal.inference_cells(
            workspace, start_time, end_time, model_names, field, field_text, tags) AS cell
        JOIN truthline_data.series ON series.id = cell.series_id
        GROUP BY 1
    ) AS counted
    JOIN truthline_data.model ON model.id = counted.model_id
    ORDER BY counted.n DESC, model.name COLLATE "C", model.namespace COLLATE "C",
             model.pipeline COLLATE "C"
$$;
COMMENT ON FUNCTION truthline_internal.busiest_models(integer, timestamptz, timestamptz, text[], text, text, jsonb) IS
    'The models seen in a window or in the preceding one, the busiest first.';
