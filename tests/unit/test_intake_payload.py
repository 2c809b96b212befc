"""Business Unit: tests | Status: current.

The documents that the candidate and the ledger get: equal to what the contract's models say, canonical, deterministic, and
small enough for the state machine whatever the size of the plan.
"""

from __future__ import annotations

import json
from decimal import Decimal
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.contracts.identity import run_id_of
from shadow.contracts.plan import RebalancePlan, trade_messages
from shadow.contracts.vocabulary import Action
from shadow.contracts.workflow import MAX_INLINE_BYTES, MAX_INLINE_TRADES, WorkflowInput, WorkflowPlan, WorkflowTrade
from shadow.intake import payload
from tests.factories.plans import example_plan
from tests.fakes.plans import MemoryPlans

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
    sells = [item.symbol for item in plan.items if item.is_full_exit]
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
    store = MemoryPlans()
    built = payload.candidate_input(plan, run_id, held, store)
    assert store.objects == {}
    assert built == canonical(expected.to_wire())
    assert payload.candidate_input(RebalancePlan.read_json(payload.plan_document(plan)), run_id, held, store) == built


@settings(max_examples=30, deadline=None)
@given(plans())
def test_the_kept_plan_reads_back_as_the_plan(plan: RebalancePlan) -> None:
    document = payload.plan_document(plan)
    assert RebalancePlan.read_json(document) == plan
    assert document == canonical(json.loads(document))


@pytest.mark.parametrize("trades", [MAX_INLINE_TRADES, MAX_INLINE_TRADES + 1, 5_000])
def test_a_large_plan_travels_as_a_claim_check(trades: int) -> None:
    plan, store = example_plan(trades), MemoryPlans()
    run_id = run_id_of(plan.plan_id)
    document = payload.candidate_input(plan, run_id, {}, store)
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
    plan, store = RebalancePlan.read(wide), MemoryPlans()
    payload.candidate_input(plan, run_id_of(plan.plan_id), {}, store)
    assert len(store.objects) == 1


def test_what_a_stored_plan_is_called_depends_on_its_content() -> None:
    plan, store = example_plan(200), MemoryPlans()
    run_id = run_id_of(plan.plan_id)
    payload.candidate_input(plan, run_id, {}, store)
    payload.candidate_input(plan, run_id, {"S0000": Decimal("1.5")}, store)
    assert len(store.objects) == 2
    assert all(key.startswith(f"plans/{run_id}-trades-") for key in store.objects)


def test_positions_read_back_as_they_were_kept() -> None:
    held = {"S0000": Decimal("1.500000"), "S0004": Decimal("1E+2")}
    assert payload.read_held(payload.held_document(held)) == held
    assert payload.read_held(payload.held_document({})) == {}
