"""The control's items as a finished run leaves them, in the form DynamoDB gives them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal

from shadow.aws.table import to_item
from shadow.contracts.control_records import (
    MARKET_CLOSED_MESSAGE,
    LegacyPhase,
    LegacyRunStatus,
    LegacyTradeStatus,
    RunItem,
    TradeItem,
)
from shadow.contracts.plan import RebalancePlan, TradeMessage, trade_messages
from shadow.contracts.vocabulary import Side
from shadow.reference.publishing import first_phase, run_item, trade_item
from tests.factories.histories import BEGIN, PRICE
from tests.factories.pairs import minted

EQUITY_MESSAGE = "Equity circuit breaker: 0 deployed + 250 exceeds the limit of 100 USD"
GUARD_MESSAGE = "SELL phase guard: 600 USD of sells failed, more than 500.00 USD"


@dataclass(frozen=True)
class ControlRun:
    """One run. `endings` by symbol: COMPLETED (default), FAILED, CLOSED, BREAKER, WAITING, PENDING, RUNNING."""

    plan: RebalancePlan
    endings: Mapping[str, str] = field(default_factory=dict)
    status: LegacyRunStatus = LegacyRunStatus.COMPLETED
    failure_reason: str | None = None
    at: datetime = BEGIN
    counted: bool = True

    @property
    def run_id(self) -> str:
        """The run's id, which the lane minted."""
        return minted(self.plan.plan_id)

    @property
    def messages(self) -> tuple[TradeMessage, ...]:
        """The trades' messages, under ids that the lane minted."""
        names = {message.trade_id: minted(message.trade_id) for message in trade_messages(self.plan)}
        return tuple(
            message.model_copy(update={"run_id": self.run_id, "trade_id": names[message.trade_id]})
            for message in trade_messages(self.plan)
        )

    def items(self) -> list[dict[str, object]]:
        """Give the raw items."""
        messages = self.messages
        trades = [self._trade(message, first_phase(messages)) for message in messages]
        run = self._run(messages, trades)
        return [raw_item(model) for model in (run, *trades)]

    def events(self) -> list[dict[str, object]]:
        """Give the raw captured events that such a run emits."""
        messages = self.messages
        ended = [m for m in messages if self._ending(m) in ("COMPLETED", "FAILED", "CLOSED", "BREAKER")]
        found = [
            self._event("TradeExecuted", m.trade_id, {"trade_id": m.trade_id, "symbol": m.symbol, "action": m.action})
            for m in ended
        ]
        kind = "AllTradesCompleted" if self.status is LegacyRunStatus.COMPLETED else "WorkflowFailed"
        step = "SELL_PHASE_GUARD" if "guard" in (self.failure_reason or "") else "EQUITY_CIRCUIT_BREAKER"
        detail = {"failure_step": step, "failure_reason": self.failure_reason} if kind == "WorkflowFailed" else {}
        return [*found, self._event(kind, None, detail)]

    def _event(self, kind: str, trade_id: str | None, detail: Mapping[str, object]) -> dict[str, object]:
        run_id = self.run_id
        body = {
            "correlation_id": self.plan.correlation_id,
            "run_id": run_id,
            "plan_id": self.plan.plan_id,
            "timestamp": self.at.isoformat(),
            **detail,
        }
        return to_item(
            {
                "PK": f"RUN#{run_id}",
                "SK": f"EVENT#{kind}#{trade_id or '-'}#event-{kind}-{trade_id}",
                "detail_type": kind,
                "detail": json.dumps(body),
            }
        )

    def _ending(self, message: TradeMessage) -> str:
        return self.endings.get(message.symbol, "COMPLETED")

    def _trade(self, message: TradeMessage, first: Side) -> TradeItem:
        item, ending = trade_item(message, first, self.at), self._ending(message)
        end = {"started_at": self.at, "completed_at": self.at + timedelta(seconds=3)}
        quantity = (abs(message.trade_amount) / PRICE).quantize(Decimal("0.000001"))
        data = {
            "shares": str(quantity),
            "price": str(PRICE),
            "trade_amount": str(quantity * PRICE),
            "order_type": "market",
            "filled_at": self.at.isoformat(),
        }
        changes: dict[str, dict[str, object]] = {
            "COMPLETED": {"order_id": f"order-{message.symbol}", "execution_data": json.dumps(data), **end},
            "FAILED": {"status": LegacyTradeStatus.FAILED, "error_message": "order X was rejected", **end},
            "CLOSED": {"error_message": MARKET_CLOSED_MESSAGE, **end},
            "BREAKER": {"status": LegacyTradeStatus.FAILED, "error_message": EQUITY_MESSAGE, **end},
            "WAITING": {"status": LegacyTradeStatus.WAITING},
            "PENDING": {"status": LegacyTradeStatus.PENDING},
            "RUNNING": {"status": LegacyTradeStatus.RUNNING, "started_at": self.at},
        }
        return item.model_copy(update={"status": LegacyTradeStatus.COMPLETED} | changes[ending])

    def _run(self, messages: tuple[TradeMessage, ...], trades: list[TradeItem]) -> RunItem:
        run = run_item(self.plan, messages, Decimal(100_000), self.at)
        endings = {message.trade_id: self._ending(message) for message in messages}
        ended = [trade for trade in trades if trade.status in (LegacyTradeStatus.COMPLETED, LegacyTradeStatus.FAILED)]
        failed = [trade for trade in ended if trade.status is LegacyTradeStatus.FAILED]
        done = [trade for trade in ended if trade.status is LegacyTradeStatus.COMPLETED]
        skipped = [trade for trade in ended if endings[trade.trade_id] == "CLOSED"]
        counted = len(ended) - (0 if self.counted else 1)
        changes: dict[str, object] = {
            "status": self.status,
            "completed_trades": counted,
            "succeeded_trades": counted - len(failed) - len(skipped),
            "failed_trades": len(failed),
            "skipped_trades": len(skipped),
            "sell_completed": sum(trade.action is Side.SELL for trade in ended),
            "buy_completed": sum(trade.action is Side.BUY for trade in ended),
            "sell_failed_amount": _planned(failed, Side.SELL),
            "sell_succeeded_amount": _planned(done, Side.SELL),
            "cumulative_buy_succeeded_value": _planned(done, Side.BUY),
        }
        later = self.at + timedelta(seconds=5)
        if self.status is LegacyRunStatus.COMPLETED:
            changes |= {"completed_at": later, "current_phase": LegacyPhase.BUY, "buy_phase_started_at": self.at}
        if self.status is LegacyRunStatus.BUY_PHASE:
            changes |= {"current_phase": LegacyPhase.BUY, "buy_phase_started_at": self.at}
        if self.status is LegacyRunStatus.FAILED:
            changes |= {"failed_at": later, "failure_reason": self.failure_reason}
        return run.model_copy(update=changes)


def _planned(trades: list[TradeItem], side: Side) -> Decimal:
    return sum((abs(trade.trade_amount) for trade in trades if trade.action is side), Decimal(0))


def raw_item(model: RunItem | TradeItem) -> dict[str, object]:
    """Give an item as DynamoDB does."""
    return to_item(model.model_dump(mode="python", exclude_none=True) | _texts(model))


def _texts(model: RunItem | TradeItem) -> dict[str, object]:
    values = model.model_dump(mode="python", exclude_none=True)
    found = {name: value.isoformat() for name, value in values.items() if isinstance(value, datetime)}
    return found | ({"trade_ids": list(model.trade_ids)} if isinstance(model, RunItem) else {})
