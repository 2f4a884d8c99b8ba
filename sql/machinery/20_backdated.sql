-- Rows received before the instant up to which a level is folded.

-- sees_folds: whether a row that was received at some moment is compared with levels as they are.
--
-- Why      a transaction that isn't READ COMMITTED sees them as they were at its start. For a row that
--          was stamped during its statement that makes no difference: folds wait for its transaction.
CREATE OR REPLACE FUNCTION truthline_data.sees_folds(received timestamptz) RETURNS boolean
LANGUAGE sql VOLATILE SET search_path = pg_catalog AS $function$
    SELECT received >= statement_timestamp()
        OR current_setting('transaction_isolation') = 'read committed'
$function$;

-- keep_backdated: adds them to every level that is folded past them.
--
-- Caller   a trigger on each raw table whose levels are folded, once per statement
-- Why      the database stamps rows, but plain SQL can state another `received_at`, and a server's
--          clock can be set back before a folded bound: then even current rows belong to a folded
--          span. They become one more group of cells at the end of the level. With the share lock
--          they are inserted before or after a fold, never during one.
-- Errors   serialization_failure: the transaction started before the level was folded, reads it as it
--          was then, and states a time of receipt.
-- Cost     for current rows, one check of the bounds per statement. A fold stops ten minutes before
--          its own clock (app/rollup/fold.py), so rows that are younger than five minutes and past
--          every bound need no lock. Recent levels, which stop a second before it, are audited.
CREATE OR REPLACE FUNCTION truthline_data.keep_backdated() RETURNS trigger LANGUAGE plpgsql
SET search_path = truthline_data, pg_catalog SET extra_float_digits = 1 AS $function$
DECLARE
    folded level;
    earliest timestamptz := (SELECT min(received_at) FROM inserted);
BEGIN
    IF earliest IS NULL
       OR earliest >= clock_timestamp() - INTERVAL '5 minutes'
          AND earliest >= (SELECT max(learned_until) FROM level)
          AND sees_folds(earliest) THEN
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

-- start_over: empties a recent level and those computed from it. Until the next fold, answers read
-- their rows.
--
-- Caller   void_recent, app/rollup/recent.py
CREATE OR REPLACE PROCEDURE truthline_data.start_over(outdated text) LANGUAGE plpgsql
SET search_path = truthline_data, pg_catalog AS $procedure$
DECLARE
    counted text;
BEGIN
    FOR counted IN SELECT name FROM level WHERE recent AND outdated IN (name, source)
                   ORDER BY place FOR UPDATE LOOP
        EXECUTE format('DELETE FROM %I', counted);
        UPDATE level SET learned_until = learned_since, audited_until = learned_since
        WHERE name = counted;
        UPDATE audit_fault SET healed_at = clock_timestamp()
        WHERE level = counted AND healed_at IS NULL;
    END LOOP;
END
$procedure$;

-- void_recent: empties the recent levels of a raw table that are folded past new rows.
--
-- Params   the raw table, because a row's trigger belongs to a chunk.
-- Caller   two triggers on each raw table that TimescaleDB counts: one for each row that was received
--          more than a second before it is stored, one for each statement, in case the clock went back
-- Why      while a hypertable has a trigger that asks for the rows of its statement, as keep_backdated
--          does, a COPY into it records no change for its aggregates (TimescaleDB 2.29.2).
-- Cost     for current rows, one look at the bounds per statement. No lock is needed: a fold that is
--          running now is audited once this transaction has ended.
-- Errors   serialization_failure, as of keep_backdated
CREATE OR REPLACE FUNCTION truthline_data.void_recent() RETURNS trigger LANGUAGE plpgsql
SET search_path = truthline_data, pg_catalog AS $function$
DECLARE
    earliest timestamptz := least(statement_timestamp(), clock_timestamp());
    outdated text;
BEGIN
    IF TG_LEVEL = 'ROW' THEN
        earliest := NEW.received_at;
        IF NOT sees_folds(earliest) THEN
            PERFORM FROM level WHERE recent AND learned_since <= earliest FOR SHARE;
        END IF;
    END IF;
    FOR outdated IN SELECT level.name FROM level JOIN subject ON subject.source = level.source
                    WHERE recent AND level.source = TG_ARGV[0] AND subject.name = level.subject
                      AND learned_since <= earliest AND earliest < learned_until
                    ORDER BY level.place LOOP
        CALL start_over(outdated);
    END LOOP;
    RETURN NULL;
END
$function$;

-- watch_backdated: creates the triggers on the raw tables that fit how their levels are kept.
--
-- Caller   build_levels
CREATE OR REPLACE PROCEDURE truthline_data.watch_backdated() LANGUAGE plpgsql
SET search_path = truthline_data, public AS $procedure$
DECLARE
    raw record;
BEGIN
    FOR raw IN SELECT subject.source AS name, bool_or(kept_by = 'timescaledb') AS by_timescaledb
               FROM level JOIN subject ON subject.name = level.subject GROUP BY 1 LOOP
        IF raw.by_timescaledb THEN
            CALL add_trigger(raw.name, 'void_backdated', format(
                'FOR EACH ROW WHEN (NEW.received_at < clock_timestamp() - INTERVAL ''1 second'')'
                ' EXECUTE FUNCTION void_recent(%L)', raw.name));
            CALL add_trigger(raw.name, 'void_behind', format(
                'FOR EACH STATEMENT EXECUTE FUNCTION void_recent(%L)', raw.name));
        ELSE
            CALL add_trigger(raw.name, 'keep_backdated',
                'REFERENCING NEW TABLE AS inserted FOR EACH STATEMENT'
                ' EXECUTE FUNCTION keep_backdated()');
        END IF;
    END LOOP;
END
$procedure$;

-- add_trigger: creates a trigger after inserts into a raw table, unless it is there.
--
-- Caller   watch_backdated
-- Why      an existing trigger stays: replacing it would block writers until the upgrade commits. It
--          calls the newest function anyway; a migration that has to change the trigger itself drops
--          it.
CREATE OR REPLACE PROCEDURE truthline_data.add_trigger(raw text, called text, action text)
LANGUAGE plpgsql SET search_path = truthline_data, public AS $procedure$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_trigger WHERE tgname = called AND tgrelid = raw::regclass) THEN
        EXECUTE format('CREATE TRIGGER %I AFTER INSERT ON %I %s', called, raw, action);
    END IF;
END
$procedure$;
