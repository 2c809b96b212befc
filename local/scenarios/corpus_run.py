"""Business Unit: local cloud | Status: current.

Run the corpus through both lanes: all cases of a day in one account, each with its plant, and hold what was found against it.
Few are in flight at once; what settles by itself is judged by its events, the rest once both lanes have come to rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby

from local.cloud.errors import LocalCloudError
from local.cloud.progress import Progress, silent
from local.operator import FunctionFailed, Operator
from local.scenarios.corpus import CorpusCase, cash_of
from local.scenarios.reckoning import Reckoning, reckon
from shadow.contracts.comparison import Comparison
from shadow.contracts.pair import PairState
from shadow.contracts.vocabulary import Role

PATIENT = {"late_after": 600.0, "missing_after": 1200.0, "quiet": 60.0, "effects_grace": 60.0}
DECIDES_AT_ONCE = {"late_after": 0.5, "missing_after": 1.0, "quiet": 0.5, "effects_grace": 0.5}
SECONDS_A_CASE = 20.0
_AT_ONCE = 3
_LANE_SECONDS = 120.0
_BETWEEN_LOOKS = 1.0
_POLL_SECONDS = 0.25
_OPEN = frozenset({PairState.PENDING, PairState.LATE})


@dataclass(frozen=True, slots=True)
class CaseResult:
    """One case after it ran: the comparison, and what was found of its plant."""

    case: CorpusCase
    comparison: Comparison
    reckoning: Reckoning


def run_corpus(operator: Operator, cases: Iterable[CorpusCase], *, progress: Progress = silent) -> Iterator[CaseResult]:
    """Run `cases`, wave by wave: a wave is a day, and each case that strikes its neighbours makes one of its own.

    Raises LocalCloudError when a lane does not come to rest, or a pair gets no verdict, in time.
    """
    for wave in waves(cases):
        started = time.monotonic()
        yield from _run_wave(operator, wave)
        progress(f"{wave[0].day}: {len(wave)} cases in {time.monotonic() - started:.0f} s")


def waves(cases: Iterable[CorpusCase]) -> Iterator[tuple[CorpusCase, ...]]:
    """Split cases into those that can run beside each other."""
    for _, of_day in groupby(cases, key=lambda case: case.instance):
        found = tuple(of_day)
        beside = tuple(case for case in found if case.plant is None or not case.plant.alone)
        yield from ((beside,) if beside else ())
        yield from ((case,) for case in found if case not in beside)


def _run_wave(operator: Operator, wave: Sequence[CorpusCase]) -> list[CaseResult]:
    seconds = 30 + SECONDS_A_CASE * len(wave)
    set_up(operator, wave)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda case: play(operator, case), wave))
    _await(lambda: _rests(operator), "empty queues", seconds)
    operator.set_deadlines(DECIDES_AT_ONCE)

    def judged() -> bool:
        with suppress(FunctionFailed):  # a function whose environment has just changed may be called while it starts anew
            operator.sweep()
        return not any(_is_open(operator, case) for case in wave)

    _await(judged, "every verdict", seconds)
    return [_result(operator, case) for case in wave]


def set_up(operator: Operator, wave: Sequence[CorpusCase]) -> None:
    """Give the market the wave's prices, the control its positions, and plant."""
    stack, broker = operator.stack, operator.stack.broker
    operator.await_quiet()  # a changed function ends what it is doing, and a hint in its hands stays invisible for long
    operator.set_deadlines(PATIENT)
    broker.clear_faults()
    broker.set_day(wave[0].day, {symbol: price for case in wave for symbol, price in case.closes.items()})
    broker.set_positions(Role.CONTROL, {symbol: shares for case in wave for symbol, shares in case.positions.items()})
    broker.set_account(Role.CONTROL, cash=cash_of(wave))
    for symbol in (symbol for case in wave for symbol in case.untradable):
        broker.set_asset(symbol, tradable=False)
    for fault in (fault for case in wave for fault in case.planting.broker_faults()):
        broker.add_fault(fault)
    stack.plant([fault for case in wave for fault in case.planting.faults(Role.CONTROL)])
    stack.plant_in_candidate([fault for case in wave for fault in case.planting.faults(Role.CANDIDATE)])


def play(operator: Operator, case: CorpusCase) -> None:
    """Publish a plan, and wait until its pair is judged or nothing moves any more."""
    operator.publish(case.plan)
    plan_id = case.plan.plan_id

    def rests() -> bool:
        if not _is_open(operator, case):
            return True
        return operator.candidate_status(plan_id) not in (None, "RUNNING") and operator.is_quiet()

    _await(rests, f"the lanes of {plan_id}", _LANE_SECONDS)


def _rests(operator: Operator) -> bool:
    """Whether nothing moved at two looks: an event may have been between two queues at the first."""
    if not operator.is_quiet():
        return False
    time.sleep(_BETWEEN_LOOKS)
    return operator.is_quiet()


def _is_open(operator: Operator, case: CorpusCase) -> bool:
    pair = operator.ledger.get(case.plan.plan_id)
    return pair is None or pair.state in _OPEN


def _await(look: Callable[[], bool], what: str, seconds: float) -> None:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if look():
            return
        time.sleep(_POLL_SECONDS)
    raise LocalCloudError(f"{what}: expected within {seconds:.0f} s, has not come")


def _result(operator: Operator, case: CorpusCase) -> CaseResult:
    pair = operator.ledger.get(case.plan.plan_id)
    if pair is None:
        raise LocalCloudError(f"{case.plan.plan_id}: expected a pair, was none")
    comparison = Comparison.parse_json(operator.comparison_of(pair))
    return CaseResult(case, comparison, reckon(case.planting.planted, comparison.differences))
