-- levels: how far each level may be trusted.
--
-- Grain    one row per level.
-- Units    every row received before `clean_until` is in the level; -infinity where none is.
-- Bound    the least of how far it is filled, how far it was audited, and the earliest span that an
--          audit found wrong and that isn't healed; and no further than the level it is made from.
-- Why      plpgsql keeps the plan: planning would take longer than the question, with every answer.
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
    'The levels, and until when each holds every row that was received.';

-- clean_until: how far one level may be trusted.
CREATE OR REPLACE FUNCTION truthline_internal.clean_until(level text) RETURNS timestamptz
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT l.clean_until FROM truthline_internal.levels() AS l WHERE l.name = clean_until.level
$$;
COMMENT ON FUNCTION truthline_internal.clean_until(text) IS
    'The instant before which every row received is in the level; -infinity where none is.';
