-- Cells: the only input of metrics. Nothing else reads raw rows for a metric.
--
-- Grain    one row per (bucket, key) that counts anything; `place` is the bucket's number from
--          truthline_internal.buckets. All columns are additive: cells of two adjacent windows sum to
--          those of their union.
-- Exact    the functions are STABLE: bounds, cells and rows are read in the caller's one snapshot.
--          With `as_of`, they return what was known at that moment.
-- Cost     cells of levels, the rows on either side of an edge up to the nearest cell's bound, and
--          the rows received since the instant up to which levels are clean.

-- cells: cells of any subject, with the columns of a type: `place` first, then the requested columns of
-- the subject, in its order. `columns` is a NULL of that type.
-- Why      JIT is off: compiling takes longer than any of these queries, and the optimizer, which can't
--          estimate how few rows are within a cut, would often choose to. Nor can it estimate how many cells
--          many series have: it would sort half a million, to add them up. Numbers of raw rows are read
--          with as many digits as those in the levels, whatever the session's setting.
CREATE OR REPLACE FUNCTION truthline_internal.cells(
    columns anyelement, subject_name text, series integer[], edges timestamptz[],
    as_of timestamptz DEFAULT 'infinity'
) RETURNS SETOF anyelement LANGUAGE plpgsql STABLE PARALLEL SAFE
SET jit = off SET enable_sort = off SET extra_float_digits = 1 AS $function$
DECLARE
    names text[] := ARRAY(
        SELECT attname FROM pg_attribute
        WHERE attrelid = pg_typeof(columns)::text::regclass AND attnum > 1);
    reach record;
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.reach(subject_name, series, edges, as_of);
    RETURN QUERY EXECUTE
        truthline_internal.cells_query(
            subject_name, names, series, reach.reached_edges, reach.reached_as_of)
        USING series, reach.reached_edges;
END
$function$;
COMMENT ON FUNCTION truthline_internal.cells(anyelement, text, integer[], timestamptz[], timestamptz) IS
    'Additive cells of a subject, per bucket between edges, with the columns of a type.';

-- outcome_cells: predictions with their truths; `n` counts truths. For regression, one per bucket.
CREATE TYPE truthline_internal.outcome_cell AS (
    place integer, predicted_label integer, actual_label integer, n bigint
);
CREATE OR REPLACE FUNCTION truthline_internal.outcome_cells(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS SETOF truthline_internal.outcome_cell LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT * FROM truthline_internal.cells(
        NULL::truthline_internal.outcome_cell, 'outcome', series, edges, as_of)
$$;
COMMENT ON FUNCTION truthline_internal.outcome_cells(integer[], timestamptz[], timestamptz) IS
    'Additive cells of predictions with truth: counts per (bucket, predicted, actual).';

-- scored_cells: sums over predictions with a confidence and a truth.
--
-- Units    `n` counts truths. sum_log_loss in nats; sum_missing_squared adds up (1 - score)^2 of the true
--          class, sum_rest_squared the squared scores of all other classes. If only a confidence was
--          sent (has_scores is false), they are those of a binary model.
CREATE TYPE truthline_internal.scored_cell AS (
    place integer, actual_label integer, has_scores boolean, n bigint, sum_log_loss numeric,
    sum_missing_squared numeric, sum_rest_squared numeric
);
CREATE OR REPLACE FUNCTION truthline_internal.scored_cells(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS SETOF truthline_internal.scored_cell LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT * FROM truthline_internal.cells(
        NULL::truthline_internal.scored_cell, 'scored', series, edges, as_of)
$$;
COMMENT ON FUNCTION truthline_internal.scored_cells(integer[], timestamptz[], timestamptz) IS
    'Additive cells of scores with truth: losses per (bucket, actual class).';

-- versus_cells: truths with a score of a declared class.
--
-- Units    `n` counts truths, `n_hits` those of class `class_label`.
CREATE TYPE truthline_internal.versus_cell AS (
    place integer, class_label integer, n bigint, n_hits bigint
);
CREATE OR REPLACE FUNCTION truthline_internal.versus_cells(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS SETOF truthline_internal.versus_cell LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT * FROM truthline_internal.cells(
        NULL::truthline_internal.versus_cell, 'versus', series, edges, as_of)
$$;
COMMENT ON FUNCTION truthline_internal.versus_cells(integer[], timestamptz[], timestamptz) IS
    'Additive cells of scores of declared classes: truths per (bucket, declared class).';

-- error_cells: sums of the errors of values.
--
-- Grain    one row per bucket.
-- Units    `n` counts truths; error is predicted minus actual, in the model's own unit;
--          `n_percentage` counts truths other than 0, sum_percentage_error adds up |error / actual|.
CREATE TYPE truthline_internal.error_cell AS (
    place integer, n bigint, sum_error numeric, sum_absolute_error numeric,
    sum_squared_error numeric, sum_actual numeric, sum_squared_actual numeric,
    n_percentage bigint, sum_percentage_error numeric
);
CREATE OR REPLACE FUNCTION truthline_internal.error_cells(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS SETOF truthline_internal.error_cell LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT * FROM truthline_internal.cells(
        NULL::truthline_internal.error_cell, 'outcome', series, edges, as_of)
$$;
COMMENT ON FUNCTION truthline_internal.error_cells(integer[], timestamptz[], timestamptz) IS
    'Additive cells of regression: counts and sums of errors per bucket.';

-- prediction_cells: predictions per class.
--
-- Units    `n` counts outputs, n_requests inferences, n_failed those that failed,
--          n_label_requests inferences with that class among their outputs. Confidences are
--          fractions of 1; latencies in seconds, once per request (sum_latency) and once per
--          output (sum_output_latency); sum_value in the model's own unit.
CREATE TYPE truthline_internal.prediction_cell AS (
    place integer, label_id integer, n_requests bigint, n_failed bigint, n_label_requests bigint,
    n bigint, n_confidence bigint, sum_confidence numeric, n_value bigint, sum_value numeric,
    n_latency bigint, sum_latency numeric, n_output_latency bigint, sum_output_latency numeric
);
CREATE OR REPLACE FUNCTION truthline_internal.prediction_cells(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS SETOF truthline_internal.prediction_cell LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT * FROM truthline_internal.cells(
        NULL::truthline_internal.prediction_cell, 'prediction', series, edges, as_of)
$$;
COMMENT ON FUNCTION truthline_internal.prediction_cells(integer[], timestamptz[], timestamptz) IS
    'Additive cells of predictions: counts, confidences, values and latencies per (bucket, class).';

-- score_cells: outputs per class and bin of confidence (of value, for regression).
CREATE TYPE truthline_internal.score_cell AS (
    place integer, label_id integer, bin integer, n bigint
);
CREATE OR REPLACE FUNCTION truthline_internal.score_cells(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS SETOF truthline_internal.score_cell LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT * FROM truthline_internal.cells(
        NULL::truthline_internal.score_cell, 'score', series, edges, as_of)
$$;
COMMENT ON FUNCTION truthline_internal.score_cells(integer[], timestamptz[], timestamptz) IS
    'Outputs per (bucket, class, bin of confidence or value), to find quantiles.';

-- latency_cells: requests per bin of latency.
CREATE TYPE truthline_internal.latency_cell AS (place integer, bin integer, n bigint);
CREATE OR REPLACE FUNCTION truthline_internal.latency_cells(
    series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS SETOF truthline_internal.latency_cell LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT * FROM truthline_internal.cells(
        NULL::truthline_internal.latency_cell, 'latency', series, edges, as_of)
$$;
COMMENT ON FUNCTION truthline_internal.latency_cells(integer[], timestamptz[], timestamptz) IS
    'Requests per (bucket, bin of latency), to find quantiles.';

-- explain: the pieces that an answer is summed from.
--
-- Grain    one row per piece: a level or raw table, the span of the learned clock that is read
--          (NULL: without end), and how many of its cells or rows.
-- Cost     that of the answer itself.
CREATE OR REPLACE FUNCTION truthline_internal.explain(
    subject_name text, series integer[], edges timestamptz[], as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (source text, learned_from timestamptz, learned_until timestamptz, n bigint)
LANGUAGE plpgsql STABLE PARALLEL SAFE
SET jit = off SET extra_float_digits = 1 AS $function$
DECLARE
    reach record;
    piece truthline_internal.piece;
BEGIN
    SELECT * INTO STRICT reach FROM truthline_internal.reach(subject_name, series, edges, as_of);
    FOR piece IN SELECT * FROM truthline_internal.plan(
                     subject_name, series, reach.reached_edges, reach.reached_as_of) LOOP
        source := piece.source;
        learned_from := piece.learned_from;
        learned_until := nullif(piece.learned_until, 'infinity');
        -- nothing received by then could belong to the window
        CONTINUE WHEN learned_from >= learned_until;
        n := truthline_internal.n_read(piece, subject_name, series, reach.reached_edges);
        RETURN NEXT;
    END LOOP;
END
$function$;
COMMENT ON FUNCTION truthline_internal.explain(text, integer[], timestamptz[], timestamptz) IS
    'What an answer is summed from: levels and raw tables, and how many cells or rows of each.';
