-- Describes the levels of scores as before; the upgrade that follows builds them from the rows.
SET LOCAL search_path = truthline_data, truthline, public;
DO $$
DECLARE
    built level;
BEGIN
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
DROP AGGREGATE merged(float8[]);
DROP FUNCTION in_order(float8[]);
DROP FUNCTION zeros(float8[]);
DROP FUNCTION complements(float8[]);
DROP FUNCTION kept_scores(float8, float8);
DROP FUNCTION score_bin(interval, float8);
INSERT INTO level (place, name, subject, event_width, learned_width, source) VALUES
    (15, 'scored_5m_1h', 'scored', '5 minutes', '1 hour', 'outcome'),
    (16, 'scored_1h_1h', 'scored', '1 hour', '1 hour', 'scored_5m_1h'),
    (17, 'scored_5m_1d', 'scored', '5 minutes', '1 day', 'scored_5m_1h'),
    (18, 'scored_1h_1d', 'scored', '1 hour', '1 day', 'scored_1h_1h'),
    (19, 'scored_1d_1d', 'scored', '1 day', '1 day', 'scored_1h_1d'),
    (20, 'scored_1h_1mo', 'scored', '1 hour', '1 month', 'scored_1h_1d'),
    (21, 'scored_1d_1mo', 'scored', '1 day', '1 month', 'scored_1d_1d');
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
INSERT INTO level (place, name, subject, event_width, learned_width, source, recent) VALUES
    (103, 'scored_5m_recent', 'scored', '5 minutes', '1 microsecond', 'outcome', true),
    (104, 'scored_1h_recent', 'scored', '1 hour', '1 microsecond', 'scored_5m_recent', true),
    (105, 'ranked_1h_recent', 'ranked', '1 hour', '1 microsecond', 'outcome', true);
UPDATE level SET learned_since = now(), learned_until = now(), audited_until = now()
WHERE recent AND subject IN ('scored', 'ranked');
