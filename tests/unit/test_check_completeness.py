"""What must be known of a run, a trade and an order before a pair can match."""

from __future__ import annotations

from typing import Any

import pytest

from shadow.compare.completeness import gaps_of
from shadow.contracts.outcome import (
    Gap,
    OrderRecord,
    RunOutcome,
)
from shadow.contracts.vocabulary import EffectKind, Reason, Role, RunStatus, Side
from tests.factories.one_trade import CANDIDATE, CONTROL, POLICY, D
from tests.factories.two_runs import (
    CLOSED,
    FAILED,
    LIMITED,
    UNSENT,
    filled,
    ran,
    view,
)

ALL, STOP = EffectKind.ALL_TRADES_COMPLETED, EffectKind.WORKFLOW_FAILED


def missing(run: RunOutcome) -> set[str]:
    """What is missing of a run, by the last word of its path."""
    return {gap.split(": ")[-2].rpartition(".")[2] for gap in gaps_of(view(None, run), POLICY) if gap.endswith(": absent")}


def test_what_a_run_must_say_depends_on_how_it_ended() -> None:
    bare = ran(CANDIDATE, terminal_state="End")
    sells = bare.model_copy(update={"trades": bare.trades[:0]})
    assert missing(sells.model_copy(update={"status": RunStatus.UNFINISHED, "raw_status": ""})) == {"raw_status"}
    assert missing(sells.model_copy(update={"status": RunStatus.UNFINISHED})) == set()
    assert missing(sells) == {"effects", "equity_limit", "total", "succeeded", "failed", "skipped"}
    assert missing(sells.model_copy(update={"status": RunStatus.FAILED})) == {"effects"}
    assert missing(sells.model_copy(update={"status": RunStatus.BLOCKED_BY_GUARD})) == {
        "effects",
        "failure_step",
        "failure_reason",
        "equity_limit",
    }
    one = bare.trades[0].model_copy(update={**UNSENT, "action": Side.SELL})
    guarded = {"sell_failed_amount", "sell_succeeded_amount", "threshold"}
    for status, needs in ((RunStatus.COMPLETED, guarded), (RunStatus.BLOCKED_BY_GUARD, guarded), (RunStatus.FAILED, set())):
        assert missing(bare.model_copy(update={"status": status, "trades": (one,)})) & guarded == needs
    buy = one.model_copy(update={"action": Side.BUY})
    assert missing(bare.model_copy(update={"trades": (buy,)})) & guarded == set()
    assert "effects" not in missing(bare.model_copy(update={"effects": ()}))


@pytest.mark.parametrize(
    ("changes", "run", "needs", "needs_not"),
    [
        ({}, {}, {"quantity", "filled_quantity", "orders"}, {"cumulative", "reason"}),
        ({}, {"equity_limit": D(1)}, {"cumulative", "limit"}, {"reason"}),
        ({}, {"equity_limit": D(0)}, {"orders"}, {"cumulative"}),
        ({"action": Side.SELL}, {"equity_limit": D(1)}, {"orders"}, {"cumulative"}),
        (FAILED, {}, {"reason"}, {"quantity", "filled_quantity", "orders"}),
        (FAILED | {"reason": Reason.NOT_FILLED}, {}, {"quantity", "order_id", "orders"}, {"reason"}),
        (FAILED | {"reason": Reason.NOT_FILLED, "attempts": 0}, {}, set(), {"quantity", "orders"}),
        (FAILED | {"reason": Reason.BROKER_REJECTED, "orders": (OrderRecord(accepted=False),)}, {}, {"quantity"}, {"orders"}),
        (
            FAILED | {"reason": Reason.NOT_FILLED, "attempts": 0, "orders": (OrderRecord(),)},
            {},
            {"quantity", "order_id"},
            {"orders"},
        ),
        (CLOSED | {"reason": None}, {}, {"reason"}, {"quantity"}),
        (LIMITED | {"reason": None}, {}, {"reason"}, {"quantity"}),
        (UNSENT | {"planned_amount": None}, {}, {"planned_amount"}, {"reason", "quantity"}),
    ],
)
def test_what_a_trade_must_say_depends_on_how_it_ended(changes: Any, run: Any, needs: set[str], needs_not: set[str]) -> None:
    base = ran(CANDIDATE, **run)
    trade = next(each for each in base.trades if each.symbol == "GOOG").model_copy(update=changes)
    found = {
        gap.split(": ")[2].rpartition(".")[2]
        for gap in gaps_of(view(None, base.model_copy(update={"trades": (trade,)})), POLICY)
        if "trade GOOG" in gap and "orders.0" not in gap
    }
    assert needs <= found
    assert not needs_not & found


def test_each_order_says_what_it_must_and_a_filled_one_its_price() -> None:
    def absent(order: OrderRecord, role: Role = CANDIDATE) -> set[str]:
        base = ran(role, {"GOOG": {"orders": (order,)}})
        found = gaps_of(view(*(base if each is role else None for each in Role)), POLICY)
        return {gap.split(": ")[2].removeprefix("orders.0.") for gap in found if "orders.0" in gap}

    whole = filled("1", client_order_id="c", order_type="limit", quantity=D(2))
    assert absent(whole) == set()
    assert absent(whole.model_copy(update={"average_price": None})) == {"average_price"}
    assert absent(whole.model_copy(update={"average_price": None, "filled_quantity": D(0)})) == set()
    assert absent(whole.model_copy(update={"client_order_id": "", "status": None})) == {"client_order_id", "status"}
    assert absent(OrderRecord(filled_quantity=D(1)), CONTROL) == set()


def test_gaps_violations_unwatched_effects_and_absent_runs_are_named() -> None:
    assert gaps_of(view(), POLICY) == ("control, candidate: both runs are absent",)
    base = ran(CANDIDATE, gaps=(Gap(what="w", reason="r"),), violations=("v",), effects=(), effect_kinds=(ALL,))
    found = set(gaps_of(view(None, base), POLICY))
    assert {"candidate: w: r", "candidate: contract violation: v"} <= found
    unwatched = {f"candidate: effects.{kind.value}: nobody watched for them" for kind in EffectKind if kind is not ALL}
    assert {gap for gap in found if "nobody watched" in gap} == unwatched
