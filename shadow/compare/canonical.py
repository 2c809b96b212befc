"""Business Unit: compare | Status: current.

One order for everything that has none of its own, so that a document does not depend on the order records arrived in.
"""

from __future__ import annotations

from shadow.contracts.outcome import Effect, RunOutcome, TradeOutcome


def canonical_run(run: RunOutcome | None) -> RunOutcome | None:
    """Give `run` with its trades, effects, gaps and lists of names sorted. Orders keep their order: it is theirs."""
    if run is None:
        return None
    return run.model_copy(
        update={
            "trades": _sorted_trades(run.trades),
            "effects": None if run.effects is None else _sorted_effects(run.effects),
            "effect_kinds": None if run.effect_kinds is None else tuple(sorted(set(run.effect_kinds))),
            "other_runs": tuple(sorted(set(run.other_runs))),
            "violations": tuple(sorted(set(run.violations))),
            "gaps": tuple(sorted(run.gaps, key=lambda gap: (gap.what, gap.reason))),
        }
    )


def _by_id(trade: TradeOutcome) -> str:
    return trade.trade_id


def _sorted_trades(trades: tuple[TradeOutcome, ...]) -> tuple[TradeOutcome, ...]:
    """Sort by id; only records that share one are told apart by their whole content."""
    if len({trade.trade_id for trade in trades}) < len(trades):
        return tuple(sorted(trades, key=lambda trade: (trade.trade_id, trade.model_dump_json())))
    return tuple(sorted(trades, key=_by_id))


def _effect_key(effect: Effect) -> tuple[str, str, str, str]:
    return (effect.kind.value, effect.trade_id or "", effect.symbol or "", effect.action or "")


def _sorted_effects(effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
    """Sort by what they are about; only effects about the same thing are told apart by their whole content."""
    if len({_effect_key(effect) for effect in effects}) < len(effects):
        return tuple(sorted(effects, key=lambda effect: (*_effect_key(effect), effect.model_dump_json())))
    return tuple(sorted(effects, key=_effect_key))
