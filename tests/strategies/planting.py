"""Differences planted in outcomes, each in a lane of choice: what the tests of kinds and the metamorphic tests share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal

from shadow.compare.case import PairCase
from shadow.contracts.outcome import Effect, OrderRecord, RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import EffectKind, Role, RunStatus, Side, TradeStatus
from tests.strategies.outcomes import ZERO, LaneMaker, World, case_of, random_world

Edit = Callable[[PairCase, Role], PairCase]
NOTHING_TRADED: dict[str, object] = {
    "intent": None,
    "filled_quantity": None,
    "average_price": None,
    "value": None,
    "orders": (),
    "equity": None,
}
NEVER_RAN = NOTHING_TRADED | {"order_id": None, "started_at": None, "completed_at": None}


def run_of(case: PairCase, role: Role) -> RunOutcome:
    run = case.control if role is Role.CONTROL else case.candidate
    assert run is not None
    return run


def with_run(case: PairCase, role: Role, **update: object) -> PairCase:
    return replace(case, **{role.value: run_of(case, role).model_copy(update=update)})


def is_exit(trade: TradeOutcome) -> bool:
    return trade.action is Side.SELL and trade.is_complete_exit is True


def is_sell(trade: TradeOutcome) -> bool:
    return trade.action is Side.SELL and not trade.is_complete_exit


def is_buy(trade: TradeOutcome) -> bool:
    return trade.action is Side.BUY


def trade_edit(pick: Callable[[TradeOutcome], bool], edit: Callable[[TradeOutcome], dict[str, object]]) -> Edit:
    """Edit the first trade that `pick` likes."""

    def plant(case: PairCase, role: Role) -> PairCase:
        run = run_of(case, role)
        chosen = next(trade for trade in run.trades if pick(trade))
        trades = tuple(t.model_copy(update=edit(t)) if t is chosen else t for t in run.trades)
        return with_run(case, role, trades=trades)

    return plant


def run_edit(edit: Callable[[RunOutcome], dict[str, object]]) -> Edit:
    return lambda case, role: with_run(case, role, **edit(run_of(case, role)))


def effects_edit(edit: Callable[[tuple[Effect, ...]], tuple[Effect, ...]]) -> Edit:
    return lambda case, role: with_run(case, role, effects=edit(run_of(case, role).effects or ()))


def intent(trade: TradeOutcome, **update: object) -> dict[str, object]:
    assert trade.intent is not None
    return {"intent": trade.intent.model_copy(update=update)}


def refilled(trade: TradeOutcome, quantity: Decimal) -> dict[str, object]:
    """Ask for and fill another quantity, in intent, record and orders alike."""
    assert trade.intent is not None
    orders = tuple(
        order.model_copy(
            update={"quantity": quantity, "filled_quantity": quantity if order.filled_quantity else order.filled_quantity}
        )
        if order.client_order_id
        else order
        for order in trade.orders
    )
    return intent(trade, quantity=quantity) | {
        "filled_quantity": quantity,
        "value": quantity * (trade.average_price or ZERO),
        "orders": orders,
    }


def told(effect: Effect, quantity: Decimal | None, price: Decimal | None) -> Effect:
    """Let an effect tell of a fill, with its dollars where it told of them."""
    amount = quantity * price if effect.amount is not None and quantity is not None and price is not None else effect.amount
    return effect.model_copy(update={"quantity": quantity, "price": price, "amount": amount})


def resized(
    pick: Callable[[TradeOutcome], bool], factor: Callable[[TradeOutcome, PairCase], Decimal], *, blind: bool = False
) -> Edit:
    """Size a trade wrongly and carry it through order, fill, event and ledger. `blind`: no intent of it is kept."""

    def plant(case: PairCase, role: Role) -> PairCase:
        chosen = next(trade for trade in run_of(case, role).trades if pick(trade))
        quantity = factor(chosen, case)
        case = trade_edit(
            lambda t: t.trade_id == chosen.trade_id,
            lambda t: refilled(t, quantity) | ({"intent": None, "orders": ()} if blind else {}),
        )(case, role)

        def carried(effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
            mine = {EffectKind.TRADE_EXECUTED, EffectKind.LEDGER_ENTRY}
            return tuple(told(e, quantity, e.price) if e.symbol == chosen.symbol and e.kind in mine else e for e in effects)

        return effects_edit(carried)(case, role)

    return plant


def repriced(pick: Callable[[TradeOutcome], bool], factor: Decimal) -> Edit:
    """Size a trade on a quote that is not the market's, and fill what was asked for at the market's own price."""

    def plant(case: PairCase, role: Role) -> PairCase:
        chosen = next(trade for trade in run_of(case, role).trades if pick(trade))
        assert chosen.intent is not None
        assert chosen.intent.decision_price is not None
        quoted = chosen.intent.decision_price * factor
        quantity = (abs(chosen.planned_amount or ZERO) / quoted).quantize(Decimal("0.000001"))
        case = resized(lambda t: t.trade_id == chosen.trade_id, lambda _t, _c: quantity)(case, role)

        def requoted(trade: TradeOutcome) -> dict[str, object]:
            known = trade.intent is not None and trade.intent.bid is not None
            half = Decimal("0.01")
            orders = tuple(o.model_copy(update={"limit_price": quoted}) if o.limit_price else o for o in trade.orders)
            return intent(
                trade, decision_price=quoted, bid=quoted - half if known else None, ask=quoted + half if known else None
            ) | {"orders": orders}

        return trade_edit(lambda t: t.trade_id == chosen.trade_id, requoted)(case, role)

    return plant


def unfilled(pick: Callable[[TradeOutcome], bool]) -> Edit:
    """Record a trade as executed with nothing filled, as its event and ledger say too."""

    def plant(case: PairCase, role: Role) -> PairCase:
        chosen = next(trade for trade in run_of(case, role).trades if pick(trade))
        nothing = {"filled_quantity": ZERO, "value": ZERO, "average_price": None, "orders": ()}
        case = trade_edit(lambda t: t.trade_id == chosen.trade_id, lambda _t: nothing)(case, role)

        def carried(effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
            left = (e for e in effects if e.symbol != chosen.symbol or e.kind is not EffectKind.LEDGER_ENTRY)
            return tuple(e.model_copy(update={"quantity": None, "price": None}) if e.symbol == chosen.symbol else e for e in left)

        return effects_edit(carried)(case, role)

    return plant


def same(world: World) -> World:
    return world


def in_worlds(
    change: Callable[[World], World] = same, base: Callable[[World], World] = same, *, fault: str = "", scenario: str = "plain"
) -> Edit:
    """Let one lane live in a changed world with the same plan, or have a fault."""

    def plant(case: PairCase, role: Role) -> PairCase:
        del case
        world = base(random_world(11, 8, scenario))
        return replace(case_of(world), **{role.value: LaneMaker(change(world), role, fault).run()})

    return plant


def fate_of(side: Side, end: str) -> Callable[[World], World]:
    """Give the smallest trade on a side another end."""

    def change(world: World) -> World:
        mine = [fate for fate in world.fates if fate.item.side is side]
        chosen = min(mine, key=lambda fate: abs(fate.item.trade_amount))
        return replace(world, fates=tuple(replace(f, end=end) if f is chosen else f for f in world.fates))

    return change


def largest_sell_fails(world: World) -> World:
    """Fail the largest SELL, which is enough for the guard to block."""
    mine = [fate for fate in world.fates if fate.item.side is Side.SELL]
    chosen = max(mine, key=lambda fate: abs(fate.item.trade_amount))
    return replace(world, fates=tuple(replace(f, end="rejected") if f is chosen else f for f in world.fates))


def drop(kind: EffectKind) -> Edit:
    """Leave out the first effect of a kind."""

    def edit(effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
        first = next(effect for effect in effects if effect.kind is kind)
        return tuple(effect for effect in effects if effect is not first)

    return effects_edit(edit)


def double(kind: EffectKind) -> Edit:
    return effects_edit(lambda effects: (*effects, next(effect for effect in effects if effect.kind is kind)))


def spoil(kind: EffectKind, **update: object) -> Edit:
    def edit(effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
        first = next(effect for effect in effects if effect.kind is kind)
        return tuple(effect.model_copy(update=update) if effect is first else effect for effect in effects)

    return effects_edit(edit)


def order(trade: TradeOutcome, step: int, **update: object) -> OrderRecord:
    name = trade.trade_id if step == 0 else f"{trade.trade_id}-step-{step}"
    quantity = trade.filled_quantity
    values: dict[str, object] = {
        "client_order_id": name,
        "order_id": trade.order_id if step == 0 else f"more-{step}",
        "order_type": "limit",
        "quantity": quantity,
        "status": "filled",
        "filled_quantity": quantity,
        "average_price": trade.average_price,
        "accepted": True,
    }
    return OrderRecord.model_validate(values | update)


@dataclass(frozen=True)
class Plant:
    """One planted difference: the kind that must be found, and how to plant it in a lane."""

    kind: str
    edit: Edit
    lanes: tuple[Role, ...] = (Role.CONTROL, Role.CANDIDATE)
    attribution: str | None = None
    name: str = ""
    scenario: str = "plain"


def shifted(pick: Callable[[TradeOutcome], bool], bps: int) -> Edit:
    """Fill a trade at a price so many basis points off, in record, orders, event and ledger alike."""

    def plant(case: PairCase, role: Role) -> PairCase:
        chosen = next(trade for trade in run_of(case, role).trades if pick(trade))
        assert chosen.intent is not None
        assert chosen.intent.decision_price is not None
        price = chosen.intent.decision_price * (1 + Decimal(bps) / 10_000)

        def record(trade: TradeOutcome) -> dict[str, object]:
            orders = tuple(o.model_copy(update={"average_price": price}) if o.average_price else o for o in trade.orders)
            return {"average_price": price, "value": price * (trade.filled_quantity or ZERO), "orders": orders}

        def carried(effects: tuple[Effect, ...]) -> tuple[Effect, ...]:
            return tuple(told(e, e.quantity, price) if e.symbol == chosen.symbol and e.price else e for e in effects)

        case = trade_edit(lambda t: t.trade_id == chosen.trade_id, record)(case, role)
        return effects_edit(carried)(case, role)

    return plant


def early_buy(trade: TradeOutcome) -> dict[str, object]:
    assert trade.started_at is not None
    return {"started_at": trade.started_at - timedelta(hours=1)}


def counters(**update: object) -> Edit:
    def edit(run: RunOutcome) -> dict[str, object]:
        assert run.counters is not None
        return {"counters": run.counters.model_copy(update=update)}

    return run_edit(edit)


def guard(**update: object) -> Edit:
    def edit(run: RunOutcome) -> dict[str, object]:
        assert run.guard is not None
        return {"guard": run.guard.model_copy(update=update)}

    return run_edit(edit)


def then(*edits: Edit) -> Edit:
    def plant(case: PairCase, role: Role) -> PairCase:
        for edit in edits:
            case = edit(case, role)
        return case

    return plant


def stopped(raw: str, *, buys: TradeStatus | None = None) -> Edit:
    """Leave a run without an end; with `buys`, its BUYs never ran."""

    def edit(run: RunOutcome) -> dict[str, object]:
        never_ran = NEVER_RAN | {"attempts": None, "status": buys}
        trades = tuple(t.model_copy(update=never_ran) if buys and t.action is Side.BUY else t for t in run.trades)
        silent = {t.symbol for t in trades if t.status is buys}
        effects = tuple(e for e in run.effects or () if e.kind is not EffectKind.ALL_TRADES_COMPLETED and e.symbol not in silent)
        return {
            "status": RunStatus.UNFINISHED,
            "raw_status": raw,
            "completed_at": None,
            "trades": trades,
            "effects": effects,
            "counters": None,
        }

    return run_edit(edit)


def without_trade(pick: Callable[[TradeOutcome], bool]) -> Edit:
    """Drop a trade everywhere it is known, as a lane that never made it would."""

    def edit(run: RunOutcome) -> dict[str, object]:
        gone = next(trade for trade in run.trades if pick(trade))
        trades = tuple(trade for trade in run.trades if trade is not gone)
        effects = tuple(e for e in run.effects or () if e.symbol != gone.symbol)
        return {"trades": trades, "effects": effects, "counters": None}

    return then(run_edit(edit), _recounted)


def _recounted(case: PairCase, role: Role) -> PairCase:
    """Let the lane's own counters and guard agree with its trades again."""
    run = run_of(case, role)
    maker = LaneMaker(random_world(0, 0), role)
    done = {
        status: sum((abs(t.planned_amount or ZERO) for t in run.trades if t.action is Side.SELL and t.status is status), ZERO)
        for status in TradeStatus
    }
    failed, succeeded = done[TradeStatus.FAILED], done[TradeStatus.COMPLETED]
    kept = maker._counters(run.trades, failed, succeeded, stopped=run.status is not RunStatus.COMPLETED)
    told = run.guard.model_copy(update={"sell_failed_amount": failed, "sell_succeeded_amount": succeeded}) if run.guard else None
    counts = {f"{name}_trades": getattr(kept, name) for name in ("total", "succeeded", "failed", "skipped")} if kept else {}
    effects = tuple(e.model_copy(update=counts) if e.kind is EffectKind.ALL_TRADES_COMPLETED else e for e in run.effects or ())
    return with_run(case, role, counters=kept, guard=told, effects=effects)


recounted: Edit = _recounted
