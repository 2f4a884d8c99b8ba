"""Core tables of the registries, as in `sql/versions/`; a test compares them with the catalog.

Raw tables are written by COPY and read by the functions of `sql/views/`, so they need no definition
here.
"""

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Column,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(schema="truthline_data")

workspace = Table(
    "workspace",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", Text),
    Column("created_at", DateTime(timezone=True)),
)
api_key = Table(
    "api_key",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("workspace_id", Integer),
    Column("role", Text),
    Column("digest", LargeBinary),
    Column("created_at", DateTime(timezone=True)),
    Column("revoked_at", DateTime(timezone=True)),
    Column("name", Text),
    Column("prefix", Text),
    Column("expires_at", DateTime(timezone=True)),
    Column("last_used_on", Date),
)
signing_secret = Table(
    "signing_secret",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("secret", LargeBinary),
    Column("created_at", DateTime(timezone=True)),
)
refresh_family = Table(
    "refresh_family",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("api_key_id", Integer),
    Column("created_at", DateTime(timezone=True)),
    Column("ended_at", DateTime(timezone=True)),
)
refresh_token = Table(
    "refresh_token",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("family_id", BigInteger),
    Column("created_at", DateTime(timezone=True)),
    Column("expires_at", DateTime(timezone=True)),
    Column("used_at", DateTime(timezone=True)),
)
model = Table(
    "model",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("workspace_id", Integer),
    Column("namespace", Text),
    Column("pipeline", Text),
    Column("name", Text),
    Column("kind", Text),
    Column("created_at", DateTime(timezone=True)),
    Column("positive_label", Integer),
)
series = Table(
    "series",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("model_id", Integer),
    Column("deployment", Text),
    Column("version", Text),
    Column("deployment_type", Text),
    Column("server_version", Text),
    Column("created_at", DateTime(timezone=True)),
    Column("tags", JSONB),
)
label = Table(
    "label",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("workspace_id", Integer),
    Column("name", Text),
)
model_class = Table(
    "model_class",
    metadata,
    Column("model_id", Integer, primary_key=True),
    Column("label_id", Integer, primary_key=True),
    Column("place", Integer),
    Column("since", DateTime(timezone=True)),
)
declared_class = Table(
    "declared_class",
    metadata,
    Column("model_id", Integer, primary_key=True),
    Column("label_id", Integer, primary_key=True),
    Column("since", DateTime(timezone=True)),
)
subscription = Table(
    "subscription",
    metadata,
    Column("id", BigInteger, primary_key=True),
    Column("model_id", Integer),
    Column("features", JSONB),
    Column("categories", ARRAY(Integer)),
    Column("created_at", DateTime(timezone=True)),
)
