-- outcome_cells: what every metric of predictions with truth is made of, and the planner of it.
--
-- Grain    one row per (bucket, predicted label, actual label); for regression one per bucket.
-- Units    `n` counts truths; error is predicted minus actual, in the model's own unit.
--          Everything adds up: cells of two windows side by side sum to those of their union.
-- Reader   classification_metrics, regression_metrics; nothing else reads `outcome` for a metric.
-- Plan     Hours of the event clock that lie whole within one bucket come from the levels: each
--          level from where the coarser one ends up to its own clean bound, and raw rows from
--          there (the tail). An hour that a bucket's edge cuts is counted from its raw rows. All
--          pieces add up. Without a whole hour or a level, everything is raw.
-- Exact    the function is STABLE: bounds and rows are read in the caller's one snapshot, and a
--          level's bound moves in the transaction that fills it.
-- Cost     cells of the levels, one index range of `outcome` per cut hour, and the rows received
--          since the last fold. Bounds are literals, so chunks are excluded at planning.
CREATE OR REPLACE FUNCTION truthline.outcome_cells(
    series integer[], start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, origin timestamptz DEFAULT NULL
) RETURNS TABLE (
    bucket timestamptz, predicted_label integer, actual_label integer,
    n bigint, sum_absolute_error numeric, sum_squared_error numeric
) LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    span interval := truthline.bucket_width(start_time, end_time, width);
    zero timestamptz := coalesce(origin, start_time);
    by_hour timestamptz := truthline.clean_until('outcome_1h');
    by_day timestamptz := truthline.clean_until('outcome_1d');
    by_month timestamptz := truthline.clean_until('outcome_1mo');
    cut_hours timestamptz[] := '{}';
    pieces text;
BEGIN
    IF span < INTERVAL '1 hour' OR by_hour = '-infinity' THEN
        pieces := truthline.raw_piece(series, start_time, end_time);
    ELSE
        cut_hours := ARRAY(
            SELECT DISTINCT truthline.event_hour(edge)
            FROM (SELECT bucket_start FROM truthline.buckets(start_time, end_time, width, origin)
                  UNION ALL SELECT end_time) AS e (edge)
            WHERE edge <> truthline.event_hour(edge)
        );
        pieces := concat_ws(' UNION ALL ',
            truthline.level_piece('outcome_1mo', series, start_time, end_time, cut_hours,
                                  '-infinity', by_month),
            truthline.level_piece('outcome_1d', series, start_time, end_time, cut_hours,
                                  by_month, by_day),
            truthline.level_piece('outcome_1h', series, start_time, end_time, cut_hours,
                                  by_day, by_hour),
            truthline.tail_piece(series, start_time, end_time, cut_hours, by_hour),
            truthline.cut_piece(series, start_time, end_time, cut_hours));
    END IF;
    RETURN QUERY EXECUTE format($sql$
        SELECT date_bin(%L, piece.at, %L), piece.predicted_label, piece.actual_label,
               sum(piece.n)::bigint, sum(piece.absolute_error), sum(piece.squared_error)
        FROM (%s) AS piece (at, predicted_label, actual_label, n, absolute_error, squared_error)
        GROUP BY 1, 2, 3
        HAVING sum(piece.n) <> 0
    $sql$, span, zero, pieces);
END
$function$;
COMMENT ON FUNCTION truthline.outcome_cells(integer[], timestamptz, timestamptz, interval, timestamptz) IS
    'Additive cells of outcomes: counts per (bucket, predicted, actual) and sums of errors.';

-- The pieces of a plan, as the text of a query each. %L makes literals of the bounds.

-- raw_piece: every outcome of a window. None was received before start_time - 25 h, for times
-- further ahead are refused (outcome_time_ahead): older chunks are skipped.
CREATE OR REPLACE FUNCTION truthline.raw_piece(
    series integer[], start_time timestamptz, end_time timestamptz
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $function$
    SELECT format($sql$
        SELECT time, predicted_label, actual_label, n, absolute_error, squared_error
        FROM truthline_data.outcome_measure
        WHERE series_id = ANY (%L) AND time >= %L AND time < %L AND received_at >= %L
    $sql$, series, start_time, end_time, start_time - INTERVAL '25 hours')
$function$;
COMMENT ON FUNCTION truthline.raw_piece(integer[], timestamptz, timestamptz) IS
    'Query text: the outcomes of a window.';

-- level_piece: whole hours from a level, learned within [since, until).
CREATE OR REPLACE FUNCTION truthline.level_piece(
    level text, series integer[], start_time timestamptz, end_time timestamptz,
    cut_hours timestamptz[], since timestamptz, until timestamptz
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $function$
    SELECT format($sql$
        SELECT bucket, predicted_label, actual_label, n, sum_absolute_error, sum_squared_error
        FROM truthline_data.%I
        WHERE series_id = ANY (%L) AND learned >= %L AND learned < %L
          AND bucket >= %L AND bucket < %L AND bucket <> ALL (%L)
    $sql$, level, series, since, until, truthline.event_hour(start_time), end_time, cut_hours)
    WHERE since < until
$function$;
COMMENT ON FUNCTION truthline.level_piece(text, integer[], timestamptz, timestamptz, timestamptz[], timestamptz, timestamptz) IS
    'Query text: whole hours of a window from a level.';

-- tail_piece: rows of whole hours that no level has yet.
CREATE OR REPLACE FUNCTION truthline.tail_piece(
    series integer[], start_time timestamptz, end_time timestamptz,
    cut_hours timestamptz[], since timestamptz
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $function$
    SELECT format($sql$
        SELECT time, predicted_label, actual_label, n, absolute_error, squared_error
        FROM truthline_data.outcome_measure
        WHERE series_id = ANY (%L) AND received_at >= %L AND time >= %L AND time < %L
          AND truthline.event_hour(time) <> ALL (%L)
    $sql$, series, greatest(since, start_time - INTERVAL '25 hours'), start_time, end_time,
           cut_hours)
$function$;
COMMENT ON FUNCTION truthline.tail_piece(integer[], timestamptz, timestamptz, timestamptz[], timestamptz) IS
    'Query text: outcomes of whole hours received since the last fold.';

-- cut_piece: all rows of the hours that an edge cuts, learned whenever.
CREATE OR REPLACE FUNCTION truthline.cut_piece(
    series integer[], start_time timestamptz, end_time timestamptz, cut_hours timestamptz[]
) RETURNS text LANGUAGE sql STABLE PARALLEL SAFE AS $function$
    SELECT format($sql$
        SELECT raw.time, predicted_label, actual_label, n, absolute_error, squared_error
        FROM unnest(%L::timestamptz[]) AS cut (hour)
        CROSS JOIN LATERAL (
            SELECT * FROM truthline_data.outcome_measure
            WHERE series_id = ANY (%L) AND received_at >= %L
              AND time >= greatest(cut.hour, %L) AND time < least(cut.hour + INTERVAL '1 hour', %L)
        ) AS raw
    $sql$, cut_hours, series, start_time - INTERVAL '25 hours', start_time, end_time)
$function$;
COMMENT ON FUNCTION truthline.cut_piece(integer[], timestamptz, timestamptz, timestamptz[]) IS
    'Query text: outcomes of the hours that a bucket''s edge cuts.';
