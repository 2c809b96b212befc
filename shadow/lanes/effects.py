"""Business Unit: evidence | Status: current.

Downstream effects in one form, whoever recorded them: the control's captured events and ledger rows, and what the
candidate intended or emitted.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel

from shadow.contracts.control_records import AllTradesCompleted, FailureStep, LedgerEntry, TradeExecuted, WorkflowFailed
from shadow.contracts.outcome import Effect, OrderRecord
from shadow.contracts.vocabulary import EffectKind, Side
from shadow.lanes.records import Fields, slim

_MODELS: dict[EffectKind, type[BaseModel]] = {
    EffectKind.TRADE_EXECUTED: TradeExecuted,
    EffectKind.ALL_TRADES_COMPLETED: AllTradesCompleted,
    EffectKind.WORKFLOW_FAILED: WorkflowFailed,
}


def read_effect(
    kind: EffectKind, detail: Mapping[str, object], *, emitted: bool, faults: list[str], trade_id: str | None = None
) -> Effect:
    """Read one effect from the `detail` of its event or ledger row; faulty fields are noted in `faults`."""
    fields = Fields(f"effect[{kind}]", detail, faults)
    effect = _read(kind, fields, emitted=emitted, trade_id=trade_id)
    if kind is EffectKind.LEDGER_ENTRY:
        fields.hold_against(LedgerEntry, fill_price=detail.get("fill_price"))
        if effect.quantity and "fill_price" not in detail:  # NULL: filled at a price that nobody knows; left out: another schema
            fields.fault("fill_price", "a value")
        return effect
    fields.hold_against(_MODELS[kind])
    if kind is EffectKind.TRADE_EXECUTED and effect.success and detail.get("order_id") is not None:
        fields.require("quantity", "price")
    return effect


def _read(kind: EffectKind, fields: Fields, *, emitted: bool, trade_id: str | None) -> Effect:
    if kind is EffectKind.LEDGER_ENTRY:
        return slim(
            Effect(
                kind=kind,
                emitted=emitted,
                trade_id=trade_id or fields.identifier("trade_id"),
                symbol=fields.symbol("symbol"),
                action=fields.choice("direction", Side),
                order_id=fields.identifier("order_id"),
                correlation_id=fields.identifier("correlation_id"),
                success=True,
                quantity=fields.number("filled_qty"),
                price=fields.number("fill_price"),
                at=fields.moment("timestamp"),
            )
        )
    return slim(
        Effect(
            kind=kind,
            emitted=emitted,
            trade_id=trade_id or fields.identifier("trade_id"),
            symbol=fields.symbol("symbol"),
            action=fields.choice("action", Side),
            order_id=fields.identifier("order_id"),
            run_id=fields.identifier("run_id"),
            plan_id=fields.identifier("plan_id"),
            correlation_id=fields.identifier("correlation_id"),
            amount=fields.number("trade_amount"),
            success=fields.flag("success"),
            quantity=fields.number("quantity"),
            price=fields.number("price"),
            failure_step=fields.choice("failure_step", FailureStep),
            total_trades=fields.count("total_trades"),
            succeeded_trades=fields.count("succeeded_trades"),
            failed_trades=fields.count("failed_trades"),
            skipped_trades=fields.count("skipped_trades"),
            at=fields.moment("timestamp"),
        )
    )


def effect_order(effect: Effect) -> tuple[str, str, str, str]:
    """Sort effects by what they are about, not by when they happened to arrive."""
    return (effect.kind.value, effect.trade_id or "", effect.symbol or "", effect.at.isoformat() if effect.at else "")


def order_record(
    fields: Fields, symbol: str | None, *, client_order_id: str | None, status: str | None, accepted: bool | None
) -> OrderRecord:
    """Read an order; what its status means, and so whether it was `accepted`, the caller knows."""
    return slim(
        OrderRecord(
            client_order_id=client_order_id,
            order_id=fields.text("order_id"),
            symbol=symbol,
            side=fields.choice("side", Side),
            order_type=fields.text("order_type"),
            quantity=fields.number("quantity"),
            limit_price=fields.number("limit_price"),
            status=status,
            filled_quantity=fields.number("filled_quantity"),
            average_price=fields.number("average_price"),
            submitted_at=fields.moment("submitted_at"),
            accepted=accepted,
        )
    )
