-- levels: up to when each level can be used.
--
-- Grain    one row per level.
-- Units    a level holds every row received before `clean_until`; -infinity if it holds none.
-- Bound    the least of how far it is filled, how far it was audited, and the earliest faulty span that
--          isn't repaired; and no further than the level that it is computed from.
-- Why      plpgsql caches the plan: planning in every answer would take longer than the query.
CREATE OR REPLACE FUNCTION truthline_internal.levels()
RETURNS TABLE (name text, subject text, event_width interval, learned_width interval,
               clean_until timestamptz)
LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
#variable_conflict use_column
BEGIN
    RETURN QUERY WITH RECURSIVE own AS MATERIALIZED (
        SELECT level.*, least(filled.filled_until, level.audited_until, fault.learned_from) AS bound
        FROM truthline_data.level
        JOIN truthline_internal.filled_levels() AS filled USING (name)
        LEFT JOIN (SELECT level, min(learned_from) AS learned_from FROM truthline_data.audit_fault
                   WHERE healed_at IS NULL GROUP BY 1) AS fault ON fault.level = level.name
    ),
    chain AS (
        SELECT own.name, own.source, own.bound FROM own
        UNION ALL
        SELECT chain.name, own.source, own.bound FROM chain JOIN own ON own.name = chain.source
    )
    SELECT own.name, own.subject, own.event_width, own.learned_width,
           truthline_data.learned_start(own.learned_width, least_bound.bound)
    FROM own
    JOIN (SELECT name, min(bound) AS bound FROM chain GROUP BY 1) AS least_bound USING (name)
    ORDER BY own.place;
END
$function$;
COMMENT ON FUNCTION truthline_internal.levels() IS
    'The levels, and the instant until which each holds every row received.';

-- clean_until: up to when one level can be used.
CREATE OR REPLACE FUNCTION truthline_internal.clean_until(level text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT l.clean_until FROM truthline_internal.levels() AS l WHERE l.name = clean_until.level
$$;
COMMENT ON FUNCTION truthline_internal.clean_until(text) IS
    'The instant until which a level holds every row received; -infinity if it holds none.';
