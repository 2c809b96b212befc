"""Two lanes that do the same are never told apart by the market, the clock or the machine that they run on."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from shadow.compare.case import PairCase
from shadow.compare.judge import judge
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import Verdict
from shadow.contracts.outcome import RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import Role
from tests.strategies.outcomes import SCENARIOS, Fate, LaneMaker, World, case_of, random_world

_DRIFT = Decimal("0.0020")
_GAP = Decimal("0.04")


class DriftingLane(LaneMaker):
    """A lane whose quotes and fills drift up to 20 bps, between its decision and its fill, and from the other lane's."""

    def _mid(self, fate: Fate) -> Decimal:
        drift = Decimal(self.rng.randint(-1000, 1000)) / 1000 * _DRIFT
        return (fate.price * (1 + drift)).quantize(Decimal("0.01")) + Decimal("0.005")


def gapped(world: World, rng: random.Random) -> World:
    """Move every price up to 4 % after the plan was made: positions and planned dollars stay as they were."""
    fates = []
    for fate in world.fates:
        gap = Decimal(rng.randint(-1000, 1000)) / 1000 * _GAP
        fates.append(replace(fate, price=(fate.price * (1 + gap)).quantize(Decimal("0.01"))))
    return replace(world, fates=tuple(fates))


def late(run: RunOutcome, rng: random.Random) -> RunOutcome:
    """Let a busy machine or a slow network delay the run, its trades and its end, each by its own amount."""
    shift = timedelta(seconds=rng.uniform(0, 120))
    stretch = timedelta(seconds=rng.uniform(0, 240))

    def delayed(trade: TradeOutcome) -> TradeOutcome:
        moved = {name: getattr(trade, name) for name in ("started_at", "completed_at")}
        orders = tuple(o.model_copy(update={"submitted_at": o.submitted_at and o.submitted_at + shift}) for o in trade.orders)
        return trade.model_copy(update={name: at and at + shift for name, at in moved.items()} | {"orders": orders})

    assert run.started_at is not None
    assert run.completed_at is not None
    return run.model_copy(
        update={
            "started_at": run.started_at + shift / 2,
            "completed_at": run.completed_at + shift + stretch,
            "trades": tuple(map(delayed, run.trades)),
        }
    )


def proved(run: RunOutcome) -> RunOutcome:
    """Let the broker say what is left of a full exit: nothing."""
    trades = tuple(
        t.model_copy(update={"residual_position": Decimal(0)}) if t.is_complete_exit and t.filled_quantity else t
        for t in run.trades
    )
    return run.model_copy(update={"trades": trades})


def equal_pair(seed: int) -> PairCase:
    rng = random.Random(f"equal-{seed}")
    scenario = SCENARIOS[seed % len(SCENARIOS)]
    world = gapped(random_world(seed, rng.randint(1, 9), scenario), rng)
    lanes = {role: late(DriftingLane(world, role).run(), rng) for role in Role}
    if rng.random() < 0.5:
        lanes = {role: proved(run) for role, run in lanes.items()}
    return replace(case_of(world), control=lanes[Role.CONTROL], candidate=lanes[Role.CANDIDATE])


def verdicts(seeds: range) -> Counter[Verdict]:
    policy = default_policy()
    return Counter(judge(equal_pair(seed), policy).verdict for seed in seeds)


def test_equal_lanes_match_whatever_the_market_and_the_machine_do() -> None:
    assert verdicts(range(200)) == {Verdict.MATCHED: 200}


@pytest.mark.long
def test_two_thousand_pairs_of_equal_lanes_match() -> None:
    assert verdicts(range(2000)) == {Verdict.MATCHED: 2000}


def test_the_gap_and_the_drift_are_there() -> None:
    """The pairs above are not the easy ones: full exits are worth other dollars than planned, and prices differ."""
    far, apart = 0, 0
    for seed in range(200):
        case = equal_pair(seed)
        assert case.control is not None
        assert case.candidate is not None
        values = {item.symbol: item.current_value for item in case.plan.items}
        theirs = {trade.trade_id: trade for trade in case.candidate.trades}
        for trade in case.control.trades:
            if trade.is_complete_exit and trade.value:
                far += abs(trade.value / values[trade.symbol] - 1) > Decimal("0.025")
            other = theirs[trade.trade_id].average_price
            if trade.average_price and other:
                apart += abs(trade.average_price / other - 1) > Decimal("0.0020")
    assert far > 20
    assert apart > 50
