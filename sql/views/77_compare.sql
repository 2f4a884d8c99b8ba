-- Compare: does a metric differ between two sides by more than chance explains?
--
-- A side is any series over any window, as of any moment. Both sides are taken as independent samples.
-- Which test a metric gets depends on the scale of its estimates (06_intervals.sql):
--
-- share         two-proportion z test, with the share of both sides together; Newcombe's interval, made
--               of Wilson's for each side, which holds for shares near 0 and 1 too
-- mean, square  Welch's t test and interval
-- others        z test and interval, from the standard errors of the delta method
--
-- Null     interval and p-value where a side has fewer truths than `few`, where its standard error is
--          unknown, and where the sides share predictions: then they aren't independent.

-- student_p: the probability that Student's t is further from 0 than this, on either side. Right
-- to 1e-9 of itself from 29 degrees on.
-- Why      it is the regularized incomplete beta function of degrees / (degrees + t^2), by the continued
--          fraction of 26.5.8 in Abramowitz and Stegun; above a million degrees, 26.7.8 is as exact.
CREATE OR REPLACE FUNCTION truthline_internal.student_p(t float8, degrees float8) RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $function$
DECLARE
    size float8 := least(abs(t), 1e100);
    a float8 := degrees / 2;
    b float8 := 0.5;
    x float8;
    flipped boolean;
    logarithm float8;
    c float8 := 1;
    d float8;
    fraction float8;
    step float8;
BEGIN
    IF t IS NULL OR degrees IS NULL OR size = 0 THEN
        RETURN CASE WHEN size = 0 THEN 1 END;
    ELSIF degrees > 1e6 THEN
        RETURN erfc(size * (1 - 1 / (4 * degrees))
                    / sqrt(1 + size * size / (2 * degrees)) / sqrt(2::float8));
    END IF;
    x := 1 / (1 + size * size / degrees);
    -- ln (x^a (1 - x)^b / B(a, b)), with Stirling's series for the quotient of gamma functions
    logarithm := a * ln(x) + b * ln(1 / (1 + degrees / (size * size))) - ln(pi()) / 2
        + a * ln(1 + 0.5 / a) + ln(a) / 2 - 0.5 + 1 / (12 * (a + 0.5)) - 1 / (12 * a)
        - 1 / (360 * (a + 0.5) ^ 3) + 1 / (360 * a ^ 3)
        + 1 / (1260 * (a + 0.5) ^ 5) - 1 / (1260 * a ^ 5);
    IF logarithm < -700 THEN
        RETURN 0;
    END IF;
    flipped := x > (a + 1) / (a + b + 2);
    IF flipped THEN
        a := 0.5;
        b := degrees / 2;
        x := 1 - x;
    END IF;
    d := 1 / (1 - (a + b) * x / (a + 1));
    fraction := d;
    FOR m IN 1 .. 1000 LOOP
        step := m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
        d := 1 / (1 + step * d);
        c := 1 + step / c;
        fraction := fraction * d * c;
        step := -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
        d := 1 / (1 + step * d);
        c := 1 + step / c;
        fraction := fraction * d * c;
        EXIT WHEN abs(d * c - 1) < 1e-15;
    END LOOP;
    fraction := exp(logarithm) * fraction / a;
    RETURN CASE WHEN flipped THEN 1 - fraction ELSE fraction END;
END
$function$;
COMMENT ON FUNCTION truthline_internal.student_p(float8, float8) IS
    'The probability that Student''s t is further from 0 than a number, on either side.';

-- difference: a minus b, the bounds of its confidence interval, and how likely a difference of at least
-- this size is by chance if there is none.
CREATE TYPE truthline_internal.difference AS (
    difference float8, low float8, high float8, p_value float8
);
COMMENT ON TYPE truthline_internal.difference IS
    'A difference of two estimates, its confidence interval and p-value.';

-- difference_of_shares: by Newcombe's interval and the two-proportion z test.
CREATE OR REPLACE FUNCTION truthline_internal.difference_of_shares(
    a truthline_internal.estimate, b truthline_internal.estimate, z float8
) RETURNS truthline_internal.difference LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ROW(a.value - b.value,
               a.value - b.value - sqrt((a.value - own.low) ^ 2 + (other.high - b.value) ^ 2),
               a.value - b.value + sqrt((own.high - a.value) ^ 2 + (b.value - other.low) ^ 2),
               CASE WHEN pooled.share IN (0, 1) THEN 1 ELSE
                   erfc(abs(a.value - b.value) / sqrt(
                       2 * pooled.share * (1 - pooled.share) * (1 / a.n::float8 + 1 / b.n::float8)))
               END)::truthline_internal.difference
    FROM truthline_internal.wilson(a.hits, a.n, z) AS own
    CROSS JOIN truthline_internal.wilson(b.hits, b.n, z) AS other
    CROSS JOIN (SELECT (a.hits + b.hits) / (a.n + b.n)::float8) AS pooled (share)
$$;
COMMENT ON FUNCTION truthline_internal.difference_of_shares(truthline_internal.estimate, truthline_internal.estimate, float8) IS
    'The difference of two shares, with Newcombe''s interval and the p-value of the two-proportion z test.';

-- difference_of_estimates: by Welch's t for means, and by the normal distribution for others.
CREATE OR REPLACE FUNCTION truthline_internal.difference_of_estimates(
    a truthline_internal.estimate, b truthline_internal.estimate, z float8
) RETURNS truthline_internal.difference LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $function$
DECLARE
    is_mean boolean := a.scale IN ('mean', 'square');
    larger float8 := greatest(a.standard_error, b.standard_error);
    found truthline_internal.difference;
    own float8;    -- variances as parts of the larger one
    other float8;
    error float8;
    quantile float8 := z;
    degrees float8;
BEGIN
    IF (abs(a.value) < 1e290 AND abs(b.value) < 1e290) IS NOT TRUE THEN
        RETURN NULL;
    END IF;
    found.difference := a.value - b.value;
    IF (larger BETWEEN 1e-190 AND 1e280 AND num_nulls(a.standard_error, b.standard_error) = 0
        AND (is_mean OR least(a.standard_error, b.standard_error) > 0)) IS NOT TRUE THEN
        RETURN found;
    END IF;
    own := CASE WHEN a.standard_error < larger * 1e-70 THEN 0
                ELSE (a.standard_error / larger) ^ 2 END;
    other := CASE WHEN b.standard_error < larger * 1e-70 THEN 0
                  ELSE (b.standard_error / larger) ^ 2 END;
    error := larger * sqrt(own + other);
    IF is_mean THEN
        degrees := (own + other) ^ 2 / (own ^ 2 / (a.n - 1) + other ^ 2 / (b.n - 1));
        quantile := truthline_internal.student_quantile(z, degrees);
    END IF;
    found.low := found.difference - quantile * error;
    found.high := found.difference + quantile * error;
    found.p_value := CASE
        WHEN abs(found.difference) > 1e3 * error THEN 0
        WHEN abs(found.difference) < 1e-100 * error THEN 1
        WHEN is_mean THEN truthline_internal.student_p(found.difference / error, degrees)
        ELSE erfc(abs(found.difference) / error / sqrt(2::float8)) END;
    RETURN found;
END
$function$;
COMMENT ON FUNCTION truthline_internal.difference_of_estimates(truthline_internal.estimate, truthline_internal.estimate, float8) IS
    'The difference of two estimates, with the interval and the p-value of Welch''s t or the z test.';

-- difference_of: a minus b, by the test of their scale; NULL if a side has too few truths.
CREATE OR REPLACE FUNCTION truthline_internal.difference_of(
    a truthline_internal.estimate, b truthline_internal.estimate, z float8
) RETURNS truthline_internal.difference LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN (least(a.n, b.n) >= truthline_internal.few()
              AND num_nulls(a.n, b.n, a.value, b.value) = 0) IS NOT TRUE THEN NULL
        WHEN a.scale = 'share' THEN truthline_internal.difference_of_shares(a, b, z)
        ELSE truthline_internal.difference_of_estimates(a, b, z) END
$$;
COMMENT ON FUNCTION truthline_internal.difference_of(truthline_internal.estimate, truthline_internal.estimate, float8) IS
    'The difference of two estimates, its interval and its p-value.';

-- verdict_of: what a difference says, in words. `n` is the number of truths of the smaller side.
-- Units    one side is higher if the interval excludes 0 and the p-value is below 1 - confidence: for
--          shares, near the edge, one test may find a difference where the other doesn't.
CREATE OR REPLACE FUNCTION truthline_internal.verdict_of(
    difference truthline_internal.difference, n bigint, confidence float8, shared boolean
) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN shared THEN 'not comparable: both sides count the same predictions'
        WHEN n < truthline_internal.few() THEN 'too few truths to compare'
        WHEN difference.low > 0 AND difference.p_value < 1 - confidence THEN 'A is higher'
        WHEN difference.high < 0 AND difference.p_value < 1 - confidence THEN 'B is higher'
        ELSE 'not distinguishable with these truths' END
$$;
COMMENT ON FUNCTION truthline_internal.verdict_of(truthline_internal.difference, bigint, float8, boolean) IS
    'What a difference says, in words.';

-- metrics_of: the metrics of a window, each as an estimate.
-- Grain    one row per metric of the kind, classification or regression.
-- Units    values are those of classification_metrics and regression_metrics, to the last digit; NULL
--          with `n` 0 without truths. `kind` NULL is that of a model without predictions: no rows.
CREATE OR REPLACE FUNCTION truthline_internal.metrics_of(
    kind text, series integer[], edges timestamptz[], as_of timestamptz, declared integer[],
    average text DEFAULT 'macro'
) RETURNS SETOF truthline_internal.estimate LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
#variable_conflict use_column
BEGIN
    IF kind = 'classification' THEN
        RETURN QUERY
        WITH metrics AS MATERIALIZED (
            SELECT * FROM truthline_internal.classification_metrics(
                series, edges, as_of, declared, average)
        )
        SELECT 1, v.metric, NULL::integer, coalesce(e.n, metrics.n), e.hits, v.value, e.standard_error,
               e.scale
        FROM metrics
        CROSS JOIN LATERAL (VALUES
            ('accuracy', metrics.accuracy), ('precision', metrics."precision"),
            ('recall', metrics.recall), ('specificity', metrics.specificity), ('f1', metrics.f1),
            ('harmonic_f1', metrics.harmonic_f1),
            ('matthews_correlation', metrics.matthews_correlation)) AS v (metric, value)
        LEFT JOIN LATERAL truthline_internal.classification_estimates(
            array_fill(1, ARRAY[cardinality(metrics.counts)]), metrics.predicted, metrics.actual,
            metrics.counts, (SELECT count(*) FROM (SELECT unnest(declared) UNION
                                                   SELECT unnest(metrics.classes)) AS class), average) AS e
            ON e.metric = v.metric AND e.class IS NULL;
    ELSIF kind = 'regression' THEN
        RETURN QUERY
        SELECT 1, v.metric, NULL::integer, coalesce(e.n, metrics.n), e.hits, v.value, e.standard_error,
               e.scale
        FROM truthline_internal.regression_metrics(series, edges, as_of) AS metrics
        CROSS JOIN LATERAL (VALUES
            ('mean_absolute_error', metrics.mean_absolute_error),
            ('mean_squared_error', metrics.mean_squared_error),
            ('root_mean_squared_error', metrics.root_mean_squared_error),
            ('mean_error', metrics.mean_error), ('r2', metrics.r2),
            ('mean_absolute_percentage_error', metrics.mean_absolute_percentage_error)
        ) AS v (metric, value)
        LEFT JOIN truthline_internal.estimated_errors(series, edges, as_of) AS e
            ON e.metric = v.metric;
    END IF;
END
$function$;
COMMENT ON FUNCTION truthline_internal.metrics_of(text, integer[], timestamptz[], timestamptz, integer[], text) IS
    'The metrics of a window, each as an estimate.';

-- compared: two estimates of a metric, and what their difference says.
--
-- Grain    one row.
-- Params   `z` is the normal quantile of `confidence`; `shared` says that both sides count the same
--          predictions.
-- Units    `difference` is A minus B, in the metric's unit, and so are the bounds of all intervals.
CREATE OR REPLACE FUNCTION truthline_internal.compared(
    own truthline_internal.estimate, other truthline_internal.estimate, z float8, confidence float8,
    shared boolean
) RETURNS TABLE (
    metric text, a float8, b float8, a_n bigint, b_n bigint, a_low float8, a_high float8,
    b_low float8, b_high float8, difference float8, difference_low float8, difference_high float8,
    p_value float8, verdict text
) LANGUAGE sql STABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT own.metric, own.value, other.value, own.n, other.n, a.low, a.high, b.low, b.high,
           CASE WHEN greatest(abs(own.value), abs(other.value)) < 1e290
                THEN own.value - other.value END,
           CASE WHEN NOT shared THEN (d.found).low END,
           CASE WHEN NOT shared THEN (d.found).high END,
           CASE WHEN NOT shared THEN (d.found).p_value END,
           truthline_internal.verdict_of(d.found, least(own.n, other.n), confidence, shared)
    FROM truthline_internal.interval_of(own, z) AS a
    CROSS JOIN truthline_internal.interval_of(other, z) AS b
    CROSS JOIN (SELECT truthline_internal.difference_of(own, other, z) OFFSET 0) AS d (found)
$$;
COMMENT ON FUNCTION truthline_internal.compared(truthline_internal.estimate, truthline_internal.estimate, float8, float8, boolean) IS
    'Two estimates of a metric, their difference, its confidence interval and p-value, and a verdict.';

-- compare: the metrics of two sides, and what their differences say.
--
-- Params   of each side its series, the start and end of its window, its moment, and the classes that
--          its model declares. Both models are of one kind.
-- Grain    one row per metric of the kind.
-- Units    `difference` is A minus B, in the metric's unit, and so are the bounds of all intervals.
-- Cost     the cells of both windows.
CREATE OR REPLACE FUNCTION truthline_internal.compare(
    kind text, a_series integer[], a_edges timestamptz[], a_as_of timestamptz, a_declared integer[],
    b_series integer[], b_edges timestamptz[], b_as_of timestamptz, b_declared integer[],
    average text DEFAULT 'macro', confidence float8 DEFAULT 0.95
) RETURNS TABLE (
    metric text, a float8, b float8, a_n bigint, b_n bigint, a_low float8, a_high float8,
    b_low float8, b_high float8, difference float8, difference_low float8, difference_high float8,
    p_value float8, verdict text
) LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
#variable_conflict use_column
DECLARE
    z float8 := truthline_internal.normal_quantile(confidence);
    shared boolean := a_series && b_series
        AND a_edges[1] < b_edges[cardinality(b_edges)] AND b_edges[1] < a_edges[cardinality(a_edges)];
BEGIN
    RETURN QUERY
    SELECT c.*
    FROM truthline_internal.metrics_of(kind, a_series, a_edges, a_as_of, a_declared, average) AS own
    JOIN truthline_internal.metrics_of(kind, b_series, b_edges, b_as_of, b_declared, average) AS other
        ON other.metric = own.metric
    CROSS JOIN LATERAL truthline_internal.compared(own, other, z, confidence, shared) AS c;
END
$function$;
COMMENT ON FUNCTION truthline_internal.compare(text, integer[], timestamptz[], timestamptz, integer[], integer[], timestamptz[], timestamptz, integer[], text, float8) IS
    'The metrics of two sides, their difference, its confidence interval and p-value, and a verdict.';

-- compare_scores: ROC AUC, Brier score and log loss of a class on two sides, and what their differences say.
--
-- Params   as those of `compare`; both sides are of models with that class.
-- Grain    one row per metric that both sides have; none if `class` is NULL.
-- Units    as those of `compare`. `n` of a ROC AUC is 0 if a side has fewer than `few_of_class` truths
--          that are of the class, or that are not.
-- Cost     every score of both windows.
-- Why      the variance of average precision is an approximation that makes good intervals of one value, and
--          says little about a difference.
CREATE OR REPLACE FUNCTION truthline_internal.compare_scores(
    a_series integer[], a_edges timestamptz[], a_as_of timestamptz,
    b_series integer[], b_edges timestamptz[], b_as_of timestamptz,
    class integer, confidence float8 DEFAULT 0.95,
    a_one_vs_rest boolean DEFAULT false, b_one_vs_rest boolean DEFAULT false
) RETURNS TABLE (
    metric text, a float8, b float8, a_n bigint, b_n bigint, a_low float8, a_high float8,
    b_low float8, b_high float8, difference float8, difference_low float8, difference_high float8,
    p_value float8, verdict text
) LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
#variable_conflict use_column
DECLARE
    z float8 := truthline_internal.normal_quantile(confidence);
    shared boolean := a_series && b_series
        AND a_edges[1] < b_edges[cardinality(b_edges)] AND b_edges[1] < a_edges[cardinality(a_edges)];
BEGIN
    IF compare_scores.class IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
    SELECT c.*  -- `class` alone would be a column of the estimates
    FROM truthline_internal.score_estimates(
        a_series, a_edges, a_as_of, compare_scores.class, a_one_vs_rest) AS own
    JOIN truthline_internal.score_estimates(
        b_series, b_edges, b_as_of, compare_scores.class, b_one_vs_rest) AS other
        ON other.metric = own.metric
    CROSS JOIN LATERAL truthline_internal.compared(own, other, z, confidence, shared) AS c
    WHERE own.metric <> 'average_precision';
END
$function$;
COMMENT ON FUNCTION truthline_internal.compare_scores(integer[], timestamptz[], timestamptz, integer[], timestamptz[], timestamptz, integer, float8, boolean, boolean) IS
    'ROC AUC, Brier score and log loss of a class on two sides, their differences, and verdicts.';
