-- scores_of: what an outcome keeps of a prediction's scores.
--
-- Grain    one row.
-- Units    `actual` is the score of the true class, 0 if it was not scored; `other` that of the class
--          that was not predicted, NULL unless exactly two were scored; `rest_squared` the sum of the
--          squared scores of all classes but the true one, as decimals: the same in whatever order
--          they are added, so that a correction subtracts what was counted.
-- Caller   app/ingest/outcomes.py
-- Why      without a search path of its own, it becomes a part of the statement that calls it: a call
--          per truth would take most of the time of a large batch.
CREATE OR REPLACE FUNCTION truthline_data.scores_of(
    model integer, scores float8[], predicted integer, truth integer
) RETURNS TABLE (actual float8, other float8, rest_squared float8)
LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(score) FILTER (WHERE s.place = of_truth.place), 0),
           CASE WHEN count(score) = 2
                THEN max(score) FILTER (WHERE s.place IS DISTINCT FROM of_predicted.place) END,
           coalesce(sum(CASE WHEN score > 1e-150 THEN truthline_data.exact(score * score) END)
                        FILTER (WHERE s.place IS DISTINCT FROM of_truth.place), 0)::float8
    FROM unnest(scores) WITH ORDINALITY AS s (score, place)
    LEFT JOIN truthline_data.model_class AS of_truth
        ON (of_truth.model_id, of_truth.label_id) = (model, truth)
    LEFT JOIN truthline_data.model_class AS of_predicted
        ON (of_predicted.model_id, of_predicted.label_id) = (model, predicted)
$$;
