"""Whatever comes over a wire is read into a model, or refused by a typed error that names every faulty field."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.aws.pair_ledger import pair_from_item, pair_to_item
from shadow.aws.table import from_item, to_item
from shadow.contracts.errors import ContractViolation, InvalidPlan
from shadow.contracts.model import Frozen, decimal_text, parse_decimal
from shadow.contracts.pair import Pair
from shadow.contracts.plan import RebalancePlan, TradeMessage, trade_messages
from shadow.contracts.workflow import (
    AggregateInput,
    CompletionNotice,
    FailureNotice,
    GuardInput,
    PreparedRun,
    RunSummary,
    TradeRequest,
    TradeResult,
    WorkflowInput,
    WorkflowTrade,
)
from shadow.intake.payload import candidate_input
from tests.factories.histories import input_of, result_of
from tests.factories.pairs import pair_of
from tests.fakes.plans import MemoryPlans, plan_of
from tests.fuzz.mutations import damaged, ended, hostile, json_values, raw_texts

PLAN = plan_of(AAPL="-600", MSFT="1000")
PLAN_JSON = PLAN.to_wire()
TRADES = trade_messages(PLAN)
RESULTS = [result_of(message) for message in TRADES]
RUN = {"runId": "run", "planId": PLAN.plan_id, "correlationId": "workflow"}
WIRES: list[tuple[type[Frozen], dict[str, object]]] = [
    (TradeMessage, TRADES[0].to_wire()),
    (WorkflowTrade, WorkflowTrade.from_message(TRADES[0]).to_wire()),
    (WorkflowInput, input_of(PLAN)),
    (TradeResult, RESULTS[0]),
    (GuardInput, RUN | {"sellResults": RESULTS, "defaultFailureThresholdUsd": "500"}),
    (AggregateInput, RUN | {"sellResults": RESULTS[:1], "buyResults": RESULTS[1:], "totalTrades": 2}),
    (CompletionNotice, {"state": RUN, "executionId": "arn", "executionName": "execution-x"}),
    (FailureNotice, {"state": RUN, "failureType": "WORKFLOW_FAILED"}),
]


@settings(max_examples=100)
@given(damaged(PLAN_JSON) | json_values)
def test_a_plan_is_read_or_refused_and_what_is_read_can_be_published(value: object) -> None:
    read = ended(lambda: RebalancePlan.read(value))
    if read.error is not None:
        assert isinstance(read.error, InvalidPlan)
        return
    plan = read.answer
    assert RebalancePlan.read(plan.to_wire()) == plan
    assert RebalancePlan.read_json(json.dumps(plan.to_wire())) == plan
    messages = trade_messages(plan)
    assert sum((abs(message.trade_amount) for message in messages), Decimal(0)) >= 0
    if messages:
        built = candidate_input(plan, messages[0].run_id, {}, MemoryPlans())
        assert WorkflowInput.parse_json(built).plan_id == plan.plan_id


@settings(max_examples=60)
@given(raw_texts(PLAN_JSON))
def test_a_plan_file_is_read_or_refused(text: str) -> None:
    for form in (text, text.encode("utf-8", "surrogatepass")):
        read = ended(lambda form=form: RebalancePlan.read_json(form))  # type: ignore[misc] # bound at once
        assert read.error is None or isinstance(read.error, InvalidPlan)


@settings(max_examples=130)
@given(st.sampled_from(WIRES).flatmap(lambda wire: st.tuples(st.just(wire[0]), damaged(wire[1]) | json_values)))
def test_a_payload_is_read_or_refused_and_written_as_it_was_read(case: tuple[type[Frozen], object]) -> None:
    model, value = case
    read = ended(lambda: model.parse(value))
    if read.error is None:
        assert model.parse(json.loads(json.dumps(read.answer.to_wire()))) == read.answer


@settings(max_examples=60)
@given(st.sampled_from(WIRES).flatmap(lambda wire: st.tuples(st.just(wire[0]), raw_texts(wire[1]))))
def test_a_payload_text_is_read_or_refused(case: tuple[type[Frozen], str]) -> None:
    model, text = case
    read = ended(lambda: model.parse_json(text.encode("utf-8", "surrogatepass")))
    assert read.error is None or isinstance(read.error, ContractViolation)


@settings(max_examples=50)
@given(
    damaged(WorkflowTrade.from_message(TRADES[1]).to_wire()) | damaged({"trade": WIRES[1][1], "reconcile": True}) | json_values
)
def test_a_trade_request_is_read_or_refused(event: object) -> None:
    read = ended(lambda: TradeRequest.of(event))  # type: ignore[arg-type] # Lambda hands on any JSON
    assert read.error is None or isinstance(read.error, ContractViolation)


@settings(max_examples=50)
@given(damaged({name: value for name, value in RESULTS[0].items() if value is not None}) | json_values)
def test_a_summary_out_of_any_state_is_read_or_refused(state: object) -> None:
    for model in (RunSummary, PreparedRun):
        read = ended(lambda model=model: model.parse(state))  # type: ignore[misc] # bound at once
        assert read.error is None or isinstance(read.error, ContractViolation)


@settings(max_examples=100)
@given(hostile | st.decimals() | st.text(max_size=30) | st.integers())
def test_a_number_is_exact_and_can_be_reckoned_with_or_is_refused(value: object) -> None:
    number, refusal = None, ""
    try:
        number = parse_decimal(value)
    except ValueError as error:
        refusal = str(error)
    if number is None:
        assert refusal.startswith("expected ")
        return
    assert len(decimal_text(number)) < 100
    assert parse_decimal(decimal_text(number)) == number
    assert abs(number * 3 - number) >= 0
    assert number.quantize(Decimal("0.01")).is_finite()


@settings(max_examples=60)
@given(damaged({name: value for name, value in from_item(pair_to_item(pair_of(PLAN))).items() if value is not None}))
def test_a_pair_item_is_read_or_refused(values: object) -> None:
    if not isinstance(values, dict):
        return
    try:
        item = to_item({str(name): value for name, value in values.items()})
    except (TypeError, ArithmeticError):
        return  # cannot lie in a table
    read = ended(lambda: pair_from_item(item))
    assert read.error is not None or isinstance(read.answer, Pair)


@given(st.datetimes(timezones=st.sampled_from([UTC])))
def test_a_time_that_is_read_can_be_given_in_every_zone(moment: datetime) -> None:
    read = ended(lambda: RebalancePlan.read(PLAN_JSON | {"timestamp": moment.isoformat()}))
    if read.error is None:
        assert pair_to_item(pair_of(read.answer))
