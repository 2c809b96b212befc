"""The notebook is committed without outputs and runs from top to bottom, on a good period and on an uneventful one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from reports.data.trading_calendar import trading_days
from shadow.contracts.comparison import Comparison
from tests.factories.comparisons import comparison_of, story, write_jsonl, write_store

NOTEBOOK = Path(__file__).parents[2] / "reports" / "notebooks" / "divergence_analysis.ipynb"
DAYS = trading_days(date(2025, 11, 3), date(2025, 11, 18))


def read() -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_committed_without_outputs() -> None:
    cells = [cell for cell in read().cells if cell.cell_type == "code"]
    assert len(cells) > 8
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


@pytest.mark.parametrize(
    ("comparisons", "pictures"),
    [
        pytest.param(story(DAYS), 6, id="one of everything"),
        pytest.param([comparison_of(DAYS[0])], 6, id="one matched pair", marks=pytest.mark.thorough),
    ],
)
def test_it_runs_from_top_to_bottom(
    comparisons: Sequence[Comparison], pictures: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if len(comparisons) > 1:
        write_store(tmp_path, comparisons)
    else:
        write_jsonl(tmp_path / "comparisons.jsonl", comparisons)
    monkeypatch.setenv("SHADOW_DATA_DIR", str(tmp_path))
    notebook = read()
    NotebookClient(notebook, timeout=180, kernel_name="python3", resources={"metadata": {"path": str(NOTEBOOK.parent)}}).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == pictures
    assert not [output for output in outputs if output.output_type == "error"]
    said = "".join(output.get("text", "") for output in outputs)
    assert ("BLOCKED" if len(comparisons) > 1 else "NOT_YET") in said
