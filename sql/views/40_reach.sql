-- reach: the part of a query that can still be answered exactly after rows or cells were dropped.
--
-- Grain    one row: the edges and the moment that the answer covers. They are the requested ones,
--          unless rows are missing that only a narrower cell, or only raw rows, could divide.
-- Snapping an edge within a cell is moved to the cell's nearer bound if the cell has rows that
--          were received before the narrower table's remaining rows. `as_of` becomes the last hour, or
--          day, whose bound remains.
-- Cost     nothing until something is dropped; then a lookup of one cell per edge.
CREATE OR REPLACE FUNCTION truthline_internal.reach(
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
    reached_as_of := truthline_internal.reach_as_of(subject_name, as_of);
    FOR width, levels IN
        SELECT event_width, array_agg(name ORDER BY learned_width DESC) FROM truthline_data.level
        WHERE subject = subject_name GROUP BY 1 ORDER BY 1 LOOP
        EXIT WHEN missing_before IS NULL;
        SELECT string_agg(format('SELECT FROM truthline_data.%I WHERE series_id = ANY ($1)'
                                 ' AND bucket = $2 AND learned < %L', name, missing_before),
                          ' UNION ALL ')
        INTO cells FROM unnest(levels) AS name;
        reached_edges := truthline_internal.moved(series, reached_edges, width, missing_before, cells);
        -- wider cells are next: some of these may have been dropped too
        missing_before := (SELECT since FROM truthline_data.retention WHERE relation = levels[1]);
    END LOOP;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION truthline_internal.reach(text, integer[], timestamptz[], timestamptz) IS
    'The edges and the moment that an answer can cover, given what was dropped.';

-- moved: edges within cells of `width` that have rows received before `missing_before`, moved to
-- the nearer bound of the cell. `cells` is the query of a cell's rows: $1 the series, $2 the cell.
CREATE OR REPLACE FUNCTION truthline_internal.moved(
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
COMMENT ON FUNCTION truthline_internal.moved(integer[], timestamptz[], interval, timestamptz, text) IS
    'Edges within cells that can no longer be divided, moved to the nearer bound of the cell.';

-- reach_as_of: the latest moment up to `as_of` that can still be answered for: the rows since the last
-- learned hour must remain, and the hours since the last learned day.
CREATE OR REPLACE FUNCTION truthline_internal.reach_as_of(subject_name text, as_of timestamptz)
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
COMMENT ON FUNCTION truthline_internal.reach_as_of(text, timestamptz) IS
    'The latest moment that can still be answered for, given what was dropped.';

-- shared_reach_as_of: the latest moment that all of some subjects can be answered for.
--
-- Why      an answer about several subjects is of one moment, and the latest moment can differ between
--          them. A bound of hours or days of one is a bound of the others too.
CREATE OR REPLACE FUNCTION truthline_internal.shared_reach_as_of(subjects text[], as_of timestamptz)
RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT min(truthline_internal.reach_as_of(name, as_of)) FROM unnest(subjects) AS subject (name)
$$;
COMMENT ON FUNCTION truthline_internal.shared_reach_as_of(text[], timestamptz) IS
    'The latest moment that all of some subjects can be answered for, given what was dropped.';

-- basis: the basis of an answer, per subject.
--
-- Grain    one row per subject.
-- Units    `exact` states whether the query can be answered as requested. `asked` are the edges that
--          were moved, `answered` where to; `known_at` is the moment answered for (NULL: now), and
--          rows received since `clean_until` are read one by one (NULL: all of them).
CREATE OR REPLACE FUNCTION truthline_internal.basis(
    subjects text[], series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (
    subject text, exact boolean, asked timestamptz[], answered timestamptz[],
    known_at timestamptz, clean_until timestamptz
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT s.name, reach.reached_edges = edges AND reach.reached_as_of = as_of,
           moved.asked, moved.answered, nullif(reach.reached_as_of, 'infinity'), clean.until
    FROM unnest(subjects) WITH ORDINALITY AS s (name, place)
    CROSS JOIN (SELECT edges OFFSET 0) AS once (edges)
    CROSS JOIN LATERAL truthline_internal.reach(s.name, series, edges, as_of) AS reach
    LEFT JOIN (SELECT DISTINCT ON (l.subject) l.subject, nullif(l.clean_until, '-infinity')
               FROM truthline_internal.usable_levels(as_of) AS l
               ORDER BY l.subject, l.learned_width, l.clean_until) AS clean (name, until)
        ON clean.name = s.name
    CROSS JOIN LATERAL (
        SELECT coalesce(array_agg(edge ORDER BY n), '{}'), coalesce(array_agg(found ORDER BY n), '{}')
        FROM unnest(edges, reach.reached_edges) WITH ORDINALITY AS e (edge, found, n)
        WHERE edge <> found
    ) AS moved (asked, answered)
    ORDER BY s.place
$$;
COMMENT ON FUNCTION truthline_internal.basis(text[], integer[], timestamptz[], timestamptz) IS
    'The basis of an answer: whether it is exact, which edges were moved, and as of when.';

-- lacks_rows: whether rows of predictions may be missing between two instants.
--
-- Why      queries of the rows themselves can't be answered from cells.
-- Cost     nothing until something is dropped, or long before; otherwise a lookup of one cell. Cells of
--          the hours at both ends count whole, so a row next to an end may be reported as missing.
CREATE OR REPLACE FUNCTION truthline_internal.lacks_rows(
    series integer[], start_time timestamptz, end_time timestamptz
) RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT EXISTS (
        SELECT FROM truthline_data.retention AS kept
        CROSS JOIN LATERAL (
            SELECT FROM truthline_data.prediction_1h_1h AS cell
            WHERE cell.series_id = ANY (series) AND cell.learned < kept.since
              AND cell.bucket >= truthline_data.event_start(INTERVAL '1 hour', start_time)
              AND cell.bucket < end_time
            LIMIT 1
        ) AS gone
        WHERE kept.relation = 'prediction' AND start_time < kept.since + INTERVAL '25 hours'
    )
$$;
COMMENT ON FUNCTION truthline_internal.lacks_rows(integer[], timestamptz, timestamptz) IS
    'Whether rows of predictions may have been dropped between two instants.';

-- require_rows: raises an error if rows may have been dropped.
-- Errors   no_data_found: they may.
CREATE OR REPLACE FUNCTION truthline_internal.require_rows(
    series integer[], start_time timestamptz, end_time timestamptz
) RETURNS void LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
BEGIN
    IF truthline_internal.lacks_rows(series, start_time, end_time) THEN
        RAISE no_data_found USING MESSAGE = format(
            'metadata is joined with rows, and those received before %s were dropped: ask for a later'
            ' window, or without a field of metadata',
            to_char((SELECT since FROM truthline_data.retention WHERE relation = 'prediction')
                    AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'));
    END IF;
END
$function$;
COMMENT ON FUNCTION truthline_internal.require_rows(integer[], timestamptz, timestamptz) IS
    'Raises an error if rows of predictions may have been dropped between two instants.';

-- seen: when a series made its first and its last prediction.
-- Units    to the hour, as its start, if the row itself was dropped; NULL if there are none.
CREATE OR REPLACE FUNCTION truthline_internal.seen(
    series integer, OUT first timestamptz, OUT last timestamptz
) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT least(row.first, gone.first), greatest(row.last, gone.last)
    FROM (SELECT (SELECT min(time) FROM truthline_data.prediction WHERE series_id = seen.series),
                 (SELECT max(time) FROM truthline_data.prediction WHERE series_id = seen.series)
         ) AS row (first, last)
    LEFT JOIN LATERAL (
        SELECT (SELECT bucket FROM truthline_data.prediction_1h_1h
                WHERE series_id = seen.series AND learned < kept.since ORDER BY bucket LIMIT 1),
               -- an existing row that is later than every dropped one makes this lookup unnecessary
               (SELECT bucket FROM truthline_data.prediction_1h_1h
                WHERE series_id = seen.series AND learned < kept.since
                  AND coalesce(row.last < kept.since + INTERVAL '25 hours', true)
                ORDER BY bucket DESC LIMIT 1)
        FROM truthline_data.retention AS kept WHERE kept.relation = 'prediction'
    ) AS gone (first, last) ON true
$$;
COMMENT ON FUNCTION truthline_internal.seen(integer) IS
    'When a series made its first and its last prediction.';
