"""Business Unit: local cloud | Status: current.

Found against planted: what of the planted was found, what was missed, and what was found that nobody planted. A difference that
the comparison says follows from another is its consequence, not an invention; one that only informs is none either.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from local.scenarios.planting import Planted
from shadow.compare.kinds import KINDS, Scope
from shadow.contracts.comparison import Attribution, Difference, Severity
from shadow.contracts.vocabulary import Role

_NAMES = {Role.CONTROL: (Attribution.CONTROL,), Role.CANDIDATE: (Attribution.CANDIDATE,)}


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
    """Hold the `differences` of one pair against what was `planted` in it."""
    told = tuple(differences)
    found: list[tuple[Planted, Difference]] = []
    missed: list[Missed] = []
    allowed: set[str] = set()
    for each in planted:
        allowed.update(each.plant.allows)
        for kind in each.plant.expects:
            match = next((difference for difference in told if is_found(each, kind, difference)), None)
            if match is None:
                missed.append(Missed(each, kind))
            else:
                found.append((each, match))
    matched = [difference for _, difference in found]
    rest = [each for each in told if each not in matched]
    consequences = tuple(each for each in rest if each.caused_by is not None)
    alone = [each for each in rest if each.caused_by is None and each.severity is not Severity.INFO]
    invented = tuple(each for each in alone if each.kind not in allowed)
    return Reckoning(tuple(found), tuple(missed), consequences, invented)


def is_found(planted: Planted, kind: str, difference: Difference) -> bool:
    """Tell whether `difference` is the planted one: its kind, its lane, and its symbol where the kind is about a trade."""
    attributed = planted.plant.attributed
    names = _NAMES[planted.plant.role] if attributed is None else (attributed,)
    if difference.kind != kind or difference.attribution not in names:
        return False
    return KINDS[kind].scope is Scope.RUN or difference.symbol == planted.symbol
