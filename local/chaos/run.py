"""Business Unit: local cloud | Status: current.

The chaos run: as many trading days as fit into the minutes are published under fire, then everything settles; then the same days
are published again in quiet, to a control without the harness, and both are held against each other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from local.chaos.checks import ControlRecord, check_conservation, check_control, check_orders
from local.chaos.faults import Striker
from local.chaos.result import ChaosResult, Check, Injected
from local.chaos.stage import Stage
from local.cloud.progress import Progress, silent
from local.market import ClosingPrices
from local.scenarios.demo import DemoDay, demo_days
from local.stack import BROKER, local_stack
from shadow.aws.broker import fingerprint_of
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Role

MOST_DAYS = 40
MOST_FAULTS = 2_000
_CONTROL_ACCOUNT = "CHAOSCONTROL"
_SETTLE_SECONDS = 150.0
_SWEEP_PAUSE = 0.5
_SPARED_SECONDS = 30.0
_SOON = {
    "late_after": 15.0,
    "missing_after": 45.0,
    "stuck_after": 30.0,
    "quiet": 0.5,
    "effects_grace": 0.5,
    "aborted_quiet": 1.0,
    "start_unknown_after": 1.0,
}


@dataclass(slots=True)
class _Played:
    """What was published and struck so far."""

    plans: list[RebalancePlan] = field(default_factory=list)
    days: list[DemoDay] = field(default_factory=list)
    control: dict[str, ControlRecord] = field(default_factory=dict)
    faults: list[Injected] = field(default_factory=list)
    ended: dict[str, str] = field(default_factory=dict)


def run_chaos(seed: int, minutes: float, folder: Path, *, progress: Progress = silent) -> ChaosResult:
    """Run chaos below `folder` for `minutes`. Raises LocalCloudError when the local cloud itself fails."""
    started = time.monotonic()
    days = tuple(demo_days(ClosingPrices.bundled(), count=MOST_DAYS, plants=()))
    played, checks = _under_fire(days, seed, minutes, folder / "chaos", progress)
    progress(f"the same {len(played.days)} days in quiet, without the harness")
    alone = _in_quiet(played.days, folder / "quiet")
    checks = (*checks, check_control(played.control, alone))
    return ChaosResult(
        seed=seed,
        minutes=minutes,
        seconds=round(time.monotonic() - started, 1),
        plans=len(played.plans),
        faults=tuple(each.model_copy(update={"outcome": played.ended.get(each.plan_id, "")}) for each in played.faults),
        checks=checks,
    )


def _under_fire(
    days: Sequence[DemoDay], seed: int, minutes: float, folder: Path, progress: Progress
) -> tuple[_Played, tuple[Check, ...]]:
    """Publish under fire until the time is up, settle, and check."""
    played = _Played()
    parameters = {
        "ExecutionMode": "paper",
        "BrokerEndpoint": f"{BROKER}/paper",
        "ControlAccountFingerprint": fingerprint_of(_CONTROL_ACCOUNT),
    }
    with local_stack(folder, parameters=parameters, seed=seed, progress=progress) as stack:
        stack.broker.set_identity(Role.CONTROL, number=_CONTROL_ACCOUNT)
        fire = _Fire(played, time.monotonic() + minutes * 60)
        stage = Stage(stack, fire.tick)
        fire.striker = Striker(stage.operator, seed)
        for day in days:
            if time.monotonic() >= fire.ends:
                break
            plan, record = stage.play(day, with_candidate=True)
            played.plans.append(plan)
            played.days.append(day)
            played.control[plan.plan_id] = record
            progress(f"{day.day}  {len(played.faults)} faults so far")
        fire.striker.relent()
        progress("everything settles")
        return played, _settled(stage, played)


class _Fire:
    """Strikes while plans run, until the time is up."""

    def __init__(self, played: _Played, ends: float) -> None:
        self.played = played
        self.began = time.monotonic()
        self.ends = ends
        self.striker: Striker | None = None
        self._next = self.began
        self._struck = ""
        self._spared_until = (0, 0.0)

    def tick(self, plan: RebalancePlan) -> None:
        """Strike if it is time to."""
        now = time.monotonic()
        if self.striker is not None and self._is_spared(plan, self.striker, now):
            return
        if self.striker is None or now < self._next or now >= self.ends or len(self.played.faults) >= MOST_FAULTS:
            return
        fault, target, effect = self.striker.strike(plan)
        at = round(now - self.began, 2)
        self.played.faults.append(Injected(at=at, fault=fault, target=target, plan_id=plan.plan_id, effect=effect))
        self._next = now + self.striker.pause()

    def _is_spared(self, plan: RebalancePlan, striker: Striker, now: float) -> bool:
        """Tell whether the run is to begin to order first; one that does not, is struck all the same after a while."""
        if plan.plan_id != self._struck:
            self._struck = plan.plan_id
            self._spared_until = (striker.orders(), now + _SPARED_SECONDS) if striker.spares_the_start() else (0, now)
        before, until = self._spared_until
        if now >= until or striker.orders() > before:
            self._spared_until = (0, 0.0)
            return False
        return True


def _settled(stage: Stage, played: _Played) -> tuple[Check, ...]:
    """Let everything settle, within a bound, and check it."""
    operator = stage.operator
    for plan in played.plans:
        operator.await_candidate(plan.plan_id)
    asked = stage.reconcile()
    operator.set_deadlines(_SOON)
    days = sorted({_day(day) for day in played.days})
    ends = time.monotonic() + _SETTLE_SECONDS
    pairs = {day: operator.ledger.pairs_of(day) for day in days}
    while time.monotonic() < ends and not check_conservation(days, pairs, len(played.plans)).holds:
        operator.sweep()
        time.sleep(_SWEEP_PAUSE)
        pairs = {day: operator.ledger.pairs_of(day) for day in days}
    for plan in played.plans:
        pair = operator.ledger.get(plan.plan_id)
        verdict = "no pair" if pair is None else f"{pair.state.value} {pair.verdict.value}"
        run = f"run {operator.candidate_status(plan.plan_id)}"
        played.ended[plan.plan_id] = f"{run}{stage.errors_of(plan)}, pair {verdict}"
    orders = stage.stack.broker.orders(Role.CANDIDATE)
    told = Check(name="trades in doubt were asked about", holds=True, told=f"{asked} trades")
    return (check_conservation(days, pairs, len(played.plans)), *check_orders(orders, stage.intents()), told)


def _day(day: DemoDay) -> date:
    return day.day


def _in_quiet(days: Sequence[DemoDay], folder: Path) -> dict[str, ControlRecord]:
    """Publish the same days to a control without the harness."""
    with local_stack(folder, parameters={"ShadowMode": "off"}) as stack:
        stack.broker.set_identity(Role.CONTROL, number=_CONTROL_ACCOUNT)
        stage = Stage(stack, lambda _: None)
        return {plan.plan_id: record for plan, record in (stage.play(day, with_candidate=False) for day in days)}
