-- label_delay: how many predictions had their truth within some delays.
--
-- Grain    one row per delay, in the order given.
-- Units    a delay counts predictions made in [start_time, until): at `as_of`, each of them was at least
--          that old, so all had the same chance. `until` is end_time, or the last five minutes' bound
--          that is early enough; NULL if no prediction is old enough, and then the others are NULL too.
--          `predictions` counts successful requests, `known` those whose first truth was stored within
--          the delay. It is at most `possible`: they differ where rows were dropped that would tell.
-- Exact    a correction is two rows at one moment, which add up to 0: the first truth counts.
-- Cost     for delays of a day and more, cells of five minutes and learned hours, which tell for most
--          truths; rows for those cells that a delay divides, for both ends of the window, and since the
--          level is clean. A shorter delay divides most cells, so the rows of the window are read
--          instead, once per delay, unless some of them were dropped.
CREATE OR REPLACE FUNCTION truthline_internal.label_delay(
    series integer[], start_time timestamptz, end_time timestamptz, as_of timestamptz,
    delays interval[]
) RETURNS TABLE (
    delay interval, until timestamptz, predictions bigint, known bigint, possible bigint
) LANGUAGE plpgsql STABLE PARALLEL SAFE
SET jit = off SET plan_cache_mode = force_custom_plan AS $function$
#variable_conflict use_column
DECLARE
    five interval := INTERVAL '5 minutes';
    first_cell timestamptz :=
        truthline_data.event_start(five, start_time + five - INTERVAL '1 microsecond');
    last_cell timestamptz := truthline_data.event_start(five, end_time);
    span interval := (SELECT learned_width FROM truthline_data.level WHERE name = 'outcome_5m_1h');
    earliest timestamptz := start_time - INTERVAL '26 hours';
    bound timestamptz := truthline_data.learned_start(
        span, least(truthline_internal.clean_until('outcome_5m_1h'), as_of));
    has_rows boolean := NOT EXISTS (
        SELECT FROM truthline_data.retention WHERE relation = 'outcome' AND since > earliest);
BEGIN
    RETURN QUERY
    WITH goal AS MATERIALIZED (
        SELECT d.nth, d.delay, has_rows AND d.delay < INTERVAL '1 day' AS by_row,
               CASE WHEN as_of - d.delay >= end_time THEN end_time
                    ELSE nullif(greatest(truthline_data.event_start(five, as_of - d.delay),
                                         start_time), start_time) END AS until
        FROM unnest(delays) WITH ORDINALITY AS d (delay, nth)
    ),
    cell AS MATERIALIZED (
        SELECT c.bucket, c.learned, sum(c.n)::bigint AS n
        FROM truthline_data.outcome_5m_1h AS c
        WHERE c.series_id = ANY (series) AND c.bucket >= first_cell AND c.bucket < last_cell
          AND c.learned >= earliest AND c.learned < bound
        GROUP BY 1, 2
    ),
    -- all of a cell is within a delay, or only some of it may be
    judged AS MATERIALIZED (
        SELECT goal.nth, goal.delay, cell.*,
               cell.learned + span <= cell.bucket + goal.delay AS is_within
        FROM goal JOIN cell ON NOT goal.by_row AND cell.bucket + five <= goal.until
                           AND cell.learned < cell.bucket + five + goal.delay
    ),
    divided AS MATERIALIZED (
        SELECT DISTINCT bucket, learned FROM judged WHERE NOT is_within
    ),
    row_of_cell AS MATERIALIZED (
        SELECT divided.bucket, divided.learned, o.time, o.received_at, o.weight
        FROM divided CROSS JOIN LATERAL (
            SELECT r.time, r.received_at, r.weight FROM truthline_data.outcome AS r
            WHERE r.series_id = ANY (series)
              AND r.time >= divided.bucket AND r.time < divided.bucket + five
              AND r.received_at >= divided.learned
              AND r.received_at < divided.learned + span
            OFFSET 0
        ) AS o
    ),
    other_row AS MATERIALIZED (
        SELECT r.time, r.received_at, r.weight FROM truthline_data.outcome AS r
        WHERE r.series_id = ANY (series) AND r.time >= start_time AND r.time < end_time
          AND r.received_at >= greatest(bound, earliest) AND r.received_at < as_of
        UNION ALL
        SELECT r.time, r.received_at, r.weight FROM truthline_data.outcome AS r
        WHERE r.series_id = ANY (series) AND r.received_at >= earliest AND r.received_at < bound
          AND (r.time >= start_time AND r.time < least(first_cell, end_time)
               OR r.time >= greatest(last_cell, first_cell) AND r.time < end_time)
    ),
    counted AS (
        SELECT nth, n AS known, n AS possible FROM judged WHERE is_within
        UNION ALL
        SELECT j.nth,
               coalesce(sum(o.weight) FILTER (WHERE o.received_at - o.time <= j.delay), 0)::bigint,
               CASE WHEN count(o.time) = 0 THEN j.n
                    ELSE coalesce(sum(o.weight) FILTER (WHERE o.received_at - o.time <= j.delay), 0)
                    END::bigint
        FROM judged AS j
        LEFT JOIN row_of_cell AS o ON o.bucket = j.bucket AND o.learned = j.learned
        WHERE NOT j.is_within
        GROUP BY j.nth, j.bucket, j.learned, j.n
        UNION ALL
        SELECT goal.nth, o.weight, o.weight
        FROM goal JOIN other_row AS o
            ON NOT goal.by_row AND o.time < goal.until AND o.received_at - o.time <= goal.delay
        UNION ALL
        SELECT goal.nth, o.n, o.n
        FROM goal CROSS JOIN LATERAL (
            SELECT coalesce(sum(r.weight), 0)::bigint AS n FROM truthline_data.outcome AS r
            WHERE r.series_id = ANY (series) AND r.time >= start_time AND r.time < goal.until
              AND r.received_at >= earliest AND r.received_at < as_of
              AND r.received_at < end_time + goal.delay + INTERVAL '1 microsecond'
              AND r.received_at - r.time <= goal.delay
        ) AS o
        WHERE goal.by_row
    )
    SELECT goal.delay, goal.until,
           CASE WHEN goal.until IS NOT NULL THEN (
               SELECT volume.n FROM truthline_internal.prediction_volume(
                   series, ARRAY[start_time, goal.until], as_of) AS volume) END,
           CASE WHEN goal.until IS NOT NULL THEN coalesce(sum(c.known), 0)::bigint END,
           CASE WHEN goal.until IS NOT NULL THEN coalesce(sum(c.possible), 0)::bigint END
    FROM goal LEFT JOIN counted AS c USING (nth)
    GROUP BY goal.nth, goal.delay, goal.until ORDER BY goal.nth;
END
$function$;
COMMENT ON FUNCTION truthline_internal.label_delay(integer[], timestamptz, timestamptz, timestamptz, interval[]) IS
    'How many predictions had their truth within some delays.';
