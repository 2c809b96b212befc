"""Comparison documents made by hand, for whoever reads them: frames, readiness, report, notebook and benchmarks."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from shadow.compare.judge import with_totals
from shadow.contracts.comparison import Attribution, Comparison, Difference, EvidenceRef, Impact, Level, Severity, Verdict
from shadow.contracts.identity import run_id_of, trade_id_of
from shadow.contracts.outcome import Effect, GuardDecision, Intent, OrderRecord, RunOutcome, TradeOutcome
from shadow.contracts.plan import PlanItem, RebalancePlan
from shadow.contracts.vocabulary import Action, EffectKind, Lane, Reason, Role, RunStatus, Side, SizingBasis, TradeStatus

NEW_YORK = ZoneInfo("America/New_York")
CENT = Decimal("0.01")
MICRO = Decimal("0.000001")


def plan_of(day: date, trades: int = 12, *, number: int = 0, seed: int = 7, exits: int = 2) -> RebalancePlan:
    """Make a plan with `trades` trades, half of them sells (at least `exits` full exits), and two HOLDs."""
    rng = random.Random(f"{seed}-{day}-{number}")
    timestamp = datetime.combine(day, time(15, 45), NEW_YORK).astimezone(UTC) + timedelta(minutes=number)
    correlation = f"workflow-{day}-{number}"
    sells = trades // 2
    items = [_item(index, sells, trades, exits, rng) for index in range(trades + 2)]
    return RebalancePlan(
        correlation_id=correlation,
        causation_id=correlation,
        plan_id=f"portfolio_v2_{correlation}_{int(timestamp.timestamp())}",
        timestamp=timestamp,
        items=tuple(items),
        total_portfolio_value=Decimal("250000.00"),
        total_trade_value=sum((abs(item.trade_amount) for item in items), Decimal(0)),
    )


def _item(index: int, sells: int, trades: int, exits: int, rng: random.Random) -> PlanItem:
    amount = Decimal(rng.randint(2_000, 900_000)) / 100
    current = amount + Decimal(rng.randint(1_000, 500_000)) / 100
    side, target = Action.HOLD, current
    if index < sells:
        side, target = Action.SELL, Decimal(0) if index < exits else current - amount
    elif index < trades:
        side, target = Action.BUY, current + amount
    weight = Decimal(0) if target == 0 else (target / 250_000).quantize(MICRO)
    held = (current / 250_000).quantize(MICRO)
    return PlanItem(
        symbol=f"SYM{index:04d}",
        current_weight=min(held, Decimal(1)),
        target_weight=min(weight, Decimal(1)),
        weight_diff=weight - held,
        target_value=target,
        current_value=current,
        trade_amount=target - current,
        action=side,
        priority=3,
    )


def own_id(run_id: str, name: str) -> str:
    """Give an id as the lane in production mints it, the same each time: nothing of ours computes it."""
    return str(uuid5(UUID(run_id), f"own:{name}"))


def trade_outcome(plan: RebalancePlan, item: PlanItem, role: Role, rng: random.Random, start: datetime) -> TradeOutcome:
    """Make the outcome of one trade, filled in full near its quote. The control has ids of its own, as in the world."""
    run_id, is_control = run_id_of(plan.plan_id), role is Role.CONTROL
    trade_id = own_id(run_id, item.symbol) if is_control else trade_id_of(run_id, item.symbol, item.action)
    mid = Decimal(rng.randint(2_000, 60_000)) / 100
    side = Side(item.action.value)
    drift = Decimal(rng.randint(-15, 25)) / 10_000 * (1 if side is Side.BUY else -1)
    price = (mid * (1 + drift)).quantize(Decimal("0.0001")) if is_control else mid
    quantity = (abs(item.trade_amount) / mid).quantize(MICRO)
    order = OrderRecord(
        client_order_id=None if is_control else trade_id,
        order_id=f"order-{role.value}-{trade_id[:8]}",
        order_type="limit",
        quantity=quantity,
        limit_price=mid.quantize(CENT),
        status="filled",
        filled_quantity=quantity,
        average_price=price,
        submitted_at=start,
        accepted=is_control or None,
    )
    return TradeOutcome(
        trade_id=trade_id,
        symbol=item.symbol,
        action=side,
        status=TradeStatus.COMPLETED,
        planned_amount=item.trade_amount,
        is_complete_exit=item.is_full_exit,
        intent=Intent(
            sizing_basis=SizingBasis.HELD_QUANTITY if item.is_full_exit else SizingBasis.TRADE_AMOUNT,
            quantity=quantity,
            order_type="limit",
            bid=mid - CENT,
            ask=mid + CENT,
            quote_at=start,
            market_at=start,
            decision_price=mid,
        ),
        filled_quantity=quantity,
        average_price=price,
        value=(quantity * price).quantize(CENT),
        order_id=order.order_id,
        attempts=1,
        orders=(order,),
        started_at=start,
        completed_at=start + timedelta(seconds=rng.uniform(3, 11)),
        raw_status="COMPLETED",
    )


def outcome_of(plan: RebalancePlan, role: Role, *, seed: int = 7, slower: float = 1.0) -> RunOutcome:
    """Make one lane's run of `plan`, every trade completed; `slower` stretches its duration."""
    rng = random.Random(f"{seed}-{plan.plan_id}-{role}")
    start = plan.timestamp + timedelta(seconds=2)
    trades = tuple(trade_outcome(plan, item, role, rng, start) for item in plan.tradable_items)
    seconds = (38 + rng.uniform(-4, 4)) * (1.0 if role is Role.CONTROL else 0.92 * slower)
    emitted = role is Role.CONTROL
    return RunOutcome(
        role=role,
        lane=Lane.LEGACY if role is Role.CONTROL else Lane.WORKFLOW,
        run_id=own_id(run_id_of(plan.plan_id), "run") if emitted else run_id_of(plan.plan_id),
        plan_id=plan.plan_id,
        correlation_id=plan.correlation_id,
        status=RunStatus.COMPLETED,
        raw_status="COMPLETED" if emitted else "SUCCEEDED",
        terminal_state=None if emitted else "WorkflowSucceeded",
        guard=GuardDecision(buy_phase_allowed=True, sell_failed_amount=Decimal(0), threshold=Decimal(500)),
        equity_limit=Decimal(200_000),
        trades=trades,
        effects=tuple(
            Effect(kind=EffectKind.TRADE_EXECUTED, emitted=emitted, trade_id=t.trade_id, symbol=t.symbol, action=t.action)
            for t in trades
        ),
        started_at=start,
        completed_at=start + timedelta(seconds=seconds),
        state_transitions=None if emitted else 14 + 2 * len(trades),
    )


def with_trade(outcome: RunOutcome, index: int, **changes: object) -> RunOutcome:
    """Copy `outcome` with one trade changed."""
    trades = list(outcome.trades)
    trades[index] = trades[index].model_copy(update=changes)
    return outcome.model_copy(update={"trades": tuple(trades)})


def partly_filled(outcome: RunOutcome, index: int = 0) -> RunOutcome:
    """Copy `outcome` with one trade half filled."""
    half = (outcome.trades[index].filled_quantity or Decimal(0)) / 2
    return with_trade(outcome, index, status=TradeStatus.FAILED, reason=Reason.PARTIAL_FILL, filled_quantity=half)


def difference(comparison: Comparison, index: int = 0, **changes: object) -> Difference:
    """Make a difference about one trade of `comparison`: a MAJOR wrong quantity of the candidate unless changed."""
    trade = comparison.control.trades[index] if comparison.control else None
    planned = trade_id_of(run_id_of(comparison.plan.plan_id), trade.symbol, trade.action) if trade else None
    base = Difference(
        kind="ORDER_QUANTITY",
        level=Level.ORDER,
        severity=Severity.MAJOR,
        attribution=Attribution.CANDIDATE,
        lane=Lane.WORKFLOW,
        field="quantity",
        trade_id=planned,
        symbol=trade.symbol if trade else None,
        action=trade.action if trade else None,
        planned="10.000000",
        control="10.000000",
        candidate="12.000000",
        rule="order.quantity exact",
        explanation="The candidate asked for 2 shares more than the plan needs.",
        impact=Impact(notional=Decimal("246.80"), cash=Decimal("-246.80")),
    )
    lanes = {Attribution.CONTROL: Lane.LEGACY, Attribution.CANDIDATE: Lane.WORKFLOW, Attribution.NEITHER: None}
    return base.model_copy(update={"lane": lanes[changes.get("attribution", base.attribution)], **changes})  # type: ignore[index]


def comparison_of(
    day: date, *, trades: int = 12, number: int = 0, origin: str = "live", slower: float = 1.0, exits: int = 2, seed: int = 7
) -> Comparison:
    """Make a matched pair."""
    plan = plan_of(day, trades, number=number, seed=seed, exits=exits)
    return Comparison(
        plan_id=plan.plan_id,
        run_id=run_id_of(plan.plan_id),
        trading_day=day,
        origin=origin,
        published_at=plan.timestamp + timedelta(seconds=1),
        verdict=Verdict.MATCHED,
        differences=(),
        plan=plan,
        control=outcome_of(plan, Role.CONTROL, seed=seed),
        candidate=outcome_of(plan, Role.CANDIDATE, seed=seed, slower=slower),
        evidence=(EvidenceRef(name="legacy", key=f"evidence/{day}/control.json.gz", sha256="0" * 64, size=1000),),
        policy_hash="f" * 64,
        code_version="0.1.0",
    )


def diverged(comparison: Comparison, *differences: Difference) -> Comparison:
    """Copy `comparison` with `differences` (one MAJOR quantity by default), its verdict and its sums."""
    return with_totals(comparison.model_copy(update={"differences": differences or (difference(comparison),)}))


def with_the_plans_ids(comparison: Comparison) -> Comparison:
    """Copy `comparison` with a control whose ids are those of the plan, as a workflow in production has them."""
    control = comparison.control
    if control is None:
        return comparison
    names = {
        trade.trade_id: trade_id_of(run_id_of(comparison.plan.plan_id), trade.symbol, trade.action) for trade in control.trades
    }
    trades = tuple(trade.model_copy(update={"trade_id": names[trade.trade_id]}) for trade in control.trades)
    effects = control.effects and tuple(e.model_copy(update={"trade_id": names.get(e.trade_id or "")}) for e in control.effects)
    named = {"run_id": comparison.run_id, "trades": trades, "effects": effects}
    return comparison.model_copy(update={"control": control.model_copy(update=named)})


def with_roles_swapped(comparison: Comparison) -> Comparison:
    """Copy `comparison` as one after the cut-over: the workflow is in production, and the legacy lane shadows it."""
    control, candidate = comparison.candidate, comparison.control
    roles = {
        "control": control and control.model_copy(update={"role": Role.CONTROL}),
        "candidate": candidate and candidate.model_copy(update={"role": Role.CANDIDATE}),
    }
    return comparison.model_copy(update={"production_lane": Lane.WORKFLOW, **roles})


def in_extended_notation(comparison: Comparison, *roles: Role) -> Comparison:
    """Copy `comparison` with every symbol of the plan, and of the lanes of these roles, in the extended notation."""

    def named(trade: TradeOutcome) -> TradeOutcome:
        return trade.model_copy(update={"symbol": f"EQUITIES::{trade.symbol}//USD"})

    items = tuple(item.model_copy(update={"symbol": f"EQUITIES::{item.symbol}//USD"}) for item in comparison.plan.items)
    runs = {
        run.role.value: run.model_copy(update={"trades": tuple(map(named, run.trades))})
        for run in (comparison.control, comparison.candidate)
        if run is not None and run.role in roles
    }
    return comparison.model_copy(update={"plan": comparison.plan.model_copy(update={"items": items}), **runs})


def with_a_trade_beyond_the_plan(comparison: Comparison, *roles: Role, trade_id: str = "own-1") -> Comparison:
    """Copy `comparison` with a trade that nobody planned, and under an id of its own, in the lanes of these roles."""
    runs = {}
    for role in roles:
        run = comparison.control if role is Role.CONTROL else comparison.candidate
        if run is not None:
            more = run.trades[0].model_copy(update={"trade_id": trade_id, "symbol": "ELSE", "is_complete_exit": False})
            runs[role.value] = run.model_copy(update={"trades": (*run.trades, more)})
    return comparison.model_copy(update=runs)


def missing_candidate(comparison: Comparison) -> Comparison:
    """Copy `comparison` as a pair whose candidate never turned up."""
    return comparison.model_copy(
        update={"candidate": None, "verdict": Verdict.MISSING_CANDIDATE, "gaps": ("candidate: no execution was found",)}
    )


def incomplete(comparison: Comparison, gap: str = "candidate.history: truncated at 25,000 events") -> Comparison:
    """Copy `comparison` as one whose evidence could not all be read."""
    return comparison.model_copy(update={"verdict": Verdict.INCOMPLETE, "gaps": (gap,)})


def document(comparison: Comparison) -> bytes:
    """Write the stored document."""
    return comparison.model_dump_json().encode()


def key_of(comparison: Comparison) -> str:
    """Name the document in the store."""
    digest = sha256(document(comparison)).hexdigest()[:16]
    return f"comparisons/day={comparison.trading_day}/{comparison.run_id}-{digest}.json"


class Given:
    """Comparisons, or the bytes of documents, at hand as a source has them."""

    def __init__(self, *stored: Comparison | bytes) -> None:
        self._documents = [each if isinstance(each, bytes) else document(each) for each in stored]

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        del first, last
        yield from ((f"document-{number}", content) for number, content in enumerate(self._documents))


def write_store(folder: Path, comparisons: Iterable[Comparison]) -> Path:
    """Write a folder like the evidence bucket."""
    for entry in comparisons:
        path = folder / key_of(entry)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(document(entry))
    return folder


def write_jsonl(path: Path, comparisons: Iterable[Comparison]) -> Path:
    """Write one document a line."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(document(entry) + b"\n" for entry in comparisons))
    return path


def story(days: Sequence[date]) -> list[Comparison]:
    """Tell a period with one of everything: a plain match most days, and a different trouble on some."""
    made = [comparison_of(day) for day in days]
    for index, entry in enumerate(made):
        made[index] = _trouble(entry, index)
    drill = comparison_of(days[-1], number=5, origin="planted")
    blocked = drill.model_copy(
        update={
            "candidate": drill.candidate.model_copy(update={"status": RunStatus.BLOCKED_BY_GUARD}) if drill.candidate else None,
            "control": drill.control.model_copy(update={"status": RunStatus.BLOCKED_BY_GUARD}) if drill.control else None,
        }
    )
    return [*made, blocked, comparison_of(days[-2], number=6, origin="replay")]


def _trouble(entry: Comparison, index: int) -> Comparison:
    match index % 10:
        case 3:
            return diverged(entry, difference(entry, 1, covered_by="KD-001", severity=Severity.MINOR, kind="SLIPPAGE"))
        case 6:
            second = difference(entry, 3, kind="TRADE_STATUS", field="status", level=Level.FILL)
            return diverged(entry, difference(entry, 2), second)
        case 7:
            words = "<b>1,200</b> was bought, not 200."
            first = difference(entry, 0, kind="SIZING_BASIS", severity=Severity.CRITICAL, explanation=words)
            slow = {"attribution": Attribution.CONTROL, "severity": Severity.MINOR, "kind": "DURATION_RATIO"}
            return diverged(entry, first, difference(entry, 4, **slow))
        case _:
            return entry
