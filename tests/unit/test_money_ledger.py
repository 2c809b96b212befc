"""The money ledger adds up to what two simulated accounts differ by, to the digit, whatever the lanes say of themselves."""

from __future__ import annotations

import random
from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal, localcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.compare.case import PairCase, PairView
from shadow.compare.document import canonical_bytes, read_comparison
from shadow.compare.judge import judge
from shadow.compare.ledger import ledger_of
from shadow.compare.policy import default_policy
from shadow.compare.rules import EXACT
from shadow.contracts.comparison import Cause, Comparison, Difference, MoneyLedger, Word
from shadow.contracts.outcome import AccountOrder, AccountRecord, Booking, Books, HeldPosition, OrderRecord, Owner, RunOutcome
from shadow.contracts.vocabulary import Role, Side, TradeStatus
from tests.factories.accounts import Lanes, candidate_account
from tests.strategies.outcomes import random_case
from tests.strategies.planting import is_buy, is_sell, order, run_of, trade_edit, with_run

BEFORE = datetime(2026, 3, 2, 20, 40, tzinfo=UTC)
LATER = BEFORE + timedelta(hours=1)
SEEDS = st.integers(0, 100_000)


@dataclass
class SimulatedAccount:
    """One account that knows nothing of lanes or kinds: cash and shares, moved by fills and bookings."""

    cash: Decimal
    held: dict[str, Decimal] = field(default_factory=lambda: defaultdict(Decimal))

    def fill(self, symbol: str, shares: Decimal, price: Decimal) -> None:
        with localcontext(EXACT):
            self.cash -= shares * price
            self.held[symbol] += shares

    def books(self, at: datetime, marks: dict[str, Decimal]) -> Books:
        shares = {symbol: held for symbol, held in sorted(self.held.items()) if held}
        positions = tuple(HeldPosition(symbol=s, quantity=q, price=marks[s]) for s, q in shares.items())
        return Books(at=at, cash=self.cash, positions=positions)

    def equity(self, marks: dict[str, Decimal]) -> Decimal:
        with localcontext(EXACT):
            return self.cash + sum((held * marks[symbol] for symbol, held in self.held.items()), Decimal(0))


def drawn(rng: random.Random, low: int, high: int, places: int) -> Decimal:
    return Decimal(rng.randint(low * 10**places, high * 10**places)).scaleb(-places)


def filled(run: RunOutcome, rng: random.Random, account: SimulatedAccount) -> RunOutcome:
    """Let a broker fill each trade in one to three orders, or none of it, at its own prices."""
    trades = []
    for number, trade in enumerate(run.trades):
        orders = []
        for step in range(rng.choice((0, 1, 1, 2, 3))):
            shares, price = drawn(rng, 0, 90, 6), drawn(rng, 1, 700, 4)
            side = trade.action if rng.random() < 0.95 else (Side.BUY if trade.action is Side.SELL else Side.SELL)
            symbol = trade.symbol if rng.random() < 0.95 else "ZZZ"
            account.fill(symbol, shares if side is Side.BUY else -shares, price)
            orders.append(
                OrderRecord(
                    order_id=f"{run.role}-{number}-{step}",
                    symbol=symbol,
                    side=side,
                    quantity=shares,
                    status="filled",
                    filled_quantity=shares,
                    average_price=price if shares else None,
                    accepted=True,
                )
            )
        trades.append(trade.model_copy(update={"orders": tuple(orders)}))
    return run.model_copy(update={"trades": tuple(trades), "broker_truth": True})


def besides(run: RunOutcome, rng: random.Random, account: SimulatedAccount, symbols: list[str]) -> AccountRecord:
    """Let people trade in the account too, and the broker book fees and dividends.

    Of an order of several contracts the journal alone says what was bought.
    """
    others, bookings = [], []
    for number in range(rng.randint(0, 3)):
        symbol, shares, price = rng.choice(symbols), drawn(rng, 0, 50, 3), drawn(rng, 1, 500, 2)
        side = rng.choice(tuple(Side))
        signed = shares if side is Side.BUY else -shares
        account.fill(symbol, signed, price)
        says = rng.random() < 0.8
        if not says:
            bookings.append(Booking(kind="FILL", symbol=symbol, amount=-signed * price, quantity=signed))
        record = OrderRecord(
            order_id=f"{run.role}-hand-{number}",
            symbol=symbol if says else None,
            side=side if says else None,
            status="filled",
            filled_quantity=shares,
            average_price=price if shares else None,
        )
        others.append(AccountOrder(owner=rng.choice(tuple(Owner)), order=record))
    for kind in rng.sample(["FEE", "DIV", "CSD"], rng.randint(0, 3)):
        amount = drawn(rng, -40, 40, 2)
        account.cash += amount
        bookings.append(Booking(kind=kind, amount=amount))
    return AccountRecord(orders=tuple(others), bookings=tuple(bookings))


@dataclass
class World:
    case: PairCase
    truth: Decimal
    """What the two accounts differ by in the end, candidate minus control."""


def world(seed: int, lost: Decimal = Decimal(0)) -> World:
    """Give a pair over two simulated accounts; `lost` USD leave the candidate's for no reason that anybody tells."""
    rng = random.Random(seed)
    case = random_case(seed, rng.randint(1, 6))
    symbols = [item.symbol for item in case.plan.items] + ["ZZZ", "HELD"]
    first = {symbol: drawn(rng, 1, 700, 2) for symbol in symbols}
    last = {symbol: drawn(rng, 1, 700, 2) for symbol in symbols}
    runs: dict[str, RunOutcome] = {}
    ends = {}
    for role in Role:
        account = SimulatedAccount(drawn(rng, 10_000, 900_000, 2))
        for symbol in symbols:
            account.held[symbol] += drawn(rng, 100, 900, 4)
        opening = account.books(BEFORE, first)
        run = filled(run_of(case, role), rng, account)
        record = besides(run, rng, account, symbols)
        if role is Role.CANDIDATE:
            account.cash -= lost
        closing = account.books(LATER, last)
        runs[role.value] = run.model_copy(update={"account": record.model_copy(update={"opening": opening, "closing": closing})})
        ends[role] = account.equity(last)
    return World(replace(case, **runs), ends[Role.CANDIDATE] - ends[Role.CONTROL])  # type: ignore[arg-type]


def ledger(case: PairCase) -> MoneyLedger:
    with localcontext(EXACT):
        return ledger_of(PairView(case))


def exactly(amounts: list[Decimal]) -> Decimal:
    with localcontext(EXACT):
        return sum(amounts, Decimal(0))


@settings(max_examples=300, deadline=None)
@given(SEEDS)
def test_every_dollar_between_two_accounts_is_a_row_and_nothing_is_left(seed: int) -> None:
    made = world(seed)
    found = ledger(made.case)

    assert found.is_proved
    assert found.equity == made.truth
    assert exactly([row.dollars for row in found.rows]) == made.truth
    assert found.unexplained == 0
    assert [(check.cash, check.positions, check.dollars) for check in found.checks] == [(0, {}, 0)] * 2


@settings(max_examples=150, deadline=None)
@given(SEEDS)
def test_every_sign_changes_when_the_lanes_are_swapped(seed: int) -> None:
    case = world(seed).case
    control, candidate = run_of(case, Role.CONTROL), run_of(case, Role.CANDIDATE)
    turned = replace(
        case,
        control=candidate.model_copy(update={"role": Role.CONTROL}),
        candidate=control.model_copy(update={"role": Role.CANDIDATE}),
    )
    there, back = ledger(case), ledger(turned)

    assert {(r.cause, r.symbol): r.dollars for r in there.rows} == {
        (r.cause, r.symbol): r.dollars.copy_negate() for r in back.rows
    }
    assert there.gross == back.gross
    assert there.net == back.net.copy_negate()


@settings(max_examples=60, deadline=None)
@given(SEEDS, st.decimals("0.01", "5000", places=2))
def test_money_that_leaves_an_account_untold_is_unexplained_to_the_cent_and_critical(seed: int, lost: Decimal) -> None:
    made = world(seed, lost)
    found = ledger(made.case)
    comparison = judge(made.case, default_policy())
    (difference,) = [d for d in comparison.differences if d.kind == "UNEXPLAINED_MONEY"]

    assert found.unexplained == -lost
    assert [row.dollars for row in found.rows if row.cause is Cause.UNEXPLAINED] == [-lost]
    assert difference.attribution == "candidate"
    assert difference.impact.gross == lost


def test_shares_that_no_order_explains_are_told_with_their_symbol() -> None:
    case = world(7).case
    run = run_of(case, Role.CONTROL)
    assert run.account
    assert run.account.closing
    more = [p.model_copy(update={"quantity": p.quantity + 2}) if p.symbol == "HELD" else p for p in run.account.closing.positions]
    closing = run.account.closing.model_copy(update={"positions": tuple(more)})
    account = run.account.model_copy(update={"closing": closing})
    comparison = judge(replace(case, control=run.model_copy(update={"account": account})), default_policy())
    (difference,) = [d for d in comparison.differences if d.kind == "UNEXPLAINED_MONEY"]

    assert difference.attribution == "control"
    assert "2.0000 shares of HELD" in difference.explanation


def test_without_the_brokers_the_ledger_is_a_sum_of_claims_and_says_so() -> None:
    found = judge(random_case(3), default_policy()).money

    assert found
    assert not found.is_proved
    assert found.unexplained is None
    assert "the candidate's account: the lane's own claims" in found.basis


def test_a_ledger_is_part_of_the_document_and_read_back_as_it_was() -> None:
    comparison = judge(world(5).case, default_policy())
    assert read_comparison(canonical_bytes(comparison)).money == comparison.money


def the(comparison: Comparison, kind: str) -> Difference:
    (found,) = [d for d in comparison.differences if d.kind == kind]
    return found


def test_a_rotation_that_the_candidate_does_not_execute_is_gross_trade_by_trade_and_not_netted() -> None:
    case = random_case(11, 8)
    run = run_of(case, Role.CANDIDATE)
    nothing = {"status": TradeStatus.NOT_SENT, "filled_quantity": None, "value": None, "average_price": None, "orders": ()}
    trades = tuple(t.model_copy(update={**nothing, "intent": None, "equity": None, "order_id": None}) for t in run.trades)
    comparison = judge(replace(case, candidate=run.model_copy(update={"trades": trades, "effects": ()})), default_policy())
    worth = [abs(trade.value) for trade in run_of(case, Role.CONTROL).trades if trade.value]

    assert comparison.money
    assert abs(comparison.money.gross - sum(worth)) < Decimal(100)
    assert comparison.gross_impact >= abs(comparison.impact.notional)
    assert abs(comparison.gross_impact - sum(worth)) < Decimal(100)


def test_a_timeout_after_the_fill_is_not_known_and_invents_no_dollars() -> None:
    unknown = {"status": TradeStatus.UNKNOWN, "filled_quantity": None, "value": None, "average_price": None, "orders": ()}
    case = trade_edit(is_buy, lambda _t: {**unknown, "order_id": None})(random_case(11, 8), Role.CANDIDATE)
    case = replace(case, candidate=run_of(case, Role.CANDIDATE).model_copy(update={"effects": ()}))
    comparison = judge(case, default_policy())
    assert comparison.money
    lines = [line for line in comparison.money.lines if line.candidate.word is Word.NOT_KNOWN]

    assert [line.exposure for line in lines] == [None]
    assert [d.own.gross for d in comparison.differences if d.trade_id == lines[0].trade_id and d.kind == "TRADE_UNKNOWN"] == [0]
    assert "not valued" in comparison.money.basis


def test_in_dry_run_a_millionth_of_a_share_carries_no_half_spread() -> None:
    case = random_case(11, 8)
    before = judge(case, default_policy()).money
    assert before
    for line in before.lines:
        assert line.candidate.word in (Word.OTHER_LANE, Word.LANE)
        if line.candidate.word is Word.OTHER_LANE:
            assert line.price == 0


def test_in_paper_a_fault_of_both_lanes_shows_what_each_is_off_the_plan() -> None:
    lanes = Lanes(4)
    lanes.candidate = candidate_account(lanes.other)
    trade = lanes.trade()
    for account in (lanes.control, lanes.candidate):
        have = next(o for o in account.orders if o.symbol == trade.symbol and o.filled_quantity)
        account.change(
            trade.symbol, filled_quantity=have.filled_quantity * Decimal("1.1"), quantity=have.quantity * Decimal("1.1")
        )
    comparison = lanes.judged()
    assert comparison.money
    (line,) = [each for each in comparison.money.lines if each.trade_id == trade.trade_id]
    tenth = abs(line.planned or 0) / 10

    assert line.control.word is line.candidate.word is Word.BROKER
    for done in (line.control, line.candidate):
        assert done.off_plan is not None
        assert abs(abs(done.off_plan) - tenth) < tenth / 5
    mine = [d for d in comparison.differences if d.trade_id == trade.trade_id]
    assert sum(d.impact.gross for d in mine) > tenth


def test_a_residual_position_is_priced() -> None:
    lanes = next(built for built in map(Lanes, range(20)) if any(t.is_complete_exit for t in built.run.trades))
    trade = lanes.trade(exits=True)
    lanes.control.left = {trade.symbol: "50"}
    difference = lanes.found("RESIDUAL_POSITION")
    assert trade.average_price

    assert abs(difference.impact.notional + 50 * trade.average_price) < trade.average_price
    assert abs(difference.impact.gross - 50 * trade.average_price) < trade.average_price


def test_completed_with_a_rejected_order_is_worth_the_trade() -> None:
    edit = trade_edit(
        is_sell, lambda t: {"orders": (order(t, 0, status="rejected", filled_quantity=Decimal(0), accepted=False),)}
    )
    case = edit(random_case(11, 8), Role.CANDIDATE)
    comparison = judge(case, default_policy())
    difference = the(comparison, "COMPLETED_WITHOUT_ORDER")
    worth = next(t.value for t in run_of(case, Role.CONTROL).trades if t.trade_id == difference.trade_id)

    assert worth
    assert (
        abs(difference.impact.notional - worth) < 4
    )  # a SELL that was not made: so much more is held, but for the ledger's price


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("where", ["SYMBOL", "ORDER_SYMBOL"])
def test_a_wrong_symbol_is_worth_what_was_bought_of_it_and_what_was_not_bought_of_the_right_one(role: Role, where: str) -> None:
    case = random_case(11, 8)
    run = run_of(case, role)
    trade = next(t for t in run.trades if t.status is TradeStatus.COMPLETED and t.action is Side.BUY)
    orders = tuple(each.model_copy(update={"symbol": "BIL"}) for each in trade.orders)
    wrong = trade.model_copy(update={"orders": orders, "symbol": "BIL" if where == "SYMBOL" else trade.symbol})
    trades = tuple(wrong if each is trade else each for each in run.trades)
    honest, comparison = judge(case, default_policy()), judge(with_run(case, role, trades=trades), default_policy())
    difference = the(comparison, where)

    assert trade.value
    assert honest.money
    assert comparison.money
    assert difference.attribution == role
    assert difference.severity == "CRITICAL"
    assert abs(difference.impact.gross - 2 * trade.value) < trade.value / 100
    assert abs(difference.impact.notional) < trade.value / 100
    assert abs(comparison.money.gross - honest.money.gross - 2 * trade.value) < trade.value / 100
