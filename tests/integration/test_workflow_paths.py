"""Business Unit: execution | Status: current.

Every way through the state machine, in moto's interpreter with the real handlers, and the state it ends in
(C2, C3, C5, C6, C7, C9, C12).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import boto3
import pytest

from shadow.aws.broker import fingerprint_of
from shadow.aws.candidate import ProductionEmitter
from shadow.contracts.candidate_state import REQUESTS_PK
from shadow.contracts.vocabulary import Lane
from shadow.contracts.workflow import RunSummary, WorkflowInput
from tests.fakes.candidate import REJECT, partly, trade, workflow_input
from tests.fakes.workflow_cloud import STATE_TABLE, Cloud, cloud

SELLS = (trade("AAA", "-300", held="100"), trade("BBB", "-200.01", held="100"))
BUYS = (trade("CCC", "1000"), trade("DDD", "500"))


@pytest.fixture
def world() -> Iterator[Cloud]:
    with cloud() as built:
        yield built


@pytest.fixture
def paper() -> Iterator[Cloud]:
    """A world in which orders reach a broker that can refuse them."""
    with cloud(EXECUTION_MODE="paper", CONTROL_ACCOUNT_FINGERPRINT="0" * 64) as built:
        built.broker.held = {"AAA": Decimal(100), "BBB": Decimal(100), "EEE": Decimal(100)}
        yield built


def test_sells_then_buys_then_a_mail(world: Cloud) -> None:
    run = world.run(workflow_input(*SELLS, *BUYS))

    summary = RunSummary.parse(run.output)
    assert (run.status, run.end, summary.outcome) == ("SUCCEEDED", "WorkflowCompleted", "COMPLETED")
    assert (summary.total_trades, summary.succeeded_trades, summary.sell_count, summary.buy_count) == (4, 4, 2, 2)
    assert run.output["notification"]["status"] == "SENT"
    assert [subject for subject, _ in world.mails()] == ["[dev] dry_run: run completed: 4 of 4 trades executed"]
    last_sell = max(index for index, state in enumerate(run.states) if state == "ExecuteSellTrade")
    assert last_sell < run.states.index("ExecuteBuyPhase")


@pytest.mark.parametrize(
    ("trades", "absent"), [(SELLS, "ExecuteBuyPhase"), (BUYS, "ExecuteSellPhase")], ids=["sells only", "buys only"]
)
def test_c7_a_plan_of_one_side_completes(world: Cloud, trades: tuple[object, ...], absent: str) -> None:
    run = world.run(workflow_input(*trades))  # type: ignore[arg-type]

    assert (run.status, run.end) == ("SUCCEEDED", "WorkflowCompleted")
    assert absent not in run.states
    assert run.output["succeededTrades"] == 2


def test_l2_the_first_step_asks_the_broker_within_the_accounts_budget(paper: Cloud) -> None:
    paper.run(workflow_input())

    items = boto3.client("dynamodb").scan(TableName=STATE_TABLE)["Items"]
    used = [int(item["used"]["N"]) for item in items if item["PK"]["S"] == REQUESTS_PK]
    assert sum(used) == 2, "whose account it is, and its equity"


def test_c7_a_plan_without_trades_completes(world: Cloud) -> None:
    run = world.run(workflow_input())

    assert (run.status, run.end, run.output["totalTrades"]) == ("SUCCEEDED", "WorkflowCompleted", 0)
    assert world.calls_of("execute_trade_sfn") == []


def test_c2_c3_c9_failed_sells_above_the_threshold_block_buying(paper: Cloud) -> None:
    paper.broker.by_symbol = {"AAA": [REJECT], "BBB": [REJECT]}

    run = paper.run(workflow_input(*SELLS, *BUYS))

    assert (run.status, run.end, run.error) == ("FAILED", "BuyPhaseBlocked", "BuyPhaseBlocked")
    assert run.result_of("EvaluateSellPhaseGuard")["guard"]["sellFailedAmount"] == "500.01"
    assert "ExecuteBuyPhase" not in run.states
    ((subject, body),) = paper.mails()
    assert subject == "[dev] paper: BUYs blocked: sells of 500.01 USD failed"
    assert "SELL AAA 300.00 USD: FAILED" in body
    assert "2 BUY trades were not started" in body
    (event,) = [item for item in paper.items() if item["SK"].startswith("EFFECT#WorkflowFailed")]
    assert '"failure_step":"SELL_PHASE_GUARD"' in event["detail"]


def test_the_runs_own_threshold_and_the_parameter(paper: Cloud) -> None:
    paper.broker.by_symbol = {"AAA": [REJECT]}

    assert paper.run(workflow_input(SELLS[0], threshold="299.99"), threshold="500").end == "BuyPhaseBlocked"
    other = trade("AAA", "-300", plan_id="other", held="100")
    assert paper.run(workflow_input(other), threshold="299.99").end == "BuyPhaseBlocked"


def test_c5_c9_the_breaker_refuses_one_buy_the_others_go_on_and_the_run_ends_failed(world: Cloud) -> None:
    run = world.run(workflow_input(*SELLS, *BUYS, value="1200"))

    assert (run.status, run.end, run.error) == ("FAILED", "EquityLimitReached", "EquityLimitReached")
    results = {result["symbol"]: result for result in run.result_of("ExecuteBuyPhase")["buyResults"]}
    assert sorted((result["status"], result["reason"]) for result in results.values()) == [
        ("BLOCKED", "EQUITY_LIMIT"),
        ("COMPLETED", None),
    ]
    ((subject, body),) = world.mails()
    assert subject == "[dev] dry_run: equity limit reached: 1 BUY refused"
    assert "BLOCKED (the equity deployment limit is reached)" in body
    summary = run.result_of("AggregateResults")
    assert (summary["failedTrades"], summary["equityBlockedTrades"], summary["succeededTrades"]) == (1, 1, 3)


def test_the_limit_is_the_share_of_the_equity_that_may_be_deployed() -> None:
    with cloud(EQUITY_DEPLOYMENT_PCT="0.8") as world:
        run = world.run(workflow_input(BUYS[0], value="1000"))

    assert (run.result_of("PrepareTrades")["equityLimit"], run.end) == ("800.0", "EquityLimitReached")


def test_c6_a_closed_market_skips_every_trade_and_completes(world: Cloud) -> None:
    world.broker.is_open = False

    run = world.run(workflow_input(*SELLS, *BUYS))

    assert (run.end, run.output["skippedTrades"], run.output["totalValue"]) == ("WorkflowCompleted", 4, "0")
    ((subject, body),) = world.mails()
    assert subject == "[dev] dry_run: run finished with open points: 0 of 4 trades executed, 4 skipped"
    assert "the market is closed" in body


def test_c12_a_partial_failure_is_told_with_its_fill(paper: Cloud) -> None:
    paper.broker.by_symbol = {"CCC": [partly("4"), REJECT]}

    run = paper.run(workflow_input(*BUYS))

    assert (run.end, run.output["failedTrades"], run.output["totalBuyValue"]) == ("WorkflowCompleted", 1, "900.000000")
    ((subject, body),) = paper.mails()
    assert subject == "[dev] paper: run finished with open points: 1 of 2 trades executed, 1 failed"
    assert "BUY CCC 1,000.00 USD: FAILED, 4 shares filled (filled 4 of 10.000000 shares" in body


@pytest.mark.parametrize(
    ("function", "step"),
    [("prepare_trades", "preparing the trades"), ("evaluate_sell_guard", "the SELL guard"), ("aggregate_results", "summing")],
)
def test_c9_a_step_that_fails_is_mailed_and_ends_in_workflow_failed(world: Cloud, function: str, step: str) -> None:
    world.faults[function] = lambda _: "KeyError"

    run = world.run(workflow_input(*SELLS, *BUYS))

    assert (run.status, run.end, run.error) == ("FAILED", "WorkflowFailed", "WorkflowFailed")
    ((subject, body),) = world.mails()
    assert subject.startswith(f"[dev] dry_run: run FAILED at {step}")
    assert "Error: KeyError" in body
    assert f"Run: {workflow_input(*SELLS).run_id}" in body


def test_c9_an_input_that_is_no_plan_fails_with_a_mail_and_no_order(world: Cloud) -> None:
    run = world.run({"rebalancePlan": {"tradeMessages": [{"symbol": "AAA"}]}})

    assert run.end == "WorkflowFailed"
    ((subject, body),) = world.mails()
    assert subject.endswith("InvalidPayload")
    assert "runId: expected a value, was nothing" in body
    assert world.items() == []


def test_a_completion_mail_that_cannot_be_sent_fails_the_run_with_another_mail(world: Cloud) -> None:
    world.faults["notify_completion"] = lambda _: "NotificationUnavailable"

    run = world.run(workflow_input(*BUYS))

    assert (run.status, run.end) == ("FAILED", "WorkflowFailed")
    assert len(world.calls_of("notify_completion")) == 4
    assert [subject for subject, _ in world.mails()] == [
        "[dev] dry_run: run FAILED at sending the completion mail: NotificationUnavailable"
    ]


@pytest.mark.parametrize("ends_in", ["BuyPhaseBlocked", "EquityLimitReached", "WorkflowFailed"])
def test_c9_a_stopped_run_reaches_its_own_end_even_when_no_mail_goes_out(paper: Cloud, ends_in: str) -> None:
    paper.faults["notify_failure"] = lambda _: "NotificationUnavailable"
    paper.broker.equity = Decimal(400)
    if ends_in == "BuyPhaseBlocked":
        paper.broker.by_symbol = {"AAA": [REJECT], "BBB": [REJECT]}
    if ends_in == "WorkflowFailed":
        paper.faults["aggregate_results"] = lambda _: "KeyError"

    run = paper.run(workflow_input(*SELLS, *BUYS))

    assert (run.status, run.end, run.error) == ("FAILED", ends_in, ends_in)


def test_publishing_a_run_twice_trades_once_and_keeps_the_first_limit(paper: Cloud) -> None:
    request = workflow_input(*SELLS, *BUYS)
    first = paper.run(request)
    paper.broker.equity = Decimal(1)

    second = paper.run(request)

    assert second.end == "WorkflowCompleted"
    assert len(paper.broker.submitted) == 4
    assert {**second.output, "notification": None} == {**first.output, "notification": None}


def replayed(request: WorkflowInput) -> WorkflowInput:
    """The same plan as another version shadows it: a run of its own, with the name of a replay."""
    plan_id = f"{request.plan_id}~replay-version-2"
    trades = tuple(item.model_copy(update={"plan_id": plan_id}) for item in request.rebalance_plan.trade_messages)
    plan = request.rebalance_plan.model_copy(update={"trade_messages": trades})
    return request.model_copy(update={"plan_id": plan_id, "origin": "replay", "rebalance_plan": plan})


def test_in_live_functions_a_replay_sends_no_order_and_emits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The version that shadows has the very functions that would trade: what keeps it dry is the run, not its environment."""
    emitted: list[str] = []
    monkeypatch.setattr(ProductionEmitter, "emit", lambda _, effect: emitted.append(effect.run_id))
    live = {"EXECUTION_MODE": "live", "PRODUCTION_LANE": "workflow"}
    with cloud(**live, CONTROL_ACCOUNT_FINGERPRINT=fingerprint_of("candidate-account")) as world:
        world.broker.held = {"AAA": Decimal(100), "BBB": Decimal(100)}
        shadow = world.run(replayed(workflow_input(*SELLS, *BUYS)))

        assert (shadow.status, shadow.output["succeededTrades"]) == ("SUCCEEDED", 4)
        assert (world.broker.submitted, world.broker.cancelled, emitted) == ([], [], [])
        assert [subject.split(":")[0] for subject, _ in world.mails()] == ["[dev] dry_run"]

    with cloud(**live, CONTROL_ACCOUNT_FINGERPRINT=fingerprint_of("candidate-account")) as world:
        world.broker.held = {"AAA": Decimal(100), "BBB": Decimal(100)}
        production = world.run(workflow_input(*SELLS, *BUYS).model_copy(update={"production_lane": Lane.WORKFLOW}))

        assert (production.status, len(world.broker.submitted)) == ("SUCCEEDED", 4)
        assert len(emitted) > 4


def test_in_live_functions_a_blocked_replay_emits_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    emitted: list[str] = []
    monkeypatch.setattr(ProductionEmitter, "emit", lambda _, effect: emitted.append(effect.run_id))
    live = {"EXECUTION_MODE": "live", "PRODUCTION_LANE": "workflow", "EQUITY_DEPLOYMENT_PCT": "0.001"}
    with cloud(**live, CONTROL_ACCOUNT_FINGERPRINT=fingerprint_of("candidate-account")) as world:
        world.broker.no_quote = 1_000
        blocked = world.run(replayed(workflow_input(*SELLS, *BUYS)))

    assert (blocked.status, blocked.end) == ("FAILED", "BuyPhaseBlocked")
    assert (world.broker.submitted, emitted) == ([], [])
