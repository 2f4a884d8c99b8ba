"""Deliveries: signed, in order, at least once, with the same id each time."""

import base64
import hashlib
import hmac
import re
from datetime import UTC, datetime

import pytest
from sqlalchemy import text

from app.monitors import addresses
from app.monitors.deliveries import LEASE, MAX_ATTEMPTS, deliver_due
from app.monitors.retention import delete_old_verdicts
from tests.monitors.given import (
    HOUR,
    MINUTE,
    START,
    definition,
    given_truths,
    history,
    judge,
    labels_of,
    put,
    rewind,
    series_of,
    store_truths,
)

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


def put_receiver(client, url, kind="webhook", name="ops", **members):
    body = {"kind": kind, "url": url} | members
    answer = client.put(f"/api/v1/receivers/{name}", json=body)
    assert answer.status_code == 200, answer.text
    return answer.get_json()


@pytest.fixture
def given(own, own_client):
    """A monitor that tells `ops` of a bad first hour, and more hours on demand."""

    class Given:
        series = series_of(own, 1)
        labels = labels_of(own, 1, ["cat", "dog"])

        def hour(self, number, hits, misses):
            start = START + number * HOUR
            rows = given_truths(
                self.series, self.labels, hits=hits, misses=misses, time=start, received_at=start
            )
            store_truths(own, rows)

        def judge(self, hours):
            return judge(own, START + hours * HOUR + MINUTE)

    def make(url, kind="webhook", **members):
        put_receiver(own_client, url, kind, secret=SECRET)
        put(own_client, "m", definition(notify=["ops"], **members))
        rewind(own)
        return Given()

    return make


def make_due(database):
    with database.writing() as conn:
        conn.execute(text("UPDATE delivery SET due_at = now() WHERE delivered_at IS NULL"))


def deliveries(database):
    with database.reading() as conn:
        return conn.execute(text("SELECT * FROM delivery ORDER BY id")).all()


def test_a_message_is_signed_as_standard_webhooks_says(own, own_settings, given, told):
    rows = given(f"{told.url}/hook?team=a")
    rows.hour(0, hits=1, misses=9)
    rows.judge(1)

    assert deliver_due(own, own_settings) == 1
    assert deliver_due(own, own_settings) == 0

    ((path, headers, body),) = told.requests
    assert path == "/hook?team=a"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.{body.decode()}"
    digest = hmac.new(bytes(range(32)), signed.encode(), hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(digest).decode()}"
    sent = datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)
    assert abs((datetime.now(UTC) - sent).total_seconds()) < 60
    (message,) = told.bodies
    assert message["type"] == "monitor.verdict"
    assert message["data"]["state"] == "critical"
    assert message["data"]["value"] == 0.1
    assert message["data"]["endTime"] == "2025-03-03T01:00:00Z"


def test_a_failed_attempt_is_repeated_with_the_same_id(own, own_settings, given, told):
    rows = given(told.url)
    rows.hour(0, hits=1, misses=9)
    rows.judge(1)
    told.answers = [500, 429]

    for _ in range(3):
        deliver_due(own, own_settings)
        assert deliver_due(own, own_settings) == 0  # it waits
        make_due(own)

    assert len(told.requests) == 3
    assert len(set(told.ids)) == 1
    (delivery,) = deliveries(own)
    assert (delivery.attempts, delivery.error, delivery.dead_at) == (3, "", None)
    assert delivery.delivered_at is not None


def test_a_message_is_given_up_in_the_end(own, own_settings, own_client, given, told):
    rows = given(told.url)
    rows.hour(0, hits=1, misses=9)
    rows.judge(1)
    told.answers = [503] * MAX_ATTEMPTS

    for _ in range(MAX_ATTEMPTS + 1):
        make_due(own)
        deliver_due(own, own_settings)

    assert len(told.requests) == MAX_ATTEMPTS
    (delivery,) = deliveries(own)
    assert delivery.dead_at is not None
    assert delivery.error == "it answered with 503"
    assert own_client.get("/api/v1/monitors/m").json["deadMessages"] == 1
    assert own_client.get("/api/v1/receivers/ops").json["dead"] == 1
    gauges = own_client.get("/metrics").text
    assert 'truthline_monitor_messages{state="dead"} 1.0' in gauges
    assert 'truthline_monitor_messages{state="waiting"} 0.0' in gauges
    assert 'truthline_monitor_parts{state="critical"} 1.0' in gauges
    assert 'truthline_monitor_parts{state="ok"} 0.0' in gauges
    (age,) = re.findall(r"^truthline_monitor_round_age_seconds (\S+)$", gauges, re.MULTILINE)
    expected = (datetime.now(UTC) - (START + HOUR + MINUTE)).total_seconds()
    assert float(age) == pytest.approx(expected, abs=60)


def test_a_receiver_that_is_gone_is_not_told_again(own, own_settings, given, told):
    rows = given(told.url)
    rows.hour(0, hits=1, misses=9)
    rows.judge(1)
    told.answers = [410]

    deliver_due(own, own_settings)

    (delivery,) = deliveries(own)
    assert (delivery.attempts, delivery.dead_at is not None) == (1, True)


def test_messages_about_a_part_keep_their_order(own, own_settings, given, told):
    rows = given(told.url)
    for number, hits in enumerate((1, 10, 1)):
        rows.hour(number, hits=hits, misses=10 - hits)
    rows.judge(3)
    told.answers = [500]

    deliver_due(own, own_settings)
    assert len(told.requests) == 1, "what follows waits for the first"
    for _ in range(3):
        make_due(own)
        deliver_due(own, own_settings)

    states = [body["data"]["state"] for body in told.bodies]
    assert states == ["critical", "critical", "ok", "critical"]
    assert len(set(told.ids)) == 3


def test_a_claim_that_ends_is_another_s(own, own_settings, given, told):
    """As if the process had died while it was sending."""
    rows = given(told.url)
    rows.hour(0, hits=1, misses=9)
    rows.judge(1)
    with own.writing() as conn:
        conn.execute(
            text("UPDATE delivery SET attempts = 1, due_at = now() + :lease"), {"lease": LEASE}
        )
    assert deliver_due(own, own_settings) == 0

    make_due(own)

    assert deliver_due(own, own_settings) == 1
    assert len(told.requests) == 1


def test_an_alertmanager_gets_an_alert_and_its_end(own, own_settings, given, told):
    rows = given(told.url, "alertmanager")
    rows.hour(0, hits=1, misses=9)
    rows.hour(1, hits=10, misses=0)
    rows.judge(2)
    deliver_due(own, own_settings)
    deliver_due(own, own_settings)

    assert [path for path, _, _ in told.requests] == ["/api/v2/alerts"] * 2
    (fired,), (resolved,) = told.bodies
    labels = {"alertname": "m", "model": "fraud", "metric": "accuracy", "severity": "critical"}
    assert fired["labels"] == resolved["labels"] == labels
    assert fired["startsAt"] == "2025-03-03T01:00:00Z"
    assert fired["endsAt"] == "2026-03-03T02:01:00Z"
    assert resolved["endsAt"] == "2025-03-03T02:01:00Z"


ENDINGS = {
    "deleted": None,
    "another severity": {"severity": "warning", "notify": ["ops"]},
    "another metric": {"metric": "precision", "notify": ["ops"]},
    "other groups": {"groupBy": "country", "notify": ["ops"]},
    "another receiver": {"notify": []},
}
GOES_ON = {"another limit": {"compare": {"with": "value", "value": 0.7}, "notify": ["ops"]}}


@pytest.mark.parametrize("change", [*ENDINGS, *GOES_ON])
def test_what_fires_ends_when_it_is_watched_no_more(
    own, own_settings, own_client, given, told, change
):
    rows = given(told.url, "alertmanager")
    rows.hour(0, hits=1, misses=9)
    rows.judge(1)
    body = (ENDINGS | GOES_ON)[change]
    if body is None:
        assert own_client.delete("/api/v1/monitors/m").status_code == 204
    else:
        put(own_client, "m", definition(**body))

    while deliver_due(own, own_settings):
        pass

    (fired,), *ended = told.bodies  # in this order, though neither was delivered before
    if change in GOES_ON:
        assert ended == []
        return
    ((resolved,),) = ended
    assert resolved["labels"] == fired["labels"]
    now = datetime.now(UTC)
    assert abs((datetime.fromisoformat(resolved["endsAt"]) - now).total_seconds()) < 60
    if body is None or not body["notify"]:
        assert own_client.delete("/api/v1/receivers/ops").status_code == 204


def test_old_verdicts_are_deleted_and_their_windows_not_judged_again(own, own_client, given, told):
    rows = given(told.url)
    for number in range(3):
        rows.hour(number, hits=10, misses=0)
    rows.judge(3)
    found = [one.end for one in history(own, 1, "m")]
    with own.writing() as conn:
        assert delete_old_verdicts(conn, 0) == 0
        assert delete_old_verdicts(conn, 1) == 2
    assert [one.end for one in history(own, 1, "m")] == found[-1:]  # the last one stays

    store_truths(
        own,
        given_truths(
            rows.series,
            rows.labels,
            misses=90,
            time=START,
            received_at=START + 3 * HOUR + 2 * MINUTE,
        ),
    )
    judge(own, START + 3 * HOUR + 30 * MINUTE)
    assert [one.end for one in history(own, 1, "m")] == found[-1:]
    assert own_client.get("/api/v1/monitors/m").json["parts"][0]["state"] == "ok"


# --- where messages may go ------------------------------------------------------------------


def test_a_receiver_on_a_private_network_is_refused(own, strict_settings, given, told):
    rows = given(told.url)
    rows.hour(0, hits=1, misses=9)
    rows.judge(1)

    deliver_due(own, strict_settings)

    assert told.requests == []
    (delivery,) = deliveries(own)
    assert "private network" in delivery.error


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0"),  # noqa: S104 - refused
        *("100.64.0.1", "224.0.0.1", "255.255.255.255", "::1", "fe80::1", "fc00::1", "::"),
        *("::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::", "2001:0:7f00:1::", "ff02::1"),
    ],
)
def test_no_address_inside_a_network_is_told(monkeypatch, address):
    found = [(0, 0, 0, "", ("93.184.216.34", 80)), (0, 0, 0, "", (address, 80))]
    monkeypatch.setattr(addresses.socket, "getaddrinfo", lambda *_, **__: found)

    with pytest.raises(addresses.RefusedAddress):
        addresses.checked_addresses("example.com", 80, [])


def test_the_address_that_was_checked_is_connected_to(own, own_settings, given, told, monkeypatch):
    """The name is looked up once: a second answer could be another address."""
    port = int(told.url.rpartition(":")[2])
    looked_up = []

    def look_up(host, *_, **__):
        looked_up.append(host)
        return [(0, 0, 0, "", ("127.0.0.1", port))]

    rows = given(f"http://receiver.example:{port}/")
    rows.hour(0, hits=1, misses=9)
    rows.judge(1)
    real = addresses.socket.getaddrinfo
    monkeypatch.setattr(
        addresses.socket,
        "getaddrinfo",
        lambda host, *a, **k: look_up(host) if "example" in str(host) else real(host, *a, **k),
    )

    deliver_due(own, own_settings)

    assert looked_up == ["receiver.example"]
    ((_, headers, _),) = told.requests
    assert headers["host"] == f"receiver.example:{port}"


def test_a_redirect_is_not_followed(own, own_settings, given, told):
    told.headers = {"Location": f"{told.url}/elsewhere"}
    told.answers = [302]
    rows = given(told.url)
    rows.hour(0, hits=1, misses=9)
    rows.judge(1)

    deliver_due(own, own_settings)

    assert [path for path, _, _ in told.requests] == ["/"]
    assert deliveries(own)[0].error == "it answered with 302"


# --- secrets --------------------------------------------------------------------------------


def test_a_new_secret_is_shown_once_and_addresses_never(own_client):
    address = "https://hooks.example.com/services/T0/B0/sesame"

    made = put_receiver(own_client, address)
    shown = [own_client.get(f"/api/v1/receivers{path}").text for path in ("", "/ops")]

    assert made["secret"].startswith("whsec_")
    assert made["host"] == "https://hooks.example.com"
    for answer in shown:
        assert "sesame" not in answer
        assert made["secret"] not in answer
    assert "secret" not in own_client.get("/api/v1/receivers/ops").json
    assert put_receiver(own_client, address, secret=SECRET)["secret"] is None


def test_a_receiver_in_use_is_not_deleted(own_client):
    put_receiver(own_client, "https://hooks.example.com")
    put(own_client, "m", definition(notify=["ops"]))

    assert own_client.delete("/api/v1/receivers/ops").status_code == 409
    put(own_client, "m", definition())
    assert own_client.delete("/api/v1/receivers/ops").status_code == 204
    assert own_client.get("/api/v1/receivers/ops").status_code == 404
