"""No function but the daily report pays for what reports are computed and drawn with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = ("pandas", "numpy", "matplotlib", "scipy", "jinja2", "exchange_calendars", "reports")
FUNCTIONS = sorted(
    path.parent.name for path in (ROOT / "functions").glob("*/lambda_handler.py") if path.parent.name != "daily_report"
)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_the_function_starts_without_the_reports_layer(name: str) -> None:
    program = (
        f"import sys, importlib; importlib.import_module('functions.{name}.lambda_handler');"
        f"print(*sorted({{m.split('.')[0] for m in sys.modules}} & set({HEAVY!r})))"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120, check=True
    )
    loaded = done.stdout.split()
    allowed = {"numpy", "pandas"} if name == "execute_trade_sfn" else set()
    assert set(loaded) <= allowed
