-- Without the levels that intervals of regression metrics are computed from.
DO $$
DECLARE
    built record;
BEGIN
    FOR built IN SELECT name, kept_by FROM truthline_data.level WHERE subject = 'deviation'
                 ORDER BY place DESC LOOP
        EXECUTE format('DROP %s IF EXISTS truthline_data.%I',
                       CASE built.kept_by WHEN 'fold' THEN 'TABLE' ELSE 'MATERIALIZED VIEW' END,
                       built.name);
        DELETE FROM truthline_data.retention WHERE relation = built.name;
    END LOOP;
END
$$;
DELETE FROM truthline_data.level WHERE subject = 'deviation';
DELETE FROM truthline_data.level_column WHERE subject = 'deviation';
DELETE FROM truthline_data.subject WHERE name = 'deviation';
DROP FUNCTION truthline_data.error_fourth(float8, float8);
DROP FUNCTION truthline_data.exact_squared(float8);
DROP FUNCTION truthline_data.percentage_error_squared(float8, float8);
