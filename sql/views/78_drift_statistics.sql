-- Statistics of drift: how far two distributions are apart, how far they would be by chance, and whether
-- chance explains it.
--
-- Side A is the reference and B what is compared with it. `p` and `q` are the shares of a part on each
-- side, `n` and `m` the sizes of the sides, `k` the parts that either has, and c = 1 / n + 1 / m.

-- log_gamma: the natural logarithm of the gamma function, of a positive number.
-- Why      Stirling's series, 6.1.41 in Abramowitz and Stegun, is right to the last digits from 10 on.
CREATE OR REPLACE FUNCTION truthline_internal.log_gamma(x float8) RETURNS float8
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $function$
DECLARE
    product float8 := 1;
BEGIN
    WHILE x < 10 LOOP
        product := product * x;
        x := x + 1;
    END LOOP;
    RETURN (x - 0.5) * ln(x) - x + ln(2 * pi()) / 2 - ln(product)
        + (1 / 12::float8 - (1 / 360::float8 - (1 / 1260::float8 - (1 / 1680::float8
           - 1 / 1188::float8 / x ^ 2) / x ^ 2) / x ^ 2) / x ^ 2) / x;
END
$function$;
COMMENT ON FUNCTION truthline_internal.log_gamma(float8) IS
    'The natural logarithm of the gamma function, of a positive number.';

-- chi_squared_p: the probability that a chi-squared variable is at least this large.
--
-- Units    1 without degrees of freedom, as nothing could vary.
-- Formula  Q(degrees / 2, x / 2): the series 6.5.29 of Abramowitz and Stegun below its mean, the continued
--          fraction 6.5.31 above it.
CREATE OR REPLACE FUNCTION truthline_internal.chi_squared_p(statistic float8, degrees float8)
RETURNS float8 LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $function$
DECLARE
    a float8 := degrees / 2;
    x float8 := statistic / 2;
    logarithm float8;
    term float8;
    total float8;
    b float8;
    c float8;
    d float8;
    step float8;
BEGIN
    IF statistic IS NULL OR degrees IS NULL OR degrees <= 0 OR statistic <= 0 THEN
        RETURN CASE WHEN num_nulls(statistic, degrees) = 0 THEN 1 END;
    END IF;
    logarithm := a * ln(x) - x - truthline_internal.log_gamma(a);
    IF x < a + 1 THEN
        IF logarithm < -700 THEN
            RETURN 1;
        END IF;
        term := 1 / a;
        total := term;
        FOR i IN 1 .. 100000 LOOP
            term := term * x / (a + i);
            total := total + term;
            EXIT WHEN term < total * 1e-17;
        END LOOP;
        RETURN 1 - exp(logarithm) * total;
    ELSIF logarithm < -700 THEN
        RETURN 0;
    END IF;
    -- Lentz's method
    b := x + 1 - a;
    c := 1e300;
    d := 1 / b;
    total := d;
    FOR i IN 1 .. 100000 LOOP
        term := i * (a - i);
        b := b + 2;
        d := 1 / (term * d + b);
        c := b + term / c;
        step := d * c;
        total := total * step;
        EXIT WHEN abs(step - 1) < 1e-16;
    END LOOP;
    RETURN least(exp(logarithm) * total, 1);
END
$function$;
COMMENT ON FUNCTION truthline_internal.chi_squared_p(float8, float8) IS
    'The probability that a chi-squared variable is at least this large.';

-- kolmogorov_p: the probability that Kolmogorov's limiting distribution is at least this large: that of
-- sqrt(n m / (n + m)) times the largest distance of two distribution functions without drift.
-- Formula  2 sum (-1)^(i-1) e^(-2 i^2 x^2), or below 1 its theta transform, which converges faster there
--          (Kolmogorov 1933, Smirnov 1948).
CREATE OR REPLACE FUNCTION truthline_internal.kolmogorov_p(x float8) RETURNS float8
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE
        WHEN x < 0.05 THEN 1
        WHEN x > 18 THEN 0
        WHEN x < 1 THEN
            1 - sqrt(2 * pi()) / x * (
                SELECT sum(CASE WHEN exponent > -600 THEN exp(exponent) ELSE 0 END)
                FROM (SELECT -1 * (2 * i - 1) ^ 2 * pi() ^ 2 / (8 * x ^ 2)
                      FROM generate_series(1, 6) AS i) AS term (exponent))
        ELSE
            2 * (SELECT sum(CASE WHEN exponent > -600 THEN (1 - 2 * ((i + 1) % 2)) * exp(exponent)
                                 ELSE 0 END)
                 FROM (SELECT i, -2 * (i * x) ^ 2 FROM generate_series(1, 6) AS i)
                     AS term (i, exponent)) END
$$;
COMMENT ON FUNCTION truthline_internal.kolmogorov_p(float8) IS
    'The probability that Kolmogorov''s limiting distribution is at least this large.';

-- part_statistics: how far the shares of some parts are apart.
--
-- Params   the counts of each part on both sides, in the same order.
-- Grain    one row per statistic; none if a side is empty.
-- Units    fractions of 1, but for psi and chi_squared, which have no upper bound. `noise` is the value
--          expected without drift at these sizes, `p_value` the probability of at least this one.
-- Formula  psi                 sum (q - p) ln (q / p), the population stability index; a part that a side
--                              lacks counts there as half an observation, or it would be infinite
--          jensen_shannon      square root of the Jensen-Shannon divergence in bits (Lin 1991; Endres and
--                              Schindelin 2003): a distance from 0 to 1
--          hellinger           sqrt (sum (sqrt p - sqrt q)^2 / 2)
--          total_variation     sum |p - q| / 2: the largest difference of the shares of any set of parts
--          chi_squared         Pearson's test of homogeneity: n m sum (p - q)^2 / (a + b)
-- Noise    each is a function of sum (p - q)^2 / share, which has the mean (k - 1) c, and as a whole a
--          chi-squared distribution: psi equals it, the divergence is 1 / (8 ln 2) of it, and the squared
--          Hellinger distance an eighth (Lin 1991; Yurdakul 2018). For the roots the mean is that of chi.
-- Why      a difference of shares is taken from whole numbers, and the divergence from its series where
--          both are close: else their last digits would be those of the sides' rounding.
CREATE OR REPLACE FUNCTION truthline_internal.part_statistics(a bigint[], b bigint[])
RETURNS TABLE (statistic text, value float8, noise float8, p_value float8)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE ROWS 5 AS $function$
#variable_conflict use_column
DECLARE
    n float8 := (SELECT sum(one) FROM unnest(a) AS one);
    m float8 := (SELECT sum(one) FROM unnest(b) AS one);
    k integer;
    c float8;
    chi float8;  -- its mean
    found record;
BEGIN
    IF coalesce(n, 0) = 0 OR coalesce(m, 0) = 0 THEN
        RETURN;
    END IF;
    SELECT count(*) AS k, sum((q_counted - p_counted) * ln(q_counted / p_counted)) AS psi,
           sum((p + q) / 4 * CASE
               WHEN abs(apart) < 0.05 THEN
                   square * (1 + square * (1 / 6::float8 + square * (1 / 15::float8 + square * (
                       1 / 28::float8 + square * (1 / 45::float8 + square / 66)))))
               WHEN part.a = 0 OR part.b = 0 THEN 2 * ln(2::float8)
               ELSE (1 + apart) * ln(1 + apart) + (1 - apart) * ln(1 - apart) END) / ln(2::float8)
               AS divergence,
           sum((difference / (sqrt(p) + sqrt(q))) ^ 2) / 2 AS squared_hellinger,
           sum(abs(difference)) / 2 AS total_variation,
           sum(n * m * difference ^ 2 / (part.a + part.b)) AS chi_squared,
           sum(sqrt((part.a + part.b) / (n + m) * (n + m - part.a - part.b) / (n + m))) AS spread
    INTO found
    FROM (
        SELECT one.*, difference / (p + q) AS apart, (difference / (p + q)) ^ 2 AS square,
               CASE WHEN one.a = 0 THEN 0.5 / n ELSE p END AS p_counted,
               CASE WHEN one.b = 0 THEN 0.5 / m ELSE q END AS q_counted
        FROM (
            SELECT counted.a::float8 AS a, counted.b::float8 AS b, counted.a / n AS p, counted.b / m AS q,
                   (counted.a * m::bigint::numeric - counted.b * n::bigint::numeric)::float8 / n / m
                       AS difference
            FROM unnest(a, b) AS counted (a, b)
            WHERE counted.a + counted.b > 0
        ) AS one
    ) AS part;
    k := found.k;
    c := 1 / n + 1 / m;
    chi := CASE WHEN k > 1 THEN sqrt(2::float8) * exp(truthline_internal.log_gamma(k / 2::float8)
                                     - truthline_internal.log_gamma((k - 1) / 2::float8)) ELSE 0 END;
    RETURN QUERY VALUES
        ('psi', found.psi, (k - 1) * c, NULL::float8),
        ('jensen_shannon', sqrt(found.divergence), chi * sqrt(c / (8 * ln(2::float8))), NULL),
        ('hellinger', sqrt(found.squared_hellinger), chi * sqrt(c / 8), NULL),
        ('total_variation', found.total_variation, found.spread * sqrt(c / (2 * pi())), NULL),
        ('chi_squared', found.chi_squared, (k - 1) * (n + m) / greatest(n + m - 1, 1),
         truthline_internal.chi_squared_p(found.chi_squared, k - 1));
END
$function$;
COMMENT ON FUNCTION truthline_internal.part_statistics(bigint[], bigint[]) IS
    'How far the shares of some parts of two sides are apart, how far by chance, and p-values.';
