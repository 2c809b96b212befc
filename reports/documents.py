"""Business Unit: reports | Status: current.

The part of a stored comparison that reports need, decoded straight from its bytes. Same contract as
`shadow.contracts.comparison.Comparison`, read by typed structures that skip every other field: a year of 5,000-trade
pairs is gigabytes of JSON, and the contract's own models would read it tens of times slower. A test holds the two together.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated

import msgspec

from reports.data.errors import UnreadableDocument
from shadow.contracts.comparison import Attribution, Level, Severity, Verdict
from shadow.contracts.vocabulary import Action, Origin, Reason, RunStatus, Side, TradeStatus

Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class IntentDocument(msgspec.Struct, frozen=True, gc=False):
    """What a lane decided before it asked the broker: its decision quote, USD a share."""

    decision_price: Decimal | None = None


class TradeDocument(msgspec.Struct, frozen=True, gc=False):
    """One trade in one lane. A field that is None is not known."""

    trade_id: str | None = None
    symbol: str | None = None
    action: Side | None = None
    status: TradeStatus | None = None
    reason: Reason | None = None
    planned_amount: Decimal | None = None
    is_complete_exit: bool | None = None
    intent: IntentDocument | None = None
    filled_quantity: Decimal | None = None
    average_price: Decimal | None = None
    value: Decimal | None = None
    started_at: Moment | None = None
    completed_at: Moment | None = None


class RunDocument(msgspec.Struct, frozen=True, gc=False):
    """One lane's run."""

    status: RunStatus
    trades: tuple[TradeDocument, ...]
    started_at: Moment | None = None
    completed_at: Moment | None = None
    state_transitions: int | None = None
    violations: tuple[str, ...] = ()

    @property
    def seconds(self) -> float | None:
        """Wall seconds from start to end; None where either is unknown."""
        if self.started_at is None or self.completed_at is None:
            return None
        return (self.completed_at - self.started_at).total_seconds()


class ImpactDocument(msgspec.Struct, frozen=True, gc=False):
    """Candidate minus control, signed USD."""

    notional: Decimal = Decimal(0)
    cash: Decimal = Decimal(0)


class DifferenceDocument(msgspec.Struct, frozen=True, gc=False):
    """One difference."""

    kind: str
    level: Level
    severity: Severity
    attribution: Attribution
    field: str
    rule: str
    explanation: str
    trade_id: str | None = None
    symbol: str | None = None
    action: Side | None = None
    planned: str | None = None
    control: str | None = None
    candidate: str | None = None
    impact: ImpactDocument = ImpactDocument()
    caused_by: str | None = None
    covered_by: str | None = None
    over_budget: str | None = None

    @property
    def key(self) -> str:
        """Name this difference within its comparison."""
        return f"{self.kind}/{self.field}/{self.trade_id or '-'}"

    @property
    def counts(self) -> bool:
        """Whether it keeps a pair from MATCHED: more than INFO, and not the consequence of another difference."""
        return self.severity is not Severity.INFO and self.caused_by is None

    @property
    def unexplained(self) -> bool:
        """Whether it counts and no known divergence covers it."""
        return self.counts and self.covered_by is None

    @property
    def gross(self) -> Decimal:
        """What it is worth, USD: the larger of absolute notional and absolute cash."""
        return max(abs(self.impact.notional), abs(self.impact.cash))


class ItemDocument(msgspec.Struct, frozen=True, gc=False):
    """One symbol of the plan."""

    symbol: str
    action: Action
    trade_amount: Decimal
    target_weight: Decimal
    current_value: Decimal


class PlanDocument(msgspec.Struct, frozen=True, gc=False):
    """The plan."""

    items: tuple[ItemDocument, ...]
    total_portfolio_value: Decimal
    total_trade_value: Decimal
    timestamp: Moment


class ComparisonDocument(msgspec.Struct, frozen=True, gc=False):
    """One stored pair."""

    plan_id: str
    run_id: str
    trading_day: date
    published_at: Moment
    verdict: Verdict
    differences: tuple[DifferenceDocument, ...]
    plan: PlanDocument
    control: RunDocument | None
    candidate: RunDocument | None
    policy_hash: str
    code_version: str
    origin: Origin = Origin.LIVE
    gaps: tuple[str, ...] = ()
    impact: ImpactDocument = ImpactDocument()
    gross_impact: Decimal = Decimal(0)


_DECODER = msgspec.json.Decoder(ComparisonDocument)
_PATH = re.compile(r" - at `(?P<path>[^`]+)`$")


def decode(name: str, content: bytes) -> ComparisonDocument:
    """Read one stored comparison. Raises `UnreadableDocument` naming the document and the field."""
    try:
        return _DECODER.decode(content)
    except (msgspec.DecodeError, UnicodeDecodeError, ArithmeticError, RecursionError) as error:
        message = str(error)
        found = _PATH.search(message)
        field = found["path"] if found else "$"
        raise UnreadableDocument(name, field, _PATH.sub("", message) or "not JSON") from None
