"""What happens in the six hours: all of what a newcomer should see, and the same each time."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from statistics import median

import pytest

from app.demo.models import train
from app.demo.timeline import LENGTH, REQUESTS, timeline
from app.ingest.feedback import Feedback
from app.ingest.inferences import Prediction

START = datetime(2026, 3, 1, 22, 30, tzinfo=UTC)


@pytest.fixture(scope="module")
def events(models):
    return timeline(models, START)


@pytest.fixture(scope="module")
def requests(events):
    """Predictions by their request id."""
    return {e.request_id: e.row for e in events if isinstance(e.row, Prediction)}


@pytest.fixture(scope="module")
def truths(events):
    """The truths of each request, in order: when, and what."""
    said = defaultdict(list)
    for event in events:
        if isinstance(event.row, Feedback):
            said[event.request_id].append((event.arrival, event.row.label or event.row.value))
    return said


def test_the_same_start_gives_the_same_events(events):
    assert timeline(train(), START) == events


def test_another_start_moves_all_of_it(models, events):
    moved = timeline(models, START + timedelta(days=1))

    assert [event.request_id for event in moved] == [event.request_id for event in events]
    assert {new.arrival - old.arrival for new, old in zip(moved, events, strict=True)} == {
        timedelta(days=1)
    }


def test_events_arrive_in_order_from_the_start_to_the_end(events):
    arrivals = [event.arrival for event in events]

    assert arrivals == sorted(arrivals)
    assert arrivals[0] == START
    assert START + LENGTH - timedelta(minutes=1) < arrivals[-1] < START + LENGTH


def test_every_request_is_there_once_and_carries_its_time(events, requests):
    predictions = [event for event in events if isinstance(event.row, Prediction)]

    assert len(predictions) == len(requests) == sum(REQUESTS.values())
    assert all(event.arrival == event.row.time for event in predictions)


def test_traffic_is_split_between_two_versions(requests):
    versions = Counter(row.version for row in requests.values())

    assert versions.keys() == {"v1", "v2"}
    assert abs(versions["v1"] - versions["v2"]) < 400


def test_one_request_in_a_hundred_fails_and_never_gets_a_truth(requests, truths):
    failed = {id_ for id_, row in requests.items() if row.error}

    assert 0.005 < len(failed) / len(requests) < 0.015
    assert all(requests[id_].scores is None and requests[id_].value is None for id_ in failed)
    assert not failed & truths.keys()


def test_latencies_are_those_of_a_service(requests):
    latencies = [row.latency_seconds for row in requests.values()]

    assert median(latencies) == pytest.approx(0.02, rel=0.1)
    assert 0.05 < max(latencies) < 1


def test_truths_come_minutes_to_hours_later(requests, truths):
    delays = sorted(said[0][0] - requests[id_].time for id_, said in truths.items())

    assert timedelta(minutes=10) < median(delays) < timedelta(minutes=20)
    assert delays[0] > timedelta(0)
    assert delays[-1] > timedelta(hours=2)


def test_some_truths_are_corrected(truths):
    corrected = [said for said in truths.values() if len(said) > 1]

    assert len(corrected) > 100
    assert all(first[1] != second[1] for first, second in corrected)


def test_some_truths_never_come(requests, truths):
    first_hour = {id_ for id_, row in requests.items() if row.time < START + timedelta(hours=1)}

    assert 0.05 < len(first_hour - truths.keys()) / len(first_hour) < 0.15
