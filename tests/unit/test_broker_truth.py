"""Where the brokers may be asked, the judge sees what both accounts really did beside what each lane says of itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.broker.alpaca_wire import order_list
from shadow.broker.port import (
    Activity,
    BrokerProtocolError,
    BrokerRefused,
    BrokerUnavailable,
    Holding,
    Order,
    OrderList,
    OrderStatus,
    Quote,
)
from shadow.broker.recording import ReadOnlyAccount
from shadow.compare.judge import judge
from shadow.contracts.comparison import Attribution, Severity, Verdict
from shadow.contracts.errors import ConfigurationError, EvidenceUnavailable, MissingPermission
from shadow.contracts.identity import client_order_id_of
from shadow.contracts.outcome import OrderRecord, TradeOutcome
from shadow.contracts.vocabulary import Side, TradeStatus
from shadow.lanes.brokers.orders import Neighbours
from shadow.lanes.brokers.reading import broker_corrected
from shadow.lanes.brokers.truth import BrokerTruthReader
from tests.factories.accounts import DEFAULT, NOW, PRICED, BrokerAccount, Lanes, candidate_account, kinds
from tests.factories.broker import ORDER_JSON


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    scenario=st.sampled_from(("plain", "failures", "guard", "breaker", "closed")),
    paper=st.booleans(),
)
def test_honest_accounts_are_no_difference(seed: int, scenario: str, paper: bool) -> None:  # noqa: FBT001 - hypothesis
    lanes = Lanes(seed, scenario)
    if paper:
        lanes.candidate = candidate_account(lanes.other)
    comparison = lanes.judged()

    assert comparison.gaps == ()
    assert comparison.verdict is judge(lanes.case, DEFAULT).verdict is Verdict.MATCHED
    assert comparison.control is not None
    assert comparison.control.broker_truth
    assert comparison.candidate is not None
    assert comparison.candidate.broker_truth is paper


def test_a_lane_s_own_record_stays_as_it_is() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    lanes.control.change(trade.symbol, filled_quantity=Decimal(1), average_price=Decimal(7), status=OrderStatus.CANCELED)
    comparison = lanes.judged()
    assert comparison.control is not None
    after = next(t for t in comparison.control.trades if t.trade_id == trade.trade_id)

    assert after.model_copy(update={"orders": trade.orders, "residual_position": None}) == trade
    assert [(o.accepted, o.filled_quantity, o.average_price) for o in after.orders] == [(True, Decimal(1), Decimal(7))]


def priced(lanes: Lanes, factor: Decimal) -> tuple[TradeOutcome, Decimal]:
    """Let both lanes have decided a SELL that the broker rejected on a price that is off, and give it with the right price."""
    trade = next(t for t in lanes.other.trades if t.status is TradeStatus.FAILED)
    assert trade.intent is not None
    assert trade.intent.decision_price is not None
    price = trade.intent.decision_price
    intent = trade.intent.model_copy(update={"decision_price": price * factor, "bid": None, "ask": None, "quantity": None})
    for run in ("run", "other"):
        trades = (t.model_copy(update={"intent": intent}) if t.symbol == trade.symbol else t for t in getattr(lanes, run).trades)
        setattr(lanes, run, getattr(lanes, run).model_copy(update={"trades": tuple(trades)}))
    return trade, price


@pytest.mark.parametrize(
    ("minutes", "off", "named"),
    [(1, "1.02", {"control", "candidate"}), (1, "1.01", set()), (20, "1.02", set()), (61, "2", set())],
)
def test_the_market_s_own_quote_is_the_witness_of_a_price_that_nobody_filled(minutes: int, off: str, named: set[str]) -> None:
    lanes = Lanes(3, "guard")
    trade, price = priced(lanes, Decimal(off))
    assert trade.started_at is not None
    at = trade.started_at + timedelta(minutes=minutes)
    lanes.control.quoted = [Quote(trade.symbol, price * Decimal("0.9999"), price * Decimal("1.0001"), at)]
    found = [d for d in lanes.judged().differences if d.kind == "DECISION_PRICE" and d.symbol == trade.symbol]
    assert {d.attribution.value for d in found} == named


def test_a_market_that_does_not_quote_costs_nothing() -> None:
    class Silent(BrokerAccount):
        def quotes(self, symbols: Collection[str]) -> Sequence[Quote]:
            raise BrokerRefused(f"{len(symbols)} symbols: no subscription")

    lanes = Lanes()
    lanes.control = Silent(lanes.control.orders)
    document = BrokerTruthReader(lanes.control, None).read(lanes.run, None, Neighbours(), lanes.case.published_at, NOW)
    assert document["market"] == [{"fault": "BrokerRefused"}]
    assert lanes.judged().verdict is Verdict.MATCHED


def test_a_control_that_records_the_mid_instead_of_the_fill_is_told_where_the_policy_asks() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    lanes.control.change(trade.symbol, average_price=(trade.average_price or Decimal(0)) * Decimal("1.0008"))

    difference = lanes.found("PRICE_NOT_THE_FILL", PRICED)
    assert (difference.severity, difference.attribution) == (Severity.INFO, Attribution.CONTROL)
    assert lanes.judged().verdict is Verdict.MATCHED


def test_a_control_that_loses_a_partial_fill_is_found() -> None:
    built = (Lanes(seed, "failures") for seed in range(50))
    lanes, trade = next((b, t) for b in built for t in b.run.trades if t.status is TradeStatus.FAILED and t.filled_quantity)
    lanes.record(trade, filled_quantity=None, average_price=None, value=None, intent=None)

    difference = lanes.found("PARTIAL_FILL_LOST")
    assert (difference.severity, difference.attribution) == (Severity.MAJOR, Attribution.CONTROL)


def test_a_control_that_calls_a_partial_fill_complete_is_found() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    lanes.control.change(trade.symbol, filled_quantity=(trade.filled_quantity or Decimal(0)) / 4, status=OrderStatus.CANCELED)
    assert lanes.found("FILLED_QUANTITY").attribution is Attribution.CONTROL


def test_a_filled_order_that_is_recorded_as_failed_is_found() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    failed = {"status": TradeStatus.FAILED, "raw_status": "FAILED", "filled_quantity": None, "average_price": None}
    lanes.record(trade, **failed, value=None, intent=None)

    assert lanes.found("FILLED_RECORDED_AS_FAILED").attribution is Attribution.CONTROL


@pytest.mark.parametrize("status", [OrderStatus.FILLED, OrderStatus.OPEN])
def test_a_second_order_under_a_new_random_id_is_a_double_order(status: OrderStatus) -> None:
    lanes = Lanes()
    lanes.control.again(lanes.trade().symbol, "random-2", status=status)

    difference = lanes.found("DOUBLE_ORDER")
    assert (difference.severity, difference.attribution) == (Severity.CRITICAL, Attribution.CONTROL)
    assert difference.symbol == lanes.trade().symbol


def test_an_order_of_a_dry_run_in_the_control_s_account_is_a_double_order() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    lanes.control.again(trade.symbol, client_order_id_of(trade.trade_id, 0))

    assert lanes.found("DOUBLE_ORDER").severity is Severity.CRITICAL


def test_both_lanes_in_one_account_is_a_double_order_of_every_trade() -> None:
    lanes = Lanes()
    both = BrokerAccount([*lanes.control.orders, *candidate_account(lanes.other).orders])
    lanes.control, lanes.candidate = both, both
    comparison = lanes.judged()
    doubled = {d.symbol for d in comparison.differences if d.kind == "DOUBLE_ORDER"}

    assert doubled == {t.symbol for t in lanes.run.trades if t.status is TradeStatus.COMPLETED}


@pytest.mark.parametrize(("left", "kind"), [("0.5", "RESIDUAL_POSITION"), ("-0.5", "OVERSELL")])
def test_what_is_left_after_a_full_exit_is_found(left: str, kind: str) -> None:
    lanes = next(built for built in map(Lanes, range(20)) if any(t.is_complete_exit for t in built.run.trades))
    lanes.control.left = {lanes.trade(exits=True).symbol: left}

    assert lanes.found(kind).attribution is Attribution.CONTROL


def test_an_order_the_other_way_round_is_told_by_its_lane_and_in_dollars() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    lanes.control.change(trade.symbol, side=Side.BUY if trade.action is Side.SELL else Side.SELL)
    comparison = lanes.judged()
    difference = next(each for each in comparison.differences if each.kind == "ORDER_SIDE")

    assert comparison.verdict is Verdict.DIVERGED
    assert (difference.severity, difference.attribution, difference.symbol) == (Severity.CRITICAL, "control", trade.symbol)
    assert trade.value is not None
    assert abs(abs(difference.impact.notional) / trade.value - 2) < Decimal("0.01")  # what was wanted, and what was done instead


def test_a_trade_that_the_broker_knows_nothing_of_is_never_a_match() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    lanes.control.orders = [order for order in lanes.control.orders if order.symbol != trade.symbol]
    comparison = lanes.judged()

    assert comparison.verdict is Verdict.DIVERGED
    assert "COMPLETED_WITHOUT_ORDER" in kinds(comparison)


def test_orders_of_before_and_after_the_run_are_not_its_own() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    assert trade.started_at
    for days in (-1, 1):
        lanes.control.again(trade.symbol, f"another-day-{days}", submitted_at=trade.started_at + timedelta(days=days))

    assert lanes.judged().verdict is Verdict.MATCHED


def test_of_a_symbol_that_two_runs_traded_the_trade_s_own_times_decide() -> None:
    lanes = Lanes()
    trade = lanes.trade()
    assert trade.completed_at
    lanes.control.again(trade.symbol, "of-the-other-run", submitted_at=trade.completed_at + timedelta(seconds=30))

    alone = lanes.judged()
    assert kinds(alone) == set()
    assert [gap for gap in alone.gaps if "outside the trade's own times" in gap] == list(alone.gaps) != []
    assert lanes.judged(shared={trade.symbol}).verdict is Verdict.MATCHED


@pytest.mark.parametrize("known", [True, False])
def test_orders_that_cannot_be_told_apart_are_a_gap_and_no_guess(known: bool) -> None:  # noqa: FBT001 - parameter
    lanes = Lanes()
    trade = lanes.trade()
    lanes.control.again(trade.symbol, "of-the-other-run")
    if not known:
        lanes.record(trade, started_at=None)
    comparison = lanes.judged(shared={trade.symbol})

    assert "DOUBLE_ORDER" not in kinds(comparison)
    assert comparison.verdict is Verdict.INCOMPLETE
    assert any(gap.startswith(f"control: broker orders of {trade.symbol}: ") for gap in comparison.gaps)


def test_a_run_whose_start_is_not_known_has_no_orders_to_attribute() -> None:
    lanes = Lanes()
    lanes.run = lanes.run.model_copy(update={"started_at": None})
    assert lanes.judged().gaps == ("control: started_at: absent",)  # the last id of each trade names its order
    lanes.control.again(lanes.trade().symbol, "random-2")
    comparison = lanes.judged()

    assert any("the run's start is not known" in gap for gap in comparison.gaps)


def test_a_candidate_in_paper_mode_is_held_to_its_own_account() -> None:
    lanes = Lanes()
    lanes.candidate = candidate_account(lanes.other)
    trade = next(t for t in lanes.other.trades if t.status is TradeStatus.COMPLETED)
    lanes.candidate.again(trade.symbol, client_order_id_of(trade.trade_id, 30))

    difference = lanes.found("DOUBLE_ORDER")
    assert difference.attribution is Attribution.CANDIDATE


def test_an_order_that_the_candidate_named_and_the_broker_never_saw_was_not_accepted() -> None:
    lanes = Lanes()
    lanes.candidate = candidate_account(lanes.other)
    trade = next(t for t in lanes.other.trades if t.status is TradeStatus.COMPLETED)
    never = client_order_id_of(trade.trade_id, len(trade.orders))
    intended = OrderRecord(client_order_id=never, status="intended", order_type="limit", quantity=1, filled_quantity=0)
    changed = trade.model_copy(update={"orders": (*trade.orders, intended)})
    lanes.other = lanes.other.model_copy(update={"trades": tuple(changed if t is trade else t for t in lanes.other.trades)})
    comparison = lanes.judged()
    assert comparison.candidate is not None
    orders = next(t for t in comparison.candidate.trades if t.trade_id == trade.trade_id).orders

    assert [order.accepted for order in orders] == [True] * len(trade.orders) + [False]
    assert lanes.candidate.looked_up == [never]
    assert "ORDER_FATE_UNKNOWN" not in kinds(comparison)


def test_a_secret_that_the_role_may_not_read_is_no_gap_of_the_pair() -> None:
    lanes = Lanes()
    lanes.control.error = ClientError({"Error": {"Code": "AccessDeniedException", "Message": "no"}}, "GetSecretValue")
    with pytest.raises(MissingPermission, match=r"control broker: GetSecretValue is refused \(AccessDeniedException\)"):
        lanes.judged()


@pytest.mark.parametrize("error", [BrokerUnavailable("timeout"), ConfigurationError("no secret")])
def test_a_broker_that_does_not_answer_is_unavailable_evidence(error: Exception) -> None:
    lanes = Lanes()
    lanes.control.error = error
    with pytest.raises(EvidenceUnavailable, match=f"control broker: {type(error).__name__}"):
        lanes.judged()


LEFT_OUT = ("limit_price", "filled_avg_price", "submitted_at", "filled_at")
"""What an order need not have: null or absent alike."""


@pytest.mark.parametrize("damage", ["lost", "retyped"])
@pytest.mark.parametrize("field", ORDER_JSON)
def test_an_order_with_a_field_that_changed_costs_that_order_alone_and_is_told_by_its_name(field: str, damage: str) -> None:
    order = {name: value for name, value in ORDER_JSON.items() if name != field}
    found = order_list([ORDER_JSON | {"id": "whole"}, order if damage == "lost" else order | {field: ["of another type"]}], NOW)
    if damage == "lost" and field in LEFT_OUT:
        assert len(found.orders) == 2
        return
    assert [each.order_id for each in found.orders] == ["whole"]
    (odd,) = found.odd
    assert odd.fault.startswith(f"order.{field}: expected ")
    assert (odd.symbol, odd.filled_quantity) == (
        None if field == "symbol" else "AAPL",
        None if field == "filled_qty" else Decimal("1.5"),
    )


def test_no_account_and_no_run_say_nothing() -> None:
    lanes = Lanes()
    assert BrokerTruthReader(None, None).read(lanes.run, lanes.other, Neighbours(), NOW, NOW) == {}
    assert BrokerTruthReader(lanes.control, lanes.control).read(None, None, Neighbours(), NOW, NOW) == {}
    assert broker_corrected(None, {}) is None
    assert broker_corrected(lanes.run, {"control": "torn"}) is lanes.run


def test_the_comparator_s_view_of_an_account_cannot_order_or_cancel_and_opens_it_once() -> None:
    opened: list[BrokerAccount] = []

    def connect() -> BrokerAccount:
        opened.append(BrokerAccount(left={"AAPL": "3"}))
        return opened[-1]

    account = ReadOnlyAccount(connect)
    assert opened == []
    assert account.holdings() == [Holding("AAPL", Decimal(3), None)]
    assert account.order_by_client_id("t-1") is None
    assert len(opened) == 1
    public = {name for name in dir(account) if not name.startswith("_")}
    assert public == {"orders_between", "order_by_client_id", "order_by_id", "holdings", "account", "activities", "quotes"}
    asked: list[Callable[[], object]] = [partial(getattr, account, name) for name in ("submit", "cancel")]
    for ask in asked:
        with pytest.raises(AttributeError):
            ask()


class Moving(BrokerAccount):
    """An account in which an order fills further at each of the first `moves` looks."""

    moves = 0
    looks = 0

    def orders_between(self, after: datetime, until: datetime | None) -> OrderList:
        self.looks += 1
        if self.looks <= self.moves:
            self.orders = [replace(order, filled_quantity=Decimal(self.looks)) for order in self.orders]
        return super().orders_between(after, until)


@pytest.mark.parametrize(("moves", "looks", "steady"), [(0, 2, True), (1, 2, True), (2, 3, True), (3, 4, True), (4, 4, False)])
def test_an_account_is_looked_at_until_nothing_fills_in_between_or_three_times(moves: int, looks: int, *, steady: bool) -> None:
    lanes = Lanes()
    account = Moving(lanes.control.orders[:1])
    account.moves = moves
    document = BrokerTruthReader(account, None).look(lanes.case.published_at, NOW)
    assert account.looks == looks
    shown = document["control"]
    assert isinstance(shown, dict)
    assert shown["is_steady"] is steady
    assert shown["since"] == lanes.case.published_at - timedelta(minutes=5)


class Heirs(BrokerAccount):
    """An account that lists the first order alone, each of which the next replaced, and does not understand one question."""

    def orders_between(self, after: datetime, until: datetime | None) -> OrderList:
        return OrderList(super().orders_between(after, until).orders[:1], self.odd)

    def order_by_id(self, order_id: str) -> Order | None:
        if order_id.startswith("odd"):
            raise BrokerProtocolError("order.type: expected limit")
        if order_id.startswith("refused"):
            raise BrokerRefused("no such id")
        return super().order_by_id(order_id)


@pytest.mark.parametrize(
    ("last", "answer"), [("odd-1", {"fault": "order.type: expected limit"}), ("refused-1", {"is_known": False})]
)
def test_an_order_is_followed_along_what_replaced_it_until_nothing_more_is_known(last: str, answer: dict[str, object]) -> None:
    lanes = Lanes()
    first = lanes.control.orders[0]
    chain = [replace(first, order_id=name, replaced_by=heir) for name, heir in (("a", "b"), ("b", "c"), ("c", last))]
    account = Heirs(chain)
    lanes.control = account
    trade = lanes.trade()
    lanes.run = lanes.run.model_copy(update={"trades": (trade.model_copy(update={"order_id": "b", "orders": ()}),)})
    document = BrokerTruthReader(account, None).read(lanes.run, None, Neighbours(), lanes.case.published_at, NOW)["control"]
    assert isinstance(document, dict)
    assert sorted(account.looked_up) == ["b", "c"]
    found = {row["order_id"]: row for row in document["looked_up"]}
    assert found.keys() == {"b", "c", last}
    assert found[last] == {"order_id": last, **answer}
    assert [found[name]["status"] for name in ("b", "c")] == ["replaced", "replaced"]


def test_an_order_that_is_listed_is_not_asked_for_again() -> None:
    lanes = Lanes()
    lanes.control.odd = [order_list([ORDER_JSON | {"type": "stop", "id": "odd"}], NOW).odd[0]]
    lanes.record(lanes.trade(), order_id="odd", orders=())
    lanes.judged()
    assert lanes.control.looked_up == []


@pytest.mark.parametrize("side", [Side.SELL, None])
def test_an_entry_of_the_journal_is_kept_as_it_is(side: Side | None) -> None:
    lanes = Lanes()
    entry = Activity("a-1", "FILL", "AAPL", None, "o-1", side, Decimal(2), Decimal(10))
    lanes.control.booked = [entry]
    document = BrokerTruthReader(lanes.control, None).read(lanes.run, None, Neighbours(), lanes.case.published_at, NOW)["control"]
    assert isinstance(document, dict)
    (kept,) = document["activities"]
    assert kept["side"] == (None if side is None else "SELL")
    assert {name: kept[name] for name in kept if name != "side"} == {
        name: getattr(entry, name) for name in Activity.__slots__ if name != "side"
    }
