"""What the documentation says of frames and readiness is what the code does."""

from __future__ import annotations

import contextlib
import io
from pathlib import Path

import pytest

from benchmarks.readiness_simulation import main
from reports.data.columns import PAGE, render_page
from reports.readiness.day_evidence import Stratum
from reports.readiness.readiness import ReadinessPolicy
from reports.readiness.statistics import trades_for

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_of_columns_is_fresh() -> None:
    assert (DOCS.parent / PAGE).read_text(encoding="utf-8") == render_page()


def test_the_trades_needed_are_those_that_the_page_of_readiness_names() -> None:
    page = (DOCS / "readiness.md").read_text(encoding="utf-8")
    policy = ReadinessPolicy()
    rows = {
        Stratum.ALL: "| all trades | 5 % | {} |",
        Stratum.BUYS: "| buys; sells; large trades (1,000 USD and more) | 10 % | {} |",
        Stratum.SMALL: "| small trades | 20 % | {} |",
        Stratum.FULL_EXITS: "| full exits | 25 % | {} |",
        Stratum.RUNS: "| runs | 35 % | {} |",
    }
    for stratum, row in rows.items():
        needed = [trades_for(policy.rate_targets[stratum], policy.looks.share(number)) for number in (1, 2, 3)]
        assert row.format(", ".join(map(str, needed))) in page


@pytest.mark.long
def test_the_measured_shares_are_those_of_the_simulation() -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        main([])
    page = (DOCS / "readiness.md").read_text(encoding="utf-8")
    assert (
        page.split("<!-- made by benchmarks.readiness_simulation -->")[1].split("<!-- end -->")[0].strip()
        == out.getvalue().strip()
    )
