"""A short run of `make simulate`: the auditor agrees with the verdicts on lanes that misbehave."""

from __future__ import annotations

import pytest

from tests.simulation.draws import simulate


def test_the_auditor_agrees_with_the_verdicts_on_misbehaving_lanes() -> None:
    result = simulate(range(32))
    assert result.failures == {}
    assert result.verdicts["DIVERGED"] > 5


@pytest.mark.long
def test_what_the_simulation_found_stays_mended() -> None:
    """Whole shares sold alike that leave a part of one (624); a failed trade behind the other lane's false FAILED (663)."""
    assert simulate((624, 663)).failures == {}
