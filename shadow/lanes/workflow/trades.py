"""Business Unit: evidence | Status: current.

The candidate's trades: which there were, what the workflow's results say of each, and what its own state table adds. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from shadow.contracts.candidate_state import (
    EFFECT_SK_PREFIX,
    INTENT_SK_PREFIX,
    RESULT_SK_PREFIX,
    EffectRecord,
    IntentRecord,
    IntentStatus,
)
from shadow.contracts.identity import run_id_of, trade_namer
from shadow.contracts.outcome import Effect, EquityDecision, Intent, OrderRecord, TradeOutcome
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import EffectKind, ExecutionMode, Reason, Side, SizingBasis, TradeStatus
from shadow.contracts.workflow import TradeResult
from shadow.lanes.effects import effect_order, order_record, read_effect
from shadow.lanes.records import Fields, own_of, slim

_ACCEPTED = {
    IntentStatus.OPEN: True,
    IntentStatus.FILLED: True,
    IntentStatus.CANCELED: True,
    IntentStatus.EXPIRED: True,
    IntentStatus.REJECTED: False,
    IntentStatus.NOT_ACCEPTED: False,
}


@dataclass(frozen=True, slots=True)
class PlannedTrade:
    """A trade that the workflow set out to do. `planned_amount` is signed USD."""

    trade_id: str
    symbol: str
    side: Side
    planned_amount: Decimal | None
    is_complete_exit: bool | None


@dataclass(frozen=True, slots=True)
class RecordedIntent:
    """One order intent of the state table: the trade's decision, and the order that came of it."""

    decision: Intent
    order: OrderRecord
    intended_at: datetime | None


@dataclass(slots=True)
class StateRecords:
    """What the state table holds of a run: order intents by trade (in step order), results as texts, effects, and faults."""

    intents: dict[str, list[RecordedIntent]] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    effects: list[Effect] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def planned_trades(values: Iterable[object], faults: list[str]) -> dict[str, PlannedTrade]:
    """Read the workflow's own trade payloads, in order, by trade id."""
    trades: dict[str, PlannedTrade] = {}
    for value in values:
        if not isinstance(value, Mapping):
            continue
        fields = Fields("plannedTrade", value, faults)
        trade_id, symbol, side = fields.identifier("tradeId"), fields.symbol("symbol"), fields.choice("action", Side)
        if trade_id is None or symbol is None or side is None:
            fields.require("tradeId", "symbol", "action")
            continue
        amount = fields.number("tradeAmount")
        trades[trade_id] = PlannedTrade(trade_id, symbol, side, amount, fields.flag("isCompleteExit"))
    return trades


def trades_of_plan(plan: RebalancePlan) -> dict[str, PlannedTrade]:
    """Tell which trades a plan makes, by trade id."""
    run_id = run_id_of(plan.plan_id)
    name = trade_namer(run_id)
    trades = {}
    for item in plan.tradable_items:
        side = Side(item.action.value)
        trade_id = name(item.symbol, side)
        trades[trade_id] = PlannedTrade(trade_id, item.symbol, side, item.trade_amount, item.is_full_exit)
    return trades


def read_state_items(items: Iterable[Mapping[str, object]]) -> StateRecords:
    """Read the state table's items of one run (plain Python values)."""
    records = StateRecords()
    keyed: list[tuple[str, str, RecordedIntent]] = []
    for item in items:
        key = item.get("SK")
        if not isinstance(key, str):
            Fields("state", item, records.faults).fault("SK", "a text")
        elif key.startswith(INTENT_SK_PREFIX):
            fields = Fields(f"intent[{key.removeprefix(INTENT_SK_PREFIX)}]", item, records.faults, exact_numbers=True)
            keyed.append((fields.identifier("trade_id") or "", key, _recorded_intent(fields)))
            fields.hold_against(IntentRecord)
        elif key.startswith(RESULT_SK_PREFIX):
            text = item.get("result")
            if isinstance(text, str):
                records.results[key.removeprefix(RESULT_SK_PREFIX)] = text
            else:
                Fields(key, item, records.faults).fault("result", "a JSON text")
        elif key.startswith(EFFECT_SK_PREFIX):
            fields = Fields(f"effect[{key.removeprefix(EFFECT_SK_PREFIX)}]", item, records.faults, exact_numbers=True)
            kind, detail, emitted = fields.choice("kind", EffectKind), fields.document("detail"), fields.flag("emitted") or False
            fields.hold_against(EffectRecord)
            if kind is None or detail is None:
                fields.require("kind", "detail")
                continue
            trade_id = fields.identifier("trade_id")
            records.effects.append(read_effect(kind, detail, emitted=emitted, faults=records.faults, trade_id=trade_id))
    for trade_id, _, intent in sorted(keyed, key=lambda entry: entry[:2]):
        records.intents.setdefault(trade_id, []).append(intent)
    records.effects.sort(key=effect_order)
    return records


def trade_of_result(fields: Fields, planned: PlannedTrade | None, intents: Sequence[RecordedIntent]) -> TradeOutcome | None:
    """Read one trade's result, with its `intents` beside it; None where it does not say which trade it is of and how it ended."""
    result = fields.values
    trade_id, symbol, side = fields.identifier("tradeId"), fields.symbol("symbol"), fields.choice("action", Side)
    status = fields.choice("status", TradeStatus)
    if trade_id is None or symbol is None or side is None or status is None:
        fields.require("tradeId", "symbol", "action", "status")
        return None
    fields.where = f"tradeResult[{trade_id}]"
    fields.hold_against(TradeResult)
    orders = result.get("orders")
    recorded = tuple(intent.order for intent in intents)
    filled = fields.amount("quantity")
    return slim(
        TradeOutcome(
            trade_id=trade_id,
            symbol=symbol,
            action=side,
            status=status,
            reason=fields.choice("reason", Reason),
            error_message=fields.text("errorMessage"),
            planned_amount=fields.number("plannedAmount"),
            is_complete_exit=planned.is_complete_exit if planned else None,
            intent=_intent(fields, intents) or (intents[0].decision if intents else None),
            equity=_equity(fields),
            filled_quantity=filled,
            average_price=fields.number("averagePrice"),
            value=fields.amount_total("totalValue"),
            order_id=fields.text("orderId"),
            attempts=fields.count("attempts"),
            orders=recorded or tuple(_order(order, fields) for order in orders if isinstance(order, Mapping))
            if isinstance(orders, list)
            else recorded,
            started_at=fields.moment("startedAt"),
            completed_at=fields.moment("completedAt"),
            raw_status=str(result.get("status") or ""),
            own=own_of(fields),
        )
    )


def trade_without_result(
    planned: PlannedTrade, status: TradeStatus, reason: Reason | None, intents: Sequence[RecordedIntent]
) -> TradeOutcome:
    """Describe a trade that the workflow left without a result: what its recorded intents tell, and nothing invented."""
    orders = tuple(intent.order for intent in intents)
    return slim(
        TradeOutcome(
            trade_id=planned.trade_id,
            symbol=planned.symbol,
            action=planned.side,
            status=status,
            reason=reason,
            planned_amount=planned.planned_amount,
            is_complete_exit=planned.is_complete_exit,
            intent=intents[0].decision if intents else None,
            filled_quantity=sum((order.filled_quantity or Decimal(0) for order in orders), Decimal(0)) if orders else None,
            orders=orders,
            started_at=intents[0].intended_at if intents else None,
        )
    )


def _intent(fields: Fields, recorded: Sequence[RecordedIntent]) -> Intent | None:
    """Read the result's decision; whether the asset trades in fractions is only in the recorded intents."""
    if fields.values.get("askedQuantity") is None and fields.values.get("decisionPrice") is None:
        return None
    return slim(
        Intent(
            sizing_basis=fields.choice("sizingBasis", SizingBasis),
            quantity=fields.amount("askedQuantity"),
            order_type=fields.text("orderType"),
            bid=fields.number("bid"),
            ask=fields.number("ask"),
            quote_at=fields.moment("quoteAt"),
            market_at=fields.moment("marketAt"),
            decision_price=fields.number("decisionPrice"),
            fractionable=recorded[0].decision.fractionable if recorded else None,
        )
    )


def _recorded_intent(fields: Fields) -> RecordedIntent:
    decision = slim(
        Intent(
            sizing_basis=fields.choice("sizing_basis", SizingBasis),
            quantity=fields.amount("asked_quantity"),
            order_type=fields.text("order_type"),
            bid=fields.number("bid"),
            ask=fields.number("ask"),
            quote_at=fields.moment("quote_at"),
            market_at=fields.moment("market_at"),
            decision_price=fields.number("decision_price"),
            fractionable=fields.flag("fractionable"),
        )
    )
    return RecordedIntent(decision, _intent_order(fields), fields.moment("intended_at"))


def _equity(fields: Fields) -> EquityDecision | None:
    """Read the breaker's decision; None where it was off (limit 0) or not asked."""
    value = fields.mapping("equityCheck")
    if value is None:
        return None
    check = fields.below("equityCheck", value)
    allowed, limit = check.flag("allowed"), check.total("limit")
    if allowed is None or not limit:
        return None
    return slim(EquityDecision(allowed=allowed, cumulative=check.total("cumulative"), limit=limit))


def _order(order: Mapping[str, object], fields: Fields) -> OrderRecord:
    inner = fields.below("orders", order)
    return slim(
        OrderRecord(
            client_order_id=inner.text("clientOrderId"),
            order_id=inner.text("orderId"),
            order_type=inner.text("orderType"),
            quantity=inner.number("quantity"),
            limit_price=inner.number("limitPrice"),
            status=inner.text("status"),
            filled_quantity=inner.number("filledQuantity"),
            average_price=inner.number("averagePrice"),
        )
    )


def _intent_order(fields: Fields) -> OrderRecord:
    """Read one order from its recorded intent. In dry run no broker was asked, so `accepted` stays unknown."""
    status = fields.choice("status", IntentStatus)
    dry_run = fields.choice("execution_mode", ExecutionMode) is ExecutionMode.DRY_RUN
    return order_record(
        fields,
        fields.symbol("symbol"),
        client_order_id=fields.identifier("client_order_id"),
        status=status.value if status else None,
        accepted=None if dry_run or status is None else _ACCEPTED.get(status),
    )
