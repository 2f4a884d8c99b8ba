-- The grid of buckets of an answer.

-- bucket_width: a width as a span of seconds.
--
-- Why      a day must be 24 hours whatever the session's time zone is. Whole hours are added
--          separately: a double can't hold three centuries of seconds to the microsecond.
CREATE OR REPLACE FUNCTION truthline_internal.bucket_width(
    start_time timestamptz, end_time timestamptz, width interval
) RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT make_interval(
        hours => div(extract(epoch FROM coalesce(width, end_time - start_time)), 3600)::integer,
        secs => mod(extract(epoch FROM coalesce(width, end_time - start_time)), 3600)::float8
    )
$$;
COMMENT ON FUNCTION truthline_internal.bucket_width(timestamptz, timestamptz, interval) IS
    'Bucket width as a span of seconds; the whole window if no width is given.';

-- buckets: the buckets of a window.
--
-- Grain    one row per bucket that overlaps [start_time, end_time), oldest first, including empty ones.
-- Units    `place` counts from 1; [bucket_start, bucket_end) is the bucket clipped to the window.
--          Buckets start on the grid of `origin`, by default the window's start. Without a width
--          there is one bucket: the whole window.
-- Calendar a width of days or months follows the calendar of `zone`, counted from `origin`: a
--          day has 23 or 25 hours when the clocks change, and a month that lacks the day uses its
--          last one. If the clocks skip a bound, it is as long after the skip as it would have been
--          after the skip's start; if they show a bound twice, the later one counts. A day that a
--          zone skipped has no bucket. In UTC, days have 24 hours.
-- Why      generate_series and not time_bucket_gapfill: the Apache edition lacks the latter, and it
--          returns nothing where no row matches.
CREATE OR REPLACE FUNCTION truthline_internal.buckets(
    start_time timestamptz, end_time timestamptz, width interval DEFAULT NULL,
    origin timestamptz DEFAULT NULL, zone text DEFAULT 'UTC'
) RETURNS TABLE (place integer, bucket_start timestamptz, bucket_end timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    months integer := 12 * extract(year FROM width) + extract(month FROM width);
    calendar boolean := months > 0 OR (extract(day FROM width) > 0 AND zone <> 'UTC');
    span interval := truthline_internal.bucket_width(start_time, end_time, width);
    -- without a width, the bucket is the window, wherever the origin is
    zero timestamptz := CASE WHEN width IS NULL THEN start_time ELSE coalesce(origin, start_time) END;
    -- a month of the Gregorian calendar is 2,629,746 seconds on average
    seconds numeric := months * 2629746.0 + extract(epoch FROM width - make_interval(months => months));
BEGIN
    IF calendar THEN
        RETURN QUERY
        SELECT (row_number() OVER (ORDER BY i))::integer,
               greatest(at, start_time), least(until, end_time)
        FROM (
            SELECT i, at, lead(at) OVER (ORDER BY i) AS until
            FROM generate_series(  -- two more at either end, because days and months differ in length
                greatest(floor(extract(epoch FROM start_time - zero) / seconds) - 2,
                         CASE WHEN start_time >= zero THEN 0 END)::bigint,
                ceil(extract(epoch FROM end_time - zero) / seconds)::bigint + 2
            ) AS i
            CROSS JOIN LATERAL (
                -- with its time of day alone, the origin could be the later of two
                SELECT CASE i WHEN 0 THEN zero
                              ELSE (zero AT TIME ZONE zone + i * width) AT TIME ZONE zone END
            ) AS bound (at)
        ) AS grid
        WHERE grid.at < end_time AND grid.until > start_time AND grid.at < grid.until
        ORDER BY i;
    ELSE
        RETURN QUERY
        SELECT i::integer, greatest(at, start_time), least(at + span, end_time)
        FROM generate_series(date_bin(span, start_time, zero),
                             end_time - INTERVAL '1 microsecond', span)
            WITH ORDINALITY AS grid (at, i);
    END IF;
END
$function$;
COMMENT ON FUNCTION truthline_internal.buckets(timestamptz, timestamptz, interval, timestamptz, text) IS
    'The buckets of a window, clipped to it: on a grid of fixed width, or by the calendar of a zone.';

-- edges: the same, as the starts of the buckets and the end of the last.
CREATE OR REPLACE FUNCTION truthline_internal.edges(
    start_time timestamptz, end_time timestamptz, width interval DEFAULT NULL,
    origin timestamptz DEFAULT NULL, zone text DEFAULT 'UTC'
) RETURNS timestamptz[] LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT array_agg(bucket_start ORDER BY place) || end_time
    FROM truthline_internal.buckets(start_time, end_time, width, origin, zone)
$$;
COMMENT ON FUNCTION truthline_internal.edges(timestamptz, timestamptz, interval, timestamptz, text) IS
    'Starts of the buckets of a window, and the end of the last.';

-- buckets_of: the buckets between edges, numbered from 1.
CREATE OR REPLACE FUNCTION truthline_internal.buckets_of(edges timestamptz[])
RETURNS TABLE (place integer, bucket_start timestamptz, bucket_end timestamptz)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT * FROM (
        SELECT n::integer, edge, lead(edge) OVER (ORDER BY n)
        FROM unnest(edges) WITH ORDINALITY AS e (edge, n)
    ) AS grid (place, bucket_start, bucket_end)
    WHERE bucket_end IS NOT NULL
$$;
COMMENT ON FUNCTION truthline_internal.buckets_of(timestamptz[]) IS
    'The buckets between edges, numbered from 1.';
