"""A model has a limited number of series, however its clients use tags."""

from dataclasses import replace
from functools import partial

import msgspec
import pytest

from app.config import Settings
from app.errors import InvalidRows
from app.ingest.feedback import ingest_feedback
from app.ingest.partial_batches import ingest_valid_rows
from app.ingest.predictions import ingest_predictions
from app.store.database import Database
from app.store.registry import Registry
from app.store.series import SeriesName
from tests.ingest.crowd import (
    at_once,
    databases,
    model_id,
    new_model,
    prediction,
    select,
    stored,
    truth,
)

LIMIT = 8
WRITERS = 6


def bounded(database, limit=LIMIT):
    """Another process's registry over the same database, with this bound."""
    registry = Registry(database.engine, limit)
    database.registry = registry
    return database


@pytest.fixture
def opened(shared_settings):
    """Processes with connections and a registry of their own, which have this bound."""
    with databases(shared_settings.database_url, WRITERS) as opened:
        yield [bounded(database) for database in opened]


def n_series(database, workspace, model):
    statement = "SELECT count(*) FROM series WHERE model_id = :model_id"
    [(count,)] = select(database, workspace, model, statement)
    return count


def send(database, workspace, model, number):
    """Whether a prediction with a tag of its own was stored."""
    row = prediction(model, number, tags={"user": f"u{number}", "country": "FR"})
    try:
        ingest_predictions(database, workspace.id, [row])
    except InvalidRows:
        return False
    return True


def test_a_new_value_per_request_stays_within_the_bound(opened, workspace):
    """Also if many write at once; only what was refused is missing."""
    model = new_model()

    def write(place, database):
        numbers = range(place * 10, place * 10 + 10)
        return {f"r{n}" for n in numbers if send(database, workspace, model, n)}

    sent = at_once(*(partial(write, place, one) for place, one in enumerate(opened)))

    assert n_series(opened[0], workspace, model) == LIMIT  # one of them is without tags
    assert stored(opened[0], workspace, model) == sorted(set().union(*sent))
    assert sum(map(len, sent)) == LIMIT - 1
    assert all(len(database.registry.series._ids._known) <= LIMIT for database in opened)


def test_the_reason_names_the_key_with_too_many_values(opened, workspace):
    model, database = new_model(), opened[0]
    good = prediction(model, 0, tags={"user": "u0", "country": "FR"})
    ingest_predictions(database, workspace.id, [good])
    rows = [
        prediction(model, n, tags={"user": f"u{n}", "country": "FR" if n % 2 else "DE"})
        for n in range(1, 10)
    ]

    with pytest.raises(InvalidRows) as caught:
        ingest_predictions(
            database, workspace.id, [msgspec.structs.replace(good, request_id="again"), *rows]
        )

    assert [error.index for error in caught.value.errors] == list(range(1, 10))
    [(field, reason)] = {(error.field, error.reason) for error in caught.value.errors}
    assert field == "tags"
    assert "more than 8 combinations" in reason
    assert "TRUTHLINE_MAX_SERIES_PER_MODEL" in reason
    assert reason.endswith("tag user has 10 values")
    # a batch that is refused uses up no room
    assert n_series(database, workspace, model) == 2
    assert stored(database, workspace, model) == ["r0"]


def test_versions_count_too_and_are_named(opened, workspace):
    model, database = new_model(), opened[0]
    ingest_predictions(
        database, workspace.id, [prediction(model, n, version=str(n)) for n in range(LIMIT)]
    )
    with pytest.raises(InvalidRows) as caught:
        ingest_predictions(database, workspace.id, [prediction(model, 9, version="9")])
    [error] = caught.value.errors
    assert (error.field, error.reason[-20:]) == ("version", "version has 9 values")


def test_rows_of_series_that_exist_are_stored_where_nothing_is_sent_again(opened, workspace):
    """Also those of another model, and of a version without tags for which there is room."""
    model, other, database = new_model(), new_model(), opened[0]
    known = {"country": "FR"}
    ingest_predictions(database, workspace.id, [prediction(model, 0, tags=known)])
    rows = [
        prediction(model, 1, tags=known),
        *(prediction(model, n, tags={"user": f"u{n}"}) for n in range(10, 20)),
        prediction(model, 2, version="2"),
        prediction(model, 3),
        prediction(other, 4, tags={"user": "u4"}),
    ]

    verdict, errors = ingest_valid_rows(database, workspace.id, rows)

    assert verdict.accepted == 4
    assert [error.index for error in errors] == list(range(1, 11))
    assert stored(database, workspace, model) == ["r0", "r1", "r2", "r3"]
    assert stored(database, workspace, other) == ["r4"]


def test_a_full_model_still_takes_its_series_and_truths(opened, workspace):
    model, database = new_model(), opened[0]
    accepted = [n for n in range(LIMIT) if send(database, workspace, model, n)]
    assert len(accepted) == LIMIT - 1
    [late] = [prediction(model, 100, tags={"user": "u0", "country": "FR"})]

    assert ingest_predictions(opened[1], workspace.id, [late]).accepted == 1
    verdict = ingest_feedback(opened[1], workspace.id, [truth(model, n) for n in (0, 100)])
    assert (verdict.accepted, verdict.pending) == (2, 0)


def test_a_model_that_is_known_to_be_full_is_not_counted_again(opened, workspace, monkeypatch):
    """Neither its lock is taken nor its series counted, so refusals cost nobody anything."""
    model, database = new_model(), opened[0]
    while send(database, workspace, model, n_series(database, workspace, model) + 50):
        pass
    monkeypatch.setattr("app.store.series._COUNT", None)
    monkeypatch.setattr("app.store.series._CROWD", None)

    assert not any(send(database, workspace, model, number) for number in range(200, 210))


def test_a_bound_of_zero_is_none(opened, workspace):
    model, database = new_model(), bounded(opened[0], limit=0)
    names = [
        SeriesName(model_id(database, workspace, model), "", "", "", "", (("user", f"u{n}"),))
        for n in range(LIMIT * 3)
    ]
    assert len(database.registry.series.register(names)) == LIMIT * 3


def test_the_setting_reaches_the_registry(shared_settings):
    settings = replace(shared_settings, max_series_per_model=3)
    assert isinstance(settings, Settings)
    database = Database.from_settings(settings)
    assert database.registry.series._limit == 3
    database.dispose()
