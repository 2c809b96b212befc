"""What no order and no booking explains of an account, and orders of nobody, each with its worth."""

from __future__ import annotations

import pytest

from shadow.compare.case import Finding
from shadow.compare.checks.orders import account_findings
from shadow.contracts.outcome import (
    AccountOrder,
    AccountRecord,
    Booking,
    Books,
    HeldPosition,
    OrderRecord,
    Owner,
)
from shadow.contracts.vocabulary import Role, Side
from tests.factories.one_trade import AT, CANDIDATE, CONTROL, D
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
