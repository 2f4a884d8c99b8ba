-- Levels of scores in a third of the space.
--
-- Half of the old levels' bytes were the overhead of small cells, and most numbers were stored twice. Now
-- `scored` has no cells of five minutes. Cells of an hour of `ranked` are not divided into bins, and of two
-- scores that follow from each other a cell keeps one.
--
-- The levels are dropped here, and built again from the rows.
SET LOCAL search_path = truthline_data, truthline, public;

DO $$
DECLARE
    built level;
    is_lost boolean;
BEGIN
    IF to_regclass('truthline_data.ranked_1d_1d') IS NOT NULL THEN
        EXECUTE 'SELECT EXISTS (SELECT FROM ranked_1d_1d AS cell JOIN retention AS kept'
                '               ON kept.relation = ''outcome'' AND cell.learned < kept.since)'
            INTO is_lost;
        IF is_lost THEN
            RAISE object_not_in_prerequisite_state USING
                MESSAGE = 'the levels of scores count rows that retention has dropped, and can''t be'
                          ' computed again',
                HINT = 'An unreleased version made these levels. To upgrade without their history, drop'
                       ' truthline_data.ranked_1d_1d first.';
        END IF;
    END IF;
    FOR built IN SELECT * FROM level WHERE subject IN ('scored', 'ranked') ORDER BY place DESC LOOP
        EXECUTE format('DROP %s IF EXISTS %I',
                       CASE built.kept_by WHEN 'fold' THEN 'TABLE' ELSE 'MATERIALIZED VIEW' END,
                       built.name);
    END LOOP;
END
$$;
DELETE FROM retention USING level
WHERE relation = level.name AND level.subject IN ('scored', 'ranked');
DELETE FROM level WHERE subject IN ('scored', 'ranked');
DELETE FROM level_column WHERE subject = 'ranked';

-- scored: the same columns. Buckets of less than an hour are counted from rows, as `ranked` always did.
INSERT INTO level (place, name, subject, event_width, learned_width, source) VALUES
    (15, 'scored_1h_1h', 'scored', '1 hour', '1 hour', 'outcome'),
    (16, 'scored_1h_1d', 'scored', '1 hour', '1 day', 'scored_1h_1h'),
    (17, 'scored_1d_1d', 'scored', '1 day', '1 day', 'scored_1h_1d'),
    (18, 'scored_1h_1mo', 'scored', '1 hour', '1 month', 'scored_1h_1d'),
    (19, 'scored_1d_1mo', 'scored', '1 day', '1 month', 'scored_1d_1d');
INSERT INTO level (place, name, subject, event_width, learned_width, source, recent) VALUES
    (104, 'scored_1h_recent', 'scored', '1 hour', '1 microsecond', 'outcome', true);

-- score_bin: the bin of a score in cells of a width; NULL for cells of less than a day, which are not
-- divided, and for rows.
-- Why      an hour of a model has few numbers in each bin, and a cell takes more space than its numbers.
CREATE FUNCTION score_bin(width interval, score float8) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN width >= INTERVAL '1 day' THEN truthline_data.confidence_bin(score) END
$$;

-- kept_scores: which of the two scores of a binary model a cell keeps.
--
-- Units    0: both; 1: that of the other class, and that of the predicted class is 1 - it; 2: that of the
--          predicted class, and the other is 1 - it; 3: the same, and the other is 0.
-- Why      1 comes first: of two scores that a model made by one subtraction, the smaller one has every
--          digit, and the predicted class has the larger one.
CREATE FUNCTION kept_scores(predicted_score float8, other_score float8) RETURNS integer
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN predicted_score = 1 - other_score THEN 1
                WHEN other_score = 1 - predicted_score THEN 2
                WHEN other_score = 0 THEN 3
                ELSE 0 END
$$;

-- complements: 1 - score for each of the scores, in ascending order.
CREATE FUNCTION complements(scores float8[]) RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(1 - score ORDER BY 1 - score) FROM unnest(scores) AS score
$$;

-- zeros: as many zeros as there are scores; NULL for none.
CREATE FUNCTION zeros(scores float8[]) RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN scores IS NOT NULL THEN array_fill(0::float8, ARRAY[cardinality(scores)]) END
$$;

-- merged: the numbers of several cells in ascending order.
CREATE FUNCTION in_order(numbers float8[]) RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(number ORDER BY number) FROM unnest(numbers) AS number
$$;
CREATE AGGREGATE merged(float8[]) (
    SFUNC = array_cat, STYPE = float8[], FINALFUNC = in_order, PARALLEL = SAFE
);

-- ranked: the same predictions as before. A cell of a day or more holds the scores of one bin, in order:
-- those of the predicted class, where it was right and where it was wrong, and those of the other class, as
-- far as they are kept. A withdrawn truth has cells of its own.
--
-- Expressions name the width of the level as {width}, and computed ones the other columns of their cell, as
-- {scores_right}.
INSERT INTO level_column (subject, place, name, type, expression) VALUES
    ('ranked', 1, 'predicted_label', 'integer', 'predicted_label'),
    ('ranked', 2, 'bin', 'integer', 'truthline_data.score_bin({width}, predicted_score)'),
    ('ranked', 3, 'other_bin', 'integer', 'truthline_data.score_bin({width}, '
     'truthline_data.score_of_other(other_score, actual_score, predicted_score))'),
    ('ranked', 4, 'weight', 'integer', 'weight::integer'),
    ('ranked', 5, 'kept', 'integer', 'truthline_data.kept_scores(predicted_score, '
     'truthline_data.score_of_other(other_score, actual_score, predicted_score))');
INSERT INTO level_column (subject, place, name, type, summed, expression) VALUES
    ('ranked', 6, 'n', 'bigint', true, 'weight'),
    ('ranked', 7, 'n_right', 'bigint', true,
     'CASE WHEN predicted_label = actual_label THEN weight ELSE 0 END'),
    ('ranked', 8, 'sum_score', 'numeric', true,
     'CASE WHEN truthline_data.score_bin({width}, predicted_score) IS NOT NULL THEN '
     'weight * truthline_data.exact(predicted_score) END'),
    ('ranked', 9, 'sum_other', 'numeric', true,
     'CASE WHEN truthline_data.score_bin({width}, predicted_score) IS NOT NULL THEN '
     'weight * truthline_data.exact('
     'truthline_data.score_of_other(other_score, actual_score, predicted_score)) END'),
    ('ranked', 16, 'n_rows', 'bigint', true, '1');
INSERT INTO level_column (subject, place, name, type, collected, sparse, expression)
SELECT 'ranked', place, format('%s_%s', scores, side), 'float8[]', true, true,
       format('CASE WHEN predicted_label %s actual_label AND %s THEN %s END', comparison, kept, score)
FROM (VALUES (10, 'scores', 'right'), (11, 'scores', 'wrong'),
             (12, 'others', 'right'), (13, 'others', 'wrong')) AS held (place, scores, side)
JOIN (VALUES ('right', '='), ('wrong', '<>')) AS compared (side, comparison) USING (side)
JOIN (VALUES ('scores', 'predicted_score', 'truthline_data.kept_scores(predicted_score, '
              'truthline_data.score_of_other(other_score, actual_score, predicted_score)) <> 1'),
             ('others', 'truthline_data.score_of_other(other_score, actual_score, predicted_score)',
              'truthline_data.kept_scores(predicted_score, '
              'truthline_data.score_of_other(other_score, actual_score, predicted_score)) < 2'))
    AS of (scores, score, kept) USING (scores);
INSERT INTO level_column (subject, place, name, type, computed, expression) VALUES
    ('ranked', 14, 'pairs', 'bigint', true,
     'CASE WHEN {bin} IS NOT NULL THEN truthline_data.pairs_of('
     'CASE {kept} WHEN 1 THEN truthline_data.complements({others_right}) ELSE {scores_right} END, '
     'CASE {kept} WHEN 1 THEN truthline_data.complements({others_wrong}) ELSE {scores_wrong} END) END'),
    ('ranked', 15, 'other_pairs', 'bigint', true,
     'CASE WHEN {bin} IS NOT NULL THEN truthline_data.pairs_of('
     'CASE {kept} WHEN 2 THEN truthline_data.complements({scores_wrong}) '
     'WHEN 3 THEN truthline_data.zeros({scores_wrong}) ELSE {others_wrong} END, '
     'CASE {kept} WHEN 2 THEN truthline_data.complements({scores_right}) '
     'WHEN 3 THEN truthline_data.zeros({scores_right}) ELSE {others_right} END) END');
-- Hours have no bins, so days are computed from rows; months are computed from days, whose rows may be
-- gone before the month ends.
INSERT INTO level (place, name, subject, event_width, learned_width, source) VALUES
    (22, 'ranked_1h_1h', 'ranked', '1 hour', '1 hour', 'outcome'),
    (23, 'ranked_1d_1d', 'ranked', '1 day', '1 day', 'outcome'),
    (24, 'ranked_1d_1mo', 'ranked', '1 day', '1 month', 'ranked_1d_1d');
INSERT INTO level (place, name, subject, event_width, learned_width, source, recent) VALUES
    (105, 'ranked_1h_recent', 'ranked', '1 hour', '1 microsecond', 'outcome', true);
UPDATE level SET learned_since = now(), learned_until = now(), audited_until = now()
WHERE recent AND subject IN ('scored', 'ranked');
