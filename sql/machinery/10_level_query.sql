-- whole_span: the learned width of a level; of a recent one, that of the levels which take over from it.
CREATE OR REPLACE FUNCTION truthline_data.whole_span(level truthline_data.level) RETURNS interval
LANGUAGE sql STABLE SET search_path = truthline_data, pg_catalog AS $function$
    SELECT greatest(level.learned_width, (
        SELECT min(other.learned_width) FROM level AS other
        WHERE other.subject = level.subject AND NOT other.recent))
$function$;

-- cell_columns: the columns of a level as expressions over its source.
--
-- Grain    one row per column of the subject, in order.
-- Why      the same description counts raw rows and sums finer cells. Of raw rows numbers are collected,
--          of cells they are merged. A computed column is an expression over the other columns of the new
--          cell, which it names in braces.
CREATE OR REPLACE FUNCTION truthline_data.cell_columns(level truthline_data.level)
RETURNS TABLE (place integer, name text, is_key boolean, expression text)
LANGUAGE plpgsql STABLE SET search_path = truthline_data, pg_catalog AS $function$
#variable_conflict use_column
DECLARE
    of_rows boolean := level.source = (SELECT source FROM subject WHERE subject.name = level.subject);
    width text := format('%L::interval', level.event_width);
    described level_column;
    known record;
    found jsonb := '{}';
BEGIN
    FOR described IN SELECT * FROM level_column AS c WHERE c.subject = level.subject
                     ORDER BY c.computed, c.place LOOP
        place := described.place;
        name := described.name;
        is_key := NOT (described.summed OR described.collected OR described.computed);
        expression := CASE WHEN of_rows OR described.computed
                           THEN replace(described.expression, '{width}', width)
                           ELSE quote_ident(described.name) END;
        IF described.computed THEN
            FOR known IN SELECT * FROM jsonb_each_text(found) LOOP
                expression := replace(expression, format('{%s}', known.key), known.value);
            END LOOP;
        ELSE
            expression := format(CASE
                WHEN described.summed THEN 'sum(%1$s)::%2$s'
                WHEN described.collected AND NOT of_rows THEN 'truthline_data.merged(%1$s)'
                WHEN described.sparse THEN
                    'array_agg(%1$s ORDER BY %1$s) FILTER (WHERE %1$s IS NOT NULL)'
                WHEN described.collected THEN 'array_agg(%1$s ORDER BY %1$s)'
                ELSE '%1$s' END, expression, described.type);
            found := found || jsonb_build_object(name, expression);
        END IF;
        RETURN NEXT;
    END LOOP;
END
$function$;

-- level_query: text of the query that computes the cells of a level from its source.
--
-- Params   `relation` is the table to read, `learned` the expression of the learned span over {at}, and
--          `picked` the condition of the rows to count.
-- Caller   build_levels, keep_backdated, app/rollup/fold.py (of the previous release too)
-- Why      it reads `subject` and `level_column`, so the same expressions count a folded level, a
--          continuous aggregate, and the rows that arrive late for either.
CREATE OR REPLACE FUNCTION truthline_data.level_query(
    level truthline_data.level, relation text, learned text, picked text DEFAULT 'true'
) RETURNS text LANGUAGE sql STABLE SET search_path = truthline_data, pg_catalog AS $function$
    SELECT format(
        'SELECT %s AS learned, %s AS bucket, series_id, %s FROM %s WHERE %s AND %s GROUP BY %s',
        replace(learned, '{at}', from_raw.clock),
        format('date_bin(%L::interval, %I, TIMESTAMPTZ ''2000-01-03 00:00:00+00'')',
               level.event_width, CASE WHEN from_raw.yes THEN 'time' ELSE 'bucket' END),
        string_agg(format('%s AS %I', c.expression, c.name), ', ' ORDER BY NOT c.is_key, c.place),
        relation,
        CASE WHEN from_raw.yes THEN subject.condition ELSE 'true' END,
        replace(picked, '{at}', from_raw.clock),
        (SELECT string_agg(n::text, ', ')
         FROM generate_series(1, 3 + count(*) FILTER (WHERE c.is_key)) AS n)
    )
    FROM subject
    CROSS JOIN LATERAL cell_columns(level) AS c
    CROSS JOIN LATERAL (
        SELECT level.source = subject.source,
               CASE WHEN level.source = subject.source THEN 'received_at' ELSE 'learned' END
    ) AS from_raw (yes, clock)
    WHERE subject.name = level.subject
    GROUP BY subject.name, from_raw.yes, from_raw.clock
$function$;
