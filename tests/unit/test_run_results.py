"""Business Unit: execution | Status: current.

The end of a run: sums, its outcome, its mails and its effects (C5, C9, C14).
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.contracts.control_records import FailureStep, TradeExecuted, WorkflowFailed
from shadow.contracts.errors import InvalidPayload
from shadow.contracts.vocabulary import EffectKind, ExecutionMode, Reason, Side, TradeStatus
from shadow.contracts.workflow import AggregateInput, CompletionNotice, FailureNotice, RunSummary, TradeRequest, TradeResult
from shadow.execution.mails import (
    SUBJECT_LENGTH,
    RunNames,
    _closing,
    completion_mail,
    effects_of_failure,
    effects_of_run,
    effects_of_trade,
    failure_mail,
    mail_of_failure,
)
from shadow.execution.phases import SHOWN_FAILURES, aggregate
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


def failed(count: int) -> RunSummary:
    return summed(*(result(TradeStatus.FAILED, number=number) for number in range(count)))


@pytest.mark.parametrize(("count", "lines", "last"), [(20, 20, "BUY S19"), (21, 21, "and 1 more"), (25, 21, "and 5 more")])
def test_twenty_failures_are_named_and_the_rest_counted(count: int, lines: int, last: str) -> None:
    assert len(failed(count).failures) == lines
    assert failed(count).failures[-1].startswith(last)


@pytest.mark.parametrize(
    "summary", [summed(result(TradeStatus.COMPLETED), total=0), summed(result(TradeStatus.SKIPPED), total=1)]
)
def test_more_results_than_trades_make_none_unknown(summary: RunSummary) -> None:
    assert summary.unknown_trades == 0


def test_a_fill_without_a_price_and_a_quote_is_worth_nothing_yet() -> None:
    bare = result(TradeStatus.UNKNOWN, value=None)
    for update in ({"decision_price": None}, {"quantity": None}):
        assert summed(bare.model_copy(update=update)).total_value == 0


_NAMES_TOLD = "Plan: plan-1\nRun: run-1\nCorrelation: workflow-1\nStage: prod, mode: live (real orders)\nExecution: arn:execution"


def blocked(count: int) -> RunSummary:
    return summed(
        result(TradeStatus.COMPLETED, value="1234.5"), *[result(TradeStatus.BLOCKED, reason=Reason.EQUITY_LIMIT)] * count
    )


@pytest.mark.parametrize(("count", "subject"), [(1, "1 BUY refused"), (2, "2 BUYs refused"), (10, "10 BUYs refused")])
def test_the_mail_of_the_equity_limit(count: int, subject: str) -> None:
    notice = FailureNotice.parse({"failureType": "EQUITY_LIMIT_REACHED", "state": blocked(count).to_wire()})
    mail = mail_of_failure(notice, NAMES)
    (effect,) = effects_of_failure(notice, NOON)

    assert mail.subject == f"[prod] live: equity limit reached: {subject}"
    assert f"refused {count} BUY trades; the others went on.\n\n1 of {count + 1} trades executed, {count} failed." in mail.body
    assert "Sold 0.00 USD in 0 trades.\nBought 1,234.50 USD in" in mail.body
    assert "- BUY S0 100.00 USD: BLOCKED, 2 shares filled (why)" in mail.body
    assert mail.body.endswith(f"\n\n{_NAMES_TOLD}")
    assert isinstance(effect.detail, WorkflowFailed)
    assert effect.detail.failure_reason == f"the equity deployment limit refused {count} BUY trades"


@pytest.mark.parametrize(("buys", "told"), [(3, 3), ("three", 0), (None, 0)])
@pytest.mark.parametrize(("reason", "expected"), [("too much", "too much"), (None, "the SELL guard blocked the BUY phase")])
def test_the_mail_of_the_sell_guard(buys: object, told: int, reason: str | None, expected: str) -> None:
    guard = {
        "buyPhaseAllowed": False,
        "sellFailedAmount": "600",
        "sellSucceededAmount": "400",
        "sellFailedCount": 2,
        "failureThresholdUsd": "500",
        "reason": reason,
        "failures": ["SELL A"],
    }
    notice = FailureNotice.parse({"failureType": "BUY_PHASE_BLOCKED", "state": {**IDS, "guard": guard, "buyCount": buys}})
    mail = mail_of_failure(notice, NAMES)
    (effect,) = effects_of_failure(notice, NOON)

    assert mail.subject == "[prod] live: BUYs blocked: sells of 600 USD failed"
    assert f"the threshold is 500 USD.\n2 sells failed; sells of 400 USD were executed.\n{told} BUY trades were" in mail.body
    assert "Failed sells:\n- SELL A\n" in mail.body
    assert isinstance(effect.detail, WorkflowFailed)
    assert (effect.detail.failure_step, effect.detail.failure_reason) == (FailureStep.SELL_PHASE_GUARD, expected)


@pytest.mark.parametrize(
    ("more", "subject"),
    [
        ({}, "[prod] live: ACTION NEEDED: 1 trades of unknown fate"),
        ({"buyPhaseError": {"Error": "E", "Cause": "C"}}, "[prod] live: run FAILED at the BUY phase: E"),
        ({"sellPhaseError": None}, "[prod] live: run FAILED at the SELL phase: unknown"),
        ({"buyPhaseError": {}}, "[prod] live: run FAILED at the BUY phase: unknown"),
    ],
)
def test_a_run_that_broke_is_told_as_broken_and_one_of_unknown_fate_as_that(more: dict[str, object], subject: str) -> None:
    state = {**summed(result(TradeStatus.UNKNOWN)).to_wire(), **more}
    mail = mail_of_failure(FailureNotice.parse({"failureType": "WORKFLOW_FAILED", "state": state}), NAMES)

    assert mail.subject == subject
    if more:
        assert "Orders may have been sent" in mail.body
        assert ("Cause: C" in mail.body, "Cause: none given" in mail.body) == (
            more.get("buyPhaseError") == {"Error": "E", "Cause": "C"},
            more.get("buyPhaseError") == {},
        )
    else:
        assert "their orders may be live" in mail.body
        assert "- BUY S0 100.00 USD: UNKNOWN" in mail.body


def test_a_closing_that_failed_says_by_what_and_what_to_do() -> None:
    lines = _closing({"closingError": {"Error": "OrderStillOpen", "Cause": "ABC"}}, "run-1")

    assert lines == [
        "",
        "Orders may still be working: closing the run failed (OrderStillOpen: ABC).",
        "What to do NOW: shadow orders run-1 --cancel",
    ]


@pytest.mark.parametrize(
    ("summary", "word", "has_failures", "has_advice"),
    [
        (summed(result(TradeStatus.COMPLETED)), "completed", False, False),
        (summed(), "completed", False, False),
        (summed(result(TradeStatus.COMPLETED), result(TradeStatus.SKIPPED)), "finished with open points", True, False),
        (summed(result(TradeStatus.COMPLETED), result(TradeStatus.FAILED)), "finished with open points", True, True),
    ],
    ids=["all", "none", "one skipped", "one failed"],
)
def test_a_completion_mail_says_what_is_open(summary: RunSummary, word: str, *, has_failures: bool, has_advice: bool) -> None:
    mail = completion_mail(summary, NAMES)

    assert f"live: run {word}: " in mail.subject
    assert ("Not executed in full:" in mail.body) is has_failures
    assert ("What to do" in mail.body) is has_advice


@pytest.mark.parametrize(
    ("stage", "subject"), [("p\u20acd", "[p?d] live: r"), ("~ p", "[~ p] live: r"), ("\x7f\x1f", "[??] live: r")]
)
def test_what_sns_does_not_print_is_a_question_mark(stage: str, subject: str) -> None:
    names = RunNames("run-1", "plan-1", "workflow-1", stage, ExecutionMode.LIVE)

    assert completion_mail(summed(), names).subject.startswith(subject)
    assert "Execution:" not in completion_mail(summed(), names).body


def test_a_long_subject_has_100_characters() -> None:
    mail = completion_mail(summed(), RunNames("r", "p", "c", "s" * 200, ExecutionMode.PAPER))

    assert mail.subject == f"[{'s' * 99}"
    assert "mode: paper (paper account)" in mail.body


def test_a_replay_is_named_as_dry_whatever_the_lane_is() -> None:
    for plan_id, mode in (("plan~replay-a", ExecutionMode.DRY_RUN), ("plan", ExecutionMode.LIVE)):
        notice = FailureNotice.parse({"failureType": "WORKFLOW_FAILED", "state": {**IDS, "planId": plan_id}})
        assert RunNames.of(notice, "prod", ExecutionMode.LIVE).mode is mode
