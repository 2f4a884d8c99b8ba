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

-- positive_class: the positive class of a binary model; NULL for others.
--
-- Formula  a model is binary if it has exactly two classes: those that it declares, and those that were
--          predicted, scored or true by `as_of`. The positive one is the second that it declares, or
--          else the one that sorts last by code point.
CREATE OR REPLACE FUNCTION truthline_internal.positive_class(
    model integer, as_of timestamptz DEFAULT 'infinity'
) RETURNS integer LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH declared AS (
        SELECT truthline_internal.declared_classes(model) AS classes
    ),
    class AS (
        SELECT unnest(classes) AS id FROM declared
        UNION
        SELECT label_id FROM truthline_data.model_class AS used
        WHERE used.model_id = model AND used.since <= as_of
    )
    SELECT coalesce(declared.classes[2], (array_agg(class.id ORDER BY label.name COLLATE "C" DESC))[1])
    FROM declared CROSS JOIN class JOIN truthline_data.label ON label.id = class.id
    GROUP BY declared.classes
    HAVING count(*) = 2
$$;
COMMENT ON FUNCTION truthline_internal.positive_class(integer, timestamptz) IS
    'The positive class of a model with two classes; NULL for others.';
