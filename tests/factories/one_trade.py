"""One trade of one or both lanes, each field of it as a test wants it: what a single check of the comparison is asked about."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

from shadow.compare.case import Finding, LaneTrade, Planned, TradePair
from shadow.compare.policy import default_policy
from shadow.contracts.outcome import Effect, Intent, OrderRecord, RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import EffectKind, Lane, Reason, Role, RunStatus, Side, SizingBasis, TradeStatus

POLICY = default_policy()
D = Decimal
AT = datetime(2026, 11, 27, 15, tzinfo=UTC)
CONTROL, CANDIDATE = Role
TEN, PRICE, USD = Decimal(10), Decimal(100), Decimal(1000)
Said = list[tuple[str, str | None]]


def planned(**changes: Any) -> Planned:
    """A BUY of 1,000 USD of AAPL; 4,000 USD are held and 5,000 wanted."""
    asked: dict[str, Any] = {"trade_id": "t", "symbol": "AAPL", "side": Side.BUY, "amount": USD}
    return Planned(**(asked | {"target_value": 5 * USD, "current_value": 4 * USD, "is_full_exit": False} | changes))


def closing(**changes: Any) -> Planned:
    """A SELL of all that is held, 1,000 USD of it."""
    return planned(
        **({"side": Side.SELL, "amount": -USD, "target_value": Decimal(0), "current_value": USD, "is_full_exit": True} | changes)
    )


def sent(**changes: Any) -> OrderRecord:
    """The trade's one order, filled."""
    order: dict[str, Any] = {"client_order_id": "t", "order_id": "o", "order_type": "limit", "quantity": TEN, "status": "filled"}
    return OrderRecord.model_validate(order | {"filled_quantity": TEN, "average_price": PRICE, "accepted": True} | changes)


def decided(**changes: Any) -> Intent:
    """What was decided: ten shares at the middle of 99.9 and 100.1 USD."""
    quote = {"bid": Decimal("99.9"), "ask": Decimal("100.1"), "decision_price": PRICE}
    return Intent(**({"sizing_basis": SizingBasis.TRADE_AMOUNT, "quantity": TEN, "order_type": "limit"} | quote | changes))


def lane(role: Role = CANDIDATE, run: dict[str, Any] | None = None, effects: Iterable[Effect] = (), **trade: Any) -> LaneTrade:
    """One lane's record of the trade, executed as it was planned."""
    own: dict[str, Any] = {
        "trade_id": "t",
        "symbol": "AAPL",
        "action": Side.BUY,
        "status": TradeStatus.COMPLETED,
        "planned_amount": USD,
        "is_complete_exit": False,
        "intent": decided(),
        "filled_quantity": TEN,
        "average_price": PRICE,
        "value": USD,
        "order_id": "o",
        "orders": (sent(),),
        "attempts": 1,
        "started_at": AT,
        "completed_at": AT + timedelta(seconds=3),
    }
    one = TradeOutcome(**(own | trade))
    ran: dict[str, Any] = {
        "role": role,
        "lane": Lane.WORKFLOW if role is CANDIDATE else Lane.LEGACY,
        "run_id": "r",
        "plan_id": "p",
        "status": RunStatus.COMPLETED,
        "trades": (one,),
        "effects": tuple(effects),
        "started_at": AT,
        "completed_at": AT + timedelta(minutes=1),
    }
    return LaneTrade(role, RunOutcome(**(ran | (run or {}))), one, tuple(effects))


def effect(kind: EffectKind = EffectKind.LEDGER_ENTRY, **changes: Any) -> Effect:
    """An effect about the trade, as it should be."""
    about: dict[str, Any] = {
        "kind": kind,
        "emitted": True,
        "trade_id": "t",
        "symbol": "AAPL",
        "action": Side.BUY,
        "order_id": "o",
    }
    return Effect(**(about | {"success": True, "quantity": TEN, "price": PRICE, "amount": USD} | changes))


def alone(side: LaneTrade, plan: Planned | None = None) -> TradePair:
    """A trade that one lane has."""
    return pair(side if side.role is CONTROL else None, side if side.role is CANDIDATE else None, plan)


def pair(control: LaneTrade | None, candidate: LaneTrade | None, plan: Planned | None = None) -> TradePair:
    """A trade of both lanes, planned as `planned()` unless otherwise given."""
    return TradePair(plan or planned(), control, candidate)


def duties(*blocks: Role, ran: Iterable[Role] = tuple(Role), breaker: Iterable[Role] = ()) -> Any:
    """What the rules demanded of the lanes: `blocks` had to block their BUYs, and `breaker` decided wrongly by its limit."""
    must = {role: role in blocks for role in Role}
    return SimpleNamespace(ran=frozenset(ran), must_block=must, policy=POLICY, breaker_departs=lambda _: frozenset(breaker))


def said(findings: Iterable[Finding]) -> Said:
    """The kinds that were found, each with the lane that departs, in the order they were found."""
    return [(finding.kind, finding.role and finding.role.value) for finding in findings]


def of(*kinds: str) -> Said:
    return [(kind, "candidate") for kind in kinds]


def seconds(count: float) -> timedelta:
    return timedelta(seconds=count)


TRUTH = {"broker_truth": True}
FAILED: dict[str, Any] = {"status": TradeStatus.FAILED, "reason": Reason.NOT_FILLED}
NONE: dict[str, Any] = {"filled_quantity": None, "average_price": None, "value": None}
ZERO_FILL: dict[str, Any] = {"filled_quantity": D(0), "average_price": None, "value": D(0)}
EMPTY = sent(status="canceled", filled_quantity=D(0), average_price=None)
PART = sent(status="canceled", filled_quantity=D(4))
BLOCKED: dict[str, Any] = {"status": TradeStatus.BLOCKED, **NONE, "orders": (), "intent": None}
GUARDED = BLOCKED | {"reason": Reason.SELL_GUARD}
LIMITED = BLOCKED | {"reason": Reason.EQUITY_LIMIT}
CLOSED = BLOCKED | {"status": TradeStatus.SKIPPED, "reason": Reason.MARKET_CLOSED}
UNSENT = BLOCKED | {"status": TradeStatus.NOT_SENT}
UNKNOWN = BLOCKED | {"status": TradeStatus.UNKNOWN}
BOTH = {CONTROL, CANDIDATE}
EXECUTED = EffectKind.TRADE_EXECUTED
ENTRY = effect()
