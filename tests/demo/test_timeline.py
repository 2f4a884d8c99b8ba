"""What happens in a story: everything a newcomer should see, and the same each time."""

from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import median

import pytest

from app.demo.lesson import DIABETES, DIGITS, STRIPS
from app.demo.story import EPISODES, HOUR, LENGTH, RELEASE, TRAFFIC, WEEK, Story
from app.demo.timeline import LONGEST_WAIT, events_by_hour
from app.ingest.inferences import Prediction
from tests.demo.conftest import LESSON, events_until

STARTED = datetime(2026, 3, 1, 22, tzinfo=UTC)
NOW = STARTED + timedelta(minutes=23)


@pytest.fixture(scope="module")
def events():
    return events_until(NOW, STARTED)


@pytest.fixture(scope="module")
def requests(events):
    """Predictions by their request id."""
    return {e.request_id: e.row for e in events if isinstance(e.row, Prediction)}


@pytest.fixture(scope="module")
def truths(events):
    """The truths of each request, in order: when, and what."""
    said = defaultdict(list)
    for event in events:
        if not isinstance(event.row, Prediction):
            said[event.request_id].append((event.arrival, event.row.label or event.row.value))
    return said


def test_the_same_start_gives_the_same_events(events):
    assert events_until(NOW, STARTED) == events


def test_a_part_can_be_told_again(events):
    """A run that continues begins with the first hour that may lack something."""
    since = STARTED - timedelta(days=2)
    again = events_by_hour(LESSON.models, Story(STARTED), since, NOW)

    predictions = [event for event in events if isinstance(event.row, Prediction)]
    of_these = {event.request_id for event in predictions if event.row.time > since}
    assert [e for hour in again for e in hour] == [e for e in events if e.request_id in of_these]


def test_events_arrive_in_order_over_eight_days(events):
    arrivals = [event.arrival for event in events]

    assert arrivals == sorted(arrivals)
    assert STARTED - LENGTH < arrivals[0] < STARTED - LENGTH + HOUR
    assert NOW - HOUR < arrivals[-1] < NOW


def test_traffic_follows_the_day(requests):
    by_hour = Counter(row.time.hour for row in requests.values())

    assert sum(by_hour.values()) == pytest.approx(14.4 * 24 * 8, rel=0.1)
    assert sum(by_hour[hour] for hour in range(12, 18)) > 2 * sum(by_hour[h] for h in range(6))


def test_every_request_arrives_once_and_after_its_time(events, requests):
    predictions = [event for event in events if isinstance(event.row, Prediction)]

    assert len(predictions) == len(requests)
    assert all(
        event.arrival == event.row.time + timedelta(seconds=event.row.latency_seconds)
        for event in predictions
    )


def test_a_failed_request_has_no_output_and_no_truth(requests, truths):
    failed = {id_ for id_, row in requests.items() if row.error}

    assert 0.005 < len(failed) / len(requests) < 0.03
    assert all(requests[id_].label is None and requests[id_].value is None for id_ in failed)
    assert not failed & truths.keys()


def test_truths_come_minutes_to_hours_later_and_none_too_late(requests, truths):
    delays = {
        id_: said[0][0] - requests[id_].time
        for id_, said in truths.items()
        if requests[id_].model == DIGITS.name
    }

    assert timedelta(minutes=15) < median(delays.values()) < timedelta(minutes=25)
    assert max(delays.values()) > timedelta(hours=2)
    assert all(said[-1][0] - requests[id_].time < LONGEST_WAIT for id_, said in truths.items())


def test_some_truths_are_corrected_and_some_never_come(requests, truths):
    corrected = [said for said in truths.values() if len(said) > 1]
    early = {
        id_
        for id_, row in requests.items()
        if row.time < NOW - LONGEST_WAIT and not row.error and row.model != STRIPS.name
    }

    assert 0.02 < len(corrected) / len(truths) < 0.06
    assert all(first[1] != second[1] for said in corrected for first, second in pairwise(said))
    assert 0.05 < len(early - truths.keys()) / len(early) < 0.12


def test_the_digits_get_another_version_at_the_release(requests):
    of_digits = [row for row in requests.values() if row.model == DIGITS.name]
    released = STARTED + RELEASE.begins

    assert {row.version for row in of_digits if row.time < released} == {"v1"}
    assert {row.version for row in of_digits if row.time >= released} == {"v2"}


def test_what_happened_once_happens_again_a_week_later():
    story = Story(STARTED)
    for model, episodes in EPISODES.items():
        for episode in episodes:
            first = STARTED + episode.begins
            for began in (first, first + WEEK, first + 2 * WEEK):
                assert episode in story.conditions(model, began).episodes
                assert episode in story.conditions(model, began + episode.lasts - HOUR).episodes
            if episode.lasts < WEEK:
                assert episode not in story.conditions(model, first + episode.lasts).episodes
            assert episode not in story.conditions(model, first - HOUR).episodes


def test_noise_outages_and_slowness_are_conditions_of_an_hour():
    story = Story(STARTED)
    ((drift,), (outage,)) = EPISODES[DIABETES], EPISODES[STRIPS]
    during = story.conditions(DIABETES, STARTED + drift.begins)

    assert (during.noise("v1"), during.noise("v2")) == (0, 2)
    assert story.conditions(DIABETES, STARTED).noise("v2") == 0
    down = story.conditions(STRIPS, STARTED + outage.begins)
    assert down.failed == 0.4
    assert down.latency_seconds == pytest.approx(6 * TRAFFIC[STRIPS].latency_seconds)


@pytest.mark.parametrize("days", [0, 1, 6.2, 6.3, 30, 365])
def test_a_release_has_had_an_hour_to_show_and_is_a_week_old_at_most(days):
    now = NOW + timedelta(days=days)

    release = Story(STARTED).release(now)

    assert HOUR <= now - release <= WEEK + HOUR
    assert Story(STARTED).conditions(DIGITS, release).versions == ["v2"]
    assert Story(STARTED).conditions(DIGITS, release - HOUR).versions == ["v1"]
