-- Without the scores of declared classes and their levels.
SET LOCAL search_path = truthline_data, truthline, public;
DO $$
DECLARE
    built level;
BEGIN
    FOR built IN SELECT * FROM level WHERE subject = 'versus' ORDER BY place DESC LOOP
        EXECUTE format('DROP %s IF EXISTS %I',
                       CASE built.kept_by WHEN 'fold' THEN 'TABLE' ELSE 'MATERIALIZED VIEW' END,
                       built.name);
    END LOOP;
END
$$;
DELETE FROM retention USING level WHERE relation = level.name AND level.subject = 'versus';
DELETE FROM level WHERE subject = 'versus';
DELETE FROM level_column WHERE subject = 'versus';
DELETE FROM subject WHERE name = 'versus';
ALTER TABLE outcome DROP COLUMN class_label, DROP COLUMN class_score;
ALTER TABLE prediction_key DROP COLUMN class_label;
DROP TABLE declared_class;
