-- series.tags: what clients say about the inferences of a series, such as {"country": "FR"}.
--
-- Grain   tags are part of what distinguishes two series of a model, so levels, quantiles and retention
--         count each combination by itself. A series without tags has {}.
-- Writer  store                         Reader  store, the views
-- Why     a hash is indexed for identity, because tags may be longer than an index entry. The other
--         index finds the series with a tag among those of all models.
SET LOCAL search_path = truthline_data, truthline, public;

ALTER TABLE series ADD COLUMN tags jsonb NOT NULL DEFAULT '{}';
-- Servers of the release before name no constraint when they store a series.
ALTER TABLE series
    -- squawk-ignore ban-drop-constraint
    DROP CONSTRAINT series_model_id_deployment_version_deployment_type_server_v_key;
CREATE UNIQUE INDEX series_identity ON series (
    model_id, deployment, version, deployment_type, server_version, md5(tags::text));
CREATE INDEX series_tags ON series USING gin (tags jsonb_path_ops);

-- prediction_key.tagged_series_id: the series of a prediction that has tags; NULL if it has none.
--
-- Writer  ingest                        Reader  ingest
-- Why     a request stays the same whatever its tags are: so `series_id`, which is part of the key, is
--         the series without tags, and truths are counted in this one.
ALTER TABLE prediction_key ADD COLUMN tagged_series_id integer;
