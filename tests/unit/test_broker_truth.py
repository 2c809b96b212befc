"""Where the brokers may be asked, the judge sees what both accounts really did beside what each lane says of itself."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.broker.alpaca_wire import parse_orders
from shadow.broker.errors import BrokerUnavailable
from shadow.broker.port import Order, OrderStatus, OrderType
from shadow.broker.read_only import ReadOnlyAccount
from shadow.compare.case import PairCase
from shadow.compare.judge import judge
from shadow.compare.policy import Policy, default_policy
from shadow.contracts.comparison import Attribution, Comparison, Difference, Severity, Verdict
from shadow.contracts.errors import ConfigurationError, EvidenceUnavailable
from shadow.contracts.identity import client_order_id_of
from shadow.contracts.model import canonical
from shadow.contracts.outcome import OrderRecord, RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import Role, Side, TradeStatus
from shadow.lanes.brokers.truth import BrokerTruthReader, broker_corrected
from tests.factories.broker import ORDER_JSON, answering
from tests.strategies.outcomes import random_case

DEFAULT = default_policy()
PRICED = DEFAULT.model_copy(update={"applies": DEFAULT.applies.model_copy(update={"recorded_price": tuple(Role)})})
STEP = timedelta(milliseconds=10)
PART = Decimal("0.4")
"""How much of a trade a partial fill of the honest lanes is."""


@dataclass
class Account:
    """One brokerage account, as its broker sees it."""

    orders: list[Order] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)
    error: Exception | None = None
    looked_up: list[str] = field(default_factory=list)

    def orders_of(self, symbols: Collection[str], after: datetime, until: datetime | None) -> Sequence[Order]:
        if self.error:
            raise self.error
        inside = [o for o in self.orders if o.submitted_at and after < o.submitted_at and (not until or o.submitted_at < until)]
        return sorted((o for o in inside if o.symbol in symbols), key=lambda o: o.submitted_at or after)

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        self.looked_up.append(client_order_id)
        return next((order for order in self.orders if order.client_order_id == client_order_id), None)

    def position(self, symbol: str) -> Decimal:
        return Decimal(self.left.get(symbol, "0"))

    def change(self, symbol: str, **changes: object) -> None:
        """Let every order of a symbol have been otherwise."""
        self.orders = [replace(o, **changes) if o.symbol == symbol else o for o in self.orders]  # type: ignore[arg-type]

    def again(self, symbol: str, name: str, **changes: object) -> None:
        """Send the last order of a symbol once more, under another name, a moment later."""
        last = [order for order in self.orders if order.symbol == symbol][-1]
        assert last.submitted_at is not None
        values = {"order_id": f"id-{name}", "client_order_id": name, "submitted_at": last.submitted_at + STEP, **changes}
        self.orders.append(replace(last, **values))  # type: ignore[arg-type]


def asked_by(trade: TradeOutcome) -> Decimal:
    """How many shares an honest control asked for, of which a part was filled or none."""
    price = trade.intent.decision_price if trade.intent else None
    if price is None or not trade.filled_quantity:
        return Decimal(1)
    wanted = trade.filled_quantity / PART if trade.is_complete_exit else abs(trade.planned_amount or Decimal(0)) / price
    return wanted.quantize(Decimal("1e-6"))


def control_account(run: RunOutcome) -> Account:
    """The control's orders, one a trade, under random names, at the very price that it records."""
    account = Account()
    for trade in run.trades:
        if trade.order_id and trade.started_at:
            filled = trade.filled_quantity or Decimal(0)
            asked = filled if trade.status is TradeStatus.COMPLETED else asked_by(trade)
            account.orders.append(
                Order(
                    order_id=trade.order_id,
                    client_order_id=f"random-{trade.symbol}",
                    symbol=trade.symbol,
                    side=trade.action,
                    quantity=asked,
                    order_type=OrderType.LIMIT,
                    limit_price=None,
                    status=OrderStatus.FILLED if filled == asked else OrderStatus.CANCELED,
                    filled_quantity=filled,
                    average_price=trade.average_price if filled else None,
                    submitted_at=trade.started_at + STEP,
                    filled_at=None,
                )
            )
    return account


def candidate_account(run: RunOutcome) -> Account:
    """The candidate's orders, as it recorded them."""
    account = Account()
    for trade in run.trades:
        for order in trade.orders:
            account.orders.append(
                Order(
                    order_id=order.order_id or "",
                    client_order_id=order.client_order_id or "",
                    symbol=trade.symbol,
                    side=trade.action,
                    quantity=order.quantity or Decimal(0),
                    order_type=OrderType(order.order_type or ""),
                    limit_price=order.limit_price,
                    status=OrderStatus(order.status or ""),
                    filled_quantity=order.filled_quantity or Decimal(0),
                    average_price=order.average_price,
                    submitted_at=order.submitted_at,
                    filled_at=None,
                )
            )
    return account


class Lanes:
    """An honest pair, both accounts, and the real judge."""

    def __init__(self, seed: int = 1, scenario: str = "plain") -> None:
        self.case: PairCase = random_case(seed, 6, scenario)
        assert self.case.control is not None
        assert self.case.candidate is not None
        self.run: RunOutcome = self.case.control
        for trade in self.run.trades:
            if trade.status is TradeStatus.FAILED and trade.intent is not None:  # what was asked for is not recorded then
                self.record(trade, intent=trade.intent.model_copy(update={"quantity": None}))
        self.other: RunOutcome = self.case.candidate
        self.control = control_account(self.run)
        self.candidate: Account | None = None

    def trade(self, *, exits: bool = False) -> TradeOutcome:
        """Give a trade of the control that was executed."""
        return next(
            t
            for t in self.run.trades
            if t.status is TradeStatus.COMPLETED and (not exits or (t.is_complete_exit and t.filled_quantity))
        )

    def record(self, trade: TradeOutcome, **update: object) -> None:
        """Let the control have recorded a trade otherwise."""
        trades = tuple(t.model_copy(update=update) if t.trade_id == trade.trade_id else t for t in self.run.trades)
        self.run = self.run.model_copy(update={"trades": trades})

    def judged(self, shared: Collection[str] = (), policy: Policy = DEFAULT) -> Comparison:
        reader = BrokerTruthReader(self.control, self.candidate)
        document = json.loads(canonical(reader.read(self.run, self.other, shared)))
        control, candidate = broker_corrected(self.run, document), broker_corrected(self.other, document)
        return judge(replace(self.case, control=control, candidate=candidate), policy)

    def found(self, kind: str, policy: Policy = DEFAULT) -> Difference:
        """Give the one difference of a kind."""
        (difference,) = [d for d in self.judged(policy=policy).differences if d.kind == kind]
        return difference


def kinds(comparison: Comparison) -> set[str]:
    return {difference.kind for difference in comparison.differences if difference.counts}


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
    both = Account([*lanes.control.orders, *candidate_account(lanes.other).orders])
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

    assert comparison.verdict is Verdict.INCOMPLETE
    assert f"control: trade {trade.symbol}: orders: absent" in comparison.gaps


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

    assert "DOUBLE_ORDER" in kinds(lanes.judged())
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
def test_a_field_of_an_order_that_changed_is_told_by_its_name(field: str, damage: str) -> None:
    order = {name: value for name, value in ORDER_JSON.items() if name != field}
    listed = [order if damage == "lost" else order | {field: ["of another type"]}]
    lanes = Lanes()
    book = BrokerTruthReader(answering(200, listed), None)
    if damage == "lost" and field in LEFT_OUT:
        assert len(parse_orders(listed)) == 1
        return
    with pytest.raises(EvidenceUnavailable, match=rf"control broker: BrokerProtocolError: order\.{field}: expected "):
        book.read(lanes.run, None)


def test_no_account_and_no_run_say_nothing() -> None:
    lanes = Lanes()
    assert BrokerTruthReader(None, None).read(lanes.run, lanes.other) == {}
    assert BrokerTruthReader(lanes.control, lanes.control).read(None, None) == {}
    assert broker_corrected(None, {}) is None
    assert broker_corrected(lanes.run, {"control": "torn"}) is lanes.run


def test_the_comparator_s_view_of_an_account_cannot_order_or_cancel_and_opens_it_once() -> None:
    opened: list[Account] = []

    def connect() -> Account:
        opened.append(Account(left={"AAPL": "3"}))
        return opened[-1]

    account = ReadOnlyAccount(connect)
    assert opened == []
    assert account.position("AAPL") == 3
    assert account.order_by_client_id("t-1") is None
    assert len(opened) == 1
    public = {name for name in dir(account) if not name.startswith("_")}
    assert public == {"orders_of", "order_by_client_id", "position"}
    asked: list[Callable[[], object]] = [partial(getattr, account, name) for name in ("submit", "cancel")]
    for ask in asked:
        with pytest.raises(AttributeError):
            ask()
