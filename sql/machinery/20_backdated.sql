-- Rows received before the instant up to which a level is folded.

-- keep_backdated: adds them to every level that is folded past them.
--
-- Caller   a trigger on each raw table whose levels are folded, once per statement
-- Why      the database stamps rows, but plain SQL can state another `received_at`, and a server's
--          clock can be set back before a folded bound: then even current rows belong to a folded
--          span. They become one more group of cells at the end of the level. With the share lock
--          they are inserted before or after a fold, never during one.
-- Cost     for current rows, one check of the bounds per statement. A fold stops ten minutes before
--          its own clock (app/rollup/fold.py), so rows that are younger than five minutes and past
--          every bound need no lock.
CREATE OR REPLACE FUNCTION truthline_data.keep_backdated() RETURNS trigger LANGUAGE plpgsql
SET search_path = truthline_data, pg_catalog SET extra_float_digits = 1 AS $function$
DECLARE
    folded level;
    earliest timestamptz := (SELECT min(received_at) FROM inserted);
BEGIN
    IF earliest IS NULL
       OR earliest >= clock_timestamp() - INTERVAL '5 minutes'
          AND earliest >= (SELECT max(learned_until) FROM level) THEN
        RETURN NULL;
    END IF;
    FOR folded IN SELECT level.* FROM level JOIN subject ON subject.name = level.subject
                  WHERE subject.source = TG_TABLE_NAME AND level.kept_by = 'fold'
                  ORDER BY level.place FOR SHARE OF level LOOP
        IF earliest < folded.learned_until THEN
            folded.source := TG_TABLE_NAME;
            EXECUTE format('INSERT INTO %I %s', folded.name, level_query(
                folded, 'inserted', format('learned_start(%L, {at})', folded.learned_width),
                format('{at} < %L', folded.learned_until)));
        END IF;
    END LOOP;
    RETURN NULL;
END
$function$;

-- watch_backdated: creates that trigger on the raw tables whose levels are folded. TimescaleDB has its
-- own account of changes.
--
-- Caller   build_levels
-- Why      an existing trigger stays: replacing it would block writers until the upgrade commits. It
--          calls the newest function anyway; a migration that has to change the trigger itself drops
--          it.
CREATE OR REPLACE PROCEDURE truthline_data.watch_backdated() LANGUAGE plpgsql
SET search_path = truthline_data, public AS $procedure$
DECLARE
    raw text;
BEGIN
    FOR raw IN
        SELECT DISTINCT subject.source FROM level JOIN subject ON subject.name = level.subject
        WHERE kept_by = 'fold' AND NOT EXISTS (
            SELECT FROM pg_trigger WHERE tgname = 'keep_backdated'
            AND tgrelid = to_regclass(format('truthline_data.%I', subject.source)))
    LOOP
        EXECUTE format('CREATE TRIGGER keep_backdated AFTER INSERT ON %I'
                       ' REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT'
                       ' EXECUTE FUNCTION keep_backdated()', raw);
    END LOOP;
END
$procedure$;
