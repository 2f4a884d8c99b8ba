-- Cells of bins keep their numbers, so that a quantile reads the cells of one bin and not rows.
--
-- Bins say where a rank lies; which number it is was looked for among the rows of the window, all of
-- which had to be read. The levels of bins hold those numbers themselves now, in order, eight bytes
-- each. All of them are made from rows, for arrays of hours don't add up to one of the day. They
-- are rebuilt from the rows that are there.
SET LOCAL search_path = truthline_data, truthline, public;

-- collected: columns of a level that hold every number of a cell, in order.
ALTER TABLE level_column ADD COLUMN collected boolean NOT NULL DEFAULT false;
INSERT INTO level_column (subject, place, name, type, summed, expression, collected) VALUES
    ('score', 4, 'numbers', 'float8[]', false, 'coalesce(confidence, value)', true),
    ('latency', 3, 'numbers', 'float8[]', false, 'latency_seconds', true);

-- level_query: the cells of a level out of its source, as the text of a query.
-- `relation` is what to read, `learned` the expression of the learned span over {at}, and
-- `picked` says which rows.
CREATE OR REPLACE FUNCTION level_query(
    level level, relation text, learned text, picked text DEFAULT 'true'
) RETURNS text LANGUAGE sql STABLE SET search_path = truthline_data, pg_catalog AS $function$
    SELECT format(
        'SELECT %s AS learned, %s AS bucket, series_id, %s, %s FROM %s WHERE %s AND %s GROUP BY %s',
        replace(learned, '{at}', from_raw.clock),
        format('date_bin(%L::interval, %I, TIMESTAMPTZ ''2000-01-03 00:00:00+00'')',
               level.event_width, CASE WHEN from_raw.yes THEN 'time' ELSE 'bucket' END),
        string_agg(format('%s AS %I', source.expression, c.name), ', ' ORDER BY c.place)
            FILTER (WHERE NOT summed AND NOT collected),
        string_agg(format(CASE WHEN collected THEN 'array_agg(%1$s ORDER BY %1$s) AS %3$I'
                               ELSE 'sum(%1$s)::%2$s AS %3$I' END,
                          source.expression, type, c.name), ', ' ORDER BY c.place)
            FILTER (WHERE summed OR collected),
        relation,
        CASE WHEN from_raw.yes THEN subject.condition ELSE 'true' END,
        replace(picked, '{at}', from_raw.clock),
        (SELECT string_agg(n::text, ', ')
         FROM generate_series(1, 3 + count(*) FILTER (WHERE NOT summed AND NOT collected)) AS n)
    )
    FROM subject
    JOIN level_column AS c ON c.subject = subject.name
    CROSS JOIN LATERAL (
        SELECT level.source = subject.source,
               CASE WHEN level.source = subject.source THEN 'received_at' ELSE 'learned' END
    ) AS from_raw (yes, clock)
    CROSS JOIN LATERAL (SELECT CASE WHEN from_raw.yes THEN c.expression ELSE c.name END)
        AS source (expression)
    WHERE subject.name = level.subject
    GROUP BY subject.name, from_raw.yes, from_raw.clock
$function$;

-- build_levels: make every level that isn't there, as this edition keeps them.
--
-- Continuous aggregates are materialized_only: the planner adds the newest rows itself. Their
-- refreshes look at all that was learned, but work only through what changed; app/rollup holds
-- their start above what was dropped from the source, for a refresh there would erase it.
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
        IF EXISTS (SELECT FROM level_column AS c WHERE c.subject = one.subject AND collected) THEN
            -- a quantile asks for the cells of one bin
            EXECUTE format('CREATE INDEX ON %I (series_id, %s, bucket)', one.name,
                (SELECT string_agg(format('%I', c.name), ', ' ORDER BY c.place) FROM level_column AS c
                 WHERE c.subject = one.subject AND NOT summed AND NOT collected));
        END IF;
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

-- rebuild_bins: the levels of bins anew, from the rows there are.
CREATE PROCEDURE rebuild_bins() LANGUAGE plpgsql SET search_path = truthline_data, public AS $procedure$
DECLARE
    one level;
BEGIN
    FOR one IN SELECT * FROM level WHERE subject IN ('score', 'latency') ORDER BY place DESC LOOP
        EXECUTE format('DROP %s %I', CASE one.kept_by WHEN 'fold' THEN 'TABLE'
                                                      ELSE 'MATERIALIZED VIEW' END, one.name);
        UPDATE level SET kept_by = 'fold', learned_until = '-infinity' WHERE name = one.name;
    END LOOP;
    CALL build_levels();
END
$procedure$;
UPDATE level SET source = 'prediction' WHERE subject IN ('score', 'latency');
CALL rebuild_bins();
