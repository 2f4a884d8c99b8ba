"""Verdicts equal those of plain Python over the rows; who is notified of them knows them all."""

import random
import secrets
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import text

from app.auth.keys import Role, create_key
from app.auth.workspaces import find_or_create_workspace
from app.factory import create_app
from tests.api.given import keyed_client
from tests.effort import examples
from tests.monitors.given import (
    HOUR,
    MINUTE,
    START,
    definition,
    history,
    judge,
    labels_of,
    put,
    rewind,
    series_of,
    store_predictions,
    store_truths,
)
from tests.monitors.plain import Oracle, Rows, Sent, Truth, ends
from tests.monitors.test_deliveries import put_receiver

HOURS = 6
BEGINNING = START - 2 * HOUR  # of rows: what windows are compared with
STATES = ["ok", "no data", "undecided", "pending", "warning", "critical"]
METRICS = [
    *("accuracy", "accuracy", "errorRate", "inferences", "errors"),
    *("labelledShare", "latencySeconds", "latencyQuantile"),
]
WINDOWS = [("1h", None), ("30m", "30m"), ("1h", "20m"), ("2h", "1h"), ("45m", "15m"), ("7m", "7m")]


def a_monitor(chance):
    metric = chance.choice(METRICS)
    window, every = chance.choice(WINDOWS)
    has_interval = metric in ("accuracy", "errorRate", "labelledShare")
    compare, kinds = a_comparison(chance, metric)
    rule = {"is": chance.choice(["below", "above", "outside"]), "by": chance.choice(kinds)}
    if rule["by"] == "significance" and not has_interval:
        rule["by"] = "value"
    rule["amount"] = {
        "value": chance.choice([0.0, 0.0731]),
        "percent": chance.choice([7.31, 31.7]),
        "sigmas": chance.choice([0.731, 1.37]),
        "significance": 0.5,
    }[rule["by"]]
    body = {"metric": metric, "window": window, "compare": compare, "rule": rule}
    body |= {"every": every} if every else {}
    body |= {"quantile": chance.choice([0.0, 0.5, 0.95])} if metric == "latencyQuantile" else {}
    body |= {"groupBy": "country"} if chance.random() < 0.3 else {}
    body |= {"version": "v1"} if compare["with"] == "version" else {}
    body |= {"for": chance.choice([1, 1, 2, 3])}
    if chance.random() < 0.4:
        body["minimum"] = {"n": chance.choice([0, 3]), "labelledShare": chance.choice([0.0, 0.5])}
    body |= {"severity": chance.choice(["warning", "critical"])}
    body |= {"confidence": chance.choice([None, 0.8, 0.95]) if has_interval else None}
    return definition(**body) | {"notify": ["ops"], "notifyOn": STATES}


def a_comparison(chance, metric):
    kind = chance.choice(["value", "previous", "reference", "version", "trailing", "trailing"])
    kinds = ["value", "percent", "significance"]
    extra = {
        "value": {"value": {"inferences": 7.0, "errors": 1.0}.get(metric, 0.6)},
        "reference": {
            "startTime": BEGINNING.isoformat(),
            "endTime": (START - 30 * MINUTE).isoformat(),
        },
        "version": {"version": "v2"},
        "trailing": {"windows": 3},
    }.get(kind, {})
    return {"with": kind} | extra, [
        "sigmas"
    ] if kind == "trailing" and chance.random() < 0.6 else kinds


def given_rows(chance, own, workspace):
    """Requests and truths of four series, each received some time after it was made."""
    versions, countries = {}, {}
    for version in ("v1", "v2"):
        for country in ("FR", "DE"):
            series = series_of(own, workspace, version, tags={"country": country})
            versions[series], countries[series] = version, country
    end = START + HOURS * HOUR
    truths, sent = [], []
    for _ in range(120):
        series = chance.choice(list(versions))
        time = BEGINNING + chance.random() * (end - BEGINNING)
        made = Sent(
            series,
            time,
            time + chance.choice([timedelta(0), timedelta(0), HOUR * chance.random()]),
            chance.random() < 0.2,
            chance.choice([None, round(chance.random(), 3)]),
        )
        sent.append(made)
        if made.failed or chance.random() < 0.1:
            continue
        received = made.received_at + chance.choice([MINUTE, 3 * HOUR]) * chance.random()
        truth = Truth(series, time, received, chance.random() < 0.7, 0.0)
        truths.append(truth)
        if chance.random() < 0.15:
            corrected = received + HOUR * chance.random()
            truths += [
                Truth(series, time, corrected, truth.hit, 0.0, weight=-1),
                Truth(series, time, corrected, not truth.hit, 0.0),
            ]
    return Rows(truths, sent, versions, countries)


def store(own, workspace, rows):
    labels = labels_of(own, workspace, ["cat", "dog"])
    store_truths(
        own,
        [
            {
                "series_id": t.series,
                "time": t.time,
                "received_at": t.received_at,
                "predicted": labels["cat"],
                "actual": labels["cat" if t.hit else "dog"],
                "weight": t.weight,
            }
            for t in rows.truths
        ],
    )
    store_predictions(
        own,
        [
            {
                "series_id": s.series,
                "time": s.time,
                "received_at": s.received_at,
                "failed": s.failed,
                "latency": s.latency,
            }
            for s in rows.sent
        ],
    )


@examples(4, thorough=1000)
@given(seed=st.integers(0, 2**32))
def test_verdicts_and_what_was_told_equal_plain_python(own, own_settings, seed):
    chance = random.Random(seed)
    workspace, own_client = a_workspace(own, own_settings)
    rows = given_rows(chance, own, workspace)
    store(own, workspace, rows)
    put_receiver(own_client, "https://receiver.example")
    bodies = {f"m{number}": a_monitor(chance) for number in range(12)}
    for name, body in bodies.items():
        put(own_client, name, body)
    rewind(own)
    moments = sorted(START + chance.random() * 9 * HOUR for _ in range(6))

    rounds = [judge(own, moment) for moment in moments]

    assert rounds == moments
    seen = set()
    for name, body in bodies.items():
        parts = ["country:DE", "country:FR"] if body.get("groupBy") else [""]
        for number, as_of in enumerate(moments):
            found = {(v.part, v.end): v for v in history(own, workspace, name, as_of)}
            wanted = {(part, end) for part in parts for end in ends(body, as_of)}
            assert found.keys() == wanted
            told = told_by(own, name, body, moments[: number + 1], parts)
            for (part, end), verdict in found.items():
                why = (name, body, as_of, part, end, verdict)
                assert verdict.state == Oracle(body, rows, as_of, part).state(end), why
                assert told[part, end] == verdict.state, why
                own_oracle = Oracle(body, rows, verdict.as_of, part)
                value = own_oracle.number(end - own_oracle.window, end).value
                assert verdict.value == pytest.approx(value, abs=1e-12), why
                seen.add((verdict.state, verdict.revises is not None))
    assert any(revised for _, revised in seen)


def a_workspace(own, settings):
    """A new workspace and a client of it; the monitors of others are deleted."""
    with own.writing() as conn:
        conn.execute(text("DELETE FROM monitor"))
        id_ = find_or_create_workspace(conn, f"w-{secrets.token_hex(6)}")
        key = create_key(conn, id_, Role.ADMIN)
    return id_, keyed_client(create_app(settings, own), key)


def told_by(own, name, body, moments, parts):
    """What a receiver knows that keeps every message: the state of each window."""
    with own.reading() as conn:
        messages = conn.execute(
            text("""
                SELECT delivery.body -> 'data' FROM delivery JOIN monitor ON monitor.id = monitor_id
                WHERE monitor.name = :name ORDER BY delivery.id
            """),
            {"name": name},
        ).scalars()
        by_round = {}
        for data in messages:
            by_round.setdefault((data["asOf"], data["part"]), []).append(data)
    known = {}
    for part in parts:
        told, until = "ok", START
        for as_of in moments:
            at = as_of.isoformat().replace("+00:00", "Z")
            of_end = {data["endTime"]: data for data in by_round.get((at, part), [])}
            for end in ends(body, as_of):
                data = of_end.get(end.isoformat().replace("+00:00", "Z"))
                if data:
                    known[part, end] = data["state"]
                    told = data["state"] if data["isLatest"] else told
                elif end > until:
                    known[part, end] = told
            until = as_of
    return known
