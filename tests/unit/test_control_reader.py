"""The control's items, in its own words, are read into the glossary's."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.aws.table import plain_item
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.runs_table import LegacyRunStatus
from shadow.contracts.trade_message import trade_messages
from shadow.contracts.vocabulary import Reason, RunStatus, TradeStatus
from shadow.lanes.legacy.reader import read_control
from shadow.lanes.legacy.source import AwsControlSource
from tests.factories.control_items import GUARD_MESSAGE, ControlRun
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
