-- The audit of levels: do the cells of a span count every row of their source?
--
-- An audit runs one additive query, which is cheap compared with filling the level again: per learned
-- span and series, how many rows does the source have, and how many do the cells count? Both numbers
-- come from one snapshot. A lost row makes the cells' number smaller, a doubled one larger.

-- audit_goal: how far a level can be audited now: as far as it is filled, and no further than the
-- level that it is computed from is clean.
CREATE OR REPLACE FUNCTION truthline_internal.audit_goal(level_name text) RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT least(filled.filled_until, truthline_data.learned_start(
                     level.learned_width, truthline_internal.clean_until(level.source)))
    FROM truthline_data.level JOIN truthline_internal.filled_levels() AS filled USING (name)
    WHERE level.name = level_name
$$;
COMMENT ON FUNCTION truthline_internal.audit_goal(text) IS
    'How far a level can be audited now.';

-- audit: spans of a level, among those in [since, until), whose cells don't match their source.
--
-- Grain    one row per faulty learned span, that of hours for a recent level; none if all cells match.
--          Spans of which rows or cells were dropped are skipped.
-- Units    `n_rows` is the number of rows in the source, `n_counted` the number that the cells count,
--          both of the series that differ.
-- Cost     the rows or cells of the source in those spans, read once and grouped by series.
CREATE OR REPLACE FUNCTION truthline_internal.audit(
    level_name text, since timestamptz DEFAULT '-infinity', until timestamptz DEFAULT 'infinity'
) RETURNS TABLE (learned_from timestamptz, learned_until timestamptz, n_rows bigint, n_counted bigint)
LANGUAGE plpgsql STABLE AS $function$
DECLARE
    level truthline_data.level;
    subject truthline_data.subject;
    clock text;     -- of the source
    counted text;   -- what one row or cell of the source counts
    condition text; -- which of them
    span text;      -- in the two clocks' bounds
BEGIN
    SELECT * INTO STRICT level FROM truthline_data.level AS l WHERE l.name = level_name;
    SELECT * INTO STRICT subject FROM truthline_data.subject AS s WHERE s.name = level.subject;
    SELECT greatest(audit.since, level.learned_since, max(r.since)),
           least(audit.until, truthline_internal.audit_goal(level_name))
    INTO audit.since, audit.until
    FROM truthline_data.retention AS r WHERE r.relation IN (level.source, level.name);
    IF level.source = subject.source THEN
        SELECT 'received_at', 'count(*)', subject.condition INTO clock, counted, condition;
    ELSE
        SELECT 'learned', format('sum(%I)', subject.row_count), 'true' INTO clock, counted, condition;
    END IF;
    span := format('%%1$I >= %L AND %%1$I < %L', since, until);
    RETURN QUERY EXECUTE format(
        'SELECT span, span + $1, sum(of_source)::bigint, sum(of_level)::bigint FROM ('
        '  SELECT span, sum(of_source) AS of_source, sum(of_level) AS of_level FROM ('
        '    SELECT truthline_data.learned_start($1, %I) AS span, series_id, %s AS of_source,'
        '           0 AS of_level FROM truthline_data.%I WHERE %s AND %s GROUP BY 1, 2'
        '    UNION ALL'
        '    SELECT truthline_data.learned_start($1, learned), series_id, 0, sum(%I)'
        '    FROM truthline_data.%I WHERE %s GROUP BY 1, 2'
        '  ) AS side GROUP BY span, series_id HAVING sum(of_source) <> sum(of_level)'
        ') AS difference GROUP BY span ORDER BY span',
        clock, counted, level.source, format(span, clock), condition,
        subject.row_count, level.name, format(span, 'learned'))
    USING truthline_data.whole_span(level);
END
$function$;
COMMENT ON FUNCTION truthline_internal.audit(text, timestamptz, timestamptz) IS
    'Spans of a level whose cells do not match the rows that they count.';

-- audits: results of the audits of each level so far.
--
-- Grain    one row per level.
-- Units    every span before `audited_until` was audited at least once, NULL if none was; `open`
--          counts the spans that are faulty now, the last column those that were repaired.
CREATE OR REPLACE FUNCTION truthline_internal.audits()
RETURNS TABLE (name text, audited_until timestamptz, open bigint, healed bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT level.name, nullif(level.audited_until, '-infinity'),
           count(fault.level) FILTER (WHERE healed_at IS NULL), count(healed_at)
    FROM truthline_data.level
    LEFT JOIN truthline_data.audit_fault AS fault ON fault.level = level.name
    GROUP BY level.place, level.name, level.audited_until ORDER BY level.place
$$;
COMMENT ON FUNCTION truthline_internal.audits() IS
    'Until when each level was audited, and how many of its spans were faulty.';
