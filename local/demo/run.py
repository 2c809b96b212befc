"""Business Unit: local cloud | Status: current.

Run the demonstration: bring everything up, publish one plan a trading day, let both lanes run it, wait for the comparator's
verdict, and leave what a person and a program want to see.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

from local.cloud.progress import Progress
from local.demo.artefacts import leave
from local.demo.result import ConservationLine, DayResult, DemoResult, PlantedLine
from local.market import ClosingPrices
from local.operator import Operator
from local.planner import Portfolio
from local.scenarios.demo import FIRST_CASH, DemoDay, demo_days
from local.scenarios.planting import Planting
from local.scenarios.reckoning import reckon
from local.stack import LocalStack, local_stack
from shadow.contracts.comparison import Comparison
from shadow.contracts.pair import Pair
from shadow.contracts.vocabulary import Role
from shadow.settlement.conservation import conservation

CLOUD_FOLDER = Path("build/demo-cloud")
_DECIDES_AT_ONCE = {"late_after": 0.5, "missing_after": 1.0, "quiet": 0.5, "effects_grace": 0.5}


@dataclass(slots=True)
class _Show:
    """The demonstration while it runs."""

    stack: LocalStack
    operator: Operator
    progress: Progress
    days: list[DayResult] = field(default_factory=list)
    documents: list[bytes] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)


def run_demo(prices: ClosingPrices, out: Path, *, progress: Progress) -> DemoResult:
    """Run the ten days and leave everything below `out`.

    Raises LocalCloudError when the local cloud fails or a pair gets no verdict, TooFewDays when the prices do not reach back.
    """
    started = time.monotonic()
    days = tuple(demo_days(prices))
    with local_stack(CLOUD_FOLDER, plantable=True, progress=progress) as stack:
        set_up = time.monotonic() - started
        show = _Show(stack, Operator(stack), progress)
        stack.broker.set_account(Role.CONTROL, cash=FIRST_CASH)
        for day in days:
            show.days.append(_run_day(show, day))
        result = DemoResult(
            days=tuple(show.days),
            conservation=tuple(_conservation(show, day) for day in days),
            set_up_seconds=round(set_up, 1),
            seconds=round(time.monotonic() - started, 1),
            adaptations=tuple(str(each) for each in stack.deployment.adaptations),
        )
        leave(result, show.documents, show.pairs, out, progress)
    return result


def _run_day(show: _Show, day: DemoDay) -> DayResult:
    """Play one trading day through both lanes."""
    broker = show.stack.broker
    broker.set_day(day.day, day.closes, half_day=day.half_day)
    account = broker.account(Role.CONTROL)
    plan = day.plan(Portfolio(account.positions, account.cash))
    planting = day.planting(plan)
    show.stack.plant(planting.faults(Role.CONTROL))
    show.stack.plant_in_candidate(planting.faults(Role.CANDIDATE))
    started = time.monotonic()
    trades = len(plan.tradable_items)
    show.progress(f"day {day.number:2}  {day.day}  {trades} trades")
    show.operator.publish(plan)
    if not planting.settles:
        show.operator.await_candidate(plan.plan_id)
        show.operator.set_deadlines(_DECIDES_AT_ONCE)
    pair = show.operator.await_verdict(plan.plan_id, sweeping=not planting.settles)
    seconds = time.monotonic() - started
    document = show.operator.comparison_of(pair)
    show.documents.append(document)
    show.pairs.append(pair)
    comparison = Comparison.parse_json(document)
    return _day_result(day, pair, comparison, planting, seconds)


def _day_result(day: DemoDay, pair: Pair, comparison: Comparison, planting: Planting, seconds: float) -> DayResult:
    """Hold what was found against what was planted."""
    reckoning = reckon(planting.planted, comparison.differences)
    missed = {id(each.planted) for each in reckoning.missed}
    return DayResult(
        number=day.number,
        day=day.day,
        plan_id=pair.plan_id,
        run_id=pair.run_id,
        verdict=comparison.verdict,
        trades=pair.trade_count,
        differences=comparison.differences,
        gaps=comparison.gaps,
        gross_impact=comparison.gross_impact,
        planted=tuple(
            PlantedLine(
                day=day.number,
                role=each.plant.role.value,
                symbol=each.symbol,
                fault=each.plant.fault,
                words=each.plant.words,
                expected=each.plant.expects,
                found=id(each) not in missed,
            )
            for each in planting.planted
        ),
        unplaced=tuple(f"{plant.fault} at {plant.at}" for plant in planting.unplaced),
        invented=reckoning.invented,
        consequences=len(reckoning.consequences),
        seconds=round(seconds, 2),
        comparison=pair.comparison_key or "",
        execution_arn=pair.execution_arn or "",
    )


def _conservation(show: _Show, day: DemoDay) -> ConservationLine:
    """Count the day from the pair ledger."""
    sums = conservation(day.day, show.operator.ledger.pairs_of(day.day))
    return ConservationLine(
        day=day.day,
        published=sums.published,
        matched=sums.matched,
        diverged=sums.diverged,
        ignored=sums.ignored,
        incomplete=sums.incomplete,
        missing=sums.missing,
        pending=sums.pending,
        holds=sums.error == 0,
    )
