"""How a trade ended and how much of it was filled, at the bounds: what is told, of which lane, and where nothing is."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from shadow.compare.case import LaneTrade, TradePair
from shadow.compare.checks.decisions import skip_findings
from shadow.compare.checks.executed import executed
from shadow.compare.checks.fills import ends_apart, fill_findings
from shadow.contracts.comparison import Word
from shadow.contracts.outcome import AccountOrder, AccountRecord, Gap, Owner
from shadow.contracts.vocabulary import Reason, Role, Side, TradeStatus
from tests.factories.one_trade import (
    AT,
    BLOCKED,
    BOTH,
    CANDIDATE,
    CLOSED,
    CONTROL,
    EMPTY,
    FAILED,
    GUARDED,
    LIMITED,
    NONE,
    PART,
    POLICY,
    PRICE,
    TRUTH,
    UNKNOWN,
    UNSENT,
    USD,
    ZERO_FILL,
    D,
    Said,
    alone,
    closing,
    decided,
    duties,
    effect,
    lane,
    of,
    pair,
    planned,
    said,
    seconds,
    sent,
)

NO_QUOTE = BLOCKED | {"status": TradeStatus.FAILED, "reason": Reason.NO_QUOTE}

REJECTED = NO_QUOTE | {"reason": Reason.BROKER_REJECTED}

NEARLY = FAILED | {"orders": (), "filled_quantity": D("9.8"), "value": D(980)}


@pytest.mark.parametrize(
    ("trade", "told"),
    [
        ({}, of()),
        # an end that is none
        ({"status": TradeStatus.UNFINISHED, **NONE, "orders": ()}, of("TRADE_UNFINISHED")),
        ({"status": TradeStatus.NOT_SENT, **NONE, "orders": ()}, of("TRADE_UNFINISHED")),
        ({"status": TradeStatus.UNKNOWN, **NONE, "orders": ()}, of("TRADE_UNKNOWN")),
        # filled, and recorded otherwise
        ({**FAILED}, of("FILLED_RECORDED_AS_FAILED")),
        ({**FAILED, "filled_quantity": D("9.9999990")}, of("FILLED_RECORDED_AS_FAILED")),
        ({**FAILED, **NONE}, of("FILLED_RECORDED_AS_FAILED")),
        ({**FAILED, "orders": (), "filled_quantity": D("9.999998")}, of()),
        ({**FAILED, "orders": (), "filled_quantity": D("9.999999")}, of("FILLED_RECORDED_AS_FAILED")),
        ({**FAILED, "orders": (), "intent": None}, of()),
        ({"status": TradeStatus.SKIPPED, **NONE}, of("FILLED_RECORDED_AS_FAILED")),
        (
            {"status": TradeStatus.BLOCKED, "orders": (), "filled_quantity": D("0.1"), "value": None},
            of("FILLED_RECORDED_AS_FAILED"),
        ),
        ({"status": TradeStatus.SKIPPED, **NONE, "orders": ()}, of()),
        # a part, and recorded less
        ({**FAILED, "orders": (PART,), "filled_quantity": D(4), "value": None}, of()),
        ({**FAILED, "orders": (PART,), **NONE}, of("PARTIAL_FILL_LOST")),
        ({**FAILED, "orders": (PART,), "filled_quantity": D("3.999999"), "value": None}, of()),
        ({**FAILED, "orders": (PART,), "filled_quantity": D("3.999998"), "value": None}, of("PARTIAL_FILL_LOST")),
        # executed, and nothing or other filled
        ({"orders": (), **ZERO_FILL}, of("COMPLETED_WITHOUT_FILL")),
        ({"orders": (), **NONE}, of()),
        ({"orders": (EMPTY,)}, of("COMPLETED_WITHOUT_FILL", "FILLED_QUANTITY")),
        ({"orders": (sent(status="rejected"),)}, of("COMPLETED_WITHOUT_FILL", "FILLED_QUANTITY")),
        ({"orders": (sent(accepted=False),)}, of("COMPLETED_WITHOUT_FILL", "FILLED_QUANTITY")),
        ({"orders": (EMPTY,), **NONE}, of()),
        ({"filled_quantity": D("9.999999"), "value": D("999.9999")}, of()),
        ({"filled_quantity": D("9.999998"), "value": D("999.9998")}, of("FILLED_QUANTITY")),
        ({"filled_quantity": D("10.000002"), "value": D("1000.0002")}, of("FILLED_QUANTITY")),
        ({"orders": (sent(filled_quantity=D("9.999999")),)}, of()),
        ({"orders": (sent(filled_quantity=D("9.999998")),)}, of("FILLED_QUANTITY")),
        ({"orders": (sent(filled_quantity=D(11)),)}, of()),
        # quantity times price is the value
        ({"value": D("1000.01")}, of()),
        ({"value": D("1000.0101")}, of("VALUE")),
        ({"value": None}, of()),
        ({"value": D(7), "average_price": None}, of()),
        # the recorded price is the fills'
        ({"average_price": D("100.01"), "value": D("1000.1")}, of()),
        ({"average_price": D("100.02"), "value": D("1000.2")}, of("PRICE_NOT_THE_FILL")),
    ],
)
def test_what_came_of_a_trade_is_told_where_its_record_and_its_orders_are_apart(trade: dict[str, Any], told: Said) -> None:
    assert said(fill_findings(alone(lane(**trade)), POLICY, duties(ran=(CANDIDATE,)))) == told


@pytest.mark.parametrize(
    ("filled", "reason", "told"),
    [
        ("9.8", Reason.NOT_FILLED, True),
        ("9.79", Reason.NOT_FILLED, False),
        ("10", Reason.PARTIAL_FILL, True),
        ("9.99", Reason.PARTIAL_FILL, False),
    ],
)
def test_a_lane_that_does_not_say_what_it_asked_for_filled_all_where_it_filled_what_the_other_asked_for(
    filled: str, reason: Reason, *, told: bool
) -> None:
    silent: dict[str, Any] = {"status": TradeStatus.FAILED, "reason": reason, "intent": None, "orders": (), "value": None}
    both = pair(lane(CONTROL), lane(**silent, filled_quantity=D(filled)))
    found = said(fill_findings(both, POLICY, duties()))
    assert (("FILLED_RECORDED_AS_FAILED", "candidate") in found) is told
    nobody = pair(lane(CONTROL, intent=None, orders=()), lane(**silent, filled_quantity=D(filled)))
    assert ("FILLED_RECORDED_AS_FAILED", "candidate") not in said(fill_findings(nobody, POLICY, duties()))


@pytest.mark.parametrize(
    ("left", "trade", "told"),
    [
        ("0", {}, of()),
        ("1.5", {}, of("RESIDUAL_POSITION")),
        ("0.5", {}, of()),
        ("1", {}, of("RESIDUAL_POSITION")),
        ("0.5", {"filled_quantity": D("9.5"), "value": D(950)}, of("RESIDUAL_POSITION")),
        ("1.5", {"status": TradeStatus.FAILED, "orders": (PART,), "filled_quantity": D(4), "value": D(400)}, of()),
        ("-0.5", {}, of("OVERSELL")),
        ("-0.5", {"status": TradeStatus.FAILED, "orders": (PART,), "filled_quantity": D(4), "value": D(400)}, of("OVERSELL")),
        ("-0.5", {"action": Side.BUY}, of()),
    ],
)
def test_what_is_left_of_an_exit_is_a_residue_and_less_than_nothing_an_oversell(
    left: str, trade: dict[str, Any], told: Said
) -> None:
    side: dict[str, Any] = {"action": Side.SELL, "residual_position": D(left), "intent": decided(fractionable=False)} | trade
    residues = fill_findings(pair(lane(CONTROL, **side), lane(**side), closing()), POLICY, duties())
    found = [each for each in said(residues) if each[0] in ("RESIDUAL_POSITION", "OVERSELL")]
    assert found == [(kind, role.value) for kind, _ in told for role in Role]
    plain = fill_findings(pair(lane(CONTROL, **side), lane(**side), planned(side=Side.SELL, amount=-USD)), POLICY, duties())
    assert [each for each in said(plain) if each[0] == "RESIDUAL_POSITION"] == []


def test_a_part_of_a_share_is_a_residue_where_a_lane_was_told_that_the_asset_trades_in_fractions() -> None:
    def residues(first: dict[str, Any], second: dict[str, Any]) -> Said:
        own: dict[str, Any] = {"action": Side.SELL, "residual_position": D("0.5")}
        both = pair(lane(CONTROL, **(own | first)), lane(**(own | second)), closing())
        return [each for each in said(fill_findings(both, POLICY, duties())) if each[0] == "RESIDUAL_POSITION"]

    unknown: dict[str, Any] = {"intent": None, "orders": (), **NONE, "residual_position": None}
    assert residues({}, unknown) == []
    assert residues({"intent": decided(fractionable=True)}, unknown) == [("RESIDUAL_POSITION", "control")]
    assert residues({"intent": decided(fractionable=True)}, {}) == []
    assert residues({"filled_quantity": D("9.5"), "orders": ()}, {}) == [
        ("RESIDUAL_POSITION", "control"),
        ("RESIDUAL_POSITION", "candidate"),
    ]
    assert len(residues({"run": TRUTH, "orders": (sent(filled_quantity=D("9.5")),)}, {})) == 2


@pytest.mark.parametrize(
    ("control", "candidate", "demanded", "departs"),
    [
        # the guard: a lane that had to block does not depart
        ({}, GUARDED, duties(), {CANDIDATE}),
        ({}, GUARDED, duties(CANDIDATE), {CANDIDATE}),
        ({}, GUARDED, duties(CONTROL, CANDIDATE), {CONTROL}),
        ({}, GUARDED, duties(CONTROL), BOTH),
        (GUARDED, {}, duties(), {CONTROL}),
        ({}, UNSENT, duties(CONTROL, CANDIDATE), set()),
        ({}, UNSENT, duties(CANDIDATE), {CANDIDATE}),
        # the breaker
        ({}, LIMITED, duties(), set()),
        ({}, LIMITED, duties(breaker=(CANDIDATE,)), {CANDIDATE}),
        (REJECTED, LIMITED, duties(breaker=(CANDIDATE,)), BOTH),
        (GUARDED, LIMITED, duties(CONTROL), {CONTROL, CANDIDATE}),
        # the market was closed for one of them
        ({"orders": ()}, CLOSED, duties(), {CONTROL}),
        ({"run": TRUTH}, CLOSED, duties(), {CANDIDATE}),
        # no quote, and a success that is only the other's word
        ({"orders": ()}, NO_QUOTE, duties(), set()),
        ({"run": TRUTH}, NO_QUOTE, duties(), {CANDIDATE}),
        ({"run": TRUTH, "orders": (sent(filled_quantity=D("0.5"), average_price=None),)}, NO_QUOTE, duties(), {CANDIDATE}),
        ({"run": TRUTH, "orders": (EMPTY,)}, NO_QUOTE, duties(), set()),
        ({}, REJECTED, duties(), {CANDIDATE}),
        # a rest that nobody minds
        (UNKNOWN, NEARLY, duties(), {CONTROL}),
        (UNKNOWN, NEARLY | {"filled_quantity": D("9.6")}, duties(), BOTH),
        (UNKNOWN, NEARLY | {"filled_quantity": D("9.7")}, duties(), {CONTROL}),
        (UNKNOWN, NEARLY | {"intent": None, "average_price": None, "value": None}, duties(), BOTH),
        (UNKNOWN, NEARLY | {"status": TradeStatus.SKIPPED}, duties(), BOTH),
        ({}, NEARLY, duties(), {CANDIDATE}),
        # nor beside a success that filled nothing
        ({"orders": (EMPTY,)}, NEARLY, duties(), {CONTROL}),
        ({"orders": (), **ZERO_FILL}, NEARLY, duties(), {CONTROL}),
        ({"orders": (EMPTY,)}, NEARLY | {"filled_quantity": D("9.6")}, duties(), {CANDIDATE}),
    ],
)
def test_of_two_ends_the_lane_departs_that_did_not_do_what_it_had_to(
    control: dict[str, Any], candidate: dict[str, Any], demanded: Any, departs: set[Role]
) -> None:
    assert ends_apart(pair(lane(CONTROL, **control), lane(**candidate)), demanded) == departs
    assert ends_apart(alone(lane(**candidate)), demanded) == frozenset()


@pytest.mark.parametrize(
    ("control", "candidate", "words"),
    [
        ({}, REJECTED, "The control ended the trade as COMPLETED, the candidate as FAILED (BROKER_REJECTED)."),
        (REJECTED, {}, "The control ended the trade as FAILED (BROKER_REJECTED), the candidate as COMPLETED."),
        (GUARDED, UNKNOWN, "The control ended the trade as BLOCKED (SELL_GUARD), the candidate as UNKNOWN."),
        (None, REJECTED, "The candidate ended the trade as FAILED (BROKER_REJECTED), and the other lane does not have it."),
        (REJECTED, None, "The control ended the trade as FAILED (BROKER_REJECTED), and the other lane does not have it."),
        (None, UNKNOWN, "The candidate ended the trade as UNKNOWN, and the other lane does not have it."),
    ],
)
def test_how_a_trade_ended_in_each_lane_is_said_with_its_reason(
    control: dict[str, Any] | None, candidate: dict[str, Any] | None, words: str
) -> None:
    sides = [None if trade is None else lane(role, **trade) for role, trade in ((CONTROL, control), (CANDIDATE, candidate))]
    found = [each for each in fill_findings(pair(*sides), POLICY, duties()) if each.kind == "TRADE_STATUS"]
    assert {each.explanation for each in found} == {words}
    ends = [None if side is None else side.trade.status.value for side in sides]
    assert {(each.planned, each.control, each.candidate) for each in found} == {("COMPLETED", *ends)}


@pytest.mark.parametrize(
    ("candidate", "demanded", "told"),
    [
        ({}, duties(), []),
        (REJECTED, duties(), [("TRADE_STATUS", "candidate")]),
        (CLOSED, duties(), []),
        (GUARDED, duties(CANDIDATE), []),
        (GUARDED, duties(), [("TRADE_STATUS", "candidate")]),
        (NEARLY, duties(), []),
        (REJECTED, duties(ran=(CANDIDATE,)), []),
    ],
)
def test_a_trade_that_one_lane_alone_has_is_held_against_the_plan(candidate: dict[str, Any], demanded: Any, told: Said) -> None:
    found = [each for each in fill_findings(alone(lane(**candidate)), POLICY, demanded) if each.kind == "TRADE_STATUS"]
    assert said(found) == told
    for each in found:
        assert (each.planned, each.control, each.candidate) == ("COMPLETED", None, candidate["status"].value)
    unplanned = TradePair(None, None, lane(**candidate))
    assert "TRADE_STATUS" not in [kind for kind, _ in said(fill_findings(unplanned, POLICY, demanded))]


def test_a_rest_of_a_trade_that_nobody_planned_is_excused_by_nothing() -> None:
    sides = lane(CONTROL, **UNKNOWN), lane(**NEARLY)
    assert ends_apart(pair(*sides), duties()) == {CONTROL}
    assert ends_apart(TradePair(None, *sides), duties()) == BOTH


@pytest.mark.parametrize(
    ("trade", "excused"),
    [
        # at the price that the lane decided on, else as it recorded, else as its orders filled
        ({"intent": decided(), "average_price": D(90), "orders": (sent(filled_quantity=D("9.8"), average_price=D(90)),)}, True),
        ({"intent": decided(decision_price=D(90)), "average_price": PRICE}, False),
        ({"intent": None, "average_price": PRICE}, True),
        ({"intent": None, "average_price": D(90)}, False),
        ({"intent": None, "average_price": None, "orders": (sent(filled_quantity=D("9.8")),)}, True),
        ({"intent": None, "average_price": None, "orders": (sent(filled_quantity=D("9.8"), average_price=D(90)),)}, False),
        ({"intent": None, "average_price": None}, False),
    ],
)
def test_a_rest_is_held_against_the_plan_at_the_best_price_that_the_lane_has(trade: dict[str, Any], *, excused: bool) -> None:
    found = said(fill_findings(alone(lane(**(NEARLY | trade))), POLICY, duties()))
    assert (("TRADE_STATUS", "candidate") not in found) is excused


@pytest.mark.parametrize("status", [status for status in TradeStatus if status is not TradeStatus.COMPLETED])
def test_a_rest_that_no_rule_minds_excuses_a_failed_trade_and_no_other_end(status: TradeStatus) -> None:
    nearly = NEARLY | {"status": status}
    found = said(fill_findings(alone(lane(**nearly)), POLICY, duties()))
    assert (("TRADE_STATUS", "candidate") in found) is (status is not TradeStatus.FAILED)


@pytest.mark.parametrize(
    ("control", "candidate", "told"),
    [
        (D(4), D(4), []),
        (D(4), D("3.97"), []),
        (D(4), D("3.95"), [CANDIDATE]),
        (D(4), None, [CONTROL, CANDIDATE]),
    ],
)
def test_the_parts_that_two_failed_trades_filled_are_held_against_each_other(
    control: Decimal, candidate: Decimal | None, told: list[Role | None]
) -> None:
    def part(role: Role, shares: Decimal | None, truth: dict[str, Any] | None = None) -> LaneTrade:
        value = None if shares is None else shares * PRICE
        return lane(role, truth, **FAILED, orders=(), filled_quantity=shares, average_price=shares and PRICE, value=value)

    def parts(both: TradePair) -> list[Role | None]:
        return [each.role for each in fill_findings(both, POLICY, duties()) if each.field == "filled_usd"]

    assert parts(pair(part(CONTROL, control), part(CANDIDATE, candidate))) == [None for _ in told[:1]]
    assert parts(pair(part(CONTROL, control, TRUTH), part(CANDIDATE, candidate, TRUTH))) == told
    assert parts(pair(part(CONTROL, control), lane())) == []
    unpriced: dict[str, Any] = {"intent": None, "average_price": None}
    worth = part(CONTROL, control), part(CANDIDATE, candidate)
    for side, other in (worth, worth[::-1]):
        unknown = lane(side.role, **FAILED, orders=(), filled_quantity=D(1), **unpriced, value=None)
        assert parts(pair(*sorted((unknown, other), key=lambda each: list(Role).index(each.role)))) == []


def test_what_nobodys_order_filled_in_the_candidates_account_is_a_part_of_its_failed_trade() -> None:
    def departs(owner: Owner, role: Role = CANDIDATE, **more: Any) -> list[Role | None]:
        order = sent(**({"symbol": "AAPL", "side": Side.BUY} | more))
        account = {"account": AccountRecord(orders=(AccountOrder(owner=owner, order=order),))}
        sides = [lane(each, TRUTH | (account if each is role else {}), **FAILED, orders=(), **NONE) for each in Role]
        return [each.role for each in fill_findings(pair(*sides), POLICY, duties()) if each.field == "filled_usd"]

    assert departs(Owner.NOBODY) == [CONTROL]
    assert departs(Owner.NOBODY, role=CONTROL) == departs(Owner.LATER) == []
    assert departs(Owner.NOBODY, symbol="OTHER") == departs(Owner.NOBODY, side=Side.SELL) == []
    unknown: tuple[str, ...] = ("symbol", "side", "filled_quantity", "average_price")
    assert [departs(Owner.NOBODY, **{name: None}) for name in unknown] == [[]] * 4


def test_of_two_parts_the_lane_departs_whose_orders_say_otherwise_or_that_failed_alone() -> None:
    def departs(control: dict[str, Any], candidate: dict[str, Any]) -> list[Role | None]:
        both = pair(lane(CONTROL, **(FAILED | control)), lane(**(FAILED | candidate)))
        return [each.role for each in fill_findings(both, POLICY, duties()) if each.field == "filled_usd"]

    part: dict[str, Any] = {"orders": (PART,), "filled_quantity": D(4), "value": D(400)}
    nothing: dict[str, Any] = {"orders": (), **NONE}
    empty: dict[str, Any] = {"orders": (EMPTY,), **ZERO_FILL}
    assert departs(part, nothing) == [None]
    assert departs(part | {"run": TRUTH}, nothing) == [CANDIDATE]
    assert departs(part | {"run": TRUTH}, empty) == [None]
    assert departs(part, nothing | {"orders": (sent(status="canceled", filled_quantity=D(1)),)}) == [CANDIDATE]
    assert departs({"run": TRUTH}, empty) == [CONTROL, CANDIDATE]
    assert departs({"run": TRUTH}, empty | {"reason": Reason.NO_QUOTE}) == [CONTROL, CANDIDATE]
    assert departs(part | {"run": TRUTH}, nothing | {"reason": Reason.NO_QUOTE}) == [CANDIDATE]


@pytest.mark.parametrize(
    ("control", "candidate", "demanded", "told"),
    [
        (CLOSED, CLOSED, duties(), []),
        (CLOSED, CLOSED | {"reason": Reason.NOTHING_HELD}, duties(), [("SKIP_REASON", None)]),
        (CLOSED, CLOSED | {"reason": Reason.OTHER}, duties(), []),
        (CLOSED | {"reason": None}, CLOSED, duties(), []),
        (CLOSED, GUARDED, duties(), [("SKIP_REASON", "candidate")]),
        (CLOSED, GUARDED, duties(CANDIDATE), [("SKIP_REASON", "candidate")]),
        (CLOSED, GUARDED, duties(CONTROL, CANDIDATE), [("SKIP_REASON", None)]),
        (NO_QUOTE, NO_QUOTE | {"reason": Reason.TIMED_OUT}, duties(), [("TRADE_REASON", None)]),
        (NO_QUOTE, REJECTED, duties(), []),
        (NO_QUOTE | {"filled_quantity": D(1)}, REJECTED, duties(), [("TRADE_REASON", None)]),
        (CLOSED, NO_QUOTE, duties(), []),
    ],
)
def test_two_trades_left_alone_or_failed_say_the_same_reason(control: Any, candidate: Any, demanded: Any, told: Said) -> None:
    assert said(skip_findings(pair(lane(CONTROL, **control), lane(**candidate)), demanded)) == told
    assert said(skip_findings(alone(lane(**candidate)), demanded)) == []


@pytest.mark.parametrize(
    ("trade", "shares", "value", "word"),
    [
        ({"run": TRUTH}, D(10), USD, Word.BROKER),
        ({"run": TRUTH, "orders": ()}, D(0), D(0), Word.BROKER),
        ({"run": TRUTH, "orders": (sent(side=Side.SELL),)}, D(-10), -USD, Word.BROKER),
        ({"run": TRUTH, "orders": (sent(average_price=None),)}, D(10), USD, Word.BROKER),
        ({"run": TRUTH, "orders": (sent(average_price=None),), "intent": None}, D(10), None, Word.BROKER),
        ({"run": TRUTH, "orders": (sent(symbol="MSFT"),)}, D(0), D(0), Word.BROKER),
        ({"run": TRUTH | {"gaps": (Gap(what="broker orders of AAPL", reason="r"),)}, "orders": ()}, D(10), USD, Word.LANE),
        ({"run": TRUTH | {"gaps": (Gap(what="broker orders of MSFT", reason="r"),)}, "orders": ()}, D(0), D(0), Word.BROKER),
        ({}, D(10), USD, Word.LANE),
        ({"action": Side.SELL}, D(-10), -USD, Word.LANE),
        ({"orders": (sent(accepted=False),)}, D(0), D(0), Word.LANE),
        ({"orders": (sent(side=Side.SELL), sent(order_id="p", filled_quantity=D(4)))}, D(-6), D(-600), Word.LANE),
        ({"orders": (), "effects": [effect(quantity=D(3))]}, D(3), D(300), Word.LANE),
        ({"orders": (), "filled_quantity": D(2)}, D(2), D(200), Word.LANE),
        ({"orders": (), **NONE}, D(10), USD, Word.LANE),
        ({"orders": (), **NONE, "intent": None}, None, None, Word.NOT_KNOWN),
        ({"orders": (), **NONE, "status": TradeStatus.UNKNOWN}, None, None, Word.NOT_KNOWN),
        ({"orders": (), **NONE, "status": TradeStatus.UNFINISHED}, None, None, Word.NOT_KNOWN),
        ({"orders": (), **NONE, **FAILED}, D(0), D(0), Word.LANE),
        ({"orders": (sent(average_price=None),), "average_price": None}, D(10), USD, Word.LANE),
    ],
)
def test_what_a_lane_executed_is_told_by_the_best_word_there_is(trade: Any, shares: Any, value: Any, word: Word) -> None:
    done = executed(lane(**trade))
    assert (done.shares, done.value, done.word) == (shares, value, word)


@pytest.mark.parametrize(
    ("trade", "shown", "why"),
    [
        ({"status": TradeStatus.SKIPPED, **NONE}, "SKIPPED", "filled 10 shares and records SKIPPED"),
        ({**FAILED}, "FAILED", "filled 10 shares, all that was asked for, and records FAILED"),
        ({**FAILED, "orders": (PART,), **NONE}, "0", "filled 4 shares and records 0"),
        ({"orders": (), **ZERO_FILL}, "0", "records the trade as executed with 0 shares filled"),
        ({"orders": (EMPTY,)}, "10", "records 10 shares filled and its orders filled none"),
        ({"filled_quantity": D(9), "value": D(900)}, "9", "records the trade as executed with 9 of 10 shares filled"),
        ({"orders": (PART,)}, "10", "records 10 shares filled where its orders filled 4"),
        ({"value": D(7)}, "7", "records 7 USD where quantity * price is 1000"),
        ({"status": TradeStatus.UNFINISHED, **NONE, "orders": ()}, "UNFINISHED", "never ended the trade"),
        ({"status": TradeStatus.UNKNOWN, **NONE, "orders": ()}, "UNKNOWN", "does not know how the trade ended"),
    ],
)
def test_what_is_wrong_with_what_came_of_a_trade_is_said_in_words(trade: dict[str, Any], shown: str, why: str) -> None:
    found = {each.explanation: each.candidate for each in fill_findings(alone(lane(**trade)), POLICY, duties(ran=(CANDIDATE,)))}
    assert found.get(f"The candidate {why}.") == shown


@pytest.mark.parametrize("role", Role)
def test_a_further_record_of_a_trade_stands_in_for_its_own_lane_alone(role: Role) -> None:
    both = {each: lane(each) for each in Role}
    one = pair(both[CONTROL], both[CANDIDATE])
    copy = both[role].trade.model_copy(update={"status": TradeStatus.FAILED})

    other = one.with_copy(both[role], copy)

    told = {side.role: side.trade.status for side in other.lanes}
    assert told == {each: TradeStatus.FAILED if each is role else TradeStatus.COMPLETED for each in Role}
    assert other.planned == one.planned


@pytest.mark.parametrize(
    ("filled", "second", "told"),
    [("9.9", "8", None), ("9.9", "6", "control"), ("4", "8", "control")],
)
def test_a_lane_that_missed_next_to_nothing_does_not_depart_beside_one_that_asked_for_more_than_was_left(
    filled: str, second: str, told: str | None
) -> None:
    missed = lane(CONTROL, **FAILED, filled_quantity=D(filled), value=100 * D(filled), orders=(), intent=None)
    times = [AT, AT + seconds(1)]
    walk = [(PART, "10", "4"), (sent(client_order_id="t-step-1", order_id="o2"), second, "6")]
    orders = tuple(
        order.model_copy(update={"quantity": D(asked), "filled_quantity": D(got), "submitted_at": at})
        for at, (order, asked, got) in zip(times, walk, strict=True)
    )
    found = fill_findings(pair(missed, lane(order_id="o2", orders=orders)), POLICY, duties())
    assert [each.role for each in found if each.kind == "TRADE_STATUS"] == [Role(told) if told else None]
