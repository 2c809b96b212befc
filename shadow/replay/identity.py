"""Business Unit: replay | Status: current.

The names of a replay, and the control's archived outcome under them. Pure.
"""

from __future__ import annotations

import re

from shadow.contracts.errors import FieldFault, InvalidPayload
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.plan import RebalancePlan

MARK = "~replay-"
_LABEL = re.compile(r"[a-z0-9][a-z0-9-]{0,23}")


def checked_label(label: str) -> str:
    """Give `label` back; raises `InvalidPayload` where it is none."""
    if not _LABEL.fullmatch(label):
        raise InvalidPayload("replay", [FieldFault("label", "1 to 24 of a-z, 0-9 and -", repr(label))])
    return label


def is_replay(plan_id: str) -> bool:
    """Tell whether a plan is a replay of another."""
    return MARK in plan_id


def replayed_plan(plan: RebalancePlan, label: str) -> RebalancePlan:
    """Give `plan` under the name that its replay of this label has; raises `InvalidPlan` where the name becomes too long."""
    return RebalancePlan.read(plan.model_dump() | {"plan_id": f"{plan.plan_id}{MARK}{checked_label(label)}"})


def archived_under(outcome: RunOutcome, plan: RebalancePlan) -> RunOutcome:
    """Give the control's outcome as one of `plan`, the replay. Its run and trades keep the ids that the lane minted."""
    return outcome.model_copy(update={"plan_id": plan.plan_id})
