"""Business Unit: compare | Status: current.

The downstream effects: what each lane emitted (or, while it shadows, would have emitted), held against what its own trades and
its own end demand. Two lanes whose effects are right by their own outcomes differ in effects only where they differ in outcome.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from shadow.compare.case import Fault, Finding, LaneTrade, PairView, TradePair, own_faults, run_faults, shown
from shadow.compare.checks.duties import is_equity_blocked
from shadow.compare.checks.executed import ledger_fill
from shadow.compare.checks.runs import tally
from shadow.compare.money import impact
from shadow.compare.policy import Policy
from shadow.compare.rules import EXACT, SHARE_STEP, ZERO, within
from shadow.contracts.comparison import Impact
from shadow.contracts.control_records import FailureStep
from shadow.contracts.identity import is_replay, is_same_symbol
from shadow.contracts.model import decimal_text
from shadow.contracts.outcome import Effect, RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import EffectKind, Lane, Role, RunStatus, Side, TradeStatus

IDS = ".ids"
"""Ends the field of what is found of the ids that an effect carries."""
_ENDED = (TradeStatus.COMPLETED, TradeStatus.FAILED, TradeStatus.SKIPPED)
_STOPS = {
    RunStatus.BLOCKED_BY_GUARD: FailureStep.SELL_PHASE_GUARD,
    RunStatus.BLOCKED_BY_EQUITY_LIMIT: FailureStep.EQUITY_CIRCUIT_BREAKER,
}


def is_watched(run: RunOutcome, kind: EffectKind) -> bool:
    """Tell whether somebody watched for effects of that kind in that lane."""
    return run.effects is not None and (run.effect_kinds is None or kind in run.effect_kinds)


def sent_by(run: RunOutcome, effects: tuple[Effect, ...], production: Lane) -> tuple[Effect, ...]:
    """Give the effects that count: of the lane in production only those that it emitted, not those that it only recorded.

    The legacy lane's are read where they arrived, so all of them were emitted. A replay emits nothing, whichever lane runs it:
    what it recorded counts.
    """
    of_production = run.role is Role.CONTROL and run.lane is production and not is_replay(run.plan_id)
    if production is Lane.LEGACY or not of_production:
        return effects
    return tuple(effect for effect in effects if effect.emitted)


def trade_effect_findings(pair: TradePair, policy: Policy, production: Lane = Lane.LEGACY) -> Iterator[Finding]:
    """Hold the events and ledger entries about one trade against its outcome."""
    for checks in (_EVENT, _LEDGER):
        watching = [side for side in pair.lanes if is_watched(side.run, checks.effect)]
        sent = {side.role: sent_by(side.run, side.effects_of(checks.effect), production) for side in watching}
        for kind, check in checks.checks:

            def bound(side: LaneTrade, check: _Check = check, sent: Mapping[Role, tuple[Effect, ...]] = sent) -> Fault | None:
                return check(side, sent[side.role], policy)

            yield from own_faults(kind, checks.field, watching, bound, pair)

        def named(side: LaneTrade, effect: EffectKind = checks.effect) -> Fault | None:
            return _foreign_ids(side.run, side.effects_of(effect))

        yield from own_faults(checks.different, f"{checks.field}{IDS}", watching, named, pair)


def _has_ended(side: LaneTrade) -> bool:
    return side.trade.status in _ENDED or is_equity_blocked(side.trade)


def _event_missing(side: LaneTrade, effects: tuple[Effect, ...], _policy: Policy) -> Fault | None:
    if effects or not _has_ended(side):
        return None
    return Fault("none", f"ended the trade as {side.trade.status.value} and sent no TradeExecuted")


def _event_extra(side: LaneTrade, effects: tuple[Effect, ...], _policy: Policy) -> Fault | None:
    if not effects or _has_ended(side) or side.trade.status is TradeStatus.UNKNOWN:
        return None
    return Fault(str(len(effects)), f"sent a TradeExecuted for a trade that is {side.trade.status.value}")


def _event_twice(_side: LaneTrade, effects: tuple[Effect, ...], _policy: Policy) -> Fault | None:
    return Fault(str(len(effects)), f"sent {len(effects)} TradeExecuted") if len(effects) > 1 else None


def _event_different(side: LaneTrade, effects: tuple[Effect, ...], policy: Policy) -> Fault | None:
    if not _has_ended(side):
        return None
    for effect in effects:
        if not _is_unreadable(side.run, effect.success) and effect.success is not (side.trade.status is TradeStatus.COMPLETED):
            return Fault(
                shown(effect.success) or "absent", f"sent a TradeExecuted with success {shown(effect.success) or 'absent'}"
            )
        fault = (
            _wrong_fill(side, effect, policy, "TradeExecuted")
            or _wrong_amount(side, effect, policy)
            or _wrong_order(side, effect)
        )
        if fault is not None:
            return fault
    return None


def _foreign_ids(run: RunOutcome, effects: Iterable[Effect]) -> Fault | None:
    """Hold the ids that effects carry against their run's. An id that either does not have is not compared."""
    for effect in effects:
        for name in ("correlation_id", "run_id", "plan_id"):
            told, own = getattr(effect, name), getattr(run, name)
            if told is not None and own is not None and told != own:
                return Fault(told, f"has a {effect.kind.value} of the {name.replace('_', ' ')} {told}, not {own}")
    return None


def _wrong_order(side: LaneTrade, effect: Effect) -> Fault | None:
    """Hold the order that an effect names against the trade's, where all of the trade's orders are known."""
    known = {order.order_id for order in side.trade.orders} | {side.trade.order_id}
    complete = any(order.client_order_id is not None for order in side.trade.orders)
    if effect.order_id is None or not complete or effect.order_id in known:
        return None
    return Fault(effect.order_id, f"has a {effect.kind.value} of the order {effect.order_id}, which is none of the trade's")


def _wrong_amount(side: LaneTrade, effect: Effect, policy: Policy) -> Fault | None:
    """Hold the USD that an effect tells of against the trade's executed value."""
    amount, value = effect.amount, side.trade.value
    if amount is None or not side.trade.filled_quantity or value is None or within(policy.rules.effect_price, abs(amount), value):
        return None
    return Fault(decimal_text(amount), f"has a {effect.kind.value} of {shown(amount)} USD, recorded {shown(value)}")


def _is_about_another(effect: Effect, trade: TradeOutcome) -> bool:
    """Tell whether an effect names another symbol or side than its trade; in which notation says nothing."""
    other = effect.symbol is not None and not is_same_symbol(effect.symbol, trade.symbol)
    return other or effect.action not in (None, trade.action)


def _wrong_fill(side: LaneTrade, effect: Effect, policy: Policy, name: str) -> Fault | None:
    """Hold an effect's symbol, side, quantity and price against the trade's. No quantity and none filled are the same."""
    trade = side.trade
    if _is_about_another(effect, trade):
        return Fault(f"{shown(effect.action)} {effect.symbol}", f"has a {name} about a {shown(effect.action)} of {effect.symbol}")
    if _is_unread(side):
        return None
    filled = trade.filled_quantity or ZERO
    is_told = not _is_unreadable(side.run, effect.quantity)
    if is_told and not within(policy.rules.effect_quantity, effect.quantity or ZERO, filled):
        return Fault(
            shown(effect.quantity) or "none", f"has a {name} with {shown(effect.quantity)} shares, filled {shown(filled)}"
        )
    price = None if _is_unreadable(side.run, effect.price) else trade.average_price
    if filled and price is not None and not within(policy.rules.effect_price, effect.price, price):
        return Fault(shown(effect.price) or "none", f"has a {name} at {shown(effect.price)} USD a share, recorded {shown(price)}")
    return None


def _filled(side: LaneTrade) -> Decimal:
    return side.trade.filled_quantity or ZERO


def _is_unread(side: LaneTrade) -> bool:
    """Tell whether what a trade filled is unknown, not nothing: an executed trade filled something, a torn record may have."""
    trade = side.trade
    return trade.filled_quantity is None and (trade.status is TradeStatus.COMPLETED or _is_torn(side.run))


def _is_torn(run: RunOutcome) -> bool:
    return bool(run.violations or run.gaps)


def _is_unreadable(run: RunOutcome, value: object) -> bool:
    """Tell whether a value that an effect does not have may be there and could not be read: then it says nothing."""
    return value is None and _is_torn(run)


def _entered(side: LaneTrade) -> Decimal:
    fill = ledger_fill(side)
    return fill.quantity if fill is not None else ZERO


def _ledger_missing(side: LaneTrade, effects: tuple[Effect, ...], _policy: Policy) -> Fault | None:
    filled = _filled(side)
    return Fault("none", f"filled {shown(filled)} shares and has no ledger entry") if filled and not effects else None


def _ledger_extra(side: LaneTrade, effects: tuple[Effect, ...], _policy: Policy) -> Fault | None:
    if not effects or _filled(side) or _is_unread(side):
        return None
    return Fault(decimal_text(_entered(side)), f"records no fill and has {shown(_entered(side))} shares in the ledger")


def _ledger_twice(side: LaneTrade, effects: tuple[Effect, ...], policy: Policy) -> Fault | None:
    filled, entered = _filled(side), _entered(side)
    more = EXACT.subtract(entered, filled) > SHARE_STEP and not within(policy.rules.effect_quantity, entered, filled)
    if not filled or len(effects) < 2 or not more:  # noqa: PLR2004 - twice
        return None
    return Fault(
        decimal_text(entered),
        f"has {len(effects)} ledger entries of {shown(entered)} shares together, filled {shown(filled)}",
    )


def _ledger_different(side: LaneTrade, effects: tuple[Effect, ...], policy: Policy) -> Fault | None:
    filled, entered = _filled(side), _entered(side)
    unread = any(_is_unreadable(side.run, effect.quantity) for effect in effects)
    if not filled or not effects or unread or _ledger_twice(side, effects, policy) is not None:
        return None
    if not within(policy.rules.effect_quantity, entered, filled):
        return Fault(decimal_text(entered), f"has {shown(entered)} shares in the ledger, filled {shown(filled)}")
    for effect in effects:
        trade, price = side.trade, None if _is_unreadable(side.run, effect.price) else side.trade.average_price
        if _is_about_another(effect, trade):
            return Fault(
                f"{shown(effect.action)} {effect.symbol}", f"has a {shown(effect.action)} of {effect.symbol} in the ledger"
            )
        wrong = _wrong_order(side, effect)
        if wrong is not None:
            return wrong
        if effect.quantity is None or (price is not None and not within(policy.rules.effect_price, effect.price, price)):
            return Fault(shown(effect.price) or "none", f"has {shown(effect.price)} USD a share in the ledger")
    return None


_Check = Callable[[LaneTrade, tuple[Effect, ...], Policy], Fault | None]


@dataclass(frozen=True, slots=True)
class _Checks:
    """The four ways in which the effects of one kind can be wrong about a trade, by the kind of difference that each is."""

    effect: EffectKind
    field: str
    different: str
    checks: tuple[tuple[str, _Check], ...]


_EVENT = _Checks(
    EffectKind.TRADE_EXECUTED,
    "effects.TradeExecuted",
    "TRADE_EXECUTED_DIFFERENT",
    (
        ("TRADE_EXECUTED_MISSING", _event_missing),
        ("TRADE_EXECUTED_EXTRA", _event_extra),
        ("TRADE_EXECUTED_TWICE", _event_twice),
        ("TRADE_EXECUTED_DIFFERENT", _event_different),
    ),
)
_LEDGER = _Checks(
    EffectKind.LEDGER_ENTRY,
    "effects.LedgerEntry",
    "LEDGER_DIFFERENT",
    (
        ("LEDGER_MISSING", _ledger_missing),
        ("LEDGER_EXTRA", _ledger_extra),
        ("LEDGER_TWICE", _ledger_twice),
        ("LEDGER_DIFFERENT", _ledger_different),
    ),
)


def run_effect_findings(view: PairView, policy: Policy) -> Iterator[Finding]:
    """Hold the events about the run, its notifications and its real effects against the run's end."""
    yield from _run_events(view, "COMPLETION", EffectKind.ALL_TRADES_COMPLETED, _is_complete, _completion)
    yield from _run_events(view, "WORKFLOW_FAILED", EffectKind.WORKFLOW_FAILED, _is_stopped, _failure)

    def emitted(run: RunOutcome) -> Fault | None:
        real = [effect for effect in run.effects or () if effect.emitted]
        if run.role is Role.CONTROL or run.lane not in policy.applies.effect_emitted or not real:
            return None
        return Fault(f"{len(real)} emitted", f"emitted {len(real)} real effects")

    def stray(run: RunOutcome) -> Fault | None:
        lost = view.stray_effects[run.role]
        return Fault(str(len(lost)), f"has {len(lost)} effects that belong to none of its trades") if lost else None

    def untold(run: RunOutcome) -> Fault | None:
        ended = run.status is not RunStatus.UNFINISHED
        return Fault("0", "sent no notification") if ended and run.notifications == 0 else None

    def repeated(run: RunOutcome) -> Fault | None:
        count = run.notifications or 0
        return Fault(str(count), f"sent {count} notifications") if count > 1 else None

    yield from run_faults("EFFECT_EMITTED", "effects.emitted", view.runs, emitted, rule="a lane that shadows emits nothing")
    for run in view.runs:
        found = run_faults("EFFECT_STRAY", "effects.trade_id", (run,), stray)
        yield from (replace(finding, impact=_stray_worth(run, view.stray_effects[run.role])) for finding in found)
    yield from run_faults("NOTIFICATION_MISSING", "notifications", view.runs, untold, rule="one notification a run")
    yield from run_faults("NOTIFICATION_TWICE", "notifications", view.runs, repeated, rule="one notification a run")


def _stray_worth(run: RunOutcome, strays: Iterable[Effect]) -> Impact:
    """Give what ledger entries of orders that no trade has claim to have moved; nothing where the broker was asked."""
    moved, gross = ZERO, ZERO
    known = {name for trade in run.trades for name in (trade.order_id, *(order.order_id for order in trade.orders))} | {None}
    for effect in strays:
        if effect.kind is EffectKind.LEDGER_ENTRY and effect.order_id not in known and not run.broker_truth:
            usd = EXACT.multiply(effect.quantity or ZERO, effect.price or ZERO)
            moved = EXACT.add(moved, -usd if effect.action is Side.SELL else usd)
            gross = EXACT.add(gross, abs(usd))
    signed = moved if run.role is Role.CANDIDATE else -moved
    return impact(signed, -signed, gross)


def _run_events(
    view: PairView,
    lead: str,
    kind: EffectKind,
    is_due: Callable[[RunOutcome], bool],
    wrong: Callable[[RunOutcome, Effect], str | None],
) -> Iterator[Finding]:
    runs = [run for run in view.runs if is_watched(run, kind)]
    production = view.case.production_lane
    sent = {run.role: [e for e in sent_by(run, run.effects or (), production) if e.kind is kind] for run in runs}
    field = f"effects.{kind.value}"

    def missing(run: RunOutcome) -> Fault | None:
        return Fault("none", f"ended {run.status.value} and sent no {kind.value}") if is_due(run) and not sent[run.role] else None

    def extra(run: RunOutcome) -> Fault | None:
        unknown = _is_torn(run) and (run.status is RunStatus.UNFINISHED or not run.trades)
        due, count = is_due(run) or unknown, len(sent[run.role])
        return Fault(str(count), f"is {run.status.value} and sent a {kind.value}") if count and not due else None

    def twice(run: RunOutcome) -> Fault | None:
        count = len(sent[run.role])
        return Fault(str(count), f"sent {count} {kind.value}") if count > 1 else None

    def different(run: RunOutcome) -> Fault | None:
        told = [text for effect in sent[run.role] if is_due(run) and (text := wrong(run, effect)) is not None]
        return Fault(told[0], f"sent a {kind.value} with {told[0]}") if told else None

    for suffix, check in (("MISSING", missing), ("EXTRA", extra), ("TWICE", twice), ("DIFFERENT", different)):
        yield from run_faults(f"{lead}_{suffix}", field, runs, check)
    yield from run_faults(f"{lead}_DIFFERENT", f"{field}{IDS}", runs, lambda run: _foreign_ids(run, sent[run.role]))


def _is_complete(run: RunOutcome) -> bool:
    return run.status is RunStatus.COMPLETED and bool(run.trades)


def _is_stopped(run: RunOutcome) -> bool:
    return run.status in _STOPS


def _completion(run: RunOutcome, effect: Effect) -> str | None:
    seen = tally(run)
    told = {
        "total": (effect.total_trades, {seen["total"]}),
        "succeeded": (effect.succeeded_trades, {seen["succeeded"]}),
        "failed": (effect.failed_trades, {seen["failed"], seen["failed"] + seen["unknown"]}),
        "skipped": (effect.skipped_trades, {seen["skipped"]}),
    }
    wrong = [f"{name} {count} not {max(right)}" for name, (count, right) in told.items() if count not in right]
    return ", ".join(wrong) or None


def _failure(run: RunOutcome, effect: Effect) -> str | None:
    due = _STOPS[run.status]
    is_right = effect.failure_step is due or _is_unreadable(run, effect.failure_step)
    return None if is_right else f"failure step {shown(effect.failure_step)} not {due.value}"
