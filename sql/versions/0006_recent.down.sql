-- Without recent levels: the rows that they count are all there.
DO $$
DECLARE
    built text;
BEGIN
    FOR built IN SELECT name FROM truthline_data.level WHERE recent ORDER BY place DESC LOOP
        EXECUTE format('DROP TABLE IF EXISTS truthline_data.%I', built);
    END LOOP;
    DELETE FROM truthline_data.level WHERE recent;
    DROP TRIGGER IF EXISTS void_backdated ON truthline_data.outcome;
    DROP TRIGGER IF EXISTS void_behind ON truthline_data.outcome;
    DROP TRIGGER IF EXISTS void_backdated ON truthline_data.prediction;
    DROP TRIGGER IF EXISTS void_behind ON truthline_data.prediction;
END
$$;
DROP FUNCTION truthline_data.whole_span(truthline_data.level);
ALTER TABLE truthline_data.level DROP COLUMN recent;
ALTER TABLE truthline_data.level DROP COLUMN learned_since;
