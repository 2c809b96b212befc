"""A function that is called with something else than its event says so by a typed error, before it does anything."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from shadow.contracts.errors import ContractViolation

FOLDERS = (
    "aggregate_results",
    "check_equity_limit",
    "compare_outcomes",
    "daily_report",
    "evaluate_sell_guard",
    "execute_trade_sfn",
    "legacy_execution",
    "notify_completion",
    "notify_failure",
    "prepare_trades",
    "publish_plan",
)


@pytest.mark.parametrize("event", [None, [], [{"plan_id": "p"}], "plan", 7, {"trade": None}, {"Records": [None]}, {"day": 1}])
@pytest.mark.parametrize("folder", FOLDERS)
def test_a_call_of_another_kind_is_refused(folder: str, event: Any) -> None:
    handler = importlib.import_module(f"functions.{folder}.lambda_handler").lambda_handler
    if folder == "daily_report" and isinstance(event, dict) and "day" not in event:
        pytest.skip("a day need not be named")
    with pytest.raises(ContractViolation):
        handler(event, None)
