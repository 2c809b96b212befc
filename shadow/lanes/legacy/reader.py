"""Business Unit: evidence | Status: current.

The control's records, read into the canonical outcome. Pure: it is given the raw items of the ExecutionRunsTable and the
run's effects, and asks nobody. What the items say that the contract does not have becomes a violation that names the field;
what is not there becomes a gap.

What the control's own words mean. The control has no status for a skipped, blocked or never-sent trade, and says by free
text why a run failed: the translation to the glossary's words stands here, alone, because everything downstream rests on it.

How a safety stop is recognised, strongest sign first:

1. the `failure_step` of the run's captured WorkflowFailed event;
2. the run item's `failure_reason` (matched on the words below);
3. the shape of the items: BUYs still WAITING while more than the guard's threshold of sells failed.

Whose a row of the trade ledger is. It has the order's id and the publication's correlation id, which a second publication or a
retried one shares, and no run. It is a trade's whose item, or whose event, names its order; else, by symbol, side and time, as a
step of a walk whose last order the item names. What is left and came while the run worked may be another run's, or a second
order of the trade: a gap, which accuses nobody and which the broker's list of orders closes.

How a BUY that the equity breaker refused is recognised: it FAILED, it has no order, and its `error_message` (or, where it
has none, the run's `failure_reason`) speaks of the equity limit.
"""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from shadow.contracts.control_records import (
    GUARD_THRESHOLD_USD,
    MARKET_CLOSED_MESSAGE,
    METADATA_SK,
    TRADE_SK_PREFIX,
    ExecutionData,
    FailureStep,
    LegacyPhase,
    LegacyRunStatus,
    LegacyTradeStatus,
    RunItem,
    TradeItem,
)
from shadow.contracts.identity import joined_symbol
from shadow.contracts.outcome import (
    Effect,
    EquityDecision,
    Gap,
    GuardDecision,
    Intent,
    OrderRecord,
    RunCounters,
    RunOutcome,
    TradeOutcome,
)
from shadow.contracts.vocabulary import EffectKind, Lane, Reason, Role, RunStatus, Side, TradeStatus
from shadow.lanes.effects import effect_order, read_effect
from shadow.lanes.records import Fields, is_identifier, own_of, slim

_EQUITY = re.compile(r"equity|circuit.?breaker|deployment limit", re.IGNORECASE)
_GUARD = re.compile(r"guard|sell.{0,20}(fail|threshold)|fail.{0,20}sell", re.IGNORECASE)
_REASONS = (
    (re.compile(r"rounds? to zero", re.IGNORECASE), Reason.ROUNDS_TO_ZERO),
    (re.compile(r"no (open )?position|nothing (is )?held|position does not exist", re.IGNORECASE), Reason.NOTHING_HELD),
    (re.compile(r"no (usable )?quote|quote (is )?(missing|unavailable|not available)", re.IGNORECASE), Reason.NO_QUOTE),
    (re.compile(r"partial", re.IGNORECASE), Reason.PARTIAL_FILL),
    (re.compile(r"not filled|unfilled|no fill", re.IGNORECASE), Reason.NOT_FILLED),
    (re.compile(r"time[d -]*out|timeout", re.IGNORECASE), Reason.TIMED_OUT),
    (re.compile(r"unavailable|throttl|rate limit|\b(429|5\d\d)\b|connection", re.IGNORECASE), Reason.BROKER_UNAVAILABLE),
    (re.compile(r"reject|refus|insufficient|not tradable|forbidden|\b(403|422)\b", re.IGNORECASE), Reason.BROKER_REJECTED),
)
UNCLAIMED_ROW = "legacy ledger row of order "
"""Begins the gap of a row that may be another run's; the order's id ends it."""
_ZERO, _SHARE_STEP = Decimal(0), Decimal("0.000001")
_AFTER_SELLS = (LegacyRunStatus.BUY_PHASE, LegacyRunStatus.AGGREGATING, LegacyRunStatus.COMPLETED)


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What of the run decides how its trades are read. `stop` is the safety rule that stopped it, if one did."""

    status: LegacyRunStatus | None
    stop: FailureStep | None
    failure_reason: str | None
    buys_were_sent: bool


def safety_stop(
    status: LegacyRunStatus | None,
    failure_reason: str | None,
    captured: FailureStep | None,
    *,
    buys_waiting: bool,
    sell_failed_amount: Decimal | None,
) -> FailureStep | None:
    """Tell which safety rule stopped a FAILED run; None where none did. `sell_failed_amount` is planned absolute USD."""
    if status is not LegacyRunStatus.FAILED:
        return None
    if captured is not None:
        return captured
    if failure_reason and _EQUITY.search(failure_reason):
        return FailureStep.EQUITY_CIRCUIT_BREAKER
    if failure_reason and _GUARD.search(failure_reason):
        return FailureStep.SELL_PHASE_GUARD
    over = sell_failed_amount is not None and sell_failed_amount > GUARD_THRESHOLD_USD
    return FailureStep.SELL_PHASE_GUARD if buys_waiting and over else None


def run_status(facts: RunFacts) -> RunStatus:
    """Translate the run's status."""
    if facts.status is LegacyRunStatus.COMPLETED:
        return RunStatus.COMPLETED
    if facts.status is not LegacyRunStatus.FAILED:
        return RunStatus.UNFINISHED
    if facts.stop is FailureStep.SELL_PHASE_GUARD:
        return RunStatus.BLOCKED_BY_GUARD
    if facts.stop is FailureStep.EQUITY_CIRCUIT_BREAKER:
        return RunStatus.BLOCKED_BY_EQUITY_LIMIT
    return RunStatus.FAILED


def buys_were_sent(status: LegacyRunStatus | None, phase: LegacyPhase | None, stop: FailureStep | None, *, began: bool) -> bool:
    """Tell whether the BUYs' turn has come: `began` is whether the run has a `buy_phase_started_at`."""
    if stop is FailureStep.SELL_PHASE_GUARD:
        return False
    return began or status in _AFTER_SELLS or phase in (LegacyPhase.BUY, LegacyPhase.ALL)


def trade_status(
    facts: RunFacts, side: Side, status: LegacyTradeStatus, message: str | None, *, has_order: bool, has_fill: bool
) -> tuple[TradeStatus, Reason | None]:
    """Translate one trade's status and say why it ended otherwise than COMPLETED."""
    if status is LegacyTradeStatus.COMPLETED:
        closed = message is not None and message.startswith(MARKET_CLOSED_MESSAGE.partition(" - ")[0])
        return (TradeStatus.SKIPPED, Reason.MARKET_CLOSED) if closed else (TradeStatus.COMPLETED, None)
    if status is LegacyTradeStatus.FAILED:
        if side is Side.BUY and not has_order and _is_breaker(facts, message):
            return TradeStatus.BLOCKED, Reason.EQUITY_LIMIT
        reason = _reason(message)
        return TradeStatus.FAILED, Reason.PARTIAL_FILL if has_fill and reason is Reason.NOT_FILLED else reason
    if status is LegacyTradeStatus.WAITING:
        if facts.stop is FailureStep.SELL_PHASE_GUARD:
            return TradeStatus.BLOCKED, Reason.SELL_GUARD
        if facts.buys_were_sent or facts.status is LegacyRunStatus.FAILED:
            return TradeStatus.NOT_SENT, None
    return TradeStatus.UNFINISHED, None


def _is_breaker(facts: RunFacts, message: str | None) -> bool:
    words = message or (facts.failure_reason if facts.stop is FailureStep.EQUITY_CIRCUIT_BREAKER else None)
    return words is not None and _EQUITY.search(words) is not None


def _reason(message: str | None) -> Reason:
    return next((reason for words, reason in _REASONS if message and words.search(message)), Reason.OTHER)


_RUN_FIELDS = frozenset(RunItem.model_fields)
_TRADE_FIELDS = frozenset(TradeItem.model_fields)


@dataclass(frozen=True, slots=True)
class _TradeRow:
    """One trade item, its own fields read, before its status is translated."""

    trade_id: str
    symbol: str
    side: Side
    status: LegacyTradeStatus
    is_complete_exit: bool | None
    fields: Fields


def read_control(
    run_id: str,
    plan_id: str,
    items: Iterable[Mapping[str, object]],
    effects: Sequence[Effect] | None,
    ledger_rows: Iterable[Mapping[str, object]] = (),
    *,
    ledger_is_shared: bool = False,
    own: Collection[str] = (),
) -> RunOutcome | None:
    """Read the control's `items`, captured `effects` and the trade ledger's rows (items and rows as plain values).

    `ledger_is_shared`: another plan is known to have the same correlation id, as a retried publication has, so that a row which
    is no trade's of this run is the other run's. `effects` None means that nobody captures them. `own` names fields of the user's
    own: attributes of the run's item, and of a trade's item or its execution data, that are no violation of the contract.

    None when there is no item at all: the run is not there.
    """
    faults: list[str] = []
    gaps: list[Gap] = []
    run: Fields | None = None
    rows: list[_TradeRow] = []
    seen = False
    for item in items:
        seen = True
        key = item.get("SK")
        if key == METADATA_SK:
            run = Fields("run", item, faults, exact_numbers=True, own=own)
        elif isinstance(key, str) and key.startswith(TRADE_SK_PREFIX):
            name = key.removeprefix(TRADE_SK_PREFIX)
            row = _trade_row(Fields(f"trade[{name}]", item, faults, exact_numbers=True, own=own), name, gaps)
            rows += [row] if row else []
        else:
            faults.append(f"items.SK: expected {METADATA_SK} or {TRADE_SK_PREFIX}…, was {key!r}")
    if not seen:
        return None
    if run is None:
        gaps.append(Gap(what="legacy run item", reason="absent, though trade items are there"))
        run = Fields("run", {}, faults, exact_numbers=True)
    else:
        run.refuse_unknown(_RUN_FIELDS)
    if effects is not None:
        effects = [*effects, *_ledger_effects(rows, ledger_rows, faults)]
    return _outcome((run_id, plan_id), run, rows, effects, gaps, ledger_is_shared=ledger_is_shared)


def _ledger_effects(rows: list[_TradeRow], entries: Iterable[Mapping[str, object]], faults: list[str]) -> list[Effect]:
    """Read the ledger's rows as effects, of the trades whose items name their orders as far as they do."""
    by_order = {str(order_id): row.trade_id for row in rows if (order_id := row.fields.values.get("order_id"))}
    return [
        read_effect(
            EffectKind.LEDGER_ENTRY, entry, emitted=True, faults=faults, trade_id=by_order.get(str(entry.get("order_id")))
        )
        for entry in entries
    ]


def _outcome(
    names: tuple[str, str],
    run: Fields,
    rows: list[_TradeRow],
    effects: Sequence[Effect] | None,
    gaps: list[Gap],
    *,
    ledger_is_shared: bool,
) -> RunOutcome:
    run_id, plan_id = names
    facts = _facts(run, rows, effects)
    limit = run.amount("max_equity_limit_usd")
    guard = _guard(run, facts, rows)
    trades = _trades(rows, facts, limit)
    unreadable = {gap.what for gap in gaps}
    gaps += [gap for gap in _missing_trades(run, trades) if gap.what not in unreadable]
    if run.values and facts.status is None:
        gaps.append(Gap(what="legacy run status", reason="absent or unreadable"))
    ended = _ended_at(run, trades)
    counters = _counters(run) if run.values else None
    started, began = run.moment("created_at") or run.moment("run_timestamp"), run.moment("buy_phase_started_at")
    if effects is not None:
        effects, unclaimed = _claimed_rows(effects, trades, ledger_is_shared=ledger_is_shared)
        gaps += [] if ledger_is_shared else [_unclaimed(row) for row in unclaimed if _holds(started, ended, row.at)]
    if run.values:
        run.hold_against(RunItem)
    return RunOutcome(
        role=Role.CONTROL,
        lane=Lane.LEGACY,
        run_id=run.identifier("run_id") or run_id,
        plan_id=run.identifier("plan_id") or plan_id,
        correlation_id=run.identifier("correlation_id"),
        status=run_status(facts),
        raw_status=facts.status.value if facts.status else str(run.values.get("status") or ""),
        failure_step=facts.stop.value if facts.stop else None,
        failure_reason=facts.failure_reason,
        guard=guard,
        equity_limit=limit,
        counters=counters,
        trades=trades,
        effects=None if effects is None else _named_effects(effects, trades),
        started_at=started,
        completed_at=ended if run_status(facts) is not RunStatus.UNFINISHED else None,
        buy_phase_started_at=began,
        own=own_of(run),
        violations=tuple(sorted(set(run.faults))),
        gaps=tuple(gaps),
    )


def _facts(run: Fields, rows: list[_TradeRow], effects: Sequence[Effect] | None) -> RunFacts:
    status = run.choice("status", LegacyRunStatus)
    reason = run.text("failure_reason")
    captured = next((e.failure_step for e in effects or () if e.kind is EffectKind.WORKFLOW_FAILED), None)
    waiting = any(row.side is Side.BUY and row.status is LegacyTradeStatus.WAITING for row in rows)
    stop = safety_stop(status, reason, captured, buys_waiting=waiting, sell_failed_amount=run.amount_total("sell_failed_amount"))
    sent = buys_were_sent(
        status,
        run.choice("current_phase", LegacyPhase),
        stop,
        began=run.values.get("buy_phase_started_at") is not None,
    )
    return RunFacts(status=status, stop=stop, failure_reason=reason, buys_were_sent=sent)


def _trade_row(fields: Fields, key_id: str, gaps: list[Gap]) -> _TradeRow | None:
    fields.refuse_unknown(_TRADE_FIELDS)
    symbol = fields.symbol("symbol")
    side = fields.choice("action", Side) or fields.choice("phase", Side)
    status = fields.choice("status", LegacyTradeStatus)
    fields.number("trade_amount")
    fields.hold_against(TradeItem)
    if symbol is None or side is None or status is None or not is_identifier(key_id):
        gaps.append(Gap(what=f"legacy trade {key_id}", reason="symbol, action or status absent or unreadable"))
        return None
    body = fields.below("message_body", fields.document("message_body") or {})
    exits = body.flag("is_complete_exit")
    fields.values = {name: value for name, value in fields.values.items() if name != "message_body"}
    return _TradeRow(trade_id=sys.intern(key_id), symbol=symbol, side=side, status=status, is_complete_exit=exits, fields=fields)


def _trades(rows: list[_TradeRow], facts: RunFacts, limit: Decimal | None) -> tuple[TradeOutcome, ...]:
    """Read every row, letting go of it: a run of thousands is not held twice."""
    trades = []
    while rows:
        trades.append(_trade(rows.pop(), facts, limit))
    return tuple(sorted(trades, key=lambda trade: trade.trade_id))


def _trade(row: _TradeRow, facts: RunFacts, limit: Decimal | None) -> TradeOutcome:
    fields = row.fields
    order_id, message = fields.text("order_id"), fields.text("error_message")
    data = fields.document("execution_data")
    execution = fields.below("execution_data", data or {})
    execution.refuse_unknown(ExecutionData.model_fields)
    execution.hold_against(ExecutionData)
    filled, price = execution.amount("shares"), execution.number("price")
    has_order = order_id is not None or filled is not None
    status, reason = trade_status(facts, row.side, row.status, message, has_order=has_order, has_fill=bool(filled))
    value = execution.number("trade_amount")
    order_type = execution.text("order_type")
    return slim(
        TradeOutcome(
            trade_id=row.trade_id,
            symbol=row.symbol,
            action=row.side,
            status=status,
            reason=reason,
            error_message=message,
            planned_amount=fields.number("trade_amount"),
            is_complete_exit=row.is_complete_exit,
            intent=_intent(status, filled, order_type, price) if data else None,
            equity=_equity(row.side, status, reason, limit),
            filled_quantity=filled,
            average_price=price,
            value=abs(value) if value is not None else None,
            order_id=order_id,
            orders=(slim(OrderRecord(order_id=order_id, order_type=order_type)),) if order_id else (),
            started_at=fields.moment("started_at"),
            completed_at=fields.moment("completed_at"),
            raw_status=row.status.value,
            own=own_of(fields, execution),
        )
    )


def _intent(status: TradeStatus, filled: Decimal | None, order_type: str | None, price: Decimal | None) -> Intent:
    """Take what was executed for what was asked, of a completed trade: the control records no quantity that it asked for."""
    asked = filled if status is TradeStatus.COMPLETED else None
    return slim(Intent(quantity=asked, order_type=order_type, decision_price=price))


def _equity(side: Side, status: TradeStatus, reason: Reason | None, limit: Decimal | None) -> EquityDecision | None:
    """Tell what the breaker decided for a BUY; None where it was off or was never asked."""
    if side is not Side.BUY or not limit:
        return None
    if reason is Reason.EQUITY_LIMIT:
        return slim(EquityDecision(allowed=False, limit=limit))
    asked = status in (TradeStatus.COMPLETED, TradeStatus.FAILED)
    return slim(EquityDecision(allowed=True, limit=limit)) if asked else None


def _guard(run: Fields, facts: RunFacts, rows: list[_TradeRow]) -> GuardDecision | None:
    """Tell what the guard saw; None where the run has no SELL, or the guard's turn has not come."""
    stopped = facts.stop is FailureStep.SELL_PHASE_GUARD
    if not any(row.side is Side.SELL for row in rows) or not (stopped or facts.buys_were_sent):
        return None
    return GuardDecision(
        buy_phase_allowed=not stopped,
        sell_failed_amount=run.amount_total("sell_failed_amount"),
        sell_succeeded_amount=run.amount_total("sell_succeeded_amount"),
        threshold=GUARD_THRESHOLD_USD,
    )


def _counters(run: Fields) -> RunCounters:
    return RunCounters(
        total=run.count("total_trades"),
        completed=run.count("completed_trades"),
        succeeded=run.count("succeeded_trades"),
        failed=run.count("failed_trades"),
        skipped=run.count("skipped_trades"),
        sell_total=run.count("sell_total"),
        sell_completed=run.count("sell_completed"),
        buy_total=run.count("buy_total"),
        buy_completed=run.count("buy_completed"),
        sell_failed_amount=run.total("sell_failed_amount"),
        sell_succeeded_amount=run.total("sell_succeeded_amount"),
        cumulative_buy_succeeded=run.total("cumulative_buy_succeeded_value"),
    )


def _missing_trades(run: Fields, trades: tuple[TradeOutcome, ...]) -> list[Gap]:
    """Note every trade that the run item lists and that has no item of its own."""
    values = run.values.get("trade_ids")
    if not isinstance(values, list | tuple):
        return []
    listed = [name for name in values if isinstance(name, str)]
    present = {trade.trade_id for trade in trades}
    return [Gap(what=f"legacy trade {name}", reason="listed by the run, has no item") for name in listed if name not in present]


def _ended_at(run: Fields, trades: tuple[TradeOutcome, ...]) -> datetime | None:
    """Tell when the run ended: its own word, or the last trade's end where that is later (buys go on after the breaker)."""
    ends = [run.moment("completed_at") or run.moment("failed_at")]
    if run.values.get("completed_at") is None:
        ends += [trade.completed_at for trade in trades]
    return max((end for end in ends if end is not None), default=None)


_SLACK = timedelta(seconds=5)
"""How far the times of the ledger and of the items may be apart."""


def _claimed_rows(
    effects: Sequence[Effect], trades: Sequence[TradeOutcome], *, ledger_is_shared: bool
) -> tuple[list[Effect], list[Effect]]:
    """Give the effects, each row of the ledger with its trade, and the rows that belong to no trade."""
    by_id = {trade.trade_id: trade for trade in trades}
    told = {e.order_id: e.trade_id for e in effects if e.kind is EffectKind.TRADE_EXECUTED and e.order_id and e.trade_id in by_id}
    entered: dict[str, Decimal] = defaultdict(Decimal)
    known: list[Effect] = []
    left: list[Effect] = []
    for effect in effects:
        owner = effect.trade_id
        if effect.kind is EffectKind.LEDGER_ENTRY and effect.order_id is not None:
            owner = owner or told.get(effect.order_id)
            if owner is None and effect.symbol is not None and effect.action is not None:
                left.append(effect)
                continue
            entered[owner or ""] += effect.quantity or _ZERO
        known.append(effect if owner == effect.trade_id else effect.model_copy(update={"trade_id": owner}))
    unclaimed: list[Effect] = []
    by_symbol = {(joined_symbol(trade.symbol), trade.action): trade for trade in trades} if left else {}
    for row in left:
        trade = by_symbol.get((joined_symbol(row.symbol), row.action)) if row.symbol and row.action else None
        sure = trade is not None and (trade.trade_id in entered or not ledger_is_shared)
        if trade is not None and sure and _is_step(row, trade, entered.get(trade.trade_id)):
            known.append(row.model_copy(update={"trade_id": trade.trade_id}))
            entered[trade.trade_id] += row.quantity or _ZERO
        else:
            unclaimed.append(row)
    return known, unclaimed


def _unclaimed(row: Effect) -> Gap:
    what = f"{row.action} of {row.quantity} {row.symbol}"
    reason = f"a {what} under the run's correlation id, and no trade names its order: another run's, or one too many"
    return Gap(what=f"{UNCLAIMED_ROW}{row.order_id}", reason=reason)


def _is_step(row: Effect, trade: TradeOutcome, entered: Decimal | None) -> bool:
    """Tell whether a row whose order a trade does not name is of an earlier order of its walk, by time and by quantity."""
    if trade.started_at is None or not _holds(trade.started_at, trade.completed_at, row.at):
        return False
    if entered is None and (trade.status is TradeStatus.COMPLETED or not trade.filled_quantity):
        return trade.status is not TradeStatus.COMPLETED  # of what executed, the order that its item names is in the ledger, too
    return (entered or _ZERO) + (row.quantity or _ZERO) <= (trade.filled_quantity or _ZERO) + _SHARE_STEP


def _holds(begin: datetime | None, end: datetime | None, at: datetime | None) -> bool:
    """Tell whether a moment lies in a stretch of time, as far as both are known."""
    return at is None or ((begin is None or at >= begin - _SLACK) and (end is None or at <= end + _SLACK))


def _named_effects(effects: Sequence[Effect], trades: tuple[TradeOutcome, ...]) -> tuple[Effect, ...]:
    """Sort the effects by what they are about, not by when they happened to arrive."""
    by_id = {trade.trade_id: trade for trade in trades}
    named = []
    for effect in effects:
        trade = by_id.get(effect.trade_id or "")
        if trade is not None and (effect.symbol is None or effect.action is None):
            update = {"symbol": effect.symbol or trade.symbol, "action": effect.action or trade.action}
            named.append(effect.model_copy(update=update))
        else:
            named.append(effect)
    return tuple(sorted(named, key=effect_order))
