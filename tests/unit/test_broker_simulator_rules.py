"""Business Unit: local cloud | Status: current.

The broker simulator without sockets: exact money, prices that follow from the seed, faults that strike whom they should.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from time import time

import pytest
from pydantic import ValidationError

from local.broker_simulator.api import Request
from local.broker_simulator.simulator import Ending, Simulator
from local.broker_simulator.values import Fault, FaultKind, SetDay
from shadow.contracts.vocabulary import Role
from tests.factories.broker_simulator import CLOSES, DAY, ask, fresh, place, read


def bid_and_ask(simulator: Simulator, symbol: str = "AAPL", account: Role = Role.CONTROL) -> tuple[float, float]:
    quote = read(simulator, f"/v2/stocks/{symbol}/quotes/latest", account)["quote"]
    return quote["bp"], quote["ap"]


def test_a_quote_is_the_close_less_and_plus_half_the_spread_in_cents() -> None:
    simulator = fresh()
    assert bid_and_ask(simulator) == (187.14, 187.32)
    simulator.set_spread(Decimal(100), "AAPL")
    assert bid_and_ask(simulator) == (186.29, 188.17)
    assert bid_and_ask(simulator, "MSFT") == (408.13, 408.54)
    assert bid_and_ask(simulator, "PENNY") == (0.01, 0.01)


def test_prices_are_constant_within_a_day_and_never_follow_the_machines_clock() -> None:
    simulator = fresh()
    assert {bid_and_ask(simulator) for _ in range(20)} == {(187.14, 187.32)}
    assert read(simulator, "/v2/clock")["timestamp"] == "2026-01-06T15:45:00-05:00"


def test_a_half_day_closes_at_one() -> None:
    simulator = Simulator()
    simulator.set_day(date(2026, 11, 27), CLOSES, half_day=True)
    clock = read(simulator, "/v2/clock")
    assert (clock["timestamp"], clock["next_close"]) == ("2026-11-27T12:45:00-05:00", "2026-11-27T13:00:00-05:00")
    assert clock["next_open"] == "2026-11-30T09:30:00-05:00"
    assert read(simulator, "/v2/calendar", start="2026-11-27", end="2026-11-27")[0]["close"] == "13:00"


@pytest.mark.parametrize(
    ("at", "is_open"),
    [
        (datetime(2026, 1, 6, 14, 29, tzinfo=UTC), False),
        (datetime(2026, 1, 6, 14, 30, tzinfo=UTC), True),
        (datetime(2026, 1, 6, 21, 0, tzinfo=UTC), False),
        (datetime(2026, 1, 10, 16, 0, tzinfo=UTC), False),
    ],
)
def test_the_clock_follows_the_calendar_unless_told(at: datetime, is_open: bool) -> None:  # noqa: FBT001 - a table
    simulator = fresh()
    simulator.set_clock(at)
    assert read(simulator, "/v2/clock")["is_open"] is is_open
    simulator.set_clock(at, is_open=not is_open)
    assert read(simulator, "/v2/clock")["is_open"] is not is_open


def test_a_running_clock_moves() -> None:
    simulator = fresh()
    simulator.set_clock(running=True)
    first = read(simulator, "/v2/clock")["timestamp"]
    assert any(read(simulator, "/v2/clock")["timestamp"] > first for _ in range(10_000))


def test_a_sale_moves_cash_and_position_exactly() -> None:
    simulator = fresh()
    simulator.set_positions(Role.CONTROL, {"AAPL": Decimal("3.000001")})
    place(simulator, side="sell", qty="3")
    account = simulator.account(Role.CONTROL)
    assert account.cash == Decimal(100_000) + 3 * Decimal("187.14")
    assert account.positions == {"AAPL": Decimal("0.000001")}
    assert simulator.account(Role.CANDIDATE).positions == {}


def test_shares_held_back_by_an_open_sale_cannot_be_sold_again() -> None:
    simulator = fresh()
    simulator.set_positions(Role.CONTROL, {"AAPL": Decimal(3)})
    simulator.add_fault(Fault(kind=FaultKind.REST))
    assert place(simulator, side="sell", qty="2").answer.status == 200
    reply = place(simulator, "t-2", side="sell", qty="2")
    assert (reply.answer.status, reply.answer.body) == (
        403,
        {"code": 40310000, "message": "insufficient qty available for order (requested: 2, available: 1)"},
    )


def test_buying_power_is_held_back_by_open_buys_and_given_back_by_a_cancel() -> None:
    simulator = fresh()
    simulator.set_account(Role.CONTROL, cash=Decimal(200), multiplier=Decimal(1))
    simulator.add_fault(Fault(kind=FaultKind.REST))
    place(simulator, type="limit", limit_price="187.20")
    assert place(simulator, "t-2").answer.status == 403
    ask(simulator, "DELETE", "/v2/orders")
    assert place(simulator, "t-3").answer.status == 200


def test_a_limit_outside_the_spread_rests() -> None:
    simulator = fresh()
    place(simulator, type="limit", limit_price="187.13")
    place(simulator, "t-2", type="limit", limit_price="999.99")
    low, high = simulator.orders()
    assert (low.status, low.filled_quantity) == ("new", 0)
    assert (high.status, high.average_price) == ("filled", Decimal("187.32"))


def test_the_fill_rule_counts_again_after_each_fill() -> None:
    simulator = fresh()
    simulator.set_fill_rule(1)
    for number in range(4):
        place(simulator, f"t-{number}", type="limit", limit_price="187.20")
    assert [order.status for order in simulator.orders()] == ["new", "filled", "new", "filled"]
    simulator.fill_open()
    assert {order.status for order in simulator.orders()} == {"filled"}


def test_the_most_particular_fill_rule_holds() -> None:
    simulator = fresh()
    simulator.set_fill_rule(3)
    simulator.set_fill_rule(0, "AAPL", Role.CANDIDATE)
    for role in Role:
        place(simulator, account=role, type="limit", limit_price="187.20")
    assert [(order.account, order.status) for order in simulator.orders()] == [
        (Role.CONTROL, "new"),
        (Role.CANDIDATE, "filled"),
    ]


def test_orders_of_the_day_expire_with_it() -> None:
    simulator = fresh()
    simulator.add_fault(Fault(kind=FaultKind.REST))
    place(simulator, type="limit", limit_price="187.20")
    simulator.set_day(date(2026, 1, 7), CLOSES)
    assert simulator.orders()[0].status == "expired"


def test_a_whole_share_asset_is_partly_filled_in_whole_shares() -> None:
    simulator = fresh()
    simulator.set_asset("AAPL", fractionable=False)
    simulator.add_fault(Fault(kind=FaultKind.PARTIAL_FILL, fraction=Decimal("0.5")))
    place(simulator, qty="5")
    assert simulator.orders()[0].filled_quantity == 2


def test_a_fault_strikes_only_whom_it_names_and_as_often_as_it_says() -> None:
    simulator = fresh()
    simulator.add_fault(
        Fault(kind=FaultKind.THROTTLE, account=Role.CANDIDATE, method="POST", path="/v2/orders", symbol="AAPL", count=2)
    )
    assert place(simulator).answer.status == 200
    assert ask(simulator, "GET", "/v2/orders", account=Role.CANDIDATE).answer.status == 200
    assert place(simulator, "t-2", Role.CANDIDATE, symbol="MSFT").answer.status == 200
    statuses = [place(simulator, f"c-{n}", Role.CANDIDATE).answer.status for n in range(3)]
    assert statuses == [429, 429, 200]


def test_a_fault_without_a_count_lasts_until_it_is_cleared() -> None:
    simulator = fresh()
    simulator.add_fault(Fault(kind=FaultKind.DOWN, count=None))
    assert {ask(simulator, "GET", "/v2/clock").ending for _ in range(5)} == {Ending.DROPPED}
    simulator.clear_faults()
    assert ask(simulator, "GET", "/v2/clock").ending is Ending.ANSWERED


def test_the_log_tells_every_request_and_what_struck_it() -> None:
    simulator = fresh()
    simulator.fault_on_submit(FaultKind.GATEWAY_TIMEOUT)
    place(simulator)
    ask(simulator, "GET", "/v2/orders:by_client_order_id", client_order_id="t-1")
    simulator.handle(Request("GET", "/paper/v2/clock"))
    first, second, third = simulator.requests()
    assert (first.method, first.path, first.status, first.client_order_id, first.symbol, first.fault) == (
        "POST",
        "/v2/orders",
        504,
        "t-1",
        "AAPL",
        FaultKind.GATEWAY_TIMEOUT,
    )
    assert (second.status, second.query, second.account) == (200, "client_order_id=t-1", Role.CONTROL)
    assert (third.path, third.status, third.account) == ("/v2/clock", 401, None)


def test_a_reset_forgets_everything() -> None:
    simulator = fresh()
    place(simulator)
    simulator.set_identity(Role.CONTROL, number="CANARY", secret="other")
    simulator.reset()
    assert (simulator.orders(), simulator.requests()) == ((), ())
    assert simulator.account(Role.CONTROL).number == "SIMCONTROL01"
    simulator.set_day(DAY, CLOSES)
    assert place(simulator).answer.status == 200


def test_an_account_can_be_given_another_identity() -> None:
    simulator = fresh()
    simulator.set_identity(Role.CONTROL, number="CANARY-NUMBER", key="k2", secret="s2")
    assert ask(simulator, "GET", "/v2/account").answer.status == 401
    headers = {"apca-api-key-id": "k2", "apca-api-secret-key": "s2"}
    answer = simulator.handle(Request("GET", "/v2/account", headers=headers)).answer
    assert isinstance(answer.body, dict)
    assert answer.body["account_number"] == "CANARY-NUMBER"


def test_lists_of_orders_can_be_narrowed() -> None:
    simulator = fresh()
    for number, symbol in enumerate(("AAPL", "MSFT", "AAPL")):
        simulator.set_clock(datetime(2026, 1, 6, 20, number, tzinfo=UTC), is_open=True)
        place(simulator, f"t-{number}", symbol=symbol)

    def ids(**query: str) -> list[str]:
        return [order["client_order_id"] for order in read(simulator, "/v2/orders", status="all", **query)]

    assert ids() == ["t-2", "t-1", "t-0"]
    assert ids(direction="asc", limit="2") == ["t-0", "t-1"]
    assert ids(symbols="AAPL") == ["t-2", "t-0"]
    assert ids(after="2026-01-06T20:00:00Z", until="2026-01-06T20:02:00Z") == ["t-1"]
    assert read(simulator, "/v2/orders") == []
    for wrong in ({"limit": "501"}, {"after": "soon"}, {"until": "2026-01-06T20:00:00"}):
        assert ask(simulator, "GET", "/v2/orders", **wrong).answer.status == 422


@pytest.mark.parametrize(
    "wrong",
    [
        {"symbol": None},
        {"qty": None},
        {"qty": "NaN"},
        {"qty": "-1"},
        {"qty": "1.0000000001"},
        {"side": None},
        {"type": "stop"},
        {"time_in_force": None},
        {"client_order_id": ""},
        {"client_order_id": "x" * 129},
        {"type": "limit"},
        {"type": "limit", "limit_price": "1.005"},
    ],
)
def test_an_order_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    simulator = fresh()
    assert place(simulator, **wrong).answer.status == 422
    assert simulator.orders() == ()


def test_a_day_without_a_price_is_not_a_day() -> None:
    with pytest.raises(ValidationError, match="closes"):
        SetDay(day=DAY, closes={})
    with pytest.raises(ValidationError, match="more than zero"):
        SetDay(day=DAY, closes={"AAPL": Decimal(0)})


def test_every_answer_tells_of_the_limit_and_a_full_minute_is_refused_until_it_is_over() -> None:
    simulator = fresh()
    simulator.set_rate_limit(2)

    answers = [ask(simulator, "GET", "/v2/clock").answer for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert [answer.headers["X-RateLimit-Remaining"] for answer in answers] == ["1", "0", "0"]
    assert {answer.headers["X-RateLimit-Limit"] for answer in answers} == {"2"}
    assert 0 < int(answers[2].headers["X-RateLimit-Reset"]) - time() <= 61
    simulator.set_clock(datetime(2026, 1, 6, 20, 46, tzinfo=UTC))
    assert ask(simulator, "GET", "/v2/clock").answer.status == 200


@pytest.mark.parametrize(
    ("kind", "usual", "body"),
    [
        (FaultKind.REFUSED_IN_CODE, 403, {"code": 40310000, "message": "insufficient buying power"}),
        (FaultKind.REFUSED_BY_GATEWAY, 404, {"code": 404, "message": "no such route"}),
        (FaultKind.REFUSED_BY_PROXY, 404, None),
        (FaultKind.REFUSED_BARELY, 422, {"message": "unprocessable"}),
        (FaultKind.REFUSED_EMPTY, 422, b""),
    ],
)
@pytest.mark.parametrize("status", [None, 409, 422])
def test_an_order_can_be_accepted_and_answered_as_if_it_were_not(
    kind: FaultKind, usual: int, body: object, status: int | None
) -> None:
    simulator = fresh()
    simulator.add_fault(Fault(kind=kind, status=status, method="POST"))

    answer = place(simulator).answer

    assert answer.status == (status or usual)
    assert status or body is None or answer.body == body
    assert [order.status for order in simulator.orders()] == ["filled"]


def test_a_replaced_order_names_the_one_that_goes_on_for_what_is_left() -> None:
    simulator = fresh()
    simulator.add_fault(Fault(kind=FaultKind.PARTIAL_FILL))
    place(simulator, qty="10")
    simulator.replace_open()
    first, second = simulator.orders()

    assert (first.status, first.filled_quantity, first.replaced_by) == ("replaced", 5, second.order_id)
    assert (second.status, second.quantity, second.filled_quantity) == ("new", 5, 0)
    simulator.fill_open()
    assert simulator.account(Role.CONTROL).positions == {"AAPL": Decimal(10)}


def test_quotes_can_be_old_or_absurdly_wide() -> None:
    simulator = fresh()
    simulator.add_fault(Fault(kind=FaultKind.QUOTE_STALE))
    simulator.add_fault(Fault(kind=FaultKind.QUOTE_WIDE))
    old, wide, sound = (read(simulator, "/v2/stocks/AAPL/quotes/latest")["quote"] for _ in range(3))

    assert (old["t"], wide["bp"]) == ("2026-01-02T20:45:00Z", 0.01)
    assert (sound["t"], sound["bp"]) == ("2026-01-06T20:45:00Z", 187.14)
