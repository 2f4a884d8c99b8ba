-- Shares of counts that analysts have: failed requests of all requests, labelled ones of all.

-- share_interval: Wilson's confidence interval of a share, such as failed requests of all requests.
CREATE OR REPLACE FUNCTION truthline.share_interval(
    hits bigint, n bigint, confidence float8 DEFAULT 0.95
) RETURNS TABLE (low float8, high float8)
LANGUAGE sql IMMUTABLE PARALLEL SAFE SECURITY DEFINER ROWS 1
SET search_path = pg_catalog, pg_temp AS $$
    SELECT * FROM truthline_internal.wilson(hits, n, truthline_internal.normal_quantile(confidence))
$$;
COMMENT ON FUNCTION truthline.share_interval(bigint, bigint, float8) IS
    'Wilson''s confidence interval of a share: hits of n; no row of nothing.';
