"""Every case of the suite runs at its smallest size, and reports what it promises."""

import pytest

from bench import suite
from bench.suite import CASES, Effort
from tests.servers import edition


def cases():
    return [case for case in CASES if not case.needs or edition() in case.needs]


@pytest.fixture(autouse=True)
def on_the_shared_server(monkeypatch, server, template):
    """Databases of cases are copies of the one that has been migrated; no peers, no browser."""
    monkeypatch.setenv("TRUTHLINE_DATABASE_URL", server)
    monkeypatch.setenv("BENCH_TEMPLATE", template)
    monkeypatch.setattr("bench.peers.installed", lambda _name: False)
    monkeypatch.setattr("bench.overview.shutil.which", lambda _name: None)


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_it_runs_at_its_smallest_size(case, tmp_path):
    record = case.measure(Effort.TINY)
    written = suite.write(case, Effort.TINY, record, tmp_path).read_text()

    assert record.comparisons
    for comparison in record.comparisons:
        for sample in (comparison.ours, *comparison.peers):
            assert min(sample.seconds) > 0
    assert "127.0.0.1" not in written
    assert str(tmp_path.parent) not in written
