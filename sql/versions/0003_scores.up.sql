-- Scores of classifiers: kept until the truth is known, and what metrics need of them afterwards.
SET LOCAL search_path = truthline_data, truthline, public;

-- model_class: the classes of a classifier, numbered.
--
-- Grain    one row per (model, class that was ever predicted, scored or true).
-- Writer   store, before the first row with the class is stored
-- Reader   ingest, the views
-- Units    `place` numbers the classes of a model from 1, in order of first use: scores of the model
--          are arrays in this order. `since` is when the class was first used.
-- Why      one list per model that only grows, instead of names with each score. Arrays stored
--          earlier stay valid as classes are added. With two classes a model is binary.
CREATE TABLE model_class (
    model_id integer     NOT NULL REFERENCES model (id),
    label_id integer     NOT NULL REFERENCES label (id),
    place    integer     NOT NULL CHECK (place > 0),
    since    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model_id, label_id),
    UNIQUE (model_id, place)
);
-- Classes of a database of the first release, as far as its rows are still there.
INSERT INTO model_class (model_id, label_id, place, since)
SELECT model_id, label_id, row_number() OVER (PARTITION BY model_id ORDER BY min(since), label_id),
       min(since)
FROM (
    SELECT series_id, label_id, min(received_at) AS since FROM prediction
    WHERE label_id IS NOT NULL AND NOT failed GROUP BY 1, 2
    UNION ALL
    SELECT series_id, actual_label, min(received_at) FROM outcome
    WHERE actual_label IS NOT NULL GROUP BY 1, 2
) AS used
JOIN series ON series.id = used.series_id
JOIN model ON model.id = series.model_id
WHERE model.kind = 'classification'
GROUP BY model_id, label_id;

-- The class of a binary model that its scores are about, as the id of a label, if it was declared.
ALTER TABLE model ADD COLUMN positive_label integer;

-- Of a prediction that can still receive a truth. `scores` has the model's score of each class at
-- the class's place, NULL for a class that was not scored; NULL if only a confidence was sent.
ALTER TABLE prediction_key
    ADD COLUMN confidence double precision,
    ADD COLUMN scores double precision[];

-- Of a prediction with its truth; NULL for a value, and without a confidence.
--
-- predicted_score  score of the predicted class: its confidence
-- actual_score     score of the true class, 0 if it was not scored; NULL if only a confidence was sent
-- other_score      score of the class that was not predicted, if exactly two were scored
-- rest_squared     sum of the squared scores of all classes but the true one; NULL as actual_score
ALTER TABLE outcome
    ADD COLUMN predicted_score double precision,
    ADD COLUMN actual_score double precision,
    ADD COLUMN other_score double precision,
    ADD COLUMN rest_squared double precision;

-- true_score: the score of the true class. With a confidence alone it is that of a binary model:
-- what the predicted class leaves to the other one.
CREATE FUNCTION true_score(actual_score float8, predicted_score float8, is_correct boolean)
RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(actual_score, CASE WHEN is_correct THEN predicted_score ELSE 1 - predicted_score END)
$$;

-- log_loss: -ln(score) in nats, of a score within [epsilon, 1 - epsilon], where epsilon = 2^-52: what
-- scikit-learn's log_loss does with doubles. As a decimal, so that a correction subtracts it exactly.
CREATE FUNCTION log_loss(score float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT truthline_data.exact(
        -ln(least(greatest(score, 2.220446049250313e-16), 1 - 2.220446049250313e-16)))
$$;

-- missing_squared: (1 - score)^2, as a decimal.
CREATE FUNCTION missing_squared(score float8) RETURNS numeric
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (1 - truthline_data.exact(score)) * (1 - truthline_data.exact(score))
$$;

-- scored: predictions with their truths whose confidence is known.
--
-- Why      a subject of its own: outcomes stored before have no scores, so their levels stay as they
--          are. `has_scores` is a key because a confidence alone tells the score of the true class
--          only in a binary model, and whether a model is binary is known when it is asked about.
--          A log loss is a sum. So is a Brier score: the square of what the true class misses, and
--          the squares of what the others have.
INSERT INTO subject (name, source, condition, row_count) VALUES
    ('scored', 'outcome', 'predicted_score IS NOT NULL', 'n_rows');
INSERT INTO level_column (subject, place, name, type, expression) VALUES
    ('scored', 1, 'actual_label', 'integer', 'actual_label'),
    ('scored', 2, 'has_scores', 'boolean', 'actual_score IS NOT NULL');
INSERT INTO level_column (subject, place, name, type, summed, expression) VALUES
    ('scored', 3, 'n', 'bigint', true, 'weight'),
    ('scored', 4, 'sum_log_loss', 'numeric', true,
     'weight * truthline_data.log_loss(truthline_data.true_score('
     'actual_score, predicted_score, predicted_label = actual_label))'),
    ('scored', 5, 'sum_missing_squared', 'numeric', true,
     'weight * truthline_data.missing_squared(truthline_data.true_score('
     'actual_score, predicted_score, predicted_label = actual_label))'),
    ('scored', 6, 'sum_rest_squared', 'numeric', true,
     'weight * coalesce(truthline_data.exact(rest_squared), truthline_data.missing_squared('
     'truthline_data.true_score(actual_score, predicted_score, predicted_label = actual_label)))'),
    ('scored', 7, 'n_rows', 'bigint', true, '1');
INSERT INTO level (place, name, subject, event_width, learned_width, source) VALUES
    (15, 'scored_5m_1h', 'scored', '5 minutes', '1 hour', 'outcome'),
    (16, 'scored_1h_1h', 'scored', '1 hour', '1 hour', 'scored_5m_1h'),
    (17, 'scored_5m_1d', 'scored', '5 minutes', '1 day', 'scored_5m_1h'),
    (18, 'scored_1h_1d', 'scored', '1 hour', '1 day', 'scored_1h_1h'),
    (19, 'scored_1d_1d', 'scored', '1 day', '1 day', 'scored_1h_1d'),
    (20, 'scored_1h_1mo', 'scored', '1 hour', '1 month', 'scored_1h_1d'),
    (21, 'scored_1d_1mo', 'scored', '1 day', '1 month', 'scored_1d_1d');

-- level_column: columns that are computed from the other values of a cell.
-- `computed` columns hold an expression over all of a cell's raw rows. A raw row has none. `sparse`
-- ones are collected, and not every row has a value.
ALTER TABLE level_column
    ADD COLUMN computed boolean NOT NULL DEFAULT false,
    ADD COLUMN sparse boolean NOT NULL DEFAULT false;

-- below: the largest double below a score.
-- Why      with it, width_bucket counts the numbers below a score as well as those up to it. From
--          2^-1021 on, a product with 1 - 2^-53 rounds to it; below, doubles are 2^-1074 apart.
CREATE FUNCTION below(score float8) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN score < 4.450147717014403e-308 THEN score - 4.94065645841247e-324
                ELSE score * 0.9999999999999998889776975 END
$$;

-- pairs_of: how many pairs of a hit and a miss are in order, the hit above the miss, counted twice, and
-- those that are equal counted once: twice Mann and Whitney's U.
--
-- Params   scores in ascending order; NULL means none
-- Cost     two binary searches per number of the shorter array
CREATE FUNCTION pairs_of(hits float8[], misses float8[]) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN num_nulls(hits, misses) > 0 THEN 0
        WHEN cardinality(hits) <= cardinality(misses) THEN
            (SELECT coalesce(sum(width_bucket(hit, misses)
                                 + width_bucket(truthline_data.below(hit), misses)), 0)
             FROM unnest(hits) AS hit)
        ELSE
            (SELECT coalesce(sum(2 * cardinality(hits) - width_bucket(miss, hits)
                                 - width_bucket(truthline_data.below(miss), hits)), 0)
             FROM unnest(misses) AS miss) END
$$;

-- score_of_other: the score of the class that was not predicted, for a binary model: what a confidence
-- leaves, or 0 if only the predicted class was scored.
CREATE FUNCTION score_of_other(
    other_score float8, actual_score float8, predicted_score float8
) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(other_score, CASE WHEN actual_score IS NULL THEN 1 - predicted_score ELSE 0 END)
$$;

-- ranked: the same predictions with every score, so that they can be ranked.
--
-- Why      ROC AUC, precision and recall, and calibration need more than sums. A cell holds the scores of
--          one bin, in order: those of the predicted class, where it was right and where it was wrong,
--          and those of the other class, for a binary model whose positive class is that one. The
--          positive class is chosen when the question is asked. Counts of bins rank scores of different
--          bins, and `pairs` those within a cell, so an answer reads numbers only where cells share a
--          bin. A withdrawn truth has cells of its own.
INSERT INTO subject (name, source, condition, row_count) VALUES
    ('ranked', 'outcome', 'predicted_score IS NOT NULL', 'n_rows');
INSERT INTO level_column (subject, place, name, type, expression) VALUES
    ('ranked', 1, 'predicted_label', 'integer', 'predicted_label'),
    ('ranked', 2, 'bin', 'integer', 'truthline_data.confidence_bin(predicted_score)'),
    ('ranked', 3, 'other_bin', 'integer', 'truthline_data.confidence_bin('
     'truthline_data.score_of_other(other_score, actual_score, predicted_score))'),
    ('ranked', 4, 'weight', 'integer', 'weight::integer');
INSERT INTO level_column (subject, place, name, type, summed, expression) VALUES
    ('ranked', 5, 'n', 'bigint', true, 'weight'),
    ('ranked', 6, 'n_right', 'bigint', true,
     'CASE WHEN predicted_label = actual_label THEN weight ELSE 0 END'),
    ('ranked', 7, 'sum_score', 'numeric', true, 'weight * truthline_data.exact(predicted_score)'),
    ('ranked', 8, 'sum_other', 'numeric', true, 'weight * truthline_data.exact('
     'truthline_data.score_of_other(other_score, actual_score, predicted_score))'),
    ('ranked', 15, 'n_rows', 'bigint', true, '1');
INSERT INTO level_column (subject, place, name, type, collected, sparse, expression) VALUES
    ('ranked', 9, 'scores_right', 'float8[]', true, true,
     'CASE WHEN predicted_label = actual_label THEN predicted_score END'),
    ('ranked', 10, 'scores_wrong', 'float8[]', true, true,
     'CASE WHEN predicted_label <> actual_label THEN predicted_score END'),
    ('ranked', 11, 'others_right', 'float8[]', true, true,
     'CASE WHEN predicted_label = actual_label THEN '
     'truthline_data.score_of_other(other_score, actual_score, predicted_score) END'),
    ('ranked', 12, 'others_wrong', 'float8[]', true, true,
     'CASE WHEN predicted_label <> actual_label THEN '
     'truthline_data.score_of_other(other_score, actual_score, predicted_score) END');
INSERT INTO level_column (subject, place, name, type, computed, expression)
SELECT 'ranked', pairs.place, pairs.name, 'bigint', true,
       format('truthline_data.pairs_of('
              'array_agg(%1$s ORDER BY %1$s) FILTER (WHERE %1$s IS NOT NULL), '
              'array_agg(%2$s ORDER BY %2$s) FILTER (WHERE %2$s IS NOT NULL))',
              hits.expression, misses.expression)
FROM (VALUES (13, 'pairs', 'scores_right', 'scores_wrong'),
             (14, 'other_pairs', 'others_wrong', 'others_right'))
    AS pairs (place, name, hits, misses)
JOIN level_column AS hits ON (hits.subject, hits.name) = ('ranked', pairs.hits)
JOIN level_column AS misses ON (misses.subject, misses.name) = ('ranked', pairs.misses);
INSERT INTO level (place, name, subject, event_width, learned_width, source) VALUES
    (22, 'ranked_1h_1h', 'ranked', '1 hour', '1 hour', 'outcome'),
    (23, 'ranked_1d_1d', 'ranked', '1 day', '1 day', 'outcome'),
    (24, 'ranked_1d_1mo', 'ranked', '1 day', '1 month', 'outcome');
