-- Series with tags would become equal to those without, and their rows can't be moved.
DO $$
BEGIN
    IF EXISTS (SELECT FROM truthline_data.series WHERE tags <> '{}') THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = 'predictions with tags are stored, which the previous release does not know';
    END IF;
END
$$;
ALTER TABLE truthline_data.prediction_key DROP COLUMN tagged_series_id;
DROP INDEX truthline_data.series_tags;
DROP INDEX truthline_data.series_identity;
ALTER TABLE truthline_data.series DROP COLUMN tags;
ALTER TABLE truthline_data.series
    ADD CONSTRAINT series_model_id_deployment_version_deployment_type_server_v_key
    UNIQUE (model_id, deployment, version, deployment_type, server_version);
