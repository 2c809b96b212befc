"""What the brokers said, as evidence holds it, is read beside a lane's own record: orders, positions, journal and quotes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from shadow.contracts.outcome import (
    AccountRecord,
    Books,
    Effect,
    Gap,
    HeldPosition,
    MarketQuote,
    OrderRecord,
    Owner,
    RunOutcome,
    TradeOutcome,
)
from shadow.contracts.vocabulary import EffectKind, Lane, Role, RunStatus, Side, TradeStatus
from shadow.lanes.brokers.reading import broker_corrected
from shadow.lanes.legacy.reader import UNCLAIMED_ROW

AT = datetime(2026, 11, 27, 15, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)
Row = dict[str, object]


def order(name: str, **changes: object) -> Row:
    """A filled order of two AAPL shares at 10 USD, sent by nobody of the run, as evidence holds it."""
    sent: Row = {"order_id": name, "client_order_id": f"desk-{name}", "symbol": "AAPL", "side": "BUY", "order_type": "market"}
    filled: Row = {"quantity": "2", "status": "filled", "filled_quantity": "2", "average_price": "10"}
    return sent | filled | {"submitted_at": (AT - timedelta(minutes=1)).isoformat()} | changes


def look(at: datetime = LATER, **changes: object) -> Row:
    """One look at an account that holds 5 shares and 100 USD."""
    held = [{"symbol": "AAPL", "quantity": "5", "price": "11"}]
    books: Row = {"since": "then", "at": at.isoformat(), "is_steady": True, "cash": "100", "positions": held}
    return books | {"orders": [], "odd": [], "looked_up": [], "activities": []} | changes


def trade(**changes: object) -> TradeOutcome:
    own: Row = {"trade_id": "t", "symbol": "AAPL", "action": Side.SELL, "status": TradeStatus.COMPLETED, "started_at": AT}
    return TradeOutcome.model_validate(own | {"completed_at": AT + timedelta(seconds=10)} | changes)


def read(
    found: Mapping[str, object] | None,
    *,
    opening: object = None,
    market: list[Row] | None = None,
    gaps: tuple[Gap, ...] = (),
    **changes: object,
) -> RunOutcome:
    """Read what was found in the candidate's account beside a run of one trade."""
    run = RunOutcome(
        role=Role.CANDIDATE,
        lane=Lane.WORKFLOW,
        run_id="r",
        plan_id="p",
        status=RunStatus.COMPLETED,
        trades=(trade(**changes),),
        started_at=AT,
        completed_at=AT + timedelta(seconds=10),
        gaps=gaps,
    )
    document = {**({} if found is None else {"candidate": found}), **({} if market is None else {"market": market})}
    corrected = broker_corrected(run, document, None if opening is None else {"candidate": opening})
    assert corrected is not None
    return corrected


def account(found: Mapping[str, object], opening: object = None) -> AccountRecord:
    record = read(found, opening=opening).account
    assert record is not None
    return record


def sent(found: Mapping[str, object], **changes: object) -> list[tuple[str | None, str | None, bool | None, Decimal | None]]:
    (one,) = read(found, **changes).trades  # type: ignore[arg-type] # of the trade
    return [(each.order_id, each.status, each.accepted, each.filled_quantity) for each in one.orders]


def test_what_had_been_filled_when_the_account_was_first_looked_at_is_taken_back() -> None:
    orders = [
        order("1"),
        order("2", side="SELL", symbol="MSFT", filled_quantity="3", average_price="20"),
        order("3", filled_quantity="0", average_price=None),
        order("4", symbol="GONE", filled_quantity="4", average_price="1"),
    ]
    held = [{"symbol": "AAPL", "quantity": "5", "price": "11"}, {"symbol": "GONE", "quantity": "4", "price": "1"}]
    before = account(look(), look(AT, orders=orders, positions=held)).opening
    assert before == Books(
        at=AT,
        cash=Decimal(100 + 20 - 60 + 4),
        positions=(
            HeldPosition(symbol="AAPL", quantity=Decimal(3), price=Decimal(11)),
            HeldPosition(symbol="MSFT", quantity=Decimal(3)),
        ),
    )


@pytest.mark.parametrize(
    ("now", "earlier"),
    [
        ({}, {"at": LATER.isoformat()}),
        ({}, {"since": "another time"}),
        ({}, {"is_steady": False}),
        ({}, {"cash": None}),
        ({}, {"at": None}),
        ({}, {"orders": [order("1", average_price=None)]}),
        ({}, {"orders": [order("1", symbol=None)]}),
        ({}, {"orders": [order("1", side=None)]}),
        ({"is_steady": False}, {}),
        ({"is_steady": None}, {}),
        ({"cash": None}, {}),
        ({"activities": [{"kind": "FEE"}]}, {}),
    ],
)
def test_what_the_account_held_before_is_not_known_where_a_look_does_not_say_it(now: Row, earlier: Row) -> None:
    assert account(look(), look(AT)).opening is not None
    found = account(look(**now), look(AT) | earlier)
    assert found.opening is None
    assert (found.closing is None) is bool(now and "activities" not in now)


def test_positions_stand_by_symbol_and_one_that_cannot_be_read_is_left_out() -> None:
    rows: list[object] = [
        {"symbol": "MSFT", "quantity": "-1"},
        {"symbol": "AAPL", "quantity": "0", "price": "x"},
        {"symbol": None, "quantity": "1"},
        {"symbol": "GOOG", "quantity": None},
        "torn",
    ]
    closing = account(look(positions=rows)).closing
    assert closing is not None
    assert [(each.symbol, each.quantity, each.price) for each in closing.positions] == [
        ("AAPL", Decimal(0), None),
        ("MSFT", Decimal(-1), None),
    ]


FILL: Row = {"kind": "FILL", "order_id": "0", "symbol": "AAPL", "side": "BUY", "quantity": "2", "price": "10"}


@pytest.mark.parametrize(
    ("entry", "booked"),
    [
        (FILL, [("FILL", "AAPL", Decimal(-20), Decimal(2))]),
        (FILL | {"side": "SELL"}, [("FILL", "AAPL", Decimal(20), Decimal(-2))]),
        (FILL | {"order_id": "1"}, []),
        (FILL | {"order_id": "2"}, [("FILL", "AAPL", Decimal(-20), Decimal(2))]),
        ({"kind": "FEE", "amount": "-1.5"}, [("FEE", None, Decimal("-1.5"), Decimal(0))]),
        ({"kind": "DIV", "symbol": "AAPL", "amount": "3", "order_id": "1"}, [("DIV", "AAPL", Decimal(3), Decimal(0))]),
        (FILL | {"price": None, "amount": "20"}, None),
        (FILL | {"quantity": None, "amount": "20"}, None),
        ({"kind": None, "amount": "1", "quantity": "2", "price": "10"}, None),
        ({"kind": "FEE", "quantity": "2", "price": "10"}, None),
    ],
)
def test_the_journal_says_what_no_listed_order_does_and_all_of_it_or_nothing(entry: Row, booked: list[object] | None) -> None:
    orders = [order("1"), order("2", symbol=None)]
    found = account(look(orders=orders, activities=[entry, {"kind": "CSD", "amount": "7"}]), look(AT))
    told = [(each.kind, each.symbol, each.amount, each.quantity) for each in found.bookings]
    assert told == ([] if booked is None else [*booked, ("CSD", None, Decimal(7), Decimal(0))])
    assert (found.opening is None) is (booked is None)


@pytest.mark.parametrize(
    ("more", "left"),
    [
        ({}, Decimal(5)),
        ({"orders": [order("1")]}, Decimal(3)),
        ({"orders": [order("1", side="SELL")]}, Decimal(7)),
        ({"orders": [order("1", symbol="MSFT"), order("2", filled_quantity=None)]}, Decimal(5)),
        ({"positions": [{"symbol": "MSFT", "quantity": "5"}]}, Decimal(0)),
        ({"neighbours": {"symbols": ["AAPL"]}}, None),
        ({"neighbours": {"symbols": ["MSFT"]}}, Decimal(5)),
        ({"is_steady": False}, None),
    ],
)
def test_what_is_left_of_a_full_exit_is_what_is_held_less_what_others_traded(more: Row, left: Decimal | None) -> None:
    found = look() | more
    assert [each.residual_position for each in read(found, is_complete_exit=True).trades] == [left]
    assert [each.residual_position for each in read(found, is_complete_exit=False).trades] == [None]


OWN = OrderRecord(
    client_order_id="t-step-0", order_id="b0", status="filled", filled_quantity=Decimal(9), average_price=Decimal(1)
)
NEVER = {"client_order_id": "t-step-0", "is_known": False}
SEEN = order("b0", client_order_id="t-step-0", side="SELL")


@pytest.mark.parametrize(
    ("own", "found", "told"),
    [
        (OWN, {"orders": [SEEN]}, [("b0", "filled", True, Decimal(2))]),
        (OWN, {"looked_up": [SEEN]}, [("b0", "filled", True, Decimal(2))]),
        (OWN, {"orders": [SEEN], "looked_up": [SEEN]}, [("b0", "filled", True, Decimal(2))]),
        (OWN, {"orders": [SEEN | {"status": "rejected"}]}, [("b0", "rejected", False, Decimal(2))]),
        (OWN, {"looked_up": [NEVER]}, [("b0", "not_found", False, Decimal(0))]),
        (OWN.model_copy(update={"status": "OPEN"}), {}, [("b0", "not_found", False, Decimal(0))]),
        (OWN.model_copy(update={"status": "intended"}), {}, [("b0", "intended", False, Decimal(9))]),
        (OWN.model_copy(update={"status": None}), {}, [("b0", None, False, Decimal(9))]),
        (OrderRecord(order_id="b0", status="intended"), {}, []),
        (
            OrderRecord(order_id="b0", status="intended"),
            {"looked_up": [{"order_id": "b0", "is_known": False}]},
            [("b0", "not_found", False, Decimal(0))],
        ),
    ],
)
def test_an_order_that_a_lane_recorded_is_what_its_broker_says_of_it(own: OrderRecord, found: Row, told: list[object]) -> None:
    assert sent(look(**found), orders=(own,)) == told


def test_a_trade_that_records_no_order_has_the_one_whose_id_the_broker_does_not_know_denied() -> None:
    never = {"looked_up": [{"order_id": "b0", "is_known": False}]}
    assert sent(look(**never), order_id="b0") == [("b0", "not_found", False, Decimal(0))]
    assert sent(look(), order_id="b0") == []
    assert sent(look(orders=[SEEN]), order_id="b0") == [("b0", "filled", True, Decimal(2))]


def test_an_order_is_listed_once_by_its_id_and_each_time_where_it_has_none() -> None:
    nameless = order("1", order_id=None, client_order_id=None, symbol="GME")
    found = account(look(orders=[order("1"), nameless, nameless], odd=[order("1", fault="odd"), order("2", fault="odd")]))
    assert found.listed == 4
    assert [(each.order.order_id, each.note) for each in found.orders] == [(None, None), (None, None), ("1", None), ("2", "odd")]


QUOTE: Row = {"symbol": "AAPL", "bid": "1", "ask": "2", "at": AT.isoformat()}


@pytest.mark.parametrize(
    ("market", "quoted"),
    [
        ([QUOTE], True),
        ([QUOTE | {"symbol": "EQUITIES::AAPL//USD"}], True),
        ([QUOTE | {"symbol": "MSFT"}], False),
        ([QUOTE | {"fault": "BrokerRefused"}], False),
        *(([QUOTE | {name: None}], False) for name in QUOTE),
    ],
)
def test_a_quote_that_can_be_read_whole_stands_beside_the_trade(market: list[Row], *, quoted: bool) -> None:
    (one,) = read(None, market=market).trades
    assert one.market == (MarketQuote(bid=Decimal(1), ask=Decimal(2), at=AT) if quoted else None)


def test_without_a_word_about_the_lanes_account_nothing_of_it_is_said() -> None:
    outcome = read(None)
    assert (outcome.broker_truth, outcome.account, outcome.trades) == (False, None, (trade(),))
    assert read(look()).broker_truth


def test_v9_a_row_of_the_ledger_that_may_be_another_run_s_is_no_gap_where_the_broker_told_every_order() -> None:
    gaps = (Gap(what=f"{UNCLAIMED_ROW}1", reason="r"), Gap(what="else", reason="r"))
    assert read(look(), gaps=gaps).gaps == gaps[1:]
    assert read(None, gaps=gaps).gaps == gaps


def test_v9_a_row_of_the_ledger_stays_where_the_broker_or_the_lane_names_its_order() -> None:
    def row(name: str, kind: EffectKind = EffectKind.LEDGER_ENTRY) -> Effect:
        return Effect(kind=kind, emitted=True, trade_id="t", order_id=name)

    effects = (row("1"), row("own"), row("told"), row("foreign"), row("told", EffectKind.TRADE_EXECUTED))
    document = {"candidate": look(orders=[order("1", side="SELL", submitted_at=AT.isoformat())])}

    def kept(lane: Lane, document: object) -> list[str | None]:
        one = trade(order_id="own")
        run = RunOutcome(role=Role.CANDIDATE, lane=lane, run_id="r", plan_id="p", status=RunStatus.COMPLETED, trades=(one,))
        times = {"started_at": AT, "completed_at": AT + timedelta(seconds=10), "effects": effects}
        corrected = broker_corrected(run.model_copy(update=times), document)
        assert corrected is not None
        return [effect.order_id for effect in corrected.effects or ()]

    assert kept(Lane.LEGACY, document) == ["1", "own", "told", "told"]
    assert kept(Lane.WORKFLOW, document) == kept(Lane.LEGACY, None) == ["1", "own", "told", "foreign", "told"]


def bare(role: Role, lane: Lane) -> RunOutcome:
    """Give a run without trades, whose start is not known."""
    return RunOutcome(role=role, lane=lane, run_id="r", plan_id="p", status=RunStatus.COMPLETED, trades=())


@pytest.mark.parametrize("kind", [kind for kind in EffectKind if kind is not EffectKind.LEDGER_ENTRY])
@pytest.mark.parametrize("lane", Lane)
def test_a_row_of_the_ledger_stays_where_an_event_of_any_kind_names_its_order(kind: EffectKind, lane: Lane) -> None:
    row, event = (Effect(kind=each, emitted=True, order_id="o") for each in (EffectKind.LEDGER_ENTRY, kind))
    nameless = Effect(kind=EffectKind.LEDGER_ENTRY, emitted=True)
    stray = Effect(kind=EffectKind.LEDGER_ENTRY, emitted=True, order_id="stray")
    run = bare(Role.CONTROL, lane)

    def kept(*effects: Effect) -> tuple[Effect, ...] | None:
        corrected = broker_corrected(run.model_copy(update={"effects": effects}), {"control": look()})
        assert corrected is not None
        return corrected.effects

    assert kept(row, event, stray, nameless) == ((row, event, nameless) if lane is Lane.LEGACY else (row, event, stray, nameless))
    unknown = broker_corrected(run, {"control": look()})
    assert unknown is not None
    assert unknown.effects is None


def test_a_row_of_a_trade_whose_orders_are_unclear_stays() -> None:
    row = Effect(kind=EffectKind.LEDGER_ENTRY, emitted=True, trade_id="t", order_id="stray")
    effects = (row, row.model_copy(update={"trade_id": "u"}))
    run = bare(Role.CONTROL, Lane.LEGACY).model_copy(update={"trades": (trade(),), "effects": effects})
    mine = order("1", side="SELL", submitted_at=AT.isoformat())
    corrected = broker_corrected(run, {"control": look(orders=[mine])})
    assert corrected is not None
    assert corrected.effects == (row,)
    assert [(gap.what, gap.reason) for gap in corrected.gaps] == [("broker orders of AAPL", "the run's start is not known")]
    assert corrected.trades == (trade(),)


@pytest.mark.parametrize(("outcome", "document"), [(None, {"candidate": {}}), (None, None)])
def test_without_a_run_there_is_nothing_to_correct(outcome: None, document: object) -> None:
    assert broker_corrected(outcome, document) is None


@pytest.mark.parametrize("document", [None, [], "text", {}, {"candidate": None}, {"candidate": []}, {"control": {}}])
def test_a_document_that_says_nothing_of_the_lane_s_account_leaves_the_run_as_it_was(document: object) -> None:
    run = bare(Role.CANDIDATE, Lane.WORKFLOW)
    assert broker_corrected(run, document) is run


@pytest.mark.parametrize("opening", [None, [], {"control": look(AT)}, {"candidate": None}, {"candidate": []}])
def test_without_an_earlier_look_what_the_account_held_before_is_not_known(opening: object) -> None:
    run = bare(Role.CANDIDATE, Lane.WORKFLOW)
    corrected = broker_corrected(run, {"candidate": look()}, opening)
    assert corrected is not None
    assert corrected.account is not None
    assert corrected.account.opening is None
    assert corrected.account.closing is not None


@pytest.mark.parametrize(
    ("neighbours", "owner"),
    [
        (None, Owner.NOBODY),
        ({}, Owner.NOBODY),
        ({"trade_ids": ["u", 7], "symbols": [7, "GME"]}, Owner.ANOTHER_RUN),
        ({"trade_ids": "u"}, Owner.NOBODY),
        ({"trade_ids": None, "symbols": "GME"}, Owner.NOBODY),
    ],
)
def test_which_ids_are_other_runs_is_told_by_texts_in_lists(neighbours: object, owner: Owner) -> None:
    theirs = order("1", symbol="GME", client_order_id="u-step-1", submitted_at=AT.isoformat())
    found = account(look(orders=[theirs], neighbours=neighbours))
    assert [each.owner for each in found.orders] == [owner]


def test_a_field_of_what_the_broker_said_that_cannot_be_read_is_a_violation_by_its_place() -> None:
    found = look(orders=[order("1", quantity="x")], cash="y", neighbours=[], positions=[{"symbol": "A", "quantity": 1.5}])
    quote = {"symbol": "AAPL", "bid": "z", "ask": "1", "at": "then"}
    corrected = read(found | {"activities": [{"kind": "FEE", "amount": "w"}]}, market=[quote])
    assert [each.partition(":")[0] for each in corrected.violations] == [
        "broker.market.at",
        "broker.market.bid",
        "broker[candidate].activities.amount",
        "broker[candidate].cash",
        "broker[candidate].neighbours",
        "broker[candidate].orders.quantity",
    ]
    steady = read(look(positions=[{"symbol": "A", "quantity": 1.5}]))
    assert [each.partition(":")[0] for each in steady.violations] == ["broker[candidate].positions.quantity"]


def test_the_orders_of_an_account_that_are_no_trade_s_stand_by_owner_and_id() -> None:
    rows = [
        order("9", symbol="GME"),
        order("8", symbol="GME", submitted_at=AT.isoformat()),
        order("7", symbol="GME", submitted_at=AT.isoformat()),
        order("6", symbol="GME", client_order_id="u"),
    ]
    found = account(look(orders=rows, neighbours={"trade_ids": ["u"]}))
    assert [(each.owner, each.order.order_id) for each in found.orders] == [
        (Owner.LATER, "9"),
        (Owner.ANOTHER_RUN, "6"),
        (Owner.NOBODY, "7"),
        (Owner.NOBODY, "8"),
    ]
    assert found.listed == 4


def test_each_order_of_a_trade_stands_once_the_recorded_first_and_then_what_else_the_broker_lists() -> None:
    first = SEEN | {"quantity": "5"}
    second = order("b1", client_order_id="t-step-1", side="SELL")
    own = (OWN, OrderRecord(client_order_id="t-step-9", status="filled", filled_quantity=Decimal(3)))
    assert sent(look(orders=[second, first]), orders=own) == [
        ("b0", "filled", True, Decimal(2)),
        (None, "not_found", False, Decimal(0)),
        ("b1", "filled", True, Decimal(2)),
    ]
    (one,) = read(look(orders=[order("b7", client_order_id="t", replaced_by="b8", status="replaced")])).trades
    assert [(each.replaced_by, each.client_order_id, each.average_price) for each in one.orders] == [("b8", "t", Decimal(10))]
