-- Readings of monitors: metrics of many models in many windows, in one statement per kind of metric.
--
-- Monitors of a kind are read together: cells of all their series, once, in buckets between the edges of
-- all their windows. Cells add up, so a window is the sum of its buckets, however windows overlap.
--
-- Params   `selections` and `members` are parallel: the series of each selection. `edges` are those of
--          buckets. The elements of `spans` say which selection and which buckets, from the first to the
--          last, are one reading; a result refers to them by number, from 1.

-- span: what one reading is of. `average` and `model` count for classifiers only.
CREATE TYPE truthline_internal.span AS (
    selection integer, first integer, last integer, average text, model integer
);
COMMENT ON TYPE truthline_internal.span IS
    'A selection of series, and the buckets that one reading of a monitor adds up.';

-- monitored_cell, monitored_error, monitored_load: cells per series, to be added up per selection.
CREATE TYPE truthline_internal.monitored_cell AS (
    place integer, series_id integer, predicted_label integer, actual_label integer, n bigint
);
CREATE TYPE truthline_internal.monitored_load AS (
    place integer, series_id integer, n_requests bigint, n_failed bigint, n bigint, n_latency bigint,
    sum_latency numeric
);
CREATE TYPE truthline_internal.monitored_truths AS (place integer, series_id integer, n bigint);
CREATE TYPE truthline_internal.monitored_error AS (
    place integer, series_id integer, n bigint, sum_error numeric, sum_absolute_error numeric,
    sum_squared_error numeric, sum_actual numeric, sum_squared_actual numeric, n_percentage bigint,
    sum_percentage_error numeric
);
CREATE TYPE truthline_internal.monitored_deviation AS (
    place integer, series_id integer, n bigint, sum_squared_error numeric, sum_fourth_error numeric,
    sum_actual numeric, sum_squared_actual numeric, sum_cubed_actual numeric,
    sum_fourth_actual numeric, sum_squared_error_actual numeric,
    sum_squared_error_squared_actual numeric, sum_squared_percentage_error numeric
);

-- monitored_classification: estimates of all metrics of classifiers, per span.
--
-- Grain    one row per (span with truths, metric), and per (span, class, metric); `place` is the span.
-- Formula  that of classification_estimates. Where it has no value although there are truths, precision
--          and its harmonic mean with recall are 0, as in classification_metrics.
-- Cost     the cells of the window, once for all spans.
CREATE OR REPLACE FUNCTION truthline_internal.monitored_classification(
    selections integer[], members integer[], edges timestamptz[], as_of timestamptz,
    spans truthline_internal.span[]
) RETURNS SETOF truthline_internal.estimate LANGUAGE sql STABLE PARALLEL SAFE
SET enable_nestloop = off SET jit = off AS $$
    WITH span AS MATERIALIZED (
        SELECT selection, first, last, average, model, id::integer AS id
        FROM unnest(spans) WITH ORDINALITY AS s (selection, first, last, average, model, id)
    ),
    cell AS MATERIALIZED (
        SELECT m.selection, c.place, c.predicted_label AS predicted, c.actual_label AS actual,
               sum(c.n)::bigint AS n
        FROM truthline_internal.cells(
            NULL::truthline_internal.monitored_cell, 'outcome', members, edges, as_of) AS c
        JOIN unnest(selections, members) AS m (selection, series_id) USING (series_id)
        WHERE c.predicted_label IS NOT NULL
        GROUP BY 1, 2, 3, 4
    ),
    pair AS MATERIALIZED (
        SELECT span.id, span.average, span.model, cell.predicted, cell.actual,
               sum(cell.n)::bigint AS n
        FROM span JOIN cell USING (selection)
        WHERE cell.place BETWEEN span.first AND span.last
        GROUP BY 1, 2, 3, 4, 5 HAVING sum(cell.n) <> 0
    ),
    declared AS (
        SELECT model, truthline_internal.declared_classes(model) AS classes
        FROM (SELECT DISTINCT model FROM span) AS asked
    ),
    known AS (
        SELECT id, count(*) AS classes FROM (
            SELECT id, predicted FROM pair UNION SELECT id, actual FROM pair
            UNION SELECT span.id, unnest(declared.classes) FROM span JOIN declared USING (model)
        ) AS class GROUP BY 1
    )
    SELECT e.place, e.metric, e.class, e.n, e.hits,
           CASE WHEN e.class IS NULL AND e.metric IN ('precision', 'harmonic_f1')
                THEN coalesce(e.value, 0) ELSE e.value END, e.standard_error, e.scale
    FROM (
        SELECT average, classes, array_agg(id ORDER BY id, actual, predicted) AS places,
               array_agg(predicted ORDER BY id, actual, predicted) AS predicted,
               array_agg(actual ORDER BY id, actual, predicted) AS actual,
               array_agg(n ORDER BY id, actual, predicted) AS counts
        FROM pair JOIN known USING (id) GROUP BY average, classes
    ) AS alike
    CROSS JOIN LATERAL truthline_internal.classification_estimates(
        alike.places, alike.predicted, alike.actual, alike.counts, alike.classes, alike.average) AS e
$$;
COMMENT ON FUNCTION truthline_internal.monitored_classification(integer[], integer[], timestamptz[], timestamptz, truthline_internal.span[]) IS
    'Estimates of the metrics of many classifiers in many windows.';

-- monitored_regression: estimates of all metrics of regressors, per span.
-- Grain    one row per (span with truths, metric); `place` is the span.
CREATE OR REPLACE FUNCTION truthline_internal.monitored_regression(
    selections integer[], members integer[], edges timestamptz[], as_of timestamptz,
    spans truthline_internal.span[]
) RETURNS SETOF truthline_internal.estimate LANGUAGE sql STABLE PARALLEL SAFE
SET enable_nestloop = off SET jit = off AS $$
    WITH span AS MATERIALIZED (
        SELECT selection, first, last, average, model, id::integer AS id
        FROM unnest(spans) WITH ORDINALITY AS s (selection, first, last, average, model, id)
    ),
    member AS MATERIALIZED (
        SELECT * FROM unnest(selections, members) AS m (selection, series_id)
    ),
    error AS (
        SELECT span.id, sum(c.n)::bigint AS n, sum(sum_error) AS sum_error,
               sum(sum_absolute_error) AS sum_absolute_error,
               sum(sum_squared_error) AS sum_squared_error, sum(sum_actual) AS sum_actual,
               sum(sum_squared_actual) AS sum_squared_actual,
               sum(n_percentage)::bigint AS n_percentage,
               sum(sum_percentage_error) AS sum_percentage_error
        FROM truthline_internal.cells(
            NULL::truthline_internal.monitored_error, 'outcome', members, edges, as_of) AS c
        JOIN member USING (series_id) JOIN span USING (selection)
        WHERE c.place BETWEEN span.first AND span.last GROUP BY 1
    ),
    deviation AS (
        SELECT span.id, sum(c.n)::bigint AS n, sum(sum_squared_error) AS sum_squared_error,
               sum(sum_fourth_error) AS sum_fourth_error, sum(sum_actual) AS sum_actual,
               sum(sum_squared_actual) AS sum_squared_actual,
               sum(sum_cubed_actual) AS sum_cubed_actual,
               sum(sum_fourth_actual) AS sum_fourth_actual,
               sum(sum_squared_error_actual) AS sum_squared_error_actual,
               sum(sum_squared_error_squared_actual) AS sum_squared_error_squared_actual,
               sum(sum_squared_percentage_error) AS sum_squared_percentage_error
        FROM truthline_internal.cells(
            NULL::truthline_internal.monitored_deviation, 'deviation', members, edges, as_of) AS c
        JOIN member USING (series_id) JOIN span USING (selection)
        WHERE c.place BETWEEN span.first AND span.last GROUP BY 1
    )
    SELECT * FROM truthline_internal.regression_estimates(
        ARRAY(SELECT ROW(id, n, sum_error, sum_absolute_error, sum_squared_error, sum_actual,
                         sum_squared_actual, n_percentage, sum_percentage_error
                        )::truthline_internal.error_cell FROM error),
        ARRAY(SELECT ROW(id, n, sum_squared_error, sum_fourth_error, sum_actual, sum_squared_actual,
                         sum_cubed_actual, sum_fourth_actual, sum_squared_error_actual,
                         sum_squared_error_squared_actual, sum_squared_percentage_error
                        )::truthline_internal.deviation_cell FROM deviation))
$$;
COMMENT ON FUNCTION truthline_internal.monitored_regression(integer[], integer[], timestamptz[], timestamptz, truthline_internal.span[]) IS
    'Estimates of the metrics of many regressors in many windows.';

-- monitored_load: requests, failures, mean latency, and the share of predictions with a truth, per span.
--
-- Grain    one row per (span, metric): spans without requests too, because none is a number of requests.
-- Units    latency in seconds, shares are fractions of 1. A share that may exceed 1, because a request
--          with several outputs has several truths, has no hits where it does.
CREATE OR REPLACE FUNCTION truthline_internal.monitored_load(
    selections integer[], members integer[], edges timestamptz[], as_of timestamptz,
    spans truthline_internal.span[], with_truths boolean
) RETURNS SETOF truthline_internal.estimate LANGUAGE sql STABLE PARALLEL SAFE
SET enable_nestloop = off SET jit = off AS $$
    WITH span AS MATERIALIZED (
        SELECT selection, first, last, average, model, id::integer AS id
        FROM unnest(spans) WITH ORDINALITY AS s (selection, first, last, average, model, id)
    ),
    member AS MATERIALIZED (
        SELECT * FROM unnest(selections, members) AS m (selection, series_id)
    ),
    load AS (
        SELECT span.id, sum(n_requests - n_failed)::bigint AS n, sum(n_failed)::bigint AS n_failed,
               sum(n_latency)::bigint AS n_latency, sum(sum_latency) AS sum_latency
        FROM truthline_internal.cells(
            NULL::truthline_internal.monitored_load, 'prediction', members, edges, as_of) AS c
        JOIN member USING (series_id) JOIN span USING (selection)
        WHERE c.place BETWEEN span.first AND span.last GROUP BY 1
    ),
    labelled AS (
        SELECT span.id, sum(c.n)::bigint AS n
        FROM truthline_internal.cells(
            NULL::truthline_internal.monitored_truths, 'outcome',
            CASE WHEN with_truths THEN members ELSE '{}' END, edges, as_of) AS c
        JOIN member USING (series_id) JOIN span USING (selection)
        WHERE c.place BETWEEN span.first AND span.last GROUP BY 1
    )
    SELECT span.id, e.metric, NULL::integer, e.n, e.hits, e.value, NULL::float8, e.scale
    FROM span
    LEFT JOIN load USING (id)
    LEFT JOIN labelled USING (id)
    CROSS JOIN LATERAL (
        SELECT coalesce(load.n, 0), coalesce(load.n_failed, 0), coalesce(labelled.n, 0)
    ) AS counted (n, failed, truths)
    CROSS JOIN LATERAL (VALUES
        ('inferences', counted.n + counted.failed, NULL::bigint, counted.n::float8, 'count'),
        ('errors', counted.n + counted.failed, NULL, counted.failed::float8, 'count'),
        ('error_rate', counted.n + counted.failed, counted.failed,
         counted.failed / nullif(counted.n + counted.failed, 0)::float8, 'share'),
        ('latency', coalesce(load.n_latency, 0), NULL,
         truthline_internal.mean(load.sum_latency, load.n_latency), 'count'),
        ('labelled_share', counted.n, CASE WHEN counted.truths <= counted.n THEN counted.truths END,
         counted.truths / nullif(counted.n, 0)::float8, 'share')
    ) AS e (metric, n, hits, value, scale)
$$;
COMMENT ON FUNCTION truthline_internal.monitored_load(integer[], integer[], timestamptz[], timestamptz, truthline_internal.span[], boolean) IS
    'Requests, failures, latency and labelled share of many models in many windows.';

-- monitored_latencies: quantiles of latency, per span.
--
-- Grain    one row per (span with a latency, fraction).
-- Why      quantiles don't add up. The query of quantiles groups numbers by class, and latencies have
--          none: so the span takes its place, and each span reads its own buckets.
CREATE OR REPLACE FUNCTION truthline_internal.monitored_latencies(
    selections integer[], members integer[], edges timestamptz[], as_of timestamptz,
    spans truthline_internal.span[], fractions float8[]
) RETURNS TABLE (place integer, fraction float8, n bigint, value float8)
LANGUAGE plpgsql STABLE PARALLEL SAFE SET jit = off AS $function$
DECLARE
    reach record;
    cells text;
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.reach('latency', members, edges, as_of);
    cells := format(
        'SELECT 1 AS place, piece.series_id, span.id::integer AS label_id, piece.bin, piece.n,'
        ' piece.numbers FROM (%s) AS piece'
        ' JOIN unnest(%L::integer[], %L::integer[]) AS m (selection, series_id) USING (series_id)'
        ' JOIN unnest(%L::integer[], %L::integer[], %L::integer[]) WITH ORDINALITY'
        '     AS span (selection, first, last, id) USING (selection)'
        ' WHERE piece.place BETWEEN span.first AND span.last',
        truthline_internal.numbered_cells(
            'latency', members, reach.reached_edges, reach.reached_as_of),
        selections, members, ARRAY(SELECT s.selection FROM unnest(spans) AS s),
        ARRAY(SELECT s.first FROM unnest(spans) AS s), ARRAY(SELECT s.last FROM unnest(spans) AS s));
    RETURN QUERY
    SELECT q.label_id, f.fraction, q.n, f.quantile
    FROM truthline_internal.quantiles_of(cells, members, reach.reached_edges, fractions) AS q
    CROSS JOIN unnest(fractions, q.quantiles) AS f (fraction, quantile);
END
$function$;
COMMENT ON FUNCTION truthline_internal.monitored_latencies(integer[], integer[], timestamptz[], timestamptz, truthline_internal.span[], float8[]) IS
    'Quantiles of the latencies of many models in many windows.';
