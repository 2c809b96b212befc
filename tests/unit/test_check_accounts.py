"""What no order and no booking explains of an account, and orders of nobody, each with its worth."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from shadow.compare.case import Finding
from shadow.compare.checks.orders import account_findings
from shadow.compare.ledger import ledger_of, told_of
from shadow.compare.money import NOTHING as NOTHING_AT_ALL
from shadow.compare.money import impacts_of
from shadow.contracts.comparison import Cause
from shadow.contracts.outcome import (
    AccountOrder,
    AccountRecord,
    Booking,
    Books,
    HeldPosition,
    OrderRecord,
    Owner,
)
from shadow.contracts.vocabulary import Role, Side, TradeStatus
from tests.factories.one_trade import AT, CANDIDATE, CONTROL, D, lane, pair
from tests.factories.two_runs import (
    filled,
    ran,
    view,
)


def books(cash: str, **held: str) -> Books:
    return Books(
        at=AT,
        cash=D(cash),
        positions=tuple(HeldPosition(symbol=name, quantity=D(much), price=D(10)) for name, much in held.items()),
    )


@pytest.mark.parametrize(
    ("closing", "others", "bookings", "told"),
    [
        (books("100", AAPL="5"), (), (), None),
        (books("80", AAPL="7"), (filled("1"),), (), None),
        (books("120", AAPL="3"), (filled("1", Side.SELL),), (), None),
        (books("80", AAPL="7"), (), (Booking(kind="FILL", symbol="AAPL", amount=D(-20), quantity=D(2)),), None),
        (books("99", AAPL="5"), (), (Booking(kind="FEE", amount=D(-1)),), None),
        (books("80", AAPL="5"), (filled("1"),), (), "-20 USD"),
        (books("100.01", AAPL="5"), (), (), "0.01 USD"),
        (books("100.004", AAPL="5"), (), (), None),
        (books("100", AAPL="5.000001"), (), (), None),
        (books("100", AAPL="5.000002"), (), (), "0 USD"),
        (books("100", AAPL="6"), (), (), "10 USD"),
        (books("100", AAPL="5", MSFT="1"), (), (), "10 USD"),
        (books("100"), (), (), "-50 USD"),
        (books("120", AAPL="3"), (filled("1", Side.SELL), filled("1", Side.SELL)), (), None),
        (books("80", AAPL="7"), (filled("1", symbol=None),), (), "0 USD"),
    ],
)
def test_what_no_order_and_no_booking_explains_of_an_account_is_told_with_its_worth(
    closing: Books, others: tuple[OrderRecord, ...], bookings: tuple[Booking, ...], told: str | None
) -> None:
    orders = tuple(AccountOrder(owner=Owner.LATER, order=order) for order in others)
    for role in Role:
        sign = 1 if role is CANDIDATE else -1
        record = AccountRecord(opening=books("100", AAPL="5"), closing=closing, orders=orders, bookings=bookings)
        found = list(account_findings(view(*(ran(each, account=record if each is role else None) for each in Role))))
        assert [(each.kind, each.role) for each in found] == ([] if told is None else [("UNEXPLAINED_MONEY", role)])
        for each in found:
            shown = each.control if role is CONTROL else each.candidate
            assert shown is not None
            assert D(shown.removesuffix(" USD")) == D((told or "").removesuffix(" USD"))
            assert each.impact is not None
            assert abs(each.impact.notional + each.impact.cash - sign * D(shown.removesuffix(" USD"))) < D("0.01")
    unseen = AccountRecord(closing=closing)
    assert list(account_findings(view(None, ran(CANDIDATE, account=unseen)))) == []


@pytest.mark.parametrize(
    ("order", "notional", "cash", "gross"),
    [
        (filled("1"), 20, -20, 20),
        (filled("1", Side.SELL), -20, 20, 20),
        (filled("1", filled_quantity=None), 0, 0, 0),
        (filled("1", status="open", quantity=D(5), limit_price=D(11)), 20, -20, 20 + 33),
        (filled("1", status="open", quantity=None), 20, -20, 20),
    ],
)
def test_an_order_of_nobody_in_the_candidates_account_is_worth_what_it_moved_and_may_move(
    order: OrderRecord, notional: int, cash: int, gross: int
) -> None:
    def found(role: Role, owner: Owner) -> list[Finding]:
        account = AccountRecord(orders=(AccountOrder(owner=owner, order=order),))
        return list(account_findings(view(*(ran(each, account=account if each is role else None) for each in Role))))

    (one,) = found(CANDIDATE, Owner.NOBODY)
    assert one.impact is not None
    assert (one.kind, one.role, one.symbol, one.candidate) == ("UNCLAIMED_ORDER", CANDIDATE, "AAPL", "1")
    assert (one.impact.notional, one.impact.cash, one.impact.gross) == (notional, cash, gross)
    assert found(CONTROL, Owner.NOBODY) == found(CANDIDATE, Owner.LATER) == found(CANDIDATE, Owner.UNCLEAR) == []


OTHERS: list[tuple[str, dict[str, Any]]] = [("1", {}), ("2", {"symbol": "GME"}), ("3", {"side": None})]
BOOKED = (
    Booking(kind="FEE", amount=D(-1)),
    Booking(kind="CSD", amount=D(7)),
    Booking(kind="DIV", symbol="AAPL", amount=D(3)),
    Booking(kind="FILL", symbol="AAPL", amount=D(-8), quantity=D(1)),
)


@pytest.mark.parametrize("role", list(Role))
def test_what_else_was_filled_and_booked_in_an_account_is_a_row_by_cause_and_symbol(role: Role) -> None:
    orders = tuple(AccountOrder(owner=Owner.NOBODY, order=filled(name, average_price=D(9), **more)) for name, more in OTHERS)
    account = AccountRecord(closing=books("100", AAPL="5"), orders=orders, bookings=BOOKED)
    ledger = ledger_of(view(*(ran(each, account=account if each is role else None) for each in Role)))
    sign = 1 if role is CANDIDATE else -1
    assert [(row.cause, row.symbol, sign * row.dollars) for row in ledger.rows] == [
        (Cause.OTHER_ORDERS, "AAPL", D(2)),
        (Cause.FEES, None, D(-1)),
        (Cause.OTHER_ACTIVITY, None, D(7)),
        (Cause.OTHER_ACTIVITY, "AAPL", D(5)),
    ]
    assert ledger.marks == {"AAPL": 10, "GME": 9}
    assert (ledger.equity, ledger.unexplained, ledger.is_proved) == (None, None, False)


@pytest.mark.parametrize(
    ("order", "filled_usd", "working"),
    [
        (filled("1"), D(20), D(0)),
        (filled("1", filled_quantity=D(0), average_price=None), D(0), D(0)),
        (filled("1", filled_quantity=None), None, D(0)),
        (filled("1", average_price=None), None, D(0)),
        (filled("1", status="open", quantity=D(5)), D(20), D(30)),
        (filled("1", status="open", quantity=D(5), limit_price=D(11)), D(20), D(33)),
        (filled("1", status="open", quantity=D(5), average_price=None), None, None),
        (filled("1", status="open", quantity=D(5), accepted=False), D(20), D(0)),
    ],
)
def test_an_order_beside_the_run_is_told_with_its_dollars_but_for_another_runs(order: Any, filled_usd: Any, working: Any) -> None:
    orders = tuple(AccountOrder(owner=owner, order=order, note=owner.value) for owner in Owner)
    told = list(told_of(ran(CANDIDATE, account=AccountRecord(orders=orders))))
    assert [(each.owner, each.note) for each in told] == [
        (owner, owner.value) for owner in Owner if owner is not Owner.ANOTHER_RUN
    ]
    assert {(each.role, each.symbol, each.filled, each.working) for each in told} == {("candidate", "AAPL", filled_usd, working)}
    assert list(told_of(ran(CANDIDATE))) == []


NOTHING: dict[str, Any] = {"status": TradeStatus.FAILED}


def bought(shares: int, price: int) -> dict[str, Any]:
    return {"filled_quantity": D(shares), "average_price": D(price), "value": D(shares * price)}


def test_a_trade_that_one_lane_made_is_one_row_at_the_mark_and_of_one_that_both_made_quantity_and_price_are_two() -> None:
    def rows(one: dict[str, Any], two: dict[str, Any]) -> list[tuple[Cause, str | None, Decimal]]:
        held = Books(at=AT, cash=D(0), positions=(HeldPosition(symbol="GOOG", quantity=D(0), price=D(200)),))
        trades = [{"GOOG": trade, **dict.fromkeys(("AAPL", "MSFT", "TSLA"), NOTHING)} for trade in (one, two)]
        control = ran(CONTROL, trades[0], account=AccountRecord(closing=held))
        return [(row.cause, row.symbol, row.dollars) for row in ledger_of(view(control, ran(CANDIDATE, trades[1]))).rows]

    ten, twelve = bought(10, 100), bought(12, 110)
    assert rows(ten, ten) == rows(NOTHING, NOTHING) == []
    assert rows(NOTHING, ten) == [(Cause.ONE_LANE, "GOOG", D(1000))]
    assert rows(ten, NOTHING) == [(Cause.ONE_LANE, "GOOG", D(-1000))]
    assert rows(ten, twelve) == [(Cause.QUANTITY, "GOOG", D(190)), (Cause.PRICE, "GOOG", D(-110))]
    assert rows(twelve, ten) == [(Cause.QUANTITY, "GOOG", D(-190)), (Cause.PRICE, "GOOG", D(110))]


def test_what_two_accounts_held_before_is_a_row_each_and_what_its_price_moved_since_another() -> None:
    def account(cash: str, symbol: str, shares: str, prices: tuple[int, int], more: str = "0") -> AccountRecord:
        opening, closing = (
            Books(at=AT, cash=D(cash) + D(extra), positions=(HeldPosition(symbol=symbol, quantity=D(shares), price=D(price)),))
            for price, extra in zip(prices, ("0", more), strict=True)
        )
        return AccountRecord(opening=opening, closing=closing)

    one, two = account("100", "AAPL", "5", (10, 11)), account("130", "MSFT", "2", (20, 21), "0.5")
    silent = dict.fromkeys(("AAPL", "MSFT", "TSLA", "GOOG"), NOTHING)
    ledger = ledger_of(view(ran(CONTROL, silent, account=one), ran(CANDIDATE, silent, account=two)))
    assert [(row.cause, row.symbol, row.dollars) for row in ledger.rows] == [
        (Cause.OPENING_CASH, None, D(30)),
        (Cause.OPENING_POSITION, "AAPL", D(-50)),
        (Cause.OPENING_POSITION, "MSFT", D(40)),
        (Cause.OPENING_DRIFT, "AAPL", D(-5)),
        (Cause.OPENING_DRIFT, "MSFT", D(2)),
        (Cause.UNEXPLAINED, None, D("0.5")),
    ]
    assert (ledger.equity, ledger.unexplained, ledger.is_proved) == (D("17.5"), D("0.5"), True)
    unseen = one.model_copy(update={"opening": None})
    ledger = ledger_of(view(ran(CONTROL, silent, account=unseen), ran(CANDIDATE, silent, account=two)))
    assert (ledger.equity, ledger.unexplained, ledger.is_proved, ledger.rows) == (D("17.5"), None, False, ())
    ledger = ledger_of(view(ran(CONTROL, silent, account=AccountRecord()), ran(CANDIDATE, silent, account=two)))
    assert (ledger.equity, ledger.unexplained, ledger.is_proved, ledger.rows) == (None, None, False, ())


@pytest.mark.parametrize(("unknown", "words"), [(0, ""), (1, "; 1 trade is not valued"), (2, "; 2 trades are not valued")])
def test_the_ledger_says_whose_word_it_is_and_what_is_not_valued(unknown: int, words: str) -> None:
    silent = dict.fromkeys(("AAPL", "MSFT", "TSLA", "GOOG")[unknown:], NOTHING)
    ledger = ledger_of(view(ran(CONTROL, silent, broker_truth=True), ran(CANDIDATE, silent)))
    assert ledger.basis == "the control's account: its broker's orders; the candidate's account: the lane's own claims" + words


@pytest.mark.parametrize(("role", "sign"), [(CONTROL, -1), (CANDIDATE, 1)])
def test_what_one_lane_did_wrong_is_worth_its_dollars_as_the_candidate_minus_the_control(role: Role, sign: int) -> None:
    both = pair(lane(CONTROL, filled_quantity=D(12), orders=()), lane(filled_quantity=D(11), orders=()))

    def found(kind: str, who: Role, **more: Any) -> Finding:
        return Finding(kind=kind, field="f", rule="r", explanation="e", role=who, **more)

    (staked,) = impacts_of([found("GUARD_DECISION", role, at_stake=(both,))], both_ran=True)
    usd = {CONTROL: 1200, CANDIDATE: 1100}[role]
    assert (staked.notional, staked.cash, staked.gross) == (sign * usd, -sign * usd, usd)
    each = impacts_of([found("ASKED_QUANTITY", who, pair=both) for who in Role], both_ran=True)
    off = {CONTROL: 200, CANDIDATE: 100}[role]
    assert (each[list(Role).index(role)].notional, each[list(Role).index(role)].cash) == (sign * off, -sign * off)
    (alone,) = impacts_of([found("ASKED_QUANTITY", role, pair=both)], both_ran=True)
    assert (alone.notional, alone.cash) == (-100, 100)
    assert impacts_of([found("ASKED_QUANTITY", role, pair=both)], both_ran=False) == [NOTHING_AT_ALL]
