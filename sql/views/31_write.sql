-- Text of queries that read the pieces of a plan, with one writer per kind of piece.
--
-- The database gets the pieces as text, so that their bounds are literals and chunks are excluded when
-- the query is planned. $1 stands for the series, $2 for the edges.

-- wanted: what a query reads from the cells and rows of a subject, as text.
--
-- Units    `of_cell` and `of_row` list the columns as expressions of a cell and of a raw row; `signed` has
--          the numbers times a `sign`, `added` their sums, and `keys` the columns to group by, NULL if
--          there are none. Rows count that meet `condition`, and of both cells and rows those that meet
--          `picked`, a condition on columns. `collected` states whether single numbers are collected.
CREATE TYPE truthline_internal.wanted AS (
    subject text, of_cell text, of_row text, signed text, added text, keys text, collected boolean,
    condition text, picked text
);
COMMENT ON TYPE truthline_internal.wanted IS 'What a query reads from the cells and rows of a subject, as text.';

-- wanted_of: some columns of a subject. Every cell and raw row has its series, which is a key if
-- requested; and for outcomes, the number of correct ones can be counted without their classes.
CREATE OR REPLACE FUNCTION truthline_internal.wanted_of(
    subject_name text, columns text[], picked text DEFAULT 'true'
) RETURNS truthline_internal.wanted LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
#variable_conflict use_column
DECLARE
    wanted truthline_internal.wanted;
BEGIN
    SELECT subject_name,
           string_agg(format('%s AS %I', of_cell, name), ', ' ORDER BY place),
           string_agg(format(CASE WHEN sparse THEN 'array_remove(ARRAY[%s], NULL) AS %I'
                                  WHEN collected THEN 'ARRAY[%s] AS %I'
                                  ELSE '%s AS %I' END, of_row, name), ', ' ORDER BY place),
           string_agg(format(CASE WHEN summed THEN 'sign * %1$I AS %1$I' ELSE '%1$I' END, name),
                      ', ' ORDER BY place),
           string_agg(format(CASE WHEN summed AND type = 'bigint'
                                  THEN 'truthline_internal.total(%1$I) AS %1$I'
                                  WHEN summed THEN 'sum(%1$I)::%2$s AS %1$I' ELSE '%1$I' END, name,
                             type), ', ' ORDER BY place),
           string_agg(quote_ident(name), ', ' ORDER BY place) FILTER (WHERE NOT summed),
           bool_or(collected),
           (SELECT condition FROM truthline_data.subject AS s WHERE s.name = subject_name), picked
    INTO wanted
    FROM (
        SELECT place, name, type, summed, collected, sparse, quote_ident(name) AS of_cell,
               CASE WHEN computed THEN format('NULL::%s', type)
                    ELSE replace(expression, '{width}', 'NULL::interval') END AS of_row
        FROM truthline_data.level_column WHERE subject = subject_name
        UNION ALL
        SELECT 0, 'series_id', 'integer', false, false, false, 'series_id', 'series_id'
        UNION ALL
        SELECT 1000, 'n_correct', 'bigint', true, false, false,
               'CASE WHEN predicted_label = actual_label THEN n ELSE 0 END',
               'CASE WHEN predicted_label = actual_label THEN weight ELSE 0 END'
        WHERE subject_name = 'outcome'
    ) AS of_subject
    WHERE name = ANY (columns);
    RETURN wanted;
END
$function$;
COMMENT ON FUNCTION truthline_internal.wanted_of(text, text[], text) IS
    'What a query reads from the cells and rows of a subject, as text.';

-- event_clock: the column with the event time of a piece's cells or rows: their bucket or their time.
CREATE OR REPLACE FUNCTION truthline_internal.event_clock(piece truthline_internal.piece) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN piece.narrow IS NULL THEN 'time' ELSE 'bucket' END
$$;
COMMENT ON FUNCTION truthline_internal.event_clock(truthline_internal.piece) IS
    'The column with the event time of the cells or rows of a piece.';

-- within: text of a condition that an instant is in one of some spans.
CREATE OR REPLACE FUNCTION truthline_internal.within(at text, starts timestamptz[], ends timestamptz[])
RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    spans text;
BEGIN
    FOR i IN 1 .. cardinality(starts) LOOP
        spans := concat_ws(' OR ', spans,
                           format('%1$I >= %2$L AND %1$I < %3$L', at, starts[i], ends[i]));
    END LOOP;
    RETURN '(' || spans || ')';
END
$function$;
COMMENT ON FUNCTION truthline_internal.within(text, timestamptz[], timestamptz[]) IS
    'The text of a condition that an instant is in one of some spans.';

-- by_cut: text of a number that depends on which of two cuts applies; the first ends at `first_end`.
CREATE OR REPLACE FUNCTION truthline_internal.by_cut(first_end timestamptz, numbers integer[])
RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format(CASE WHEN cardinality(numbers) = 1 THEN '%2$s'
                       ELSE 'CASE WHEN at < %1$L THEN %2$s ELSE %3$s END' END,
                  first_end, numbers[1], numbers[2])
$$;
COMMENT ON FUNCTION truthline_internal.by_cut(timestamptz, integer[]) IS
    'The text of a number that depends on which of two cuts applies.';

-- read_query: text of a query of the cells or rows of a piece that meet a condition on the event clock.
-- `first` is the column before the requested ones.
CREATE OR REPLACE FUNCTION truthline_internal.read_query(
    piece truthline_internal.piece, wanted truthline_internal.wanted, first text, condition text
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format(
        CASE WHEN piece.narrow IS NULL THEN
            'SELECT * FROM (SELECT %1$s, %3$s FROM truthline_data.%4$I WHERE series_id = ANY ($1)'
            ' AND received_at >= %5$L AND received_at < %6$L AND %7$s AND %8$s) AS row WHERE %9$s'
        ELSE
            'SELECT %1$s, %2$s FROM truthline_data.%4$I WHERE series_id = ANY ($1)'
            ' AND learned >= %5$L AND learned < %6$L AND %7$s AND %9$s'
        END,
        first, wanted.of_cell, wanted.of_row, piece.source, piece.learned_from, piece.learned_until,
        condition, wanted.condition, wanted.picked)
$$;
COMMENT ON FUNCTION truthline_internal.read_query(truthline_internal.piece, truthline_internal.wanted, text, text) IS
    'The text of a query of the cells or rows of a piece.';

-- whole_query: text of a query of whole cells, each in the bucket that contains it.
CREATE OR REPLACE FUNCTION truthline_internal.whole_query(
    piece truthline_internal.piece, wanted truthline_internal.wanted
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT truthline_internal.read_query(
        piece, wanted,
        format('width_bucket(bucket, truthline_internal.rounded($2, %L)) AS place', piece.narrow),
        truthline_internal.within('bucket', piece.starts, piece.ends))
$$;
COMMENT ON FUNCTION truthline_internal.whole_query(truthline_internal.piece, truthline_internal.wanted) IS
    'The text of a query of whole cells.';

-- tail_query: text of a query of the newest rows, each in the bucket of its time.
CREATE OR REPLACE FUNCTION truthline_internal.tail_query(
    piece truthline_internal.piece, wanted truthline_internal.wanted
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT truthline_internal.read_query(piece, wanted, 'width_bucket(time, $2) AS place',
                                truthline_internal.within('time', piece.starts, piece.ends))
$$;
COMMENT ON FUNCTION truthline_internal.tail_query(truthline_internal.piece, truthline_internal.wanted) IS
    'The text of a query of the newest rows.';

-- ends_read: text of a query of the cells or rows that the ends of a window cut off.
CREATE OR REPLACE FUNCTION truthline_internal.ends_read(
    piece truthline_internal.piece, wanted truthline_internal.wanted
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT truthline_internal.read_query(
        piece, wanted, truthline_internal.event_clock(piece) || ' AS at',
        truthline_internal.within(truthline_internal.event_clock(piece), piece.starts, piece.ends))
$$;
COMMENT ON FUNCTION truthline_internal.ends_read(truthline_internal.piece, truthline_internal.wanted) IS
    'The text of a query of the cells or rows that the ends of a window cut off.';

-- ends_query: text of a query that adds them to the first bucket and to the last.
-- Why      with literal bounds the query is planned in half the time.
CREATE OR REPLACE FUNCTION truthline_internal.ends_query(
    piece truthline_internal.piece, wanted truthline_internal.wanted
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format(
        'SELECT place, %s FROM (SELECT %s AS place, %s AS sign, cell.* FROM (%s) AS cell) AS signed',
        wanted.signed, truthline_internal.by_cut(piece.ends[1], piece.places),
        truthline_internal.by_cut(piece.ends[1], piece.signs),
        truthline_internal.ends_read(piece, wanted))
$$;
COMMENT ON FUNCTION truthline_internal.ends_query(truthline_internal.piece, truthline_internal.wanted) IS
    'The text of a query that counts what the ends of a window cut off.';

-- sides_read: text of a query of the cells or rows that edges cut off, per cut.
-- Why      OFFSET 0 forces the join order: cuts outside, rows found by index. And it makes plain columns
--          of a cut's bounds, which the columnstore compares with the minimum and maximum time of each
--          batch; with expressions it would decompress all of them. Only rows are ever read for some
--          of the cuts.
CREATE OR REPLACE FUNCTION truthline_internal.sides_read(
    piece truthline_internal.piece, wanted truthline_internal.wanted
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format(
        'SELECT cut.place AS cut_place, cut.sign AS cut_sign, cell.*'
        ' FROM (SELECT * FROM truthline_internal.cuts($2, %L, %L) WHERE %s OFFSET 0) AS cut'
        ' CROSS JOIN LATERAL (%s OFFSET 0) AS cell OFFSET 0',
        piece.wide, piece.narrow,
        CASE WHEN piece.narrow IS NULL THEN format('place = ANY (%L)', piece.places) ELSE 'true' END,
        truthline_internal.read_query(
            piece, wanted, truthline_internal.event_clock(piece) || ' AS at',
            format('%1$I >= cut_start AND %1$I < cut_end', truthline_internal.event_clock(piece))))
$$;
COMMENT ON FUNCTION truthline_internal.sides_read(truthline_internal.piece, truthline_internal.wanted) IS
    'The text of a query of the cells or rows that the edges of buckets cut off.';

-- sides_query: text of a query that adds them to the bucket on one side of their edge and subtracts them
-- from the other.
-- Why      sums are computed before they go to both sides; collected numbers can't be.
CREATE OR REPLACE FUNCTION truthline_internal.sides_query(
    piece truthline_internal.piece, wanted truthline_internal.wanted
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT format(
        'SELECT side.place, %s FROM (%s) AS counted'
        ' CROSS JOIN LATERAL (VALUES (cut_place, cut_sign), (cut_place + 1, -cut_sign))'
        ' AS side (place, sign) WHERE side.place BETWEEN 1 AND array_length($2, 1) - 1',
        wanted.signed,
        format(CASE WHEN wanted.collected THEN '%3$s' ELSE
                   'SELECT cut_place, cut_sign, %1$s FROM (%3$s) AS cut GROUP BY %2$s' END,
               wanted.added, concat_ws(', ', 'cut_place', 'cut_sign', wanted.keys),
               truthline_internal.sides_read(piece, wanted)))
$$;
COMMENT ON FUNCTION truthline_internal.sides_query(truthline_internal.piece, truthline_internal.wanted) IS
    'The text of a query that counts cuts on both sides of their edges.';

-- piece_query: text of a query of one piece: the place of a bucket, and the requested columns. If a
-- column is collected, a cell whose numbers are subtracted has a negative `n`.
CREATE OR REPLACE FUNCTION truthline_internal.piece_query(
    piece truthline_internal.piece, wanted truthline_internal.wanted
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE piece.kind WHEN 'whole' THEN truthline_internal.whole_query(piece, wanted)
                           WHEN 'ends' THEN truthline_internal.ends_query(piece, wanted)
                           WHEN 'sides' THEN truthline_internal.sides_query(piece, wanted)
                           WHEN 'tail' THEN truthline_internal.tail_query(piece, wanted) END
$$;
COMMENT ON FUNCTION truthline_internal.piece_query(truthline_internal.piece, truthline_internal.wanted) IS
    'The text of a query of one piece.';

-- are_many: whether so many series are asked of that it matters how they are looked up.
CREATE OR REPLACE FUNCTION truthline_internal.are_many(series integer[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT cardinality(series) > 100 $$;
COMMENT ON FUNCTION truthline_internal.are_many(integer[]) IS
    'Whether so many series are asked of that it matters how they are looked up.';

-- are_most: whether they are a large part of all series: more than an eighth, by the last statistics.
CREATE OR REPLACE FUNCTION truthline_internal.are_most(series integer[]) RETURNS boolean
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT cardinality(series) > reltuples / 8 FROM pg_catalog.pg_class
    WHERE oid = 'truthline_data.series'::pg_catalog.regclass
$$;
COMMENT ON FUNCTION truthline_internal.are_most(integer[]) IS
    'Whether series are a large part of all series.';

-- of_many: the same query, in which the optimizer does not look at each of many series.
--
-- Params   `is_recent` states whether few cells or rows were received in the span that is read.
-- Why      it estimates how many rows each element of an array selects, in every scan: with ten thousand,
--          that takes longer than the query. It can't look into the result of a subquery, and then looks
--          up each series by index, as it should where a table has the cells of years. It would do so in
--          recent spans too, because it takes the subquery for ten series, and would find all other cells of
--          the window: with IS TRUE there is no index to use but that of the learned clock.
CREATE OR REPLACE FUNCTION truthline_internal.of_many(
    query text, series integer[], is_recent boolean DEFAULT false
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN NOT truthline_internal.are_many(series) THEN query
        ELSE replace(query, 'series_id = ANY ($1)', CASE
            WHEN is_recent AND truthline_internal.are_most(series)
            THEN '(series_id IN (SELECT unnest($1))) IS TRUE'
            ELSE 'series_id = ANY (ARRAY(SELECT unnest($1)))' END) END
$$;
COMMENT ON FUNCTION truthline_internal.of_many(text, integer[], boolean) IS
    'The text of a query, in which the optimizer does not look at each of many series.';

-- has_rows: whether any row was received in the learned span of a tail.
-- Why      a look-up in a tenth of a millisecond. Without it, an answer right after a fold would read
--          the index entries of all rows of its window, because the optimizer overestimates what the
--          newest pages cost.
CREATE OR REPLACE FUNCTION truthline_internal.has_rows(tail truthline_internal.piece) RETURNS boolean
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    found boolean := true;
BEGIN
    IF tail.learned_from > now() - INTERVAL '1 day' THEN
        EXECUTE format('SELECT EXISTS (SELECT FROM truthline_data.%I'
                       ' WHERE received_at >= %L AND received_at < %L)',
                       tail.source, tail.learned_from, tail.learned_until) INTO found;
    END IF;
    RETURN found;
END
$function$;
COMMENT ON FUNCTION truthline_internal.has_rows(truthline_internal.piece) IS
    'Whether any row was received in the learned span of the newest rows.';

-- pieces_query: text of a query of all pieces of an answer, without the newest rows if they would add nothing.
-- Why      whole cells of the widest learned spans are old; those of narrower ones were received since.
CREATE OR REPLACE FUNCTION truthline_internal.pieces_query(
    wanted truthline_internal.wanted, series integer[], edges timestamptz[], as_of timestamptz
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT string_agg(truthline_internal.of_many(
        truthline_internal.piece_query(piece, wanted), series,
        (piece).kind IN ('whole', 'tail') AND NOT is_oldest), ' UNION ALL ')
    FROM (SELECT piece, (piece).learned_from = min((piece).learned_from) OVER () AS is_oldest,
                 count(*) OVER () = 1 AS is_only
          FROM truthline_internal.plan((wanted).subject, series, edges, as_of) AS piece) AS planned
    WHERE CASE WHEN (piece).kind = 'tail' AND NOT is_only
               THEN truthline_internal.has_rows(piece) ELSE true END
$$;
COMMENT ON FUNCTION truthline_internal.pieces_query(truthline_internal.wanted, integer[], timestamptz[], timestamptz) IS
    'The text of a query of all pieces of an answer.';

-- cells_query: text of a query of all pieces, summed per bucket and key. `n` must be among the columns.
CREATE OR REPLACE FUNCTION truthline_internal.cells_query(
    subject_name text, columns text[], series integer[], edges timestamptz[], as_of timestamptz
) RETURNS text LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    wanted truthline_internal.wanted := truthline_internal.wanted_of(subject_name, columns);
BEGIN
    RETURN format('SELECT place, %s FROM (%s) AS piece GROUP BY %s HAVING truthline_internal.total(n) <> 0',
                  wanted.added, truthline_internal.pieces_query(wanted, series, edges, as_of),
                  concat_ws(', ', 'place', wanted.keys));
END
$function$;
COMMENT ON FUNCTION truthline_internal.cells_query(text, text[], integer[], timestamptz[], timestamptz) IS
    'The text of a query that returns the cells of a subject, per bucket between edges.';

-- n_read: how many cells or rows are read for a piece; those of a cut once, though they count on both
-- sides.
CREATE OR REPLACE FUNCTION truthline_internal.n_read(
    piece truthline_internal.piece, subject_name text, series integer[], edges timestamptz[]
) RETURNS bigint LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    wanted truthline_internal.wanted := truthline_internal.wanted_of(subject_name, '{n}');
    n bigint;
BEGIN
    EXECUTE format('SELECT count(*) FROM (%s) AS read', CASE piece.kind
        WHEN 'ends' THEN truthline_internal.ends_read(piece, wanted)
        WHEN 'sides' THEN truthline_internal.sides_read(piece, wanted)
        ELSE truthline_internal.piece_query(piece, wanted) END)
    INTO n USING series, edges;
    RETURN n;
END
$function$;
COMMENT ON FUNCTION truthline_internal.n_read(truthline_internal.piece, text, integer[], timestamptz[]) IS
    'How many cells or rows are read for a piece.';

-- cells_learned: when the rows of some cells were received, from the cells of `levels`.
--
-- Grain    one row per place whose cell has any rows, the earliest first. `buckets` are the cells, and
--          `places` the places they belong to. A span of a recent level ends anywhere before the next, so
--          its rows may have been received until the level ends.
CREATE OR REPLACE FUNCTION truthline_internal.cells_learned(
    levels truthline_internal.source[], series integer[], places integer[], buckets timestamptz[]
) RETURNS TABLE (place integer, learned_from timestamptz, learned_until timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
BEGIN
    RETURN QUERY EXECUTE format(
        'SELECT place, min(learned), max(learned_end)'
        ' FROM unnest($2, $3) AS cut (place, bucket)'
        ' CROSS JOIN LATERAL (%s) AS cell GROUP BY place ORDER BY 2', (
            SELECT string_agg(format(
                'SELECT bucket, learned, %s AS learned_end FROM truthline_data.%I'
                ' WHERE series_id = ANY ($1) AND learned >= %L AND learned < %L'
                ' AND bucket = cut.bucket',
                CASE WHEN l.learned_width > INTERVAL '1 microsecond'
                     THEN format('learned + %L::interval', l.learned_width)
                     ELSE format('%L::timestamptz', l.learned_until) END,
                l.level, l.learned_from, l.learned_until), ' UNION ALL ')
            FROM unnest(levels) AS l))
    USING series, places, buckets;
END
$function$;
COMMENT ON FUNCTION truthline_internal.cells_learned(truthline_internal.source[], integer[], integer[], timestamptz[]) IS
    'When the rows of some cells were received.';
