-- Events: each is counted once, and adds to the counters that Prometheus reads.
--
-- Many connections write a row or more per event to these tables, so they have no foreign keys: each
-- transaction would lock the rows that they refer to.
SET LOCAL search_path = truthline_data, truthline, public;

-- event_key: events that were accepted, so that a repeated delivery is recognised.
-- Grain   one row per (workspace, source and id of an event).
-- Writer  ingest of events              Reader  ingest of events
-- Why     it is written in the transaction that counts: of two concurrent deliveries, the second
--         waits for the first and then counts nothing. `key` is a 128-bit hash, so that its size
--         doesn't depend on the ids that senders choose.
CREATE TABLE event_key (
    key          uuid        NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    workspace_id integer     NOT NULL,
    PRIMARY KEY (workspace_id, key)
);
CREATE INDEX event_key_received_at ON event_key
    USING brin (received_at) WITH (pages_per_range = 32);

-- event_family: what kind of metric a name denotes, permanently.
-- Grain   one row per (workspace, stem): a name without the suffixes that an exposition adds.
-- Writer  store                         Reader  store
-- Why     a counter x_count and a timer x would both expose x_count, and no scraper could read
--         either.
CREATE TABLE event_family (
    workspace_id integer NOT NULL REFERENCES workspace (id),
    stem         text    NOT NULL,
    type         text    NOT NULL CHECK (type IN ('counter', 'gauge', 'timer')),
    PRIMARY KEY (workspace_id, stem)
);

-- event_metric: counters, gauges and timers.
-- Grain   one row per (workspace, name, labels).
-- Writer  store                         Reader  store, truthline.event_metrics
-- Why     `key` is a hash of name and labels: labels can be too long for an index.
CREATE TABLE event_metric (
    id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspace (id),
    key          uuid    NOT NULL,
    name         text    NOT NULL,
    type         text    NOT NULL CHECK (type IN ('counter', 'gauge', 'timer')),
    labels       jsonb   NOT NULL,
    UNIQUE (workspace_id, key)
);

-- event_count: numbers from events that no total includes yet.
-- Grain   one row per number of an event: a counter's increment, a gauge's value, or the seconds of
--         a timer.
-- Writer  ingest of events              Reader  truthline.event_metrics, the fold
-- Why     rows are appended and folded later: with a total that each event updates, only one event
--         at a time could commit. docs/decisions/0005-event-counters.md has the measurements.
--         commit. docs/decisions/0005-event-counters.md has the measurements.
CREATE TABLE event_count (
    id        bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    metric_id integer          NOT NULL,
    value     double precision NOT NULL
);

-- event_total: totals up to the last fold.
-- Grain   one row per (metric, bin); counters and gauges use bin 0.
-- Units   `n` numbers, which add up to `total`; `latest` is the newest of them. timer_bin numbers
--         the bins of timers.
-- Writer  rollup                        Reader  truthline.event_metrics
-- Why     decimals: a sum of doubles depends on its order, and a counter must never decrease.
CREATE TABLE event_total (
    metric_id integer          NOT NULL,
    bin       integer          NOT NULL,
    n         bigint           NOT NULL,
    total     numeric          NOT NULL,
    latest    double precision NOT NULL,
    latest_id bigint           NOT NULL,
    PRIMARY KEY (metric_id, bin)
);

-- timer_bounds: the upper bounds of a timer's bins in seconds, except the last, which has none.
-- Why     they are Seldon's: fifty bounds, evenly spaced per power of ten from a millisecond to 30 s.
--         Frozen, like the functions of 0001_cells.up.sql, because totals are stored per bin.
CREATE FUNCTION timer_bounds() RETURNS float8[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(power(10, CASE n WHEN 49 THEN log(30::float8)
                                      ELSE -3 + n * ((log(30::float8) + 3) / 49) END) ORDER BY n)
    FROM generate_series(0, 49) AS n
$$;
-- timer_bin: index from 0 of the first bound that a number does not exceed. (le: "less or equal".)
CREATE FUNCTION timer_bin(seconds float8) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT count(*)::integer FROM unnest(truthline_data.timer_bounds()) AS bound
    WHERE bound < seconds
$$;

-- event_pair: a request that waits for its response, or the reverse.
-- Grain   one row per request of a model, by its id; kept for a day.
-- Units   `requested_at` and `responded_at` are the times that the events state.
-- Writer  ingest of events              Reader  ingest of events
-- Why     brokers do not guarantee order. The second event finds the row of the first and computes
--         the latency; if both arrive at once, the second waits for the first.
CREATE TABLE event_pair (
    key          uuid        NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    requested_at timestamptz,
    responded_at timestamptz,
    workspace_id integer     NOT NULL,
    PRIMARY KEY (workspace_id, key)
) WITH (fillfactor = 70);  -- the second half updates in place
CREATE INDEX event_pair_received_at ON event_pair
    USING brin (received_at) WITH (pages_per_range = 32);

-- event_lookup: truths to be counted once their prediction arrives.
-- Grain   one row per feedback that arrived before its prediction and without a copy of it.
-- Units   `lookup` states what to count for which prediction; its writer defines the format.
-- Writer  ingest of events              Reader  ingest of events
CREATE TABLE event_lookup (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key         uuid        NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    model_id    integer     NOT NULL,
    lookup      jsonb       NOT NULL
);
CREATE INDEX event_lookup_key ON event_lookup (model_id, key);
