"""Business Unit: local cloud | Status: current.

A faulty candidate: a handler around a function's own, sound handler, that changes what goes in or what comes out. `variants` puts
this file beside the sound one in the function's zip, so it may import the standard library only. The faults lie in a file and are
read anew at every call; without any, the sound handler's answer passes through untouched.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TypeAlias

Event: TypeAlias = dict[str, object]
Handler: TypeAlias = Callable[[Event, object], Event]

PREPARE, GUARD, EQUITY = "prepare_trades", "evaluate_sell_guard", "check_equity_limit"
EXECUTE, AGGREGATE, NOTIFY = "execute_trade_sfn", "aggregate_results", "notify_completion"


class PlantedFailure(Exception):
    """The function fails here."""


@dataclass(frozen=True)
class Call:
    """One call of a function, with a fault planted in it. `sound` is the function's own handler."""

    sound: Handler
    event: Event
    context: object
    fault: Mapping[str, object]

    def through(self, event: Event) -> Event:
        """Give the sound handler's answer to `event`."""
        return self.sound(event, self.context)

    @property
    def answer(self) -> Event:
        """Give the sound handler's answer."""
        return self.through(self.event)

    def factor(self, default: str) -> Decimal:
        """Give the fault's amount, else its default."""
        return Decimal(str(self.fault.get("amount") or default))


def _resized(call: Call, amount: Decimal) -> Event:
    """Execute the trade at another amount, and answer as if it were the planned one."""
    if "tradeAmount" not in call.event:
        return call.answer
    answer = call.through({**call.event, "tradeAmount": format(amount, "f")})
    return {**answer, "plannedAmount": call.event["tradeAmount"]}


def _planned(call: Call) -> Decimal:
    return Decimal(str(call.event.get("tradeAmount", "0")))


def _sized_by_target(call: Call) -> Event:
    target = Decimal(str(call.event.get("targetValue", "0")))
    return _resized(call, -target if _planned(call) < 0 else target)


def _wrong_size(call: Call) -> Event:
    return _resized(call, _planned(call) * call.factor("1.1"))


def _planned_amount_off(call: Call) -> Event:
    return call.through({**call.event, "tradeAmount": format(_planned(call) * call.factor("1.1"), "f")})


def _trade_fails(call: Call) -> Event:
    if "trade" in call.event:
        return call.answer
    raise PlantedFailure(str(call.event.get("symbol")))


def _filled_reported_failed(call: Call) -> Event:
    return {**call.answer, "status": "FAILED", "reason": "NOT_FILLED", "errorMessage": "planted: not filled"}


def _fill_lost(call: Call) -> Event:
    nothing = {"quantity": "0", "averagePrice": None, "totalValue": "0"}
    return {**call.answer, **nothing, "status": "FAILED", "reason": "NOT_FILLED", "errorMessage": "planted: not filled"}


def _slow(call: Call) -> Event:
    time.sleep(float(call.factor("5")))
    return call.answer


def _trade_dropped(call: Call) -> Event:
    """Leave the trade out of its phase, counts and all."""
    answer = dict(call.answer)
    for trades, count in (("sellTrades", "sellCount"), ("buyTrades", "buyCount")):
        kept = [trade for trade in _list(answer, trades) if trade.get("symbol") != call.fault.get("symbol")]
        answer[trades], answer[count] = kept, len(kept)
    answer["totalTrades"] = len(_list(answer, "sellTrades")) + len(_list(answer, "buyTrades"))
    return answer


def _guard_blocks(call: Call) -> Event:
    return {**call.answer, "buyPhaseAllowed": False, "reason": "planted: blocked"}


def _guard_passes(call: Call) -> Event:
    return {**call.answer, "buyPhaseAllowed": True, "reason": None}


def _guard_sums_executed(call: Call) -> Event:
    return {**call.answer, "buyPhaseAllowed": True, "sellFailedAmount": "0", "reason": None}


def _equity_overcounted(call: Call) -> Event:
    """Reserve a thousand times the planned amount, which the sound breaker refuses."""
    return call.through({**call.event, "tradeAmount": format(_planned(call) * call.factor("1000"), "f")})


def _equity_ignored(call: Call) -> Event:
    return {**call.answer, "allowed": True, "reason": None}


def _miscounted(call: Call) -> Event:
    answer = call.answer
    return {**answer, "succeededTrades": int(str(answer["succeededTrades"])) + 1}


def _not_notified(call: Call) -> Event:
    del call
    return {"status": "SKIPPED", "messageId": None}


FAULTS: dict[str, tuple[str, Callable[[Call], Event]]] = {
    "sized_by_target": (EXECUTE, _sized_by_target),
    "wrong_size": (EXECUTE, _wrong_size),
    "planned_amount_off": (EXECUTE, _planned_amount_off),
    "trade_fails": (EXECUTE, _trade_fails),
    "filled_reported_failed": (EXECUTE, _filled_reported_failed),
    "fill_lost": (EXECUTE, _fill_lost),
    "slow": (EXECUTE, _slow),
    "trade_dropped": (PREPARE, _trade_dropped),
    "guard_blocks": (GUARD, _guard_blocks),
    "guard_passes": (GUARD, _guard_passes),
    "guard_sums_executed": (GUARD, _guard_sums_executed),
    "equity_overcounted": (EQUITY, _equity_overcounted),
    "equity_ignored": (EQUITY, _equity_ignored),
    "miscounted": (AGGREGATE, _miscounted),
    "not_notified": (NOTIFY, _not_notified),
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
    named = [_mapping(event.get(part)) for part in ("trade", "state")]
    plan_ids = {str(each["planId"]) for each in (event, *named) if "planId" in each}
    symbols = {str(each["symbol"]) for each in (event, *named[:1]) if "symbol" in each}
    return [
        fault
        for fault in json.loads(faults_file.read_text(encoding="utf-8"))
        if FAULTS[str(fault["fault"])][0] == function
        and fault.get("plan_id") in (None, *plan_ids)
        and (not symbols or fault.get("symbol") in (None, *symbols))
    ]


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _list(answer: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    value = answer.get(name)
    return [_mapping(each) for each in value] if isinstance(value, list) else []
