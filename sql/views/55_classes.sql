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

-- class_to_keep: the class of a model whose score is kept with each truth: the one declared as positive,
-- if the model has more than two classes; otherwise NULL.
--
-- Caller   ingest (app/ingest/outcomes.py)
-- Why      of two classes, both scores are kept anyway.
CREATE OR REPLACE FUNCTION truthline_internal.class_to_keep(model integer) RETURNS integer
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT m.positive_label FROM truthline_data.model AS m
    WHERE m.id = model AND m.positive_label IS NOT NULL
      AND EXISTS (SELECT FROM truthline_internal.classes_of(model) OFFSET 2)
$$;
COMMENT ON FUNCTION truthline_internal.class_to_keep(integer) IS
    'The class of a model with more than two whose score is kept with each truth.';

-- classes_for_scores: the classes that scores of a model may be about.
CREATE OR REPLACE FUNCTION truthline_internal.classes_for_scores(
    model integer, as_of timestamptz DEFAULT 'infinity'
) RETURNS TABLE (label_id integer, name text) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    WITH class AS MATERIALIZED (SELECT * FROM truthline_internal.classes_of(model, as_of))
    SELECT class.label_id, class.name FROM class
    WHERE (SELECT count(*) FROM class) = 2
       OR (SELECT count(*) FROM class) > 2
          AND class.label_id IN (SELECT d.label_id FROM truthline_data.declared_class AS d
                                 WHERE d.model_id = model)
$$;
COMMENT ON FUNCTION truthline_internal.classes_for_scores(integer, timestamptz) IS
    'The classes that scores of a model may be about.';

-- class_of_scores: the class that ranks and curves of scores are about.
--
-- Grain    one row.
-- Units    `positive` is NULL for a model whose predicted class they are about. `one_vs_rest` says that the
--          model has more than two classes, so that only the scores of a declared one are kept.
-- Formula  a model is binary if it has exactly two classes. Its positive one is the one asked for, or
--          else the one declared as such, or else the second of the declared ones, or else the one that
--          sorts last by code point. With more classes it is the one asked for, if that was ever
--          declared, or else the one declared now.
-- Errors   invalid_parameter_value: `wanted` is none of these.
CREATE OR REPLACE FUNCTION truthline_internal.class_of_scores(
    model integer, as_of timestamptz DEFAULT 'infinity', wanted text DEFAULT NULL,
    OUT positive integer, OUT one_vs_rest boolean
) LANGUAGE plpgsql STABLE PARALLEL SAFE AS $function$
DECLARE
    names text[];
    ids integer[];
    is_binary boolean := (SELECT count(*) = 2 FROM (
        SELECT FROM truthline_internal.classes_of(model, as_of) LIMIT 3) AS class);
    declared integer := (SELECT m.positive_label FROM truthline_data.model AS m WHERE m.id = model);
BEGIN
    SELECT array_agg(name ORDER BY name COLLATE "C"), array_agg(label_id ORDER BY name COLLATE "C")
    INTO names, ids
    FROM truthline_internal.classes_for_scores(model, as_of);
    IF is_binary THEN
        declared := coalesce(declared, (truthline_internal.declared_classes(model))[2]);
    END IF;
    positive := CASE WHEN wanted IS NOT NULL THEN ids[array_position(names, wanted)]
                     WHEN declared = ANY (ids) THEN declared
                     WHEN is_binary THEN ids[2] END;
    one_vs_rest := positive IS NOT NULL AND NOT is_binary;
    IF wanted IS NOT NULL AND positive IS NULL THEN
        RAISE invalid_parameter_value USING MESSAGE = format(
            'positive class %s: must be one of the classes of a model with two classes, or of a model with'
            ' more a declared one, whose scores are kept from its declaration on'
            ' (PUT /api/v1/models/positive-class)', wanted);
    END IF;
END
$function$;
COMMENT ON FUNCTION truthline_internal.class_of_scores(integer, timestamptz, text) IS
    'The class that ranks and curves of the scores of a model are about.';
