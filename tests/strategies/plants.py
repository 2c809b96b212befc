"""Every kind of difference, planted in outcomes: the table that the tests of kinds, symmetry and re-judging share."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

from shadow.compare.case import PairCase
from shadow.contracts.control_records import FailureStep
from shadow.contracts.outcome import AccountOrder, AccountRecord, Books, OrderRecord, Owner, RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import EffectKind, Lane, Reason, Role, RunStatus, Side, SizingBasis, TradeStatus
from tests.strategies.outcomes import MICRO, World, plan_of
from tests.strategies.planting import (
    NEVER_RAN,
    NOTHING_TRADED,
    Edit,
    Plant,
    counters,
    double,
    drop,
    early_buy,
    effects_edit,
    fate_of,
    guard,
    in_worlds,
    intent,
    is_buy,
    is_exit,
    is_sell,
    largest_sell_fails,
    order,
    recounted,
    repriced,
    resized,
    run_edit,
    run_of,
    shifted,
    spoil,
    stopped,
    then,
    trade_edit,
    unfilled,
    with_run,
    without_trade,
)


def target_sized(trade: TradeOutcome, case: PairCase) -> Decimal:
    target = next(item.target_value for item in case.plan.items if item.symbol == trade.symbol)
    assert trade.intent is not None
    assert trade.intent.decision_price is not None
    return (target / trade.intent.decision_price).quantize(MICRO)


def denied(run: RunOutcome) -> dict[str, object]:
    """Let the broker know every order of a run but one that the lane recorded besides."""
    trades = [t.model_copy(update={"orders": (order(t, 0, symbol=t.symbol),)}) if t.filled_quantity else t for t in run.trades]
    place = next(place for place, trade in enumerate(trades) if is_buy(trade))
    nothing = {"status": "not_found", "accepted": False, "filled_quantity": Decimal(0), "average_price": None}
    besides = order(trades[place], 1, **nothing)
    trades[place] = trades[place].model_copy(update={"orders": (*trades[place].orders, besides)})
    return {"trades": tuple(trades), "broker_truth": True}


NOBODY_S = AccountOrder(
    owner=Owner.NOBODY,
    order=OrderRecord(
        order_id="x", symbol="GME", side=Side.BUY, status="filled", filled_quantity=Decimal(2), average_price=Decimal(9)
    ),
)


def account(run: RunOutcome, more: Decimal) -> AccountRecord:
    """Give an account that holds so many USD more after the run than anything explains."""
    assert run.started_at
    before = Books(at=run.started_at, cash=Decimal(100))
    return AccountRecord(opening=before, closing=Books(at=run.started_at + timedelta(hours=1), cash=before.cash + more))


def at_the_edge(world: World) -> World:
    """Make the first SELL fail at exactly 500.00 USD and the others succeed."""
    fates = list(world.fates)
    item = fates[0].item
    five = item.model_copy(
        update={
            "trade_amount": Decimal("-500.00"),
            "current_value": Decimal("1500.00"),
            "target_value": Decimal("1000.00"),
            "target_weight": Decimal("0.1"),
        }
    )
    fates[0] = replace(fates[0], item=five, end="rejected")
    plan = plan_of([fate.item for fate in fates], 11)
    return replace(world, plan=plan, fates=tuple(fates))


def priced(trade: TradeOutcome) -> Decimal:
    assert trade.intent is not None
    assert trade.intent.decision_price is not None
    return trade.intent.decision_price


def in_another_symbol(case: PairCase, role: Role) -> PairCase:
    """Let the first BUY trade another symbol under the right id, in its record and its effects."""
    chosen = next(trade for trade in run_of(case, role).trades if is_buy(trade))
    case = trade_edit(lambda t: t.trade_id == chosen.trade_id, lambda _t: {"symbol": "ELSE"})(case, role)
    return effects_edit(
        lambda effects: tuple(e.model_copy(update={"symbol": "ELSE"}) if e.symbol == chosen.symbol else e for e in effects)
    )(case, role)


REJECTED = in_worlds(base=fate_of(Side.BUY, "rejected"))
GUARDED = in_worlds(scenario="guard")


def with_our_ids(edit: Edit) -> Edit:
    """Let the lane be one whose ids derive from the plan's: the legacy lane mints its own."""
    return lambda case, role: edit(with_run(case, role, lane=Lane.WORKFLOW), role)


def is_failed(trade: TradeOutcome) -> bool:
    return trade.status is TradeStatus.FAILED


def asked(trade: TradeOutcome) -> Decimal | None:
    return trade.intent.quantity if trade.intent else Decimal(9)


def all_filled(trade: TradeOutcome) -> dict[str, object]:
    """Fill the failed trade's order after all."""
    quantity = asked(trade)
    price = trade.intent.decision_price if trade.intent else None
    return {"orders": (order(trade, 0, quantity=quantity, filled_quantity=quantity, average_price=price),)}


def with_twice_the_limit(run: RunOutcome) -> dict[str, object]:
    """Let a lane allow itself twice as much buying, in its run and in what it decided of each BUY."""

    def doubled(trade: TradeOutcome) -> TradeOutcome:
        limit = trade.equity.limit if trade.equity else None
        return trade.model_copy(
            update={"equity": trade.equity and trade.equity.model_copy(update={"limit": limit and limit * 2})}
        )

    return {"equity_limit": (run.equity_limit or Decimal(0)) * 2, "trades": tuple(map(doubled, run.trades))}


def unended(status: TradeStatus) -> Edit:
    """Leave a BUY without an end in a run that has one."""

    def edit(run: RunOutcome) -> dict[str, object]:
        chosen = next(trade for trade in run.trades if is_buy(trade))
        ended = chosen.model_copy(update={"status": status, **NOTHING_TRADED})
        effects = tuple(e for e in run.effects or () if e.symbol != chosen.symbol)
        return {"trades": tuple(ended if t is chosen else t for t in run.trades), "effects": effects}

    return then(run_edit(edit), recounted, run_edit(lambda _r: {"counters": None}))


BLOCKED_WRONGLY = then(
    in_worlds(base=at_the_edge),
    guard(buy_phase_allowed=False),
    run_edit(
        lambda run: {
            "status": RunStatus.BLOCKED_BY_GUARD,
            "raw_status": "FAILED",
            "failure_step": "SELL_PHASE_GUARD",
            "failure_reason": "guard",
            "trades": tuple(
                t.model_copy(
                    update={
                        "status": TradeStatus.BLOCKED,
                        "reason": Reason.SELL_GUARD,
                        **NEVER_RAN,
                    }
                )
                if t.action is Side.BUY
                else t
                for t in run.trades
            ),
            "effects": (
                *(e for e in run.effects or () if e.action is Side.SELL),
                next(e for e in run.effects or () if e.kind is EffectKind.ALL_TRADES_COMPLETED).model_copy(
                    update={
                        "kind": EffectKind.WORKFLOW_FAILED,
                        "failure_step": FailureStep.SELL_PHASE_GUARD,
                        "total_trades": None,
                        "succeeded_trades": None,
                        "failed_trades": None,
                        "skipped_trades": None,
                    }
                ),
            ),
        }
    ),
    recounted,
)

PLANTS = (
    # decisions
    Plant("MISSING_TRADE", without_trade(is_buy)),
    Plant(
        "EXTRA_TRADE",
        then(
            run_edit(
                lambda run: {
                    "trades": (
                        *run.trades,
                        next(t for t in run.trades if is_buy(t)).model_copy(
                            update={"trade_id": "stray", "symbol": "STRAY", "orders": (), "order_id": "s", "intent": None}
                        ),
                    )
                }
            ),
            lambda case, role: effects_edit(
                lambda effects: (
                    *effects,
                    *(
                        e.model_copy(update={"trade_id": "stray", "symbol": "STRAY", "order_id": "s"})
                        for e in effects
                        if e.symbol == next(t.symbol for t in run_of(case, role).trades if is_buy(t))
                    ),
                )
            )(case, role),
            recounted,
        ),
    ),
    Plant(
        "DUPLICATE_TRADE",
        run_edit(lambda run: {"trades": (*run.trades, run.trades[0])}),
    ),
    Plant("SYMBOL", in_another_symbol),
    Plant("ORDER_SYMBOL", trade_edit(is_buy, lambda t: {"orders": (order(t, 0, symbol="ELSE"),)})),
    Plant(
        "PRICE_NOT_THE_MID",
        trade_edit(is_buy, lambda t: intent(t, bid=priced(t) * Decimal("0.998"), ask=priced(t) * Decimal("0.999"))),
    ),
    Plant("DECISION_PRICE", repriced(is_buy, Decimal(2)), name="doubled"),
    Plant("DECISION_PRICE", repriced(is_buy, Decimal("0.4")), name="stale"),
    Plant(
        "QUOTE_STALE",
        trade_edit(
            is_buy,
            lambda t: intent(t, market_at=t.started_at, quote_at=t.started_at - timedelta(seconds=61) if t.started_at else None),
        ),
    ),
    Plant("QUOTE_WIDE", trade_edit(is_buy, lambda t: intent(t, bid=priced(t) * Decimal("0.9"), ask=priced(t) * Decimal("1.1")))),
    Plant(
        "LIMIT_PRICE",
        trade_edit(is_buy, lambda t: {"orders": (order(t, 0, limit_price=priced(t) * Decimal("1.05")),)}),
        name="through-the-market",
    ),
    Plant("LIMIT_PRICE", trade_edit(is_sell, lambda t: {"orders": (order(t, 0, limit_price=Decimal("0.01")),)}), name="a-cent"),
    Plant("COMPLETED_WITHOUT_FILL", unfilled(is_exit)),
    Plant("EXECUTED_VALUE", resized(is_buy, lambda t, _c: (t.filled_quantity or Decimal(0)) * 21, blind=True), name="no-intent"),
    Plant("GUARD_BYPASSED", then(in_worlds(base=largest_sell_fails, fault="no guard"), run_edit(lambda _r: {"guard": None}))),
    Plant(
        "EQUITY_FOREIGN_COUNT",
        trade_edit(
            is_buy,
            lambda t: {
                "equity": t.equity.model_copy(update={"cumulative": abs(t.planned_amount or Decimal(0)) + 8000})
                if t.equity
                else None
            },
        ),
        name="C16",
    ),
    Plant("TRADE_ID", with_our_ids(trade_edit(is_buy, lambda t: {"trade_id": f"{t.trade_id}x"})), name="id"),
    Plant("SIDE", trade_edit(is_buy, lambda _t: {"action": Side.SELL, "equity": None})),
    Plant("PLANNED_AMOUNT", trade_edit(is_buy, lambda t: {"planned_amount": (t.planned_amount or Decimal(0)) + 1})),
    Plant("FULL_EXIT_FLAG", trade_edit(is_sell, lambda _t: {"is_complete_exit": True})),
    Plant(
        "DECIMAL_DAMAGED",
        trade_edit(is_buy, lambda t: {"planned_amount": (t.planned_amount or Decimal(0)) * (1 + Decimal("1e-16"))}),
    ),
    Plant("DECIMAL_DAMAGED", trade_edit(is_buy, lambda _t: {"value": Decimal("0.30000000000000004")}), name="float"),
    Plant("SIZING_BASIS", resized(is_buy, target_sized), name="C1"),
    Plant("SIZING_BASIS", trade_edit(is_buy, lambda t: intent(t, sizing_basis=SizingBasis.HELD_VALUE)), name="word"),
    Plant("ASKED_QUANTITY", resized(is_buy, lambda t, _c: (t.filled_quantity or Decimal(0)) * 2 + 1)),
    Plant("EXIT_QUANTITY", resized(is_exit, lambda t, _c: (t.filled_quantity or Decimal(0)) / 2)),
    Plant("OVERSELL", resized(is_exit, lambda t, _c: (t.filled_quantity or Decimal(0)) * 2)),
    Plant("OVERSELL", trade_edit(is_exit, lambda _t: {"residual_position": Decimal(-1)}), name="short"),
    Plant("ORDER_TYPE", trade_edit(is_buy, lambda t: {"orders": (order(t, 0, order_type="stop"),)})),
    Plant("GUARD_THRESHOLD", guard(threshold=Decimal("500.01"))),
    Plant("GUARD_AMOUNTS", guard(sell_succeeded_amount=Decimal("1.00"))),
    Plant("GUARD_BOUNDARY", BLOCKED_WRONGLY, name="C3"),
    Plant("EQUITY_LIMIT", run_edit(with_twice_the_limit), attribution="neither"),
    Plant(
        "EQUITY_NOT_COUNTED",
        trade_edit(is_buy, lambda t: {"equity": t.equity.model_copy(update={"cumulative": Decimal(0)}) if t.equity else None}),
        name="C4",
    ),
    Plant("MARKET_CHECK", in_worlds(lambda w: replace(w, closed=True)), attribution="candidate", name="C6"),
    Plant("PHASE_ORDER", trade_edit(is_buy, early_buy)),
    Plant("RUN_ID", run_edit(lambda _r: {"run_id": "other", "lane": Lane.WORKFLOW})),
    Plant("CORRELATION_ID", run_edit(lambda _r: {"correlation_id": "workflow-else"}), name="C8"),
    Plant("DUPLICATE_RUN", run_edit(lambda _r: {"other_runs": ("again",)})),
    # orders
    Plant(
        "DOUBLE_ORDER",
        trade_edit(is_buy, lambda t: {"orders": (order(t, 0), order(t, 1, filled_quantity=Decimal(0), status="open"))}),
    ),
    Plant("ORDER_SIDE", trade_edit(is_buy, lambda t: {"orders": (order(t, 0, side=Side.SELL),)})),
    Plant(
        "ORDER_CHAINS",
        trade_edit(is_buy, lambda t: {"orders": (order(t, 0), order(t, 2, status="canceled", filled_quantity=Decimal(0)))}),
    ),
    Plant("CLIENT_ORDER_ID", trade_edit(is_buy, lambda t: {"orders": (order(t, 0, client_order_id="random"),)})),
    Plant(
        "ORDER_QUANTITY", trade_edit(is_buy, lambda t: {"orders": (order(t, 0, quantity=(t.filled_quantity or Decimal(0)) + 1),)})
    ),
    Plant("ATTEMPTS", trade_edit(is_buy, lambda _t: {"attempts": 2})),
    Plant(
        "COMPLETED_WITHOUT_ORDER",
        trade_edit(is_buy, lambda t: {"orders": (order(t, 0, status="rejected", filled_quantity=Decimal(0), accepted=False),)}),
    ),
    Plant("ORDER_DENIED", run_edit(denied)),
    Plant("ORDER_LEFT_WORKING", trade_edit(is_buy, lambda t: {"orders": (order(t, 0, status="open"),)})),
    Plant("UNCLAIMED_ORDER", run_edit(lambda _r: {"account": AccountRecord(orders=(NOBODY_S,))}), lanes=(Role.CANDIDATE,)),
    Plant("UNEXPLAINED_MONEY", run_edit(lambda r: {"account": account(r, Decimal(5))})),
    # fills
    Plant("SLIPPAGE", shifted(is_buy, 90)),
    Plant("VALUE", trade_edit(is_buy, lambda t: {"value": (t.value or Decimal(0)) + 5})),
    Plant("RESIDUAL_POSITION", trade_edit(is_exit, lambda _t: {"residual_position": Decimal("0.000123")})),
    Plant("TRADE_STATUS", in_worlds(fate_of(Side.BUY, "rejected"))),
    Plant("TRADE_STATUS", in_worlds(largest_sell_fails), name="sells-that-fail-block-buys"),
    Plant(
        "QUANTITY_ROUNDING",
        resized(is_buy, lambda t, _c: (t.filled_quantity or Decimal(0)).quantize(Decimal(1), rounding="ROUND_DOWN")),
        attribution="neither",
    ),
    Plant("GUARD_ZERO_SUM", in_worlds(base=largest_sell_fails, fault="zero guard"), name="C2"),
    Plant("GUARD_DECISION", in_worlds(base=largest_sell_fails, fault="no guard")),
    Plant("GUARD_IGNORED", in_worlds(base=largest_sell_fails, fault="guard ignored")),
    Plant("EQUITY_OVERSHOOT", in_worlds(fault="no breaker", scenario="breaker")),
    Plant("EQUITY_MISJUDGED", in_worlds(fault="breaker blocks all"), name="C4"),
    Plant(
        "ORDER_LIVE_WHILE_FAILED",
        then(
            REJECTED,
            trade_edit(
                is_failed, lambda t: {"orders": (order(t, 0, status="open", quantity=asked(t), filled_quantity=Decimal(0)),)}
            ),
        ),
        name="C10",
    ),
    Plant(
        "ORDER_FATE_UNKNOWN",
        then(
            REJECTED,
            trade_edit(
                is_failed,
                lambda t: {
                    "orders": (order(t, 0, status="ambiguous", accepted=None, quantity=asked(t), filled_quantity=Decimal(0)),)
                },
            ),
        ),
    ),
    Plant("FILLED_RECORDED_AS_FAILED", then(REJECTED, trade_edit(is_failed, all_filled))),
    Plant(
        "PARTIAL_FILL_LOST",
        then(
            in_worlds(base=fate_of(Side.BUY, "partial")),
            trade_edit(is_failed, lambda _t: {"filled_quantity": Decimal(0), "value": Decimal(0), "average_price": None}),
        ),
        name="C12",
    ),
    Plant("TRADE_UNFINISHED", unended(TradeStatus.UNFINISHED)),
    Plant("TRADE_UNKNOWN", unended(TradeStatus.UNKNOWN)),
    Plant(
        "SKIP_REASON",
        then(in_worlds(scenario="closed"), trade_edit(is_buy, lambda _t: {"reason": Reason.ROUNDS_TO_ZERO})),
        attribution="neither",
    ),
    Plant("TRADE_REASON", then(REJECTED, trade_edit(is_failed, lambda _t: {"reason": Reason.NOT_FILLED})), attribution="neither"),
    Plant(
        "FILLED_QUANTITY",
        trade_edit(
            is_buy, lambda t: {"filled_quantity": (t.filled_quantity or Decimal(0)) / 2, "value": (t.value or Decimal(0)) / 2}
        ),
    ),
    Plant(
        "RUN_STATUS",
        run_edit(
            lambda run: {
                "status": RunStatus.BLOCKED_BY_EQUITY_LIMIT,
                "raw_status": "FAILED",
                "failure_step": "EQUITY_CIRCUIT_BREAKER",
                "failure_reason": "?",
                "effects": tuple(
                    e.model_copy(update={"kind": EffectKind.WORKFLOW_FAILED, "failure_step": FailureStep.EQUITY_CIRCUIT_BREAKER})
                    if e.kind is EffectKind.ALL_TRADES_COMPLETED
                    else e
                    for e in run.effects or ()
                ),
            }
        ),
    ),
    Plant(
        "RUN_FAILED",
        then(
            run_edit(
                lambda _r: {
                    "status": RunStatus.FAILED,
                    "raw_status": "FAILED",
                    "failure_step": "AggregateResults",
                    "counters": None,
                }
            ),
            drop(EffectKind.ALL_TRADES_COMPLETED),
        ),
    ),
    Plant("ENDED_AS_SUCCESS", then(GUARDED, run_edit(lambda _r: {"raw_status": "SUCCEEDED"})), name="C9"),
    Plant("FAILURE_STEP", then(GUARDED, run_edit(lambda _r: {"failure_step": "Elsewhere"}))),
    Plant(
        "TRADE_EXECUTED_EXTRA",
        then(
            GUARDED,
            lambda case, role: effects_edit(
                lambda effects: (
                    *effects,
                    next(e for e in effects if e.kind is EffectKind.TRADE_EXECUTED).model_copy(
                        update={"trade_id": next(t.trade_id for t in run_of(case, role).trades if is_buy(t))}
                    ),
                )
            )(case, role),
        ),
    ),
    Plant(
        "LEDGER_EXTRA",
        then(
            REJECTED,
            lambda case, role: effects_edit(
                lambda effects: (
                    *effects,
                    next(e for e in effects if e.kind is EffectKind.LEDGER_ENTRY).model_copy(
                        update={
                            "trade_id": next(t.trade_id for t in run_of(case, role).trades if is_failed(t)),
                            "quantity": Decimal(0),
                        }
                    ),
                )
            )(case, role),
        ),
    ),
    Plant(
        "COMPLETION_EXTRA",
        then(
            GUARDED,
            effects_edit(lambda effects: (*effects, effects[-1].model_copy(update={"kind": EffectKind.ALL_TRADES_COMPLETED}))),
        ),
    ),
    Plant("WORKFLOW_FAILED_MISSING", then(GUARDED, drop(EffectKind.WORKFLOW_FAILED))),
    Plant("WORKFLOW_FAILED_TWICE", then(GUARDED, double(EffectKind.WORKFLOW_FAILED))),
    Plant(
        "WORKFLOW_FAILED_DIFFERENT",
        then(GUARDED, spoil(EffectKind.WORKFLOW_FAILED, failure_step=FailureStep.EQUITY_CIRCUIT_BREAKER)),
    ),
    # runs
    # runs
    Plant("COUNTERS", counters(succeeded=1, total=99)),
    Plant("COUNTER_AMOUNTS", counters(sell_failed_amount=Decimal(3))),
    Plant("RUN_STUCK", stopped("BUY_PHASE")),
    Plant("STUCK_AGGREGATING", stopped("AGGREGATING")),
    Plant("BUYS_NOT_ENQUEUED", stopped("SELL_PHASE", buys=TradeStatus.UNFINISHED)),
    Plant("BUYS_NEVER_SENT", stopped("BUY_PHASE", buys=TradeStatus.NOT_SENT)),
    Plant("ENDED_AS_FAILURE", run_edit(lambda _r: {"raw_status": "FAILED"})),
    Plant(
        "DURATION_RATIO", run_edit(lambda r: {"completed_at": r.started_at + timedelta(seconds=700) if r.started_at else None})
    ),
    Plant(
        "DURATION_ABSOLUTE",
        run_edit(lambda r: {"started_at": r.completed_at - timedelta(seconds=1801) if r.completed_at else None}),
        name="long",
    ),
    Plant("NOTIFICATION_MISSING", run_edit(lambda _r: {"notifications": 0})),
    Plant("NOTIFICATION_TWICE", run_edit(lambda _r: {"notifications": 2})),
    # effects
    Plant("EFFECT_EMITTED", spoil(EffectKind.TRADE_EXECUTED, emitted=True), lanes=(Role.CANDIDATE,)),
    Plant(
        "EFFECT_STRAY",
        effects_edit(
            lambda effects: (
                *effects,
                next(e for e in effects if e.kind is EffectKind.LEDGER_ENTRY).model_copy(
                    update={"trade_id": "stray", "symbol": None}
                ),
            )
        ),
    ),
    Plant("TRADE_EXECUTED_MISSING", drop(EffectKind.TRADE_EXECUTED)),
    Plant("TRADE_EXECUTED_TWICE", double(EffectKind.TRADE_EXECUTED)),
    Plant("TRADE_EXECUTED_DIFFERENT", spoil(EffectKind.TRADE_EXECUTED, success=False)),
    Plant("LEDGER_MISSING", drop(EffectKind.LEDGER_ENTRY), name="C14"),
    Plant("LEDGER_TWICE", double(EffectKind.LEDGER_ENTRY)),
    Plant("LEDGER_DIFFERENT", spoil(EffectKind.LEDGER_ENTRY, quantity=Decimal("0.5"))),
    Plant("COMPLETION_MISSING", drop(EffectKind.ALL_TRADES_COMPLETED)),
    Plant("COMPLETION_TWICE", double(EffectKind.ALL_TRADES_COMPLETED)),
    Plant("COMPLETION_DIFFERENT", spoil(EffectKind.ALL_TRADES_COMPLETED, succeeded_trades=0)),
    Plant(
        "WORKFLOW_FAILED_EXTRA",
        effects_edit(
            lambda effects: (
                *effects,
                next(e for e in effects if e.kind is EffectKind.ALL_TRADES_COMPLETED).model_copy(
                    update={"kind": EffectKind.WORKFLOW_FAILED}
                ),
            )
        ),
    ),
)
