"""Business Unit: tests | Status: current.

What the harness does with a plan when nothing fails, with a plan that it is not to publish, with one published before, and
with a control that raises.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import NoReturn

import pytest

from local.pages.fault_cells import PATIENCE_SECONDS, Cloud, ControlDown, Fault, Planted, example_plan
from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.metrics import Metric
from shadow.contracts.pair import Pair, PairState, StartState, trading_day_of
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.workflow import WorkflowInput
from shadow.publish import DualPublisher, payload
from shadow.publish.completion import StartCompleter
from shadow.publish.mode import PublishMode
from shadow.publish.ports import StoredObject
from shadow.publish.report import Operation
from shadow.publish.work import Ports, ShadowHarness

PLAN = example_plan()
RUN_ID = run_id_of(PLAN.plan_id)


def returns(plan: object) -> object:
    return plan


def raises(plan: object) -> NoReturn:
    del plan
    raise ControlDown


def publish(cloud: Cloud, plan: object = PLAN) -> Pair | None:
    publisher = DualPublisher(returns, harness=cloud.harness(), bound_seconds=5)
    assert publisher.publish(plan) is plan
    assert publisher.settle(PATIENCE_SECONDS)
    assert publisher.lost == 0
    return next(iter(cloud.pairs.values()), None)


def publish_with_failing_control(cloud: Cloud) -> Pair:
    publisher = DualPublisher(raises, harness=cloud.harness(), bound_seconds=5)
    with pytest.raises(ControlDown):
        publisher.publish(PLAN)
    assert publisher.settle(PATIENCE_SECONDS)
    return cloud.pairs[PLAN.plan_id]


def test_a_plan_gets_a_pair_and_a_candidate() -> None:
    cloud = Cloud()
    before = datetime.now(UTC)
    pair = publish(cloud)
    assert pair is not None
    assert before <= pair.published_at <= datetime.now(UTC)
    document = cloud.executions[execution_name_of(RUN_ID)]
    assert pair == Pair(
        plan_id=PLAN.plan_id,
        run_id=RUN_ID,
        correlation_id=PLAN.correlation_id,
        trading_day=date(2026, 1, 12),
        published_at=pair.published_at,
        state=PairState.PENDING,
        start_state=StartState.STARTED,
        execution_arn=f"arn:{execution_name_of(RUN_ID)}",
        input_sha256=payload.digest(document.encode()),
        plan_json=payload.plan_document(PLAN),
        trade_count=15,
        version=1,
    )
    assert cloud.metrics.keys() == {Metric.PLANS_PUBLISHED, Metric.PUBLISH_ADDED_MS}
    assert cloud.lines[0]["plan_id"] == PLAN.plan_id


def test_the_trading_day_is_new_yorks() -> None:
    assert trading_day_of(datetime(2026, 1, 13, 4, 59, tzinfo=UTC)) == date(2026, 1, 12)
    assert trading_day_of(datetime(2026, 7, 13, 4, 1, tzinfo=UTC)) == date(2026, 7, 13)


def test_publishing_twice_creates_nothing_new() -> None:
    cloud = Cloud()
    first = publish(cloud)
    executions = dict(cloud.executions)
    assert publish(cloud) == first
    assert cloud.executions == executions
    assert cloud.metrics[Metric.PLANS_PUBLISHED] == 1
    assert cloud.lines[1]["published_before"] == "STARTED"


def test_publishing_again_after_the_positions_changed_keeps_what_runs() -> None:
    cloud = Cloud(held={"S0000": Decimal("1.5")})
    first = publish(cloud)
    assert first is not None
    cloud.pairs[PLAN.plan_id] = first.model_copy(update={"start_state": StartState.INTENDED})
    cloud.held = {"S0000": Decimal("0.5")}
    again = publish(cloud)
    assert again is not None
    assert (again.start_state, again.input_sha256) == (StartState.STARTED, first.input_sha256)
    assert Metric.PUBLISH_FAILURES not in cloud.metrics


def test_an_execution_of_that_name_with_another_input_is_a_refusal() -> None:
    cloud = Cloud(executions={execution_name_of(RUN_ID): "{}"})
    pair = publish(cloud)
    assert pair is not None
    assert (pair.start_state, pair.start_reason) == (StartState.REFUSED, "ExecutionAlreadyExists")
    assert cloud.metrics[Metric.PUBLISH_FAILURES] == 1


def test_held_quantities_reach_the_candidate_and_the_ledger() -> None:
    cloud = Cloud(held={"S0000": Decimal("12.345678")})
    pair = publish(cloud)
    assert pair is not None
    sent = WorkflowInput.parse_json(cloud.executions[execution_name_of(RUN_ID)])
    positions = {trade.symbol: trade.current_position for trade in sent.rebalance_plan.trade_messages}
    assert positions == {item.symbol: Decimal("12.345678") if item.symbol == "S0000" else None for item in PLAN.items}
    assert pair.held_json == '{"S0000":"12.345678"}'


def test_a_large_plan_is_kept_in_the_store() -> None:
    cloud = Cloud()
    plan = example_plan(5_000)
    pair = publish(cloud, plan)
    assert pair is not None
    assert (pair.plan_json, pair.start_state) == (None, StartState.STARTED)
    assert pair.plan_key is not None
    assert RebalancePlan.read_json(cloud.objects[pair.plan_key]) == plan


@pytest.mark.parametrize("text", ["off", "shadow:0"])
def test_switched_off_nothing_is_published(text: str) -> None:
    cloud = Cloud(publish_mode=PublishMode.parse(text))
    assert publish(cloud) is None
    assert (cloud.executions, cloud.metrics[Metric.PLANS_NOT_SAMPLED]) == ({}, 1)


def test_outside_the_sample_nothing_is_published() -> None:
    mode = PublishMode.parse("shadow:50")
    cloud = Cloud(publish_mode=mode)
    ids = [f"plan-{number}" for number in range(40)]
    for plan_id in ids:
        publish(cloud, example_plan(2, plan_id))
    inside = {plan_id for plan_id in ids if mode.covers(plan_id)}
    assert cloud.pairs.keys() == inside
    assert (cloud.metrics[Metric.PLANS_PUBLISHED], cloud.metrics[Metric.PLANS_NOT_SAMPLED]) == (len(inside), 40 - len(inside))


def holds_only() -> dict[str, object]:
    item = PLAN.items[0].to_wire() | {"action": "HOLD", "trade_amount": "0.00"}
    return PLAN.to_wire() | {"items": [item], "total_trade_value": "0"}


def test_a_plan_of_holds_only_makes_no_pair() -> None:
    cloud = Cloud()
    assert publish(cloud, holds_only()) is None
    assert cloud.executions == {}
    assert cloud.metrics.keys() == {Metric.PLANS_WITHOUT_TRADES, Metric.PUBLISH_ADDED_MS}


FIRST = PLAN.items[0].to_wire()
MALFORMED = {
    "empty": "",
    "not a plan": {"hello": "world"},
    "duplicate symbol": PLAN.to_wire() | {"items": [FIRST, FIRST], "total_trade_value": "2000"},
    "NaN": PLAN.to_wire() | {"total_portfolio_value": float("nan")},
    "NaN in JSON": '{"total_portfolio_value": NaN}',
    "29 digits": PLAN.to_wire() | {"items": [FIRST | {"target_weight": "0." + "1" * 29}], "total_trade_value": "1000"},
    "unknown action": PLAN.to_wire() | {"items": [FIRST | {"action": "SHORT"}]},
    "unserialisable": PLAN.to_wire() | {"metadata": {"thing": object()}},
    "1 MB of nothing": "[" * 1_000_000,
}


@pytest.mark.parametrize("plan", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_malformed_plan_reaches_the_control_and_nothing_else(plan: object) -> None:
    cloud = Cloud()
    assert publish(cloud, plan) is None
    assert (cloud.executions, cloud.objects) == ({}, {})
    assert cloud.metrics[Metric.PUBLISH_FAILURES] == 1
    assert "InvalidPlan" in cloud.lines[0]["faults"]


def test_a_plan_of_one_megabyte_is_published_whole() -> None:
    cloud = Cloud()
    plan = PLAN.to_wire() | {"metadata": {"note": "x" * 1_000_000}}
    pair = publish(cloud, plan)
    assert pair is not None
    assert pair.plan_key is not None
    assert json.loads(cloud.objects[pair.plan_key])["metadata"] == plan["metadata"]


def test_to_plan_maps_the_portfolio_sides_own_object() -> None:
    class Own:
        text = PLAN.model_dump_json()

    cloud = Cloud()
    ports = Ports(
        mode=cloud, ledger=cloud, starter=cloud, store=cloud, recorder=cloud, to_plan=lambda own: getattr(own, "text", None)
    )
    publisher = DualPublisher(returns, harness=ShadowHarness(ports), bound_seconds=5)
    publisher.publish(Own())
    assert publisher.settle(PATIENCE_SECONDS)
    assert cloud.pairs.keys() == {PLAN.plan_id}


def test_the_candidate_runs_although_the_control_raised_and_the_pair_says_why() -> None:
    cloud = Cloud()
    pair = publish_with_failing_control(cloud)
    assert (pair.control_error, pair.start_state) == ("ControlDown", StartState.STARTED)
    assert cloud.metrics[Metric.CONTROL_PUBLISH_ERRORS] == 1


def test_a_later_attempt_of_the_control_that_goes_well_takes_its_error_back() -> None:
    cloud = Cloud()
    publish_with_failing_control(cloud)
    pair = publish(cloud)
    assert pair is not None
    assert pair.control_error is None


class Archive:
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud

    def put(self, key: str, body: bytes) -> StoredObject:
        return self._cloud.put(key, body)

    def get(self, key: str) -> bytes:
        return self._cloud.objects[key]


@pytest.mark.parametrize("trades", [3, 5_000])
@pytest.mark.parametrize("had_started", [False, True])
def test_a_start_of_unknown_fate_is_completed_to_the_byte(trades: int, had_started: bool) -> None:  # noqa: FBT001 - a parameter of the test
    cloud = Cloud(held={"S0000": Decimal("1.5")})
    published = publish(cloud, example_plan(trades))
    assert published is not None
    executions = dict(cloud.executions)
    cloud.pairs[published.plan_id] = published.model_copy(update={"start_state": StartState.INTENDED, "execution_arn": None})
    if not had_started:
        cloud.executions.clear()
    completer = StartCompleter(ledger=cloud, starter=cloud, store=Archive(cloud))
    assert completer.complete(cloud.pairs[published.plan_id]) is StartState.STARTED
    assert cloud.executions == executions
    assert cloud.pairs[published.plan_id].input_sha256 == published.input_sha256
    assert completer.complete(cloud.pairs[published.plan_id]) is StartState.STARTED


def test_a_pair_that_keeps_no_plan_cannot_be_completed() -> None:
    cloud = Cloud()
    published = publish(cloud)
    assert published is not None
    bare = published.model_copy(update={"start_state": StartState.INTENDED, "plan_json": None})
    cloud.pairs[bare.plan_id] = bare
    assert StartCompleter(ledger=cloud, starter=cloud, store=Archive(cloud)).complete(bare) is StartState.REFUSED
    assert "plan_json" in (cloud.pairs[bare.plan_id].start_reason or "")


def test_a_fault_is_logged_with_its_fields_and_its_code_but_without_values() -> None:
    cloud = Cloud()
    publish(cloud, PLAN.to_wire() | {"total_portfolio_value": "-7777"})
    assert cloud.lines[0]["faults"] == "validation: InvalidPlan (total_portfolio_value)"
    throttled = Cloud(Planted(Operation.START, Fault.THROTTLE))
    publish(throttled)
    assert throttled.lines[0]["faults"] == "candidate start: ClientError (ThrottlingException)"
    assert "7777" not in json.dumps(cloud.lines)


def test_the_log_carries_no_payload() -> None:
    cloud = Cloud(held={"S0000": Decimal("12.345678")})
    publish(cloud)
    assert "12.345678" not in json.dumps(cloud.lines)
    assert "6123.45" not in json.dumps(cloud.lines)
