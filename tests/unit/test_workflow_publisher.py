"""After the cut-over: the workflow is published to as the lane in production, and nothing is swallowed."""

from __future__ import annotations

import json

import pytest

from local.pages.fault_cells import example_plan
from shadow.contracts.errors import InvalidPlan
from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.workflow import WorkflowInput
from shadow.publish.errors import StartRefused
from shadow.publish.ports import Started, StoredObject
from shadow.publish.production import WorkflowPublisher

PLAN = example_plan()


class Workflow:
    def __init__(self) -> None:
        self.inputs: dict[str, str] = {}
        self.refuse = False

    def start(self, name: str, document: str, accepted: frozenset[str]) -> Started:
        if self.refuse:
            raise StartRefused("AccessDeniedException")
        assert accepted
        self.inputs.setdefault(name, document)
        return Started(f"arn:{name}", next(iter(accepted)))

    def put(self, key: str, body: bytes) -> StoredObject:
        raise AssertionError(f"a small plan needs no store: {key}, {len(body)} bytes")


def test_a_plan_starts_its_own_run_once_however_often_it_is_published() -> None:
    workflow = Workflow()
    publish = WorkflowPublisher(workflow, workflow).publish
    assert publish(PLAN) == publish(PLAN.to_wire()) == f"arn:{execution_name_of(run_id_of(PLAN.plan_id))}"
    (document,) = workflow.inputs.values()
    started = WorkflowInput.parse(json.loads(document))
    assert (started.plan_id, started.origin) == (PLAN.plan_id, "live")
    assert len(started.rebalance_plan.trade_messages) == len(PLAN.tradable_items)


def test_what_goes_wrong_is_raised() -> None:
    workflow = Workflow()
    workflow.refuse = True
    with pytest.raises(StartRefused):
        WorkflowPublisher(workflow, workflow).publish(PLAN)


@pytest.mark.parametrize("change", [{"items": []}, {"total_trade_value": "NaN"}])
def test_a_faulty_plan_starts_nothing(change: dict[str, object]) -> None:
    workflow = Workflow()
    with pytest.raises(InvalidPlan, match=next(iter(change))):
        WorkflowPublisher(workflow, workflow).publish({**PLAN.to_wire(), **change})
    assert workflow.inputs == {}
