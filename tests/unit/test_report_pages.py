"""What the documentation says of frames and readiness is what the code does."""

from __future__ import annotations

from pathlib import Path

from benchmarks.readiness_simulation import power_table
from reports.data.columns import PAGE, render_page

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_columns_is_fresh() -> None:
    assert (DOCS.parent / PAGE).read_text(encoding="utf-8") == render_page()


def test_the_days_needed_are_those_that_the_page_of_readiness_names() -> None:
    page = (DOCS / "readiness.md").read_text(encoding="utf-8")
    assert power_table() in page
