"""Business Unit: benchmarks | Status: current.

How many state transitions a run in which nothing goes wrong takes: a walk through the deployed definition itself. One is
counted each time a state is entered, also inside a Map and inside the child executions of a Distributed Map.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from shadow.contracts.workflow import MAX_INLINE_TRADES

DEFINITION = Path(__file__).parents[1] / "statemachines" / "execution_workflow.asl.json"

_MOST = 100
States = Mapping[str, Mapping[str, object]]
Values = Mapping[str, object]


def transitions(sells: int, buys: int) -> int:
    """Count the transitions of a run of `sells` SELLs and `buys` BUYs."""
    definition = json.loads(DEFINITION.read_text(encoding="utf-8"))
    values: Values = {
        "$.sellCount": sells,
        "$.buyCount": buys,
        "$.isLarge": sells + buys > MAX_INLINE_TRADES,
        "$.guard.buyPhaseAllowed": True,
        "$.equityCheck.allowed": True,
        "$.outcome": "COMPLETED",
    }
    return _walk(definition, values, sells, buys)


def _walk(machine: Mapping[str, object], values: Values, sells: int, buys: int) -> int:
    states: States = machine["States"]  # type: ignore[assignment] # as the language has it
    name, total = str(machine["StartAt"]), 0
    for _ in range(_MOST):
        state = states[name]
        total += 1
        if state["Type"] == "Map":
            inner: Mapping[str, object] = state["ItemProcessor"]  # type: ignore[assignment] # as the language has it
            times = sells if "Sell" in name else buys
            total += times * _walk(inner, values, sells, buys)
        following = _chosen(state, values) if state["Type"] == "Choice" else state.get("Next")
        if following is None:
            return total
        name = str(following)
    raise ValueError(f"{machine['StartAt']}: expected an end within {_MOST} states, was none")


def _chosen(state: Mapping[str, object], values: Values) -> object:
    choices: list[Mapping[str, object]] = state["Choices"]  # type: ignore[assignment] # as the language has it
    return next((choice["Next"] for choice in choices if _holds(choice, values)), state.get("Default"))


def _holds(rule: Mapping[str, object], values: Values) -> bool:
    if "And" in rule:
        rules: list[Mapping[str, object]] = rule["And"]  # type: ignore[assignment] # as the language has it
        return all(_holds(each, values) for each in rules)
    value = values[str(rule["Variable"])]
    if "NumericGreaterThan" in rule:
        return float(str(value)) > float(str(rule["NumericGreaterThan"]))
    return any(rule.get(operator) == value for operator in ("BooleanEquals", "StringEquals"))
