"""Business Unit: execution | Status: current.

One trade, from the workflow's item to its result: is the market open, is there equity reserved, how many shares, place, and tell.
The same item executed again, after a crash or a timeout at any point, resumes and answers the same.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from shadow.broker.errors import AssetUnknown, BrokerProtocolError, QuoteUnavailable
from shadow.broker.port import Broker, MarketClock, Quote
from shadow.contracts.candidate_state import IntentRecord
from shadow.contracts.vocabulary import ExecutionMode, Reason, Side, TradeStatus
from shadow.contracts.workflow import EquityCheck, TradeResult, WorkflowTrade
from shadow.execution.errors import InterlockViolation, TradeTakenOver
from shadow.execution.placement import Placement, SizedTrade
from shadow.execution.ports import Clock, EquityLedger, IntentLog
from shadow.execution.sizing import Unsizable, size
from shadow.execution.trade_result import Ending, result_of_orders, result_without_orders
from shadow.execution.walk import WalkPolicy

Holding = Callable[[WorkflowTrade], Decimal | None]


@dataclass(frozen=True, slots=True)
class TradeSettings:
    """How trades are executed. `holding` tells the shares held of a trade's symbol, None where it is not known."""

    mode: ExecutionMode
    policy: WalkPolicy
    holding: Holding


class TradeExecutor:
    """Executes single trades."""

    def __init__(self, *, broker: Broker, log: IntentLog, ledger: EquityLedger, clock: Clock, settings: TradeSettings) -> None:
        """Trade through `broker`; what is decided and reserved is in `log` and `ledger`."""
        self._broker = broker
        self._log = log
        self._ledger = ledger
        self._clock = clock
        self._settings = settings
        self._placement = Placement(broker, log, clock, settings.policy)

    def execute(self, trade: WorkflowTrade) -> TradeResult:
        """Execute `trade`, or resume it, and release what it did not spend.

        Raises what is worth another try: BrokerTransientError and ExecutionTransientError; and OrderMismatch,
        QuoteContradicted, BrokerProtocolError, RunNotPrepared and InterlockViolation, which are not.
        """
        started = self._clock.now()
        turn = self._log.take(trade.run_id, trade.trade_id)
        intents = self._log.of_trade(trade.run_id, trade.trade_id)
        if intents:
            self._refuse_other_mode(intents[0])
            return self._resumed(trade, intents[0], turn, started)
        check = self._reserve(trade, turn)
        market = self._broker.clock()
        decided = self._obstacle(check, market) or self._decide(trade, market)
        if isinstance(decided, SizedTrade):
            return self._placed(trade, decided, turn, started)
        ending = decided
        result = result_without_orders(trade, ending, started, self._clock.now(), check)
        if self._log.of_trade(trade.run_id, trade.trade_id):
            raise TradeTakenOver(f"trade {trade.trade_id}: expected no orders, was another process's")
        self._release(result, turn)
        return result

    def reconcile(self, trade: WorkflowTrade, error: str) -> TradeResult:
        """Tell the truth about a trade whose execution failed with `error`: look its orders up, cancel what is open.

        Sends nothing. UNKNOWN when an order may exist that the broker does not show. Raises as `execute` does.
        """
        started = self._clock.now()
        turn = self._log.take(trade.run_id, trade.trade_id)
        intents = self._placement.look(trade.run_id, trade.trade_id, turn)
        if not intents:
            result = result_without_orders(trade, Ending.of_error(error), started, self._clock.now())
        else:
            result = result_of_orders(trade, intents, intents[0].intended_at, self._clock.now(), error=error)
        self._release(result, turn)
        return result

    def _resumed(self, trade: WorkflowTrade, first: IntentRecord, turn: int, started: datetime) -> TradeResult:
        """Go on where an earlier process stopped; a BUY that gave its reservation back and gets none again orders no more."""
        check = self._reserve(trade, turn)
        if check is not None and not check.allowed:
            return self.reconcile(trade, Reason.EQUITY_LIMIT.value)
        return self._placed(trade, SizedTrade.resumed(first), turn, started)

    def _placed(self, trade: WorkflowTrade, sized: SizedTrade, turn: int, started: datetime) -> TradeResult:
        intents = self._placement.place(sized, turn)
        result = result_of_orders(trade, intents, min(started, intents[0].intended_at), self._clock.now())
        self._release(result, turn)
        return result

    def _reserve(self, trade: WorkflowTrade, turn: int) -> EquityCheck | None:
        """Hold the reservation that the breaker made, or make it: no BUY is placed without one. None for a SELL."""
        if trade.action is Side.SELL:
            return None
        return self._ledger.reserve(trade.run_id, trade.trade_id, abs(trade.trade_amount), turn)

    def _obstacle(self, check: EquityCheck | None, market: MarketClock) -> Ending | None:
        if check is not None and not check.allowed:
            return Ending.equity_limit()
        return None if market.is_open else Ending(TradeStatus.SKIPPED, Reason.MARKET_CLOSED, "the market is closed")

    def _decide(self, trade: WorkflowTrade, market: MarketClock) -> SizedTrade | Ending:
        """Size the trade on a quote; or say why there is nothing to place. A symbol that nobody knows has no quote."""
        try:
            quote = self._quote(trade, market)
            if isinstance(quote, Ending):
                return quote
            asset = self._broker.asset(trade.symbol)
        except AssetUnknown as error:
            return Ending(TradeStatus.FAILED, Reason.BROKER_REJECTED, str(error))
        if not asset.tradable:
            return Ending(TradeStatus.FAILED, Reason.BROKER_REJECTED, f"{trade.symbol}: not tradable")
        sized = size(trade, mid=quote.mid, fractionable=asset.fractionable, held=self._held(trade))
        if isinstance(sized, Unsizable):
            return Ending(TradeStatus.FAILED, sized.reason, sized.message, quote=quote, basis=sized.basis, market_at=market.at)
        placed = SizedTrade.of(trade, sized.quantity, sized.basis, quote, self._settings.mode)
        return replace(placed, fractionable=asset.fractionable, market_at=market.at)

    def _quote(self, trade: WorkflowTrade, market: MarketClock) -> Quote | Ending:
        """Read the decision quote, as often as the trade's side has attempts: one that is neither old nor absurdly wide."""
        began = self._clock.now()
        reason = Reason.NO_QUOTE
        attempts = self._settings.policy.attempts(trade.action)
        problem = ""
        for attempt in range(attempts):
            if attempt:
                self._clock.sleep(self._settings.policy.pause_seconds)
            try:
                quote = self._broker.quote(trade.symbol)
            except (QuoteUnavailable, BrokerProtocolError) as error:
                problem, reason = str(error), Reason.NO_QUOTE
                continue
            now = self._clock.now()
            problem = self._settings.policy.fault_in(quote, market.at + (now - began), now)
            if not problem:
                return quote
            reason = Reason.IMPLAUSIBLE_QUOTE
        return Ending(TradeStatus.FAILED, reason, problem, attempts=attempts)

    def _held(self, trade: WorkflowTrade) -> Decimal | None:
        return self._settings.holding(trade) if trade.action is Side.SELL else None

    def _release(self, result: TradeResult, turn: int) -> None:
        """Give back what the trade reserved and certainly did not spend (USD); a trade of unknown fate keeps all of it."""
        kept = result.status in (TradeStatus.COMPLETED, TradeStatus.UNKNOWN, TradeStatus.BLOCKED)
        if result.action is Side.SELL or kept:
            return
        unpriced = bool(result.quantity) and result.total_value is None
        if not unpriced:
            self._ledger.release(result.run_id, result.trade_id, result.total_value or Decimal(0), turn)

    def _refuse_other_mode(self, first: IntentRecord) -> None:
        if first.execution_mode is not self._settings.mode:
            raise InterlockViolation(
                f"trade {first.trade_id}: expected mode {first.execution_mode}, in which it was begun, was {self._settings.mode}"
            )
