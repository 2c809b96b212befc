"""Business Unit: local cloud | Status: current.

What a faulty candidate does wrong: each defect is an act around a function's own, sound handler. It changes what goes in, what
comes out, or what the function records. `variants` ships this file in the function's zip, so it may import the standard library
and, where a defect needs it, the layer's boto3.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Decimal
from typing import TYPE_CHECKING, Any, TypeAlias
from uuid import uuid4

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

Event: TypeAlias = dict[str, object]
Item: TypeAlias = dict[str, Any]
Handler: TypeAlias = Callable[[Event, object], Event]

PREPARE, GUARD, EQUITY = "prepare_trades", "evaluate_sell_guard", "check_equity_limit"
_TABLE = "CANDIDATE_STATE_TABLE_NAME"
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


Act: TypeAlias = Callable[[Call], Event]


def _resized(call: Call, amount: Decimal) -> Event:
    """Execute the trade at another amount, and answer as if it were the planned one."""
    if "tradeAmount" not in call.event:
        return call.answer
    answer = call.through({**call.event, "tradeAmount": format(amount, "f")})
    return {**answer, "plannedAmount": call.event["tradeAmount"]}


def _planned(call: Call) -> Decimal:
    return Decimal(str(call.event.get("tradeAmount", "0")))


def sized_by_target(call: Call) -> Event:
    """Size by the target value instead of the trade amount."""
    target = Decimal(str(call.event.get("targetValue", "0")))
    return _resized(call, -target if _planned(call) < 0 else target)


def wrong_size(call: Call) -> Event:
    """Order a factor of the amount, and report the planned one."""
    return _resized(call, _planned(call) * call.factor("1.1"))


def planned_amount_off(call: Call) -> Event:
    """Work on a factor of the amount, and report that."""
    return call.through({**call.event, "tradeAmount": format(_planned(call) * call.factor("1.1"), "f")})


def resold(call: Call) -> Event:
    """Sell more of a full exit than is held."""
    known = {name: call.event[name] for name in ("currentValue", "currentPosition") if call.event.get(name)}
    more = {name: format(Decimal(str(held)) * call.factor("1.1"), "f") for name, held in known.items()}
    return call.through({**call.event, **more})


def trade_fails(call: Call) -> Event:
    """Fail before the order; reconciling works."""
    if "trade" in call.event:
        return call.answer
    raise PlantedFailure(str(call.event.get("symbol")))


def always_fails(call: Call) -> Event:
    """Fail, whatever is asked."""
    raise PlantedFailure(str(call.event.get("symbol")))


def slow(call: Call) -> Event:
    """Wait first."""
    time.sleep(float(call.factor("5")))
    return call.answer


def half_filled(item: Item) -> Item:
    """Make a partial fill of it."""
    half = (Decimal(item["quantity"]["N"]) / 2).quantize(Decimal("0.000001"))
    return writing(status="canceled", filled_quantity=half)(item)


def answering(**fields: object) -> Act:
    """Give the sound answer with these fields changed."""
    return lambda call: {**call.answer, **fields}


def asking(**fields: object) -> Act:
    """Give the sound answer to another question."""
    return lambda call: call.through({**call.event, **fields})


def recording(change: Callable[[Item], Item], **answer: object) -> Act:
    """Write each order intent of the trade otherwise than it was, and answer with these fields changed.

    A trade that ends otherwise has no entry in the ledger either.
    """

    def act(call: Call) -> Event:
        answered = call.answer
        for item in intents_of(call.event):
            keep_intent(change(item))
        if "status" in answer:
            forget_ledger_entries(call.event)
        return {**answered, **answer}

    return act


def writing(**fields: str | Decimal | None) -> Callable[[Item], Item]:
    """Set attributes of an intent; None takes one away."""

    def change(item: Item) -> Item:
        kept = {name: value for name, value in item.items() if name not in fields}
        return kept | {name: _attribute(value) for name, value in fields.items() if value is not None}

    return change


def _attribute(value: str | Decimal) -> dict[str, str]:
    return {"S": value} if isinstance(value, str) else {"N": format(value, "f")}


def doubled(item: Item) -> Item:
    """Make a second order of it, one step on."""
    lead, _, step = item["SK"]["S"].rpartition("#")
    named = {"SK": f"{lead}#{int(step) + 1:04d}", "client_order_id": f"{item['client_order_id']['S']}-step-{int(step) + 1}"}
    return writing(**named, order_id=str(uuid4()))(item)


def named_at_random(item: Item) -> Item:
    """Give an order intent a client id of its own."""
    return writing(client_order_id=str(uuid4()))(item)


def turned(item: Item) -> Item:
    """Send an order intent the other way."""
    return writing(side={"BUY": "SELL", "SELL": "BUY"}[item["side"]["S"]])(item)


def intents_of(event: Event) -> list[Item]:
    """Read what the function has recorded of the trade's orders."""
    return _recorded(event, f"INTENT#{event['tradeId']}")


def keep_intent(item: Item) -> None:
    """Write an order intent over."""
    _dynamodb().put_item(TableName=os.environ[_TABLE], Item=item)


def forget_ledger_entries(event: Event) -> None:
    """Take back what the function meant to write into the trade ledger for the trade."""
    for item in _recorded(event, f"EFFECT#LedgerEntry#{event['tradeId']}"):
        _dynamodb().delete_item(TableName=os.environ[_TABLE], Key={name: item[name] for name in ("PK", "SK")})


def _recorded(event: Event, key: str) -> list[Item]:
    keys = {":run": {"S": f"RUN#{event['runId']}"}, ":of": {"S": key}}
    condition = "PK = :run AND begins_with(SK, :of)"
    found = _dynamodb().query(TableName=os.environ[_TABLE], KeyConditionExpression=condition, ExpressionAttributeValues=keys)
    return list(found["Items"])


def _dynamodb() -> DynamoDBClient:
    import boto3  # noqa: PLC0415 - the layer has it; where this file is tested there may be none

    return boto3.client("dynamodb")


def rounded_down(call: Call) -> Event:
    """Ask for whole shares only, where the asset trades in fractions."""
    answer = call.answer
    whole = Decimal(str(answer["askedQuantity"])).to_integral_value(ROUND_DOWN)
    value = format(whole * Decimal(str(answer["averagePrice"])), "f")
    for item in intents_of(call.event):
        keep_intent(writing(quantity=whole, asked_quantity=whole, filled_quantity=whole)(item))
    return {**answer, "askedQuantity": str(whole), "quantity": str(whole), "totalValue": value}


def equity_limit_off(call: Call) -> Event:
    """Open the run on a factor of the portfolio value."""
    plan = mapping(call.event.get("rebalancePlan"))
    total = Decimal(str(plan["totalPortfolioValue"])) * call.factor("1.5")
    return call.through({**call.event, "rebalancePlan": {**plan, "totalPortfolioValue": format(total, "f")}})


def _prepared(call: Call, change: Callable[[str, Mapping[str, object]], list[tuple[str, Event]]]) -> Event:
    """Put each trade of the symbol where `change` says, as what it says; counts follow."""
    answer = dict(call.answer)
    phases: dict[str, list[Event]] = {"sellTrades": [], "buyTrades": []}
    for phase in tuple(phases):
        for trade in _list(answer, phase):
            chosen = call.fault.get("symbol") in (None, trade.get("symbol"))
            for place, made in change(phase, trade) if chosen else [(phase, dict(trade))]:
                phases[place].append(made)
    counts = {"sellCount": len(phases["sellTrades"]), "buyCount": len(phases["buyTrades"])}
    return {**answer, **phases, **counts, "totalTrades": sum(counts.values())}


def trade_dropped(call: Call) -> Event:
    """Leave the trade out of its phase, counts and all."""
    return _prepared(call, lambda phase, trade: [])  # noqa: ARG005 - no trade is left, wherever it was


def trade_doubled(call: Call) -> Event:
    """Have the trade twice in its phase."""
    return _prepared(call, lambda phase, trade: [(phase, dict(trade))] * 2)


def trade_renamed(call: Call) -> Event:
    """Give the trade another id."""
    return _prepared(call, lambda phase, trade: [(phase, {**trade, "tradeId": str(uuid4())})])


def exit_forgotten(call: Call) -> Event:
    """Take a full exit for a partial sell."""
    return _prepared(call, lambda phase, trade: [(phase, {**trade, "isCompleteExit": False})])


def bought_while_selling(call: Call) -> Event:
    """Put a BUY among the SELLs, before them all: so it has begun before the last of them ends, however few run at a time."""
    answer = _prepared(call, lambda phase, trade: [("sellTrades", dict(trade))])  # noqa: ARG005 - a BUY among the SELLs
    return {**answer, "sellTrades": sorted(_list(answer, "sellTrades"), key=lambda trade: str(trade.get("action")))}


def guard_at_threshold(call: Call) -> Event:
    """Block at the threshold, not only above it."""
    answer = call.answer
    reached = Decimal(str(answer["sellFailedAmount"])) >= Decimal(str(answer["failureThresholdUsd"]))
    return {**answer, "buyPhaseAllowed": not reached, "reason": "planted: blocked" if reached else None}


def guard_amounts_off(call: Call) -> Event:
    """Count a factor of what was sold."""
    answer = call.answer
    return {**answer, "sellSucceededAmount": format(Decimal(str(answer["sellSucceededAmount"])) * call.factor("1.1"), "f")}


def equity_not_counted(call: Call) -> Event:
    """Count a cent, whatever the trade is worth."""
    return call.through({**call.event, "tradeAmount": "0.01"})


def equity_overcounted(call: Call) -> Event:
    """Reserve a thousand times the planned amount, which the sound breaker refuses."""
    return call.through({**call.event, "tradeAmount": format(_planned(call) * call.factor("1000"), "f")})


def miscounted(call: Call) -> Event:
    """Count one trade more than succeeded."""
    answer = call.answer
    return {**answer, "succeededTrades": int(str(answer["succeededTrades"])) + 1}


def not_notified(call: Call) -> Event:
    """Tell nobody."""
    del call
    return {"status": "SKIPPED", "messageId": None}


NOT_FILLED = {"status": "FAILED", "reason": "NOT_FILLED", "errorMessage": "planted: not filled"}
UNFILLED = {"filled_quantity": Decimal(0), "average_price": None}
NOTHING = {"quantity": "0", "averagePrice": None, "totalValue": "0"}


def mapping(value: object) -> Mapping[str, object]:
    """Read a mapping; anything else is an empty one."""
    return value if isinstance(value, dict) else {}


def _list(answer: Mapping[str, object], name: str) -> list[Mapping[str, object]]:
    value = answer.get(name)
    return [mapping(each) for each in value] if isinstance(value, list) else []
