"""Business Unit: reports | Status: current.

The evidence of one version of the workflow, as `shadow candidate` gathered it: each live plan's run by the version, in dry run,
held against what production did. Readiness reads it by the rules of any other candidate; a live plan that the version never ran
is a plan that was not compared.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from reports.control_plans import fault_of
from shadow.compare.document import canonical_bytes
from shadow.contracts.errors import ShadowError
from shadow.contracts.ledger import UnreadablePair
from shadow.contracts.pair import Pair, Unpaired, UnpairedPlan
from shadow.contracts.vocabulary import Lane, Origin
from shadow.replay.identity import label_of_version, replay_id_of
from shadow.settlement.stored import Ledger, Source, read_comparison


@dataclass(frozen=True, slots=True)
class OfVersion:
    """Stored comparisons of one version, told as those of a candidate that shadows. `name` is `machine:number`."""

    source: Source
    name: str

    def documents(self, first: date, last: date) -> Iterator[tuple[str, bytes]]:
        """Give the version's own documents. Raises `UnreachableSource`, `UnreadableDocument`."""
        mark = replay_id_of("", label_of_version(self.name))
        for place, content in self.source.documents(first, last):
            if mark.encode() not in content:
                continue
            comparison = read_comparison(content, place)
            ran = comparison.candidate.version if comparison.candidate is not None else self.name
            if comparison.plan_id.endswith(mark) and ran == self.name:
                yield place, canonical_bytes(comparison.model_copy(update={"origin": Origin.LIVE.value}))


@dataclass(frozen=True, slots=True)
class LedgerOfVersion:
    """The pairs of one version; each live plan of production without one is a plan that was not compared."""

    ledger: Ledger
    name: str

    @property
    def fault(self) -> ShadowError | None:
        """Give what the ledger could not read."""
        return fault_of(self.ledger)

    def pairs_of(self, trading_day: date) -> Sequence[Pair | UnreadablePair]:
        """Give the version's pairs of a day."""
        mark = replay_id_of("", label_of_version(self.name))
        found = self.ledger.pairs_of(trading_day)
        ours = (pair for pair in found if isinstance(pair, Pair) and pair.plan_id.endswith(mark))
        told = {"origin": Origin.LIVE, "production_lane": Lane.LEGACY}
        return [pair.model_copy(update=told) for pair in ours]

    def unpaired_of(self, trading_day: date) -> Sequence[UnpairedPlan | UnreadablePair]:
        """Give what production ran on a day and the version did not."""
        label, found = label_of_version(self.name), self.ledger.pairs_of(trading_day)
        ran = {pair.plan_id for pair in found if isinstance(pair, Pair)}
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
        return [*missed, *(self.ledger.unpaired_of(trading_day) or ())]
