-- Keys with a name and an end, and what is needed to exchange one for short-lived tokens.
SET LOCAL search_path = truthline_data, truthline, public;

-- api_key: also what it is called, how it begins, when it ends, and when it was last of use.
-- Why     `prefix` is the beginning of the key as people see it in `truthline keys list`: four
--         random characters, which tell keys apart and open nothing. NULL: made before there
--         was one. `last_used_on` is a day, so that a key's use writes once a day and not once a
--         request. All have defaults: older code goes on making keys while this is rolled out.
ALTER TABLE api_key
    ADD COLUMN name         text NOT NULL DEFAULT '',
    ADD COLUMN prefix       text,
    ADD COLUMN expires_at   timestamptz,
    ADD COLUMN last_used_on date;

-- signing_secret: what access tokens are signed with.
-- Grain   one row per secret; the newest signs, and all that are there verify.
-- Writer  this migration; later whoever renews it (docs/operations.md)
-- Reader  app/auth/tokens.py
-- Why     all processes of a service share it, and nothing has to be configured. A uuid holds 122
--         random bits of the server's own strong source; three of them fill the 256 of SHA-256.
CREATE TABLE signing_secret (
    id         integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    secret     bytea       NOT NULL DEFAULT sha256(
        uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
    ),
    created_at timestamptz NOT NULL DEFAULT now()
);
INSERT INTO signing_secret DEFAULT VALUES;

-- refresh_family: all refresh tokens that descend from one exchange of a key.
-- Grain   one row per exchange of a key.
-- Writer  app/auth/refresh.py           Reader  app/auth/refresh.py, app/auth/keys.py
-- Why     a token that is used twice was copied, and nobody can tell which of the two is the
--         thief: so the family ends, and with it every access token that names it.
CREATE TABLE refresh_family (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    api_key_id integer     NOT NULL REFERENCES api_key (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz
);

-- refresh_token: one link of a family's chain.
-- Grain   one row per token handed out; a used one stays until it expires, to be recognised.
-- Writer  app/auth/refresh.py           Reader  app/auth/refresh.py
-- Why     only the SHA-256 is kept, as of keys.
CREATE TABLE refresh_token (
    digest     bytea       PRIMARY KEY,
    family_id  bigint      NOT NULL REFERENCES refresh_family (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX refresh_token_family ON refresh_token (family_id);
