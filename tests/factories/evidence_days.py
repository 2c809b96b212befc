"""Days of evidence made by hand: an honest migration, and any fault on any day of it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from reports.data.columns import Path
from reports.data.trading_calendar import trading_days
from reports.readiness.day_evidence import DayEvidence, Feature, Stratum, Tally
from reports.readiness.readiness import Acceptance

START = date(2025, 9, 2)
SPREAD = (-0.06, 0.02, 0.05, -0.01, 0.03)
DRILLED = frozenset(
    {
        Feature.SELLS_ONLY,
        Feature.BUYS_ONLY,
        Feature.GUARD_BLOCKED,
        Feature.EQUITY_BLOCKED,
        Feature.MARKET_CLOSED,
        Feature.PARTIAL_FILL,
    }
)


ACCEPTED = Acceptance(name="latency_tail", owner="desk", reason="thirty runs are six weeks", expires=date(2030, 1, 1))


def days_from(start: date, count: int) -> tuple[date, ...]:
    """List `count` trading days from `start`."""
    return trading_days(start, date(start.year + 1, start.month, 1))[:count]


def honest_day(day: date, number: int = 0, **changes: object) -> DayEvidence:
    """Make a day of 16 trades in one run on which both lanes agreed, the candidate a little faster."""
    strata = {
        Stratum.ALL: Tally(0, 16),
        Stratum.BUYS: Tally(0, 8),
        Stratum.SELLS: Tally(0, 8),
        Stratum.FULL_EXITS: Tally(0, 2),
        Stratum.LARGE: Tally(0, 12),
        Stratum.SMALL: Tally(0, 4),
    }
    made = DayEvidence(
        day=day,
        published=1,
        judged=1,
        transitions=50,
        strata=strata,
        runs=Tally(0, 1),
        paths={Path.BOTH_PHASES: Tally(0, 16)},
        log_ratios=(math.log(0.95) + SPREAD[number % len(SPREAD)],),
        exercised=frozenset({Feature.BOTH_PHASES, Feature.FULL_EXIT}),
    )
    return replace(made, **changes)


def honest_migration(count: int, start: date = START) -> list[DayEvidence]:
    """Make an honest migration whose first day also had every drill."""
    made = [honest_day(day, number) for number, day in enumerate(days_from(start, count))]
    made[0] = replace(made[0], drilled=DRILLED, drills=len(DRILLED))
    return made


def with_day(evidence: Sequence[DayEvidence], index: int, **changes: object) -> list[DayEvidence]:
    """Copy `evidence` with one day changed."""
    days = list(evidence)
    days[index] = replace(days[index], **changes)
    return days


def with_every_day(evidence: Sequence[DayEvidence], **changes: object) -> list[DayEvidence]:
    """Copy `evidence` with every day changed alike."""
    return [replace(day, **changes) for day in evidence]
