"""Business Unit: local cloud | Status: current.

Found against planted: what of the planted was found, what was missed, and what was found that nobody planted. A difference that
the list of kinds says follows from a planted one is its consequence, not an invention.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from local.scenarios.planting import Planted
from shadow.compare.kinds import KINDS, Scope
from shadow.contracts.comparison import Attribution, Difference, Severity
from shadow.contracts.vocabulary import Lane

_NAMES = {
    Lane.CONTROL: (Attribution.CONTROL, Attribution.BOTH),
    Lane.CANDIDATE: (Attribution.CANDIDATE, Attribution.BOTH),
}


@dataclass(frozen=True, slots=True)
class Missed:
    """A planted difference that was not found: the kind that is missing."""

    planted: Planted
    kind: str


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What one comparison found of what was planted in it."""

    found: tuple[tuple[Planted, Difference], ...]
    missed: tuple[Missed, ...]
    consequences: tuple[Difference, ...]
    invented: tuple[Difference, ...]

    @property
    def is_right(self) -> bool:
        """Whether everything planted was found, and nothing else."""
        return not self.missed and not self.invented


def reckon(planted: Iterable[Planted], differences: Iterable[Difference]) -> Reckoning:
    """Hold the `differences` of one pair against what was `planted` in it. INFO is never an invention."""
    told = tuple(differences)
    found: list[tuple[Planted, Difference]] = []
    missed: list[Missed] = []
    causes: set[str] = set()
    for each in planted:
        for kind in each.plant.expects:
            causes.add(kind)
            match = next((difference for difference in told if is_found(each, kind, difference)), None)
            if match is None:
                missed.append(Missed(each, kind))
            else:
                found.append((each, match))
    matched = [difference for _, difference in found]
    rest = [each for each in told if each not in matched and each.severity is not Severity.INFO]
    consequences = tuple(each for each in rest if follows_from(each.kind, causes))
    invented = tuple(each for each in rest if each not in consequences)
    return Reckoning(tuple(found), tuple(missed), consequences, invented)


def is_found(planted: Planted, kind: str, difference: Difference) -> bool:
    """Tell whether `difference` is the planted one: its kind, its lane, and its symbol where the kind is about a trade."""
    if difference.kind != kind or difference.attribution not in _NAMES[planted.plant.lane]:
        return False
    return KINDS[kind].scope is Scope.RUN or difference.symbol == planted.symbol


def follows_from(kind: str, causes: Iterable[str]) -> bool:
    """Tell whether `kind` can follow, over any number of steps, from one of `causes`."""
    wanted, seen, open_kinds = set(causes), set[str](), [kind]
    while open_kinds:
        current = open_kinds.pop()
        if current in wanted:
            return True
        if current not in seen and current in KINDS:
            seen.add(current)
            open_kinds += KINDS[current].follows
    return False
