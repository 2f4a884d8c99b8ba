-- buckets: the grid an answer is laid on.
--
-- Grain    one row per bucket that meets [start_time, end_time), oldest first, empty ones too.
-- Units    `bucket` is the bucket's place on the grid of `origin` and `width`, the key under
--          which cells are counted; [bucket_start, bucket_end) is that bucket clipped to the
--          window. A NULL width means one bucket: the whole window.
-- Why      generate_series and not time_bucket_gapfill: the latter is absent from the Apache
--          edition and says nothing when no row matches. Widths are turned into seconds, for
--          a day must be 24 hours whatever the session's time zone is. Whole hours go apart:
--          in a double, seconds of three centuries have no microseconds left.
CREATE OR REPLACE FUNCTION truthline.bucket_width(
    start_time timestamptz, end_time timestamptz, width interval
) RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT make_interval(
        hours => div(extract(epoch FROM coalesce(width, end_time - start_time)), 3600)::integer,
        secs => mod(extract(epoch FROM coalesce(width, end_time - start_time)), 3600)::float8
    )
$$;
COMMENT ON FUNCTION truthline.bucket_width(timestamptz, timestamptz, interval) IS
    'Bucket width as a span of seconds; the whole window where no width is given.';

CREATE OR REPLACE FUNCTION truthline.buckets(
    start_time timestamptz, end_time timestamptz,
    width interval DEFAULT NULL, origin timestamptz DEFAULT NULL
) RETURNS TABLE (bucket timestamptz, bucket_start timestamptz, bucket_end timestamptz)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT g.bucket, greatest(g.bucket, start_time), least(g.bucket + w.width, end_time)
    FROM truthline.bucket_width(start_time, end_time, width) AS w (width)
    CROSS JOIN LATERAL generate_series(
        date_bin(w.width, start_time, coalesce(origin, start_time)),
        end_time - INTERVAL '1 microsecond',
        w.width
    ) AS g (bucket)
    ORDER BY g.bucket
$$;
COMMENT ON FUNCTION truthline.buckets(timestamptz, timestamptz, interval, timestamptz) IS
    'The buckets of a window: grid position, and first and last instant clipped to the window.';
