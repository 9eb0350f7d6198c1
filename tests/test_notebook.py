import shutil
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
TABLES = {"quickstart": 6}  # that a notebook shows at the least; others 3


def names(notebook):
    return notebook.stem


@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
def test_a_notebook_is_kept_without_its_outputs(path):
    cells = [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]
    assert cells
    assert not any(cell.outputs or cell.execution_count for cell in cells)


@pytest.mark.weights
@pytest.mark.parametrize("path", NOTEBOOKS, ids=names)
def test_a_notebook_runs_from_top_to_bottom(path, tmp_path):
    folder = tmp_path / "examples"
    shutil.copytree(EXAMPLES, folder)
    notebook = nbformat.read(folder / path.name, 4)
    NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": folder}}
    ).execute()
    shown = [
        output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    ]
    tables = ["text/html" in output.get("data", {}) for output in shown]
    assert sum(tables) >= TABLES.get(path.stem, 3)
