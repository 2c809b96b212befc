"""Business Unit: benchmarks | Status: current.

The candidate's half of a pair's evidence, of any size: its execution's description, its history with the kinds of events that AWS
writes (an inline Map of up to `MAX_INLINE_TRADES` trades, a Distributed Map above), and its state table's items.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from decimal import Decimal

from benchmarks.history_writer import HistoryWriter
from benchmarks.plans import AT, holdings, prices, total_of
from shadow.aws.table import to_item
from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.model import canonical, decimal_text
from shadow.contracts.plan import RebalancePlan, TradeMessage, trade_messages
from shadow.contracts.vocabulary import Side, SizingBasis, TradeStatus
from shadow.contracts.workflow import (
    MAX_INLINE_TRADES,
    EquityCheck,
    OrderTrace,
    TradeResult,
    WorkflowInput,
    WorkflowPlan,
    WorkflowTrade,
)
from shadow.settlement.documents import DESCRIBE, EVENT, MAP_RUN, STATE_ITEM, Record

_MICRO = Decimal("0.000001")
_SPREAD = Decimal("0.01")
_BUYS_AFTER = 60


class CandidateRun:
    """The candidate's records of one plan, every trade filled as asked at its quote."""

    def __init__(self, plan: RebalancePlan, trades: int, *, inline: bool | None = None) -> None:
        """Record `plan`, of `trades` trades; `inline` says how it was run (by its size, when not said)."""
        self.plan, self.trades = plan, trades
        self.inline = trades <= MAX_INLINE_TRADES if inline is None else inline
        self.run_id = run_id_of(plan.plan_id)
        self.messages = trade_messages(plan)
        self.prices, self.held = prices(trades), holdings(trades)
        self.limit = total_of(trades)
        self._reserved: dict[str, Decimal] = {}
        spent = Decimal(0)
        for message in self.messages:
            if message.action is Side.BUY:
                spent += abs(message.trade_amount)
                self._reserved[message.trade_id] = spent

    def records(self) -> Iterator[Record]:
        """Give the records of the evidence document."""
        trades = tuple(WorkflowTrade.from_message(message) for message in self.messages)
        given = WorkflowInput(
            rebalance_plan=WorkflowPlan(trade_messages=trades if self.inline else (), total_portfolio_value=self.limit),
            correlation_id=self.plan.correlation_id,
            run_id=self.run_id,
            plan_id=self.plan.plan_id,
        ).to_wire()
        results = {message.trade_id: self.result(message) for message in self.messages}
        yield DESCRIBE, self._describe(given)
        history = self._history(given, results, {trade.trade_id: trade.to_wire() for trade in trades})
        yield from ((EVENT, event) for event in history)
        yield from ((STATE_ITEM, item) for item in self._state_items(results))
        for side in () if self.inline else Side:
            count = sum(message.action is side for message in self.messages)
            yield MAP_RUN, {"summary": {"mapRunArn": map_run_arn(side), "status": "SUCCEEDED", "children": {"succeeded": count}}}

    def _describe(self, given: dict[str, object]) -> dict[str, object]:
        return {
            "executionArn": f"arn:aws:states:us-east-1:123456789012:execution:workflow:{execution_name_of(self.run_id)}",
            "name": execution_name_of(self.run_id), "status": "SUCCEEDED", "startDate": AT.isoformat(),
            "stopDate": (AT + timedelta(seconds=100)).isoformat(), "input": json.dumps(given), "redriveCount": 0,
        }  # fmt: skip

    def quantity(self, message: TradeMessage) -> Decimal:
        """Give the shares that a trade asks for."""
        if message.is_complete_exit:
            return self.held[message.symbol]
        return (abs(message.trade_amount) / self.prices[message.symbol]).quantize(_MICRO)

    def moment(self, message: TradeMessage, seconds: float) -> datetime:
        """Tell when something of a trade happened."""
        return AT + timedelta(seconds=seconds + (1 if message.action is Side.SELL else _BUYS_AFTER))

    def result(self, message: TradeMessage) -> dict[str, object]:
        """Give what execute_trade_sfn answered."""
        price, quantity = self.prices[message.symbol], self.quantity(message)
        order = OrderTrace(
            client_order_id=message.trade_id, order_id=f"dry-run-{message.trade_id}", order_type="limit", quantity=quantity,
            limit_price=price, status="filled", filled_quantity=quantity, average_price=price,
        )  # fmt: skip
        return TradeResult(
            run_id=self.run_id, trade_id=message.trade_id, symbol=message.symbol, action=message.action,
            status=TradeStatus.COMPLETED, quantity=quantity, average_price=price, total_value=quantity * price,
            order_id=order.order_id, planned_amount=message.trade_amount, asked_quantity=quantity,
            sizing_basis=_basis(message), bid=price - _SPREAD, ask=price + _SPREAD, decision_price=price,
            quote_at=self.moment(message, 0), market_at=self.moment(message, 0),
            order_type="limit", attempts=1, orders=(order,), equity_check=self._check(message),
            started_at=self.moment(message, 0), completed_at=self.moment(message, 2), filled_at=self.moment(message, 1),
        ).to_wire()  # fmt: skip

    def _check(self, message: TradeMessage) -> EquityCheck | None:
        spent = self._reserved.get(message.trade_id)
        return (
            None if spent is None else EquityCheck(allowed=True, cumulative=spent, limit=self.limit, headroom=self.limit - spent)
        )

    def _history(
        self, given: dict[str, object], results: dict[str, dict[str, object]], trades: dict[str, dict[str, object]]
    ) -> list[dict[str, object]]:
        by_side = {side: [message for message in self.messages if message.action is side] for side in Side}
        identity = {"runId": self.run_id, "planId": self.plan.plan_id, "correlationId": self.plan.correlation_id}
        writer = HistoryWriter(AT)
        writer.start(given)
        state: dict[str, object] = {
            **{f"{side.value.lower()}Trades": [trades[m.trade_id] for m in by_side[side] if self.inline] for side in Side},
            "sellCount": len(by_side[Side.SELL]), "buyCount": len(by_side[Side.BUY]), "totalTrades": self.trades,
            "sellResults": [], "buyResults": [], "equityLimit": decimal_text(self.limit), "executionMode": "dry_run",
            "isLarge": not self.inline, **identity,
        }  # fmt: skip
        writer.task("PrepareTrades", given, state, state)
        for side in (Side.SELL, Side.BUY):
            writer.choice("CheckIfSellTradesExist" if side is Side.SELL else "CheckIfBuyTradesExist", state)
            pairs = [(trades[m.trade_id], results[m.trade_id]) for m in by_side[side]]
            state = self._phase(writer, side, state, pairs)
            if side is Side.SELL:
                guard = _guard(by_side[side])
                before, state = state, state | {"guard": guard}
                writer.task("EvaluateSellPhaseGuard", before, guard, state)
                writer.choice("CheckBuyPhaseGuard", state)
        counts = {"totalTrades": self.trades, "succeededTrades": self.trades, "failedTrades": 0, "skippedTrades": 0}
        summary: dict[str, object] = {**counts, "unknownTrades": 0, "outcome": "COMPLETED", **identity}
        writer.task("AggregateResults", state, summary, summary)
        writer.choice("CheckRunOutcome", summary)
        writer.task("SendNotification", summary, {"status": "SENT"}, summary)
        writer.succeed("WorkflowCompleted", summary)
        return writer.events

    def _phase(
        self,
        writer: HistoryWriter,
        side: Side,
        state: dict[str, object],
        pairs: list[tuple[dict[str, object], dict[str, object]]],
    ) -> dict[str, object]:
        word = "Sell" if side is Side.SELL else "Buy"
        if not self.inline:
            writer.distributed_map(f"ExecuteLarge{word}Phase", state, map_run_arn(side))
            return state
        after = state | {f"{word.lower()}Results": [result for _, result in pairs]}
        writer.inline_map(f"Execute{word}Phase", f"Execute{word}Trade", state, after, pairs)
        return after

    def _state_items(self, results: Mapping[str, object]) -> list[Mapping[str, object]]:
        items: list[Mapping[str, object]] = [self._effect("AllTradesCompleted", None, self.run_detail())]
        for message in self.messages:
            detail = self.trade_detail(message, self.quantity(message), f"dry-run-{message.trade_id}")
            items += [
                self._intent(message),
                self._result_item(message, results[message.trade_id]),
                self._effect("TradeExecuted", message, detail),
                self._effect("LedgerEntry", message, self._ledger(message)),
                self._key_item("TURN", message, turn=1),
            ]
            if message.action is Side.BUY:
                items.append(self._key_item("RESERVATION", message, amount=message.trade_amount, at=AT.isoformat()))
        return sorted(items, key=lambda item: str(item["SK"]))

    def _intent(self, message: TradeMessage) -> Mapping[str, object]:
        price, quantity = self.prices[message.symbol], self.quantity(message)
        return to_item(
            {
                "PK": f"RUN#{self.run_id}", "SK": f"INTENT#{message.trade_id}#0000", "run_id": self.run_id,
                "trade_id": message.trade_id, "symbol": message.symbol, "side": message.action.value, "step": 0, "attempt": 0,
                "client_order_id": message.trade_id, "order_type": "limit", "quantity": quantity, "limit_price": price,
                "asked_quantity": quantity, "sizing_basis": _basis(message).value, "bid": price - _SPREAD, "ask": price + _SPREAD,
                "decision_price": price, "execution_mode": "dry_run", "status": "filled",
                "order_id": f"dry-run-{message.trade_id}", "filled_quantity": quantity, "average_price": price, "turn": 1,
                "intended_at": self.moment(message, 0).isoformat(), "submitted_at": self.moment(message, 1).isoformat(),
                "filled_at": self.moment(message, 1).isoformat(),
            }
        )  # fmt: skip

    def _key_item(self, kind: str, message: TradeMessage, **values: object) -> Mapping[str, object]:
        identity = {"run_id": self.run_id, "trade_id": message.trade_id} if kind == "RESERVATION" else {}
        return to_item(
            {"PK": f"RUN#{self.run_id}", "SK": f"{kind}#{message.trade_id}", "TTL": 1_770_000_000, **identity, **values}
        )

    def _result_item(self, message: TradeMessage, result: object) -> Mapping[str, object]:
        return to_item(
            {
                "PK": f"RUN#{self.run_id}", "SK": f"RESULT#{message.trade_id}", "run_id": self.run_id,
                "trade_id": message.trade_id, "action": message.action.value, "result": canonical(result), "at": AT.isoformat(),
            }
        )  # fmt: skip

    def _effect(self, kind: str, message: TradeMessage | None, detail: dict[str, object]) -> Mapping[str, object]:
        about = {} if message is None else {"trade_id": message.trade_id}
        return to_item(
            {
                "PK": f"RUN#{self.run_id}", "SK": f"EFFECT#{kind}#{message.trade_id if message else '-'}", "kind": kind,
                "run_id": self.run_id, "detail": canonical(detail), "emitted": False, "at": AT.isoformat(), **about,
            }
        )  # fmt: skip

    def identity(self) -> dict[str, object]:
        """Give the ids of the run."""
        return {"correlation_id": self.plan.correlation_id, "plan_id": self.plan.plan_id, "run_id": self.run_id}

    def run_detail(self, causation_id: str | None = None) -> dict[str, object]:
        """Give what a lane emits of the whole run."""
        counts = {"total_trades": self.trades, "succeeded_trades": self.trades, "failed_trades": 0, "skipped_trades": 0}
        return self.identity() | {"causation_id": causation_id, "timestamp": AT.isoformat(), **counts}

    def trade_detail(self, message: TradeMessage, quantity: Decimal, order_id: str) -> dict[str, object]:
        """Give what a lane emits of a trade that filled `quantity` shares at its quote."""
        price = self.prices[message.symbol]
        return self.identity() | {
            "causation_id": self.plan.causation_id, "action": message.action.value, "error_message": None,
            "order_id": order_id, "price": decimal_text(price), "quantity": decimal_text(quantity), "success": True,
            "symbol": message.symbol, "timestamp": AT.isoformat(), "trade_amount": decimal_text(quantity * price),
            "trade_id": message.trade_id,
        }  # fmt: skip

    def _ledger(self, message: TradeMessage) -> dict[str, object]:
        return {
            "correlation_id": self.plan.correlation_id, "direction": message.action.value,
            "fill_price": decimal_text(self.prices[message.symbol]), "filled_qty": decimal_text(self.quantity(message)),
            "order_id": f"dry-run-{message.trade_id}", "symbol": message.symbol, "timestamp": AT.isoformat(),
        }  # fmt: skip


def map_run_arn(side: Side) -> str:
    """Name a phase's map run."""
    return f"arn:aws:states:us-east-1:123456789012:mapRun:workflow/{side.value}"


def _basis(message: TradeMessage) -> SizingBasis:
    return SizingBasis.HELD_QUANTITY if message.is_complete_exit else SizingBasis.TRADE_AMOUNT


def _guard(sells: list[TradeMessage]) -> dict[str, object]:
    done = sum((abs(message.trade_amount) for message in sells), Decimal(0))
    return {
        "buyPhaseAllowed": True, "sellFailedAmount": "0", "sellSucceededAmount": decimal_text(done), "sellFailedCount": 0,
        "failureThresholdUsd": "500", "reason": None, "failures": [],
    }  # fmt: skip
