"""How truths are learned: common parts of the statements that join them with their predictions.

Both rows of a correction carry what score metrics need. The numbers of the row that is withdrawn
equal those of the row that was stored with it, because scores never change.
"""

# The predictions that the truths of a staged table are about, for `learning`.
KNOWN = """
    known AS (
        SELECT k.*, s.request_id, s.actual_label AS new_label, s.actual_value AS new_value{more}
        FROM {staged} AS s
        CROSS JOIN LATERAL (
            SELECT * FROM prediction_key AS k
            WHERE (k.model_id, k.key, k.batch_index) = (s.model_id, s.key, s.batch_index)
            OFFSET 0  -- looked up for each staged row, whatever the planner thinks
        ) AS k
        WHERE (k.predicted_label IS NULL) = (s.actual_label IS NULL)
          AND (k.predicted_value IS NULL) = (s.actual_value IS NULL)
    )"""


def learning(received_at: str = "clock_timestamp()", order: str = "") -> str:
    """CTEs that learn the truths of a CTE `known`; `changed` has those that are news.

    `known` has rows of `prediction_key`, each with its request id and its truth, `new_label` or
    `new_value`. A new truth is stored as a row with weight 1, and the pair that it replaces, if
    any, as one with weight -1.
    """
    return f"""
    changed AS MATERIALIZED (
        SELECT * FROM known
        WHERE actual_label IS DISTINCT FROM new_label OR actual_value IS DISTINCT FROM new_value
    ),
    learned AS (
        UPDATE prediction_key AS k
        SET actual_label = changed.new_label, actual_value = changed.new_value
        FROM changed
        WHERE (k.model_id, k.key, k.batch_index, k.series_id)
            = (changed.model_id, changed.key, changed.batch_index, changed.series_id)
    ),
    appended AS (
        INSERT INTO outcome (received_at, time, series_id, predicted_label, actual_label,
                             predicted_value, actual_value, weight, batch_index, request_id,
                             predicted_score, actual_score, other_score, rest_squared)
        SELECT {received_at}, changed.time,
               coalesce(changed.tagged_series_id, changed.series_id),
               changed.predicted_label, pair.label, changed.predicted_value, pair.value,
               pair.weight, changed.batch_index, changed.request_id, changed.confidence,
               score.actual, score.other, score.rest_squared
        FROM changed
        CROSS JOIN LATERAL (VALUES
            (changed.actual_label, changed.actual_value, -1),
            (changed.new_label, changed.new_value, 1)
        ) AS pair (label, value, weight)
        LEFT JOIN LATERAL (
            SELECT of_pair.*
            FROM (SELECT WHERE changed.scores IS NOT NULL OFFSET 0) AS scored  -- else no call
            CROSS JOIN LATERAL truthline_data.scores_of(
                changed.model_id, changed.scores, changed.predicted_label, pair.label) AS of_pair
        ) AS score ON true
        WHERE num_nonnulls(pair.label, pair.value) = 1
        {order}
    )"""
