"""The control's items, in its own words, are read into the glossary's."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.aws.table import plain_item
from shadow.contracts.control_records import FailureStep, LegacyPhase, LegacyRunStatus, LegacyTradeStatus
from shadow.contracts.outcome import (
    Effect,
    EquityDecision,
    GuardDecision,
    Intent,
    OrderRecord,
    RunCounters,
    RunOutcome,
    TradeOutcome,
)
from shadow.contracts.plan import trade_messages
from shadow.contracts.vocabulary import EffectKind, Reason, RunStatus, Side, TradeStatus
from shadow.lanes.legacy.reader import RunFacts, buys_were_sent, read_control, run_status, safety_stop, trade_status
from shadow.lanes.legacy.source import AwsControlSource
from tests.factories.control_items import GUARD_MESSAGE, ControlRun
from tests.factories.histories import BEGIN
from tests.fakes.plans import plan_of

PLAN = plan_of(AAPL="-600", MSFT="-300.5", GOOG="1000", TSLA="250", exits=("AAPL",))
RUN_ID = trade_messages(PLAN)[0].run_id


def read(run: ControlRun) -> RunOutcome:
    return read_items([plain_item(item) for item in run.items()])


def read_items(items: list[dict[str, object]]) -> RunOutcome:
    outcome = read_control(RUN_ID, PLAN.plan_id, items, None)
    assert outcome is not None
    return outcome


def ended(outcome: RunOutcome, symbol: str) -> tuple[TradeStatus, Reason | None]:
    trade = next(trade for trade in outcome.trades if trade.symbol == symbol)
    return trade.status, trade.reason


def test_a_completed_run_has_every_trade_with_its_recorded_price_as_decision_price() -> None:
    outcome = read(ControlRun(PLAN))

    assert outcome.status is RunStatus.COMPLETED
    assert outcome.violations == ()
    assert outcome.gaps == ()
    assert {trade.status for trade in outcome.trades} == {TradeStatus.COMPLETED}
    apple = next(trade for trade in outcome.trades if trade.symbol == "AAPL")
    assert apple.planned_amount == Decimal(-600)
    assert apple.intent is not None
    assert apple.intent.decision_price == Decimal(50)
    assert apple.intent.quantity == Decimal(12)
    assert apple.value == Decimal(600)
    assert apple.is_complete_exit is True
    assert outcome.guard is not None
    assert outcome.guard.buy_phase_allowed is True
    assert outcome.counters is not None
    assert outcome.counters.succeeded == 4


def test_nothing_at_all_is_an_absent_run() -> None:
    assert read_control(RUN_ID, PLAN.plan_id, [], None) is None


@pytest.mark.parametrize(
    ("ending", "status", "expected"),
    [
        ("CLOSED", LegacyRunStatus.COMPLETED, (TradeStatus.SKIPPED, Reason.MARKET_CLOSED)),
        ("BREAKER", LegacyRunStatus.FAILED, (TradeStatus.BLOCKED, Reason.EQUITY_LIMIT)),
        ("FAILED", LegacyRunStatus.COMPLETED, (TradeStatus.FAILED, Reason.BROKER_REJECTED)),
        ("WAITING", LegacyRunStatus.BUY_PHASE, (TradeStatus.NOT_SENT, None)),
        ("WAITING", LegacyRunStatus.COMPLETED, (TradeStatus.NOT_SENT, None)),
        ("WAITING", LegacyRunStatus.SELL_PHASE, (TradeStatus.UNFINISHED, None)),
        ("PENDING", LegacyRunStatus.BUY_PHASE, (TradeStatus.UNFINISHED, None)),
        ("RUNNING", LegacyRunStatus.BUY_PHASE, (TradeStatus.UNFINISHED, None)),
    ],
)
def test_each_ending_is_said_in_the_glossarys_words(
    ending: str, status: LegacyRunStatus, expected: tuple[TradeStatus, Reason | None]
) -> None:
    outcome = read(ControlRun(PLAN, {"TSLA": ending}, status, "Equity circuit breaker" if ending == "BREAKER" else None))
    assert ended(outcome, "TSLA") == expected


def test_a_guard_block_is_told_by_the_runs_reason() -> None:
    endings = {"AAPL": "FAILED", "GOOG": "WAITING", "TSLA": "WAITING"}
    outcome = read(ControlRun(PLAN, endings, LegacyRunStatus.FAILED, GUARD_MESSAGE))

    assert outcome.status is RunStatus.BLOCKED_BY_GUARD
    assert outcome.failure_step == "SELL_PHASE_GUARD"
    assert ended(outcome, "GOOG") == (TradeStatus.BLOCKED, Reason.SELL_GUARD)
    assert outcome.guard is not None
    assert outcome.guard.buy_phase_allowed is False
    assert outcome.guard.sell_failed_amount == Decimal(600)


def test_a_guard_block_is_told_by_the_items_when_nobody_says_why() -> None:
    endings = {"AAPL": "FAILED", "GOOG": "WAITING", "TSLA": "WAITING"}
    outcome = read(ControlRun(PLAN, endings, LegacyRunStatus.FAILED, None))
    assert outcome.status is RunStatus.BLOCKED_BY_GUARD


def test_an_attribute_that_the_contract_does_not_have_is_named() -> None:
    items = [plain_item(item) for item in ControlRun(PLAN).items()]
    items[0]["shard"] = "7"
    outcome = read_items(items)

    assert any(violation.startswith("run.shard: expected no such attribute") for violation in outcome.violations)
    assert outcome.gaps == ()


def test_a_number_that_became_a_text_is_named_and_read_as_unknown() -> None:
    items = [plain_item(item) for item in ControlRun(PLAN).items()]
    items[0]["failed_trades"] = "0"
    outcome = read_items(items)

    assert any("run.failed_trades" in violation for violation in outcome.violations)
    assert outcome.counters is not None
    assert outcome.counters.failed is None


def test_a_listed_trade_without_its_item_is_a_gap() -> None:
    items = [plain_item(item) for item in ControlRun(PLAN).items()]
    outcome = read_items(items[:-1])
    assert [gap.reason for gap in outcome.gaps] == ["listed by the run, has no item"]


def test_trade_items_without_their_run_item_are_a_gap() -> None:
    items = [plain_item(item) for item in ControlRun(PLAN).items()]
    outcome = read_items(items[1:])
    assert outcome.gaps[0].what == "legacy run item"
    assert outcome.status is RunStatus.UNFINISHED


def test_the_order_of_items_changes_nothing() -> None:
    items = [plain_item(item) for item in ControlRun(PLAN).items()]
    assert read_items(items) == read_items(items[::-1])


@settings(max_examples=100, deadline=None)
@given(
    value=st.none()
    | st.booleans()
    | st.text(max_size=10)
    | st.decimals(allow_nan=True)
    | st.lists(st.text(max_size=3), max_size=2),
    index=st.integers(0, 4),
    data=st.data(),
)
def test_a_damaged_item_never_raises_and_never_invents(value: object, index: int, data: st.DataObject) -> None:
    items = [plain_item(item) for item in ControlRun(PLAN).items()]
    name = data.draw(st.sampled_from(sorted(items[index])))
    items[index][name] = value
    outcome = read_control(RUN_ID, PLAN.plan_id, items, None)

    assert outcome is not None
    assert len(outcome.trades) + len(outcome.gaps) >= 4


@pytest.mark.parametrize("status", [None, "COMPLETEDISH", 7])
def test_a_run_item_without_a_status_that_can_be_read_is_a_gap(status: object) -> None:
    items = [plain_item(item) for item in ControlRun(PLAN).items()]
    outcome = read_items([item | {"status": status} if item["SK"] == "METADATA" else item for item in items])
    assert "legacy run status" in [gap.what for gap in outcome.gaps]


@pytest.mark.parametrize("status", ["completed", "COMPLETED ", 7, None])
def test_an_item_that_cannot_be_read_is_no_missing_item(status: object) -> None:
    items = [plain_item(item) for item in ControlRun(PLAN).items()]
    gaps = read_items([item | {"status": status} if item.get("symbol") == "AAPL" else item for item in items]).gaps
    reasons = [gap.reason for gap in gaps if gap.what.startswith("legacy trade")]
    assert reasons == ["symbol, action or status absent or unreadable"]


def test_a_source_without_a_ledger_and_without_captured_events_knows_neither() -> None:
    source = AwsControlSource(Unasked(), "runs", None, None)  # type: ignore[arg-type] # nothing may be asked
    assert (source.captured_events("run"), source.ledger_rows("c"), source.other_runs("run")) == (None, None, ())


class Unasked:
    """A client that nobody may ask."""


@pytest.mark.parametrize("status", list(LegacyRunStatus))
def test_a_run_has_an_end_once_its_status_says_so(status: LegacyRunStatus) -> None:
    items = [plain_item(item) for item in ControlRun(PLAN).items()]
    outcome = read_items([item | {"status": status.value} if item["SK"] == "METADATA" else item for item in items])
    assert (outcome.completed_at is None) is (outcome.status is RunStatus.UNFINISHED)


Items = list[dict[str, object]]


def changed(run: ControlRun, name: str = "METADATA", **changes: object) -> Items:
    """The items of a run with one changed: the run's own, or a symbol's. A change to None leaves the field out."""
    items = [plain_item(item) for item in run.items()]
    for item in items:
        if name in (item["SK"], item.get("symbol")):
            item.update(changes)
            for field in [field for field, value in changes.items() if value is None]:
                item.pop(field, None)
    return items


def of(outcome: RunOutcome, symbol: str) -> TradeOutcome:
    return next(trade for trade in outcome.trades if trade.symbol == symbol)


ENDED = BEGIN + timedelta(seconds=5)
"""When a run of the tests ends; its trades end two seconds earlier."""


@pytest.mark.parametrize(
    ("changes", "end"),
    [
        ({}, ENDED),
        ({"failed_at": (ENDED + timedelta(minutes=1)).isoformat()}, ENDED),
        ({"completed_at": None, "failed_at": ENDED.isoformat()}, ENDED),
        ({"completed_at": None, "failed_at": BEGIN.isoformat()}, ENDED - timedelta(seconds=2)),
        ({"completed_at": BEGIN.isoformat()}, BEGIN),
        ({"completed_at": None}, ENDED - timedelta(seconds=2)),
    ],
)
def test_a_run_ended_as_it_says_or_with_its_last_trade_where_that_is_later(changes: dict[str, object], end: datetime) -> None:
    assert read_items(changed(ControlRun(PLAN), **changes)).completed_at == end


@pytest.mark.parametrize(
    ("changes", "began"),
    [
        ({}, BEGIN),
        ({"created_at": None, "run_timestamp": ENDED.isoformat()}, ENDED),
        ({"created_at": ENDED.isoformat()}, ENDED),
        ({"created_at": None, "run_timestamp": None}, None),
    ],
)
def test_a_run_began_when_it_was_created(changes: dict[str, object], began: datetime | None) -> None:
    assert read_items(changed(ControlRun(PLAN), **changes)).started_at == began


def test_a_runs_own_names_counters_and_limit_are_read() -> None:
    run = ControlRun(PLAN, {"MSFT": "FAILED", "TSLA": "CLOSED"})
    names = {"run_id": "own-run", "plan_id": "own-plan", "correlation_id": "own-c", "max_equity_limit_usd": Decimal(7)}
    outcome = read_items(changed(run, **names))
    assert (outcome.run_id, outcome.plan_id, outcome.correlation_id, outcome.equity_limit) == (*list(names.values())[:3], 7)
    nameless = read_items(changed(run, run_id=None, plan_id=None))
    assert (nameless.run_id, nameless.plan_id) == (RUN_ID, PLAN.plan_id)
    assert outcome.counters == RunCounters(
        total=4,
        completed=4,
        succeeded=2,
        failed=1,
        skipped=1,
        sell_total=2,
        sell_completed=2,
        buy_total=2,
        buy_completed=2,
        sell_failed_amount=Decimal("300.5"),
        sell_succeeded_amount=Decimal(600),
        cumulative_buy_succeeded=Decimal(1250),
    )
    assert outcome.guard == GuardDecision(
        buy_phase_allowed=True,
        sell_failed_amount=Decimal("300.5"),
        sell_succeeded_amount=Decimal(600),
        threshold=Decimal(500),
    )


def test_the_guard_has_decided_where_there_are_sells_and_its_turn_has_come() -> None:
    assert read(ControlRun(PLAN, status=LegacyRunStatus.SELL_PHASE)).guard is None
    assert read(ControlRun(PLAN, status=LegacyRunStatus.BUY_PHASE)).guard is not None
    assert read(ControlRun(plan_of(GOOG="1000"))).guard is None
    assert read_items(changed(ControlRun(PLAN, status=LegacyRunStatus.SELL_PHASE), current_phase="ALL")).guard is not None


@pytest.mark.parametrize(
    ("ending", "limit", "decision"),
    [
        ("COMPLETED", "100", EquityDecision(allowed=True, limit=Decimal(100))),
        ("FAILED", "100", EquityDecision(allowed=True, limit=Decimal(100))),
        ("BREAKER", "100", EquityDecision(allowed=False, limit=Decimal(100))),
        ("CLOSED", "100", None),
        ("PENDING", "100", None),
        ("COMPLETED", "0", None),
        ("COMPLETED", None, None),
    ],
)
def test_the_breaker_has_decided_on_a_buy_that_was_tried(ending: str, limit: str | None, decision: EquityDecision | None) -> None:
    run = ControlRun(PLAN, {"TSLA": ending, "AAPL": ending})
    outcome = read_items(changed(run, max_equity_limit_usd=None if limit is None else Decimal(limit)))
    assert of(outcome, "TSLA").equity == decision
    assert of(outcome, "AAPL").equity is None


def test_what_a_trade_executed_is_read_and_asked_for_only_where_it_was_all() -> None:
    outcome = read(ControlRun(PLAN))
    trade = of(outcome, "MSFT")
    assert (trade.filled_quantity, trade.average_price, trade.value) == (Decimal("6.01"), Decimal(50), Decimal("300.5"))
    assert (trade.planned_amount, trade.is_complete_exit, trade.order_id) == (Decimal("-300.5"), False, "order-MSFT")
    assert (trade.started_at, trade.completed_at) == (BEGIN, BEGIN + timedelta(seconds=3))
    assert trade.orders == (OrderRecord(order_id="order-MSFT", order_type="market"),)
    assert trade.intent == Intent(quantity=Decimal("6.01"), order_type="market", decision_price=Decimal(50))

    part = of(read_items(changed(ControlRun(PLAN), "MSFT", status="FAILED", error_message="order X was not filled")), "MSFT")
    assert (part.status, part.reason, part.filled_quantity) == (TradeStatus.FAILED, Reason.PARTIAL_FILL, Decimal("6.01"))
    assert part.intent == Intent(order_type="market", decision_price=Decimal(50))
    none = of(read_items(changed(ControlRun(PLAN), "MSFT", execution_data=None, order_id=None)), "MSFT")
    assert (none.intent, none.orders, none.order_id, none.value, none.filled_quantity) == (None, (), None, None, None)


@pytest.mark.parametrize(
    ("changes", "blocked"),
    [
        ({}, True),
        ({"order_id": "o"}, False),
        ({"execution_data": '{"shares": "0", "price": "1", "trade_amount": "0"}'}, False),
        ({"error_message": "order X was rejected"}, False),
        ({"error_message": None}, True),
        ({"action": "SELL"}, False),
    ],
)
def test_a_buy_that_sent_nothing_was_refused_by_the_breaker_where_the_words_say_so(changes: Any, *, blocked: bool) -> None:
    run = ControlRun(PLAN, {"TSLA": "BREAKER"}, LegacyRunStatus.FAILED, "Equity circuit breaker")
    assert (ended(read_items(changed(run, "TSLA", **changes)), "TSLA")[0] is TradeStatus.BLOCKED) is blocked
    silent = changed(ControlRun(PLAN, {"TSLA": "BREAKER"}, LegacyRunStatus.FAILED, "x"), "TSLA", error_message=None)
    assert ended(read_items(silent), "TSLA") == (TradeStatus.FAILED, Reason.OTHER)


@pytest.mark.parametrize(
    ("failed", "waiting", "status"),
    [
        ("500.01", True, RunStatus.BLOCKED_BY_GUARD),
        ("500", True, RunStatus.FAILED),
        ("500.01", False, RunStatus.FAILED),
        (None, True, RunStatus.FAILED),
    ],
)
def test_a_run_that_says_nothing_was_stopped_by_the_guard_where_buys_wait_behind_more_than_its_limit(
    failed: str | None, status: RunStatus, *, waiting: bool
) -> None:
    ending = "WAITING" if waiting else "PENDING"
    run = ControlRun(PLAN, {"AAPL": "WAITING", "GOOG": ending, "TSLA": ending}, LegacyRunStatus.FAILED)
    outcome = read_items(changed(run, sell_failed_amount=None if failed is None else Decimal(failed)))
    assert outcome.status is status


@pytest.mark.parametrize("step", FailureStep)
def test_what_the_captured_event_says_of_a_failed_run_comes_first(step: FailureStep) -> None:
    run = ControlRun(PLAN, {"TSLA": "BREAKER"}, LegacyRunStatus.FAILED, "Equity circuit breaker")
    told = [Effect(kind=EffectKind.TRADE_EXECUTED, emitted=True), Effect(kind=EffectKind.WORKFLOW_FAILED, emitted=True)]
    told[1] = told[1].model_copy(update={"failure_step": step})
    outcome = with_effects(run, told)
    assert outcome.failure_step == step.value
    assert with_effects(ControlRun(PLAN), told).failure_step is None


def with_effects(
    run: ControlRun, effects: list[Effect], rows: Iterable[dict[str, object]] = (), *, shared: bool = False
) -> RunOutcome:
    items = [plain_item(item) for item in run.items()]
    outcome = read_control(RUN_ID, PLAN.plan_id, items, effects, rows, ledger_is_shared=shared)
    assert outcome is not None
    return outcome


ROW: dict[str, object] = {
    "order_id": "order-AAPL",
    "correlation_id": "c",
    "symbol": "AAPL",
    "direction": "SELL",
    "filled_qty": "12",
    "fill_price": "50",
    "timestamp": BEGIN.isoformat(),
}


def rows_of(outcome: RunOutcome) -> dict[str | None, str | None]:
    """The trade of each order in the ledger."""
    assert outcome.effects is not None
    rows = [each for each in outcome.effects if each.kind is EffectKind.LEDGER_ENTRY]
    assert all(each.emitted for each in rows)
    return {each.order_id: each.trade_id for each in rows}


_OTHER = ROW | {"order_id": "another"}
_LATER = _OTHER | {"timestamp": (BEGIN + timedelta(hours=3)).isoformat()}
_UNCLAIMED = "legacy ledger row of order another"


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("row", [_OTHER, _LATER, _OTHER | {"symbol": "KO"}])
def test_v9_a_row_of_the_ledger_is_the_trades_whose_order_it_names_and_no_other_s(
    row: dict[str, object], *, shared: bool
) -> None:
    """Another run's row has our correlation id. It is no second order of ours; where nothing tells, that is a gap."""
    outcome = with_effects(ControlRun(PLAN), [], [row, ROW], shared=shared)
    assert rows_of(outcome) == {"order-AAPL": of(outcome, "AAPL").trade_id}
    told = [] if shared or row is _LATER else [_UNCLAIMED]
    assert [gap.what for gap in outcome.gaps] == told


@pytest.mark.parametrize("shared", [False, True])
def test_a_row_whose_order_an_event_of_the_trade_names_is_the_trade_s(*, shared: bool) -> None:
    trade_id = of(read(ControlRun(PLAN)), "AAPL").trade_id
    event = Effect(kind=EffectKind.TRADE_EXECUTED, emitted=True, trade_id=trade_id, order_id="another")
    outcome = with_effects(ControlRun(PLAN), [event], [_OTHER, ROW], shared=shared)
    assert rows_of(outcome) == {"order-AAPL": trade_id, "another": trade_id}
    assert outcome.gaps == ()


@pytest.mark.parametrize("shared", [False, True])
def test_a_row_of_an_earlier_step_of_a_walk_is_the_trade_s_as_far_as_it_filled(*, shared: bool) -> None:
    whole = of(read(ControlRun(PLAN)), "AAPL").filled_quantity
    assert whole is not None
    first, last = ROW | {"order_id": "another", "filled_qty": "5"}, ROW | {"filled_qty": str(whole - 5)}
    outcome = with_effects(ControlRun(PLAN), [], [first, last], shared=shared)
    trade_id = of(outcome, "AAPL").trade_id
    assert rows_of(outcome) == {"order-AAPL": trade_id, "another": trade_id}
    beyond = with_effects(ControlRun(PLAN), [], [first | {"filled_qty": "5.00001"}, last], shared=shared)
    assert rows_of(beyond) == {"order-AAPL": trade_id}
    assert [gap.what for gap in beyond.gaps] == ([] if shared else [_UNCLAIMED])


def test_a_row_of_a_trade_that_failed_and_came_while_it_was_tried_is_the_trade_s_unless_another_plan_shares_the_id() -> None:
    run = ControlRun(PLAN, {"AAPL": "FAILED"})
    alone, shared, later = (
        with_effects(run, [], [row], shared=share) for row, share in ((_OTHER, False), (_OTHER, True), (_LATER, False))
    )
    assert rows_of(alone) == {"another": of(alone, "AAPL").trade_id}
    assert rows_of(shared) == rows_of(later) == {}
    assert alone.gaps == shared.gaps == later.gaps == ()


def test_effects_bear_the_symbol_and_side_of_the_trade_that_they_name_and_stand_in_one_order() -> None:
    trade = of(read(ControlRun(PLAN)), "AAPL")
    bare = Effect(kind=EffectKind.TRADE_EXECUTED, emitted=True, trade_id=trade.trade_id)
    own = bare.model_copy(update={"symbol": "OWN", "action": Side.BUY})
    half = bare.model_copy(update={"symbol": "HALF"})
    stray = Effect(kind=EffectKind.TRADE_EXECUTED, emitted=True, trade_id="-nobody")
    effects = [Effect(kind=EffectKind.WORKFLOW_FAILED, emitted=True), own, stray, bare, half]
    for order in (effects, effects[::-1]):
        assert [(each.trade_id, each.symbol, each.action) for each in with_effects(ControlRun(PLAN), order).effects or ()] == [
            ("-nobody", None, None),
            (trade.trade_id, "AAPL", Side.SELL),
            (trade.trade_id, "HALF", Side.SELL),
            (trade.trade_id, "OWN", Side.BUY),
            (None, None, None),
        ]
    assert read(ControlRun(PLAN)).effects is None


def test_an_item_of_no_known_key_is_told_and_an_item_alone_is_a_run() -> None:
    items = [plain_item(item) for item in ControlRun(PLAN).items()]
    for key in ("TRADES", 7, None):
        assert any("items.SK: expected METADATA or TRADE#" in each for each in read_items([*items, {"SK": key}]).violations)
    alone = read_items(items[1:2])
    assert (alone.counters, alone.equity_limit, len(alone.trades)) == (None, None, 1)
    assert [gap.what for gap in alone.gaps] == ["legacy run item"]
    assert alone.violations == ()


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("quantity rounds to zero", Reason.ROUNDS_TO_ZERO),
        ("no open position", Reason.NOTHING_HELD),
        ("no usable quote", Reason.NO_QUOTE),
        ("partial fill only", Reason.PARTIAL_FILL),
        ("order was not filled", Reason.NOT_FILLED),
        ("timed out", Reason.TIMED_OUT),
        ("503 from the broker", Reason.BROKER_UNAVAILABLE),
        ("insufficient buying power", Reason.BROKER_REJECTED),
        ("something else", Reason.OTHER),
        (None, Reason.OTHER),
    ],
)
def test_a_failed_trades_words_are_a_reason(message: str | None, reason: Reason) -> None:
    assert ended(read_items(changed(ControlRun(PLAN, {"GOOG": "FAILED"}), "GOOG", error_message=message)), "GOOG")[1] is reason


def test_a_trade_whose_action_cannot_be_read_goes_the_way_of_its_phase() -> None:
    outcome = read_items(changed(ControlRun(PLAN), "AAPL", action="OUT"))
    assert of(outcome, "AAPL").action is Side.SELL
    assert any(".action: expected" in each for each in outcome.violations)


def test_v11_a_sum_of_the_table_keeps_all_of_its_38_digits() -> None:
    sums = {
        "sell_failed_amount": Decimal("12.345678901234567890123456789012345678"),
        "sell_succeeded_amount": Decimal("367419.63691346912469134691255678"),
        "cumulative_buy_succeeded_value": Decimal("115555.52000000000000000000000548"),
    }
    items = [plain_item(item) for item in ControlRun(PLAN).items()]
    outcome = read_items([items[0] | sums, *items[1:]])

    assert outcome.violations == ()
    assert outcome.counters is not None
    assert outcome.guard is not None
    counted = outcome.counters
    assert (counted.sell_failed_amount, counted.sell_succeeded_amount, counted.cumulative_buy_succeeded) == tuple(sums.values())
    assert (outcome.guard.sell_failed_amount, outcome.guard.sell_succeeded_amount) == tuple(sums.values())[:2]


GUARD, BREAKER = FailureStep.SELL_PHASE_GUARD, FailureStep.EQUITY_CIRCUIT_BREAKER


@pytest.mark.parametrize(
    ("reason", "captured", "waiting", "failed", "stop"),
    [
        ("Equity circuit breaker", GUARD, True, "501", GUARD),
        (None, BREAKER, True, "501", BREAKER),
        ("sells failed: the equity limit", None, True, "501", BREAKER),
        ("circuit breaker open", None, False, None, BREAKER),
        ("circuit-breaker open", None, False, None, BREAKER),
        ("over the Deployment Limit", None, False, None, BREAKER),
        ("stopped by the GUARD", None, False, None, GUARD),
        ("sells failed for 600", None, False, None, GUARD),
        ("sell amount over its threshold", None, False, None, GUARD),
        ("failed to sell", None, False, None, GUARD),
        ("broken", None, True, "500.01", GUARD),
        ("broken", None, True, "500", None),
        ("broken", None, True, None, None),
        ("broken", None, False, "500.01", None),
        ("", None, True, "500.01", GUARD),
        (None, None, False, None, None),
    ],
)
def test_which_rule_stopped_a_failed_run_is_told_by_its_event_then_its_words_then_its_items(
    reason: str | None, captured: FailureStep | None, failed: str | None, stop: FailureStep | None, *, waiting: bool
) -> None:
    amount = None if failed is None else Decimal(failed)
    for status in (*LegacyRunStatus, None):
        told = safety_stop(status, reason, captured, buys_waiting=waiting, sell_failed_amount=amount)
        assert told is (stop if status is LegacyRunStatus.FAILED else None)


@pytest.mark.parametrize("stop", [GUARD, BREAKER, None])
@pytest.mark.parametrize("status", [*LegacyRunStatus, None])
def test_a_run_ended_as_its_status_and_the_rule_that_stopped_it_say(
    status: LegacyRunStatus | None, stop: FailureStep | None
) -> None:
    failed = {
        GUARD: RunStatus.BLOCKED_BY_GUARD,
        BREAKER: RunStatus.BLOCKED_BY_EQUITY_LIMIT,
        None: RunStatus.FAILED,
    }
    ended = {LegacyRunStatus.COMPLETED: RunStatus.COMPLETED, LegacyRunStatus.FAILED: failed[stop]}
    expected = RunStatus.UNFINISHED if status is None else ended.get(status, RunStatus.UNFINISHED)
    assert run_status(RunFacts(status, stop, None, buys_were_sent=False)) is expected


@pytest.mark.parametrize("began", [True, False])
@pytest.mark.parametrize("phase", [*LegacyPhase, None])
@pytest.mark.parametrize("status", [*LegacyRunStatus, None])
def test_the_turn_of_the_buys_has_come_by_the_run_s_time_status_or_phase_and_never_behind_the_guard(
    status: LegacyRunStatus | None, phase: LegacyPhase | None, *, began: bool
) -> None:
    after = {LegacyRunStatus.BUY_PHASE, LegacyRunStatus.AGGREGATING, LegacyRunStatus.COMPLETED}
    sent = began or status in after or phase in {LegacyPhase.BUY, LegacyPhase.ALL}
    assert buys_were_sent(status, phase, None, began=began) is sent
    assert buys_were_sent(status, phase, BREAKER, began=began) is sent
    assert buys_were_sent(status, phase, GUARD, began=began) is False


def facts(status: LegacyRunStatus = LegacyRunStatus.FAILED, stop: FailureStep | None = None, *, sent: bool = False) -> RunFacts:
    return RunFacts(status, stop, "over the equity limit", buys_were_sent=sent)


@pytest.mark.parametrize(
    ("run", "expected"),
    [
        (facts(stop=GUARD), (TradeStatus.BLOCKED, Reason.SELL_GUARD)),
        (facts(stop=BREAKER), (TradeStatus.NOT_SENT, None)),
        (facts(), (TradeStatus.NOT_SENT, None)),
        (facts(LegacyRunStatus.BUY_PHASE, sent=True), (TradeStatus.NOT_SENT, None)),
        (facts(LegacyRunStatus.SELL_PHASE), (TradeStatus.UNFINISHED, None)),
        (facts(LegacyRunStatus.RUNNING), (TradeStatus.UNFINISHED, None)),
    ],
)
def test_a_trade_that_waits_was_blocked_or_never_sent_or_its_turn_has_not_come(
    run: RunFacts, expected: tuple[TradeStatus, Reason | None]
) -> None:
    waiting = trade_status(run, Side.BUY, LegacyTradeStatus.WAITING, None, has_order=False, has_fill=False)
    assert waiting == expected
    for status in (LegacyTradeStatus.PENDING, LegacyTradeStatus.RUNNING):
        told = trade_status(run, Side.BUY, status, "timed out", has_order=True, has_fill=True)
        assert told == (TradeStatus.UNFINISHED, None)


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (None, (TradeStatus.COMPLETED, None)),
        ("Market closed - order placement skipped", (TradeStatus.SKIPPED, Reason.MARKET_CLOSED)),
        ("Market closed", (TradeStatus.SKIPPED, Reason.MARKET_CLOSED)),
        ("The market closed later", (TradeStatus.COMPLETED, None)),
        ("order X was rejected", (TradeStatus.COMPLETED, None)),
    ],
)
def test_a_completed_trade_was_skipped_where_its_message_begins_with_the_closed_market(
    message: str | None, expected: tuple[TradeStatus, Reason | None]
) -> None:
    for has in (True, False):
        told = trade_status(facts(), Side.BUY, LegacyTradeStatus.COMPLETED, message, has_order=has, has_fill=has)
        assert told == expected


@pytest.mark.parametrize(
    ("message", "has_fill", "reason"),
    [
        ("order was not filled", False, Reason.NOT_FILLED),
        ("order was not filled", True, Reason.PARTIAL_FILL),
        ("only a partial fill", False, Reason.PARTIAL_FILL),
        *(
            (words, has_fill, reason)
            for has_fill in (True, False)
            for words, reason in (
                ("quantity rounds to zero", Reason.ROUNDS_TO_ZERO),
                ("QUANTITY ROUND TO ZERO", Reason.ROUNDS_TO_ZERO),
                ("no position in AAPL", Reason.NOTHING_HELD),
                ("nothing held", Reason.NOTHING_HELD),
                ("position does not exist", Reason.NOTHING_HELD),
                ("no quote for AAPL", Reason.NO_QUOTE),
                ("quote is missing", Reason.NO_QUOTE),
                ("the quote not available", Reason.NO_QUOTE),
                ("timeout", Reason.TIMED_OUT),
                ("time-out", Reason.TIMED_OUT),
                ("service unavailable", Reason.BROKER_UNAVAILABLE),
                ("throttled", Reason.BROKER_UNAVAILABLE),
                ("rate limit", Reason.BROKER_UNAVAILABLE),
                ("code 429", Reason.BROKER_UNAVAILABLE),
                ("connection lost", Reason.BROKER_UNAVAILABLE),
                ("the broker refused", Reason.BROKER_REJECTED),
                ("not tradable", Reason.BROKER_REJECTED),
                ("403 Forbidden", Reason.BROKER_REJECTED),
                ("order 4220 is odd", Reason.OTHER),
                ("", Reason.OTHER),
                (None, Reason.OTHER),
            )
        ),
    ],
)
def test_a_failed_trade_s_words_are_its_reason_and_what_was_not_filled_but_has_a_fill_was_filled_in_part(
    message: str | None, reason: Reason, *, has_fill: bool
) -> None:
    told = trade_status(facts(), Side.SELL, LegacyTradeStatus.FAILED, message, has_order=has_fill, has_fill=has_fill)
    assert told == (TradeStatus.FAILED, reason)


@pytest.mark.parametrize(
    ("side", "message", "stop", "has_order", "blocked"),
    [
        (Side.BUY, "over the equity limit", None, False, True),
        (Side.BUY, "over the equity limit", GUARD, False, True),
        (Side.BUY, None, BREAKER, False, True),
        (Side.BUY, "", BREAKER, False, True),
        (Side.BUY, None, None, False, False),
        (Side.BUY, None, GUARD, False, False),
        (Side.BUY, "rejected", BREAKER, False, False),
        (Side.BUY, "over the equity limit", None, True, False),
        (Side.SELL, "over the equity limit", None, False, False),
        (Side.SELL, None, BREAKER, False, False),
    ],
)
def test_a_failed_buy_without_an_order_was_blocked_where_its_own_or_else_its_run_s_words_are_the_breakers(
    side: Side, message: str | None, stop: FailureStep | None, *, has_order: bool, blocked: bool
) -> None:
    told = trade_status(facts(stop=stop), side, LegacyTradeStatus.FAILED, message, has_order=has_order, has_fill=False)
    failed = (TradeStatus.FAILED, Reason.BROKER_REJECTED if message == "rejected" else Reason.OTHER)
    assert told == ((TradeStatus.BLOCKED, Reason.EQUITY_LIMIT) if blocked else failed)


SECOND = timedelta(seconds=1)
STEP = {"order_id": "another", "filled_qty": "5"}


@pytest.mark.parametrize(
    ("at", "claimed"),
    [
        (BEGIN - 5 * SECOND, True),
        (BEGIN - 6 * SECOND, False),
        (BEGIN + 8 * SECOND, True),
        (BEGIN + 9 * SECOND, False),
    ],
)
def test_a_step_of_a_walk_came_between_its_trade_s_start_and_end_give_or_take_five_seconds(
    at: datetime, *, claimed: bool
) -> None:
    """The trade runs from the beginning for three seconds; its last order filled seven of the twelve."""
    last = ROW | {"filled_qty": "7"}
    outcome = with_effects(ControlRun(PLAN), [], [ROW | STEP | {"timestamp": at.isoformat()}, last])
    assert ("another" in rows_of(outcome)) is claimed


@pytest.mark.parametrize(
    ("at", "told"),
    [(BEGIN - 5 * SECOND, True), (BEGIN - 6 * SECOND, False), (ENDED + 5 * SECOND, True), (ENDED + 6 * SECOND, False)],
)
def test_a_row_that_is_no_trade_s_is_a_gap_where_it_came_while_the_run_worked(at: datetime, *, told: bool) -> None:
    outcome = with_effects(ControlRun(PLAN), [], [ROW, _OTHER | {"symbol": "KO", "timestamp": at.isoformat()}])
    assert [(gap.what, gap.reason) for gap in outcome.gaps] == (
        [
            (
                _UNCLAIMED,
                "a SELL of 12 KO under the run's correlation id, and no trade names its order: another run's, or one too many",
            )
        ]
        if told
        else []
    )


def test_a_row_without_a_time_symbol_or_side_is_claimed_as_far_as_it_tells() -> None:
    timeless = with_effects(ControlRun(PLAN), [], [ROW | STEP | {"timestamp": None}, ROW | {"filled_qty": "7"}])
    assert "another" in rows_of(timeless)
    for name in ("symbol", "direction"):
        nameless = with_effects(ControlRun(PLAN), [], [ROW | STEP | {name: None}, ROW])
        assert rows_of(nameless)["another"] is None
        assert [gap.what for gap in nameless.gaps] == []
    unnamed = with_effects(ControlRun(PLAN), [], [ROW | {"order_id": None}])
    assert rows_of(unnamed) == {None: None}


def test_a_step_of_a_walk_in_another_notation_of_the_symbol_is_the_trade_s() -> None:
    step = ROW | STEP | {"symbol": "EQUITIES::AAPL//USD"}
    outcome = with_effects(ControlRun(PLAN), [], [step, ROW | {"filled_qty": "7"}])
    assert rows_of(outcome) == {"order-AAPL": of(outcome, "AAPL").trade_id, "another": of(outcome, "AAPL").trade_id}
    turned = with_effects(ControlRun(PLAN), [], [step | {"direction": "BUY"}, ROW | {"filled_qty": "7"}])
    assert "another" not in rows_of(turned)


def test_the_steps_of_a_walk_are_the_trade_s_together_and_not_beyond_what_it_filled() -> None:
    steps = [ROW | {"order_id": f"step-{number}", "filled_qty": "4"} for number in range(3)]
    outcome = with_effects(ControlRun(PLAN), [], [*steps, ROW | {"filled_qty": "4"}])
    assert set(rows_of(outcome)) == {"order-AAPL", "step-0", "step-1"}
    assert [gap.what for gap in outcome.gaps] == ["legacy ledger row of order step-2"]


@pytest.mark.parametrize(("filled", "claimed"), [("3", True), ("3.000001", True), ("3.000002", False)])
def test_of_a_trade_that_failed_with_a_part_filled_the_rows_up_to_that_part_are_its_own(filled: str, *, claimed: bool) -> None:
    data = '{"shares": "3", "price": "50", "trade_amount": "150", "order_type": "limit", "filled_at": null}'
    items = changed(ControlRun(PLAN, {"AAPL": "FAILED"}), "AAPL", execution_data=data, order_id="order-AAPL")
    row = ROW | {"order_id": "another", "filled_qty": filled}
    named = ROW | {"filled_qty": "0"}
    outcome = read_control(RUN_ID, PLAN.plan_id, items, [], [named, row])
    assert outcome is not None
    assert ("another" in rows_of(outcome)) is claimed


@pytest.mark.parametrize(
    ("listed", "missing"),
    [(["x", "y", 7], ["x", "y"]), ((), []), ("x", []), (None, [])],
)
def test_each_trade_that_the_run_lists_and_has_no_item_is_a_gap_of_its_own(listed: object, missing: list[str]) -> None:
    gaps = read_items(changed(ControlRun(PLAN), trade_ids=listed)).gaps
    assert [gap.what for gap in gaps] == [f"legacy trade {name}" for name in missing]


@pytest.mark.parametrize("kind", [kind for kind in EffectKind if kind is not EffectKind.LEDGER_ENTRY])
def test_an_event_of_whatever_kind_is_no_row_of_the_ledger_though_it_names_an_order(kind: EffectKind) -> None:
    event = Effect(kind=kind, emitted=True, symbol="AAPL", action=Side.SELL, order_id="another", quantity=Decimal(12))
    for shared in (False, True):
        outcome = with_effects(ControlRun(PLAN), [event], [ROW], shared=shared)
        assert [effect for effect in outcome.effects or () if effect.kind is kind] == [event]
        assert rows_of(outcome) == {"order-AAPL": of(outcome, "AAPL").trade_id}
        assert outcome.gaps == ()


@pytest.mark.parametrize(("trade_id", "order_id"), [("-nobody", "another"), (None, "another"), ("AAPL", None), ("AAPL", "else")])
def test_an_event_makes_a_row_a_trade_s_only_where_it_names_both(trade_id: str | None, order_id: str | None) -> None:
    named = of(read(ControlRun(PLAN)), "AAPL").trade_id if trade_id == "AAPL" else trade_id
    event = Effect(kind=EffectKind.TRADE_EXECUTED, emitted=True, trade_id=named, order_id=order_id)
    outcome = with_effects(ControlRun(PLAN), [event], [_OTHER, ROW])
    assert rows_of(outcome) == {"order-AAPL": of(outcome, "AAPL").trade_id}
    assert [gap.what for gap in outcome.gaps] == [_UNCLAIMED]


def test_a_row_of_a_buy_that_the_breaker_refused_and_that_came_while_it_was_tried_is_the_trade_s() -> None:
    run = ControlRun(PLAN, {"TSLA": "BREAKER"}, LegacyRunStatus.FAILED, "Equity circuit breaker")
    outcome = with_effects(run, [], [_OTHER | {"symbol": "TSLA", "direction": "BUY"}])
    assert of(outcome, "TSLA").status is TradeStatus.BLOCKED
    assert rows_of(outcome) == {"another": of(outcome, "TSLA").trade_id}
