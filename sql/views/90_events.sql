-- Totals of events: counters, gauges and timers, as Prometheus reads them.

-- event_metrics: the metrics of a workspace.
--
-- Grain    one row per metric; for a timer, one per bound of its bins, the last of which is infinity.
-- Units    `value` is the total of a counter, the latest value of a gauge, or the sum of a timer in
--          seconds. `n` counts the numbers received; for a timer, those up to `bound`, in seconds.
-- Exact    totals and the numbers that no total includes yet are read in the caller's one snapshot, and
--          summed as decimals: a counter never decreases.
-- Cost     the totals of the workspace, and the numbers added since the last fold.
CREATE OR REPLACE FUNCTION truthline_internal.event_metrics(workspace integer)
RETURNS TABLE (name text, type text, labels jsonb, bound float8, n bigint, value float8)
LANGUAGE sql STABLE PARALLEL SAFE SET extra_float_digits = 1 AS $$
    WITH mine AS MATERIALIZED (
        SELECT m.* FROM truthline_data.event_metric AS m WHERE m.workspace_id = workspace
    ),
    part AS (
        SELECT metric_id, t.bin, t.n, t.total, t.latest, t.latest_id
        FROM truthline_data.event_total AS t JOIN mine ON mine.id = metric_id
        UNION ALL
        SELECT metric_id, CASE mine.type WHEN 'timer' THEN truthline_data.timer_bin(c.value)
                                         ELSE 0 END,
               1, truthline_data.exact(c.value), c.value, c.id
        FROM truthline_data.event_count AS c JOIN mine ON mine.id = metric_id
    ),
    bin AS (
        SELECT metric_id, part.bin, sum(part.n)::bigint AS n, sum(total) AS total,
               (array_agg(latest ORDER BY latest_id DESC))[1] AS latest
        FROM part GROUP BY 1, 2
    )
    SELECT mine.name, mine.type, mine.labels, NULL, bin.n,
           CASE mine.type WHEN 'gauge' THEN bin.latest ELSE truthline_internal.as_double(bin.total) END
    FROM mine JOIN bin ON bin.metric_id = mine.id
    WHERE mine.type <> 'timer'
    UNION ALL
    SELECT mine.name, mine.type, mine.labels, bounds.bound,
           coalesce(sum(bin.n) FILTER (WHERE bin.bin < bounds.place), 0)::bigint,
           truthline_internal.as_double(sum(bin.total))
    FROM mine JOIN bin ON bin.metric_id = mine.id
    CROSS JOIN unnest(truthline_data.timer_bounds() || 'infinity'::float8) WITH ORDINALITY
        AS bounds (bound, place)
    WHERE mine.type = 'timer'
    GROUP BY mine.id, mine.name, mine.type, mine.labels, bounds.bound
    ORDER BY 1, 3, 4
$$;
COMMENT ON FUNCTION truthline_internal.event_metrics(integer) IS
    'Counters, gauges and timers of a workspace, as accumulated from events.';
