-- erasure: what was erased on request, when and by whom. Append-only.
--
-- Grain    one row per erasure.
-- Units    `requests` is the number of ids that were asked for, NULL for other scopes. The others count
--          rows that were erased: `others` of keys, waiting truths, metadata, events, step metrics and
--          monitors.
-- Writer   app/upkeep/erasure.py        Reader  truthline.erasures, app/store/series.py
-- Why      it says that something was erased and contains nothing of it: no request id, and of a tag
--          its key alone. `reason` is the operator's own, such as the number of a ticket. Servers
--          compare the newest row with what they remember of series (app/store/series.py).
SET LOCAL search_path = truthline_data, truthline, public;

CREATE TABLE erasure (
    id           integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    erased_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    workspace_id integer     NOT NULL REFERENCES workspace (id),
    model_id     integer     REFERENCES model (id),
    scope        text        NOT NULL CHECK (scope IN ('requests', 'tag', 'model', 'workspace')),
    tag_key      text,
    requests     bigint,
    predictions  bigint      NOT NULL,
    outcomes     bigint      NOT NULL,
    others       bigint      NOT NULL,
    erased_by    text        NOT NULL,
    role_name    name        NOT NULL DEFAULT session_user,
    reason       text        NOT NULL DEFAULT ''
);
