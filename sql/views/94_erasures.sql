-- What was erased, when and by whom.
--
-- Grain    one row per erasure.
-- Why      a function is its only source, for every caller: there are few rows, and the table is read
--          by nobody else.
CREATE OR REPLACE VIEW truthline.erasures WITH (security_barrier) AS
SELECT erased_at, workspace, scope, namespace, pipeline, model, tag_key, requests, predictions,
       outcomes, others, erased_by, role_name, reason
FROM truthline_internal.own_erasures();
COMMENT ON VIEW truthline.erasures IS
    'What was erased, when and by whom: one row per erasure, without its content.';
COMMENT ON COLUMN truthline.erasures.erased_at IS 'When it was erased, by the database''s clock.';
COMMENT ON COLUMN truthline.erasures.workspace IS 'Name of the workspace.';
COMMENT ON COLUMN truthline.erasures.scope IS 'What was erased: requests, tag, model or workspace.';
COMMENT ON COLUMN truthline.erasures.namespace IS 'Namespace of the erased model; NULL for other scopes.';
COMMENT ON COLUMN truthline.erasures.pipeline IS 'Pipeline of the erased model; NULL for other scopes.';
COMMENT ON COLUMN truthline.erasures.model IS 'Name of the erased model; NULL for other scopes.';
COMMENT ON COLUMN truthline.erasures.tag_key IS
    'Key of the tag of which a value was erased; NULL for other scopes.';
COMMENT ON COLUMN truthline.erasures.requests IS
    'Number of request ids that were to be erased; NULL for other scopes.';
COMMENT ON COLUMN truthline.erasures.predictions IS 'Number of erased rows of predictions.';
COMMENT ON COLUMN truthline.erasures.outcomes IS 'Number of erased rows of truths.';
COMMENT ON COLUMN truthline.erasures.others IS
    'Number of erased rows of other tables: keys, waiting truths, metadata, events, metrics, monitors.';
COMMENT ON COLUMN truthline.erasures.erased_by IS 'Who erased it, by the operator''s word.';
COMMENT ON COLUMN truthline.erasures.role_name IS 'Database role that erased it.';
COMMENT ON COLUMN truthline.erasures.reason IS 'Why, by the operator''s word.';
