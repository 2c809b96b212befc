"""Business Unit: execution | Status: current.

The sell guard (contract section 5 rule 4, C2 and C3).
"""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.contracts.vocabulary import Side, TradeStatus
from shadow.contracts.workflow import GuardInput, GuardResult, TradeResult
from shadow.execution.phases import evaluate_guard
from tests.fakes.candidate import RUN_ID, d

THRESHOLD = Decimal(500)


def sell(status: TradeStatus, amount: str, value: str = "0", number: int = 0) -> TradeResult:
    return TradeResult(
        run_id=RUN_ID,
        trade_id=f"trade-{number}",
        symbol="ABC",
        action=Side.SELL,
        status=status,
        quantity=d(0),
        total_value=d(value),
        planned_amount=-d(amount),
    )


def guard(*results: TradeResult, own: str | None = None) -> GuardResult:
    return evaluate_guard(
        GuardInput(
            sell_results=results,
            failure_threshold_usd=None if own is None else d(own),
            default_failure_threshold_usd=THRESHOLD,
            run_id=RUN_ID,
            plan_id="plan",
            correlation_id="correlation",
        )
    )


@pytest.mark.parametrize(("failed", "allowed"), [("499.99", True), ("500.00", True), ("500.01", False)])
def test_c3_blocks_above_the_threshold_and_not_at_it(failed: str, allowed: bool) -> None:  # noqa: FBT001
    assert guard(sell(TradeStatus.FAILED, failed)).buy_phase_allowed is allowed


def test_c2_sums_planned_amounts_because_a_failed_sell_has_executed_nothing() -> None:
    answer = guard(sell(TradeStatus.FAILED, "600", value="0"), sell(TradeStatus.COMPLETED, "400", value="399"))

    assert not answer.buy_phase_allowed
    assert (answer.sell_failed_amount, answer.sell_succeeded_amount, answer.sell_failed_count) == (d("600"), d("400"), 1)
    assert answer.reason


def test_an_unknown_sell_counts_as_failed_and_a_skipped_one_as_neither() -> None:
    answer = guard(sell(TradeStatus.UNKNOWN, "501"), sell(TradeStatus.SKIPPED, "10000"))

    assert not answer.buy_phase_allowed
    assert (answer.sell_failed_amount, answer.sell_succeeded_amount) == (d("501"), d(0))


def test_the_runs_own_threshold_goes_before_the_default() -> None:
    assert guard(sell(TradeStatus.FAILED, "600"), own="600").buy_phase_allowed
    assert not guard(sell(TradeStatus.FAILED, "0.01"), own="0").buy_phase_allowed


def test_no_sells_allow_buying() -> None:
    assert guard() == GuardResult(
        buy_phase_allowed=True,
        sell_failed_amount=d(0),
        sell_succeeded_amount=d(0),
        sell_failed_count=0,
        failure_threshold_usd=THRESHOLD,
    )


@given(
    st.lists(
        st.tuples(
            st.sampled_from([TradeStatus.COMPLETED, TradeStatus.FAILED, TradeStatus.UNKNOWN, TradeStatus.SKIPPED]),
            st.decimals("0.01", "1000", places=2),
        )
    ),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_results_does_not_matter(entries: list[tuple[TradeStatus, Decimal]], random: object) -> None:
    results = [sell(status, str(amount), number=index) for index, (status, amount) in enumerate(entries)]
    shuffled = list(results)
    random.shuffle(shuffled)  # type: ignore[attr-defined]

    first, second = guard(*results), guard(*shuffled)
    assert first.model_copy(update={"failures": ()}) == second.model_copy(update={"failures": ()})
    failed = sum((abs(r.planned_amount) for r in results if r.status in ("FAILED", "UNKNOWN")), d(0))
    assert guard(*results).buy_phase_allowed is (failed <= THRESHOLD)
