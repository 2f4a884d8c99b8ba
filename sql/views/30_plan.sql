-- The planner decides which cells and rows an answer is summed from.
--
-- An answer counts rows per bucket of the event clock, from these pieces:
--
-- whole   Each edge of a bucket is moved to the nearest bound of a wide event bucket: between two moved
--         edges there are only whole cells of a level.
-- cuts    The span between the moved edge and the edge itself is added to the bucket on one side and
--         subtracted from the other. Narrower cells count it by the same rule, and finally rows, at
--         most half of the narrowest cell on either side. Cuts are `ends` if only the ends of the
--         window are cut, and each counts in one bucket; otherwise they have two `sides`.
-- tail    Rows received since the instant up to which levels are clean, each in the bucket of its time.
--
-- Cells and cuts count only what was received before one common instant, and the tail only what was
-- received from then on. Along the learned clock, cells come from the widest spans first: months, then
-- days, then hours, and what was received since then from recent levels. With `as_of`, no bound is later
-- than that moment.
-- No row is dated more than 25 hours after it was received (outcome_time_ahead), so rows received more
-- than two days before the window are skipped.
--
-- Nothing here is query text: 31_write.sql writes it for each piece.

-- piece: a part of an answer, read from one level or raw table.
--
-- Units    `kind` is whole, ends, sides or tail. `source` is read over [learned_from, learned_until) of
--          the learned clock. `narrow` is the width of its cells, NULL for rows; `wide` that of the
--          cells that were cut, NULL if none were. On the event clock it counts the spans
--          [starts, ends): one for whole and tail, one per cut otherwise. For ends, a span counts
--          `signs` times in bucket `places`; for sides, `signs` times in bucket `places`, and is
--          subtracted from the next.
CREATE TYPE truthline_internal.piece AS (
    kind text, source text, learned_from timestamptz, learned_until timestamptz,
    wide interval, narrow interval,
    places integer[], signs integer[], starts timestamptz[], ends timestamptz[]
);
COMMENT ON TYPE truthline_internal.piece IS
    'A part of an answer: which cells or rows of a level or raw table count, and in which buckets.';

-- source: a level whose cells of some width are read, over a span of the learned clock.
CREATE TYPE truthline_internal.source AS (
    width interval, level text, learned_width interval, learned_from timestamptz,
    learned_until timestamptz
);
COMMENT ON TYPE truthline_internal.source IS
    'A level whose cells of an event width are read, over a span of the learned clock.';

-- rounded: edges moved to the nearest bound of an event bucket; unchanged if width is NULL.
CREATE OR REPLACE FUNCTION truthline_internal.rounded(edges timestamptz[], width interval)
RETURNS timestamptz[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN width IS NULL THEN edges ELSE ARRAY(
        SELECT truthline_data.event_start(width, edge + width / 2)
        FROM unnest(edges) WITH ORDINALITY AS e (edge, n) ORDER BY n
    ) END
$$;
COMMENT ON FUNCTION truthline_internal.rounded(timestamptz[], interval) IS
    'Edges moved to the nearest bound of an event bucket.';

-- cuts: spans that the edges of buckets cut off cells of width `wide`, as cells of width `narrow`, or
-- as rows if that is NULL: add [cut_start, cut_end) `sign` times to bucket `place`, and subtract it
-- from the next.
CREATE OR REPLACE FUNCTION truthline_internal.cuts(edges timestamptz[], wide interval, narrow interval)
RETURNS TABLE (place integer, sign integer, cut_start timestamptz, cut_end timestamptz)
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 30 AS $$
    SELECT n::integer - 1, CASE WHEN goal > have THEN 1 ELSE -1 END,
           least(have, goal), greatest(have, goal)
    FROM unnest(truthline_internal.rounded(edges, wide), truthline_internal.rounded(edges, narrow))
        WITH ORDINALITY AS e (have, goal, n)
    WHERE have <> goal
$$;
COMMENT ON FUNCTION truthline_internal.cuts(timestamptz[], interval, interval) IS
    'Spans that the edges of buckets cut off wide cells, to be counted in narrow ones.';

-- usable_levels: the levels that an answer may read, with the columns of truthline_internal.levels().
--
-- Why      a recent level continues the learned hours of its subject, so it is of use only while it begins
--          no later than they end and reaches further. Its cells can't be divided along the learned clock,
--          so an earlier moment does without them. plpgsql caches the plan.
CREATE OR REPLACE FUNCTION truthline_internal.usable_levels(as_of timestamptz DEFAULT 'infinity')
RETURNS TABLE (name text, subject text, event_width interval, learned_width interval,
               clean_until timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY WITH known AS MATERIALIZED (
        SELECT found.*, level.recent, level.learned_since,
               level.recent OR found.learned_width = min(found.learned_width)
                   FILTER (WHERE NOT level.recent) OVER (PARTITION BY found.subject) AS is_narrowest
        FROM truthline_internal.levels() AS found
        JOIN truthline_data.level ON level.name = found.name
    ),
    bound AS (
        SELECT known.subject,
               max(known.learned_since) FILTER (WHERE recent) AS recent_since,
               min(known.clean_until) FILTER (WHERE NOT recent) AS hours_until,
               min(known.clean_until) FILTER (WHERE recent) AS recent_until
        FROM known WHERE is_narrowest GROUP BY known.subject
    )
    SELECT known.name, known.subject, known.event_width, known.learned_width, known.clean_until
    FROM known JOIN bound ON bound.subject = known.subject
    WHERE NOT recent
       OR recent_since <= hours_until AND hours_until < recent_until
           AND recent_until <= usable_levels.as_of;
END
$function$;
COMMENT ON FUNCTION truthline_internal.usable_levels(timestamptz) IS
    'The levels that an answer may read, and the instant until which each holds every row received.';

-- sources: which levels provide the cells of each event width, along the learned clock.
--
-- Grain    one row per (event width, level), for widths up to `longest`. The spans of a width
--          follow each other up to the common instant, until which all of them are clean.
-- Why      a width need not have a level of each learned span: the next narrower one serves, because
--          its cells are parts of the wider ones. A wider span is never cleaner than those it was
--          computed from, so the spans of a width don't overlap. plpgsql caches the plan.
CREATE OR REPLACE FUNCTION truthline_internal.sources(
    subject_name text, longest interval, as_of timestamptz DEFAULT 'infinity'
) RETURNS SETOF truthline_internal.source LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10 AS $function$
BEGIN
    RETURN QUERY WITH known AS MATERIALIZED (
        SELECT * FROM truthline_internal.usable_levels(as_of) WHERE subject = subject_name
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
    FROM span;
END
$function$;
COMMENT ON FUNCTION truthline_internal.sources(text, interval, timestamptz) IS
    'Which levels provide the cells of each event width, and over which span of the learned clock.';

-- widest: the widest cells to use: those of the longest bucket. Where raw rows are dropped, buckets are
-- no shorter than a cell.
CREATE OR REPLACE FUNCTION truthline_internal.widest(subject truthline_data.subject, edges timestamptz[])
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
COMMENT ON FUNCTION truthline_internal.widest(truthline_data.subject, timestamptz[]) IS
    'The widest event bucket whose cells an answer may use.';

-- cut: what edges cut off, at all places or at `chosen` ones, as the columns of a piece.
--
-- Grain    one row, or none if nothing is cut.
-- Why      buckets of whole cells are cut only at the ends of their window. Each of these cuts counts in
--          one bucket: the first takes what its edge adds to the bucket before it.
CREATE OR REPLACE FUNCTION truthline_internal.cut(
    edges timestamptz[], wide interval, narrow interval, chosen integer[] DEFAULT NULL
) RETURNS TABLE (kind text, places integer[], signs integer[], starts timestamptz[], ends timestamptz[])
LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT CASE WHEN at_ends THEN 'ends' ELSE 'sides' END,
           CASE WHEN at_ends THEN of_bucket ELSE places END,
           CASE WHEN at_ends THEN of_bucket_signs ELSE signs END, starts, ends
    FROM (
        SELECT array_agg(place ORDER BY place) AS places, array_agg(sign ORDER BY place) AS signs,
               array_agg(cut_start ORDER BY place) AS starts,
               array_agg(cut_end ORDER BY place) AS ends,
               array_agg(greatest(place, 1) ORDER BY place) AS of_bucket,
               array_agg(CASE place WHEN 0 THEN -sign ELSE sign END ORDER BY place) AS of_bucket_signs
        FROM truthline_internal.cuts(edges, wide, narrow)
        WHERE chosen IS NULL OR place = ANY (chosen)
    ) AS found
    CROSS JOIN LATERAL (
        SELECT places <@ ARRAY[0, array_length(edges, 1) - 1]
               AND coalesce(ends[1] <= starts[2], true)
    ) AS where_cut (at_ends)
    WHERE places IS NOT NULL
$$;
COMMENT ON FUNCTION truthline_internal.cut(timestamptz[], interval, interval, integer[]) IS
    'What the edges of buckets cut off, at the ends of a window or on both sides of an edge.';

-- plan: the pieces of an answer.
--
-- Grain    one row per piece that may contain anything, widest cells first.
CREATE OR REPLACE FUNCTION truthline_internal.plan(
    subject_name text, series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS SETOF truthline_internal.piece LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10 AS $function$
DECLARE
    subject truthline_data.subject;
    first timestamptz := edges[1];
    last timestamptz := edges[array_upper(edges, 1)];
    -- 25 hours, and half a day by which the first edge may be moved back
    earliest timestamptz := first - INTERVAL '2 days';
    bound timestamptz := '-infinity';
    source truthline_internal.source;
    narrowest truthline_internal.source[];
    wide interval;
    cut record;
    row record;
BEGIN
    SELECT * INTO STRICT subject FROM truthline_data.subject AS s WHERE s.name = subject_name;
    FOR source IN SELECT * FROM truthline_internal.sources(
                      subject_name, truthline_internal.widest(subject, edges), as_of) AS s
                  ORDER BY s.width DESC, s.learned_from LOOP
        bound := greatest(bound, source.learned_until);
        source.learned_from := greatest(source.learned_from, earliest - INTERVAL '1 month');
        CONTINUE WHEN source.learned_from >= source.learned_until;
        IF source.width IS DISTINCT FROM narrowest[1].width THEN
            wide := narrowest[1].width;
            narrowest := '{}';
            IF wide IS NOT NULL THEN
                SELECT * INTO cut FROM truthline_internal.cut(edges, wide, source.width);
            END IF;
        END IF;
        narrowest := narrowest || source;
        IF wide IS NULL THEN
            RETURN NEXT ('whole', source.level, source.learned_from, source.learned_until,
                         NULL, source.width, NULL, NULL,
                         ARRAY[truthline_data.event_start(source.width, first + source.width / 2)],
                         ARRAY[truthline_data.event_start(source.width, last + source.width / 2)]
                        )::truthline_internal.piece;
        ELSIF cut.kind IS NOT NULL THEN
            RETURN NEXT (cut.kind, source.level, source.learned_from, source.learned_until,
                         wide, source.width, cut.places, cut.signs, cut.starts, cut.ends
                        )::truthline_internal.piece;
        END IF;
    END LOOP;
    wide := narrowest[1].width;
    FOR row IN SELECT * FROM truthline_internal.cut_rows(series, edges, narrowest) LOOP
        row.learned_from := greatest(row.learned_from, earliest);
        row.learned_until := least(row.learned_until, bound);
        CONTINUE WHEN row.learned_from >= row.learned_until;
        SELECT * INTO cut FROM truthline_internal.cut(edges, wide, NULL, row.places);
        RETURN NEXT (cut.kind, subject.source, row.learned_from, row.learned_until,
                     wide, NULL, cut.places, cut.signs, cut.starts, cut.ends)::truthline_internal.piece;
    END LOOP;
    RETURN NEXT ('tail', subject.source, greatest(bound, earliest), as_of, NULL, NULL, NULL, NULL,
                 ARRAY[first], ARRAY[last])::truthline_internal.piece;
END
$function$;
COMMENT ON FUNCTION truthline_internal.plan(text, integer[], timestamptz[], timestamptz) IS
    'The pieces of an answer: cells of levels, cuts and the newest rows.';

-- cut_rows: when the rows were received that edges cut off cells of the narrowest width.
--
-- Grain    one row per edge that cuts off a cell with rows; one for all edges if there are more than a
--          few.
-- Why      without it, every chunk since then would be searched for the rows before an edge. The cells
--          have the learned spans of their rows, and with these as literal bounds other chunks aren't
--          even planned.
CREATE OR REPLACE FUNCTION truthline_internal.cut_rows(
    series integer[], edges timestamptz[], narrowest truthline_internal.source[]
) RETURNS TABLE (places integer[], learned_from timestamptz, learned_until timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 2 AS $function$
DECLARE
    cut_places integer[];
    cut_cells timestamptz[];
BEGIN
    SELECT array_agg(place), array_agg(truthline_data.event_start(narrowest[1].width, cut_start))
    INTO cut_places, cut_cells FROM truthline_internal.cuts(edges, narrowest[1].width, NULL);
    IF cut_places IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT array_agg(cell.place ORDER BY cell.place), min(cell.learned_from), max(cell.learned_until)
    FROM truthline_internal.cells_learned(narrowest, series, cut_places, cut_cells) AS cell
    GROUP BY CASE WHEN array_length(cut_places, 1) <= 4 THEN cell.place END
    ORDER BY 2;
END
$function$;
COMMENT ON FUNCTION truthline_internal.cut_rows(integer[], timestamptz[], truthline_internal.source[]) IS
    'When the rows were received that edges of buckets cut off the narrowest cells.';
