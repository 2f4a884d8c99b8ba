-- Drops the scores and their levels.
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
DELETE FROM level_column WHERE subject IN ('scored', 'ranked');
DELETE FROM subject WHERE name IN ('scored', 'ranked');
ALTER TABLE outcome
    DROP COLUMN predicted_score, DROP COLUMN actual_score, DROP COLUMN other_score,
    DROP COLUMN rest_squared;
ALTER TABLE prediction_key DROP COLUMN confidence, DROP COLUMN scores;
DROP FUNCTION true_score(float8, float8, boolean);
DROP FUNCTION log_loss(float8);
DROP FUNCTION missing_squared(float8);
DROP FUNCTION pairs_of(float8[], float8[]);
DROP FUNCTION below(float8);
DROP FUNCTION score_of_other(float8, float8, float8);
ALTER TABLE level_column DROP COLUMN computed, DROP COLUMN sparse;
ALTER TABLE model DROP COLUMN positive_label;
DROP TABLE model_class;
