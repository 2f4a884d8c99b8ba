-- Conditions on the tags of series.
--
-- `wanted` is an object: each key has an accepted value, or a list of them. All keys must match. An empty
-- value accepts series without the key. A NULL accepts every series.

-- has_tags: whether a series is wanted.
CREATE OR REPLACE FUNCTION truthline_internal.has_tags(tags jsonb, wanted jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT wanted IS NULL OR NOT EXISTS (
        SELECT FROM jsonb_each(wanted) AS one (key, accepted)
        WHERE NOT accepted ? coalesce(tags ->> key, ''))
$$;
COMMENT ON FUNCTION truthline_internal.has_tags(jsonb, jsonb) IS
    'Whether tags have an accepted value for each wanted key.';

-- certain_tags: what all wanted series contain, which an index can find: keys with one accepted value.
CREATE OR REPLACE FUNCTION truthline_internal.certain_tags(wanted jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(jsonb_object_agg(one.key, one.accepted), '{}')
    FROM (SELECT key, CASE WHEN jsonb_typeof(value) <> 'array' THEN value
                           WHEN jsonb_array_length(value) = 1 THEN value -> 0 END AS accepted
          FROM jsonb_each(wanted)) AS one
    WHERE one.accepted IS NOT NULL AND one.accepted <> '""'
$$;
COMMENT ON FUNCTION truthline_internal.certain_tags(jsonb) IS
    'Tags that all wanted series have: keys with one accepted value.';

-- tag_filter: what is wanted, from texts like country:FR. Texts of one key are alternatives, and NULLs are
-- ignored: without any other text, everything is wanted.
--
-- Errors   invalid_parameter_value: a text has no key, or no colon.
CREATE OR REPLACE FUNCTION truthline.tag_filter(texts text[]) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    wrong text := (SELECT one FROM unnest(texts) AS one WHERE strpos(one, ':') < 2 LIMIT 1);
BEGIN
    IF wrong IS NOT NULL THEN
        RAISE invalid_parameter_value USING
            MESSAGE = format('%L is no key and value like country:FR', wrong);
    END IF;
    RETURN (SELECT jsonb_object_agg(key, accepted) FROM (
        SELECT split_part(one, ':', 1) AS key,
               jsonb_agg(substr(one, strpos(one, ':') + 1)) AS accepted
        FROM unnest(texts) AS one WHERE one IS NOT NULL GROUP BY 1) AS by_key);
END
$function$;
COMMENT ON FUNCTION truthline.tag_filter(text[]) IS
    'The argument tags of other functions, from texts like country:FR.';
