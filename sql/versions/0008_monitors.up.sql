-- Monitors: what is watched, what they found, and who is notified.
SET LOCAL search_path = truthline_data, truthline, public;

-- monitor: a metric of a model that is judged window by window.
--
-- Grain   one row per (workspace, name).
-- Writer  the API; `judged_until` the worker
-- Reader  the API, the worker, the views
-- Why     `definition` is the body that was sent, and the other columns are what statements about many
--         monitors need of it. Each change of the definition is a new revision, which judges windows
--         that end after `judged_from`, and leaves earlier verdicts as they are.
CREATE TABLE monitor (
    id               integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id     integer     NOT NULL REFERENCES workspace (id),
    name             text        NOT NULL,
    revision         integer     NOT NULL DEFAULT 1,
    namespace        text        NOT NULL,
    pipeline         text        NOT NULL,
    model            text        NOT NULL,
    every            interval    NOT NULL,
    definition       jsonb       NOT NULL,
    of_truths        boolean     NOT NULL,
    of_predictions   boolean     NOT NULL,
    created_at       timestamptz NOT NULL DEFAULT now(),
    changed_at       timestamptz NOT NULL DEFAULT now(),
    judged_from      timestamptz NOT NULL,
    judged_until     timestamptz NOT NULL,
    UNIQUE (workspace_id, name)
);
CREATE INDEX monitor_model ON monitor (workspace_id, model);

-- monitor_round: until when the rounds of monitors know what was received.
--
-- Grain   one row.
-- Writer  the worker                    Reader  the worker, the API
-- Why     a round judges again what was learned since the last one. It moves in the transaction that
--         stores the verdicts, so that none is lost or given twice.
CREATE TABLE monitor_round (
    one    boolean     PRIMARY KEY DEFAULT true CHECK (one),
    as_of  timestamptz
);
INSERT INTO monitor_round DEFAULT VALUES;

-- verdict: what a monitor found in a window, as of a moment. Append-only.
--
-- Grain   one row per judgement of (monitor, part, window) whose state differs from the one before: the
--         last one with `as_of` <= T is what was known at T.
-- Units   `value`, `low`, `high` and `baseline` in the unit of the metric, `learned` counts truths (or
--         predictions) that were received since the verdict that it revises.
-- Writer  the worker                    Reader  the API, the pages, the views
-- Why     `part` is empty for a monitor without groups, otherwise like country:FR. What it revises is
--         repeated, so that one row tells both.
CREATE TABLE verdict (
    monitor_id     integer          NOT NULL REFERENCES monitor (id) ON DELETE CASCADE,
    part           text             NOT NULL,
    window_end     timestamptz      NOT NULL,
    as_of          timestamptz      NOT NULL,
    window_start   timestamptz      NOT NULL,
    value          double precision,
    low            double precision,
    high           double precision,
    baseline       double precision,
    n              bigint           NOT NULL,
    revision       integer          NOT NULL,
    state          text             NOT NULL CHECK (state IN (
        'ok', 'no data', 'undecided', 'pending', 'warning', 'critical')),
    reason         text             NOT NULL,
    revised_as_of  timestamptz,
    revised_state  text,
    revised_value  double precision,
    learned        bigint,
    PRIMARY KEY (monitor_id, part, window_end, as_of)
);

-- monitor_part: where each part of a monitor stands.
--
-- Grain   one row per (monitor, part).
-- Writer  the worker                    Reader  the worker, the API, the pages, the views
-- Why     `told` is the state that receivers were last told, which is not the last one if that was
--         silenced or nobody wants to know of it. Updated in place: the page and the next round need
--         not search the verdicts.
CREATE TABLE monitor_part (
    monitor_id integer     NOT NULL REFERENCES monitor (id) ON DELETE CASCADE,
    part       text        NOT NULL,
    window_end timestamptz NOT NULL,
    as_of      timestamptz NOT NULL,
    state      text        NOT NULL,
    since      timestamptz NOT NULL,
    told       text        NOT NULL,
    PRIMARY KEY (monitor_id, part)
) WITH (fillfactor = 80);

-- receiver: who is notified.
-- Grain   one row per (workspace, name).
-- Writer  the API                       Reader  the API, the worker
CREATE TABLE receiver (
    id           integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id integer     NOT NULL REFERENCES workspace (id),
    name         text        NOT NULL,
    kind         text        NOT NULL CHECK (kind IN ('webhook', 'alertmanager', 'apprise')),
    host         text        NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT now(),
    UNIQUE (workspace_id, name)
);

-- receiver_secret: where a receiver is, and what signs its messages.
-- Grain   one row per receiver.
-- Writer  the API                       Reader  the worker
-- Why     apart from what is shown: the address of a receiver often is a secret by itself.
CREATE TABLE receiver_secret (
    receiver_id integer PRIMARY KEY REFERENCES receiver (id) ON DELETE CASCADE,
    url         text    NOT NULL,
    secret      bytea   NOT NULL
);

-- monitor_receiver: which receivers a monitor tells. A receiver that is in use can't be deleted.
-- Grain   one row per (monitor, receiver).
-- Writer  the API                       Reader  the API, the worker
CREATE TABLE monitor_receiver (
    monitor_id  integer NOT NULL REFERENCES monitor (id) ON DELETE CASCADE,
    receiver_id integer NOT NULL REFERENCES receiver (id),
    PRIMARY KEY (monitor_id, receiver_id)
);
CREATE INDEX monitor_receiver_receiver ON monitor_receiver (receiver_id);

-- delivery: messages to receivers: waiting, delivered or dead.
--
-- Grain   one row per (verdict that is notified, receiver).
-- Writer  the round that stores the verdict, in its transaction; then what delivers
-- Reader  what delivers, the API, the pages
-- Why     a claim is a lease: `due_at` moves before the message is sent, so that a process that dies
--         while sending holds no lock, and the message is sent again, with the same id.
CREATE TABLE delivery (
    id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    message_id   uuid        NOT NULL UNIQUE DEFAULT gen_random_uuid(),
    receiver_id  integer     NOT NULL REFERENCES receiver (id) ON DELETE CASCADE,
    monitor_id   integer     NOT NULL REFERENCES monitor (id) ON DELETE CASCADE,
    part         text        NOT NULL,
    body         jsonb       NOT NULL,
    created_at   timestamptz NOT NULL DEFAULT clock_timestamp(),
    due_at       timestamptz NOT NULL DEFAULT clock_timestamp(),
    attempts     integer     NOT NULL DEFAULT 0,
    delivered_at timestamptz,
    dead_at      timestamptz,
    error        text        NOT NULL DEFAULT ''
) WITH (fillfactor = 80);
CREATE INDEX delivery_waiting ON delivery (receiver_id, monitor_id, part, id)
    WHERE delivered_at IS NULL AND dead_at IS NULL;
CREATE INDEX delivery_due ON delivery (due_at) WHERE delivered_at IS NULL AND dead_at IS NULL;
CREATE INDEX delivery_dead ON delivery (monitor_id) WHERE dead_at IS NOT NULL;
CREATE INDEX delivery_done ON delivery (delivered_at) WHERE delivered_at IS NOT NULL;
