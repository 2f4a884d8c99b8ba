-- Events: each counted once, and what they add to the counters that Prometheus reads.
--
-- These tables take a row or more per event from many connections at once, so they have no foreign
-- keys: a key would lock the row that it names in each transaction.
SET LOCAL search_path = truthline_data, truthline, public;

-- event_key: events that were taken, so that a repeated delivery is recognised.
-- Grain   one row per (workspace, source and id of an event).
-- Writer  app/ingest/events/ingest.py   Reader  app/ingest/events/ingest.py
-- Why     written in the transaction that counts: of two deliveries that race, the second waits for
--         the first and then counts nothing. `key` is a 128-bit hash, whatever ids senders choose.
CREATE TABLE event_key (
    key          uuid        NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    workspace_id integer     NOT NULL,
    PRIMARY KEY (workspace_id, key)
);
CREATE INDEX event_key_received_at ON event_key
    USING brin (received_at) WITH (pages_per_range = 32);

-- event_family: what a name stands for, permanently.
-- Grain   one row per (workspace, stem): a name without the endings that an exposition adds.
-- Writer  app/store/metrics.py          Reader  app/store/metrics.py
-- Why     a counter x and a timer x would both expose x_count or the like, and no scraper could
--         read either.
CREATE TABLE event_family (
    workspace_id integer NOT NULL REFERENCES workspace (id),
    stem         text    NOT NULL,
    type         text    NOT NULL CHECK (type IN ('counter', 'gauge', 'timer')),
    PRIMARY KEY (workspace_id, stem)
);

-- event_metric: what is counted.
-- Grain   one row per (workspace, name, labels).
-- Writer  app/store/metrics.py          Reader  app/store/metrics.py, truthline.event_metrics
-- Why     `key` is a hash of name and labels: labels may be longer than an index takes.
CREATE TABLE event_metric (
    id           integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id integer NOT NULL REFERENCES workspace (id),
    key          uuid    NOT NULL,
    name         text    NOT NULL,
    type         text    NOT NULL CHECK (type IN ('counter', 'gauge', 'timer')),
    labels       jsonb   NOT NULL,
    UNIQUE (workspace_id, key)
);

-- event_count: what events have added, and no total holds yet.
-- Grain   one row per number of an event: what a counter grew by, what a gauge was set to, or the
--         seconds that a timer took.
-- Writer  app/ingest/events/metrics.py   Reader  truthline.event_metrics, the fold
-- Why     appended and folded later: a total that each event updates would let one event at a time
--         commit. docs/decisions/0005-event-counters.md has the measurements.
CREATE TABLE event_count (
    id        bigint           GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    metric_id integer          NOT NULL,
    value     double precision NOT NULL
);

-- event_total: what was added until the last fold.
-- Grain   one row per (metric, bin); counters and gauges have the bin 0.
-- Units   `n` numbers, which add up to `total`; `latest` is the newest of them. Bins of timers are
--         numbered by timer_bin.
-- Writer  app/rollup/event_totals.py    Reader  truthline.event_metrics
-- Why     decimals: a sum of doubles depends on its order, and a counter must never fall.
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
-- Why     Seldon's: fifty of them, evenly spread in powers of ten from a millisecond to 30 s. Frozen,
--         like the functions of 0001_cells.up.sql: totals are kept by these bins.
CREATE FUNCTION timer_bounds() RETURNS float8[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT array_agg(power(10, CASE n WHEN 49 THEN log(30::float8)
                                      ELSE -3 + n * ((log(30::float8) + 3) / 49) END) ORDER BY n)
    FROM generate_series(0, 49) AS n
$$;
-- timer_bin: the first bound that a number is not above, counted from 0. (le is "less or equal".)
CREATE FUNCTION timer_bin(seconds float8) RETURNS integer LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT count(*)::integer FROM unnest(truthline_data.timer_bounds()) AS bound
    WHERE bound < seconds
$$;

-- event_pair: a request that waits for its response, or the reverse.
-- Grain   one row per request of a model, by its id; kept a day.
-- Units   `requested_at` and `responded_at` are what the events say.
-- Writer  app/ingest/events/pairs.py   Reader  app/ingest/events/pairs.py
-- Why     brokers promise no order. The second of the two finds the first one's row and knows the
--         latency; if they race, the second waits for the first.
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

-- event_lookup: truths that are counted once the prediction they are about has arrived.
-- Grain   one row per feedback that came without its prediction, and before it.
-- Units   `lookup` says what to count for which prediction: Lookup of its writer.
-- Writer  app/ingest/events/lookups.py   Reader  app/ingest/events/lookups.py
CREATE TABLE event_lookup (
    id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    key         uuid        NOT NULL,
    received_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    model_id    integer     NOT NULL,
    lookup      jsonb       NOT NULL
);
CREATE INDEX event_lookup_key ON event_lookup (model_id, key);
