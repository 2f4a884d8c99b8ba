-- Erasing rows out of levels.
--
-- The caller has deleted the raw rows in the same transaction and listed them in the temporary table
-- `erased_row (source, series_id, received_at)`. So a snapshot holds the rows and their cells, or neither.

-- cells_of_level: the table that holds a level's cells: of a continuous aggregate, its hypertable.
CREATE OR REPLACE FUNCTION truthline_data.cells_of_level(level truthline_data.level) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = truthline_data, pg_catalog AS $function$
DECLARE
    found text := format('truthline_data.%I', level.name);
BEGIN
    IF level.kept_by = 'timescaledb' THEN
        SELECT format('%I.%I', h.schema_name, h.table_name) INTO STRICT found
        FROM _timescaledb_catalog.continuous_agg AS agg
        JOIN _timescaledb_catalog.hypertable AS h ON h.id = agg.mat_hypertable_id
        WHERE agg.user_view_schema = 'truthline_data' AND agg.user_view_name = level.name;
    END IF;
    RETURN found;
END
$function$;

-- erase_cells: deletes all cells of some series, also those whose rows retention has dropped.
--
-- Caller   app/rollup/erasing.py
CREATE OR REPLACE PROCEDURE truthline_data.erase_cells(series integer[]) LANGUAGE plpgsql
SET search_path = truthline_data, pg_catalog AS $procedure$
DECLARE
    counted level;
BEGIN
    FOR counted IN SELECT * FROM level WHERE NOT recent ORDER BY place FOR UPDATE LOOP
        EXECUTE format('DELETE FROM %s WHERE series_id = ANY ($1)', cells_of_level(counted))
        USING series;
    END LOOP;
END
$procedure$;

-- recount_erased: counts the cells again from which rows were erased: those of folded levels, and of
-- continuous aggregates those that no refresh can compute, because their source was dropped.
--
-- Caller   app/rollup/erasing.py
-- Why      numbers that a cell collects can't be subtracted, so the cells of a series and a learned span
--          are computed from what remains. Retention may have dropped their source; then rows are
--          counted, and if these are gone too, as whole days are, nothing in them was erased.
--          A fold takes the same locks, so it has counted the rows before or never does.
CREATE OR REPLACE PROCEDURE truthline_data.recount_erased() LANGUAGE plpgsql
SET search_path = truthline_data, pg_catalog SET extra_float_digits = 1 AS $procedure$
DECLARE
    folded level;
    raw text;
    relation text;
    cells text;
    bounds record;
BEGIN
    CREATE TEMPORARY TABLE erased_span (source text, series_id integer, learned timestamptz)
        ON COMMIT DROP;
    FOR folded IN SELECT * FROM level WHERE NOT recent ORDER BY place FOR UPDATE LOOP
        cells := cells_of_level(folded);
        raw := (SELECT subject.source FROM subject WHERE subject.name = folded.subject);
        DELETE FROM pg_temp.erased_span;
        INSERT INTO pg_temp.erased_span
        SELECT CASE WHEN span.learned >= kept_since(folded.source) THEN folded.source ELSE raw END,
               span.series_id, span.learned
        FROM (
            SELECT DISTINCT series_id, learned_start(folded.learned_width, received_at)
            FROM pg_temp.erased_row
            WHERE source = raw
              AND (received_at < folded.learned_until OR folded.kept_by = 'timescaledb')
        ) AS span (series_id, learned)
        WHERE (folded.kept_by = 'fold' OR span.learned < kept_since(folded.source))
          AND span.learned >= kept_since(folded.name)
          AND span.learned >= least(kept_since(folded.source), kept_since(raw));
        EXECUTE format('DELETE FROM %s AS cell USING pg_temp.erased_span AS span'
                       ' WHERE cell.series_id = span.series_id AND cell.learned = span.learned',
                       cells);
        FOR bounds IN SELECT source, array_agg(DISTINCT series_id) AS series, min(learned) AS first,
                             max(learned) AS last
                      FROM pg_temp.erased_span GROUP BY source LOOP
            relation := format('truthline_data.%I', bounds.source);
            folded.source := bounds.source;
            EXECUTE format('INSERT INTO %s %s', cells, level_query(
                folded, relation, format('truthline_data.learned_start(%L, {at})', folded.learned_width),
                format('{at} >= %L AND {at} < %L AND series_id = ANY (%L::integer[])'
                       ' AND (series_id, truthline_data.learned_start(%L, {at})) IN'
                       ' (SELECT series_id, learned FROM pg_temp.erased_span WHERE source = %L)',
                       bounds.first, bounds.last + folded.learned_width, bounds.series,
                       folded.learned_width, bounds.source)));
        END LOOP;
    END LOOP;
END
$procedure$;

-- kept_since: from when on a raw table or level still has its rows.
CREATE OR REPLACE FUNCTION truthline_data.kept_since(kept text) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = truthline_data, pg_catalog AS $function$
    SELECT coalesce((SELECT since FROM retention WHERE retention.relation = kept), '-infinity')
$function$;
