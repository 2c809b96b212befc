"""Business Unit: benchmarks | Status: current.

B5 and B6, and their growth: evidence documents to a verdict document, and a long history to an outcome, held against
`json.loads` of the same bytes. Times are the process's CPU seconds: nothing here waits for anything.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from benchmarks.candidate_documents import CandidateRun
from benchmarks.evidence_documents import Documents, documents_of
from benchmarks.plans import plan_of
from benchmarks.rows import Growth, Line, Measurement, timed
from benchmarks.timing import exponent, in_turn
from shadow.compare.case import PairCase
from shadow.compare.policy import default_policy
from shadow.contracts.control_records import MAX_EVENTS
from shadow.contracts.model import canonical
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.plan import RebalancePlan
from shadow.lanes.workflow.reader import CandidateRecords, read_candidate
from shadow.settlement.documents import DESCRIBE, EVENT, candidate_outcome, control_outcome
from shadow.settlement.judging import Case, Judgement, judge_by, pair_case

TRADES = 50
PAIR_LIMIT, HISTORY_LIMIT, GROWTH_LIMIT = 5.0, 2.5, 1.05
EVENTS_A_TRADE, QUICK_EVENTS = 11, 5_000
PARSING = "json.loads"
_JUDGE = judge_by(default_policy())


@dataclass(frozen=True, slots=True)
class History:
    """The evidence of one execution: what it says of itself, and its events, one text each."""

    plan: RebalancePlan
    describe: bytes
    events: list[bytes]


def verdict_of(documents: Documents) -> Judgement:
    """Do what the comparator does once it holds a pair's documents."""
    return _JUDGE(_read(documents))


def case_of(documents: Documents) -> PairCase:
    """Read a pair's documents into what a judge is given."""
    return pair_case(_read(documents), "benchmark")


def _read(documents: Documents) -> Case:
    read = documents.store.read
    plan = RebalancePlan.read_json(documents.plan)
    control = control_outcome(documents.pair, read(documents.control), read(documents.effects))
    candidate = candidate_outcome(documents.pair, read(documents.candidate), plan)
    return Case(documents.pair, plan, control, candidate, ())


def measure_pair(*, quick: bool) -> Measurement:
    """B5: one pair of 50 trades."""
    documents = documents_of(TRADES)
    texts = documents.lines()
    times = in_turn(
        {"ours": lambda: verdict_of(documents), "floor": lambda: [json.loads(text) for text in texts]},
        7 if quick else 31,
        calls=3,
        clock=time.process_time,
    )
    judged = verdict_of(documents).comparison
    size = sum(map(len, texts))
    note = f"{size / 1e6:.2f} MB of documents; the verdict is {judged.verdict}, {len(judged.differences)} differences"
    return Measurement((timed("50 trades", times["ours"], times["floor"], PAIR_LIMIT, against=PARSING),), notes=(note,))


def measure_history(*, quick: bool) -> Measurement:
    """B6: a history of 25,000 events, the longest that there is."""
    events = QUICK_EVENTS if quick else MAX_EVENTS
    history = _long_history(events)
    times = in_turn(
        {"ours": lambda: _outcome_of(history), "floor": lambda: _parsed(history)},
        3 if quick else 9,
        clock=time.process_time,
    )
    size, trades = sum(map(len, history.events)) / 1e6, len(_outcome_of(history).trades)
    note = f"{size:.1f} MB, {len(history.events):,} events, {trades:,} trades, one line an event as evidence is stored"
    line = timed(f"{events:,} events", times["ours"], times["floor"], HISTORY_LIMIT, against=PARSING)
    return Measurement((line,), notes=(note,))


def measure_growth(*, quick: bool) -> Measurement:
    """B12, the parts that need no cloud: cost at 1, 10, 100 and 1,000 times the size."""
    pairs = (5, 10, 20) if quick else (5, 50, 500, 5_000)
    events = (25, 100, 400) if quick else (25, 250, 2_500, 25_000)
    made = {trades: documents_of(trades) for trades in pairs}
    texts = {trades: documents.lines() for trades, documents in made.items()}
    histories = {count: _long_history(count) for count in events}
    grown = (
        _growth(
            "B5 judging a pair", "trades", pairs, lambda n: verdict_of(made[n]), lambda n: [json.loads(text) for text in texts[n]]
        ),
        _growth("B6 reading a history", "events", events, lambda n: _outcome_of(histories[n]), lambda n: _parsed(histories[n])),
    )
    return Measurement(tuple(growth_line(each) for each in grown), grown)


def growth_line(grown: Growth) -> Line:
    """Judge a growth by its exponent."""
    slope = grown.exponent or 0.0
    return Line(grown.name, "s", grown.ours[-1], slope, "exponent", GROWTH_LIMIT, against=f"{grown.sizes[-1]:,.0f} {grown.size}")


def _growth(name: str, size: str, sizes: Sequence[int], ours: Callable[[int], object], floor: Callable[[int], object]) -> Growth:
    costs: dict[str, list[float]] = {"ours": [], "json.loads": []}
    for count in sizes:
        turns, calls = (5, 1) if count == sizes[-1] else (5, max(1, sizes[-2] // count // 2))
        works = {"ours": partial(ours, count), "json.loads": partial(floor, count)}
        times = in_turn(works, turns, calls, clock=time.process_time)
        for who, found in times.items():
            costs[who].append(min(found))
    fitted = exponent(sizes[1:], costs["ours"][1:])
    return Growth(
        name, size, tuple(sizes), tuple(costs["ours"]), others={"json.loads": tuple(costs["json.loads"])}, exponent=fitted
    )


def _long_history(events: int) -> History:
    """Make the evidence of an execution whose inline Maps wrote about `events` events."""
    plan = plan_of(max(2, events // EVENTS_A_TRADE))
    records = CandidateRun(plan, len(plan.items), inline=True).records()
    lines = [canonical(value).encode() for what, value in records if what in (DESCRIBE, EVENT)]
    return History(plan, lines[0], lines[1:])


def _outcome_of(history: History) -> RunOutcome:
    """Read an outcome, each event parsed as it goes by."""
    events = (json.loads(line) for line in history.events)
    records = CandidateRecords(describe=json.loads(history.describe), history=events, state_items=())
    return read_candidate(history.plan.plan_id, history.plan.plan_id, records, history.plan)


def _parsed(history: History) -> None:
    """Parse the same bytes and keep nothing."""
    json.loads(history.describe)
    for line in history.events:
        json.loads(line)
