"""What is logged arrives once and in order, whatever the network does, and the host never waits."""

import logging
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from truthline import Client, Counts, Limits

from tests.api.given import stored_outputs
from tests.client.conftest import SOON
from tests.client.networks import Fate, Stuck, Unreliable
from tests.client.stored import arrivals, request_ids, truths
from tests.servers import free_port

HOUR = {"start": "2026-03-01T10:00:00Z", "end": "2026-03-01T11:00:00Z"}
DURING = datetime(2026, 3, 1, 10, 30, tzinfo=UTC)
SMALL = Limits(batch_rows=3, linger=0.005)


def away(**limits):
    """A client of a server that isn't there."""
    return Client(f"http://127.0.0.1:{free_port()}", backoff=SOON, limits=Limits(**limits))


def warnings_of(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


def test_predictions_and_their_truths_come_back_as_metrics(truthline):
    ids = [truthline.log_prediction("pets", label="cat", time=DURING) for _ in range(4)]
    for id_, truth in zip(ids, ["cat", "cat", "cat", "dog"], strict=True):
        truthline.log_feedback("pets", id_, label=truth)

    assert truthline.flush(10)
    four = Counts(logged=4, sent=4)
    assert (truthline.stats().predictions, truthline.stats().feedback) == (four, four)
    (bucket,) = truthline.classification_metrics("pets", **HOUR).buckets
    assert (bucket.n, bucket.predictions, bucket.accuracy) == (4, 4, 0.75)
    assert bucket.categories == ("cat", "dog")
    assert bucket.confusion_matrix == ((3, 0), (1, 0))


def test_without_a_time_it_was_now(truthline, database):
    before = datetime.now(UTC)
    truthline.log_prediction("pets", label="cat")
    after = datetime.now(UTC)
    assert truthline.flush(10)

    whole = truthline.classification_metrics("pets", start=before, end=after)
    assert [bucket.predictions for bucket in whole.buckets] == [1]


def test_outputs_of_every_kind_arrive(truthline, database, workspace):
    truthline.log_prediction("a", label="x", confidence=0.5)
    truthline.log_prediction("b", scores={"x": 0.25, "y": 0.75}, latency_seconds=0.1)
    truthline.log_prediction("c", value=1.5)
    truthline.log_prediction("d", detections=[("car", 0.5), {"label": "cat", "confidence": 0.25}])
    truthline.log_prediction("a", error=True)
    assert truthline.flush(10)

    assert sorted(stored_outputs(database, workspace.id), key=str) == sorted(
        [
            ("x", None, 0.5, True, True, False),
            ("y", None, 0.75, True, True, False),
            (None, 1.5, None, True, True, False),
            ("car", None, 0.5, True, True, False),
            ("cat", None, 0.25, False, True, False),
            (None, None, None, True, True, True),
        ],
        key=str,
    )


# --- whatever the network does ----------------------------------------------------------------

fates = st.lists(st.sampled_from(Fate), max_size=12)


@given(fates=fates, rows=st.integers(1, 10))
@settings(max_examples=10)
def test_each_row_is_stored_once_and_in_order(url, database, workspace, fates, rows):
    network = Unreliable(fates)
    client = Client(url, workspace.admin_key, transport=network, backoff=SOON, limits=SMALL)
    with client:
        logged = [client.log_prediction("pets", label="cat") for _ in range(rows)]
        assert client.flush(30)

        assert client.stats().predictions == Counts(logged=rows, sent=rows)
    stored = [row for row in arrivals(database, workspace) if row[1] in logged]
    stored.sort(key=lambda row: (row[0], logged.index(row[1])))  # some in the same microsecond
    assert [request_id for _, request_id in stored] == logged


@given(fates=fates, labels=st.lists(st.sampled_from("abc"), min_size=1, max_size=8))
@settings(max_examples=10)
def test_the_last_truth_stands(url, database, workspace, fates, labels):
    client = Client(
        url, workspace.admin_key, transport=Unreliable(fates), backoff=SOON, limits=SMALL
    )
    with client:
        id_ = client.log_prediction("pets", label="a")
        for label in labels:
            client.log_feedback("pets", id_, label=label)
        assert client.flush(30)

    assert truths(database, workspace)[id_] == labels[-1]


def test_a_repetition_has_the_same_key_and_body(url, workspace):
    network = Unreliable([Fate.ANSWER_LOST, Fate.BUSY, Fate.NOT_SENT])
    client = Client(url, workspace.admin_key, transport=network, backoff=SOON)
    with client:
        client.log_prediction("pets", label="cat")
        assert client.flush(10)

    assert len(network.seen) == 4
    assert len({(r.headers["Idempotency-Key"], r.content) for _, r in network.seen}) == 1


# --- bad rows ---------------------------------------------------------------------------------


def test_one_bad_row_costs_none_of_its_neighbours(truthline, database, workspace, caplog):
    ids = [truthline.log_prediction("pets", label="cat") for _ in range(5)]
    truthline.log_prediction("pets", label="cat", confidence=7.0)
    ids += [truthline.log_prediction("pets", label="dog") for _ in range(5)]
    assert truthline.flush(10)

    assert truthline.stats().predictions == Counts(logged=11, sent=10, refused=1)
    assert request_ids(database, workspace) == sorted(ids)
    (said,) = warnings_of(caplog)
    assert "row 5: confidence must be at most 1" in said
    assert "confidence must be at most 1" in truthline.stats().last_problem


def test_many_bad_rows_are_all_found(truthline, database, workspace):
    good = []
    for number in range(700):
        id_ = truthline.log_prediction("pets", label="cat", confidence=number % 7 and 7.0)
        good += [] if number % 7 else [id_]
    assert truthline.flush(30)

    assert truthline.stats().predictions == Counts(logged=700, sent=100, refused=600)
    assert request_ids(database, workspace) == sorted(good)


@pytest.mark.parametrize(
    ("bad", "said"),
    [
        ({"value": float("nan")}, "value: a finite number is expected, not nan"),
        ({"value": object()}, "value: a number is expected, not <object"),
        ({"label": "\ud800"}, "surrogates"),
        ({"label": "cat", "time": datetime(2026, 3, 1)}, "no offset"),
        ({"scores": 3}, "scores: a mapping of classes to probabilities is expected"),
    ],
)
def test_unserialisable_values_are_counted_and_logged_once(truthline, caplog, bad, said):
    for _ in range(3):
        truthline.log_prediction("pets", **bad)
    id_ = truthline.log_prediction("pets", label="cat")
    assert truthline.flush(10)

    assert truthline.stats().predictions == Counts(logged=4, sent=1, refused=3)
    (warning,) = warnings_of(caplog)
    assert said in warning
    assert id_


def test_a_wrong_key_costs_nothing_while_it_is_wrong(url, workspace, database, caplog):
    keys = iter(["tl_wrong", "tl_wrong"])
    client = Client(url, lambda: next(keys, workspace.admin_key), backoff=SOON)
    with client:
        id_ = client.log_prediction("pets", label="cat")
        assert client.flush(10)

    assert request_ids(database, workspace) == [id_]
    assert len(warnings_of(caplog)) == 1


# --- the server is away -----------------------------------------------------------------------


def test_the_oldest_are_dropped_counted_and_logged_once(caplog):
    client = away(max_rows=100, batch_rows=10)
    for _ in range(5_000):
        client.log_prediction("pets", label="cat")
        client.log_feedback("pets", "r", label="cat")
    while not any("dropped" in said for said in warnings_of(caplog)[1:]):
        time.sleep(0.01)

    for counts in (client.stats().predictions, client.stats().feedback):
        assert counts.logged == 5_000
        assert counts.queued <= 100 + 10
        assert counts.dropped == 5_000 - counts.queued
    client.close(timeout=0)
    assert client.stats().total == Counts(logged=10_000, dropped=10_000)
    away_, dropped, lost = warnings_of(caplog)
    assert "no response from" in away_
    assert "oldest are being dropped" in dropped
    assert "not sent before the client closed" in lost


def test_memory_is_bounded_whatever_rows_weigh():
    client = away(max_bytes=100_000)
    for number in range(2_000):
        client.log_prediction("pets", label="x" * (number % 5_000))

    waiting = client._outbox._buffers["predictions"]
    assert waiting.bytes <= 100_000
    assert client.stats().predictions.dropped > 1_000
    client.close(timeout=0)


def test_logging_goes_on_while_a_request_hangs(url, workspace, database):
    network = Stuck()
    limits = Limits(batch_rows=100, linger=0)
    client = Client(url, workspace.admin_key, transport=network, limits=limits)
    first = client.log_prediction("pets", label="cat")
    assert network.entered.wait(10)
    others = [client.log_prediction("pets", label="cat") for _ in range(1_000)]

    assert client.stats().predictions == Counts(logged=1_001, queued=1_001)
    network.released.set()
    assert client.flush(30)
    client.close()
    assert request_ids(database, workspace) == sorted([first, *others])


def test_closing_takes_no_longer_than_it_may():
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes requests, never answers
        client = Client(f"http://127.0.0.1:{silent.getsockname()[1]}")
        client.log_prediction("pets", label="cat")
        began = time.monotonic()
        assert client.flush(0.05) is False
        client.close(timeout=0.1)

    assert time.monotonic() - began < 9  # the request itself waits for ten
    assert client.stats().total == Counts(logged=1, dropped=1)


def test_waiting_callers_learn_of_the_end():
    client = away()
    client.log_prediction("pets", label="cat")
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(client.flush)
        client.close(timeout=0)

    assert waiting.result() is False
    assert client.flush() is False


def test_after_the_end_rows_are_dropped(truthline):
    truthline.close()
    truthline.log_prediction("pets", label="cat")

    assert truthline.stats().total == Counts(logged=1, dropped=1)


def test_the_log_reports_when_the_server_is_back(url, workspace, caplog):
    caplog.set_level(logging.INFO, "truthline")
    network = Unreliable([Fate.NOT_SENT] * 3)
    with Client(url, workspace.admin_key, transport=network, backoff=SOON) as client:
        client.log_prediction("pets", label="cat")
        assert client.flush(10)

    said = [r.getMessage() for r in caplog.records if r.name == "truthline"]
    assert len(said) == 2
    assert "no response from" in said[0]
    assert said[1] == "the server is reachable again"


def test_an_error_nobody_thought_of_ends_nothing(url, workspace, database, caplog):
    keys = iter([RuntimeError("no vault today"), workspace.admin_key])

    def key():
        found = next(keys, workspace.admin_key)
        if isinstance(found, Exception):
            raise found
        return found

    with Client(url, key, backoff=SOON) as client:
        id_ = client.log_prediction("pets", label="cat")
        assert client.flush(10)

    assert request_ids(database, workspace) == [id_]
    (said,) = warnings_of(caplog)
    assert "no vault today" in said


def test_a_signal_may_log_in_the_middle_of_logging(truthline):
    def handle(*_):
        truthline.log_prediction("pets", label="dog")

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
    try:
        for _ in range(5_000):
            truthline.log_prediction("pets", label="cat")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert truthline.flush(60)
    predictions = truthline.stats().predictions
    assert predictions == Counts(logged=predictions.logged, sent=predictions.logged)
    assert predictions.logged > 5_000
