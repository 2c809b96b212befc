"""Business Unit: local cloud | Status: current.

A faulty candidate: a handler around a function's own, sound handler, with defects planted in it. `variants` ships this file in
the function's zip. The faults lie in a file and are read anew at every call; without any, the sound handler's answer passes
through untouched.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from local.scenarios.candidate_defects import (
    AGGREGATE,
    EQUITY,
    EXECUTE,
    GUARD,
    NOT_FILLED,
    NOTHING,
    NOTIFY,
    PREPARE,
    UNFILLED,
    Act,
    Call,
    Event,
    Handler,
    always_fails,
    answering,
    asking,
    bought_while_selling,
    doubled,
    equity_limit_off,
    equity_not_counted,
    equity_overcounted,
    exit_forgotten,
    guard_amounts_off,
    guard_at_threshold,
    half_filled,
    mapping,
    miscounted,
    named_at_random,
    not_notified,
    planned_amount_off,
    recording,
    resold,
    rounded_down,
    sized_by_target,
    slow,
    trade_doubled,
    trade_dropped,
    trade_fails,
    trade_renamed,
    turned,
    writing,
    wrong_size,
)

FAULTS: dict[str, tuple[str, Act]] = {
    "sized_by_target": (EXECUTE, sized_by_target),
    "wrong_size": (EXECUTE, wrong_size),
    "planned_amount_off": (EXECUTE, planned_amount_off),
    "oversold": (EXECUTE, resold),
    "trade_fails": (EXECUTE, trade_fails),
    "always_fails": (EXECUTE, always_fails),
    "filled_reported_failed": (EXECUTE, answering(**NOT_FILLED)),
    "fill_lost": (EXECUTE, answering(**NOT_FILLED, **NOTHING)),
    "partial_fill_lost": (EXECUTE, recording(half_filled, **NOT_FILLED, **NOTHING)),
    "ordered_twice": (EXECUTE, recording(doubled)),
    "orders_turned": (EXECUTE, recording(turned)),
    "orders_named_at_random": (EXECUTE, recording(named_at_random)),
    "market_first": (EXECUTE, recording(writing(order_type="market", limit_price=None), orderType="market")),
    "order_left_live": (EXECUTE, recording(writing(**UNFILLED, status="open"), **NOT_FILLED, **NOTHING)),
    "order_fate_unknown": (EXECUTE, recording(writing(status="ambiguous"))),
    "order_refused": (EXECUTE, recording(writing(**UNFILLED, status="rejected"))),
    "tried_often": (EXECUTE, answering(attempts=4)),
    "rounded_down": (EXECUTE, rounded_down),
    "slow": (EXECUTE, slow),
    "trade_dropped": (PREPARE, trade_dropped),
    "trade_doubled": (PREPARE, trade_doubled),
    "trade_renamed": (PREPARE, trade_renamed),
    "exit_forgotten": (PREPARE, exit_forgotten),
    "bought_while_selling": (PREPARE, bought_while_selling),
    "correlation_lost": (PREPARE, asking(correlationId="workflow-lost")),
    "equity_limit_off": (PREPARE, equity_limit_off),
    "guard_blocks": (GUARD, answering(buyPhaseAllowed=False, reason="planted: blocked")),
    "guard_passes": (GUARD, answering(buyPhaseAllowed=True, reason=None)),
    "guard_sums_executed": (GUARD, answering(buyPhaseAllowed=True, sellFailedAmount="0", reason=None)),
    "guard_threshold_off": (GUARD, asking(failureThresholdUsd="250")),
    "guard_at_threshold": (GUARD, guard_at_threshold),
    "guard_amounts_off": (GUARD, guard_amounts_off),
    "equity_not_counted": (EQUITY, equity_not_counted),
    "equity_overcounted": (EQUITY, equity_overcounted),
    "equity_unsaid": (EQUITY, answering(cumulative="0", limit="0", headroom="0")),
    "equity_ignored": (EQUITY, answering(allowed=True, reason=None)),
    "miscounted": (AGGREGATE, miscounted),
    "aggregation_fails": (AGGREGATE, always_fails),
    "not_notified": (NOTIFY, not_notified),
}
FUNCTIONS = tuple(sorted({function for function, _ in FAULTS.values()}))


def planted(sound: Handler, function: str, faults_file: Path) -> Handler:
    """Wrap the `sound` handler of `function` in whatever is planted at each call."""

    def lambda_handler(event: Event, context: object) -> Event:
        handler = sound
        for fault in _faults_at(event, function, faults_file):
            handler = _around(handler, fault)
        return handler(event, context)

    return lambda_handler


def _around(sound: Handler, fault: Mapping[str, object]) -> Handler:
    act = FAULTS[str(fault["fault"])][1]
    return lambda event, context: act(Call(sound, event, context, fault))


def _faults_at(event: Event, function: str, faults_file: Path) -> list[Mapping[str, object]]:
    """Read what is planted for this call: by plan, and by symbol where the call is about one trade."""
    named = [mapping(event.get(part)) for part in ("trade", "state")]
    plan_ids = {str(each["planId"]) for each in (event, *named) if "planId" in each}
    symbols = {str(each["symbol"]) for each in (event, *named[:1]) if "symbol" in each}
    return [
        fault
        for fault in json.loads(faults_file.read_text(encoding="utf-8"))
        if FAULTS[str(fault["fault"])][0] == function
        and fault.get("plan_id") in (None, *plan_ids)
        and (not symbols or fault.get("symbol") in (None, *symbols))
    ]
