"""Business Unit: local cloud | Status: current.

What a demonstration came to, as values: `summary.json` is written from it, the screen is drawn from it.
"""

from __future__ import annotations

from datetime import date

from shadow.contracts.comparison import Difference, Verdict
from shadow.contracts.model import Exact, Frozen


class PlantedLine(Frozen):
    """One planted difference and whether it was found."""

    day: int
    role: str
    symbol: str | None
    fault: str
    words: str
    expected: tuple[str, ...]
    found: bool


class DayResult(Frozen):
    """One trading day. `seconds` is from publication to verdict; the impacts are USD."""

    number: int
    day: date
    plan_id: str
    run_id: str
    verdict: Verdict
    trades: int
    differences: tuple[Difference, ...]
    gaps: tuple[str, ...]
    gross_impact: Exact
    planted: tuple[PlantedLine, ...]
    unplaced: tuple[str, ...]
    invented: tuple[Difference, ...]
    consequences: int
    seconds: float
    comparison: str
    execution_arn: str


class ConservationLine(Frozen):
    """One day's sums: published = matched + diverged + ignored + incomplete + missing + pending."""

    day: date
    published: int
    matched: int
    diverged: int
    ignored: int
    incomplete: int
    missing: int
    pending: int
    holds: bool


class DemoResult(Frozen):
    """The whole demonstration."""

    days: tuple[DayResult, ...]
    conservation: tuple[ConservationLine, ...]
    set_up_seconds: float
    seconds: float
    adaptations: tuple[str, ...]

    @property
    def planted(self) -> int:
        """How many differences were planted."""
        return sum(len(day.planted) for day in self.days)

    @property
    def found(self) -> int:
        """How many of them were found."""
        return sum(line.found for day in self.days for line in day.planted)

    @property
    def invented(self) -> int:
        """How many differences were reported that nobody planted."""
        return sum(len(day.invented) for day in self.days)

    @property
    def is_right(self) -> bool:
        """Whether everything planted was found and placed, nothing was invented, and every day adds up."""
        unplaced = any(day.unplaced for day in self.days)
        return self.found == self.planted and not self.invented and not unplaced and all(line.holds for line in self.conservation)

    def to_wire(self) -> dict[str, object]:
        """Give the summary as JSON-ready data, the totals beside the days."""
        verdicts = {verdict.value: sum(day.verdict is verdict for day in self.days) for verdict in Verdict}
        totals = {"planted": self.planted, "found": self.found, "invented": self.invented, "right": self.is_right}
        return {**super().to_wire(), **totals, "verdicts": verdicts}
