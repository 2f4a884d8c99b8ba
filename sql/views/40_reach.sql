-- reach: which of a question can still be answered exactly, after something was dropped.
--
-- Grain    one row: the edges and the moment that will be answered for. They are those asked for
--          unless rows are missing that only a narrower cell, or only raw rows, could tell apart.
-- Snapping an edge within a cell is moved to the cell's nearer bound if the cell has rows that
--          were received before what is kept of the narrower table. `as_of` is held back to the
--          last hour, or day, whose bound is kept.
-- Cost     nothing while nothing was dropped; otherwise a look at one cell per edge.
CREATE OR REPLACE FUNCTION truthline.reach(
    subject_name text, series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (reached_edges timestamptz[], reached_as_of timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    missing_before timestamptz := (
        SELECT since FROM truthline_data.retention
        JOIN truthline_data.subject ON subject.source = relation WHERE subject.name = subject_name);
    width interval;
    levels text[];
    cells text;
BEGIN
    reached_edges := edges;
    reached_as_of := truthline.reach_as_of(subject_name, as_of);
    FOR width, levels IN
        SELECT event_width, array_agg(name ORDER BY learned_width DESC) FROM truthline_data.level
        WHERE subject = subject_name GROUP BY 1 ORDER BY 1 LOOP
        EXIT WHEN missing_before IS NULL;
        SELECT string_agg(format('SELECT FROM truthline_data.%I WHERE series_id = ANY ($1)'
                                 ' AND bucket = $2 AND learned < %L', name, missing_before),
                          ' UNION ALL ')
        INTO cells FROM unnest(levels) AS name;
        reached_edges := truthline.moved(series, reached_edges, width, missing_before, cells);
        -- wider cells are looked at next, for what was dropped from these
        missing_before := (SELECT since FROM truthline_data.retention WHERE relation = levels[1]);
    END LOOP;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION truthline.reach(text, integer[], timestamptz[], timestamptz) IS
    'The edges and the moment that can be answered for, given what was dropped.';

-- moved: edges within cells of `width` that have rows received before `missing_before`, moved to
-- the nearer bound of the cell. `cells` is the query of a cell's rows: $1 the series, $2 the cell.
CREATE OR REPLACE FUNCTION truthline.moved(
    series integer[], edges timestamptz[], width interval, missing_before timestamptz, cells text
) RETURNS timestamptz[] LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    gone boolean;
    cell timestamptz;
BEGIN
    FOR i IN 1 .. array_length(edges, 1) LOOP
        cell := truthline_data.event_start(width, edges[i]);
        CONTINUE WHEN cell = edges[i] OR cell >= missing_before + INTERVAL '25 hours';
        EXECUTE format('SELECT EXISTS (%s)', cells) INTO gone USING series, cell;
        IF gone THEN
            edges[i] := truthline_data.event_start(width, edges[i] + width / 2);
        END IF;
    END LOOP;
    RETURN edges;
END
$function$;
COMMENT ON FUNCTION truthline.moved(integer[], timestamptz[], interval, timestamptz, text) IS
    'Edges within cells that can no longer be divided, moved to the nearer bound of the cell.';

-- reach_as_of: the latest moment up to `as_of` whose answer can still be given: the rows since the
-- last learned hour must be there, and the hours since the last learned day.
CREATE OR REPLACE FUNCTION truthline.reach_as_of(subject_name text, as_of timestamptz)
RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN truthline_data.learned_start('1 day', by_row.moment) < hours.since
            THEN truthline_data.learned_start('1 day', by_row.moment)
        ELSE by_row.moment END
    FROM (SELECT max(since) FROM truthline_data.retention
          JOIN truthline_data.subject ON subject.source = relation
          WHERE subject.name = subject_name) AS rows (since)
    CROSS JOIN (
        SELECT max(since) FROM truthline_data.retention
        JOIN truthline_data.level ON level.name = relation
        WHERE level.subject = subject_name AND level.learned_width = INTERVAL '1 hour'
          AND EXISTS (SELECT FROM truthline_data.level AS day
                      WHERE day.subject = level.subject AND day.event_width = level.event_width
                        AND day.learned_width = INTERVAL '1 day')) AS hours (since)
    CROSS JOIN LATERAL (
        SELECT CASE WHEN truthline_data.learned_start('1 hour', as_of) < rows.since
                    THEN truthline_data.learned_start('1 hour', as_of) ELSE as_of END
    ) AS by_row (moment)
$$;
COMMENT ON FUNCTION truthline.reach_as_of(text, timestamptz) IS
    'The latest moment whose answer can still be given, given what was dropped.';
