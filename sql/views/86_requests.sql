-- Requests: predictions, each with what is known of its truth, found newest first.
--
-- Levels say where, rows say which: hours and days whose cells count nothing that a question asks for
-- are skipped, and the others are read in slices of the event clock, until a page is full or enough
-- rows were read.

-- request_row: a stored output of a model, with its current truth.
--
-- Units    actual_label and actual_value are NULL while no truth is known. `learned_at` is when the
--          current one was stored; `n_truths` counts it and those that it replaced. `n_read` counts
--          the rows that this one was read from: its own, and those of its truths. `starts_request`
--          marks the first row of an inference.
CREATE TYPE truthline_internal.request_row AS (
    "time" timestamptz, received_at timestamptz, series_id integer, request_id text,
    batch_index integer, label_id integer, value float8, confidence float8, latency_seconds float8,
    failed boolean, actual_label integer, actual_value float8, learned_at timestamptz,
    n_truths integer, n_read integer, starts_request boolean
);
COMMENT ON TYPE truthline_internal.request_row IS
    'A stored output of a model, with its current truth.';

-- rows_since: from when on all rows of predictions and of outcomes remain.
-- Why      an outcome is never received before its prediction, so of a prediction received since then
--          no truth was dropped.
CREATE OR REPLACE FUNCTION truthline_internal.rows_since() RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(max(since), '-infinity') FROM truthline_data.retention
    WHERE relation IN ('prediction', 'outcome')
$$;
COMMENT ON FUNCTION truthline_internal.rows_since() IS
    'From when on all rows of predictions and outcomes remain.';

-- request_rows: predictions of some series with their truths, as known at a moment.
--
-- Grain    one row per stored output whose `time` is within [start_time, end_time); only those of one
--          request id, if `of_request` names it.
-- Cost     the rows of both tables in that range; an index finds them in each chunk. They are joined
--          once by hash: looked up one by one, predictions of one batch that share their time would
--          be read once per prediction.
--          The latest truth is the greatest of arrays of moment and truth, which needs no sorting.
-- Why      a truth belongs to a prediction by request, position and output: a failed attempt, and an
--          answer that was sent again in another form, have the same request id.
CREATE OR REPLACE FUNCTION truthline_internal.request_rows(
    series integer[], start_time timestamptz, end_time timestamptz,
    as_of timestamptz DEFAULT 'infinity', since timestamptz DEFAULT '-infinity',
    of_request text DEFAULT NULL
) RETURNS SETOF truthline_internal.request_row LANGUAGE plpgsql STABLE PARALLEL SAFE ROWS 10000
SET search_path = pg_catalog, pg_temp SET jit = off SET plan_cache_mode = force_custom_plan
AS $function$
#variable_conflict use_column
DECLARE
    first timestamptz := greatest(since, start_time - INTERVAL '25 hours');
BEGIN
    RETURN QUERY
    WITH truth AS MATERIALIZED (
        SELECT o.series_id, o.time, o.request_id, o.batch_index, o.predicted_label,
               o.predicted_value,
               -- the latest one, unless just that is withdrawn
               CASE WHEN sum(o.weight) > 0 THEN max(
                   ARRAY[extract(epoch FROM o.received_at)::float8,
                         coalesce(o.actual_label, o.actual_value)]
               ) FILTER (WHERE o.weight = 1) END AS latest,
               max(o.received_at) FILTER (WHERE o.weight = 1) AS learned_at,
               (count(*) FILTER (WHERE o.weight = 1))::integer AS n_truths,
               count(*)::integer AS n_read
        FROM truthline_data.outcome AS o
        WHERE o.series_id = ANY (series) AND o.time >= start_time AND o.time < end_time
          AND o.received_at >= first AND o.received_at < as_of
          AND (of_request IS NULL OR o.request_id = of_request)
        GROUP BY 1, 2, 3, 4, 5, 6
    )
    SELECT p.time, p.received_at, p.series_id, p.request_id, p.batch_index, p.label_id, p.value,
           p.confidence, p.latency_seconds, p.failed,
           CASE WHEN p.label_id IS NOT NULL THEN truth.latest[2]::integer END,
           CASE WHEN p.label_id IS NULL THEN truth.latest[2] END,
           CASE WHEN truth.latest IS NOT NULL THEN truth.learned_at END, coalesce(truth.n_truths, 0),
           1 + coalesce(truth.n_read, 0), p.starts_request
    FROM truthline_data.prediction AS p
    LEFT JOIN truth ON truth.series_id = p.series_id AND truth.time = p.time
                   AND truth.request_id = p.request_id AND truth.batch_index = p.batch_index
                   AND truth.predicted_label IS NOT DISTINCT FROM p.label_id
                   AND truth.predicted_value IS NOT DISTINCT FROM p.value
                   AND NOT p.failed
    WHERE p.series_id = ANY (series) AND p.time >= start_time AND p.time < end_time
      AND p.received_at >= first AND p.received_at < as_of
      AND (of_request IS NULL OR p.request_id = of_request);
END
$function$;
COMMENT ON FUNCTION truthline_internal.request_rows(integer[], timestamptz, timestamptz, timestamptz, timestamptz, text) IS
    'Predictions of some series with their truths, as known at a moment.';

-- request_filter: which requests are asked for; NULL in a field asks for all.
--
-- Units    labels are ids. `wrong` compares classes. Confidences are included bounds; `least_error` is
--          the least |predicted - actual|.
CREATE TYPE truthline_internal.request_filter AS (
    predicted integer, actual integer, wrong boolean, labelled boolean, failed boolean,
    least_confidence float8, most_confidence float8, least_error float8
);
COMMENT ON TYPE truthline_internal.request_filter IS
    'Which requests are asked for; NULL in a field asks for all.';

-- meets: whether a request is asked for. Of a request without a truth, nothing about it is.
CREATE OR REPLACE FUNCTION truthline_internal.meets(
    request truthline_internal.request_row, filter truthline_internal.request_filter
) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(
        (filter.predicted IS NULL OR request.label_id = filter.predicted AND NOT request.failed)
        AND (filter.actual IS NULL OR request.actual_label = filter.actual)
        AND (filter.wrong IS NULL OR (request.label_id <> request.actual_label) = filter.wrong)
        AND (filter.labelled IS NULL
             OR NOT request.failed AND (request.learned_at IS NOT NULL) = filter.labelled)
        AND (filter.failed IS NULL OR request.failed = filter.failed)
        AND (filter.least_confidence IS NULL OR request.confidence >= filter.least_confidence)
        AND (filter.most_confidence IS NULL OR request.confidence <= filter.most_confidence)
        AND (filter.least_error IS NULL
             OR abs(truthline_data.error_of(request.value, request.actual_value))
                >= truthline_data.exact(filter.least_error)), false)
$$;
COMMENT ON FUNCTION truthline_internal.meets(truthline_internal.request_row, truthline_internal.request_filter) IS
    'Whether a request is asked for.';

-- made_cell: predictions per class: `n` counts outputs, n_failed failed requests among them.
CREATE TYPE truthline_internal.made_cell AS (
    place integer, label_id integer, n_failed bigint, n bigint
);
COMMENT ON TYPE truthline_internal.made_cell IS 'Predictions per bucket and class.';

-- request_places: the buckets that may contain requests that are asked for, by their cells.
--
-- Grain    one row per such bucket between edges. Edges must be bounds of cells.
-- Why      cells have no confidences with truths, nor single errors: those parts of a filter are left
--          to the rows.
CREATE OR REPLACE FUNCTION truthline_internal.request_places(
    series integer[], edges timestamptz[], as_of timestamptz, filter truthline_internal.request_filter
) RETURNS TABLE (place integer) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT cell.place
    FROM truthline_internal.outcome_cells(series, edges, as_of) AS cell
    WHERE filter.labelled IS NOT false AND cell.n > 0
      AND (filter.predicted IS NULL OR cell.predicted_label = filter.predicted)
      AND (filter.actual IS NULL OR cell.actual_label = filter.actual)
      AND (filter.wrong IS NULL OR (cell.predicted_label <> cell.actual_label) = filter.wrong)
    GROUP BY cell.place
    UNION ALL
    SELECT side.place
    FROM (
        SELECT p.place, p.n - p.n_failed AS n
        FROM truthline_internal.cells(
            NULL::truthline_internal.made_cell, 'prediction', series, edges, as_of) AS p
        WHERE filter.labelled IS false
          AND (filter.predicted IS NULL OR p.label_id = filter.predicted)
        UNION ALL
        SELECT o.place, -o.n
        FROM truthline_internal.outcome_cells(series, edges, as_of) AS o
        WHERE filter.labelled IS false
          AND (filter.predicted IS NULL OR o.predicted_label = filter.predicted)
    ) AS side
    GROUP BY side.place HAVING sum(side.n) > 0
$$;
COMMENT ON FUNCTION truthline_internal.request_places(integer[], timestamptz[], timestamptz, truthline_internal.request_filter) IS
    'The buckets that may contain requests that are asked for, by their cells.';

-- request_grid: edges of hours, days or longer that enclose a window: at most about a thousand.
CREATE OR REPLACE FUNCTION truthline_internal.request_grid(start_time timestamptz, end_time timestamptz)
RETURNS timestamptz[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY(SELECT generate_series(
        date_bin(width, start_time, TIMESTAMPTZ '2000-01-03 00:00:00+00'),
        end_time + width - INTERVAL '1 microsecond', width))
    FROM (SELECT CASE WHEN end_time - start_time <= INTERVAL '1000 hours' THEN INTERVAL '1 hour'
                      ELSE make_interval(days =>
                          1 + (extract(epoch FROM end_time - start_time) / 86400000)::integer) END
         ) AS grid (width)
$$;
COMMENT ON FUNCTION truthline_internal.request_grid(timestamptz, timestamptz) IS
    'Edges of hours, days or longer that enclose a window.';

-- request_spans: the parts of a window that may contain requests that are asked for, newest first.
--
-- Grain    one row per run of such buckets. The whole window, if cells can't tell: the filter is not of
--          truths, or the cells of the moment have been dropped.
-- Cost     cells of the window; up to three times if a coarse grid finds them within a part of it.
CREATE OR REPLACE FUNCTION truthline_internal.request_spans(
    series integer[], start_time timestamptz, end_time timestamptz, as_of timestamptz,
    filter truthline_internal.request_filter
) RETURNS TABLE (span_start timestamptz, span_end timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    edges timestamptz[] := truthline_internal.request_grid(start_time, end_time);
    finer timestamptz[];
    places integer[];
    first timestamptz := start_time;
    last timestamptz := end_time;
BEGIN
    IF num_nonnulls(filter.actual, filter.wrong, filter.labelled, filter.least_error) = 0
       OR as_of < 'infinity' AND truthline_internal.shared_reach_as_of(
              '{outcome,prediction}', as_of) < as_of THEN
        RETURN QUERY SELECT start_time, end_time;
        RETURN;
    END IF;
    FOR step IN 1 .. 3 LOOP
        places := ARRAY(SELECT p.place FROM truthline_internal.request_places(
                            series, edges, as_of, filter) AS p ORDER BY 1);
        EXIT WHEN cardinality(places) = 0;
        first := greatest(start_time, edges[places[1]]);
        last := least(end_time, edges[places[cardinality(places)] + 1]);
        finer := truthline_internal.request_grid(first, last);
        EXIT WHEN step = 3 OR finer[2] - finer[1] >= edges[2] - edges[1];
        edges := finer;
    END LOOP;
    RETURN QUERY
    SELECT greatest(start_time, edges[min(run.place)]), least(end_time, edges[max(run.place) + 1])
    FROM (SELECT found.place, found.place - row_number() OVER (ORDER BY found.place) AS of_run
          FROM unnest(places) AS found (place)) AS run
    GROUP BY run.of_run ORDER BY 1 DESC;
END
$function$;
COMMENT ON FUNCTION truthline_internal.request_spans(integer[], timestamptz, timestamptz, timestamptz, truthline_internal.request_filter) IS
    'The parts of a window that may contain requests that are asked for, newest first.';

-- request_position: where a page of requests ends, and the next one begins.
--
-- Order    by time, then by receipt, both descending, then by `nth`, which numbers the requests of one
--          time and receipt, also those that are not asked for. Without received_at and nth, it is the
--          position before everything made at that time: all later requests are done.
CREATE TYPE truthline_internal.request_position AS (
    "time" timestamptz, received_at timestamptz, nth integer
);
COMMENT ON TYPE truthline_internal.request_position IS
    'Where a page of requests ends, and the next one begins.';

-- request_slice: requests of a slice of the event clock that are asked for, newest first.
--
-- Grain    one row per request after the position, at most `size`, and a last one with the number of
--          rows that were read.
CREATE OR REPLACE FUNCTION truthline_internal.request_slice(
    series integer[], start_time timestamptz, end_time timestamptz, as_of timestamptz,
    since timestamptz, filter truthline_internal.request_filter,
    after truthline_internal.request_position, size integer
) RETURNS TABLE (request truthline_internal.request_row, nth integer, n_read bigint)
LANGUAGE sql STABLE PARALLEL SAFE SET jit = off AS $$
    WITH slice AS MATERIALIZED (
        SELECT r AS request, row_number() OVER (
                   PARTITION BY r.time, r.received_at
                   ORDER BY r.series_id, r.request_id COLLATE "C", r.batch_index, r.label_id,
                            r.value, r.confidence, r.latency_seconds)::integer AS nth
        FROM truthline_internal.request_rows(series, start_time, end_time, as_of, since) AS r
    )
    (
        SELECT slice.request, slice.nth, NULL::bigint FROM slice
        WHERE truthline_internal.meets(slice.request, filter)
          AND ((after).received_at IS NULL OR (slice.request).time < (after).time
               OR (slice.request).received_at < (after).received_at
               OR (slice.request).received_at = (after).received_at AND slice.nth > (after).nth)
        ORDER BY (slice.request).time DESC, (slice.request).received_at DESC, slice.nth
        LIMIT size
    )
    UNION ALL
    SELECT NULL, NULL, sum((slice.request).n_read) FROM slice
$$;
COMMENT ON FUNCTION truthline_internal.request_slice(integer[], timestamptz, timestamptz, timestamptz, timestamptz, truthline_internal.request_filter, truthline_internal.request_position, integer) IS
    'Requests of a slice of the event clock that are asked for, newest first.';

-- rows_between: how many predictions were made between two instants, counted up to a limit.
CREATE OR REPLACE FUNCTION truthline_internal.rows_between(
    series integer[], start_time timestamptz, end_time timestamptz, as_of timestamptz,
    since timestamptz, most integer
) RETURNS integer LANGUAGE plpgsql STABLE PARALLEL SAFE
SET jit = off SET plan_cache_mode = force_custom_plan AS $function$
BEGIN
    RETURN (
        SELECT count(*) FROM (
            SELECT FROM truthline_data.prediction AS p
            WHERE p.series_id = ANY (series) AND p.time >= start_time AND p.time < end_time
              AND p.received_at >= greatest(since, start_time - INTERVAL '25 hours')
              AND p.received_at < as_of
            LIMIT most) AS counted);
END
$function$;
COMMENT ON FUNCTION truthline_internal.rows_between(integer[], timestamptz, timestamptz, timestamptz, timestamptz, integer) IS
    'How many predictions were made between two instants, counted up to a limit.';

-- requests: a page of the requests that are asked for, newest first.
--
-- Grain    one row per request after the position, at most `size`, and a last one without request:
--          `n_read` rows were read, and everything from `searched_from` on was searched, which is
--          start_time at the end.
-- Cost     the cells of the window, if the filter is of truths, and at most about `most_read` rows.
--          The window is read in slices with at most a few thousand predictions, more as the search
--          goes on; only the predictions of one instant are always read together.
CREATE OR REPLACE FUNCTION truthline_internal.requests(
    series integer[], start_time timestamptz, end_time timestamptz, as_of timestamptz,
    filter truthline_internal.request_filter, after truthline_internal.request_position,
    size integer, most_read integer
) RETURNS TABLE (
    request truthline_internal.request_row, nth integer, n_read bigint, searched_from timestamptz
) LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
#variable_conflict use_column
DECLARE
    instant interval := INTERVAL '1 microsecond';
    -- nothing is dated earlier
    start_time timestamptz := greatest(start_time, TIMESTAMPTZ '1970-01-01 00:00:00+00');
    since timestamptz := truthline_internal.rows_since();
    -- nothing is dated later, and everything after the position is earlier, or of its instant
    until timestamptz := least(end_time, clock_timestamp() + INTERVAL '26 hours',
                               after.time + CASE WHEN after.received_at IS NULL THEN INTERVAL '0'
                                                 ELSE instant END);
    width interval := INTERVAL '10 minutes';
    longest interval := INTERVAL '10000 days';
    most_here integer := least(1000, most_read);
    n_here integer;
    n_left integer := size;
    n_total bigint := 0;
    span record;
    low timestamptz;
    high timestamptz;
    found record;
BEGIN
    <<search>>
    FOR span IN SELECT * FROM truthline_internal.request_spans(
                    series, start_time, until, as_of, filter)
                WHERE start_time < until LOOP
        high := span.span_end;
        WHILE high > span.span_start LOOP
            low := greatest(span.span_start, high - width);
            n_here := truthline_internal.rows_between(series, low, high, as_of, since, most_here + 1);
            IF n_here > most_here AND high - low > instant THEN
                width := greatest((high - low) / 8, instant);
                CONTINUE;
            END IF;
            IF n_here > 0 THEN
                FOR found IN SELECT * FROM truthline_internal.request_slice(
                                 series, low, high, as_of, since, filter, after, n_left) LOOP
                    n_total := n_total + coalesce(found.n_read, 0);
                    CONTINUE WHEN found.n_read IS NOT NULL;
                    n_left := n_left - 1;
                    request := found.request;
                    nth := found.nth;
                    RETURN NEXT;
                END LOOP;
            END IF;
            high := low;
            EXIT search WHEN n_left <= 0 OR n_total >= most_read;
            IF n_here > 0 THEN
                most_here := least(2 * most_here, 50000,
                                   greatest(most_read - n_total, most_read / 10, 1));
            END IF;
            width := greatest(
                least(width * least(8, most_here / (2.0 * greatest(n_here, 1))), longest), instant);
        END LOOP;
    END LOOP;
    request := NULL;
    nth := NULL;
    n_read := n_total;
    searched_from := CASE WHEN n_left <= 0 OR n_total >= most_read THEN high ELSE start_time END;
    RETURN NEXT;
END
$function$;
COMMENT ON FUNCTION truthline_internal.requests(integer[], timestamptz, timestamptz, timestamptz, truthline_internal.request_filter, truthline_internal.request_position, integer, integer) IS
    'A page of the requests that are asked for, newest first.';
