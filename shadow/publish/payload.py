"""Business Unit: publish | Status: current.

From whatever the portfolio code calls a plan to the documents that the candidate and the ledger get. The candidate's input
is a function of plan and positions alone, to the byte: that makes a second publication the same publication.

The input is written from the plan's items directly. The contract's models say the same at several times the cost; a property
test holds the two together.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from hashlib import sha256

from pydantic import BaseModel

from shadow.contracts.errors import FieldFault, InvalidPayload, InvalidPlan
from shadow.contracts.identity import trade_namer
from shadow.contracts.model import decimal_text, parse_decimal
from shadow.contracts.plan import PlanItem, RebalancePlan
from shadow.contracts.trade_message import SEQUENCE_BASE
from shadow.contracts.vocabulary import Action, Lane, Origin, Side
from shadow.contracts.workflow import MAX_INLINE_BYTES, MAX_INLINE_TRADES
from shadow.publish.ports import PlanStore, StoredObject

MAX_RECORD_BYTES = 200_000

_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode


def snapshot(value: object) -> object:
    """Copy what could still change in a plan; values that cannot are taken as they are."""
    if isinstance(value, RebalancePlan):
        return value if not value.metadata else value.model_copy(update={"metadata": _copied(value.metadata)})
    if isinstance(value, str | bytes):
        return value
    if isinstance(value, BaseModel):
        return value.model_dump()
    return _copied(value)


def read_plan(copy: object) -> RebalancePlan:
    """Validate a snapshot, raising `InvalidPlan` that names every faulty field."""
    if isinstance(copy, RebalancePlan):
        return copy
    if isinstance(copy, str | bytes):
        return RebalancePlan.read_json(copy)
    if isinstance(copy, dict):
        return RebalancePlan.read(copy)
    expected = "a RebalancePlan, a mapping, a pydantic model or JSON text"
    raise InvalidPlan("plan", [FieldFault("(whole)", expected, type(copy).__name__)])


def plan_document(plan: RebalancePlan) -> str:
    """Write the plan as canonical JSON."""
    return _canonical(plan.to_wire())


def held_document(held: Mapping[str, Decimal]) -> str | None:
    """Write positions as canonical JSON; None where none are known."""
    return _canonical({symbol: decimal_text(quantity) for symbol, quantity in held.items()}) if held else None


def read_held(document: str | None) -> dict[str, Decimal]:
    """Read positions back. Raises `InvalidPayload` for a text that is none."""
    if document is None:
        return {}
    try:
        return {symbol: parse_decimal(text) for symbol, text in json.loads(document).items()}
    except (ValueError, RecursionError, AttributeError) as error:
        fault = FieldFault("held_json", "shares by symbol, as decimal strings", str(error))
        raise InvalidPayload("held positions", [fault]) from None


def checked_positions(plan: RebalancePlan, answer: object) -> dict[str, Decimal]:
    """Take from `answer` what the plan's full exits need; raises ValueError or TypeError for what is not exact."""
    if not isinstance(answer, Mapping):
        raise TypeError(f"positions: expected a mapping of symbol to shares, was {type(answer).__name__}")
    exits = [item.symbol for item in plan.items if item.is_full_exit]
    return {symbol: parse_decimal(answer[symbol]) for symbol in exits if answer.get(symbol) is not None}


def digest(body: bytes) -> str:
    """Give the SHA-256 of `body`, in hexadecimal."""
    return sha256(body).hexdigest()


@dataclass(frozen=True, slots=True)
class Why:
    """Why a run is started: the pair's `origin`, and which lane is in production."""

    origin: Origin = Origin.LIVE
    production_lane: Lane = Lane.LEGACY


SHADOWING = Why()
IN_PRODUCTION = Why(production_lane=Lane.WORKFLOW)


@dataclass(frozen=True, slots=True)
class CandidateInput:
    """The candidate's input, and the object that has to be stored first where the plan is too large for it."""

    plan: RebalancePlan
    run_id: str
    trade_count: int
    inline: str
    workflow_plan: bytes | None
    why: Why

    @property
    def key(self) -> str:
        """Name the claim check's object. The digest is part of it: what an execution refers to is never overwritten."""
        return stored_key(self.run_id, "trades", self.workflow_plan or b"")

    def sendable(self, store: PlanStore) -> str:
        """Give the input as it is sent, storing first what is too large to be part of it."""
        return self.inline if self.workflow_plan is None else self.by_reference(store.put(self.key, self.workflow_plan))

    def by_reference(self, stored: StoredObject) -> str:
        """Write the small input that refers to the stored plan."""
        claim = {
            "bucket": stored.bucket,
            "key": stored.key,
            "sha256": digest(self.workflow_plan or b""),
            "tradeCount": self.trade_count,
        }
        return _input(self.plan, self.run_id, _workflow_plan(self.plan, []), _canonical(claim), self.why)


def stored_key(run_id: str, what: str, body: bytes) -> str:
    """Name a stored document of a run by its content."""
    return f"plans/{run_id}-{what}-{digest(body)[:16]}.json"


def candidate_input(plan: RebalancePlan, run_id: str, held: Mapping[str, Decimal], why: Why = SHADOWING) -> CandidateInput:
    """Build the candidate's input, SELLs first, in the plan's order within a phase."""
    trades = _trades(plan, run_id, held)
    whole = _workflow_plan(plan, trades)
    inline = _input(plan, run_id, whole, "null", why) if len(trades) <= MAX_INLINE_TRADES else ""
    fits = bool(inline) and len(inline.encode()) <= MAX_INLINE_BYTES
    return CandidateInput(plan, run_id, len(trades), inline, None if fits else whole.encode(), why)


def _workflow_plan(plan: RebalancePlan, trades: list[str]) -> str:
    return f'{{"totalPortfolioValue":"{decimal_text(plan.total_portfolio_value)}","tradeMessages":[{",".join(trades)}]}}'


def _input(plan: RebalancePlan, run_id: str, workflow_plan: str, claim: str, why: Why) -> str:
    return (
        f'{{"claimCheck":{claim},"correlationId":{_canonical(plan.correlation_id)},"failureThresholdUsd":null,'
        f'"origin":"{why.origin.value}","planId":{_canonical(plan.plan_id)},"productionLane":"{why.production_lane.value}",'
        f'"rebalancePlan":{workflow_plan},"runId":"{run_id}"}}'
    )


def _trades(plan: RebalancePlan, run_id: str, held: Mapping[str, Decimal]) -> list[str]:
    """Write the trades. Symbols, numbers and our own ids need no escaping; the portfolio side's ids and names do."""
    name = trade_namer(run_id)
    caused = f'"causationId":{_canonical(plan.causation_id)},"correlationId":{_canonical(plan.correlation_id)}'
    planned = f'"planId":{_canonical(plan.plan_id)}'
    strategies = {item.strategy_id or plan.strategy_id for item in plan.items}
    strategy_text = {strategy: _canonical(strategy) for strategy in strategies}

    def trade(item: PlanItem, side: Side) -> str:
        quantity = held.get(item.symbol) if side is Side.SELL else None
        position = "null" if quantity is None else f'"{decimal_text(quantity)}"'
        return (
            f'{{"action":"{side.value}",{caused},"currentPosition":{position},"currentValue":"{decimal_text(item.current_value)}",'
            f'"isCompleteExit":{"true" if item.is_full_exit else "false"},{planned},"priority":{item.priority},"quantity":null,'
            f'"runId":"{run_id}","sequenceNumber":{SEQUENCE_BASE[side] + item.priority},'
            f'"strategyId":{strategy_text[item.strategy_id or plan.strategy_id]},"symbol":"{item.symbol}",'
            f'"targetValue":"{decimal_text(item.target_value)}","targetWeight":"{decimal_text(item.target_weight)}",'
            f'"tradeAmount":"{decimal_text(item.trade_amount)}","tradeId":"{name(item.symbol, side)}"}}'
        )

    items = plan.items
    sells = [trade(item, Side.SELL) for item in items if item.action is Action.SELL]
    return sells + [trade(item, Side.BUY) for item in items if item.action is Action.BUY]


def _copied(value: object) -> object:
    """Copy containers, down to their leaves; a mapping of any kind becomes a dict, a sequence a list."""
    if isinstance(value, Mapping):
        return {key: _copied(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(inner) for inner in value]
    return bytes(value) if isinstance(value, bytearray) else value
