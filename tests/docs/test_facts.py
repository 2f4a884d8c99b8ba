"""Numbers in the documents are those of the code: each limit and default that they state."""

import inspect
import math
import re
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from app.api.craft import routes as craft
from app.api.h2o import oidc
from app.api.h2o import routes as h2o
from app.api.http import body, packing, query_limiter
from app.api.native import inferences, metrics, pages, steps
from app.api.roboflow import routes as roboflow
from app.api.seldon_core import cloudevents
from app.api.seldon_mpm import routes as seldon
from app.auth import refresh, sessions, workspaces
from app.cli import gateway_errors
from app.cli.serve import RESERVED_THREADS
from app.config import ACCESS_TOKEN_SECONDS, Settings
from app.errors import MAX_ROW_ERRORS
from app.ingest import batch, strict_json
from app.ingest import fields as ingest_fields
from app.ingest import steps as ingest_steps
from app.monitors import retention as verdicts
from app.query import classification, export, health, stored_until
from app.rollup import retention
from app.web import question
from app.web import routes as web

ROOT = Path(__file__).parents[2]
NGINX = (ROOT / "deploy/nginx/nginx.conf").read_text()
# How long an upgrade waits for a concurrent one, in minutes, and for a table lock, in seconds.
WAITS = {
    unit: number
    for number, unit in re.findall(
        r"lock_timeout = '(\d+)(min|s)'", (ROOT / "migrations/env.py").read_text()
    )
}
KIB, MIB, DAY, HOUR = 1024, 1024**2, timedelta(days=1), timedelta(hours=1)


def page(name):
    """A document's text in one line."""
    return " ".join((ROOT / name).read_text().split())


def table(name, heading):
    """First and second cells of the table below a heading."""
    section = next(
        part for part in (ROOT / name).read_text().split("\n## ") if part.startswith(heading)
    )
    rows = [line.split("|")[1:-1] for line in section.splitlines() if line.startswith("|")]
    return {cells[0].strip(): cells[1].strip() for cells in rows[2:]}


def nginx(directive):
    """The value of an nginx directive, as in `10s`."""
    return re.search(rf"\b{directive} ([^;]+);", NGINX)[1]


FIXED = {
    "names": f"{ingest_fields.MAX_NAME_LENGTH} characters; "
    f"of a workspace, {workspaces.MAX_NAME_LENGTH}",
    "tags": f"{ingest_fields.MAX_TAGS} per prediction; keys and values are names",
    "values": "1e100 in magnitude",
    "list of step metrics": f"{ingest_steps.MAX_LIST_LENGTH:,} values per execution",
    "times": f"from {ingest_fields.EARLIEST_TIME.year} to one day ahead",
    "response of Seldon's API": f"{seldon.MAX_BUCKETS} buckets",
    "subscription": f"{seldon.MAX_CATEGORIES:,} categories",
    "page of a list": f"{pages.MAX_PAGE_SIZE:,} entries",
    "request line, or one header": f"{gateway_errors.MAX_LINE // KIB} KiB",
    "all headers together": f"{gateway_errors.MAX_HEAD // KIB} KiB",
    "login, token request, attributes of an event in JSON, Roboflow post without a key": "64 KiB",
    "lifetime of a refresh token": f"{refresh.LIFETIME // DAY} days",
    "recognition of a retried batch": f"by `Idempotency-Key`, {batch.IDEMPOTENCY_DAYS} days",
}


def test_every_fixed_limit_is_the_one_in_force():
    stated = table("docs/settings.md", "Fixed limits")

    assert stated.keys() == FIXED.keys()
    assert {name: limit for name, limit in FIXED.items() if limit not in stated[name]} == {}


def test_what_anybody_may_send_has_one_limit():
    limits = {web.MAX_FORM_BYTES, oidc.MAX_BYTES, craft.MAX_BYTES, roboflow.HEAD_BYTES}

    assert limits | {cloudevents.MAX_ATTRIBUTES} == {64 * KIB}
    assert (ingest_fields.MAX_MAGNITUDE, ingest_fields.MAX_TIME_AHEAD) == (1e100, DAY)


STATED = {
    "docs/settings.md": [
        f"{ACCESS_TOKEN_SECONDS[0]} to {ACCESS_TOKEN_SECONDS[1]}",
        f"up to {query_limiter.CHEAP} buckets",
        {2: "two fewer than `--threads`"}[RESERVED_THREADS],
    ],
    "docs/api.md": [
        f"blocks of {export.BLOCK_ROWS:,} rows",
        f"more than {stored_until.TIME_LIMIT_SECONDS:.0f} seconds",
        f"Responses of {packing.WORTH_PACKING:,} bytes or more",
        f"a window of up to {2**body.ZSTD_WINDOW_LOG // MIB} MiB",
        f"expires after {refresh.LIFETIME // DAY} days",
        f"{strict_json.ROOM_BYTES // MIB} MiB",
        f"up to {MAX_ROW_ERRORS} ",
        f"1 to {ingest_fields.MAX_NAME_LENGTH} characters",
        f"at most {metrics.MAX_BUCKETS:,} of them",
        {2_000_000: "two million cells"}[classification.MAX_MATRIX_CELLS],
        f"at most {seldon.MAX_BUCKETS} ",
        f"at most {seldon.MAX_CATEGORIES:,} categories",
        f"{seldon.MAX_SUBSCRIPTIONS:,} entries",
        f"{seldon.MAX_LISTED_CATEGORIES:,} categories",
        f"last {inferences.PERIOD // HOUR} hours",
        f"default and maximum {pages.MAX_PAGE_SIZE:,}",
        f"at most {inferences.MAX_CLASSES:,} classes",
        f"larger than {roboflow.HEAD_BYTES // KIB} KiB",
        f"at most {roboflow.MAX_ROWS:,} rows",
        f"at most {ingest_steps.MAX_LIST_LENGTH:,} values",
        f"remembered for {batch.IDEMPOTENCY_DAYS} days",
        f"default and maximum {craft.PAGE_SIZE}",
        f"default and maximum {steps.MAX_SLICE:,}",
        f"first {pages.MAX_PAGE_SIZE:,} models",
        f"{h2o.SPAN // DAY} days",
        {10: "tenth of the range"}[health.PARTS],
    ],
    "docs/web.md": [
        f"after {refresh.LIFETIME // DAY} days",
        f"after {sessions.SECONDS // 3600} hours without use",
        f"`{question.DEFAULT_RANGE}` (default)",
        *(f"`{shown}`" for shown in question.REFRESHES),
    ],
    "docs/operations.md": [
        f"{nginx('client_header_timeout').removesuffix('s')} s for the request headers",
        f"{nginx('client_body_timeout').removesuffix('s')} s between two reads of a body",
        f"{nginx('client_max_body_size').removesuffix('m')} MiB per body",
        f"{nginx('limit_conn clients')} connections per address",
        f"waits up to {WAITS['min']} minutes",
        f"at most {WAITS['s']} seconds",
        f"up to {Settings().pool_size} connections",
        f"{Settings().pool_size} × `API_WORKERS`",
    ],
    "docs/metrics.md": [f"beyond 1e{round(math.log10(ingest_fields.MAX_MAGNITUDE))}"],
}


@pytest.mark.parametrize(
    ("document", "fact"), [(name, fact) for name, facts in STATED.items() for fact in facts]
)
def test_a_number_in_a_document_is_that_of_the_code(document, fact):
    assert fact in page(document)


BINS = text("""
    SELECT count(DISTINCT truthline_data.value_bin(1 + n / 1000.0)),
           count(DISTINCT truthline_data.latency_bin(1 + n / 1000.0)),
           count(DISTINCT truthline_data.confidence_bin(n / 1000.0))
    FROM generate_series(0, 999) AS n
""")


def test_bins_are_as_fine_as_stated(database):
    with database.reading() as conn:
        values, latencies, confidences = conn.execute(BINS).one()

    assert f"counted in {confidences} bins of equal width" in page("docs/metrics.md")
    assert f"{values} bins for values and into {latencies} for latencies" in page("docs/metrics.md")


def dropped_by_setting():
    """Tables that each setting of retention drops rows of."""
    raw = Settings(keep_raw_days=1)
    fine = Settings(keep_raw_days=1, keep_fine_days=1)
    source = inspect.getsource(retention)
    forgotten = r"FROM (\w+)\s+WHERE \w+ < clock_timestamp\(\) - make_interval"
    return {
        "TRUTHLINE_KEEP_RAW_DAYS": retention.keep_days(raw).keys(),
        "TRUTHLINE_KEEP_FINE_DAYS": retention.keep_days(fine).keys() - set(retention.RAW),
        "TRUTHLINE_KEEP_ASOF_DAYS": retention.keep_days(Settings(keep_asof_days=1)).keys(),
        "TRUTHLINE_KEEP_KEYS_DAYS": set(re.findall(forgotten, source)),
        "TRUTHLINE_KEEP_VERDICTS_DAYS": set(
            re.findall(r"DELETE FROM (\w+)", inspect.getsource(verdicts))
        ),
        "TRUTHLINE_KEEP_EXECUTIONS_DAYS": {"step_metric", retention.STEPS},
    }


@pytest.mark.parametrize(("setting", "tables"), dropped_by_setting().items())
def test_the_sql_page_names_the_setting_that_limits_a_table(setting, tables):
    lines = (ROOT / "sql/README.md").read_text().splitlines()
    naming = [line.split("|") for line in lines if line.startswith("| `") and setting in line]

    limited = {name for cells in naming for name in re.findall(r"`(\w+)`", cells[1])}

    assert limited == set(tables)


def test_what_is_kept_permanently_is_dropped_by_no_setting():
    lines = (ROOT / "sql/README.md").read_text().splitlines()
    permanent = [line.split("|")[1] for line in lines if line.endswith("| permanently |")]

    kept = set(re.findall(r"`(\w+)`", " ".join(permanent)))

    assert kept
    assert kept.isdisjoint(set().union(*dropped_by_setting().values()))
