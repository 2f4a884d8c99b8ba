-- Drops the scores and their levels.
SET LOCAL search_path = truthline_data, truthline, public;
DO $$
DECLARE
    built level;
BEGIN
    FOR built IN SELECT * FROM level WHERE subject = 'scored' ORDER BY place DESC LOOP
        EXECUTE format('DROP %s IF EXISTS %I',
                       CASE built.kept_by WHEN 'fold' THEN 'TABLE' ELSE 'MATERIALIZED VIEW' END,
                       built.name);
    END LOOP;
END
$$;
DELETE FROM retention USING level
WHERE relation = level.name AND level.subject = 'scored';
DELETE FROM level WHERE subject = 'scored';
DELETE FROM level_column WHERE subject = 'scored';
DELETE FROM subject WHERE name = 'scored';
ALTER TABLE outcome
    DROP COLUMN predicted_score, DROP COLUMN actual_score, DROP COLUMN other_score,
    DROP COLUMN rest_squared;
ALTER TABLE prediction_key DROP COLUMN confidence, DROP COLUMN scores;
DROP FUNCTION true_score(float8, float8, boolean);
DROP FUNCTION log_loss(float8);
DROP FUNCTION missing_squared(float8);
DROP TABLE model_class;
