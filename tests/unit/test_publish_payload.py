"""Business Unit: tests | Status: current.

The documents that the candidate and the ledger get: equal to what the contract's models say, canonical, deterministic, and
small enough for the state machine whatever the size of the plan.
"""

from __future__ import annotations

import json
from collections import UserDict
from decimal import Decimal
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from local.pages.fault_cells import example_plan
from shadow.contracts.errors import InvalidPlan
from shadow.contracts.identity import run_id_of
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.trade_message import trade_messages
from shadow.contracts.vocabulary import Action
from shadow.contracts.workflow import MAX_INLINE_BYTES, MAX_INLINE_TRADES, WorkflowInput, WorkflowPlan, WorkflowTrade
from shadow.publish import payload
from shadow.publish.ports import StoredObject

amounts = st.decimals(min_value=Decimal("0.01"), max_value=Decimal(10) ** 9, places=2)
weights = st.decimals(min_value=0, max_value=1, places=27)
names = st.one_of(st.none(), st.text(max_size=12))


@st.composite
def plans(draw: st.DrawFn) -> RebalancePlan:
    items = []
    for number in range(draw(st.integers(1, 6))):
        action = draw(st.sampled_from(list(Action)))
        amount = draw(amounts)
        items.append(
            {
                "symbol": f"S{number}.A",
                "current_weight": draw(weights),
                "target_weight": draw(st.one_of(st.just(Decimal(0)), weights)),
                "weight_diff": "0",
                "target_value": draw(amounts),
                "current_value": draw(st.one_of(st.just(Decimal(0)), amounts)),
                "trade_amount": {Action.BUY: amount, Action.SELL: -amount, Action.HOLD: Decimal(0)}[action],
                "action": action,
                "priority": draw(st.integers(1, 5)),
                "strategy_id": draw(names),
            }
        )
    return RebalancePlan.read(
        {
            "correlation_id": draw(st.sampled_from(["workflow-1", 'odd"\\id'])),
            "causation_id": "cause-1",
            "plan_id": "plan-1",
            "timestamp": "2026-01-12T20:45:00+00:00",
            "strategy_id": draw(names),
            "items": items,
            "total_portfolio_value": draw(amounts),
            "total_trade_value": sum((abs(item["trade_amount"]) for item in items), Decimal(0)),
        }
    )


def canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


@settings(max_examples=60, deadline=None)
@given(plans(), st.data())
def test_the_input_is_what_the_contracts_models_say(plan: RebalancePlan, data: st.DataObject) -> None:
    run_id = run_id_of(plan.plan_id)
    sells = [item.symbol for item in plan.items if item.action is Action.SELL]
    held = {symbol: data.draw(amounts) for symbol in sells if data.draw(st.booleans())}
    expected = WorkflowInput(
        rebalance_plan=WorkflowPlan(
            trade_messages=tuple(WorkflowTrade.from_message(trade, held.get(trade.symbol)) for trade in trade_messages(plan)),
            total_portfolio_value=plan.total_portfolio_value,
        ),
        correlation_id=plan.correlation_id,
        run_id=run_id,
        plan_id=plan.plan_id,
    )
    built = payload.candidate_input(plan, run_id, held)
    assert built.workflow_plan is None
    assert built.inline == canonical(expected.to_wire())


@settings(max_examples=30, deadline=None)
@given(plans())
def test_the_kept_plan_reads_back_as_the_plan(plan: RebalancePlan) -> None:
    document = payload.plan_document(plan)
    assert RebalancePlan.read_json(document) == plan
    assert document == canonical(json.loads(document))


class Store:
    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    def put(self, key: str, body: bytes) -> StoredObject:
        self.objects[key] = body
        return StoredObject("bucket", key)


@pytest.mark.parametrize("trades", [MAX_INLINE_TRADES, MAX_INLINE_TRADES + 1, 5_000])
def test_a_large_plan_travels_as_a_claim_check(trades: int) -> None:
    plan, store = example_plan(trades), Store()
    run_id = run_id_of(plan.plan_id)
    document = payload.candidate_input(plan, run_id, {}).sendable(store)
    assert len(document.encode()) <= MAX_INLINE_BYTES
    sent = WorkflowInput.parse_json(document)
    if trades <= MAX_INLINE_TRADES:
        assert (sent.claim_check, len(sent.rebalance_plan.trade_messages)) == (None, trades)
        return
    assert sent.claim_check is not None
    assert sent.rebalance_plan.trade_messages == ()
    body = store.objects[sent.claim_check.key]
    assert (sent.claim_check.sha256, sent.claim_check.trade_count) == (sha256(body).hexdigest(), trades)
    whole = WorkflowPlan.parse_json(body)
    assert whole.trade_messages == tuple(WorkflowTrade.from_message(trade) for trade in trade_messages(plan))
    assert whole.total_portfolio_value == sent.rebalance_plan.total_portfolio_value


def test_few_trades_with_much_text_travel_as_a_claim_check_too() -> None:
    wide = example_plan(50).to_wire() | {"strategy_id": "§" * 5_000}
    plan = RebalancePlan.read(wide)
    built = payload.candidate_input(plan, run_id_of(plan.plan_id), {})
    assert built.workflow_plan is not None


def test_what_a_stored_plan_is_called_depends_on_its_content() -> None:
    plan = example_plan(200)
    run_id = run_id_of(plan.plan_id)
    one = payload.candidate_input(plan, run_id, {})
    other = payload.candidate_input(plan, run_id, {"S0000": Decimal("1.5")})
    assert one.key.startswith(f"plans/{run_id}-trades-")
    assert one.key != other.key


class Foreign(BaseModel):
    """A portfolio side's own model of a plan."""

    plan_id: str
    items: list[dict[str, object]]


def test_a_snapshot_does_not_change_with_its_plan() -> None:
    forms: list[object] = [
        Foreign(plan_id="p", items=[{"symbol": "A"}]),
        {"plan_id": "p", "items": [{"symbol": "A"}]},
        UserDict({"plan_id": "p", "items": ({"symbol": "A"},)}),
    ]
    for form in forms:
        copy = payload.snapshot(form)
        items = form.items if isinstance(form, Foreign) else form["items"]
        items[0]["symbol"] = "B"
        assert copy == {"plan_id": "p", "items": [{"symbol": "A"}]}


def test_a_plans_metadata_is_part_of_its_snapshot() -> None:
    plan = RebalancePlan.read(example_plan().to_wire() | {"metadata": {"note": ["as published"]}})
    copy = payload.snapshot(plan)
    assert plan.metadata is not None
    plan.metadata["note"] = "changed"
    assert isinstance(copy, RebalancePlan)
    assert copy.metadata == {"note": ["as published"]}


@pytest.mark.parametrize("form", [lambda plan: plan, RebalancePlan.to_wire, RebalancePlan.model_dump_json])
def test_every_form_of_a_plan_is_the_same_plan(form: object) -> None:
    assert callable(form)
    assert payload.read_plan(payload.snapshot(form(example_plan()))) == example_plan()


@pytest.mark.parametrize("form", [None, 7, object(), [], b"", "", "[]", "{}", "null", '{"items": NaN}', b"\xff\xfe{}"])
def test_what_is_no_plan_is_refused_by_name(form: object) -> None:
    with pytest.raises(InvalidPlan, match="expected"):
        payload.read_plan(payload.snapshot(form))


@pytest.mark.parametrize(
    ("answer", "error"),
    [(None, TypeError), ([("S0000", 1)], TypeError), ({"S0000": 1.5}, ValueError), ({"S0000": "NaN"}, ValueError)],
)
def test_positions_that_are_not_exact_are_refused(answer: object, error: type[Exception]) -> None:
    with pytest.raises(error, match="expected"):
        payload.checked_positions(example_plan(), answer)


def test_only_full_exits_need_positions() -> None:
    known = {"S0000": Decimal("1.5"), "S0001": Decimal(2), "S0002": Decimal(3), "ELSE": Decimal(4), "S0004": None}
    assert payload.checked_positions(example_plan(5), known) == {"S0000": Decimal("1.5")}


def test_positions_read_back_as_they_were_kept() -> None:
    held = {"S0000": Decimal("1.500000"), "S0004": Decimal("1E+2")}
    assert payload.read_held(payload.held_document(held)) == held
    assert payload.read_held(payload.held_document({})) == {}
