"""A short chaos run: workers die, events are lost and doubled, the broker breaks; and nothing is lost, doubled or hurt."""

from __future__ import annotations

from pathlib import Path

import pytest

from local.chaos.run import run_chaos

pytestmark = [pytest.mark.local_cloud, pytest.mark.long]


def test_nothing_is_lost_doubled_or_hurt(tmp_path: Path) -> None:
    result = run_chaos(seed=3, minutes=1.0, folder=tmp_path)

    assert [check for check in result.checks if not check.holds] == []
    assert len(result.faults) >= 10
    assert result.plans >= 1
    assert all(fault.outcome for fault in result.faults)
