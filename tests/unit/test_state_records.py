"""The workflow's own state table, read: what each order was meant to be, what came of it, and which effects were recorded."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from shadow.contracts.candidate_state import IntentStatus, intent_sk
from shadow.contracts.outcome import EquityDecision, Intent, OrderRecord, RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import EffectKind, Reason, Side, SizingBasis, TradeStatus
from shadow.lanes.effects import read_effect
from shadow.lanes.records import Fields
from shadow.lanes.workflow.reader import LARGE_PHASE, CandidateRecords, read_candidate
from shadow.lanes.workflow.trades import PlannedTrade, planned_trades, read_state_items, trade_of_result, trade_without_result
from tests.factories.histories import BEGIN, input_of
from tests.fakes.plans import plan_of

AT = datetime(2026, 11, 27, 15, tzinfo=UTC)
ITEM: dict[str, object] = {
    "PK": "RUN#r",
    "SK": intent_sk("t", 0),
    "run_id": "r",
    "trade_id": "t",
    "symbol": "AAPL",
    "side": "BUY",
    "step": 0,
    "attempt": 0,
    "client_order_id": "t",
    "order_type": "limit",
    "quantity": Decimal(3),
    "limit_price": Decimal("10.1"),
    "asked_quantity": Decimal(4),
    "sizing_basis": "trade_amount",
    "bid": Decimal("9.9"),
    "ask": Decimal("10.1"),
    "decision_price": Decimal(10),
    "quote_at": AT.isoformat(),
    "market_at": AT.isoformat(),
    "execution_mode": "paper",
    "fractionable": True,
    "status": "filled",
    "order_id": "b0",
    "filled_quantity": Decimal(3),
    "average_price": Decimal(10),
    "intended_at": AT.isoformat(),
    "submitted_at": AT.isoformat(),
}
RESULT: dict[str, object] = {
    "runId": "r",
    "tradeId": "t",
    "symbol": "AAPL",
    "action": "BUY",
    "status": "COMPLETED",
    "plannedAmount": "40",
}
PLANNED = PlannedTrade("t", "AAPL", Side.BUY, Decimal(40), is_complete_exit=False)


def item(step: int = 0, trade: str = "t", **changes: object) -> dict[str, object]:
    return ITEM | {"SK": intent_sk(trade, step), "trade_id": trade, "step": step} | changes


def test_an_intent_is_the_trades_decision_and_the_order_that_came_of_it() -> None:
    (read,) = read_state_items([ITEM]).intents["t"]
    assert read.intended_at == AT
    assert read.decision == Intent(
        sizing_basis=SizingBasis.TRADE_AMOUNT,
        quantity=Decimal(4),
        order_type="limit",
        bid=Decimal("9.9"),
        ask=Decimal("10.1"),
        quote_at=AT,
        market_at=AT,
        decision_price=Decimal(10),
        fractionable=True,
    )
    assert read.order == OrderRecord(
        client_order_id="t",
        order_id="b0",
        symbol="AAPL",
        side=Side.BUY,
        order_type="limit",
        quantity=Decimal(3),
        limit_price=Decimal("10.1"),
        status="filled",
        filled_quantity=Decimal(3),
        average_price=Decimal(10),
        submitted_at=AT,
        accepted=True,
    )


@pytest.mark.parametrize("mode", ["paper", "live", "dry_run"])
@pytest.mark.parametrize("status", IntentStatus)
def test_an_order_was_accepted_where_the_broker_had_it_and_in_dry_run_nobody_knows(status: IntentStatus, mode: str) -> None:
    known = {
        IntentStatus.INTENDED: None,
        IntentStatus.AMBIGUOUS: None,
        IntentStatus.NOT_ACCEPTED: False,
        IntentStatus.REJECTED: False,
    }
    (read,) = read_state_items([item(status=status.value, execution_mode=mode)]).intents["t"]
    assert read.order.status == status.value
    assert read.order.accepted is (None if mode == "dry_run" else known.get(status, True))


def test_whether_an_asset_trades_in_fractions_is_what_the_first_intent_recorded() -> None:
    recorded = read_state_items([item(0), item(1, fractionable=False), item(2, fractionable=False)]).intents["t"]
    decided = RESULT | {"askedQuantity": "4", "decisionPrice": "10"}
    told = [trade_of_result(Fields("r", decided, []), PLANNED, intents) for intents in (recorded, recorded[1:], ())]
    assert [each and each.intent and each.intent.fractionable for each in told] == [True, False, None]


def test_the_intents_of_a_trade_stand_by_their_steps_and_other_items_are_not_read() -> None:
    items = [item(1), item(0, "u"), item(10), item(0), {"SK": "RUN"}, {"SK": "TURN#t", "turn": 1}]
    records = read_state_items(items)
    assert {name: [each.order.client_order_id for each in found] for name, found in records.intents.items()} == {
        "t": ["t"] * 3,
        "u": ["t"],
    }
    numbered = [item(step, quantity=Decimal(step)) for step in (1, 10, 0)]
    assert [each.order.quantity for each in read_state_items(numbered).intents["t"]] == [0, 1, 10]
    assert (records.faults, records.results, records.effects) == ([], {}, [])


@pytest.mark.parametrize(
    ("damaged", "fault"),
    [
        ({"SK": 7}, "state.SK: expected a text, was 7"),
        ({"SK": "RESULT#t", "result": 7}, "RESULT#t.result: expected a JSON text, was 7"),
        (item(status="gone"), "intent[t#0000].status: expected "),
        (item(quantity="3"), "intent[t#0000].quantity: expected a number"),
        ({name: value for name, value in ITEM.items() if name != "asked_quantity"}, "intent[t#0000].asked_quantity: expected"),
        ({"SK": "EFFECT#x", "kind": "Else", "emitted": True, "detail": "{}"}, "effect[x].kind: expected"),
        ({"SK": "EFFECT#x", "kind": "TradeExecuted", "emitted": True}, "effect[x].detail: expected"),
        (
            {"SK": "EFFECT#x", "kind": "TradeExecuted", "emitted": "no", "detail": "{}"},
            "effect[x].emitted: expected true or false",
        ),
    ],
)
def test_an_item_that_cannot_be_read_is_told_by_its_field(damaged: dict[str, object], fault: str) -> None:
    records = read_state_items([damaged])
    assert [told for told in records.faults if told.startswith(fault)]
    assert records.results == {}
    assert len(records.effects) == (1 if "emitted: " in fault else 0)


def effect(kind: str, name: str, trade: str | None = None, **detail: object) -> dict[str, object]:
    return {"SK": f"EFFECT#{name}", "kind": kind, "emitted": True, "detail": json.dumps(detail), "trade_id": trade}


def test_effects_stand_by_what_they_are_about() -> None:
    records = read_state_items(
        [
            effect("WorkflowFailed", "3"),
            effect("TradeExecuted", "2", "u", trade_id="v"),
            effect("TradeExecuted", "1", symbol="AAPL", trade_id="t", timestamp="2026-11-27T15:00:01Z"),
            effect("TradeExecuted", "0", symbol="AAPL", trade_id="t", timestamp="2026-11-27T15:00:00Z"),
        ]
    )
    assert [(each.kind, each.trade_id, each.at and each.at.second) for each in records.effects] == [
        (EffectKind.TRADE_EXECUTED, "t", 0),
        (EffectKind.TRADE_EXECUTED, "t", 1),
        (EffectKind.TRADE_EXECUTED, "u", None),
        (EffectKind.WORKFLOW_FAILED, None, None),
    ]


ROW: dict[str, object] = {
    "order_id": "b0",
    "correlation_id": "c",
    "symbol": "AAPL",
    "direction": "BUY",
    "filled_qty": "3",
    "fill_price": "10",
    "timestamp": AT.isoformat(),
}
EVENT: dict[str, object] = {
    "run_id": "r",
    "plan_id": "p",
    "correlation_id": "c",
    "trade_id": "t",
    "symbol": "AAPL",
    "action": "BUY",
    "success": True,
    "order_id": "b0",
    "quantity": "3",
    "price": "10",
    "trade_amount": "30",
    "timestamp": AT.isoformat(),
}


@pytest.mark.parametrize(
    ("kind", "detail", "faults"),
    [
        (EffectKind.LEDGER_ENTRY, ROW, []),
        (EffectKind.LEDGER_ENTRY, ROW | {"fill_price": None}, []),
        (EffectKind.LEDGER_ENTRY, {n: v for n, v in ROW.items() if n != "fill_price"}, ["fill_price"]),
        (EffectKind.LEDGER_ENTRY, {n: v for n, v in ROW.items() if n != "fill_price"} | {"filled_qty": "0"}, []),
        (EffectKind.LEDGER_ENTRY, {n: v for n, v in ROW.items() if n != "symbol"}, ["symbol"]),
        (EffectKind.TRADE_EXECUTED, EVENT, []),
        (EffectKind.TRADE_EXECUTED, EVENT | {"price": None}, ["price"]),
        (EffectKind.TRADE_EXECUTED, EVENT | {"price": None, "quantity": None}, ["quantity", "price"]),
        (EffectKind.TRADE_EXECUTED, EVENT | {"price": None, "order_id": None}, []),
        (EffectKind.TRADE_EXECUTED, EVENT | {"price": None, "success": False}, []),
        (EffectKind.TRADE_EXECUTED, {n: v for n, v in EVENT.items() if n != "plan_id"}, ["plan_id"]),
    ],
)
def test_an_effect_is_held_against_its_schema(kind: EffectKind, detail: dict[str, object], faults: list[str]) -> None:
    told: list[str] = []
    read = read_effect(kind, detail, emitted=True, faults=told)
    assert [fault.partition(":")[0] for fault in told] == [f"effect[{kind}].{name}" for name in faults]
    assert (read.order_id, read.action) == (detail["order_id"], Side.BUY)
    assert read.success is (True if kind is EffectKind.LEDGER_ENTRY else detail["success"])


@pytest.mark.parametrize(
    ("check", "read"),
    [
        (None, None),
        ({"allowed": True, "limit": "0"}, None),
        ({"limit": "100"}, None),
        ({"allowed": False, "limit": "100"}, EquityDecision(allowed=False, limit=Decimal(100))),
        (
            {"allowed": True, "limit": "100", "cumulative": "40"},
            EquityDecision(allowed=True, limit=Decimal(100), cumulative=Decimal(40)),
        ),
    ],
)
def test_the_breakers_decision_is_none_where_it_was_off_or_not_asked(check: object, read: EquityDecision | None) -> None:
    trade = trade_of_result(Fields("r", RESULT | {"equityCheck": check}, []), PLANNED, [])
    assert trade is not None
    assert trade.equity == read


def test_a_trades_orders_are_the_recorded_ones_and_else_those_of_its_result() -> None:
    trace = {"clientOrderId": "t", "status": "filled", "filledQuantity": "3"}
    recorded = read_state_items([ITEM]).intents["t"]

    def orders(listed: object, *, known: bool) -> list[Decimal | None]:
        trade = trade_of_result(Fields("r", RESULT | {"orders": listed}, []), PLANNED, recorded if known else [])
        assert trade is not None
        assert (trade.intent is None) is not known
        return [each.quantity for each in trade.orders]

    assert orders([trace, "torn"], known=False) == [None]
    assert orders([trace], known=True) == orders(None, known=True) == [Decimal(3)]
    assert orders(None, known=False) == []


@pytest.mark.parametrize("name", ["tradeId", "symbol", "action"])
def test_a_result_and_a_planned_trade_that_name_none_are_told_and_left_out(name: str) -> None:
    told: list[str] = []
    nameless = {key: value for key, value in RESULT.items() if key != name}
    assert trade_of_result(Fields("result", nameless, told), PLANNED, []) is None
    assert planned_trades([nameless, "torn", RESULT], told).keys() == {"t"}
    assert told == [f"{place}.{name}: expected a value, was nothing" for place in ("result", "plannedTrade")]


def test_a_trade_without_a_result_is_what_its_intents_tell() -> None:
    bare = trade_without_result(PLANNED, TradeStatus.NOT_SENT, Reason.RUN_FAILED, [])
    assert (bare.intent, bare.filled_quantity, bare.orders, bare.started_at) == (None, None, (), None)
    intents = read_state_items([item(0), item(1, filled_quantity=None), item(2)]).intents["t"]
    told = trade_without_result(PLANNED, TradeStatus.UNKNOWN, None, intents)
    assert (told.filled_quantity, len(told.orders), told.started_at) == (Decimal(6), 3, AT)
    assert told.intent == intents[0].decision
    assert (told.planned_amount, told.is_complete_exit, told.action) == (Decimal(40), False, Side.BUY)


# A large plan: its trades run in child executions, and their results are in the state table alone

PLAN = plan_of(AAPL="-600", GOOG="1000")


def large(state: list[dict[str, object]], *entered: str, status: str = "SUCCEEDED") -> RunOutcome:
    """Read an execution of a large plan whose phases in `entered` began and ended."""
    claim = {key: value for key, value in input_of(PLAN).items() if key != "rebalancePlan"} | {"claimCheck": "s3://plan"}
    history: list[dict[str, object]] = [
        {"type": "ExecutionStarted", "executionStartedEventDetails": {"input": json.dumps(claim)}},
        {"type": "TaskStateExited", "stateExitedEventDetails": {"name": "PrepareTrades", "output": '{"isLarge": true}'}},
    ]
    for name in entered:
        history.append({"type": "MapStateEntered", "stateEnteredEventDetails": {"name": name}})
        history.append({"type": "MapStateExited", "stateExitedEventDetails": {"name": name, "output": '{"isLarge": true}'}})
    history.append({"type": f"Execution{status.capitalize()}"})
    numbered = [{"id": number, "timestamp": BEGIN, **event} for number, event in enumerate(history, 1)]
    return read_candidate("r", PLAN.plan_id, CandidateRecords({"status": status}, numbered, state), PLAN)


def ends(outcome: RunOutcome) -> dict[str, tuple[TradeStatus, Reason | None]]:
    return {trade.symbol: (trade.status, trade.reason) for trade in outcome.trades}


def named(symbol: str) -> TradeOutcome:
    return next(trade for trade in large([]).trades if trade.symbol == symbol)


def test_the_trades_of_a_large_plan_are_the_plans_and_end_as_the_state_table_says() -> None:
    sell, buy = LARGE_PHASE[Side.SELL], LARGE_PHASE[Side.BUY]
    done = json.dumps(RESULT | {"tradeId": named("AAPL").trade_id, "symbol": "AAPL", "action": "SELL"})
    kept: dict[str, object] = {"SK": f"RESULT#{named('AAPL').trade_id}", "result": done}
    intended = item(0, named("GOOG").trade_id, symbol="GOOG")
    other = (TradeStatus.FAILED, Reason.OTHER)

    assert ends(large([], sell, buy)) == {"AAPL": other, "GOOG": other}
    assert ends(large([kept, intended], sell, buy)) == {
        "AAPL": (TradeStatus.COMPLETED, None),
        "GOOG": (TradeStatus.UNKNOWN, Reason.OTHER),
    }
    assert ends(large([kept], sell)) == {"AAPL": (TradeStatus.COMPLETED, None), "GOOG": (TradeStatus.NOT_SENT, None)}
    assert ends(large([kept], sell, status="FAILED"))["GOOG"] == (TradeStatus.NOT_SENT, Reason.RUN_FAILED)
    assert ends(large([], sell, status="RUNNING"))["GOOG"] == (TradeStatus.UNFINISHED, None)


def test_everything_that_a_result_says_is_the_trade_s() -> None:
    said: dict[str, object] = {
        "reason": "NOT_FILLED",
        "status": "FAILED",
        "errorMessage": "E",
        "quantity": "3",
        "averagePrice": "10.5",
        "totalValue": "31.5",
        "orderId": "b0",
        "attempts": 2,
        "startedAt": AT.isoformat(),
        "completedAt": BEGIN.isoformat(),
        "sizingBasis": "held_quantity",
        "askedQuantity": "4",
        "orderType": "limit",
        "bid": "9.9",
        "ask": "10.1",
        "quoteAt": AT.isoformat(),
        "marketAt": BEGIN.isoformat(),
        "decisionPrice": "10",
        "orders": [
            {
                "clientOrderId": "t",
                "orderId": "b0",
                "orderType": "limit",
                "quantity": "4",
                "limitPrice": "10.1",
                "status": "canceled",
                "filledQuantity": "3",
                "averagePrice": "10.5",
            }
        ],
    }
    told: list[str] = []
    trade = trade_of_result(Fields("r", RESULT | said, told), PLANNED, [])
    assert trade == TradeOutcome(
        trade_id="t",
        symbol="AAPL",
        action=Side.BUY,
        status=TradeStatus.FAILED,
        reason=Reason.NOT_FILLED,
        error_message="E",
        planned_amount=Decimal(40),
        is_complete_exit=False,
        intent=Intent(
            sizing_basis=SizingBasis.HELD_QUANTITY,
            quantity=Decimal(4),
            order_type="limit",
            bid=Decimal("9.9"),
            ask=Decimal("10.1"),
            quote_at=AT,
            market_at=BEGIN,
            decision_price=Decimal(10),
        ),
        filled_quantity=Decimal(3),
        average_price=Decimal("10.5"),
        value=Decimal("31.5"),
        order_id="b0",
        attempts=2,
        orders=(
            OrderRecord(
                client_order_id="t",
                order_id="b0",
                order_type="limit",
                quantity=Decimal(4),
                limit_price=Decimal("10.1"),
                status="canceled",
                filled_quantity=Decimal(3),
                average_price=Decimal("10.5"),
            ),
        ),
        started_at=AT,
        completed_at=BEGIN,
        raw_status="FAILED",
    )
    assert told == []
    unplanned = trade_of_result(Fields("r", RESULT, []), None, [])
    assert unplanned is not None
    assert (unplanned.is_complete_exit, unplanned.raw_status, unplanned.orders) == (None, "COMPLETED", ())


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"status": "ELSE"}, "r.status: expected COMPLETED or "),
        ({"status": None}, "r.status: expected a value, was nothing"),
        ({"tradeId": "a b"}, "r.tradeId: expected an identifier"),
        ({"symbol": "aapl"}, "r.symbol: expected a symbol in capitals"),
        ({"action": "HOLD"}, "r.action: expected BUY or SELL"),
        ({"quantity": "-1"}, "tradeResult[t].quantity: expected zero or more"),
        ({"runId": None}, "tradeResult[t].runId: expected "),
        ({"equityCheck": {"allowed": "yes", "limit": "1"}}, "tradeResult[t].equityCheck.allowed: expected true or false"),
        ({"orders": [{"quantity": "x"}]}, "tradeResult[t].orders.quantity: expected a decimal string"),
    ],
)
def test_a_field_of_a_result_that_cannot_be_read_is_told_with_its_trade_as_soon_as_that_is_known(
    changes: dict[str, object], fault: str
) -> None:
    told: list[str] = []
    trade = trade_of_result(Fields("r", RESULT | changes, told), PLANNED, [])
    assert (trade is None) is fault.startswith("r.")
    assert [each for each in told if each.startswith(fault)]
    assert all(each.startswith(fault.partition(":")[0].partition(".")[0]) for each in told)


def test_the_whole_of_an_effect_is_read() -> None:
    event = read_effect(EffectKind.TRADE_EXECUTED, EVENT, emitted=True, faults=[])
    assert (event.kind, event.emitted, event.trade_id, event.symbol, event.action) == (
        EffectKind.TRADE_EXECUTED,
        True,
        "t",
        "AAPL",
        Side.BUY,
    )
    assert (event.run_id, event.plan_id, event.correlation_id, event.order_id, event.at) == ("r", "p", "c", "b0", AT)
    assert (event.amount, event.quantity, event.price, event.success) == (Decimal(30), Decimal(3), Decimal(10), True)
    row = read_effect(EffectKind.LEDGER_ENTRY, ROW, emitted=False, faults=[], trade_id="u")
    assert (row.trade_id, row.symbol, row.correlation_id, row.at, row.emitted) == ("u", "AAPL", "c", AT, False)
    assert (row.quantity, row.price, row.amount, row.run_id) == (Decimal(3), Decimal(10), None, None)
    counts = {"total_trades": 4, "succeeded_trades": 2, "failed_trades": 1, "skipped_trades": 0}
    done = read_effect(EffectKind.ALL_TRADES_COMPLETED, {**counts, "trade_id": "v"}, emitted=True, faults=[], trade_id="u")
    assert (done.total_trades, done.succeeded_trades, done.failed_trades, done.skipped_trades) == (4, 2, 1, 0)
    assert done.trade_id == "u"
