"""How truths are learned: common parts of the statements that join them with their predictions.

Both rows of a correction carry what score metrics need. The numbers of the row that is withdrawn
equal those of the row that was stored with it, because scores never change, and because a key keeps
the class whose score was stored.
"""

# The predictions that the truths of a staged table are about, for `learning`. More conditions may
# follow, and then the closing parenthesis.
KNOWN = """
    known AS (
        SELECT k.*, s.request_id, s.actual_label AS new_label, s.actual_value AS new_value{more}
        FROM {staged} AS s
        CROSS JOIN LATERAL (
            SELECT * FROM prediction_key AS k
            WHERE (k.model_id, k.key, k.batch_index) = (s.model_id, s.key, s.batch_index)
            FOR NO KEY UPDATE  -- as the last writer left it; and a look-up for each staged row
        ) AS k
        WHERE (k.predicted_label IS NULL) = (s.actual_label IS NULL)
          AND (k.predicted_value IS NULL) = (s.actual_value IS NULL)"""


# What an outcome keeps of the scores of a changed prediction: the score of the true class (0 if it
# was not scored); that of the class that was not predicted, if exactly two were scored; the sum of
# the squared scores of all classes but the true one. Squares are added in the order of the classes,
# so that a correction subtracts, to the last digit, what was counted. (Those that are skipped would
# underflow.)
_PLACE = """(SELECT place FROM model_class
                     WHERE (model_id, label_id) = (changed.model_id, pair.label))"""
_SCORES = f"""
               CASE WHEN changed.scores IS NOT NULL THEN coalesce(changed.scores[{_PLACE}], 0) END,
               CASE WHEN num_nonnulls(VARIADIC changed.scores) = 2
                    THEN (SELECT min(score) FROM unnest(changed.scores) AS s (score)) END,
               CASE WHEN changed.scores IS NOT NULL THEN (
                   SELECT coalesce(sum(score * score) FILTER (WHERE score > 1e-150), 0)
                   FROM unnest(changed.scores) WITH ORDINALITY AS s (score, nth)
                   WHERE nth IS DISTINCT FROM {_PLACE}
               ) END,
               CASE WHEN pair.class IS NOT NULL THEN coalesce(changed.scores[
                   (SELECT place FROM model_class
                    WHERE (model_id, label_id) = (changed.model_id, pair.class))], 0) END"""


def class_of(key: str, models: str) -> tuple[str, str]:
    """The class whose score a new truth keeps too: a CTE, and an expression for a row `key`.

    It is the declared one of a model with more than two classes, and NULL for a prediction without
    scores. `models` is what a model's id is one of. Why: few models declare a class, so what they
    declare is looked up once for all rows of a statement.
    """
    cte = f"""declared AS MATERIALIZED (
        SELECT model_id, class FROM (
            SELECT m.model_id, truthline_internal.class_to_keep(m.model_id) AS class
            FROM (SELECT DISTINCT model_id FROM declared_class WHERE model_id {models}) AS m
        ) AS m WHERE class IS NOT NULL
    )"""
    return cte, (
        f"CASE WHEN {key}.scores IS NOT NULL THEN"
        f" (SELECT class FROM declared WHERE declared.model_id = {key}.model_id) END"
    )


def learning(received_at: str = "clock_timestamp()", order: str = "") -> str:
    """CTEs that learn the truths of a CTE `known`; `changed` has those that are news.

    `known` has rows of `prediction_key`, each with its request id and its truth, `new_label` or
    `new_value`. A new truth is stored as a row with weight 1, and the pair that it replaces, if
    any, as one with weight -1.
    """
    return f"""
    {_DECLARED},
    changed AS MATERIALIZED (
        SELECT known.*, {_CLASS} AS new_class FROM known
        WHERE actual_label IS DISTINCT FROM new_label OR actual_value IS DISTINCT FROM new_value
    ),
    learned AS (
        UPDATE prediction_key AS k
        SET actual_label = changed.new_label, actual_value = changed.new_value,
            class_label = changed.new_class
        FROM changed
        WHERE (k.model_id, k.key, k.batch_index, k.series_id)
            = (changed.model_id, changed.key, changed.batch_index, changed.series_id)
    ),
    {appended("changed", received_at, order, OLD, NEW)}"""


_DECLARED, _CLASS = class_of("known", "IN (SELECT model_id FROM known)")
# Labels, values, weights and kept classes of the rows that a changed prediction appends.
OLD = "(changed.actual_label, changed.actual_value, -1, changed.class_label)"
NEW = "(changed.new_label, changed.new_value, 1, changed.new_class)"


def appended(source: str, received_at: str, order: str, *pairs: str) -> str:
    """A CTE that appends pairs of the changed predictions of a CTE `source` to the outcomes."""
    return f"""appended AS (
        INSERT INTO outcome (received_at, time, series_id, predicted_label, actual_label,
                             predicted_value, actual_value, weight, batch_index, request_id,
                             predicted_score, actual_score, other_score, rest_squared,
                             class_score, class_label)
        SELECT {received_at}, changed.time,
               coalesce(changed.tagged_series_id, changed.series_id),
               changed.predicted_label, pair.label, changed.predicted_value, pair.value,
               pair.weight, changed.batch_index, changed.request_id, changed.confidence,{_SCORES},
               pair.class
        FROM {source} AS changed
        CROSS JOIN LATERAL (VALUES {", ".join(pairs)}) AS pair (label, value, weight, class)
        WHERE num_nonnulls(pair.label, pair.value) = 1
        {order}
    )"""
