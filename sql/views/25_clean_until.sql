-- clean_until: how far one level may be trusted.
CREATE OR REPLACE FUNCTION truthline.clean_until(level text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT l.clean_until FROM truthline.levels() AS l WHERE l.name = clean_until.level
$$;
COMMENT ON FUNCTION truthline.clean_until(text) IS
    'The instant before which every row received is in the level; -infinity where none is.';
