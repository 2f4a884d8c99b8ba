-- compare: two sides of a workspace by name: windows, versions, deployments, tags, models or moments.
--
-- Grain    one row per metric of the models' kind.
-- Units    those of compare by id (77_compare.sql). Side B is of the model, namespace and pipeline of
--          side A, unless another is named.
-- Errors   those of series_of; wrong_object_type: the models are of different kinds, or of one that has
--          no metrics with truths.
CREATE OR REPLACE FUNCTION truthline.compare(
    workspace text, model text, a_start_time timestamptz, a_end_time timestamptz,
    b_start_time timestamptz, b_end_time timestamptz,
    a_version text DEFAULT NULL, b_version text DEFAULT NULL,
    a_deployment text DEFAULT NULL, b_deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL,
    b_model text DEFAULT NULL, b_namespace text DEFAULT NULL, b_pipeline text DEFAULT NULL,
    a_as_of timestamptz DEFAULT 'infinity', b_as_of timestamptz DEFAULT 'infinity',
    average text DEFAULT 'macro', confidence float8 DEFAULT 0.95,
    a_tags jsonb DEFAULT NULL, b_tags jsonb DEFAULT NULL
) RETURNS TABLE (
    metric text, a float8, b float8, a_n bigint, b_n bigint, a_low float8, a_high float8,
    b_low float8, b_high float8, difference float8, difference_low float8, difference_high float8,
    p_value float8, verdict text
) LANGUAGE plpgsql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $function$
DECLARE
    a_id integer := truthline.model_id(workspace, model, namespace, pipeline);
    b_id integer := CASE WHEN b_model IS NULL AND b_namespace IS NULL AND b_pipeline IS NULL THEN a_id
                         ELSE truthline.model_id(workspace, coalesce(b_model, model),
                                                 coalesce(b_namespace, namespace),
                                                 coalesce(b_pipeline, pipeline)) END;
    kinds text[] := ARRAY(SELECT DISTINCT m.kind FROM truthline_data.model AS m
                          WHERE m.id IN (a_id, b_id) AND m.kind IS NOT NULL ORDER BY 1);
BEGIN
    IF cardinality(kinds) > 1 OR kinds <> '{}' AND kinds[1] NOT IN ('classification', 'regression') THEN
        RAISE wrong_object_type USING MESSAGE = format(
            'models of kind %s can''t be compared', array_to_string(kinds, ' and '));
    END IF;
    RETURN QUERY
    SELECT * FROM truthline_internal.compare(
        kinds[1],
        truthline.series_of(workspace, model, a_version, a_deployment, namespace, pipeline,
                            a_tags),
        truthline_internal.edges(a_start_time, a_end_time, NULL), a_as_of,
        truthline_internal.declared_classes(a_id),
        truthline.series_of(workspace, coalesce(b_model, model), b_version, b_deployment,
                            coalesce(b_namespace, namespace), coalesce(b_pipeline, pipeline), b_tags),
        truthline_internal.edges(b_start_time, b_end_time, NULL), b_as_of,
        truthline_internal.declared_classes(b_id),
        average, confidence);
END
$function$;
COMMENT ON FUNCTION truthline.compare(text, text, timestamptz, timestamptz, timestamptz, timestamptz, text, text, text, text, text, text, text, text, text, timestamptz, timestamptz, text, float8, jsonb, jsonb) IS
    'The metrics of two sides, their difference, its confidence interval and p-value, and a verdict in words.';

-- compare_scores: the same for the scores of a class of classifiers.
--
-- Grain    one row per metric: ROC AUC, and if both models have two classes Brier score and log loss. None
--          unless both models have the class: `positive_class`, or the one that both are about by default.
-- Units    as those of `compare`; `positive` names the class.
-- Cost     every score of both windows.
-- Errors   those of series_of; invalid_parameter_value as of score_metrics.
CREATE OR REPLACE FUNCTION truthline.compare_scores(
    workspace text, model text, a_start_time timestamptz, a_end_time timestamptz,
    b_start_time timestamptz, b_end_time timestamptz,
    a_version text DEFAULT NULL, b_version text DEFAULT NULL,
    a_deployment text DEFAULT NULL, b_deployment text DEFAULT NULL,
    namespace text DEFAULT NULL, pipeline text DEFAULT NULL,
    b_model text DEFAULT NULL, b_namespace text DEFAULT NULL, b_pipeline text DEFAULT NULL,
    a_as_of timestamptz DEFAULT 'infinity', b_as_of timestamptz DEFAULT 'infinity',
    positive_class text DEFAULT NULL, confidence float8 DEFAULT 0.95,
    a_tags jsonb DEFAULT NULL, b_tags jsonb DEFAULT NULL
) RETURNS TABLE (
    metric text, a float8, b float8, a_n bigint, b_n bigint, a_low float8, a_high float8,
    b_low float8, b_high float8, difference float8, difference_low float8, difference_high float8,
    p_value float8, verdict text, positive text
) LANGUAGE sql STABLE PARALLEL RESTRICTED SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $$
    WITH side AS MATERIALIZED (
        SELECT truthline.model_id(workspace, model, namespace, pipeline) AS own,
               truthline.model_id(workspace, coalesce(b_model, model), coalesce(b_namespace, namespace),
                                  coalesce(b_pipeline, pipeline)) AS other
    )
    SELECT c.*, label.name
    FROM side
    CROSS JOIN LATERAL truthline_internal.class_of_scores(own, a_as_of, positive_class) AS a
    JOIN LATERAL truthline_internal.class_of_scores(other, b_as_of, positive_class) AS b USING (positive)
    JOIN truthline_data.label ON label.id = positive
    CROSS JOIN LATERAL truthline_internal.compare_scores(
        truthline.series_of(workspace, model, a_version, a_deployment, namespace, pipeline, a_tags),
        truthline_internal.edges(a_start_time, a_end_time, NULL), a_as_of,
        truthline.series_of(workspace, coalesce(b_model, model), b_version, b_deployment,
                            coalesce(b_namespace, namespace), coalesce(b_pipeline, pipeline), b_tags),
        truthline_internal.edges(b_start_time, b_end_time, NULL), b_as_of,
        positive, confidence, a.one_vs_rest, b.one_vs_rest) AS c
$$;
COMMENT ON FUNCTION truthline.compare_scores(text, text, timestamptz, timestamptz, timestamptz, timestamptz, text, text, text, text, text, text, text, text, text, timestamptz, timestamptz, text, float8, jsonb, jsonb) IS
    'ROC AUC, Brier score and log loss of two sides, their differences, intervals and p-values, and verdicts.';
