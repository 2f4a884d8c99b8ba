-- Rows of predictions that get their latency after levels have counted them.

-- keep_updated: adds to every level that is folded past such rows what their latency changes.
--
-- Caller   a trigger on `prediction`, once per statement that updates rows (app/ingest/events/pairs.py)
-- Why      the request of a response that is stored already may arrive late, and recent levels count
--          rows a second after their receipt. The level's cells of the rows as they were are compared
--          with those of the rows as they are: what is new is added, what is gone is subtracted. A
--          fold locks the level too, so it counts a row before its update or after, and this adds the
--          difference in the first case alone. Levels that TimescaleDB keeps see the update
--          themselves.
-- Errors   feature_not_supported: a number that a level has collected would change. Rows are
--          append-only; only what they lack can be set.
-- Cost     a lock on each folded level of predictions, and a query of the updated rows for each that
--          counts one of them.
CREATE OR REPLACE FUNCTION truthline_data.keep_updated() RETURNS trigger LANGUAGE plpgsql
SET search_path = truthline_data, pg_catalog SET extra_float_digits = 1 AS $function$
DECLARE
    folded level;
    earliest timestamptz := (SELECT least(min(before.received_at), (SELECT min(received_at) FROM after))
                             FROM before);
BEGIN
    IF earliest IS NULL THEN
        RETURN NULL;
    END IF;
    FOR folded IN SELECT level.* FROM level JOIN subject ON subject.name = level.subject
                  WHERE subject.source = TG_TABLE_NAME AND level.kept_by = 'fold'
                  ORDER BY level.place FOR SHARE OF level LOOP
        IF earliest < folded.learned_until THEN
            folded.source := TG_TABLE_NAME;
            EXECUTE changed_query(folded);
        END IF;
    END LOOP;
    RETURN NULL;
END
$function$;

-- changed_query: text of the statement that appends to a level how its cells of the rows `after` differ
-- from those of the same rows `before`.
CREATE OR REPLACE FUNCTION truthline_data.changed_query(level truthline_data.level) RETURNS text
LANGUAGE sql STABLE SET search_path = truthline_data, pg_catalog AS $function$
    SELECT format(
        'INSERT INTO %1$I WITH old AS (%2$s), new AS (%3$s)'
        ' SELECT * FROM (SELECT * FROM new EXCEPT ALL SELECT * FROM old) AS cell'
        ' UNION ALL SELECT learned, bucket, series_id, %4$s'
        ' FROM (SELECT * FROM old EXCEPT ALL SELECT * FROM new) AS cell',
        level.name, cells.of_before, cells.of_after,
        (SELECT string_agg(format(CASE WHEN c.collected THEN 'unchanged(%I)'
                                       WHEN c.summed THEN '-%I'
                                       ELSE '%I' END, c.name),
                           ', ' ORDER BY c.summed OR c.collected OR c.computed, c.place)
         FROM level_column AS c WHERE c.subject = level.subject))
    FROM (
        SELECT level_query(level, 'before', learned, picked), level_query(level, 'after', learned, picked)
        FROM (SELECT format('learned_start(%L, {at})', level.learned_width),
                     format('{at} >= %L AND {at} < %L', level.learned_since, level.learned_until)
             ) AS span (learned, picked)
    ) AS cells (of_before, of_after)
$function$;

-- unchanged: raises an error, because numbers that a level has collected can't be subtracted.
CREATE OR REPLACE FUNCTION truthline_data.unchanged(numbers double precision[])
RETURNS double precision[] LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog AS $function$
BEGIN
    RAISE feature_not_supported USING MESSAGE =
        'levels count these rows already: only a latency that is missing can be set';
END
$function$;

-- watch_updated: creates the trigger, unless it is there.
--
-- Caller   build_levels
CREATE OR REPLACE PROCEDURE truthline_data.watch_updated() LANGUAGE plpgsql
SET search_path = truthline_data, public AS $procedure$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger
                   WHERE tgname = 'keep_updated' AND tgrelid = 'prediction'::regclass) THEN
        CREATE TRIGGER keep_updated AFTER UPDATE ON prediction
        REFERENCING OLD TABLE AS before NEW TABLE AS after
        FOR EACH STATEMENT EXECUTE FUNCTION keep_updated();
    END IF;
END
$procedure$;
