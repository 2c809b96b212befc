"""Business Unit: reports | Status: current.

The noise floor from stored comparisons: plans that one lane ran twice, in two stores. The control against itself (A/A) is had by
deploying the stack a second time, as another stage with the reference control, and publishing the same plans to both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from shadow.compare.across_pairs import DURATION, TwoRuns
from shadow.compare.margins import numeric_rules, tolerant_rules
from shadow.compare.policy import NoiseFloor, Policy, Standing, standing_of
from shadow.contracts.comparison import Comparison
from shadow.contracts.errors import InvalidPayload, UnreadableDocument
from shadow.contracts.model import Exact, Frozen, decimal_text
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import Role
from shadow.settlement.stored import Source

if TYPE_CHECKING:
    import pandas as pd


@dataclass(slots=True)
class Matching:
    """The plans of two stores that one lane ran in both, and how many were left out and why."""

    first: Source
    second: Source
    role: Role
    left_out: dict[str, int] = field(default_factory=dict)

    def runs(self, begin: date, end: date) -> Iterator[TwoRuns]:
        """Give each plan's two runs. Raises `UnreachableSource`, and `UnreadableDocument` naming document and field."""
        known = {entry.plan_id: entry for entry in self._read(self.first, begin, end)}
        for entry in self._read(self.second, begin, end):
            before = known.pop(entry.plan_id, None)
            if before is None:
                self._leave_out("in one store only")
                continue
            runs = self._run_of(before), self._run_of(entry)
            if runs[0] is None or runs[1] is None:
                self._leave_out("not run to its end in both")
            elif before.plan != entry.plan:
                self._leave_out("not the same plan")
            elif (runs[0].lane, runs[0].lane_name) != (runs[1].lane, runs[1].lane_name):
                self._leave_out("not run by the same lane")
            else:
                yield TwoRuns(entry.plan, entry.trading_day, entry.published_at, runs[0], runs[1])
        if known:
            self.left_out["in one store only"] = self.left_out.get("in one store only", 0) + len(known)

    def _read(self, source: Source, begin: date, end: date) -> Iterator[Comparison]:
        """Give each plan's last document."""
        latest: dict[str, Comparison] = {}
        for name, content in source.documents(begin, end):
            try:
                entry = Comparison.parse_json(content)
            except InvalidPayload as invalid:
                fault = invalid.faults[0]
                raise UnreadableDocument(name, fault.field, f"expected {fault.expected}, was {fault.found}") from None
            if begin <= entry.trading_day <= end:
                latest[entry.plan_id] = entry
        yield from latest.values()

    def _run_of(self, entry: Comparison) -> RunOutcome | None:
        run = entry.control if self.role is Role.CONTROL else entry.candidate
        return run if run is not None and run.is_complete and not run.violations else None

    def _leave_out(self, why: str) -> None:
        self.left_out[why] = self.left_out.get(why, 0) + 1


class ToleranceRow(Frozen):
    """One rule's tolerance beside its noise; figures are None where the noise was not measured."""

    rule: str
    tolerance: str
    measure: str
    observations: int | None = None
    p95: Exact | None = None
    p99: Exact | None = None
    largest: Exact | None = None
    standing: Standing


MULTIPLES = tuple(map(Decimal, ("0.01", "0.1", "0.25", "0.5", "0.75", "1", "1.5", "2", "5", "10")))
"""The tolerances that a rule's margins are asked about, as multiples of the one that was asked."""


class ToleranceUse(Frozen):
    """How many pairs one rule would find different at each of `MULTIPLES` of its tolerance, all else as it was."""

    rule: str
    words: str
    pairs: tuple[int, ...]


def tolerance_use(margins: pd.DataFrame) -> tuple[ToleranceUse, ...]:
    """Read from the frame `margins` what other tolerances would find; the rules that were used most come first.

    A rule without a tolerance has no multiples and is left out.
    """
    uses = []
    for (rule, words), rows in margins[margins["used"].notna()].groupby(["rule", "words"], observed=True):
        pairs = tuple(sum(used > multiple for used in rows["used"]) for multiple in MULTIPLES)
        if pairs[0]:
            uses.append(ToleranceUse(rule=str(rule), words=str(words), pairs=pairs))
    return tuple(sorted(uses, key=lambda use: (tuple(-amount for amount in reversed(use.pairs)), use.rule)))


def tolerances_of(policy: Policy) -> tuple[ToleranceRow, ...]:
    """Lay every tolerance of `policy` beside the noise that stands in it."""
    return tuple(_row(policy, name) for name in (*numeric_rules(policy), DURATION))


def measured(policy: Policy) -> str:
    """Say where the noise floor of `policy` comes from."""
    noise = policy.noise
    if noise is None:
        return "The noise floor has not been measured: run the same plans through one lane twice, then shadow noise."
    return f"{noise.pairs} plans, each run twice by the {noise.role.value}, {noise.first_day} to {noise.last_day}."


def _row(policy: Policy, name: str) -> ToleranceRow:
    rule = tolerant_rules(policy)[name]
    noise = policy.noise.rules.get(name) if policy.noise else None
    row = ToleranceRow(rule=name, tolerance=str(rule), measure=rule.measure, standing=standing_of(rule.most, noise))
    if noise is None:
        return row
    return row.model_copy(update=noise.model_dump(include={"measure", "observations", "p95", "p99", "largest"}))


def to_toml(noise: NoiseFloor) -> str:
    """Write the noise floor as the tables that a policy file takes."""
    lines = [
        "[noise]",
        f'role = "{noise.role.value}"',
        f"first_day = {noise.first_day.isoformat()}",
        f"last_day = {noise.last_day.isoformat()}",
        f"pairs = {noise.pairs}",
    ]
    for name, rule in sorted(noise.rules.items()):
        figures = {key: getattr(rule, key) for key in ("p50", "p95", "p99", "largest")}
        lines += ["", f"[noise.rules.{name}]", f'measure = "{rule.measure}"', f"observations = {rule.observations}"]
        lines += [f'{key} = "{decimal_text(value)}"' for key, value in figures.items()]
    return "\n".join([*lines, ""])
