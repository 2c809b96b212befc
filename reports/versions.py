"""Business Unit: reports | Status: current.

The evidence of one version of the workflow, as `shadow candidate` gathered it: each live plan's run by the version, in dry run,
held against what production did. Readiness reads it by the rules of any other candidate; a live plan that the version never ran
is a plan that was not compared.

The control's own plan table beside the pair ledger: what the control planned and nobody published has no pair and no note, so
only that table knows of it. It keeps plans for 90 days.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from functools import cached_property

from shadow.aws.versions import UnknownVersion, Version
from shadow.compare.document import canonical_bytes
from shadow.contracts.errors import EvidenceUnavailable, InvalidPlan, MissingPermission, ShadowError
from shadow.contracts.identity import REPLAY_MARK
from shadow.contracts.pair import Pair, Unpaired, UnpairedPlan, UnreadablePair, trading_day_of
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane, Origin
from shadow.replay.plans import PlanTable
from shadow.replay.ports import is_beside_production, is_of_version, label_of_version, replay_id_of
from shadow.settlement.stored import Ledger, Source, read_comparison

_SECONDS = re.compile(r"_([0-9]{9,10})$")


@dataclass(frozen=True)
class LedgerBesidePlans:
    """The pair ledger, where each plan of the control that is not in it was not published. The plans are read once.

    Where they cannot be read the ledger alone is told, and `fault` says why: nobody knows then what was never published.
    """

    ledger: Ledger
    plans: PlanTable

    def pairs_of(self, trading_day: date) -> Sequence[Pair | UnreadablePair]:
        """Give what the ledger gives."""
        return self.ledger.pairs_of(trading_day)

    def unpaired_of(self, trading_day: date) -> Sequence[UnpairedPlan | UnreadablePair]:
        """Give what the ledger notes, and the control's plans of the day that it knows nothing of."""
        noted, planned = self.ledger.unpaired_of(trading_day) or (), self._read[0].get(trading_day)
        if not planned:
            return [*noted]
        known = {each.plan_id for each in (*self.ledger.pairs_of(trading_day), *noted) if isinstance(each, Pair | UnpairedPlan)}
        return [*noted, *(plan for plan in planned if plan.plan_id not in known)]

    @property
    def fault(self) -> ShadowError | None:
        """Give the error that kept the plans from being read; None where they were."""
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[dict[date, list[UnpairedPlan]], ShadowError | None]:
        found: dict[date, list[UnpairedPlan]] = {}
        try:
            for plan_id, plan in self.plans.each():
                note = _note(plan_id, plan)
                found.setdefault(note.trading_day, []).append(note)
        except (EvidenceUnavailable, MissingPermission, InvalidPlan) as error:
            return {}, error
        return found, None


def fault_of(ledger: Ledger | None) -> ShadowError | None:
    """Give what a ledger could not read; None where it read everything."""
    fault: ShadowError | None = getattr(ledger, "fault", None)
    return fault


def _note(plan_id: str, plan: RebalancePlan | InvalidPlan) -> UnpairedPlan:
    """Say of a plan that nobody published it. Of one that can't be read the id tells the day; raises `InvalidPlan` where not."""
    if isinstance(plan, RebalancePlan):
        reason = Unpaired.NOT_PUBLISHED if plan.tradable_items else Unpaired.HOLD_ONLY
        return UnpairedPlan(
            plan_id=plan.plan_id, trading_day=trading_day_of(plan.timestamp), published_at=plan.timestamp, reason=reason
        )
    seconds = _SECONDS.search(plan_id)
    if seconds is None:
        raise plan
    at = datetime.fromtimestamp(int(seconds[1]), UTC)
    return UnpairedPlan(
        plan_id=plan_id,
        trading_day=trading_day_of(at),
        published_at=at,
        reason=Unpaired.NOT_PUBLISHED,
        detail=f"the stored plan cannot be read: {plan}"[:500],
    )


@dataclass(frozen=True, slots=True)
class OfVersion:
    """Stored comparisons of one version, told as those of a candidate that shadows.

    `name` is `machine:number`; what was run before it was `created` is of another stack's version with the same number.
    `policies` notes by which policy each day was judged last.
    """

    source: Source
    name: str
    created: datetime
    policies: dict[date, str] = field(default_factory=dict)

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give the version's own documents. Raises `UnreachableSource`, `UnreadableDocument`."""
        mark = replay_id_of("", label_of_version(self.name))
        for place, content in self.source.documents(first, last):
            if mark.encode() not in content:
                continue
            comparison = read_comparison(content, place)
            ran = comparison.candidate.version if comparison.candidate is not None else self.name
            if comparison.plan_id.endswith(mark) and ran == self.name and comparison.published_at >= self.created:
                self.policies[comparison.trading_day] = comparison.policy_hash
                told = {"origin": Origin.LIVE.value, "production_lane": Lane.LEGACY}
                yield place, canonical_bytes(comparison.model_copy(update=told))


@dataclass(frozen=True, slots=True)
class LedgerOfVersion:
    """The pairs of one version; each live plan of production without one is a plan that was not compared."""

    ledger: Ledger
    name: str
    created: datetime

    @property
    def fault(self) -> ShadowError | None:
        """Give what the ledger could not read."""
        return fault_of(self.ledger)

    def pairs_of(self, trading_day: date) -> Sequence[Pair | UnreadablePair]:
        """Give the version's pairs of a day."""
        told = {"origin": Origin.LIVE, "production_lane": Lane.LEGACY}
        return [pair.model_copy(update=told) for pair in self._ours(self.ledger.pairs_of(trading_day))]

    def unpaired_of(self, trading_day: date) -> Sequence[UnpairedPlan | UnreadablePair]:
        """Give what production ran on a day, beside a shadow or alone, and the version did not."""
        label, found = label_of_version(self.name), self.ledger.pairs_of(trading_day)
        ran = {pair.plan_id for pair in self._ours(found)}
        missed: list[UnpairedPlan | UnreadablePair] = [pair for pair in found if isinstance(pair, UnreadablePair)]
        missed += [
            UnpairedPlan(
                plan_id=pair.plan_id,
                trading_day=pair.trading_day,
                published_at=pair.published_at,
                reason=Unpaired.NOT_SHADOWED,
                detail=f"not run by {self.name}",
            )
            for pair in found
            if isinstance(pair, Pair) and pair.origin is Origin.LIVE and replay_id_of(pair.plan_id, label) not in ran
        ]
        alone = self.ledger.unpaired_of(trading_day) or ()
        return [*missed, *(plan for plan in alone if isinstance(plan, UnreadablePair) or not self._has_run(plan, ran))]

    def _ours(self, pairs: Sequence[Pair | UnreadablePair]) -> list[Pair]:
        mark = replay_id_of("", label_of_version(self.name))
        found = (pair for pair in pairs if isinstance(pair, Pair) and pair.plan_id.endswith(mark))
        return [pair for pair in found if pair.published_at >= self.created]

    def _has_run(self, plan: UnpairedPlan, ran: Collection[str]) -> bool:
        return plan.reason is Unpaired.NOT_SHADOWED and replay_id_of(plan.plan_id, label_of_version(self.name)) in ran


@dataclass(frozen=True, slots=True)
class BesideVersions:
    """Stored comparisons and pairs of the lanes alone: what versions ran says of those versions what they do, and of no lane."""

    source: Source
    ledger: Ledger | None

    @property
    def fault(self) -> ShadowError | None:
        """Give what the ledger could not read."""
        return fault_of(self.ledger)

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give the documents that are no version's. Raises `UnreachableSource`, `UnreadableDocument`."""
        for place, content in self.source.documents(first, last):
            if REPLAY_MARK.encode() not in content or not is_of_version(read_comparison(content, place).plan_id):
                yield place, content

    def pairs_of(self, trading_day: date) -> Sequence[Pair | UnreadablePair]:
        """Give the pairs of a day that are no version's."""
        pairs = self.ledger.pairs_of(trading_day) if self.ledger is not None else ()
        return [pair for pair in pairs if isinstance(pair, UnreadablePair) or not is_of_version(pair.plan_id)]

    def unpaired_of(self, trading_day: date) -> Sequence[UnpairedPlan | UnreadablePair] | None:
        """Give the plans of a day without a pair."""
        return self.ledger.unpaired_of(trading_day) if self.ledger is not None else None


def told_apart(source: Source, ledger: Ledger | None) -> tuple[Source, Ledger | None]:
    """Give evidence without that of versions, unless it is asked for as that of one: nobody's verdict counts for another."""
    if isinstance(source, OfVersion):
        return source, ledger
    beside = BesideVersions(source, ledger)
    return beside, beside if ledger is not None else None


def of_version(source: Source, ledger: Ledger | None, version: Version) -> tuple[OfVersion, Ledger | None]:
    """Give the evidence of one version."""
    own = LedgerOfVersion(ledger, version.name, version.created) if ledger is not None else None
    return OfVersion(source, version.name, version.created), own


def version_in(source: Source, number: str) -> Version:
    """Find a version by what is stored of its runs, where there is no stack to ask. Raises `UnknownVersion`."""
    mark = replay_id_of("", label_of_version(f":{number}")) if number.isascii() and number.isdigit() else None
    for place, content in source.documents(date.min, date.max):
        if mark is not None and mark.encode() in content:
            comparison = read_comparison(content, place)
            name = comparison.candidate.version if comparison.candidate is not None else None
            if name is not None and comparison.plan_id.endswith(mark):
                return Version(name, {}, datetime.min.replace(tzinfo=UTC))
    raise UnknownVersion(f"No runs of version {number} are stored here")


@dataclass(frozen=True, slots=True)
class VersionTold:
    """What one version came to beside production: over how many days, and how many comparisons have each verdict.

    `control` names what it was held against, the version that was in production where that is known.
    """

    name: str
    control: str
    days: int
    verdicts: tuple[tuple[str, int], ...]


def versions_told(source: Source) -> tuple[VersionTold, ...]:
    """Sum up every version that ran beside production, the newest first. Raises `UnreachableSource`, `UnreadableDocument`."""
    found: dict[tuple[str, str], dict[str, tuple[date, str]]] = {}
    for place, content in source.documents(date.min, date.max):
        comparison = read_comparison(content, place) if REPLAY_MARK.encode() in content else None
        if comparison is None or not is_beside_production(comparison.plan_id) or comparison.candidate is None:
            continue
        control = comparison.control
        against = (control.version or control.lane.value) if control is not None else "nothing"
        runs = found.setdefault((comparison.candidate.version or "not told", against), {})
        runs[comparison.plan_id] = comparison.trading_day, comparison.verdict.value
    newest = sorted(found, key=lambda key: (-max(day.toordinal() for day, _ in found[key].values()), key))
    return tuple(_told(*key, list(found[key].values())) for key in newest)


def _told(name: str, control: str, runs: Sequence[tuple[date, str]]) -> VersionTold:
    verdicts = Counter(word for _, word in runs)
    return VersionTold(name, control, len({day for day, _ in runs}), tuple(sorted(verdicts.items())))
