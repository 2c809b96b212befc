"""Business Unit: benchmarks | Status: current.

What a workflow's run is held against: the critical path of its tasks, from how long its functions' calls took; and what they
cost in all.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from datetime import datetime

from benchmarks.desk import Execution, Invocation

AT_A_TIME = 10
CANDIDATE = frozenset(
    {
        "prepare-trades",
        "evaluate-sell-guard",
        "check-equity-limit",
        "execute-trade-sfn",
        "aggregate-results",
        "notify-completion",
        "notify-failure",
    }
)
_ONE_AFTER_THE_OTHER = ("prepare-trades", "evaluate-sell-guard", "aggregate-results", "notify-completion")
_GUARD = "EvaluateSellPhaseGuard"


def candidate_cost(calls: Sequence[Invocation]) -> float:
    """Add up the milliseconds of the candidate's functions."""
    return sum(call.milliseconds for call in calls if call.function in CANDIDATE)


def critical_path(execution: Execution, calls: Sequence[Invocation]) -> float:
    """Give the seconds that a run's tasks need at the least, ten trades at a time, in the order they were done.

    The tasks outside the Maps follow one another. A BUY is its equity check and its execution, paired in their order.
    """
    after = _entered(execution, _GUARD)
    done = sorted((call for call in calls if call.function in CANDIDATE), key=lambda call: call.ended)
    alone = sum(call.milliseconds for call in done if call.function in _ONE_AFTER_THE_OTHER)
    executed = [call for call in done if call.function == "execute-trade-sfn"]
    sells = [call.milliseconds for call in executed if call.ended <= after]
    bought = [call.milliseconds for call in executed if call.ended > after]
    checked = [call.milliseconds for call in done if call.function == "check-equity-limit"]
    buys = [a + b for a, b in zip(checked, bought, strict=False)]
    return (alone + makespan(sells) + makespan(buys)) / 1000


def makespan(durations: Sequence[float], at_a_time: int = AT_A_TIME) -> float:
    """Give how long work takes that is handed out in order to `at_a_time` hands."""
    hands = [0.0] * at_a_time
    for duration in durations:
        heapq.heappush(hands, heapq.heappop(hands) + duration)
    return max(hands)


def _entered(execution: Execution, state: str) -> datetime:
    for event in execution.history:
        details = event.get("stateEnteredEventDetails")
        at = event["timestamp"]
        if isinstance(details, dict) and details.get("name") == state and isinstance(at, datetime):
            return at
    raise ValueError(f"history: expected the state {state} to be entered, was not")
