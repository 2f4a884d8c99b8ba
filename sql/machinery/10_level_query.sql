-- whole_span: the learned width of a level; of a recent one, that of the levels which take over from it.
CREATE OR REPLACE FUNCTION truthline_data.whole_span(level truthline_data.level) RETURNS interval
LANGUAGE sql STABLE SET search_path = truthline_data, pg_catalog AS $function$
    SELECT greatest(level.learned_width, (
        SELECT min(other.learned_width) FROM level AS other
        WHERE other.subject = level.subject AND NOT other.recent))
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
        concat_ws(
            ', ',
            string_agg(format('%s AS %I', source.expression, c.name), ', ' ORDER BY c.place)
                FILTER (WHERE of_rows IS NULL),
            string_agg(format(of_rows, source.expression, type, c.name), ', ' ORDER BY c.place)),
        relation,
        CASE WHEN from_raw.yes THEN subject.condition ELSE 'true' END,
        replace(picked, '{at}', from_raw.clock),
        (SELECT string_agg(n::text, ', ')
         FROM generate_series(1, 3 + count(*) FILTER (WHERE of_rows IS NULL)) AS n)
    )
    FROM subject
    JOIN level_column AS c ON c.subject = subject.name
    CROSS JOIN LATERAL (
        SELECT level.source = subject.source,
               CASE WHEN level.source = subject.source THEN 'received_at' ELSE 'learned' END
    ) AS from_raw (yes, clock)
    CROSS JOIN LATERAL (SELECT CASE WHEN from_raw.yes THEN c.expression ELSE c.name END)
        AS source (expression)
    CROSS JOIN LATERAL (SELECT
        CASE WHEN computed THEN '%1$s AS %3$I'
             WHEN sparse THEN
                 'array_agg(%1$s ORDER BY %1$s) FILTER (WHERE %1$s IS NOT NULL) AS %3$I'
             WHEN collected THEN 'array_agg(%1$s ORDER BY %1$s) AS %3$I'
             WHEN summed THEN 'sum(%1$s)::%2$s AS %3$I' END) AS form (of_rows)
    WHERE subject.name = level.subject
    GROUP BY subject.name, from_raw.yes, from_raw.clock
$function$;
