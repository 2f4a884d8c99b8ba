"""What `truthline status` says about room on disk."""

import pytest
from sqlalchemy import text

from app.cli.status import space_row
from app.config import Settings
from app.ingest.bulk.checked import TRUTHS
from app.ingest.bulk.formats import ARROW
from app.query.space import Space
from app.query.status import service_status
from app.rollup.columnstore import enable_columnstore
from app.store.database import Database
from tests.ingest.bulk.test_joins import predictions, truths
from tests.ingest.bulk.told import bulk
from tests.servers import edition

NUMBER = 20_000
BYTES = text("SELECT pg_table_size('prediction_key'), pg_indexes_size('prediction_key')")


@pytest.fixture(scope="module")
def filled(empty_database_url, template):
    database = Database.from_settings(Settings(database_url=empty_database_url(template)))
    bulk(database, 1, ARROW, predictions("m", range(NUMBER)))
    bulk(database, 1, ARROW, truths("m", range(NUMBER)), TRUTHS)
    yield database
    database.dispose()


def room(database):
    with database.reading() as conn:
        return {space.kind: space for space in service_status(conn).space}


def test_kinds_have_their_room(filled):
    with filled.reading() as conn:
        rows, indexes = conn.execute(BYTES).one()
    of = room(filled)

    assert list(of) == ["predictions", "outcomes", "keys", "levels", "other"]
    assert of["keys"].rows >= rows
    assert of["keys"].indexes >= indexes
    for kind in ("predictions", "outcomes"):
        assert 50 * NUMBER < of[kind].rows < 500 * NUMBER
        assert 5 * NUMBER < of[kind].indexes < 100 * NUMBER


def test_they_are_the_whole_database(filled):
    with filled.reading() as conn:
        whole = conn.execute(text("SELECT pg_database_size(current_database())")).scalar_one()

    assert sum(space.total for space in room(filled).values()) == pytest.approx(whole, rel=0.02)


@pytest.mark.skipif(edition() != "community", reason="only Community has a columnstore")
def test_room_in_the_columnstore_counts(filled):
    before = room(filled)["outcomes"].total
    with filled.writing() as conn:
        enable_columnstore(conn, "outcome")
        conn.exec_driver_sql("SELECT public.compress_chunk(c) FROM public.show_chunks('outcome') c")

    assert 0.01 * before < room(filled)["outcomes"].total < 0.6 * before


def test_a_row_says_megabytes_and_those_of_a_million():
    assert space_row(Space("keys", 1_500_000, 500_000), 20_000) == (
        *("keys", "1.5", "0.5", "2.0"),
        "100.0",
    )
    assert space_row(Space("keys", 8192, 0), 0)[-1] == ""
