"""Business Unit: replay | Status: current.

What is kept of one plan's past, as far as a run of another version may ask for it: the plan, what production did, and what the
market and the broker answered. It is read from the pair's stored comparison alone, which holds no secret. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal

from shadow.contracts.comparison import Comparison
from shadow.contracts.outcome import RunOutcome, TradeOutcome
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Origin, Reason, RunStatus, TradeStatus
from shadow.replay.identity import archived_under, is_beside_production, published_plan
from shadow.replay.ports import Archived

_AT_THE_BROKER = frozenset(
    {
        Reason.BROKER_REJECTED,
        Reason.BROKER_UNAVAILABLE,
        Reason.PARTIAL_FILL,
        Reason.NOT_FILLED,
        Reason.TIMED_OUT,
        Reason.RUN_FAILED,
        Reason.OTHER,
    }
)
"""Ends of a trade that came from the broker or from outside: a dry run, which sends no order, cannot come to them."""
_ENDED = frozenset({RunStatus.COMPLETED, RunStatus.BLOCKED_BY_GUARD, RunStatus.BLOCKED_BY_EQUITY_LIMIT})


@dataclass(frozen=True, slots=True)
class RecordedQuote:
    """What the market quoted for one symbol, USD a share. Without a width where only the price of the decision is recorded."""

    bid: Decimal
    ask: Decimal


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Something that a recording does not hold. `symbol` None: it concerns the whole run."""

    symbol: str | None
    what: str

    def __str__(self) -> str:
        """Name the symbol first."""
        return f"{self.symbol}: {self.what}" if self.symbol else self.what


@dataclass(frozen=True, slots=True)
class Recording:
    """One plan of the past. `production` is what the lane in production, the control, did.

    `no_quote` are the symbols for which the market was known to have none. `at` is the market's time when production decided,
    `whole_shares` the symbols that were known not to trade in fractions. `unanswered` is what is known to be missing.
    """

    plan: RebalancePlan
    trading_day: date
    production: RunOutcome
    quotes: Mapping[str, RecordedQuote]
    no_quote: frozenset[str] = frozenset()
    at: datetime | None = None
    is_open: bool = True
    whole_shares: frozenset[str] = frozenset()
    held: Mapping[str, Decimal] = field(default_factory=dict)
    unanswered: tuple[Unanswered, ...] = ()

    def archived(self) -> Archived:
        """Give what the replay compares with."""
        return Archived(self.production, held=self.held)

    def knows(self, symbol: str) -> bool:
        """Whether the market's answer about `symbol` is recorded."""
        return symbol in self.quotes or symbol in self.no_quote


def recording_of(comparison: Comparison, held: Mapping[str, Decimal] | None = None) -> Recording | None:
    """Read the recording of a pair; None for a drill, and for a plan without a trade or without production's outcome.

    What a published version was held against is production's own run: with nothing else beside production it is the recording.
    Any other replay is none. `held` is what production's account held at publication, in shares, where it is known.
    """
    production, shadow = comparison.control, comparison.candidate
    is_live = comparison.origin == Origin.LIVE.value
    if production is None or not (is_live or is_beside_production(comparison.plan_id)) or not comparison.plan.tradable_items:
        return None
    plan = published_plan(comparison.plan)
    production = archived_under(production, plan)
    trades = [*production.trades, *(shadow.trades if shadow is not None else ())]
    reasons = {trade.symbol: trade.reason for trade in production.trades}
    return Recording(
        plan=plan,
        trading_day=comparison.trading_day,
        production=production,
        quotes=_quotes(production.trades, trades),
        no_quote=frozenset(symbol for symbol, reason in reasons.items() if reason is Reason.NO_QUOTE),
        at=_market_time(trades),
        is_open=Reason.MARKET_CLOSED not in reasons.values(),
        whole_shares=frozenset(t.symbol for t in trades if t.intent is not None and t.intent.fractionable is False),
        held=held or {},
        unanswered=tuple(_unanswered(production)),
    )


def _quotes(own: Iterable[TradeOutcome], both: Iterable[TradeOutcome]) -> dict[str, RecordedQuote]:
    """Give each symbol's quote: production's own, else the shadow's of the same minute, else a bare price."""
    found: dict[str, RecordedQuote] = {}
    for trade in both:
        intent = trade.intent
        if intent is not None and intent.bid is not None and intent.ask is not None:
            found.setdefault(trade.symbol, RecordedQuote(bid=intent.bid, ask=intent.ask))
    for trade in own:
        price = trade.intent.decision_price if trade.intent is not None else None
        if price is not None and trade.reason is not Reason.NO_QUOTE:
            found.setdefault(trade.symbol, RecordedQuote(bid=price, ask=price))
    return {symbol: quote for symbol, quote in found.items() if Decimal(0) < quote.bid <= quote.ask}


def _market_time(trades: Iterable[TradeOutcome]) -> datetime | None:
    times = (trade.intent.market_at for trade in trades if trade.intent is not None and trade.intent.market_at is not None)
    return min(times, default=None)


def _unanswered(production: RunOutcome) -> Iterator[Unanswered]:
    """Say what production met that no dry run can meet again."""
    if production.status not in _ENDED:
        yield Unanswered(None, f"production's run ended as {production.status.value}, from outside of its decisions")
    closed = {trade.reason is Reason.MARKET_CLOSED for trade in production.trades if trade.status is not TradeStatus.NOT_SENT}
    if len(closed) > 1:
        yield Unanswered(None, "the market closed while production's run was going on; which trades were before is not repeated")
    for gap in production.gaps:
        yield Unanswered(None, f"production's record has a gap: {gap.what}: {gap.reason}")
    for trade in production.trades:
        if trade.reason in _AT_THE_BROKER:
            yield Unanswered(trade.symbol, f"production's order ended as {trade.reason.value}, which a dry run cannot repeat")
        elif trade.status in (TradeStatus.UNKNOWN, TradeStatus.UNFINISHED):
            yield Unanswered(trade.symbol, f"production's trade is {trade.status.value}: what became of it is not recorded")
