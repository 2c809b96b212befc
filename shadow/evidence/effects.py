"""Business Unit: evidence | Status: current.

Downstream effects in one form, whoever recorded them: the control's captured events and ledger rows, and what the
candidate intended or emitted.
"""

from __future__ import annotations

from collections.abc import Mapping

from shadow.contracts.events import FailureStep
from shadow.contracts.outcome import Effect
from shadow.contracts.vocabulary import EffectKind, Side
from shadow.evidence.fields import Fields, known


def read_effect(
    kind: EffectKind, detail: Mapping[str, object], *, emitted: bool, faults: list[str], trade_id: str | None = None
) -> Effect:
    """Read one effect from the `detail` of its event or ledger row; faulty fields are noted in `faults`."""
    fields = Fields(f"effect[{kind}]", detail, faults)
    if kind is EffectKind.LEDGER_ENTRY:
        return Effect.model_validate(
            known(
                kind=kind,
                emitted=emitted,
                trade_id=trade_id or fields.identifier("trade_id"),
                symbol=fields.identifier("symbol"),
                action=fields.choice("direction", Side),
                success=True,
                quantity=fields.number("filled_qty"),
                price=fields.number("fill_price"),
                at=fields.moment("timestamp"),
            )
        )
    return Effect.model_validate(
        known(
            kind=kind,
            emitted=emitted,
            trade_id=trade_id or fields.identifier("trade_id"),
            symbol=fields.identifier("symbol"),
            action=fields.choice("action", Side),
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
