"""Business Unit: execution | Status: current.

Every function of the candidate starts in an interpreter of its own, as a zip beside the layer does, and imports only what it is
for (C11).
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LIGHT = [
    "prepare_trades",
    "evaluate_sell_guard",
    "check_equity_limit",
    "aggregate_results",
    "notify_completion",
    "notify_failure",
]
PROBE = """
import json, sys
import lambda_handler
assert callable(lambda_handler.lambda_handler)
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules} | {n for n in sys.modules if n.startswith("shadow.")})))
"""


def imported_by(function: str) -> set[str]:
    """Start the function as Lambda does: its folder's files are the root, the library comes from the layer."""
    finished = subprocess.run(  # noqa: S603 - our own interpreter and text
        [sys.executable, "-c", PROBE],
        cwd=ROOT / "functions" / function,
        env={"PYTHONPATH": str(ROOT), "AWS_DEFAULT_REGION": "us-east-1"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return set(json.loads(finished.stdout.splitlines()[-1]))


@pytest.mark.parametrize("function", LIGHT)
def test_c11_a_function_that_does_not_trade_imports_no_broker_library(function: str) -> None:
    imported = imported_by(function)

    assert "shadow" in imported
    assert not imported & {"alpaca", "pandas", "numpy", "polars", "matplotlib"}


def test_c11_the_function_that_trades_starts_with_its_broker() -> None:
    imported = imported_by("execute_trade_sfn")

    assert "alpaca" in imported
    assert not imported & {"polars", "matplotlib"}


@pytest.mark.parametrize("function", [*LIGHT, "execute_trade_sfn"])
def test_the_candidate_does_not_wait_for_what_only_a_comparison_needs(function: str) -> None:
    imported = imported_by(function)
    assert "shadow.contracts.workflow" in imported or function.startswith("notify")
    assert not imported & {"shadow.contracts.outcome", "shadow.contracts.comparison", "shadow.contracts.pair", "shadow.compare"}
