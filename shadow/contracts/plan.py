"""Business Unit: shared contracts | Status: current.

The RebalancePlan as the portfolio side emits it (schema 1.0.0). A plan that does not keep this contract is refused
whole, with every faulty field named, before anything is published.

The TradeMessage: the body of one message on the control's queue, and the form in which a plan is split into trades for
both lanes. Splitting lives here, once, so that the lanes and the comparison cannot disagree about what was planned.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from enum import StrEnum
from math import inf, isfinite
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from shadow.contracts.errors import FieldFault, InvalidPlan, faults_of
from shadow.contracts.identity import run_id_of, trade_id_of
from shadow.contracts.model import Exact, Fraction, Frozen, Identifier, JsonObject, Moment, NonNegative, Symbol, load_json
from shadow.contracts.vocabulary import Action, Side

SCHEMA_VERSION: Literal["1.0.0"] = "1.0.0"
CENT = Decimal("0.01")
_LONGEST = 50


def _json_numbers(value: object) -> object:
    """Give metadata its numbers as JSON's writers have them: an exact number that a reader made becomes the nearest float again.

    Whoever wrote it wrote a float, and the shortest text of a float reads back as the same float. Raises ValueError for numbers
    that no float can be near to.
    """
    if isinstance(value, Decimal):
        number = float(value) if value.is_finite() else inf
        if not isfinite(number):
            raise ValueError(f"expected a number that JSON's readers can hold, was {value!s:.40}")
        return number
    if isinstance(value, dict):
        return {key: _json_numbers(inner) for key, inner in value.items()}
    return [_json_numbers(inner) for inner in value] if isinstance(value, list | tuple) else value


Metadata = Annotated[JsonObject, BeforeValidator(_json_numbers)]


class Urgency(StrEnum):
    """How hurried the plan is."""

    LOW = "LOW"
    NORMAL = "NORMAL"
    HIGH = "HIGH"
    URGENT = "URGENT"


class PlanItem(Frozen):
    """One symbol of a plan. `trade_amount` is signed USD: a buy positive, a sell negative, a hold zero."""

    symbol: Symbol
    current_weight: Fraction
    target_weight: Fraction
    weight_diff: Exact
    target_value: NonNegative
    current_value: NonNegative
    trade_amount: Exact
    action: Action
    priority: Annotated[int, Field(ge=1, le=5)]
    strategy_id: str | None = None

    @model_validator(mode="after")
    def _sign_agrees_with_action(self) -> Self:
        expected = {Action.BUY: "more than 0", Action.SELL: "less than 0", Action.HOLD: "0"}[self.action]
        agrees = {
            Action.BUY: self.trade_amount > 0,
            Action.SELL: self.trade_amount < 0,
            Action.HOLD: self.trade_amount == 0,
        }[self.action]
        if not agrees:
            raise ValueError(f"expected trade_amount {expected} for {self.action}, was {self.trade_amount}")
        return self

    @property
    def side(self) -> Side | None:
        """The side of the trade this item makes; None for a HOLD."""
        return None if self.action is Action.HOLD else Side(self.action.value)

    @property
    def is_full_exit(self) -> bool:
        """Whether everything held of the symbol is to be sold."""
        return self.action is Action.SELL and self.target_weight == 0 and self.current_value > 0


class RebalancePlan(Frozen):
    """What should be traded. Amounts are USD; `total_trade_value` is the sum of absolute trade amounts."""

    schema_version: Literal["1.0.0"] = SCHEMA_VERSION
    correlation_id: Identifier
    causation_id: Identifier
    plan_id: Identifier
    timestamp: Moment
    strategy_id: str | None = None
    items: Annotated[tuple[PlanItem, ...], Field(min_length=1)]
    total_portfolio_value: NonNegative
    total_trade_value: NonNegative
    max_drift_tolerance: Fraction = Decimal("0.05")
    execution_urgency: Urgency = Urgency.NORMAL
    estimated_duration_minutes: Annotated[int, Field(ge=1)] | None = None
    metadata: Metadata | None = None

    @model_validator(mode="after")
    def _one_item_a_symbol(self) -> Self:
        counts = Counter(item.symbol for item in self.items)
        repeated = sorted(symbol for symbol, count in counts.items() if count > 1)
        if repeated:
            raise ValueError(f"expected one item a symbol, was more than one for {', '.join(repeated)}")
        return self

    @model_validator(mode="after")
    def _total_is_the_sum(self) -> Self:
        total = sum((abs(item.trade_amount) for item in self.items), Decimal(0))
        if abs(total - self.total_trade_value) > CENT * len(self.items):
            raise ValueError(
                f"expected total_trade_value to be the sum of absolute trade amounts, {total}, was {self.total_trade_value}"
            )
        return self

    @property
    def tradable_items(self) -> tuple[PlanItem, ...]:
        """The items that make a trade: everything but HOLDs, in the plan's order."""
        return tuple(item for item in self.items if item.action is not Action.HOLD)

    @classmethod
    def read(cls, value: object) -> Self:
        """Validate a plan given as a mapping, raising `InvalidPlan` that names every faulty field."""
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            raise InvalidPlan("plan", _named(faults_of(error), value)) from None

    @classmethod
    def read_json(cls, text: str | bytes) -> Self:
        """Validate a plan given as JSON; numbers in it are read exactly. Raises `InvalidPlan`."""
        try:
            value = load_json(text, parse_float=Decimal)
        except (ValueError, RecursionError, UnicodeDecodeError) as error:
            found = "an empty text" if not text.strip() else f"no JSON ({error})"
            raise InvalidPlan("plan", [FieldFault("(whole)", "a JSON object", found)]) from None
        return cls.read(value)


def _named(faults: tuple[FieldFault, ...], value: object) -> list[FieldFault]:
    """Add the symbol to the path of a faulty item, so that a person finds it."""
    items = value.get("items") if isinstance(value, dict) else None
    named = []
    for fault in faults:
        lead, _, rest = fault.field.partition(".")
        index, _, tail = rest.partition(".")
        item = _item_at(items, index) if lead == "items" else None
        symbol = item.get("symbol") if isinstance(item, dict) else None
        where = (
            f"items.{index} ({symbol}){'.' + tail if tail else ''}"
            if isinstance(symbol, str) and len(symbol) <= _LONGEST
            else fault.field
        )
        named.append(FieldFault(where, fault.expected, fault.found))
    return named


def _item_at(items: object, index: str) -> object:
    """Give the item that a path names; None where the path only looks like an item's, as that of an unknown field `items.7`."""
    places = items if isinstance(items, list) else []
    return next((item for place, item in enumerate(places) if str(place) == index), None)


SEQUENCE_BASE = {Side.SELL: 1000, Side.BUY: 2000}


class TradeMessage(Frozen):
    """One trade of a run. Amounts are USD (`trade_amount` signed), quantities shares.

    `sequence_number` orders the phases and is not unique.
    """

    schema_version: Literal["1.0.0"] = SCHEMA_VERSION
    run_id: Identifier
    trade_id: Identifier
    plan_id: Identifier
    correlation_id: Identifier
    causation_id: Identifier
    strategy_id: str | None = None
    symbol: Symbol
    action: Side
    phase: Side
    trade_amount: Exact
    current_weight: Fraction
    target_weight: Fraction
    target_value: NonNegative
    current_value: NonNegative
    priority: int
    sequence_number: int
    is_complete_exit: bool
    is_full_liquidation: bool
    shares: Exact | None = None
    estimated_price: Exact | None = None
    current_position: Exact | None = None
    target_position: Exact | None = None
    total_portfolio_value: NonNegative
    total_run_trades: int
    run_timestamp: Moment
    metadata: JsonObject | None = None


def trade_messages(plan: RebalancePlan) -> tuple[TradeMessage, ...]:
    """Split `plan` into its trades, SELLs first, in the plan's order within a phase. HOLDs make none."""
    ordered = sorted(plan.tradable_items, key=lambda item: item.side is Side.BUY)
    return tuple(_message(plan, item, len(ordered)) for item in ordered)


def _message(plan: RebalancePlan, item: PlanItem, total: int) -> TradeMessage:
    side = Side(item.action.value)
    run_id = run_id_of(plan.plan_id)
    return TradeMessage(
        run_id=run_id,
        trade_id=trade_id_of(run_id, item.symbol, side),
        plan_id=plan.plan_id,
        correlation_id=plan.correlation_id,
        causation_id=plan.causation_id,
        strategy_id=item.strategy_id or plan.strategy_id,
        symbol=item.symbol,
        action=side,
        phase=side,
        trade_amount=item.trade_amount,
        current_weight=item.current_weight,
        target_weight=item.target_weight,
        target_value=item.target_value,
        current_value=item.current_value,
        priority=item.priority,
        sequence_number=SEQUENCE_BASE[side] + item.priority,
        is_complete_exit=item.is_full_exit,
        is_full_liquidation=item.target_weight == 0,
        total_portfolio_value=plan.total_portfolio_value,
        total_run_trades=total,
        run_timestamp=plan.timestamp,
    )
