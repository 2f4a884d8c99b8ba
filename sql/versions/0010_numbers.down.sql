-- Cells of bins without their numbers, as 0005 made them.
SET LOCAL search_path = truthline_data, truthline, public;
CREATE OR REPLACE FUNCTION level_query(level level, relation text, learned text, picked text DEFAULT 'true')
RETURNS text LANGUAGE sql STABLE SET search_path = truthline_data, pg_catalog AS $function$
    SELECT format(
        'SELECT %s AS learned, %s AS bucket, series_id, %s, %s FROM %s WHERE %s AND %s GROUP BY %s',
        replace(learned, '{at}', from_raw.clock),
        format('date_bin(%L::interval, %I, TIMESTAMPTZ ''2000-01-03 00:00:00+00'')',
               level.event_width, CASE WHEN from_raw.yes THEN 'time' ELSE 'bucket' END),
        string_agg(format('%s AS %I', CASE WHEN from_raw.yes THEN expression ELSE c.name END, c.name),
                   ', ' ORDER BY c.place) FILTER (WHERE NOT summed),
        string_agg(format('sum(%s)::%s AS %I',
                          CASE WHEN from_raw.yes THEN expression ELSE c.name END, type, c.name),
                   ', ' ORDER BY c.place) FILTER (WHERE summed),
        relation,
        CASE WHEN from_raw.yes THEN subject.condition ELSE 'true' END,
        replace(picked, '{at}', from_raw.clock),
        (SELECT string_agg(n::text, ', ')
         FROM generate_series(1, 3 + count(*) FILTER (WHERE NOT summed)) AS n)
    )
    FROM subject
    JOIN level_column AS c ON c.subject = subject.name
    CROSS JOIN LATERAL (
        SELECT level.source = subject.source,
               CASE WHEN level.source = subject.source THEN 'received_at' ELSE 'learned' END
    ) AS from_raw (yes, clock)
    WHERE subject.name = level.subject
    GROUP BY subject.name, from_raw.yes, from_raw.clock
$function$;
CREATE OR REPLACE PROCEDURE build_levels() LANGUAGE plpgsql
SET search_path = truthline_data, public AS $procedure$
DECLARE
    one level;
    by_timescaledb boolean := current_setting('timescaledb.license', true) = 'timescale'
        AND EXISTS (SELECT FROM pg_extension WHERE extname = 'timescaledb');
BEGIN
    FOR one IN SELECT * FROM level WHERE to_regclass(format('truthline_data.%I', name)) IS NULL
               ORDER BY place LOOP
        IF by_timescaledb THEN
            CALL build_aggregate(one);
            UPDATE level SET kept_by = 'timescaledb' WHERE name = one.name;
        ELSE
            EXECUTE format('CREATE TABLE %I AS %s WITH NO DATA', one.name, level_query(
                one, one.source, format('learned_start(%L, {at})', one.learned_width)));
            EXECUTE format('CREATE INDEX ON %I USING brin (learned) WITH (pages_per_range = 32)',
                           one.name);
        END IF;
        EXECUTE format('CREATE INDEX ON %I (series_id, bucket)', one.name);
    END LOOP;
    IF NOT by_timescaledb THEN
        CREATE OR REPLACE TRIGGER keep_backdated AFTER INSERT ON outcome FOR EACH ROW
            WHEN (NEW.received_at < clock_timestamp() - INTERVAL '5 minutes')
            EXECUTE FUNCTION keep_backdated('outcome');
        CREATE OR REPLACE TRIGGER keep_backdated AFTER INSERT ON prediction FOR EACH ROW
            WHEN (NEW.received_at < clock_timestamp() - INTERVAL '5 minutes')
            EXECUTE FUNCTION keep_backdated('prediction');
    END IF;
END
$procedure$;
DELETE FROM level_column WHERE collected;
UPDATE level SET source = subject || '_1h_1h'
WHERE subject IN ('score', 'latency') AND event_width = '1 day';
CALL rebuild_bins();
DROP PROCEDURE rebuild_bins();
ALTER TABLE level_column DROP COLUMN collected;
