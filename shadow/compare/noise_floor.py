"""Business Unit: compare | Status: current.

The noise floor as it stands in a policy: how far two runs of the same lane, of the same plans, were apart under each rule. It
judges nothing. It is what a tolerance is looked at beside: one below the noise raises false alarms, one far above it is blind.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StrictInt, model_validator

from shadow.contracts.model import Frozen, NonNegative
from shadow.contracts.vocabulary import Role


class RuleNoise(Frozen):
    """How far apart one rule's two sides were, in the rule's own measure; quantiles by nearest rank, equal values included."""

    measure: Annotated[str, Field(min_length=1, description="what the figures are counted in")]
    observations: Annotated[StrictInt, Field(ge=1, description="how many trades (or runs) were looked at")]
    p50: NonNegative
    p95: NonNegative
    p99: NonNegative
    largest: NonNegative

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.p50 <= self.p95 <= self.p99 <= self.largest:
            raise ValueError("expected p50 <= p95 <= p99 <= largest")
        return self


class NoiseFloor(Frozen):
    """Measured noise, by rule."""

    role: Annotated[Role, Field(description="the lane that was run twice")]
    first_day: Annotated[date, Field(description="the first trading day that was measured")]
    last_day: Annotated[date, Field(description="… and the last")]
    pairs: Annotated[StrictInt, Field(ge=1, description="how many plans were run twice")]
    rules: Annotated[dict[str, RuleNoise], Field(description="what was measured, by rule")]


class Standing(StrEnum):
    """How a tolerance stands to the noise."""

    NOT_MEASURED = "not measured"
    BELOW_NOISE = "below the noise"
    CLOSE = "close to the noise"
    CLEAR = "clear of the noise"


CLOSE_RATIO = 2


def standing_of(tolerance: NonNegative | None, noise: RuleNoise | None) -> Standing:
    """Say how a tolerance stands to the noise: below its 99th percentile, less than twice the largest seen, or clear of it."""
    if noise is None or tolerance is None:
        return Standing.NOT_MEASURED
    if tolerance < noise.p99:
        return Standing.BELOW_NOISE
    return Standing.CLOSE if noise.largest and tolerance < CLOSE_RATIO * noise.largest else Standing.CLEAR
