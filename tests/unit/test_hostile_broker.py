"""A hostile broker: whatever it answers, at whatever call, no order is left working, none is sent twice, no fill goes unrecorded.

The real adapter trades against the simulator, whose answers are spoilt on their way. The simulator knows what was really traded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from email.utils import format_datetime

import pytest

from local.broker_simulator.api import Answer, Request
from local.broker_simulator.simulator import Simulator
from local.broker_simulator.values import SimulatedOrder
from shadow.broker.alpaca_http import _retry_after
from shadow.broker.port import (
    BrokerProtocolError,
    BrokerUnavailable,
    Order,
    OrderRejected,
    OrderRequest,
    OrderStatus,
    OrderUnreadable,
    Quote,
)
from shadow.contracts.candidate_state import IntentStatus
from shadow.contracts.errors import ShadowError
from shadow.contracts.vocabulary import ExecutionMode, Reason, Role, TradeStatus
from shadow.contracts.workflow import TradeResult, WorkflowTrade
from shadow.execution.placement import RunCloser
from shadow.execution.ports import OrderFateUnknown, OrderStillOpen, QuoteContradicted
from shadow.execution.trade import TradeExecutor, TradeSettings
from tests.factories.broker import ORDER_JSON, answering
from tests.factories.broker_simulator import DAY
from tests.factories.in_process_broker import broker_of, exchange_with
from tests.factories.workflow_drive import retries_of
from tests.fakes.candidate import (
    NOON,
    POLICY,
    REST,
    RUN_ID,
    Behaviour,
    Died,
    FakeBroker,
    FakeClock,
    MemoryLedger,
    MemoryLog,
    TradeWorld,
    d,
    partly,
    trade,
)

BUY, SELL = trade("AAA", "1000"), trade("AAA", "-1000", held="30")
TRIES = 4
Spoil = Callable[[Answer], Answer | None]


def body(**fields: object) -> Spoil:
    """Give the answer with other `fields`."""
    return lambda answer: replace(answer, body={**_fields(answer), **fields})


def told(status: int, text: object = b"") -> Spoil:
    """Give another answer than the broker's: what was asked for was done."""
    return lambda _: Answer(status, text)


def _fields(answer: Answer) -> Mapping[str, object]:
    return answer.body if isinstance(answer.body, dict) else {}


def _replaced_by_itself(answer: Answer) -> Answer:
    return replace(answer, body={**_fields(answer), "status": "replaced", "replaced_by": _fields(answer).get("id")})


HTML = b"<html>not here</html>"
SPOILT: dict[str, Spoil] = {
    "no answer": lambda _: None,
    "another symbol": body(symbol="ZZZ"),
    "no symbol": body(symbol=""),
    "another side": body(side="sell"),
    "a short sale": body(side="sell_short"),
    "another quantity": body(qty="999"),
    "sized in dollars": body(qty=None, notional="1000"),
    "another type": body(type="stop"),
    "no filled quantity": body(filled_qty=None),
    "no shares yet": body(status="new", filled_qty="0", filled_avg_price=None),
    "canceled": body(status="canceled"),
    "expired": body(status="expired"),
    "rejected": body(status="rejected"),
    "done for the day": body(status="done_for_day"),
    "a cancel that is pending": body(status="pending_cancel"),
    "suspended": body(status="suspended"),
    "another limit": body(limit_price="999"),
    "at the market": body(type="market", limit_price=None),
    "for longer than the day": body(time_in_force="gtc"),
    "replaced without a successor": body(status="replaced", replaced_by=None),
    "another client order id": body(client_order_id="of-somebody-else"),
    "filled without shares": body(status="filled", filled_qty="0", filled_avg_price=None),
    "an unknown status": body(status="pondering"),
    "replaced by itself": _replaced_by_itself,
    "replaced by nobody": body(status="replaced", replaced_by="6fb95507-6eda-5efb-8d47-ea735a71112b"),
    "empty": told(200),
    "204": told(204),
    "not a number": told(200, b'{"id": "x", "qty": NaN}'),
    "said twice": told(200, b'{"id": "x", "id": "y"}'),
    "a list": told(200, []),
    "HTML": told(200, HTML),
    "redirected": told(302),
    "400": told(400, HTML),
    "401 in code": told(401, {"code": 40110000, "message": "request is not authorized"}),
    "403 in code": told(403, {"code": 40310000, "message": "insufficient buying power"}),
    "404 of a proxy": told(404, HTML),
    "404 of a gateway with a code": told(404, {"code": 404, "message": "not found"}),
    "404 of another service": told(404, {"code": 5, "message": "Not Found"}),
    "404 in code": told(404, {"code": 40410000, "message": "order not found"}),
    "409": told(409),
    "422 with the status as code": told(422, {"code": 422, "message": "unprocessable"}),
    "422 in code": told(422, {"code": 42210000, "message": "unprocessable"}),
    "425": told(425),
    "429": told(429, {"code": 42910000, "message": "rate limit exceeded"}),
    "431": told(431, HTML),
    "499": told(499),
    "500": told(500, {"code": 50010000, "message": "internal server error occurred"}),
    "504": told(504, HTML),
}
PLACES = {
    "submit": ("POST", "/v2/orders"),
    "look": ("GET", "/v2/orders:by_client_order_id"),
    "cancel": ("DELETE", "/v2/orders"),
}
READS = {
    "clock": ("GET", "/v2/clock"),
    "quote": ("GET", "/v2/stocks"),
    "asset": ("GET", "/v2/assets"),
    "position": ("GET", "/v2/positions"),
}
UNREAD = (
    "no answer",
    "another symbol",
    "empty",
    "204",
    "a list",
    "HTML",
    "not a number",
    "403 in code",
    "404 in code",
    "404 of a proxy",
    "429",
)


@dataclass(frozen=True)
class Spoiling:
    """The answers at `place` number `first` to `last`, counted from 1, are spoilt."""

    place: str
    spoil: str
    first: int = 1
    last: int = 1


def done(clock: FakeClock, work: Callable[[], object], state: str, phase: str | None = None) -> None:
    """Do a state's work as often as the workflow does, with its waits; raises what is not tried again, or was too often."""
    used: Counter[int] = Counter()
    while True:
        try:
            work()
        except ShadowError as error:
            retriers = enumerate(retries_of(state, phase))
            found = next(((at, each) for at, each in retriers if type(error).__name__ in each.errors), None)
            if found is None or used[found[0]] >= found[1].most:
                raise
            at, retrier = found
            clock.sleep(min(retrier.first * retrier.growth ** used[at], retrier.longest))
            used[at] += 1
        else:
            return


@dataclass
class Hostile:
    """One trade against a broker whose answers are spoilt. Of the trade's orders, the first two rest."""

    item: WorkflowTrade
    spoilings: Sequence[Spoiling] = ()

    def __post_init__(self) -> None:
        self.simulator = Simulator()
        self.simulator.set_day(DAY, {"AAA": Decimal(100)})
        self.simulator.set_spread(Decimal(20))
        self.simulator.set_positions(Role.CANDIDATE, {"AAA": Decimal(30)})
        self.simulator.set_fill_rule(2)
        self.log, self.ledger, self.clock = MemoryLog(), MemoryLedger("5000"), FakeClock()
        self.clock.time = self.simulator._exchange.market.now()
        self.seen: Counter[str] = Counter()
        self.most = Decimal(0)
        self._send = exchange_with(self.simulator)
        self.broker = broker_of(Role.CANDIDATE, self._exchange)

    def _exchange(self, request: Request) -> Answer | None:
        answer = self._send(request)
        self.most = max(self.most, self.traded + self.working)
        place = next((name for name, (method, path) in (PLACES | READS).items() if _is_at(request, method, path)), "")
        self.seen[place] += 1
        for each in self.spoilings:
            if answer is not None and each.place == place and each.first <= self.seen[place] <= each.last:
                return SPOILT[each.spoil](answer)
        return answer

    def executor(self) -> TradeExecutor:
        """Give an executor as a fresh process has it."""
        settings = TradeSettings(ExecutionMode.PAPER, POLICY, lambda item: self.broker.position(item.symbol))
        return TradeExecutor(broker=self.broker, log=self.log, ledger=self.ledger, clock=self.clock, settings=settings)

    def run(self) -> TradeResult | None:
        """Trade as the workflow does: execute, reconcile what failed, close the run; None where the fate stays unknown."""
        executor, error = self.executor(), ""
        for attempt in range(2 * TRIES):
            try:
                return executor.execute(self.item) if attempt < TRIES else executor.reconcile(self.item, error)
            except ShadowError as failure:
                error = type(failure).__name__
                self.clock.sleep(30)
        return None

    def close(self) -> None:
        """End the run; what it raises is tried again."""
        for _ in range(TRIES):
            try:
                RunCloser(self.broker, self.log, self.clock, POLICY).close(RUN_ID)
            except ShadowError:
                self.clock.sleep(30)
            else:
                return

    @property
    def orders(self) -> list[SimulatedOrder]:
        """What the broker really has."""
        return self.simulator.orders(Role.CANDIDATE)

    @property
    def working(self) -> Decimal:
        """The shares that may still be traded."""
        alive = (order for order in self.orders if order.status not in ("filled", "canceled", "expired", "rejected"))
        return sum((order.quantity - order.filled_quantity for order in alive), Decimal(0))

    @property
    def traded(self) -> Decimal:
        return sum((order.filled_quantity for order in self.orders), Decimal(0))


def _is_at(request: Request, method: str, path: str) -> bool:
    return request.method == method and request.path.removeprefix("/paper").startswith(path)


def check(world: Hostile) -> None:
    """Trade, and hold what is recorded against what was really traded: while the broker is hostile, and when it is well again."""
    result = world.run()
    world.close()
    assert world.most <= 10
    assert not world.working or world.seen["look"] <= max(each.last for each in world.spoilings if each.place == "look")
    if result is not None and result.status is not TradeStatus.UNKNOWN:
        assert result.quantity == world.traded
    world.spoilings = ()
    world.clock.sleep(POLICY.abandoned_seconds)
    world.close()
    assert world.working == 0
    written = world.log.of_run(RUN_ID)
    assert not [intent for intent in written if intent.may_work]
    of_another = any((intent.detail or "").startswith("OrderMismatch") for intent in written)
    assert of_another or sum((intent.filled_quantity for intent in written), Decimal(0)) == world.traded


@pytest.mark.parametrize("spoil", SPOILT)
@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("item", "first", "last"), [(BUY, 1, 1), (SELL, 2, 6)], ids=["buy-1", "sell-2-6"])
def test_whatever_is_answered_the_record_is_what_was_traded_and_nothing_works(
    item: WorkflowTrade, first: int, last: int, place: str, spoil: str
) -> None:
    check(Hostile(item, [Spoiling(place, spoil, first, last)]))


@pytest.mark.parametrize("spoil", UNREAD)
@pytest.mark.parametrize("place", READS)
def test_whatever_is_answered_before_an_order_is_sent_none_is_lost(place: str, spoil: str) -> None:
    for item, last in ((BUY, 1), (SELL, 10**6)):
        check(Hostile(item, [Spoiling(place, spoil, 1, last)]))


@pytest.mark.parametrize("look", [spoil for spoil in SPOILT if spoil != "404 in code"])
@pytest.mark.parametrize("submit", ["no answer", "422 in code", "422 with the status as code", "429"])
def test_an_order_that_was_taken_and_refused_is_sent_once_whatever_the_looks_for_it_say(submit: str, look: str) -> None:
    check(Hostile(SELL, [Spoiling("submit", submit), Spoiling("look", look, 1, 20)]))


# ---------------------------------------------------------------------- a broker that stays blind


TIMEOUT, WITHIN = 10, 120
"""Seconds that a request without an answer takes; and within which a broker that sees again has cancelled what it has of ours."""


@dataclass
class Blind(Hostile):
    """A broker that takes the first order, and then answers nothing that helps for `seconds`."""

    seconds: float = 0
    spoil: str = "no answer"

    def __post_init__(self) -> None:
        super().__post_init__()
        self.sees_at = self.ended_at = self.clock.now()

    def _exchange(self, request: Request) -> Answer | None:
        if self.orders and self.clock.now() < self.sees_at:
            self.clock.sleep(TIMEOUT)
            return SPOILT[self.spoil](Answer(200, {}))
        answer = self._send(request)
        if len(self.orders) == 1 and request.method == "POST":
            self.sees_at = self.clock.now() + timedelta(seconds=self.seconds)
        if not self.working and request.method == "DELETE":
            self.ended_at = self.clock.now()
        return answer

    def run_by_the_definition(self) -> None:
        """Execute the trade, reconcile what fails, and close the run, each as often as the state machine does."""
        phase = "ExecuteBuyPhase"
        try:
            done(self.clock, lambda: self.executor().execute(self.item), "ExecuteBuyTrade", phase)
        except ShadowError as failure:
            error = type(failure).__name__
            with suppress(ShadowError):
                done(self.clock, lambda: self.executor().reconcile(self.item, error), "ReconcileBuyTrade", phase)
        closer = RunCloser(self.broker, self.log, self.clock, POLICY)
        done(self.clock, lambda: closer.close(RUN_ID), "CloseOrders")


@pytest.mark.parametrize("spoil", ["no answer", "HTML", "401 in code", "403 in code", "404 of a proxy", "429", "500", "empty"])
@pytest.mark.parametrize("seconds", [30, 120, 300, 600])
def test_a_broker_that_sees_again_within_ten_minutes_has_nothing_of_ours_working_two_minutes_later(
    seconds: float, spoil: str
) -> None:
    world = Blind(BUY, seconds=seconds, spoil=spoil)

    world.run_by_the_definition()

    assert world.working == 0
    assert (world.ended_at - world.sees_at).total_seconds() <= WITHIN
    written = world.log.of_run(RUN_ID)
    assert not [intent for intent in written if intent.may_work]
    assert sum((intent.filled_quantity for intent in written), Decimal(0)) == world.traded


def test_a_run_whose_broker_stays_blind_for_longer_ends_and_says_that_its_orders_may_work() -> None:
    world = Blind(BUY, seconds=10**6)
    with pytest.raises(BrokerUnavailable):
        world.run_by_the_definition()
    assert [intent.may_work for intent in world.log.of_run(RUN_ID)] == [True]
    assert timedelta(minutes=10) < world.clock.now() - world.log.of_run(RUN_ID)[0].intended_at < timedelta(minutes=30)


@pytest.mark.parametrize("look", ["no symbol", "a short sale", "sized in dollars", "another type", "no filled quantity"])
@pytest.mark.parametrize("submit", ["no answer", "422 in code", "empty"])
def test_an_order_of_ours_that_can_never_be_read_is_cancelled(submit: str, look: str) -> None:
    world = Hostile(BUY, [Spoiling("submit", submit), Spoiling("look", look, 1, 10**6)])
    assert world.run() is None
    assert (world.working, world.traded, len(world.orders)) == (0, 0, 1)


# ---------------------------------------------------------------------- what one call must make of one answer


def test_an_answer_about_another_order_is_none_about_ours() -> None:
    broker = answering(200, ORDER_JSON)
    with pytest.raises(BrokerProtocolError, match=r"order\.client_order_id: expected t-2, was t-1"):
        broker.order_by_client_id("t-2")
    with pytest.raises(BrokerProtocolError, match=r"order\.id: expected another"):
        broker.order_by_id("another")
    assert broker.order_by_id(str(ORDER_JSON["id"]).upper()) is not None


@pytest.mark.parametrize(("named", "shown"), [({}, "t-1"), ({"client_order_id": None}, None), ({"client_order_id": "x"}, "x")])
def test_an_order_that_cannot_be_read_says_whose_it_is_as_far_as_it_can(named: dict[str, object], shown: str | None) -> None:
    with pytest.raises(OrderUnreadable) as caught:
        answering(200, ORDER_JSON | {"type": "stop"} | named).order_by_client_id("t-1")
    assert (caught.value.order_id, caught.value.client_order_id) == (ORDER_JSON["id"], shown)


@pytest.mark.parametrize(("filled", "status"), [("0", "unknown"), ("1.4", "unknown"), ("1.4999999", "filled"), ("1.5", "filled")])
def test_an_order_is_filled_when_its_shares_are_there(filled: str, status: str) -> None:
    found = answering(200, ORDER_JSON | {"filled_qty": filled}).order_by_client_id("t-1")
    assert found is not None
    assert found.status == OrderStatus(status)


@pytest.mark.parametrize("quantity", ["-2", "2"])
def test_a_short_position_is_negative_however_it_is_written(quantity: str) -> None:
    short = {"symbol": "AAPL", "qty": quantity, "side": "short"}
    assert answering(200, short).position("AAPL") == -2
    assert answering(200, [short]).holdings()[0].quantity == -2


@pytest.mark.parametrize("header", ["\u00b2", "-1", "soon", "Fri, 31 Dec 1999 23:59:59 GMT"])
def test_a_retry_after_that_is_no_number_of_seconds_is_left_out(header: str) -> None:
    assert _retry_after({"Retry-After": header}) is None


def test_a_retry_after_may_be_a_date() -> None:
    assert 3590 < (_retry_after({"Retry-After": format_datetime(datetime.now(UTC) + timedelta(hours=1))}) or 0) <= 3600


# ---------------------------------------------------------------------- what a trade must make of them


class Hiding(FakeBroker):
    """A broker that takes the first order, refuses it, shows it once, and then not for a while."""

    hides = False

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        return None if self.hides else super().order_by_client_id(client_order_id)


def test_an_order_that_was_shown_once_is_never_taken_for_refused() -> None:
    broker = Hiding(script=[replace(REFUSED_TAKEN, rests=True), REST])
    world = TradeWorld(broker=broker)

    for dies_as in (IntentStatus.AMBIGUOUS, IntentStatus.OPEN):
        world.clock.on_sleep = lambda dies_as=dies_as: _die_as(world.log, dies_as)  # type: ignore[misc]
        with pytest.raises(Died):
            world.execute(BUY)
    broker.hides, world.clock.on_sleep = True, lambda: None
    with pytest.raises(OrderFateUnknown):
        world.execute(BUY)

    assert len(broker.submitted) == 1
    assert [intent.may_work for intent in world.log.intents.values()] == [True]


def _die_as(log: MemoryLog, status: IntentStatus) -> None:
    if any(intent.status is status for intent in log.intents.values()):
        raise Died


REFUSED_TAKEN = Behaviour(filled=d(0), error=OrderRejected, accepts=True)


class Blinking(FakeBroker):
    """A broker of which every second look fails, and that fills an order when it was looked at five times."""

    looks = 0

    def glance(self, client_order_id: str) -> Order | None:
        self.looks += 1
        if self.looks % 2:
            raise BrokerUnavailable("GET: HTTP 503")
        if self.looks > 3:
            self.orders[client_order_id] = replace(
                self.orders[client_order_id], status=OrderStatus.FILLED, filled_quantity=d(10), average_price=d(100)
            )
        return super().order_by_client_id(client_order_id)


def test_a_look_that_fails_ends_no_step() -> None:
    broker = Blinking(script=[REST])
    result = TradeWorld(broker=broker).execute(BUY)
    assert (result.status, len(broker.submitted), broker.cancelled) == (TradeStatus.COMPLETED, 1, [])


class Forgetting(FakeBroker):
    """A broker whose looks after a cancel leave out what was filled."""

    forgets = 3

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        found = super().order_by_client_id(client_order_id)
        if found is None or not self.cancelled or self.forgets == 0:
            return found
        self.forgets -= 1
        return replace(found, filled_quantity=d(0), average_price=None)


def test_shares_that_were_seen_once_are_not_bought_again_because_later_looks_leave_them_out() -> None:
    broker = Forgetting(script=[partly("4"), Behaviour()])
    result = TradeWorld(broker=broker).execute(BUY)
    assert ([request.quantity for request in broker.submitted], result.quantity) == ([10, 6], 10)


def test_the_order_of_another_symbol_is_no_successor_of_ours_and_is_left_alone() -> None:
    broker = FakeBroker(script=[REST])

    def replaced(request: OrderRequest) -> None:
        mine = broker.orders[request.client_order_id]
        broker.orders["other"] = replace(mine, order_id="other", client_order_id="other", symbol="ZZZ")
        broker.orders[request.client_order_id] = replace(mine, status=OrderStatus.UNKNOWN, replaced_by="other")

    broker.after_submit = replaced
    with pytest.raises(OrderStillOpen):
        TradeWorld(broker=broker).execute(BUY)
    assert (broker.orders["other"].status, "other" in broker.cancelled) == (OrderStatus.OPEN, False)


def test_shares_that_were_sized_on_half_a_price_are_not_bought_at_the_market() -> None:
    good = Quote("AAA", d("99.90"), d("100.10"), NOON)
    world = TradeWorld(partly("1"), REST, quotes=(good, replace(good, bid=d("199.90"), ask=d("200.10"))))

    with pytest.raises(QuoteContradicted, match=r"expected a mid near 100\.00 USD to buy at, was 200\.00"):
        world.execute(BUY)

    result = world.executor().reconcile(BUY, "QuoteContradicted")
    assert (result.status, result.reason, result.quantity) == (TradeStatus.FAILED, Reason.PARTIAL_FILL, 1)
    assert max(request.limit_price or 10**6 for request in world.broker.submitted) <= d("100.10")
    assert world.working == []
    assert TradeWorld().executor().reconcile(BUY, "QuoteContradicted").reason is Reason.IMPLAUSIBLE_QUOTE
