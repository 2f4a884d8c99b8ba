"""`truthline erase`, as people type it."""

import pytest

from app.config import Settings
from app.ingest.predictions import Prediction, ingest_predictions
from app.store.database import Database


@pytest.fixture
def erase(command, fresh_database_url):
    """Run it on a database with three requests."""
    database = Database.from_settings(Settings(database_url=fresh_database_url))
    sent = [Prediction(model="m", request_id=f"r{n}", label="a") for n in range(3)]
    ingest_predictions(database, 1, sent)
    database.dispose()

    def call(*arguments):
        return command("erase", *arguments, TRUTHLINE_DATABASE_URL=fresh_database_url)

    return call


def test_it_says_what_it_erases_and_asks(erase, tmp_path):
    ids = tmp_path / "ids.txt"
    ids.write_text("r1\nr2\n", encoding="utf-8")
    found = "2 rows of predictions, 0 of truths and 2 of other tables\n"

    tried = erase("requests", "--ids-from", ids, "--dry-run")
    assert (tried.returncode, tried.stdout) == (0, f"would erase {found}")
    refused = erase("requests", "r1", "r2")  # nobody answers
    assert refused.returncode == 1
    assert "Aborted" in refused.stderr
    done = erase("requests", "r1", "--ids-from", ids, "--yes", "--by", "ann")
    assert (done.returncode, done.stdout) == (0, f"erased {found}")

    done = erase("model", "m", "--yes")
    assert done.stdout == "erased 1 rows of predictions, 0 of truths and 1 of other tables\n"
    for wrong in (("model", "x"), ("tag", "user"), ("requests",), ("workspace", "default")):
        said = erase(*wrong, "--yes")
        assert (said.returncode in (1, 2), said.stdout, "Traceback" in said.stderr) == (
            True,
            "",
            False,
        )
