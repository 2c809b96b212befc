"""Every order of both accounts is accounted for: a trade's, another run's, or nobody's, with its dollars."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from shadow.broker.port import OddOrder, Order, OrderStatus, OrderType
from shadow.contracts.comparison import Attribution, Severity, Verdict
from shadow.contracts.identity import client_order_id_of, run_id_of, trade_id_of
from shadow.contracts.outcome import Gap, Intent, OrderRecord, Owner, RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import Lane, Role, RunStatus, Side, TradeStatus
from shadow.lanes.brokers.orders import Accounted, Listed, Neighbours, Span, accounted, named_after
from tests.factories.accounts import STEP, Lanes, candidate_account, kinds

MINUTE = timedelta(minutes=1)


def paper(seed: int = 1) -> tuple[Lanes, TradeOutcome]:
    """Give lanes that both trade, and a trade that the candidate executed."""
    lanes = Lanes(seed)
    lanes.candidate = candidate_account(lanes.other)
    return lanes, next(t for t in lanes.other.trades if t.status is TradeStatus.COMPLETED)


def by_hand(trade: TradeOutcome, at: timedelta, **changes: object) -> Order:
    """Give an order that a person sent so long after the trade ended."""
    assert trade.completed_at
    order = Order(
        order_id="hand-1",
        client_order_id="0b7f-by-hand",
        symbol=trade.symbol,
        side=trade.action,
        quantity=Decimal(3),
        order_type=OrderType.MARKET,
        limit_price=None,
        status=OrderStatus.FILLED,
        filled_quantity=Decimal(3),
        average_price=Decimal(100),
        submitted_at=trade.completed_at + at,
        filled_at=None,
    )
    return replace(order, **changes)  # type: ignore[arg-type]


def other(side: Side) -> Side:
    return Side.SELL if side is Side.BUY else Side.BUY


def test_every_order_sent_twice_under_a_random_id_is_a_double_order_in_the_candidate_s_account() -> None:
    lanes, trade = paper()
    assert lanes.candidate
    lanes.candidate.again(trade.symbol, "random-2")
    difference = lanes.found("DOUBLE_ORDER")

    assert (difference.severity, difference.attribution) == (Severity.CRITICAL, Attribution.CANDIDATE)
    assert trade.value is not None
    assert abs(abs(difference.impact.notional) - trade.value) < trade.value / 50  # the whole trade once more


def test_an_order_of_the_other_side_in_the_candidate_s_account_is_critical_with_its_dollars() -> None:
    lanes, trade = paper()
    assert lanes.candidate
    lanes.candidate.orders.append(by_hand(trade, STEP, side=other(trade.action)))
    difference = lanes.found("UNCLAIMED_ORDER")

    assert (difference.severity, difference.attribution, difference.symbol) == (
        Severity.CRITICAL,
        Attribution.CANDIDATE,
        trade.symbol,
    )
    sign = 1 if trade.action is Side.SELL else -1
    assert (difference.impact.notional, difference.impact.cash) == (sign * 300, -sign * 300)


def test_an_order_of_a_symbol_that_no_plan_names_is_told_as_well() -> None:
    lanes, trade = paper()
    assert lanes.candidate
    lanes.candidate.orders.append(by_hand(trade, STEP, symbol="GME", side=Side.BUY))
    assert lanes.found("UNCLAIMED_ORDER").impact.notional == 300


def test_an_order_named_after_another_plan_s_trade_is_that_run_s() -> None:
    lanes, trade = paper()
    assert lanes.candidate
    theirs = trade_id_of(run_id_of("another-plan"), trade.symbol, trade.action)
    lanes.candidate.orders.append(by_hand(trade, STEP, client_order_id=client_order_id_of(theirs, 1)))
    lanes.neighbours = frozenset({theirs})
    comparison = lanes.judged()

    assert comparison.verdict is Verdict.MATCHED
    assert comparison.candidate
    assert comparison.candidate.account
    assert [each.owner for each in comparison.candidate.account.orders] == [Owner.ANOTHER_RUN]


@pytest.mark.parametrize("turned", [False, True])
def test_an_order_by_hand_in_the_control_s_account_is_a_told_line_and_no_difference(turned: bool) -> None:  # noqa: FBT001
    lanes = Lanes()
    trade = lanes.trade()
    lanes.control.orders.append(by_hand(trade, MINUTE, side=other(trade.action) if turned else trade.action))
    comparison = lanes.judged()

    assert comparison.verdict is Verdict.MATCHED
    (told,) = comparison.told
    assert (told.role, told.owner, told.symbol, told.filled) == ("control", Owner.NOBODY, trade.symbol, Decimal(300))


def test_an_order_by_hand_during_the_trade_itself_is_told_unless_it_asks_for_as_much() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    lanes.control.orders.append(by_hand(trade, -STEP))
    assert lanes.judged().verdict is Verdict.MATCHED

    lanes = Lanes()
    lanes.control.again(trade.symbol, "as-much")
    assert "DOUBLE_ORDER" in kinds(lanes.judged())


def test_an_order_of_the_candidate_in_the_control_s_account_is_a_double_order() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    ours = trade_id_of(run_id_of(lanes.run.plan_id), trade.symbol, trade.action)
    trades = tuple(each.model_copy(update={"trade_id": f"minted-{each.symbol}"}) for each in lanes.run.trades)
    lanes.run = lanes.run.model_copy(update={"trades": trades})
    lanes.control.orders.append(by_hand(trade, MINUTE, client_order_id=client_order_id_of(ours, 1)))

    assert "DOUBLE_ORDER" in kinds(lanes.judged())


def test_an_order_that_filled_while_a_trade_failed_may_be_that_trade_s() -> None:
    built = (Lanes(seed, "failures") for seed in range(50))
    lanes, failed = next(
        (lanes, trade)
        for lanes in built
        for trade in lanes.run.trades
        if trade.status is TradeStatus.FAILED and trade.completed_at and trade.filled_quantity
    )
    lanes.control.orders.append(by_hand(failed, -STEP))
    comparison = lanes.judged()

    assert any("order hand-1" in gap and "which failed" in gap for gap in comparison.gaps)


def test_an_order_that_could_be_the_trade_s_is_a_gap_that_names_it() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    lanes.control.orders.append(by_hand(trade, MINUTE, quantity=trade.filled_quantity))
    comparison = lanes.judged()

    assert comparison.verdict is Verdict.INCOMPLETE
    assert any("order hand-1" in gap and trade.symbol in gap for gap in comparison.gaps)
    assert comparison.differences == ()


def test_a_held_order_without_a_time_of_submission_is_not_left_out() -> None:
    lanes, trade = paper()
    assert lanes.candidate
    held = by_hand(trade, STEP, submitted_at=None, status=OrderStatus.OPEN, filled_quantity=Decimal(0), average_price=None)
    lanes.candidate.orders.append(replace(held, limit_price=Decimal(100), side=other(trade.action)))
    difference = lanes.found("UNCLAIMED_ORDER")

    assert difference.severity is Severity.CRITICAL
    assert (difference.impact.notional, difference.impact.gross) == (0, 300)  # nothing yet, and what it may still fill


def test_an_order_left_working_after_its_trade_is_told_with_what_it_may_fill() -> None:
    lanes, trade = paper()
    assert lanes.candidate
    working = {"status": OrderStatus.OPEN, "filled_quantity": Decimal(0), "average_price": None, "limit_price": Decimal(10)}
    lanes.candidate.again(trade.symbol, client_order_id_of(trade.trade_id, 40), quantity=Decimal(7), **working)
    comparison = lanes.judged()
    found = next(d for d in comparison.differences if d.kind == "ORDER_LEFT_WORKING")

    assert found.attribution is Attribution.CANDIDATE
    assert found.own.gross == 70


@pytest.mark.parametrize("answer", ["unknown", "rejected", "cancelled", "half"])
@pytest.mark.parametrize("role", ["control", "candidate"])
def test_fills_of_a_failed_trade_that_the_broker_denies_are_found_in_either_lane(role: str, answer: str) -> None:
    lanes, _ = paper()
    trade = lanes.trade()
    account = lanes.control if role == "control" else lanes.candidate
    assert account
    run = lanes.run if role == "control" else lanes.other
    mine = next(t for t in run.trades if t.trade_id == trade.trade_id)
    failed = mine.model_copy(update={"status": TradeStatus.FAILED})
    trades = tuple(failed if t.trade_id == trade.trade_id else t for t in run.trades)
    if role == "control":
        lanes.run = run.model_copy(update={"trades": trades})
    else:
        lanes.other = run.model_copy(update={"trades": trades})
    none = {"filled_quantity": Decimal(0), "average_price": None}
    if answer == "unknown":
        account.orders = [order for order in account.orders if order.symbol != trade.symbol]
    elif answer == "half":
        account.change(trade.symbol, status=OrderStatus.CANCELED, filled_quantity=(mine.filled_quantity or Decimal(0)) / 2)
    else:
        status = OrderStatus.REJECTED if answer == "rejected" else OrderStatus.CANCELED
        account.change(trade.symbol, status=status, **none)
    comparison = lanes.judged()
    denied = [d for d in comparison.differences if d.kind == "ORDER_DENIED" and d.trade_id == trade.trade_id]

    assert [d.attribution.value for d in denied] == [role]
    assert comparison.verdict is not Verdict.MATCHED
    assert comparison.gross_impact > 0


def test_an_executed_trade_whose_order_the_broker_does_not_know_is_worth_what_was_claimed() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    lanes.control.orders = [order for order in lanes.control.orders if order.symbol != trade.symbol]
    comparison = lanes.judged()
    assert trade.value is not None

    assert "COMPLETED_WITHOUT_ORDER" in kinds(comparison)
    assert comparison.verdict is Verdict.DIVERGED
    assert abs(comparison.gross_impact - trade.value) < trade.value / 50


def test_a_replaced_order_is_followed_to_the_one_that_took_its_place() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    order = next(each for each in lanes.control.orders if each.symbol == trade.symbol)
    assert order.submitted_at
    heir = replace(order, order_id="heir", client_order_id="heir-name", submitted_at=order.submitted_at + 3 * MINUTE)
    nothing = {"status": OrderStatus.UNKNOWN, "filled_quantity": Decimal(0), "average_price": None, "replaced_by": "heir"}
    lanes.control.change(trade.symbol, **nothing)
    lanes.control.orders.append(heir)
    comparison = lanes.judged()

    assert kinds(comparison) == set()
    assert comparison.gaps == ()
    assert comparison.control
    found = next(t for t in comparison.control.trades if t.trade_id == trade.trade_id)
    assert [each.status for each in found.orders] == ["replaced", "filled"]


ODD = OddOrder("stop-1", "desk-7", "GME", Side.SELL, "held", Decimal(5), Decimal(0), None, None, "order.type: expected limit")


def test_an_order_of_a_desk_that_cannot_be_modelled_is_told_and_costs_nothing_else() -> None:
    lanes = Lanes()
    lanes.control.odd = [replace(ODD, order_id=f"stop-{number}", symbol=lanes.trade().symbol) for number in range(13)]
    comparison = lanes.judged()

    assert comparison.verdict is Verdict.MATCHED
    assert {(told.order_id, told.owner) for told in comparison.told} == {(f"stop-{n}", Owner.UNCLEAR) for n in range(13)}


def test_an_order_of_the_trade_that_cannot_be_read_costs_that_trade_and_accuses_nobody() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    lanes.control.odd = [replace(ODD, order_id=trade.order_id, symbol=trade.symbol)]
    lanes.control.orders = [order for order in lanes.control.orders if order.symbol != trade.symbol]
    comparison = lanes.judged()

    assert comparison.verdict is Verdict.INCOMPLETE
    assert comparison.differences == ()
    assert any(f"order {trade.order_id} of {trade.symbol}: order.type" in gap for gap in comparison.gaps)


def test_an_odd_order_in_the_candidate_s_account_is_a_gap_by_name_and_no_accusation() -> None:
    lanes, _ = paper()
    assert lanes.candidate
    lanes.candidate.odd = [ODD]
    comparison = lanes.judged()

    assert comparison.verdict is Verdict.INCOMPLETE
    assert comparison.differences == ()
    assert comparison.gaps == ("candidate: broker orders: order stop-1 of GME: order.type: expected limit",)


def test_v10_an_order_named_after_a_trade_whose_record_cannot_be_read_accuses_nobody() -> None:
    lanes, trade = paper()
    gap = Gap(what=f"candidate trade {trade.trade_id}", reason="its result cannot be read")
    left = tuple(each for each in lanes.other.trades if each is not trade)
    lanes.other = lanes.other.model_copy(update={"trades": left})
    assert "UNCLAIMED_ORDER" in kinds(lanes.judged())
    lanes.other = lanes.other.model_copy(update={"gaps": (gap,)})
    assert "UNCLAIMED_ORDER" not in kinds(lanes.judged())
    assert any(told.owner is Owner.UNCLEAR and told.symbol == trade.symbol for told in lanes.judged().told)


def test_a_walk_of_several_orders_is_claimed_by_its_shape() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    order = next(each for each in lanes.control.orders if each.symbol == trade.symbol)
    assert order.submitted_at
    earlier = [
        replace(
            order,
            order_id=f"walk-{step}",
            client_order_id=f"walk-name-{step}",
            submitted_at=order.submitted_at - (2 - step) * timedelta(milliseconds=1),
            status=OrderStatus.CANCELED,
            filled_quantity=Decimal(0),
            average_price=None,
        )
        for step in range(2)
    ]
    lanes.control.orders += earlier
    comparison = lanes.judged()

    assert comparison.verdict is Verdict.MATCHED
    assert comparison.told == ()
    assert comparison.control
    found = next(t for t in comparison.control.trades if t.trade_id == trade.trade_id)
    assert [each.order_id for each in found.orders] == ["walk-0", "walk-1", trade.order_id]


AT = datetime(2026, 11, 27, 15, tzinfo=UTC)


def sent(number: int, quantity: str, status: str, filled: str = "0", **more: object) -> Listed:
    """Give the `number`-th order of AAPL that the broker listed, a second after the one before it."""
    record = {
        "order_id": f"o{number}",
        "client_order_id": f"random-{number}",
        "symbol": "AAPL",
        "side": Side.BUY,
        "order_type": "limit",
        "quantity": Decimal(quantity),
        "filled_quantity": Decimal(filled),
        "status": status,
        "submitted_at": AT + number * timedelta(seconds=1),
    }
    return Listed(OrderRecord.model_validate(record | more))


TIMES = {"started_at": AT, "completed_at": AT + timedelta(seconds=10)}


def claimed(orders: list[Listed], shared: bool = False, **trade: object) -> Accounted:  # noqa: FBT001, FBT002 - one place
    """Account for orders of a control's BUY that ran for ten seconds and recorded the last of them."""
    own = {"trade_id": "t", "symbol": "AAPL", "action": Side.BUY, "status": TradeStatus.COMPLETED, "started_at": AT}
    one = TradeOutcome.model_validate(own | {"completed_at": AT + timedelta(seconds=10)} | trade)
    run = RunOutcome(
        role=Role.CONTROL,
        lane=Lane.LEGACY,
        run_id="r",
        plan_id="p",
        status=RunStatus.COMPLETED,
        trades=(one,),
        started_at=AT,
        completed_at=AT + timedelta(seconds=10),
    )
    return accounted(run, orders, Neighbours(frozenset({"AAPL"} if shared else ())))


def names(result: Accounted) -> list[str | None]:
    return [order.order_id for order in result.by_trade["t"]]


@pytest.mark.parametrize(("asked", "kept"), [("10", ["o1", "o2"]), ("10.2", ["o1", "o2"]), ("10.3", ["o2"]), ("9.7", ["o2"])])
def test_an_order_for_what_the_plan_asks_is_the_trades_although_its_last_order_asked_for_more(
    asked: str, kept: list[str]
) -> None:
    decided = Intent(decision_price=Decimal(50))
    orders = [sent(1, asked, "filled", asked), sent(2, "11", "filled", "11")]
    assert names(claimed(orders, order_id="o2", planned_amount=Decimal(500), intent=decided)) == kept


SELL = {"side": Side.SELL}


@pytest.mark.parametrize(
    ("first", "shared", "kept"),
    [
        (sent(1, "12", "canceled", "4", **SELL), False, ["o1", "o2", "o3"]),
        (sent(1, "12", "canceled", "3.99", **SELL), False, ["o2", "o3"]),
        (sent(1, "12.01", "canceled", "4", **SELL), False, ["o2", "o3"]),
        (sent(1, "12", "open", "4", **SELL), False, ["o2", "o3"]),
        (sent(1, "12", "canceled", "4", symbol="MSFT", **SELL), False, ["o2", "o3"]),
        (sent(4, "12", "canceled", "4", **SELL), False, ["o2", "o3"]),
        (sent(-20, "12", "canceled", "4", **SELL), False, ["o2", "o3"]),
        (sent(1, "12", "canceled", "4", **SELL), True, ["o2", "o3"]),
    ],
)
def test_an_order_of_the_other_side_is_the_trades_where_its_walk_asks_for_exactly_what_that_left(
    first: Listed,
    *,
    shared: bool,
    kept: list[str],
) -> None:
    walk = [sent(2, "8", "canceled", "3"), sent(3, "5", "filled", "5")]
    assert names(claimed([first, *walk], shared, order_id="o3")) == kept


@pytest.mark.parametrize("lane", Lane)
def test_the_times_of_the_trade_itself_bind_a_lane_with_random_names_alone(lane: Lane) -> None:
    run = RunOutcome(
        role=Role.CANDIDATE,
        lane=lane,
        run_id="r",
        plan_id="p",
        status=RunStatus.COMPLETED,
        trades=(TradeOutcome(trade_id="t", symbol="AAPL", action=Side.BUY, status=TradeStatus.COMPLETED, **TIMES),),
        started_at=AT,
        completed_at=AT + timedelta(seconds=10),
    )
    late = sent(1, "10", "filled", "10", submitted_at=AT + timedelta(seconds=16))
    assert bool(names(accounted(run, [late], Neighbours()))) is (lane is not Lane.LEGACY)


@pytest.mark.parametrize(
    ("first", "second", "walks"),
    [
        (("10", "canceled", "4"), "6", True),
        (("10", "expired", "0"), "10", True),
        (("10", "canceled", "4"), "6.2", True),
        (("10", "canceled", "4"), "6.21", False),
        (("10", "open", "4"), "6", False),
        (("10", "unknown", "4"), "6", False),
        (("10", "filled", "4"), "6", False),
        (("10", "canceled", "10"), "0.1", False),
        (("10", "canceled", "4"), "5.7", False),
    ],
)
def test_the_next_order_of_a_walk_asks_for_what_a_dead_one_left(first: tuple[str, str, str], second: str, *, walks: bool) -> None:
    orders = [sent(1, *first), sent(2, second, "filled", second)]
    assert names(claimed(orders, order_id="o2")) == (["o1", "o2"] if walks else ["o2"])


@pytest.mark.parametrize(
    ("quantity", "is_more"), [("10", True), ("10.2", True), ("9.8", True), ("10.21", False), ("9.79", False)]
)
def test_an_order_for_the_whole_once_more_is_the_trades_too(quantity: str, *, is_more: bool) -> None:
    """Held against what was asked for, and not against what was filled."""
    orders = [sent(1, "10", "canceled", "4"), sent(2, quantity, "filled", quantity)]
    assert names(claimed(orders, order_id="o1", filled_quantity=Decimal(4))) == (["o1", "o2"] if is_more else ["o1"])


@pytest.mark.parametrize(
    ("second", "shared", "kept"),
    [
        (sent(2, "10", "filled", "10"), False, ["o1", "o2"]),
        (sent(2, "10.1", "open"), False, ["o1", "o2"]),
        (sent(2, "3", "filled", "3"), False, ["o1"]),
        (sent(2, "10", "filled", "10", side=Side.SELL), False, ["o1"]),
        (sent(2, "10", "filled", "10", submitted_at=AT + timedelta(seconds=60)), False, ["o1"]),
        (sent(2, "10", "filled", "10"), True, ["o1"]),
    ],
)
def test_v1_after_a_cut_over_an_order_for_the_whole_once_more_is_the_trades_whatever_its_name(
    second: Listed, kept: list[str], *, shared: bool
) -> None:
    """The workflow in production: it names its orders, and people trade in its account."""
    one = TradeOutcome(
        trade_id="t", symbol="AAPL", action=Side.BUY, status=TradeStatus.COMPLETED, filled_quantity=Decimal(10), **TIMES
    )
    run = RunOutcome(
        role=Role.CONTROL, lane=Lane.WORKFLOW, run_id="r", plan_id="p", status=RunStatus.COMPLETED, trades=(one,), **TIMES
    )
    first = sent(1, "10", "filled", "10", client_order_id="t")
    neighbours = Neighbours(frozenset({"AAPL"} if shared else ()))
    assert names(accounted(run, [first, second], neighbours)) == kept


@pytest.mark.parametrize("trade", [{"order_id": "o1"}, {}])
def test_an_order_for_the_whole_once_more_is_unclear_where_another_run_traded_the_symbol(trade: dict[str, object]) -> None:
    orders = [sent(1, "10", "filled", "10"), sent(2, "10", "filled", "10")]
    assert names(claimed(orders, **trade)) == ["o1", "o2"]
    assert list(claimed(orders, shared=True, **trade).unclear) == ["t"]
    dead = [orders[0], sent(2, "10", "canceled")]
    assert not claimed(dead, shared=True, **trade).unclear


@pytest.mark.parametrize(("seconds", "held"), [(-6, False), (-5, True), (0, True), (15, True), (16, False)])
def test_an_order_without_a_name_is_a_trades_within_its_own_times(seconds: int, *, held: bool) -> None:
    order = sent(1, "10", "filled", "10", submitted_at=AT + timedelta(seconds=seconds))
    assert bool(names(claimed([order], filled_quantity=Decimal(4)))) is held


@pytest.mark.parametrize(
    ("mine", "theirs", "common"),
    [((0, 2), (1, 3), True), ((0, 1), (1, 2), True), ((0, 1), (2, 3), False), ((2, 3), (0, 1), False), ((0, 9), (3, 4), True)],
)
def test_two_stretches_of_time_overlap_where_they_have_a_moment_in_common(
    mine: tuple[int, int], theirs: tuple[int, int], *, common: bool
) -> None:
    one, two = (Span(AT + timedelta(seconds=a), AT + timedelta(seconds=b)) for a, b in (mine, theirs))
    assert one.overlaps(two) is two.overlaps(one) is common
    assert one.holds(None)
    assert one.holds(one.begin)
    assert one.holds(one.end)
    assert not one.holds(one.end + STEP)
    assert not one.holds(one.begin - STEP)


@pytest.mark.parametrize(
    ("name", "trade"),
    [(None, ""), ("t-1", "t-1"), ("t-1-step-3", "t-1"), ("t-1-step-x", "t-1-step-x"), ("t-step-1-step-2", "t-step-1")],
)
def test_a_client_id_of_ours_names_its_trade(name: str | None, trade: str) -> None:
    assert named_after(name) == trade


RAN: dict[str, object] = {"status": RunStatus.COMPLETED, "plan_id": "p", "run_id": "r", **TIMES}


def run_of(role: Role, lane: Lane, *trades: TradeOutcome, **changes: object) -> RunOutcome:
    return RunOutcome.model_validate(RAN | {"role": role, "lane": lane, "trades": trades} | changes)


def a_trade(name: str = "t", **changes: object) -> TradeOutcome:
    own = {"trade_id": name, "symbol": "AAPL", "action": Side.BUY, "status": TradeStatus.COMPLETED, **TIMES}
    return TradeOutcome.model_validate(own | changes)


LATE, EARLY = AT + timedelta(minutes=10), AT - timedelta(minutes=1)
FAULT = "order.type: expected limit"
DESK = sent(1, "3", "filled", "3", symbol="GME")


@pytest.mark.parametrize(
    ("role", "order", "owner", "note"),
    [
        *((role, sent(1, "3", "filled", "3", client_order_id="u-step-2"), Owner.ANOTHER_RUN, None) for role in Role),
        *((role, sent(1, "3", "filled", "3", client_order_id="u", submitted_at=LATE), Owner.ANOTHER_RUN, None) for role in Role),
        *((role, sent(1, "3", "filled", "3", submitted_at=LATE), Owner.LATER, None) for role in Role),
        *((role, sent(1, "3", "filled", "3", submitted_at=EARLY), Owner.LATER, None) for role in Role),
        *(
            (
                role,
                sent(1, "3", "filled", "3", client_order_id="lost-step-1", symbol="GME"),
                Owner.UNCLEAR,
                "the record of the trade that it is named after cannot be read",
            )
            for role in Role
        ),
        *((role, sent(1, "3", "filled", "3", client_order_id="h", symbol="GME"), Owner.NOBODY, None) for role in Role),
        *((role, sent(1, "3", "filled", "3", client_order_id="trade", symbol="GME"), Owner.NOBODY, None) for role in Role),
        *((role, sent(1, "3", "filled", "3", client_order_id=None, symbol="GME"), Owner.NOBODY, None) for role in Role),
        *((role, replace(DESK, fault=FAULT), Owner.UNCLEAR, FAULT) for role in Role),
        (Role.CONTROL, sent(1, "3", "filled", "3", symbol="KO"), Owner.UNCLEAR, "another run traded KO at the same time"),
        (
            Role.CONTROL,
            sent(1, "3", "filled", "3", symbol="EQUITIES::KO//USD"),
            Owner.UNCLEAR,
            "another run traded EQUITIES::KO//USD at the same time",
        ),
        (Role.CANDIDATE, sent(1, "3", "filled", "3", symbol="KO"), Owner.NOBODY, None),
    ],
)
def test_an_order_that_is_no_trade_s_is_told_by_whose_it_may_be(
    role: Role, order: Listed, owner: Owner, note: str | None
) -> None:
    gaps = (Gap(what="candidate trade lost", reason="r"), Gap(what="i", reason="r"), Gap(what="candidate trade a", reason="r"))
    run = run_of(role, Lane.WORKFLOW, a_trade(symbol="MSFT"), gaps=gaps)
    result = accounted(run, [order], Neighbours(frozenset({"KO"}), frozenset({"u"})))
    assert [(each.owner, each.note, each.order) for each in result.others] == [(owner, note, order.record)]
    assert result.by_trade == {"t": []}
    assert result.unclear == {}
    faulty = order.fault is not None and role is Role.CANDIDATE
    assert result.gaps == ([f"order o1 of GME: {FAULT}"] if faulty else [])


def test_an_order_without_id_or_symbol_is_told_so() -> None:
    record = OrderRecord(client_order_id="x", status="held")
    result = accounted(run_of(Role.CANDIDATE, Lane.WORKFLOW), [Listed(record, FAULT)], Neighbours())
    assert result.gaps == [f"order (without an id) of (no symbol): {FAULT}"]


@pytest.mark.parametrize(
    ("order", "taken"),
    [
        (sent(1, "3", "filled", "3"), True),
        (sent(1, "3", "filled", "3", symbol="EQUITIES::AAPL//USD"), True),
        (sent(1, "3", "filled", "3", order_type="market"), True),
        (sent(1, "3", "filled", "3", submitted_at=None), True),
        (sent(1, "3", "filled", "3", submitted_at=AT - timedelta(seconds=5)), True),
        (sent(1, "3", "filled", "3", submitted_at=AT + timedelta(seconds=130)), True),
        (sent(1, "3", "filled", "3", submitted_at=AT - timedelta(seconds=6)), False),
        (sent(1, "3", "filled", "3", submitted_at=AT + timedelta(seconds=131)), False),
        (sent(1, "3", "filled", "3", order_type="stop"), False),
        (sent(1, "3", "filled", "3", order_type=None), False),
        (sent(1, "3", "filled", "3", side=Side.SELL), False),
        (sent(1, "3", "filled", "3", side=None), False),
        (sent(1, "3", "filled", "3", symbol="MSFT"), False),
        (sent(1, "3", "filled", "3", client_order_id="u-step-1"), False),
        (replace(sent(1, "3", "filled", "3"), fault=FAULT), False),
    ],
)
def test_what_was_sent_in_the_candidate_s_account_as_a_trade_goes_while_the_run_worked_is_the_trade_s(
    order: Listed, *, taken: bool
) -> None:
    run = run_of(Role.CANDIDATE, Lane.WORKFLOW, a_trade())
    result = accounted(run, [order], Neighbours(frozenset(), frozenset({"u"})))
    assert names(result) == (["o1"] if taken else [])
    assert len(result.others) == (0 if taken else 1)
    assert names(accounted(run.model_copy(update={"started_at": None}), [order], Neighbours())) == []


@pytest.mark.parametrize(
    ("trade", "order", "note"),
    [
        ({}, sent(2, "10.2", "filled", "10.2", submitted_at=AT + timedelta(seconds=60)), "it asks for as much as the run's BUY"),
        ({}, sent(2, "10.21", "filled", "10.21", submitted_at=AT + timedelta(seconds=60)), None),
        ({}, sent(2, "3", "filled", "3"), None),
        (
            {"status": TradeStatus.FAILED},
            sent(2, "3", "filled", "3"),
            "it filled 3 shares while the run's BUY of AAPL, which failed, was at work",
        ),
        ({"status": TradeStatus.FAILED}, sent(2, "3", "canceled", "0"), None),
        ({"status": TradeStatus.FAILED}, sent(2, "3", "filled", "3", submitted_at=AT + timedelta(seconds=60)), None),
        ({"status": TradeStatus.FAILED, "completed_at": None}, sent(2, "3", "filled", "3"), None),
        ({"status": TradeStatus.FAILED}, sent(2, "3", "filled", "3", side=Side.SELL), None),
    ],
)
def test_an_order_of_the_control_s_account_that_no_walk_took_may_be_a_trade_s_by_its_size_or_by_its_fill(
    trade: dict[str, object], order: Listed, note: str | None
) -> None:
    own = a_trade(order_id="o1", filled_quantity=Decimal(10), **trade)
    result = accounted(run_of(Role.CONTROL, Lane.LEGACY, own), [sent(1, "10", "filled", "10"), order], Neighbours())
    assert names(result) == ["o1"]
    (told,) = result.others
    assert told.owner is (Owner.NOBODY if note is None else Owner.UNCLEAR)
    assert (told.note or "").startswith(note or "")
    assert result.gaps == ([] if note is None else [f"order o2 of AAPL: {told.note}"])


@pytest.mark.parametrize(
    ("changes", "shared", "why"),
    [
        ({"started_at": None}, False, None),
        ({"started_at": None}, True, "AAPL was traded twice at the same time, and the trade's own times are not known"),
        ({"completed_at": None}, True, "AAPL was traded twice at the same time, and the trade's own times are not known"),
        ({}, True, None),
    ],
)
def test_an_order_of_a_trade_without_times_of_its_own_is_looked_for_while_the_run_worked(
    changes: dict[str, object], why: str | None, *, shared: bool
) -> None:
    result = claimed([sent(1, "10", "filled", "10")], shared, **changes)
    assert result.unclear == ({} if why is None else {"t": why})
    assert names(result) == ([] if why else ["o1"])
    elsewhere = claimed([sent(1, "10", "filled", "10", symbol="MSFT")], shared, **changes)
    assert elsewhere.unclear == {}


def test_where_the_start_of_the_run_is_not_known_an_order_that_may_be_a_trade_s_is_unclear() -> None:
    run = run_of(Role.CONTROL, Lane.LEGACY, a_trade(), started_at=None)
    order, other_way = sent(1, "10", "filled", "10"), sent(1, "3", "filled", "3", side=Side.SELL)
    assert accounted(run, [order], Neighbours()).unclear == {"t": "the run's start is not known"}
    assert accounted(run, [other_way], Neighbours()).unclear == {}
    assert [each.owner for each in accounted(run, [other_way], Neighbours()).others] == [Owner.NOBODY]


@pytest.mark.parametrize(
    ("order", "trade"),
    [
        ({"order_id": "b9"}, {"order_id": "b9"}),
        ({"order_id": "b9"}, {"orders": (OrderRecord(order_id="b9"),)}),
        ({"client_order_id": "c9"}, {"orders": (OrderRecord(client_order_id="c9"),)}),
        ({"client_order_id": "c9-step-4"}, {"orders": (OrderRecord(client_order_id="c9"),)}),
        ({"client_order_id": "t"}, {}),
        ({"client_order_id": "t-step-4"}, {}),
        ({"order_id": "t", "client_order_id": None}, {}),
    ],
)
@pytest.mark.parametrize("role", Role)
def test_an_order_is_a_trade_s_by_any_of_the_ids_that_name_it_whatever_it_asks_for(
    role: Role, order: dict[str, object], trade: dict[str, object]
) -> None:
    listed = sent(1, "3", "held", symbol="GME", side=Side.SELL, order_type="stop", submitted_at=LATE, **order)
    run = run_of(role, Lane.WORKFLOW, a_trade(**trade), a_trade("u", symbol="MSFT"))
    result = accounted(run, [listed], Neighbours())
    assert (result.by_trade, result.others) == ({"t": [listed.record], "u": []}, [])
    faulty = accounted(run, [replace(listed, fault=FAULT)], Neighbours())
    assert list(faulty.unclear) == ["t"]
    assert [(each.owner, each.note) for each in faulty.others] == [(Owner.UNCLEAR, faulty.unclear["t"])]


def test_what_replaced_an_order_is_its_trade_s_in_whatever_order_they_are_listed_and_each_is_told_once() -> None:
    chain = [
        sent(1, "10", "replaced", client_order_id="t", replaced_by="o2"),
        sent(2, "9", "replaced", symbol="GME", replaced_by="o3"),
        sent(3, "8", "filled", "8", symbol="GME"),
    ]
    run = run_of(Role.CONTROL, Lane.WORKFLOW, a_trade())
    for listed in (chain, chain[::-1], [chain[1], chain[2], chain[0]]):
        result = accounted(run, listed, Neighbours())
        assert (names(result), result.others) == ([each.record.order_id for each in listed], [])
    round_about = [sent(1, "1", "replaced", symbol="GME", replaced_by="o2"), sent(2, "1", "x", symbol="GME", replaced_by="o1")]
    assert len(accounted(run, round_about, Neighbours()).others) == 2


def test_a_walk_goes_back_from_the_order_that_the_trade_names_and_forth_from_the_first_where_it_names_none() -> None:
    orders = [
        sent(1, "10", "canceled", "2"),
        sent(2, "8", "expired", "3"),
        sent(3, "1", "filled", "1"),
        sent(4, "5", "filled", "5"),
    ]
    assert names(claimed(orders, order_id="o4", filled_quantity=Decimal(10))) == ["o1", "o2", "o4"]
    assert names(claimed(orders, filled_quantity=Decimal(10))) == ["o1", "o2", "o4"]
    late = [*orders, sent(5, "8", "canceled", "3")]
    assert names(claimed(late, order_id="o4", filled_quantity=Decimal(10))) == ["o1", "o2", "o4"]
    timeless = [sent(2, "8", "expired", "3", submitted_at=None), orders[3]]
    assert names(claimed(timeless, order_id="o4", filled_quantity=Decimal(5))) == ["o4"]
    unsized = [Listed(orders[1].record.model_copy(update={"quantity": None})), orders[3]]
    assert names(claimed(unsized, order_id="o4", filled_quantity=Decimal(5))) == ["o4"]
