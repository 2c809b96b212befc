"""Business Unit: reports | Status: current.

The evidence of one version of the workflow, as `shadow candidate` gathered it: each live plan's run by the version, in dry run,
held against what production did. Readiness reads it by the rules of any other candidate; a live plan that the version never ran
is a plan that was not compared.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from reports.control_plans import fault_of
from shadow.aws.versions import UnknownVersion, Version
from shadow.compare.document import canonical_bytes
from shadow.contracts.errors import ShadowError
from shadow.contracts.identity import REPLAY_MARK
from shadow.contracts.ledger import UnreadablePair
from shadow.contracts.pair import Pair, Unpaired, UnpairedPlan
from shadow.contracts.vocabulary import Lane, Origin
from shadow.replay.identity import is_beside_production, is_of_version, label_of_version, replay_id_of
from shadow.settlement.stored import Ledger, Source, read_comparison


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
                yield place, canonical_bytes(comparison.model_copy(update={"origin": Origin.LIVE.value}))


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
