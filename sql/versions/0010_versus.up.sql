-- Scores of one class of a model with more than two: kept with each truth, from its declaration on.
SET LOCAL search_path = truthline_data, truthline, public;

-- declared_class: classes that were ever declared as the positive one of their model.
--
-- Grain    one row per (model, class); `since` is when it was first declared.
-- Writer   ingest, with model.positive_label, which is the class that is declared now
-- Reader   the views
-- Why      a question may be about a class that was declared before: its scores are still there.
CREATE TABLE declared_class (
    model_id integer     NOT NULL REFERENCES model (id),
    label_id integer     NOT NULL REFERENCES label (id),
    since    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (model_id, label_id)
);
INSERT INTO declared_class (model_id, label_id)
SELECT id, positive_label FROM model WHERE positive_label IS NOT NULL;

-- Of a prediction with its truth. NULL unless its model had more than two classes, one of which was
-- declared, when the truth was learned, and the prediction has scores.
--
-- class_label  the declared class
-- class_score  its score, 0 if it was not scored
ALTER TABLE outcome
    ADD COLUMN class_label integer,
    ADD COLUMN class_score double precision;

-- prediction_key.class_label: that of its known truth, because a correction withdraws the score that
-- was stored with the truth, whatever is declared by then.
ALTER TABLE prediction_key ADD COLUMN class_label integer;

-- versus: scores of a declared class against all others, so that they can be ranked.
--
-- Why      a subject of its own, as built levels can't gain columns; rows without a declared class cost
--          nothing. Cells are as those of `ranked`: of a day or more, a cell holds the scores of one bin,
--          in order, those of truths of the class (hits) apart from others (misses). A withdrawn truth
--          has cells of its own.
INSERT INTO subject (name, source, condition, row_count) VALUES
    ('versus', 'outcome', 'class_score IS NOT NULL', 'n_rows');
INSERT INTO level_column (subject, place, name, type, expression) VALUES
    ('versus', 1, 'class_label', 'integer', 'class_label'),
    ('versus', 2, 'bin', 'integer', 'truthline_data.score_bin({width}, class_score)'),
    ('versus', 3, 'weight', 'integer', 'weight::integer');
INSERT INTO level_column (subject, place, name, type, summed, expression) VALUES
    ('versus', 4, 'n', 'bigint', true, 'weight'),
    ('versus', 5, 'n_hits', 'bigint', true,
     'CASE WHEN actual_label = class_label THEN weight ELSE 0 END'),
    ('versus', 6, 'sum_score', 'numeric', true,
     'CASE WHEN truthline_data.score_bin({width}, class_score) IS NOT NULL THEN '
     'weight * truthline_data.exact(class_score) END'),
    ('versus', 10, 'n_rows', 'bigint', true, '1');
INSERT INTO level_column (subject, place, name, type, collected, sparse, expression) VALUES
    ('versus', 7, 'hits', 'float8[]', true, true,
     'CASE WHEN actual_label = class_label THEN class_score END'),
    ('versus', 8, 'misses', 'float8[]', true, true,
     'CASE WHEN actual_label <> class_label THEN class_score END');
INSERT INTO level_column (subject, place, name, type, computed, expression) VALUES
    ('versus', 9, 'pairs', 'bigint', true,
     'CASE WHEN {bin} IS NOT NULL THEN truthline_data.pairs_of({hits}, {misses}) END');
INSERT INTO level (place, name, subject, event_width, learned_width, source) VALUES
    (51, 'versus_1h_1h', 'versus', '1 hour', '1 hour', 'outcome'),
    (52, 'versus_1d_1d', 'versus', '1 day', '1 day', 'outcome'),
    (53, 'versus_1d_1mo', 'versus', '1 day', '1 month', 'versus_1d_1d');
INSERT INTO level (place, name, subject, event_width, learned_width, source, recent) VALUES
    (121, 'versus_1h_recent', 'versus', '1 hour', '1 microsecond', 'outcome', true);
UPDATE level SET learned_since = now(), learned_until = now(), audited_until = now()
WHERE name = 'versus_1h_recent';
