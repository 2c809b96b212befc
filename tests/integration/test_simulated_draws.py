"""A short run of `make simulate`: the auditor agrees with the verdicts on lanes that misbehave."""

from __future__ import annotations

from tests.simulation.draws import simulate


def test_the_auditor_agrees_with_the_verdicts_on_misbehaving_lanes() -> None:
    result = simulate(range(32))
    assert result.failures == {}
    assert result.verdicts["DIVERGED"] > 5
