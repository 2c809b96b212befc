"""Business Unit: tests | Status: current.

Naming many trades at once gives the names that naming them one by one gives.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shadow.contracts.identity import run_id_of, trade_id_of, trade_namer
from shadow.contracts.vocabulary import Side


@given(st.text(min_size=1, max_size=30), st.text("ABCXYZ.:/-019", min_size=1, max_size=50), st.sampled_from(list(Side)))
def test_both_ways_of_naming_agree(plan_id: str, symbol: str, side: Side) -> None:
    run_id = run_id_of(plan_id)
    assert trade_namer(run_id)(symbol, side) == trade_id_of(run_id, symbol, side)
