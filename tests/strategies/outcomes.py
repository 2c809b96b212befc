"""Plans and what two honest lanes make of them: the same fates, each lane with its own quotes, prices, times and records.

The control's records are those of the legacy contract (no bid or ask, the quote's mid as price, the last order only), the
candidate's those of the workflow. Nothing differs between them that a comparison should find.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from hypothesis import strategies as st

from shadow.compare.case import PairCase
from shadow.contracts.comparison import EvidenceRef
from shadow.contracts.control_records import FailureStep
from shadow.contracts.identity import client_order_id_of, run_id_of, trade_id_of
from shadow.contracts.outcome import (
    Effect,
    EquityDecision,
    GuardDecision,
    Intent,
    OrderRecord,
    RunCounters,
    RunOutcome,
    TradeOutcome,
)
from shadow.contracts.plan import PlanItem, RebalancePlan
from shadow.contracts.vocabulary import Action, EffectKind, Lane, Reason, Role, RunStatus, Side, SizingBasis, TradeStatus

DAY = date(2026, 3, 2)
START = datetime(2026, 3, 2, 20, 45, 1, tzinfo=UTC)
CENT, MICRO, ZERO = Decimal("0.01"), Decimal("0.000001"), Decimal(0)
SCENARIOS = ("plain", "failures", "guard", "breaker", "closed")
FATES = ("ok", "rejected", "partial", "rounds")


@dataclass(frozen=True)
class Fate:
    """What happens to a trade in both lanes, and the market each lane sees."""

    item: PlanItem
    price: Decimal
    held: Decimal
    end: str = "ok"
    by_value: bool = False
    steps: int = 1


@dataclass(frozen=True)
class World:
    """One plan and everything that decides what the lanes do with it."""

    plan: RebalancePlan
    fates: tuple[Fate, ...]
    limit: Decimal = Decimal(0)
    closed: bool = False
    seed: int = 0


def plan_of(items: list[PlanItem], number: int = 0) -> RebalancePlan:
    correlation = f"workflow-{number:08d}"
    return RebalancePlan(
        correlation_id=correlation,
        causation_id=correlation,
        plan_id=f"portfolio_v2_{correlation}_1772484301",
        timestamp=START,
        items=tuple(items),
        total_portfolio_value=Decimal("250000.00"),
        total_trade_value=sum((abs(item.trade_amount) for item in items), ZERO),
    )


def item_of(symbol: str, side: str, amount: Decimal, *, exits: bool = False, other: Decimal = Decimal("1000.00")) -> PlanItem:
    """One item: a BUY tops `other` up by `amount`, a SELL leaves `other` (an exit leaves nothing), a HOLD keeps it."""
    current = {"BUY": other, "SELL": amount if exits else amount + other, "HOLD": other}[side]
    signed = {"BUY": amount, "SELL": -amount, "HOLD": ZERO}[side]
    target = current + signed
    return PlanItem(
        symbol=symbol,
        current_weight=Decimal("0.1"),
        target_weight=ZERO if target == 0 else Decimal("0.1"),
        weight_diff=ZERO,
        target_value=target,
        current_value=current,
        trade_amount=signed,
        action=Action(side),
        priority=3,
    )


def random_world(seed: int, trades: int, scenario: str = "plain") -> World:
    """Make a world from a seed."""
    rng = random.Random(f"{seed}-{trades}-{scenario}")
    fates = []
    for index in range(trades):
        side = "SELL" if index % 2 == 0 else "BUY"
        amount = Decimal(rng.randint(600, 900_000)) / 100
        if rng.random() < 0.2:
            amount += Decimal(rng.randint(1, 10**12)) / Decimal(10**14)
        exits = side == "SELL" and rng.random() < 0.4
        item = item_of(f"SYM{index:03d}", side, amount, exits=exits, other=Decimal(rng.randint(100, 500_000)) / 100)
        price = Decimal(rng.randint(500, 60_000)) / 100
        held = (item.current_value / price).quantize(MICRO)
        fates.append(Fate(item, price, held, by_value=rng.random() < 0.5, steps=rng.choice((1, 1, 1, 2, 4))))
    world = World(plan_of([fate.item for fate in fates] + [item_of("HOLDS", "HOLD", ZERO)], seed), tuple(fates), seed=seed)
    return _troubled(world, scenario, rng)


def _troubled(world: World, scenario: str, rng: random.Random) -> World:
    if scenario == "closed":
        return replace(world, closed=True)
    if scenario == "breaker":
        buys = sum((abs(f.item.trade_amount) for f in world.fates if f.item.side is Side.BUY), ZERO)
        return replace(world, limit=max((buys * Decimal("0.6")).quantize(CENT), Decimal(1)))
    if scenario == "failures":
        ends = [rng.choice(("ok", "ok", *FATES)) for _ in world.fates]
        small = [
            f.end if abs(f.item.trade_amount) > 100 and f.item.side is Side.SELL else end
            for f, end in zip(world.fates, ends, strict=True)
        ]
        return replace(world, fates=tuple(replace(f, end=end) for f, end in zip(world.fates, small, strict=True)))
    if scenario == "guard":
        return replace(world, fates=tuple(replace(f, end="rejected" if f.item.side is Side.SELL else "ok") for f in world.fates))
    return replace(world, limit=Decimal(500000))


def random_case(seed: int, trades: int = 6, scenario: str = "plain") -> PairCase:
    """Make a pair in which nothing differs that should be found."""
    return case_of(random_world(seed, trades, scenario))


def case_of(world: World) -> PairCase:
    """Run a world through both lanes."""
    return PairCase(
        plan=world.plan,
        trading_day=DAY,
        published_at=START,
        control=LaneMaker(world, Role.CONTROL).run(),
        candidate=LaneMaker(world, Role.CANDIDATE).run(),
        code_version="0.1.0",
        evidence=(EvidenceRef(name="control", key="evidence/control.json.gz", sha256="0" * 64, size=1000),),
    )


class LaneMaker:
    """Makes one lane's outcome of a world."""

    def __init__(self, world: World, role: Role, fault: str = "") -> None:
        self.fault = fault
        self.world = world
        self.role = role
        self.rng = random.Random(f"{world.seed}-{role}")
        self.run_id = run_id_of(world.plan.plan_id)
        self.is_control = role is Role.CONTROL
        self.deployed = ZERO
        self.clock = START + timedelta(seconds=2 if self.is_control else 3)
        self.effects: list[Effect] = []

    def run(self) -> RunOutcome:
        started = self.clock
        sells = [self._trade(fate) for fate in self.world.fates if fate.item.side is Side.SELL]
        failed = sum((abs(t.planned_amount or ZERO) for t in sells if t.status is TradeStatus.FAILED), ZERO)
        done = sum((abs(t.planned_amount or ZERO) for t in sells if t.status is TradeStatus.COMPLETED), ZERO)
        blocks = failed > 500 and self.fault not in ("zero guard", "no guard")
        guard = GuardDecision(
            buy_phase_allowed=not blocks,
            sell_failed_amount=ZERO if self.fault == "zero guard" else failed,
            sell_succeeded_amount=done,
            threshold=Decimal("500.00"),
        )
        blocks = blocks and self.fault != "guard ignored"
        buying = [fate for fate in self.world.fates if fate.item.side is Side.BUY]
        buys = [self._trade(fate, guarded=blocks) for fate in (buying[::-1] if self.fault == "other order" else buying)]
        trades = (*sells, *buys)
        status = self._status(trades, blocks=blocks)
        self._run_effects(status, trades)
        stopped = status is not RunStatus.COMPLETED
        return RunOutcome(
            role=self.role,
            lane=Lane.LEGACY if self.role is Role.CONTROL else Lane.WORKFLOW,
            run_id=self.run_id,
            plan_id=self.world.plan.plan_id,
            correlation_id=self.world.plan.correlation_id,
            status=status,
            raw_status=("FAILED" if stopped else "COMPLETED") if self.is_control else ("FAILED" if stopped else "SUCCEEDED"),
            terminal_state=None if self.is_control else "Finished",
            failure_step=_STEPS[status].value if stopped else None,
            failure_reason="a safety rule" if stopped else None,
            guard=guard if sells else None,
            equity_limit=self.world.limit,
            counters=self._counters(trades, failed, done, stopped=stopped),
            trades=trades,
            effects=tuple(self.effects),
            started_at=started,
            completed_at=self.clock + timedelta(seconds=1),
            buy_phase_started_at=None,
            state_transitions=None if self.is_control else 20,
        )

    def _status(self, trades: tuple[TradeOutcome, ...], *, blocks: bool) -> RunStatus:
        if blocks:
            return RunStatus.BLOCKED_BY_GUARD
        breaker = any(trade.reason is Reason.EQUITY_LIMIT for trade in trades)
        return RunStatus.BLOCKED_BY_EQUITY_LIMIT if breaker else RunStatus.COMPLETED

    def _counters(self, trades: tuple[TradeOutcome, ...], failed: Decimal, done: Decimal, *, stopped: bool) -> RunCounters | None:
        counts = tally(trades)
        if not self.is_control:
            return None if stopped else RunCounters(**counts)
        ended = [t for t in trades if t.reason is not Reason.SELL_GUARD]
        sides = [t.action for t in trades]
        return RunCounters(
            **counts,
            completed=len(ended),
            sell_total=sides.count(Side.SELL),
            sell_completed=sum(1 for t in ended if t.action is Side.SELL),
            buy_total=sides.count(Side.BUY),
            buy_completed=sum(1 for t in ended if t.action is Side.BUY),
            sell_failed_amount=failed,
            sell_succeeded_amount=done,
            cumulative_buy_succeeded=sum(
                (t.planned_amount or ZERO for t in trades if t.action is Side.BUY and t.status is TradeStatus.COMPLETED), ZERO
            ),
        )

    def _run_effects(self, status: RunStatus, trades: tuple[TradeOutcome, ...]) -> None:
        if status is RunStatus.COMPLETED and trades:
            counts = {f"{name}_trades": count for name, count in tally(trades).items()}
            self.effects.append(
                Effect(kind=EffectKind.ALL_TRADES_COMPLETED, emitted=self.is_control, **self._ids(), **counts)  # type: ignore[arg-type]
            )
        elif status is not RunStatus.COMPLETED:
            self.effects.append(
                Effect(kind=EffectKind.WORKFLOW_FAILED, emitted=self.is_control, failure_step=_STEPS[status], **self._ids())
            )

    def _ids(self) -> dict[str, str]:
        plan = self.world.plan
        return {"run_id": self.run_id, "plan_id": plan.plan_id, "correlation_id": plan.correlation_id}

    def _trade(self, fate: Fate, *, guarded: bool = False) -> TradeOutcome:
        item = fate.item
        side = Side(item.action.value)
        base = TradeOutcome(
            trade_id=trade_id_of(self.run_id, item.symbol, side),
            symbol=item.symbol,
            action=side,
            status=TradeStatus.BLOCKED,
            planned_amount=item.trade_amount,
            is_complete_exit=item.is_full_exit,
        )
        if guarded:
            return base.model_copy(update={"reason": Reason.SELL_GUARD, "raw_status": "WAITING"})
        begun = self.clock + timedelta(seconds=1)
        self.clock = begun + timedelta(seconds=self.rng.uniform(0.5, 2))
        trade = self._ended(base.model_copy(update={"started_at": begun, "completed_at": self.clock}), fate)
        self._trade_effects(trade)
        return trade

    def _ended(self, trade: TradeOutcome, fate: Fate) -> TradeOutcome:
        amount = abs(fate.item.trade_amount)
        if self.world.closed:
            message = "Market closed - order placement skipped"
            return trade.model_copy(
                update={"status": TradeStatus.SKIPPED, "reason": Reason.MARKET_CLOSED, "error_message": message}
            )
        limit = self.world.limit
        if trade.action is Side.BUY and limit:
            blocked = self.deployed + amount > limit and self.fault != "no breaker"
            if blocked or self.fault == "breaker blocks all":
                check = EquityDecision(allowed=False, limit=limit, cumulative=None if self.is_control else self.deployed)
                return trade.model_copy(update={"reason": Reason.EQUITY_LIMIT, "error_message": "limit", "equity": check})
            check = EquityDecision(allowed=True, limit=limit, cumulative=None if self.is_control else self.deployed + amount)
            trade = trade.model_copy(update={"equity": check})
        if fate.end == "rounds":
            return trade.model_copy(
                update={"status": TradeStatus.FAILED, "reason": Reason.ROUNDS_TO_ZERO, "error_message": "rounds to zero"}
            )
        return self._executed(trade, fate, amount)

    def _executed(self, trade: TradeOutcome, fate: Fate, amount: Decimal) -> TradeOutcome:
        mid = self._mid(fate)
        basis, asked = self._sized(fate, amount, mid)
        part = {"ok": Decimal(1), "partial": Decimal("0.4"), "rejected": ZERO}[fate.end]
        filled = (asked * part).quantize(MICRO)
        if fate.end == "ok":
            filled = asked
            self.deployed += amount if trade.action is Side.BUY else ZERO
        drift = Decimal(self.rng.randint(-8, 8)) / 10_000
        price = (mid * (1 + drift)).quantize(Decimal("0.0001"))
        update = self._control_record if self.is_control else self._candidate_record
        ended = {
            "ok": (TradeStatus.COMPLETED, None, None),
            "partial": (TradeStatus.FAILED, Reason.PARTIAL_FILL, "partial"),
            "rejected": (TradeStatus.FAILED, Reason.BROKER_REJECTED, "rejected"),
        }[fate.end]
        values = {"status": ended[0], "reason": ended[1], "error_message": ended[2]}
        return trade.model_copy(update=values | update(trade, fate, (basis, asked, filled, mid, price)))

    def _mid(self, fate: Fate) -> Decimal:
        return (fate.price * (1 + Decimal(self.rng.randint(-40, 40)) / 10_000)).quantize(CENT) + Decimal("0.005")

    def _sized(self, fate: Fate, amount: Decimal, mid: Decimal) -> tuple[SizingBasis, Decimal]:
        if not fate.item.is_full_exit:
            return SizingBasis.TRADE_AMOUNT, (amount / mid).quantize(MICRO)
        if self.is_control or not fate.by_value:
            return SizingBasis.HELD_QUANTITY, fate.held
        return SizingBasis.HELD_VALUE, (fate.item.current_value / mid).quantize(MICRO)

    def _control_record(
        self, trade: TradeOutcome, fate: Fate, sized: tuple[SizingBasis, Decimal, Decimal, Decimal, Decimal]
    ) -> dict[str, object]:
        _, _, filled, mid, price = sized
        order_id = f"control-{trade.symbol}"
        kind = "limit" if fate.steps < 4 else "market"
        values: dict[str, object] = {
            "order_id": order_id,
            "orders": (OrderRecord(order_id=order_id, order_type=kind),),
            "raw_status": "COMPLETED",
        }
        if filled > 0:
            values |= {
                "intent": Intent(quantity=filled, order_type=kind, decision_price=mid),
                "filled_quantity": filled,
                "average_price": mid,
                "value": filled * mid,
            }
            self._ledger(trade, order_id, filled, price)
        return values

    def _candidate_record(
        self, trade: TradeOutcome, fate: Fate, sized: tuple[SizingBasis, Decimal, Decimal, Decimal, Decimal]
    ) -> dict[str, object]:
        basis, asked, filled, mid, price = sized
        orders = []
        for step in range(fate.steps):
            last = step == fate.steps - 1
            done = filled if last else ZERO
            status = "filled" if last and filled == asked else "canceled"
            orders.append(
                OrderRecord(
                    client_order_id=client_order_id_of(trade.trade_id, step),
                    order_id=f"candidate-{trade.symbol}-{step}",
                    order_type="market" if last and fate.steps > 1 else "limit",
                    quantity=asked,
                    limit_price=mid,
                    status="rejected" if fate.end == "rejected" else status,
                    filled_quantity=done,
                    average_price=price if done else None,
                    submitted_at=(trade.started_at or START) + timedelta(milliseconds=step),
                )
            )
        if filled > 0:
            self._ledger(trade, orders[-1].order_id, filled, price)
        return {
            "intent": Intent(
                sizing_basis=basis,
                quantity=asked,
                order_type="limit",
                bid=mid - CENT,
                ask=mid + CENT,
                quote_at=trade.started_at or START,
                market_at=trade.started_at or START,
                decision_price=mid,
            ),
            "filled_quantity": filled,
            "average_price": price if filled else None,
            "value": filled * price,
            "order_id": orders[-1].order_id,
            "attempts": 1,
            "orders": tuple(orders),
            "raw_status": "COMPLETED",
        }

    def _ledger(self, trade: TradeOutcome, order_id: str | None, quantity: Decimal, price: Decimal) -> None:
        self.effects.append(
            Effect(
                kind=EffectKind.LEDGER_ENTRY,
                emitted=self.is_control,
                trade_id=None if self.is_control else trade.trade_id,
                symbol=trade.symbol,
                action=trade.action,
                order_id=order_id,
                success=True,
                quantity=quantity,
                price=price,
            )
        )

    def _trade_effects(self, trade: TradeOutcome) -> None:
        filled = trade.filled_quantity or None
        self.effects.append(
            Effect(
                kind=EffectKind.TRADE_EXECUTED,
                emitted=self.is_control,
                trade_id=trade.trade_id,
                symbol=trade.symbol,
                action=trade.action,
                order_id=trade.order_id,
                amount=trade.value if filled else None,
                **self._ids(),
                success=trade.status is TradeStatus.COMPLETED,
                quantity=filled,
                price=trade.average_price if filled else None,
            )
        )


_STEPS = {
    RunStatus.BLOCKED_BY_GUARD: FailureStep.SELL_PHASE_GUARD,
    RunStatus.BLOCKED_BY_EQUITY_LIMIT: FailureStep.EQUITY_CIRCUIT_BREAKER,
}


def tally(trades: tuple[TradeOutcome, ...]) -> dict[str, int]:
    """Count trades as both lanes do."""
    statuses = [trade.status for trade in trades]
    breaker = sum(1 for trade in trades if trade.reason is Reason.EQUITY_LIMIT)
    return {
        "total": len(trades),
        "succeeded": statuses.count(TradeStatus.COMPLETED),
        "failed": statuses.count(TradeStatus.FAILED) + breaker,
        "skipped": statuses.count(TradeStatus.SKIPPED),
    }


@st.composite
def cases(draw: st.DrawFn, max_trades: int = 7, scenarios: tuple[str, ...] = SCENARIOS) -> PairCase:
    """Draw a pair in which nothing differs that should be found."""
    return random_case(draw(st.integers(0, 10**6)), draw(st.integers(1, max_trades)), draw(st.sampled_from(scenarios)))


def pair_of(control: World, candidate: World) -> PairCase:
    """Run two worlds with one plan, one in each lane."""
    case = case_of(control)
    return replace(case, candidate=LaneMaker(candidate, Role.CANDIDATE).run())
