-- Access to a workspace: keys, the tokens they are exchanged for, and the roles of analysts.
SET LOCAL search_path = truthline_data, truthline, public;

-- api_key: keys that grant a role in a workspace.
-- Grain   one row per key ever created; a revoked key keeps its row.
-- Writer  auth                          Reader  auth
-- Why     only the SHA-256 of a key is stored: keys are 256 random bits, so a slow hash would only
--         add latency. `prefix` is the start of the key as `truthline keys list` shows it: four
--         random characters, which distinguish keys and grant no access; NULL if unknown.
--         `last_used_on` is a day, so that using a key causes one write per day and not one per
--         request.
CREATE TABLE api_key (
    id           integer     GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    workspace_id integer     NOT NULL REFERENCES workspace (id),
    role         text        NOT NULL CHECK (role IN ('ingest', 'read', 'admin')),
    name         text        NOT NULL DEFAULT '',
    prefix       text,
    digest       bytea       NOT NULL UNIQUE,
    created_at   timestamptz NOT NULL DEFAULT now(),
    expires_at   timestamptz,
    revoked_at   timestamptz,
    last_used_on date
);

-- signing_secret: secrets that sign access tokens.
-- Grain   one row per secret; the newest signs, and all of them verify.
-- Writer  this migration, and the operator who rotates it
-- Reader  auth
-- Why     all processes of a service share it, and nothing has to be configured. A uuid holds 122
--         random bits of the server's cryptographic source; three of them fill the 256 of SHA-256.
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
-- Writer  auth                          Reader  auth
-- Why     a token that is used twice was copied, and nothing shows which of the two callers is the
--         thief: so the family is revoked, and with it every access token that names it.
CREATE TABLE refresh_family (
    id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    api_key_id integer     NOT NULL REFERENCES api_key (id),
    created_at timestamptz NOT NULL DEFAULT now(),
    ended_at   timestamptz
);

-- refresh_token: one link of a family's chain.
-- Grain   one row per issued token; a used one stays until it expires, so that reuse is detected.
-- Writer  auth                          Reader  auth
-- Why     only the SHA-256 is stored, as for keys.
CREATE TABLE refresh_token (
    digest     bytea       PRIMARY KEY,
    family_id  bigint      NOT NULL REFERENCES refresh_family (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    used_at    timestamptz
);
CREATE INDEX refresh_token_family ON refresh_token (family_id);

-- analyst: database roles with access to one workspace.
-- Grain   one row per role.
-- Writer  truthline.admit, truthline.dismiss    Reader  truthline.visible_workspaces
-- Why     a role is identified by name: its oid changes in a dump and restore.
CREATE TABLE analyst (
    role_name    name        PRIMARY KEY,
    workspace_id integer     NOT NULL REFERENCES workspace (id),
    admitted_at  timestamptz NOT NULL DEFAULT now()
);
