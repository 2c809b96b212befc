"""Each field of each record of one trade and run, changed in one lane: the judge answers, and never for the other lane alone.

What may be changed and still match is listed with the reason: the list is what nobody looks at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum

import pytest
from pydantic import BaseModel

from shadow.compare.case import PairCase
from shadow.compare.judge import judge
from shadow.compare.policy import default_policy
from shadow.contracts.comparison import Comparison, Verdict
from shadow.contracts.outcome import TradeOutcome
from shadow.contracts.vocabulary import Role
from tests.strategies.outcomes import random_case
from tests.strategies.planting import is_buy, is_exit, is_sell, run_of, with_run

POLICY = default_policy()
BASE = random_case(5, 8)
PICKS = {"buy": is_buy, "sell": is_sell, "exit": is_exit}
UNJUDGED = {
    "raw_status": "the lane's own word, kept beside the one that is judged",
    "started_at": "when a lane began is its own; what cannot be loosens no bound",
    "completed_at": "when a lane ended is its own",
    "submitted_at": "when an order was sent says which is first, where there is more than one",
    "at": "when an effect was seen",
    "quote_at": "a quote time that a lane did not record is a gap where the policy asks for it",
    "market_at": "a clock that a lane did not record is a gap where the policy asks for it",
    "is_complete_exit": "a lane that says nothing of it is held to what it did",
    "order_id": "an order's own name at the broker; whose an order is, is asked of the broker",
    "order_type": "the control records the type of its last order only, which says nothing of the first",
    "limit_price": "a limit within the policy's bound of the quote",
    "attempts": "fewer than the policy allows",
    "state_transitions": "for the bill",
    "redrive_count": "told beside the run",
    "emitted": "what a lane in production recorded and did not emit is left out before it is judged",
    "broker_truth": "says who was asked, not what was done",
    "buy_phase_started_at": "for the charts",
    "terminal_state": "the reader has judged it: the run's status follows from it",
    "lane_name": "a name",
    "run_id": "the control's own",
    "trade_id": "an effect without one is matched by symbol and side",
    "symbol": "an effect without one is matched by its trade's id",
    "success": "a ledger entry has none",
    "equity.limit": "a lane that says nothing of it is held to its run's",
    "equity": "the control records none where it let a BUY pass",
    "orders": "the control records its last order only, if any",
}
"""What nobody looks at, or only beyond a tolerance, and why. A value that is wrong there changes no shares and no dollars."""


def others_of(value: object) -> Iterator[object]:
    """Give other values of a field: scaled, of the other sign, nothing, another word, a neighbour's."""
    if isinstance(value, bool):
        yield not value
    elif isinstance(value, Decimal):
        yield from (other for other in (value * 4, value / 4, -value, Decimal(0)) if other != value)
    elif isinstance(value, Enum):
        yield from [each for each in type(value) if each is not value][:5]
    elif isinstance(value, str):
        yield f"{value}x"
    elif isinstance(value, int):
        yield value + 1
    elif isinstance(value, datetime):
        yield from (value + timedelta(hours=2), value - timedelta(hours=2))


def changed(record: BaseModel, at: str = "") -> Iterator[tuple[str, BaseModel]]:
    """Give a record with one of its fields changed, each with the field's path; of a list, in its first entry."""
    for name in type(record).model_fields:
        value = getattr(record, name)
        for other in others_of(value):
            yield f"{at}{name}", record.model_copy(update={name: other})
        inner = value[0] if isinstance(value, tuple) and value else value
        if isinstance(inner, BaseModel) and not isinstance(inner, TradeOutcome):
            for path, new in changed(inner, f"{at}{name}."):
                yield path, record.model_copy(update={name: (new, *value[1:]) if isinstance(value, tuple) else new})


def audited(comparison: Comparison, role: Role, path: str) -> list[str]:
    """Give what is wrong with the judgement of a pair in which one field of one lane was changed."""
    named = {each.attribution.value for each in comparison.differences if each.counts}
    told = [each.kind for each in comparison.differences if each.counts]
    if comparison.verdict in (Verdict.MATCHED, Verdict.IGNORED):
        known = path in UNJUDGED or path.rpartition(".")[2] in UNJUDGED
        return [] if known else [f"{path} of the {role}: {comparison.verdict}"]
    innocent = {each.value for each in Role} - {role.value}
    return [f"{path} of the {role} names the other lane: {told}"] if named & innocent else []


def broken(case: PairCase, role: Role, path: str) -> list[str]:
    return audited(judge(case, POLICY), role, path)


@pytest.mark.parametrize("pick", PICKS)
@pytest.mark.parametrize("role", list(Role))
def test_a_field_of_a_trade_that_is_wrong_in_one_lane_is_told_of_that_lane(role: Role, pick: str) -> None:
    run = run_of(BASE, role)
    chosen = next(trade for trade in run.trades if PICKS[pick](trade))
    wrong = []
    for path, new in changed(chosen):
        trades = tuple(new if trade is chosen else trade for trade in run.trades)
        wrong += broken(with_run(BASE, role, trades=trades), role, path)
    assert wrong == []


NAMES_OF_A_RUN = {"role", "lane", "plan_id"}
"""What the pair itself says: the readers are told, and do not ask the lane."""


@pytest.mark.parametrize("role", list(Role))
def test_a_field_of_a_run_that_is_wrong_in_one_lane_is_told_of_that_lane(role: Role) -> None:
    wrong = []
    for path, new in changed(run_of(BASE, role)):
        if path not in NAMES_OF_A_RUN:
            wrong += broken(replace(BASE, **{role.value: new}), role, path)
    assert wrong == []
