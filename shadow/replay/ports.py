"""Business Unit: replay | Status: current.

What a replay needs from outside.

The names of a replay, and the control's archived outcome under them. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Protocol, TypeVar

from shadow.contracts.comparison import EvidenceRef, Verdict
from shadow.contracts.errors import ConfigurationError, FieldFault, InvalidPayload, ShadowError
from shadow.contracts.identity import REPLAY_MARK, run_id_of, trade_id_of
from shadow.contracts.model import Frozen
from shadow.contracts.outcome import RunOutcome, TradeOutcome
from shadow.contracts.pair import Pair
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Role


@dataclass(frozen=True, slots=True)
class Archived:
    """What is kept of a plan's live run: the control's outcome, its evidence, and what the control's account held (shares)."""

    control: RunOutcome
    evidence: tuple[EvidenceRef, ...] = ()
    held: Mapping[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplayRun:
    """One started replay: its pair, its plan under the replay's name, and what it will be compared with."""

    pair: Pair
    plan: RebalancePlan
    archived: Archived


class Archive(Protocol):
    """Where the control's outcomes are kept."""

    def archived(self, plan_id: str) -> Archived | None:
        """Give what is kept of the plan's live run; None where its control was never read."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An archive that is at hand: what production did, by plan."""

    archives: Mapping[str, Archived]

    def archived(self, plan_id: str) -> Archived | None:
        """Give what is kept of the plan's live run."""
        return self.archives.get(plan_id)


class Candidate(Protocol):
    """The candidate, as a replay uses it."""

    def start(self, plan: RebalancePlan, held: Mapping[str, Decimal]) -> Pair:
        """Record the replay's pair and start its execution; a pair that exists already is given as it is."""

    def outcome(self, pair: Pair, plan: RebalancePlan, now: datetime) -> tuple[RunOutcome, EvidenceRef] | None:
        """Read what the candidate did, its evidence copied; None while it is running."""


class Judging(Protocol):
    """Judges a replay and keeps the verdict."""

    def judge(self, run: ReplayRun, candidate: RunOutcome, ref: EvidenceRef, now: datetime) -> tuple[Verdict, str]:
        """Store the comparison and close the pair; gives the verdict and the comparison's key."""


class ReplayEnd(StrEnum):
    """What became of one plan. WAITING and FAILED are taken up again when the replay is resumed."""

    JUDGED = "judged"
    SKIPPED = "skipped"
    WAITING = "waiting"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Replayed:
    """One plan and what became of its replay. `comparison` is the key it is stored under; `reason` where there is none."""

    plan_id: str
    replay_id: str
    end: ReplayEnd
    verdict: Verdict = Verdict.PENDING
    comparison: str | None = None
    reason: str = ""

    @property
    def is_final(self) -> bool:
        """Whether resuming leaves this plan alone."""
        return self.end in (ReplayEnd.JUDGED, ReplayEnd.SKIPPED)

    def to_wire(self) -> dict[str, object]:
        """Give the JSON-ready form."""
        return {
            "plan_id": self.plan_id,
            "replay_id": self.replay_id,
            "end": self.end.value,
            "verdict": self.verdict.value,
            "comparison": self.comparison,
            "reason": self.reason or None,
        }


class ReplayRefused(ConfigurationError):
    """Nothing is replayed: the candidate could do more than record its orders."""


class ReplayState(ShadowError):
    """The state file of a replay cannot be read or written."""


R = TypeVar("R", bound=Frozen)
_OF_VERSION = re.compile(rf"{REPLAY_MARK}(version|itself)-[1-9][0-9]*$")
_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{0,23}")


def checked_label(label: str) -> str:
    """Give `label` back; raises `InvalidPayload` where it is none."""
    if not _LABEL.fullmatch(label):
        raise InvalidPayload("replay", [FieldFault("label", "1 to 24 of a-z, 0-9 and -", repr(label))])
    return label


def replay_id_of(plan_id: str, label: str) -> str:
    """Name the replay of a plan that has this label."""
    return f"{plan_id}{REPLAY_MARK}{checked_label(label)}"


def label_of_version(name: str) -> str:
    """Give the label of the runs by which a published version (`machine:number`, or its ARN) shadows production."""
    return f"version-{name.rpartition(':')[2]}"


def label_against_itself(name: str) -> str:
    """Give the label of the second runs by which a published version is held against its own first runs."""
    return f"itself-{name.rpartition(':')[2]}"


def is_beside_production(plan_id: str) -> bool:
    """Tell whether a run is one by which a published version shadows production."""
    found = _OF_VERSION.search(plan_id)
    return found is not None and found[1] == "version"


def is_of_version(plan_id: str) -> bool:
    """Tell whether a run is a published version's: it says of that version what it does, and of nothing else."""
    return bool(_OF_VERSION.search(plan_id))


def replayed_plan(plan: RebalancePlan, label: str) -> RebalancePlan:
    """Give `plan` under the name that its replay of this label has; raises `InvalidPlan` where the name becomes too long."""
    return RebalancePlan.read(plan.model_dump() | {"plan_id": replay_id_of(plan.plan_id, label)})


def published_plan(plan: RebalancePlan) -> RebalancePlan:
    """Give `plan` under the name that it was published with."""
    return plan.model_copy(update={"plan_id": plan.plan_id.partition(REPLAY_MARK)[0]})


def in_production_s_place(outcome: RunOutcome, plan: RebalancePlan) -> RunOutcome:
    """Give a candidate's outcome as production's of `plan`, its intended effects as emitted: to hold a version against itself."""
    emitted = outcome.effects and tuple(effect.model_copy(update={"emitted": True}) for effect in outcome.effects)
    return archived_under(outcome.model_copy(update={"role": Role.CONTROL, "effects": emitted}), plan)


def archived_under(outcome: RunOutcome, plan: RebalancePlan) -> RunOutcome:
    """Give production's outcome as one of `plan`, the replay.

    Ids that follow from the plan's are those of the replay then; ids that the lane minted itself, and wrong ones, stay.
    """
    old, names = outcome.plan_id, {outcome.plan_id: plan.plan_id}
    if outcome.lane.has_our_ids:
        then, now = run_id_of(old), run_id_of(plan.plan_id)
        names[then] = now
        names |= {
            trade_id_of(then, item.symbol, item.action): trade_id_of(now, item.symbol, item.action)
            for item in plan.tradable_items
        }
    trades = tuple(_trade_renamed(trade, names) for trade in outcome.trades)
    effects = outcome.effects and tuple(_renamed(effect, names, "trade_id", "run_id", "plan_id") for effect in outcome.effects)
    return _renamed(outcome, names, "run_id", "plan_id").model_copy(update={"trades": trades, "effects": effects})


def _trade_renamed(trade: TradeOutcome, names: Mapping[str, str]) -> TradeOutcome:
    """Rename a trade, and those of its orders that are named after it."""
    new = names.get(trade.trade_id)
    if new is None:
        return trade
    orders = tuple(
        order.model_copy(update={"client_order_id": f"{new}{order.client_order_id.removeprefix(trade.trade_id)}"})
        if order.client_order_id is not None and order.client_order_id.startswith(trade.trade_id)
        else order
        for order in trade.orders
    )
    return trade.model_copy(update={"trade_id": new, "orders": orders})


def _renamed(record: R, names: Mapping[str, str], *fields: str) -> R:
    found = {field: getattr(record, field) for field in fields}
    return record.model_copy(update={field: names.get(value, value) for field, value in found.items()})
