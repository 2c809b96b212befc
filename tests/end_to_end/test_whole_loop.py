"""A plan goes in, both lanes run it, a verdict comes out: the deployed template, the deployed artefacts, on this machine.

The one file of this folder that `make test` runs; `make test-deployed` runs the others.
"""

from __future__ import annotations

from typing import Any

import pytest

from local.operator import FunctionFailed, Operator
from shadow.contracts.comparison import Attribution, Comparison, Verdict
from shadow.contracts.pair import PairState, StartState
from shadow.contracts.vocabulary import Role, RunStatus
from shadow.settlement.conservation import conservation


def judged(operator: Operator, plan_id: str) -> Comparison:
    pair = operator.await_verdict(plan_id)
    assert pair.state is PairState.JUDGED
    return Comparison.parse_json(operator.comparison_of(pair))


def test_alike_lanes_match_on_every_day(operator: Operator, market: Any) -> None:
    verdicts, told = [], []
    for _ in range(4):
        day, plan = market.next_plan()
        operator.publish(plan)
        comparison = judged(operator, plan.plan_id)
        verdicts.append(comparison.verdict)
        told += [difference.kind for difference in comparison.differences]
        sums = conservation(day.day, operator.ledger.pairs_of(day.day))
        assert (sums.published, sums.matched, sums.error) == (1, 1, 0)
        assert comparison.control is not None
        assert comparison.candidate is not None
        assert comparison.control.status is comparison.candidate.status is RunStatus.COMPLETED
        assert len(comparison.control.trades) == len(comparison.candidate.trades) == len(plan.tradable_items)
    assert verdicts == [Verdict.MATCHED] * 4
    assert told == []


def test_the_candidate_orders_nothing_while_it_is_a_candidate(operator: Operator, market: Any) -> None:
    _, plan = market.next_plan()
    operator.publish(plan)
    judged(operator, plan.plan_id)
    broker = operator.stack.broker
    assert broker.orders(Role.CANDIDATE) == ()
    assert not [request for request in broker.requests() if request.account is Role.CANDIDATE and request.method != "GET"]
    assert len(broker.orders(Role.CONTROL)) >= len(plan.tradable_items)


def test_a_plan_published_twice_runs_twice_in_the_control_alone_and_is_told(operator: Operator, market: Any) -> None:
    """The control mints a run with each publication, as production does; the candidate runs a plan once."""
    _, plan = market.next_plan()
    runs = [operator.publish(plan)["runId"]]
    first = operator.await_verdict(plan.plan_id)
    execution = operator.execution_arn(plan.plan_id)
    runs.append(operator.publish(plan)["runId"])
    operator.await_quiet()
    operator.sweep()

    again = operator.await_verdict(plan.plan_id)
    comparison = judged(operator, plan.plan_id)
    assert len(set(runs)) == 2
    assert (again.control_run_id, again.execution_arn, again.start_state) == (runs[0], execution, StartState.STARTED)
    assert (again.published_at, first.verdict) == (first.published_at, Verdict.MATCHED)
    assert comparison.control is not None
    assert (comparison.control.run_id, list(comparison.control.other_runs)) == (runs[0], runs[1:])
    told = {
        (difference.kind, difference.attribution) for difference in comparison.differences if difference.kind == "DUPLICATE_RUN"
    }
    assert told == {("DUPLICATE_RUN", Attribution.CONTROL)}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"items": []}, "items"),
        ({"total_portfolio_value": "NaN"}, "total_portfolio_value"),
        ({"total_portfolio_value": "1" * 29}, "total_portfolio_value"),
        ({"timestamp": "2022-12-28T15:45:00"}, "timestamp"),
        ({"surprise": 1}, "surprise"),
    ],
)
def test_a_faulty_plan_is_refused_and_nothing_is_published(
    operator: Operator, market: Any, change: dict[str, object], field: str
) -> None:
    _, sound = market.last()
    plan = {**sound.to_wire(), "plan_id": f"refused-{field}", **change}
    with pytest.raises(FunctionFailed, match=field) as refused:
        operator.call("PublishPlanFunctionName", plan)
    assert refused.value.kind == "InvalidPlan"
    assert operator.ledger.get(str(plan["plan_id"])) is None
    assert operator.candidate_status(str(plan["plan_id"])) is None
