"""Business Unit: reports | Status: current.

The control's own plan table beside the pair ledger: what the control planned and nobody published has no pair and no note, so
only that table knows of it. It keeps plans for 90 days.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import cached_property
from typing import Protocol

from shadow.contracts.errors import EvidenceUnavailable, InvalidPlan, MissingPermission, ShadowError
from shadow.contracts.ledger import UnreadablePair
from shadow.contracts.pair import Pair, Unpaired, UnpairedPlan, trading_day_of
from shadow.contracts.plan import RebalancePlan
from shadow.settlement.stored import Ledger

_SECONDS = re.compile(r"_([0-9]{9,10})$")


class Plans(Protocol):
    """The control's plans."""

    def each(self) -> Iterable[tuple[str, RebalancePlan | InvalidPlan]]:
        """Give every plan that is kept, by its id; raises `EvidenceUnavailable`, `MissingPermission`."""
        ...


@dataclass(frozen=True)
class LedgerBesidePlans:
    """The pair ledger, where each plan of the control that is not in it was not published. The plans are read once.

    Where they cannot be read the ledger alone is told, and `fault` says why: nobody knows then what was never published.
    """

    ledger: Ledger
    plans: Plans

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
