"""How long is waited between attempts, and what the log says of an outage."""

import email.utils
import itertools
import logging
import time
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from truthline import Backoff, Client, Counts, Limits
from truthline.answers import seconds_asked

from tests.client.conftest import SOON
from tests.client.networks import Fate, Unreliable
from tests.client.stored import request_ids


@given(
    attempt=st.integers(0, 10_000),
    first=st.floats(0.01, 10),
    longest=st.floats(10, 100),
    asked=st.none() | st.floats(0, 1_000),
)
def test_waits_double_up_to_a_bound_and_respect_what_is_asked(attempt, first, longest, asked):
    backoff = Backoff(first=first, longest=longest, longest_asked=300)
    bound = min(longest, first * 2 ** min(attempt, 40))

    seconds = backoff.seconds(attempt, asked)
    floor = max(bound / 2, min(asked or 0, 300))
    assert floor <= seconds <= max(bound, floor)


def test_waits_differ():
    assert len({Backoff().seconds(3) for _ in range(20)}) > 10


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("2", 2),
        ("0", 0),
        ("", None),
        ("soon", None),
        ("-1", None),
        ("1.5", None),
        ("9" * 400, None),
    ],
)
def test_seconds_that_a_server_asks_for(said, seconds):
    answer = httpx.Response(503, headers={"Retry-After": said} if said else {})

    assert seconds_asked(answer) == seconds


@pytest.mark.parametrize(("ahead", "least"), [(60, 50), (-60, 0)])
def test_a_date_that_a_server_asks_for(ahead, least):
    date = email.utils.format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    answer = httpx.Response(503, headers={"Retry-After": date})

    assert least <= seconds_asked(answer) <= max(ahead, 0)


class Busy(Unreliable):
    """Says twice that it is busy, and for how long."""

    def __init__(self):
        super().__init__([Fate.BUSY] * 2)
        self.times = []

    def handle_request(self, request):
        self.times.append(time.monotonic())
        answer = super().handle_request(request)
        if answer.status_code == 503:
            answer.headers["Retry-After"] = "1"
        return answer


def test_what_a_server_asks_for_is_waited(url, workspace, database):
    network = Busy()
    with Client(url, workspace.admin_key, transport=network, backoff=SOON) as client:
        id_ = client.log_prediction("pets", label="cat")
        assert client.flush(20)

    pauses = [later - earlier for earlier, later in itertools.pairwise(network.times)]
    assert len(pauses) == 2
    assert all(pause >= 1 for pause in pauses)
    assert request_ids(database, workspace) == [id_]


class Outage(Unreliable):
    """Nothing arrives until it is over."""

    def __init__(self):
        self.over = False
        super().__init__(Fate.ARRIVES if self.over else Fate.NOT_SENT for _ in itertools.count())


def test_the_log_reports_each_outage_once_and_its_losses(url, workspace, database, caplog):
    caplog.set_level(logging.INFO, "truthline")
    limits, network = Limits(max_rows=10, batch_rows=5, linger=0), Outage()
    with Client(url, workspace.admin_key, transport=network, backoff=SOON, limits=limits) as client:
        ids = [client.log_prediction("pets", label="cat") for _ in range(40)]
        while not any("dropped" in message for message in caplog.messages[1:]):
            time.sleep(0.01)
        network.over = True
        assert client.flush(20)
        counts = client.stats().predictions

        ids.append(client.log_prediction("pets", label="cat"))
        assert client.flush(20)

    assert counts == Counts(logged=40, sent=counts.sent, dropped=40 - counts.sent)
    away, dropping, back, cost = (r.getMessage() for r in caplog.records if r.name == "truthline")
    assert "no response from" in away
    assert dropping == "no room for more rows: the oldest are being dropped"
    assert back == "the server is reachable again"
    assert cost == f"{counts.dropped} rows were dropped"
    stored = request_ids(database, workspace)
    assert len(stored) == counts.sent + 1
    assert set(ids[-11:]) <= set(stored) <= set(ids)
