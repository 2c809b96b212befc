"""Business Unit: execution | Status: current.

The end of a run: sums, its outcome, its mails and its effects (C5, C9, C14).
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.contracts.errors import InvalidPayload
from shadow.contracts.events import FailureStep, TradeExecuted, WorkflowFailed
from shadow.contracts.vocabulary import EffectKind, ExecutionMode, Reason, Side, TradeStatus
from shadow.contracts.workflow import AggregateInput, CompletionNotice, FailureNotice, RunSummary, TradeRequest, TradeResult
from shadow.execution.effects import effects_of_run, effects_of_trade
from shadow.execution.mails import (
    SUBJECT_LENGTH,
    RunNames,
    _closing,
    completion_mail,
    effects_of_failure,
    failure_mail,
    mail_of_failure,
)
from shadow.execution.results import SHOWN_FAILURES, aggregate
from tests.fakes.candidate import NOON, RUN_ID, d, trade

NAMES = RunNames("run-1", "plan-1", "workflow-1", "prod", ExecutionMode.LIVE, "arn:execution")
IDS = {"runId": RUN_ID, "planId": "plan-1", "correlationId": "workflow-1"}


def result(
    status: TradeStatus, side: Side = Side.BUY, *, value: str | None = "0", reason: Reason | None = None, number: int = 0
) -> TradeResult:
    return TradeResult(
        run_id=RUN_ID,
        trade_id=f"trade-{number}",
        symbol=f"S{number}",
        action=side,
        status=status,
        quantity=d("2"),
        total_value=None if value is None else d(value),
        planned_amount=d("100") if side is Side.BUY else d("-100"),
        decision_price=d("10"),
        reason=reason,
        error_message=None if status is TradeStatus.COMPLETED else "why",
    )


def summed(*results: TradeResult, total: int | None = None) -> RunSummary:
    return aggregate(
        AggregateInput(
            sell_results=tuple(entry for entry in results if entry.action is Side.SELL),
            buy_results=tuple(entry for entry in results if entry.action is Side.BUY),
            run_id=RUN_ID,
            plan_id="plan-1",
            correlation_id="workflow-1",
            total_trades=len(results) if total is None else total,
        )
    )


def test_counts_and_values() -> None:
    summary = summed(
        result(TradeStatus.COMPLETED, Side.SELL, value="99"),
        result(TradeStatus.COMPLETED, value="50"),
        result(TradeStatus.FAILED, value="20"),
        result(TradeStatus.SKIPPED),
    )

    assert (summary.succeeded_trades, summary.failed_trades, summary.skipped_trades, summary.unknown_trades) == (2, 1, 1, 0)
    assert (summary.total_value, summary.total_buy_value, summary.total_sell_value) == (d("169"), d("70"), d("99"))
    assert (summary.outcome, summary.summary) == ("COMPLETED", "2 of 4 trades executed, 1 failed, 1 skipped")


def test_c7_null_results_are_no_results() -> None:
    request = AggregateInput.parse({**IDS, "sellResults": None, "buyResults": None, "totalTrades": 0})

    assert aggregate(request).outcome == "COMPLETED"


def test_c5_a_blocked_buy_is_within_the_failed_ones_and_decides_the_outcome() -> None:
    summary = summed(result(TradeStatus.COMPLETED), result(TradeStatus.BLOCKED, reason=Reason.EQUITY_LIMIT))

    assert (summary.failed_trades, summary.equity_blocked_trades) == (1, 1)
    assert summary.outcome == "BLOCKED_BY_EQUITY_LIMIT"


def test_unknown_trades_weigh_more_than_the_breaker() -> None:
    summary = summed(result(TradeStatus.UNKNOWN, value=None), result(TradeStatus.BLOCKED, reason=Reason.EQUITY_LIMIT))

    assert (summary.outcome, summary.unknown_trades) == ("FAILED", 1)


def test_a_trade_without_a_result_is_unknown() -> None:
    assert (summed(result(TradeStatus.COMPLETED), total=3).unknown_trades, summed(total=1).outcome) == (2, "FAILED")


def test_a_fill_without_a_price_counts_at_the_decision_quote() -> None:
    assert summed(result(TradeStatus.COMPLETED, value=None)).total_value == d("20")


@given(st.lists(st.sampled_from(list(TradeStatus)), max_size=60))
def test_every_trade_is_counted_exactly_once(statuses: list[TradeStatus]) -> None:
    summary = summed(*(result(status, number=number) for number, status in enumerate(statuses)))

    counted = summary.succeeded_trades + summary.failed_trades + summary.skipped_trades + summary.unknown_trades
    assert counted == summary.total_trades == len(statuses)
    assert len(summary.failures) <= SHOWN_FAILURES + 1


def test_a_completion_mail_names_what_did_not_execute_and_the_run() -> None:
    mail = completion_mail(summed(result(TradeStatus.COMPLETED), result(TradeStatus.FAILED, number=7)), NAMES)

    assert mail.subject == "[prod] live: run finished with open points: 1 of 2 trades executed, 1 failed"
    for expected in ("BUY S7 100.00 USD: FAILED, 2 shares filled (why)", "What to do", "Run: run-1", "(real orders)"):
        assert expected in mail.body


@given(st.text(max_size=200))
def test_a_subject_always_keeps_the_rules_of_sns(stage: str) -> None:
    mail = completion_mail(summed(), RunNames("r", "p", "c", stage, ExecutionMode.DRY_RUN))

    assert 0 < len(mail.subject) <= SUBJECT_LENGTH
    assert mail.subject.isascii()
    assert mail.subject.isprintable()


def test_c9_a_broken_run_is_mailed_however_little_is_known() -> None:
    notice = FailureNotice.parse(
        {
            "failureType": "WORKFLOW_FAILED",
            "state": {"Error": "x"},
            "executionId": "arn:execution",
            "executionName": f"execution-{RUN_ID}",
        }
    )

    mail = mail_of_failure(notice, RunNames.of(notice, "dev", ExecutionMode.DRY_RUN))

    assert mail.subject == "[dev] dry_run: run FAILED at an unknown step: unknown"
    assert f"Run: {RUN_ID}" in mail.body
    assert "Plan: unknown" in mail.body
    assert effects_of_failure(notice, NOON) == ()


def test_a_broken_preparation_says_that_no_order_was_sent() -> None:
    state = {**IDS, "prepareTradesError": {"Error": "InvalidPayload", "Cause": "runId: expected a value"}}
    notice = FailureNotice.parse({"failureType": "WORKFLOW_FAILED", "state": state})

    body = mail_of_failure(notice, RunNames.of(notice, "dev", ExecutionMode.LIVE)).body

    assert "No order was sent" in body
    assert "Cause: runId: expected a value" in body


def test_c14_a_run_that_no_rule_stopped_completes_all_trades() -> None:
    (effect,) = effects_of_run(summed(result(TradeStatus.COMPLETED), result(TradeStatus.FAILED)), NOON)

    assert (effect.kind, effect.trade_id) == (EffectKind.ALL_TRADES_COMPLETED, None)


@pytest.mark.parametrize(
    "summary",
    [summed(), summed(result(TradeStatus.BLOCKED, reason=Reason.EQUITY_LIMIT)), summed(result(TradeStatus.UNKNOWN))],
    ids=["no trades", "breaker", "unknown"],
)
def test_c14_a_stopped_or_empty_run_does_not(summary: RunSummary) -> None:
    assert effects_of_run(summary, NOON) == ()


def test_c14_a_safety_rule_fails_the_workflow_with_its_step() -> None:
    blocked = summed(result(TradeStatus.BLOCKED, reason=Reason.EQUITY_LIMIT))
    notice = FailureNotice.parse({"failureType": "EQUITY_LIMIT_REACHED", "state": blocked.to_wire()})

    (effect,) = effects_of_failure(notice, NOON)

    assert isinstance(effect.detail, WorkflowFailed)
    assert (effect.detail.failure_step, effect.detail.plan_id) == (FailureStep.EQUITY_CIRCUIT_BREAKER, "plan-1")


def test_a_safety_rules_notice_without_what_it_saw_is_refused() -> None:
    with pytest.raises(InvalidPayload):
        mail_of_failure(FailureNotice.parse({"failureType": "BUY_PHASE_BLOCKED", "state": {}}), NAMES)


def test_a_summary_out_of_a_notice() -> None:
    summary = summed(result(TradeStatus.COMPLETED))

    assert CompletionNotice.parse({"state": {**summary.to_wire(), "notification": None}}).summary == summary


def test_a_trade_request_is_the_item_itself_or_wraps_it() -> None:
    item = trade().to_wire()
    check = {"allowed": True, "cumulative": "1", "limit": "2", "headroom": "1", "reason": None}

    plain = TradeRequest.of({**item, "equityCheck": check})
    wrapped = TradeRequest.of({"trade": {**item, "equityCheck": check}, "reconcile": True, "error": "Sandbox.Timedout"})

    assert (plain.trade, plain.reconcile, plain.equity_check) == (trade(), False, wrapped.equity_check)
    assert (wrapped.trade, wrapped.reconcile, wrapped.error) == (trade(), True, "Sandbox.Timedout")
    with pytest.raises(InvalidPayload, match=r"trade\.tradeId: expected a value"):
        TradeRequest.of({**{name: value for name, value in item.items() if name != "tradeId"}})
    assert plain.equity_check is not None
    assert plain.equity_check.headroom == Decimal(1)


@pytest.mark.parametrize("status", list(TradeStatus))
def test_only_a_completed_trade_is_told_as_executed(status: TradeStatus) -> None:
    effects = effects_of_trade(trade(), result(status), NOON)
    told = [effect.detail for effect in effects if effect.kind is EffectKind.TRADE_EXECUTED]
    expected = [] if status is TradeStatus.UNKNOWN else [status is TradeStatus.COMPLETED]  # of unknown fate, nothing is told
    assert [detail.success for detail in told if isinstance(detail, TradeExecuted)] == expected


def test_of_a_long_cause_a_thousand_characters_are_mailed() -> None:
    error = {"Error": "E", "Cause": "x" * 5000}
    body = failure_mail({"prepareTradesError": error}, NAMES).body
    assert "x" * 1000 in body
    assert "x" * 1001 not in body
    assert "preparing the trades" in body
    assert "No order was sent" in body


@pytest.mark.parametrize(
    ("closing", "told", "untold"),
    [
        ({}, "", "order"),
        ({"closed": ["BUY AAPL"], "unknown": []}, "closed now:", "may have been accepted"),
        ({"closed": [], "unknown": ["BUY MSFT"]}, "may have been accepted", "closed now:"),
    ],
)
def test_a_failure_mail_says_what_became_of_open_orders(closing: dict[str, object], told: str, untold: str) -> None:
    lines = "\n".join(_closing({"closing": {"runId": RUN_ID, **closing}} if closing else {}, "run-1"))
    assert told in lines
    assert untold not in lines
    for order in (*closing.get("closed", ()), *closing.get("unknown", ())):  # type: ignore[misc] # lists of texts
        assert f"- {order}" in lines
    assert ("What to do" in lines) is bool(closing.get("unknown"))
