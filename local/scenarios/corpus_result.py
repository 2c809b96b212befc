"""Business Unit: local cloud | Status: current.

What a run of the corpus came to, as values: one line a case. It is kept as `corpus_result.json`; the page of recall is made from
it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import Self

from local.scenarios.corpus_run import CaseResult
from shadow.compare.kinds import KINDS
from shadow.contracts.comparison import Attribution, Difference, Severity
from shadow.contracts.model import Frozen

RESULT_FILE = "corpus_result.json"


class FoundKind(Frozen):
    """One planted kind: how it was told of, None where it was missed."""

    kind: str
    severity: Severity | None = None
    attribution: Attribution | None = None

    @property
    def is_right(self) -> bool:
        """Whether it was found, at least as severe as its kind: what it is worth may raise it. The attribution is part of it."""
        ranks = list(Severity)
        return self.severity is not None and ranks.index(self.severity) <= ranks.index(KINDS[self.kind].severity)


class CorpusLine(Frozen):
    """One case.

    `consequences` are the kinds that the comparison says follow from another one; `invented` names what nobody planted.
    """

    instance: int
    day: date
    role: str | None = None
    fault: str | None = None
    words: str
    symbol: str | None = None
    verdict: str
    kinds: tuple[FoundKind, ...] = ()
    consequences: tuple[str, ...] = ()
    invented: tuple[str, ...] = ()

    @property
    def is_right(self) -> bool:
        """Whether everything planted was found as it is, and nothing else."""
        return all(each.is_right for each in self.kinds) and not self.invented


class CorpusResult(Frozen):
    """The whole corpus."""

    lines: tuple[CorpusLine, ...]

    @classmethod
    def of(cls, results: Iterable[CaseResult]) -> Self:
        """Sum cases up."""
        return cls(lines=tuple(_line(result) for result in results))

    @classmethod
    def recorded(cls) -> Self:
        """Read the recorded result."""
        return cls.parse(json.loads(Path(__file__).with_name(RESULT_FILE).read_text(encoding="utf-8")))

    @property
    def planted_kinds(self) -> tuple[str, ...]:
        """The distinct kinds that were planted, in the order of the closed list."""
        planted = {each.kind for line in self.lines for each in line.kinds}
        return tuple(kind for kind in KINDS if kind in planted)

    @property
    def wrong(self) -> tuple[CorpusLine, ...]:
        """The cases that were not found as they are."""
        return tuple(line for line in self.lines if not line.is_right)

    def to_json(self) -> str:
        """Give it as it is kept."""
        return json.dumps(self.to_wire(), indent=1, sort_keys=True) + "\n"


def _line(result: CaseResult) -> CorpusLine:
    case, reckoning, plant = result.case, result.reckoning, result.case.plant
    told = {(id(each.plant), difference.kind): difference for each, difference in reckoning.found}
    planted = case.planting.planted[0] if case.planting.planted else None
    return CorpusLine(
        instance=case.instance,
        day=case.day,
        role=None if plant is None else plant.role.value,
        fault=None if plant is None else plant.fault,
        words="nothing" if plant is None else plant.words,
        symbol=None if planted is None else planted.symbol,
        verdict=result.comparison.verdict.value,
        kinds=() if plant is None else tuple(_found(kind, told.get((id(plant), kind))) for kind in plant.expects),
        consequences=tuple(sorted({each.kind for each in reckoning.consequences})),
        invented=tuple(f"{each.kind} of {each.symbol or 'the run'} ({each.attribution})" for each in reckoning.invented),
    )


def _found(kind: str, difference: Difference | None) -> FoundKind:
    if difference is None:
        return FoundKind(kind=kind)
    # what follows from something else planted beside it is told as information: its own severity is the kind's
    severity = KINDS[kind].severity if difference.caused_by is not None else difference.severity
    return FoundKind(kind=kind, severity=severity, attribution=difference.attribution)
