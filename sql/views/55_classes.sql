-- Classes of a classifier.

-- declared_classes: the classes that the subscription of a model declares, because a declared class
-- counts even where it doesn't occur.
CREATE OR REPLACE FUNCTION truthline_internal.declared_classes(model integer) RETURNS integer[]
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce((SELECT s.categories FROM truthline_data.subscription AS s
                     WHERE s.model_id = model), '{}')
$$;
COMMENT ON FUNCTION truthline_internal.declared_classes(integer) IS
    'The classes that the subscription of a model declares.';

-- classes_of: the classes of a model: those that it declares, and those that were predicted, scored or
-- true by `as_of`.
CREATE OR REPLACE FUNCTION truthline_internal.classes_of(
    model integer, as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (label_id integer, name text) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT label.id, label.name
    FROM (
        SELECT unnest(truthline_internal.declared_classes(model)) AS id
        UNION
        SELECT m.positive_label FROM truthline_data.model AS m WHERE m.id = model
        UNION
        SELECT used.label_id FROM truthline_data.model_class AS used
        WHERE used.model_id = model AND used.since <= as_of
    ) AS class
    JOIN truthline_data.label ON label.id = class.id
$$;
COMMENT ON FUNCTION truthline_internal.classes_of(integer, timestamptz) IS
    'The classes of a model: those declared, and those that were predicted, scored or true.';

-- positive_class: the positive class of a binary model; NULL for others.
--
-- Formula  a model is binary if it has exactly two classes. The positive one is the one asked for, or
--          else the one declared as such, or else the second of the declared ones, or else the one that
--          sorts last by code point.
-- Errors   invalid_parameter_value: `wanted` is not one of two classes.
CREATE OR REPLACE FUNCTION truthline_internal.positive_class(
    model integer, as_of timestamptz DEFAULT 'infinity', wanted text DEFAULT NULL
) RETURNS integer LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    names text[];
    ids integer[];
    declared integer;
BEGIN
    SELECT array_agg(name ORDER BY name COLLATE "C"), array_agg(label_id ORDER BY name COLLATE "C")
    INTO names, ids
    FROM (SELECT * FROM truthline_internal.classes_of(model, as_of) LIMIT 3) AS class;
    IF wanted IS NOT NULL THEN
        IF cardinality(ids) = 2 AND wanted = ANY (names) THEN
            RETURN ids[array_position(names, wanted)];
        END IF;
        RAISE invalid_parameter_value USING MESSAGE = format(
            'positive class %s: must be one of the classes of a model with two classes', wanted);
    END IF;
    IF cardinality(ids) IS DISTINCT FROM 2 THEN
        RETURN NULL;
    END IF;
    SELECT coalesce(m.positive_label, (truthline_internal.declared_classes(model))[2]) INTO declared
    FROM truthline_data.model AS m WHERE m.id = model;
    RETURN CASE WHEN declared = ANY (ids) THEN declared ELSE ids[2] END;
END
$function$;
COMMENT ON FUNCTION truthline_internal.positive_class(integer, timestamptz, text) IS
    'The positive class of a model with two classes; NULL for others.';
