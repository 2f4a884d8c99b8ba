-- The planner: which cells and which rows an answer is added up from.
--
-- An answer counts rows per bucket of the event clock, out of three kinds of pieces:
--
-- whole cells   With each edge of a bucket moved to the nearest bound of a wide event bucket,
--               what lies between two edges is whole cells of a level.
-- cuts          What lies between the moved edge and the edge itself: added to the bucket on one
--               side and taken from the other. It is counted in narrower cells by the same rule,
--               and at last in rows, at most half of the narrowest cell on either side.
-- tail          Rows received since the levels are clean, each in the bucket of its own time.
--
-- Cells and cuts count only what was received before one common instant, the tail only what was
-- received from there on. Along the learned clock cells come from the widest spans first: months,
-- then days, then hours up to that instant. `as_of` is the same with every bound held back to it.
-- No row is dated more than 25 hours after it was received (outcome_time_ahead), so whatever was
-- received two days before the window is skipped.
--
-- Pieces are text: in a query made of them the bounds are literals, and chunks are excluded when
-- it is planned. $1 stands for the series, $2 for the edges.

-- rounded: edges moved to the nearest bound of an event bucket; as they are where width is NULL.
CREATE OR REPLACE FUNCTION truthline.rounded(edges timestamptz[], width interval)
RETURNS timestamptz[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN width IS NULL THEN edges ELSE ARRAY(
        SELECT truthline_data.event_start(width, edge + width / 2)
        FROM unnest(edges) WITH ORDINALITY AS e (edge, n) ORDER BY n
    ) END
$$;
COMMENT ON FUNCTION truthline.rounded(timestamptz[], interval) IS
    'Edges moved to the nearest bound of an event bucket.';

-- cuts: what the edges of buckets cut off cells of width `wide`, in cells of width `narrow`, or in
-- rows where that is NULL: add `sign` times [cut_start, cut_end) to bucket `place`, and take it
-- from the next.
CREATE OR REPLACE FUNCTION truthline.cuts(edges timestamptz[], wide interval, narrow interval)
RETURNS TABLE (place integer, sign integer, cut_start timestamptz, cut_end timestamptz)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 30 AS $$
    SELECT n::integer - 1, CASE WHEN goal > have THEN 1 ELSE -1 END,
           least(have, goal), greatest(have, goal)
    FROM unnest(truthline.rounded(edges, wide), truthline.rounded(edges, narrow))
        WITH ORDINALITY AS e (have, goal, n)
    WHERE have <> goal
$$;
COMMENT ON FUNCTION truthline.cuts(timestamptz[], interval, interval) IS
    'What the edges of buckets cut off wide cells, to be counted in narrow ones.';

-- sources: which levels count the cells of each event width, along the learned clock.
--
-- Grain    one row per (event width, level), of widths up to `longest`. The spans of a width
--          follow each other up to the common instant, until which all of them are clean.
-- Why      a width need not have a level of each learned span: the next narrower one serves, for
--          its cells are parts of the wider ones. A wider span is never cleaner than those it
--          was made from, so the spans of a width don't overlap.
CREATE OR REPLACE FUNCTION truthline.sources(
    subject_name text, longest interval, as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (width interval, level text, learned_width interval, learned_from timestamptz,
                 learned_until timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH known AS MATERIALIZED (
        SELECT * FROM truthline.levels() WHERE subject = subject_name
    ),
    chosen AS (
        SELECT DISTINCT ON (w.event_width, known.learned_width)
               w.event_width AS width, known.name, known.learned_width, known.clean_until
        FROM (SELECT DISTINCT event_width FROM known WHERE event_width <= longest) AS w
        JOIN known ON known.event_width <= w.event_width
        ORDER BY w.event_width, known.learned_width, known.event_width DESC
    ),
    common AS (
        SELECT min(truthline_data.learned_start(learned_width, least(clean_until, as_of))) AS bound
        FROM (SELECT DISTINCT ON (width) * FROM chosen ORDER BY width, learned_width) AS finest
    ),
    span AS (
        SELECT chosen.*, least(clean_until,
                               truthline_data.learned_start(learned_width, bound)) AS until
        FROM chosen CROSS JOIN common
    )
    SELECT width, name, learned_width,
           coalesce(lag(until) OVER (PARTITION BY width ORDER BY learned_width DESC), '-infinity'),
           until
    FROM span
$$;
COMMENT ON FUNCTION truthline.sources(text, interval, timestamptz) IS
    'Which levels count the cells of each event width, and over which span of the learned clock.';

-- cell_columns: what cells of a subject hold, of the columns asked for. Every cell and every raw row
-- has its series, which is a key to whoever asks for it; and of outcomes can be counted how many were
-- right, without their classes. `of_cell` and `expression` say how each is had of a cell and of a row.
CREATE OR REPLACE FUNCTION truthline.cell_columns(subject_name text, columns text[])
RETURNS TABLE (place integer, name text, type text, summed boolean, collected boolean,
               of_cell text, expression text)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT place, name, type, summed, collected, quote_ident(name), expression
    FROM truthline_data.level_column WHERE subject = subject_name AND name = ANY (columns)
    UNION ALL
    SELECT 0, 'series_id', 'integer', false, false, 'series_id', 'series_id'
    WHERE 'series_id' = ANY (columns)
    UNION ALL
    SELECT 1000, 'n_correct', 'bigint', true, false,
           'CASE WHEN predicted_label = actual_label THEN n ELSE 0 END',
           'CASE WHEN predicted_label = actual_label THEN weight ELSE 0 END'
    WHERE subject_name = 'outcome' AND 'n_correct' = ANY (columns)
$$;
COMMENT ON FUNCTION truthline.cell_columns(text, text[]) IS
    'The columns of cells of a subject, of those asked for, in order.';

-- plan: the pieces of an answer.
--
-- Grain    one row per piece that may hold anything.
-- Units    `query` yields the place and the `columns` asked for, of those cells that are `picked` by
--          a condition on them. `reading` yields what is read for it: cells or raw rows of `source`,
--          a cut's only once though it counts on either side. Where a column is collected, `n` of a
--          cell is less than 0 if its numbers are taken away.
CREATE OR REPLACE FUNCTION truthline.plan(
    subject_name text, columns text[], series integer[], edges timestamptz[],
    as_of timestamptz DEFAULT 'infinity', picked text DEFAULT 'true'
) RETURNS TABLE (source text, learned_from timestamptz, learned_until timestamptz,
                 reading text, query text)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    subject truthline_data.subject;
    -- 25 hours, and half a day that the first edge may be moved back
    earliest timestamptz := edges[1] - INTERVAL '2 days';
    names text;    -- columns as a level has them
    measured text; -- expressions over a raw row
    one record;
    width interval;
    wider interval;
    bound timestamptz := '-infinity';
    narrowest text[]; -- queries of the cells of the narrowest width
    places integer[];
BEGIN
    SELECT * INTO STRICT subject FROM truthline_data.subject AS s WHERE s.name = subject_name;
    SELECT string_agg(format('%s AS %I', c.of_cell, c.name), ', ' ORDER BY c.place),
           string_agg(format(CASE WHEN collected THEN 'ARRAY[%s] AS %I' ELSE '%s AS %I' END,
                             expression, c.name), ', ' ORDER BY c.place)
    INTO names, measured
    FROM truthline.cell_columns(subject_name, columns) AS c;

    FOR one IN SELECT * FROM truthline.sources(
                   subject_name, truthline.widest(subject, edges), as_of) AS s
               ORDER BY s.width DESC, s.learned_from LOOP
        IF one.width IS DISTINCT FROM width THEN
            wider := width;
            width := one.width;
            narrowest := '{}';
        END IF;
        source := one.level;
        learned_from := greatest(one.learned_from, earliest - INTERVAL '1 month');
        learned_until := one.learned_until;
        bound := greatest(bound, learned_until);
        CONTINUE WHEN learned_from >= learned_until;
        narrowest := narrowest || format(
            'SELECT bucket, learned, learned + %L::interval AS learned_end FROM truthline_data.%I'
            ' WHERE series_id = ANY ($1) AND learned >= %L AND learned < %L',
            one.learned_width, source, learned_from, learned_until);
        IF wider IS NULL THEN
            reading := format(
                'SELECT width_bucket(bucket, truthline.rounded($2, %L)) AS place, %s'
                ' FROM truthline_data.%I WHERE series_id = ANY ($1)'
                ' AND learned >= %L AND learned < %L AND bucket >= %L AND bucket < %L AND %s',
                width, names, source, learned_from, learned_until,
                truthline_data.event_start(width, edges[1] + width / 2),
                truthline_data.event_start(width, edges[array_upper(edges, 1)] + width / 2),
                picked);
            query := reading;
            RETURN NEXT;
        ELSE
            RETURN QUERY SELECT one.level, learned_from, learned_until, cut.*
            FROM truthline.cut_piece(subject_name, columns, edges, wider, width, format(
                'SELECT bucket AS at, %s FROM truthline_data.%I WHERE series_id = ANY ($1)'
                ' AND learned >= %L AND learned < %L AND {within} AND %s',
                names, source, learned_from, learned_until, picked)) AS cut;
        END IF;
    END LOOP;

    source := subject.source;
    FOR places, learned_from, learned_until IN
        SELECT * FROM truthline.cut_spans(series, edges, width, narrowest) LOOP
        learned_from := greatest(learned_from, earliest);
        learned_until := least(learned_until, bound);
        CONTINUE WHEN learned_from >= learned_until;
        RETURN QUERY SELECT subject.source, learned_from, learned_until, cut.*
        FROM truthline.cut_piece(subject_name, columns, edges, width, NULL, format(
            'SELECT * FROM (SELECT time AS at, %s FROM truthline_data.%I WHERE series_id = ANY ($1)'
            ' AND received_at >= %L AND received_at < %L AND {within} AND %s) AS row WHERE %s',
            measured, subject.source, learned_from, learned_until, subject.condition, picked),
            places) AS cut;
    END LOOP;
    learned_from := greatest(bound, earliest);
    learned_until := as_of;
    reading := format(
        'SELECT * FROM (SELECT width_bucket(time, $2) AS place, %s FROM truthline_data.%I'
        ' WHERE series_id = ANY ($1) AND received_at >= %L AND received_at < %L'
        ' AND time >= %L AND time < %L AND %s) AS row WHERE %s',
        measured, source, learned_from, learned_until, edges[1], edges[array_upper(edges, 1)],
        subject.condition, picked);
    query := reading;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION truthline.plan(text, text[], integer[], timestamptz[], timestamptz, text) IS
    'The pieces of an answer: cells of levels, cuts and the newest rows, as text of queries.';

-- cut_spans: when the rows were learned that edges cut off cells of the narrowest width.
--
-- Grain    one row per edge that cuts off a cell with rows; where more than a few do, one for all.
-- Why      without it, the rows before an edge would be looked for in every chunk since then. The
--          cells know when they were learned, and with that as literal bounds other chunks aren't
--          even planned for. `cells` are queries of the narrowest cells of $1, the series.
CREATE OR REPLACE FUNCTION truthline.cut_spans(
    series integer[], edges timestamptz[], width interval, cells text[]
) RETURNS TABLE (places integer[], learned_from timestamptz, learned_until timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 2 AS $function$
DECLARE
    cut_places integer[];
    cut_cells timestamptz[];
BEGIN
    SELECT array_agg(place), array_agg(truthline_data.event_start(width, cut_start))
    INTO cut_places, cut_cells FROM truthline.cuts(edges, width, NULL);
    IF cut_places IS NULL OR cells = '{}' THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format(
        'SELECT array_agg(DISTINCT place), min(learned), max(learned_end)'
        ' FROM unnest($2, $3) AS cut (place, bucket)'
        ' CROSS JOIN LATERAL (%s) AS cell GROUP BY %s ORDER BY 2',
        (SELECT string_agg(cell || ' AND bucket = cut.bucket', ' UNION ALL ')
         FROM unnest(cells) AS cell),
        CASE WHEN array_length(cut_places, 1) <= 4 THEN 'place' ELSE '()' END)
    USING series, cut_places, cut_cells;
END
$function$;
COMMENT ON FUNCTION truthline.cut_spans(integer[], timestamptz[], interval, text[]) IS
    'When the rows were learned that edges of buckets cut off the narrowest cells.';

-- cut_piece: the pieces of a plan that count what edges cut off, of all or of some `places`; no row
-- where nothing is cut. `cells` is the query of cells or rows `at` some instant, {within} a cut.
CREATE OR REPLACE FUNCTION truthline.cut_piece(
    subject_name text, columns text[], edges timestamptz[], wide interval, narrow interval,
    cells text, places integer[] DEFAULT NULL
) RETURNS TABLE (reading text, query text)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 1 AS $function$
DECLARE
    last integer := array_length(edges, 1) - 1;
    at text := CASE WHEN narrow IS NULL THEN 'time' ELSE 'bucket' END;
    cut record;
BEGIN
    SELECT array_agg(c.place ORDER BY cut_start) AS places, array_agg(sign ORDER BY cut_start) AS signs,
           array_agg(cut_start ORDER BY cut_start) AS starts,
           array_agg(cut_end ORDER BY cut_start) AS ends
    INTO cut FROM truthline.cuts(edges, wide, narrow) AS c
    WHERE cut_piece.places IS NULL OR c.place = ANY (cut_piece.places);
    IF cut.places IS NULL THEN
        RETURN;
    ELSIF cut.places <@ ARRAY[0, last] AND coalesce(cut.ends[1] <= cut.starts[2], true) THEN
        reading := replace(cells, '{within}', truthline.within(at, cut.starts, cut.ends));
        query := truthline.outer_query(
            subject_name, columns, reading, cut.places, cut.signs, cut.ends[1]);
    ELSE
        reading := truthline.cut_query(wide, narrow, replace(
            cells, '{within}', format('%1$I >= cut_start AND %1$I < cut_end', at)), places);
        query := truthline.both_sides(subject_name, columns, reading);
    END IF;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION truthline.cut_piece(text, text[], timestamptz[], interval, interval, text, integer[]) IS
    'The pieces of a plan that count what the edges of buckets cut off.';

-- within: the text of a condition, that an instant lies in one of some spans.
CREATE OR REPLACE FUNCTION truthline.within(at text, starts timestamptz[], ends timestamptz[])
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT '(' || string_agg(format('%1$I >= %2$L AND %1$I < %3$L', at, start_, end_), ' OR ') || ')'
    FROM unnest(starts, ends) AS span (start_, end_)
$$;
COMMENT ON FUNCTION truthline.within(text, timestamptz[], timestamptz[]) IS
    'The text of a condition that an instant lies in one of some spans.';

-- by_cut: the text of a number that goes with one cut or the other; the first one ends at `first_end`.
CREATE OR REPLACE FUNCTION truthline.by_cut(first_end timestamptz, numbers integer[])
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN array_length(numbers, 1) = 1 THEN format('%s', numbers[1]) ELSE format(
        'CASE WHEN at < %L THEN %s ELSE %s END', first_end, numbers[1], numbers[2]) END
$$;
COMMENT ON FUNCTION truthline.by_cut(timestamptz, integer[]) IS
    'The text of a number that goes with one cut of two.';

-- outer_query: the text of a query that adds what one or both ends of a window cut off to the first
-- bucket, and to the last; `first_end` is the end of the first cut.
-- Why      buckets of whole cells are cut there alone, and with bounds that are literals the query is
--          planned in half the time.
CREATE OR REPLACE FUNCTION truthline.outer_query(
    subject_name text, columns text[], cells text, places integer[], signs integer[],
    first_end timestamptz
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format('SELECT %s AS place, %s FROM (%s) AS cell', truthline.by_cut(first_end, own), (
        SELECT string_agg(
            CASE WHEN summed THEN format('%s * %I AS %I', truthline.by_cut(first_end, own_signs), name, name)
                 ELSE format('%I', name) END, ', ' ORDER BY place)
        FROM truthline.cell_columns(subject_name, columns)), cells)
    FROM (
        SELECT array_agg(greatest(cut.place, 1)),
               array_agg(CASE cut.place WHEN 0 THEN -sign ELSE sign END)
        FROM unnest(places, signs) AS cut (place, sign)
    ) AS of_bucket (own, own_signs)
$$;
COMMENT ON FUNCTION truthline.outer_query(text, text[], text, integer[], integer[], timestamptz) IS
    'The text of a query that counts what the ends of a window cut off.';

-- cut_query: the text of a query of what lies within the cuts, or those of `places`; `cells` is that
-- of one cut.
-- Why      OFFSET 0 keeps the database from joining the other way round: cut by cut, by index. And
--          it makes plain columns of a cut's bounds, which the columnstore compares with the least
--          and greatest time of each batch; with expressions it would unpack them all.
CREATE OR REPLACE FUNCTION truthline.cut_query(
    wide interval, narrow interval, cells text, places integer[] DEFAULT NULL
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format(
        'SELECT cut.place AS cut_place, cut.sign AS cut_sign, cell.*'
        ' FROM (SELECT * FROM truthline.cuts($2, %L, %L) WHERE %s OFFSET 0) AS cut'
        ' CROSS JOIN LATERAL (%s OFFSET 0) AS cell OFFSET 0',
        wide, narrow, CASE WHEN places IS NULL THEN 'true' ELSE format('place = ANY (%L)', places) END, cells)
$$;
COMMENT ON FUNCTION truthline.cut_query(interval, interval, text, integer[]) IS
    'The text of a query of what the edges of buckets cut off.';

-- both_sides: the text of a query that adds what is cut to the bucket on one side of its edge and
-- takes it from the other.
-- Why      sums are added up before they are given to both sides; numbers can't be.
CREATE OR REPLACE FUNCTION truthline.both_sides(subject_name text, columns text[], cuts text)
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format(
        'SELECT side.place, %s FROM (%s) AS counted'
        ' CROSS JOIN LATERAL (VALUES (cut_place, cut_sign), (cut_place + 1, -cut_sign))'
        ' AS side (place, sign) WHERE side.place BETWEEN 1 AND array_length($2, 1) - 1',
        string_agg(format(CASE WHEN summed THEN 'side.sign * %1$I AS %1$I' ELSE '%1$I' END, name),
                   ', ' ORDER BY place),
        CASE WHEN bool_or(collected) THEN cuts ELSE format(
            'SELECT cut_place, cut_sign, %s FROM (%s) AS cut GROUP BY %s',
            string_agg(format(CASE WHEN summed THEN 'sum(%1$I)::%2$s AS %1$I' ELSE '%1$I' END, name,
                              type), ', ' ORDER BY place),
            cuts,
            concat_ws(', ', 'cut_place', 'cut_sign', string_agg(format('%I', name), ', ' ORDER BY place)
                                                         FILTER (WHERE NOT summed))) END)
    FROM truthline.cell_columns(subject_name, columns)
$$;
COMMENT ON FUNCTION truthline.both_sides(text, text[], text) IS
    'The text of a query that counts cuts on both sides of their edges.';

-- widest: the longest bucket, the widest that cells may be. Where raw rows are dropped, buckets
-- are no shorter than a cell.
CREATE OR REPLACE FUNCTION truthline.widest(subject truthline_data.subject, edges timestamptz[])
RETURNS interval LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT greatest(
        (SELECT max(edge - previous)
         FROM (SELECT edge, lag(edge) OVER (ORDER BY n) AS previous
               FROM unnest(edges) WITH ORDINALITY AS e (edge, n)) AS pairs),
        (SELECT min(level.event_width)
         FROM truthline_data.retention AS kept
         JOIN truthline_data.level ON level.subject = subject.name
         WHERE kept.relation = subject.source AND edges[1] < kept.since + INTERVAL '25 hours'))
$$;
COMMENT ON FUNCTION truthline.widest(truthline_data.subject, timestamptz[]) IS
    'The widest event bucket that an answer may be made of.';

-- cells_query: all pieces, added up per bucket and key. `n` must be among the columns.
CREATE OR REPLACE FUNCTION truthline.cells_query(
    subject_name text, columns text[], series integer[], edges timestamptz[], as_of timestamptz
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format(
        'SELECT place, %s FROM (%s) AS piece GROUP BY %s HAVING sum(n) <> 0',
        named.columns, pieces.query, concat_ws(', ', 'place', named.keys))
    FROM (SELECT string_agg(CASE WHEN summed THEN format('sum(%1$I)::%2$s AS %1$I', name, type)
                                 ELSE format('%I', name) END, ', ' ORDER BY place),
                 string_agg(format('%I', name), ', ' ORDER BY place) FILTER (WHERE NOT summed)
          FROM truthline.cell_columns(subject_name, columns)) AS named (columns, keys),
         (SELECT string_agg(query, ' UNION ALL ')
          FROM truthline.plan(subject_name, columns, series, edges, as_of)) AS pieces (query)
$$;
COMMENT ON FUNCTION truthline.cells_query(text, text[], integer[], timestamptz[], timestamptz) IS
    'The query whose answer are the cells of a subject, per bucket between edges.';
