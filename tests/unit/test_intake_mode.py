"""Business Unit: tests | Status: current.

The switch and the ramp: what the parameter may say, and a sample that is sticky, monotone and even.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.contracts.errors import ConfigurationError
from shadow.intake.aws import PublishMode

plan_ids = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=200)
shares = st.decimals(min_value=0, max_value=100, places=2)


@pytest.mark.parametrize(
    ("text", "slots"),
    [
        ("off", 0),
        (" shadow\n", 10_000),
        ("shadow:25", 2_500),
        ("shadow:0", 0),
        ("shadow:100", 10_000),
        ("shadow:12.5", 1_250),
        ("shadow:0.01", 1),
    ],
)
def test_the_three_forms(text: str, slots: int) -> None:
    assert PublishMode.parse(text).slots == slots


@pytest.mark.parametrize(
    "text",
    [
        "",
        "on",
        "OFF",
        "off:1",
        "shadow:",
        "shadow:-1",
        "shadow:101",
        "shadow:NaN",
        "shadow:1e9",
        "shadow:ten",
        "live",
        None,
        25,
        b"off",
    ],
)
def test_anything_else_is_refused_and_shown(text: object) -> None:
    with pytest.raises(ConfigurationError, match="expected off, shadow or shadow:PERCENT"):
        PublishMode.parse(text)


@given(shares)
def test_a_mode_reads_back_what_it_writes(share: object) -> None:
    mode = PublishMode.parse(f"shadow:{share}")
    assert PublishMode.parse(str(mode)) == mode


@given(plan_ids, shares, shares)
def test_the_sample_is_sticky_and_a_larger_share_keeps_what_was_in(plan_id: str, one: object, other: object) -> None:
    small, large = sorted((PublishMode.parse(f"shadow:{share}") for share in (one, other)), key=lambda mode: mode.slots)
    assert small.covers(plan_id) == small.covers(plan_id)
    assert large.covers(plan_id) or not small.covers(plan_id)


@given(plan_ids)
def test_off_covers_no_plan_and_shadow_every_plan(plan_id: str) -> None:
    assert not PublishMode.parse("off").covers(plan_id)
    assert PublishMode.parse("shadow").covers(plan_id)


def test_a_quarter_is_a_quarter() -> None:
    quarter = PublishMode.parse("shadow:25")
    inside = sum(quarter.covers(f"portfolio_v2_workflow-{number}_1768250700") for number in range(10_000))
    assert 2_300 < inside < 2_700
