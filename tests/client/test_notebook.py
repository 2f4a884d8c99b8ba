"""The notebook of the documents, executed against a running server."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from tests.client.stored import request_ids

NOTEBOOK = Path(__file__).parents[2] / "docs/notebooks/metrics.ipynb"
FIGURE, TABLE = "application/vnd.plotly.v1+json", "text/html"


@pytest.fixture
def executed(url, workspace, monkeypatch, tmp_path):
    """Its code cells, after they have run in a kernel of their own."""
    monkeypatch.setenv("TRUTHLINE_URL", url)
    monkeypatch.setenv("TRUTHLINE_KEY", workspace.admin_key)
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=60, kernel_name="python3").execute()
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def shown(cell):
    """The data that a cell shows as its value; it may have no other output."""
    (output,) = cell.outputs
    return output["data"]


def cell_with(cells, text):
    (found,) = (cell for cell in cells if text in cell.source)
    return found


def test_it_runs_and_shows_what_it_describes(executed, database, workspace):
    metrics = shown(cell_with(executed, "matrix.plot()"))[FIGURE]
    assert metrics["data"][0]["type"] == "heatmap"
    assert "<td>9</td>" in shown(cell_with(executed, "matrix = "))[TABLE]
    figures = [c for c in executed if c.outputs and FIGURE in c.outputs[0].get("data", {})]
    assert len(figures) == 5
    accuracy = shown(cell_with(executed, "metrics.plot()"))[FIGURE]["data"][0]
    assert accuracy["name"] == "Accuracy"
    assert accuracy["y"][2:5] == [0.4375, 0.125, None]
    assert len(request_ids(database, workspace)) == 50 + 720


def test_it_is_kept_without_outputs():
    cells = nbformat.read(NOTEBOOK, as_version=4).cells

    assert all(not cell.get("outputs") for cell in cells)
    assert all(cell.get("execution_count") is None for cell in cells)
