"""What the suite writes: medians, ratios, and a page that is what its results say."""

import json
import re

import pytest

from bench import document, report, suite
from bench.report import Sample, note, note_facts, note_versions, recording
from bench.suite import CASES, RESULTS, Case, Effort
from bench.timing import compared, pace, seconds_of

CASE = Case("levels", "A title", ("rows",), {Effort.TINY: (3,)})


@pytest.fixture
def record():
    with recording() as record:
        note("a week", Sample("ours", [0.003, 0.001, 0.002]), Sample("theirs", [0.008, 0.003]))
        note("alone", Sample("ours", [1.0]))
        note_versions(DuckDB="1.2.3")
        note_facts(synchronous_commit="on")
    return record


@pytest.fixture
def result(record):
    return suite.described(CASE, Effort.TINY, record)


def test_a_ratio_is_of_medians(result):
    week, alone = result["comparisons"]
    assert week["ours"] == {"name": "ours", "min": 1, "median": 2, "max": 3, "tries": 3}
    (theirs,) = week["peers"]
    assert (theirs["median"], theirs["ratio"]) == (5.5, 2.75)
    assert alone["peers"] == []


def test_a_result_says_what_it_is_of_and_nothing_of_the_machine_but_its_cores(result):
    assert result["size"] == {"rows": 3}
    assert result["versions"]["DuckDB"] == "1.2.3"
    assert {"Truthline", "Python"} <= set(result["versions"])
    assert set(result) == {
        *("case", "title", "effort", "edition", "cores", "size"),
        *("versions", "facts", "comparisons"),
    }


def test_tries_go_back_and_forth_and_end():
    asked = []
    with pace(3, 60):
        ours, theirs = seconds_of(lambda: asked.append("ours"), lambda: asked.append("theirs"))
    assert asked == ["ours", "theirs"] * 3
    assert len(ours) == len(theirs) == 3
    with pace(3, 0):
        assert len(seconds_of(lambda: None)[0]) == 1


def test_nothing_is_collected_outside_of_a_recording(record):
    compared("later", lambda: None, lambda: None)
    assert len(record.comparisons) == 2


def test_a_table_has_every_number(result):
    lines = "\n".join(document.section(result))
    assert "| a week | ours | 1 | 2 | 3 |  |" in lines
    assert "|  | theirs | 3 | 5.5 | 8 | 2.75 |" in lines
    assert "| alone | ours | 1,000 | 1,000 | 1,000 |  |" in lines
    assert "`bench/levels.py`; 3 rows;" in lines
    assert "synchronous commit on" in lines


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.00123456, "0.001235"), (1.5, "1.5"), (999.94, "999.9"), (10_210.4, "10,210")],
)
def test_a_number_has_no_exponent(number, text):
    assert report.readable(number) == text


def test_a_plot_has_a_bar_for_each_peer(result):
    drawn = document.plot(result)
    assert drawn.count("<rect") == 1
    assert ">2.75</text>" in drawn
    assert document.plot(result | {"comparisons": result["comparisons"][1:]}) == ""


def test_the_page_and_its_plots_are_those_of_the_results():
    """`python -m bench.document` writes them again."""
    results = document.read()

    assert document.PAGE.read_text() == document.page(results)
    drawn = {f"{one['case']}-{one['edition']}.svg": document.plot(one) for one in results}
    committed = {path.name: path.read_text() for path in document.PLOTS.glob("*.svg")}
    assert committed == {name: plot for name, plot in drawn.items() if plot}


def test_committed_results_name_no_machine():
    for path in RESULTS.glob("*.json"):
        text = path.read_text()
        assert not re.search(r"/(opt|home|root|tmp|work)/|127\.0\.0\.1|localhost", text), path.name
        assert json.loads(text)["case"] in {case.name for case in CASES}


def test_a_case_that_fails_does_not_end_the_run(monkeypatch, capsys):
    measured = []

    def measure(case, effort):
        measured.append(case.name)
        if case.name == "steps":
            raise ConnectionError("MLflow's environment was moved")

    monkeypatch.setattr(Case, "measure", measure)
    failed = suite.run(Effort.TINY, ["postgres"], ["ingest", "steps", "answers"], 60)
    assert measured == ["ingest", "steps", "answers"]
    assert failed == ["steps on postgres"]
    assert "MLflow's environment was moved" in capsys.readouterr().err


def test_every_file_with_a_main_is_a_case():
    """Except a server that a case starts, and the suite."""
    files = {path.stem for path in RESULTS.parent.glob("*.py") if "\ndef main(" in path.read_text()}
    assert files - {"ready", "__main__"} == {case.name for case in CASES}
