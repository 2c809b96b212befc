"""What holds of every judgement, whatever the pair: purity, symmetry, order, and that nothing unseen is ever called equal."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from shadow.compare.case import PairCase, case_of
from shadow.compare.document import canonical_bytes, digest_of, read_comparison
from shadow.compare.judge import judge, weighed, with_totals
from shadow.compare.kinds import KINDS
from shadow.compare.policy import Policy, default_policy
from shadow.contracts.comparison import Attribution, Comparison, Counts, Difference, Impact, Severity, Verdict
from shadow.contracts.errors import InvalidPayload
from shadow.contracts.outcome import Gap, RunOutcome
from shadow.contracts.vocabulary import Lane, Role, RunStatus
from tests.strategies.outcomes import DAY, SCENARIOS, cases, random_case
from tests.strategies.planting import run_of
from tests.strategies.plants import PLANTS
from tests.strategies.policies import policy_with

RELAXED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
MIRROR = {
    Attribution.CONTROL: Attribution.CANDIDATE,
    Attribution.CANDIDATE: Attribution.CONTROL,
    Attribution.NEITHER: Attribution.NEITHER,
}
LANES = (Role.CONTROL, Role.CANDIDATE)


@st.composite
def planted(draw: st.DrawFn) -> PairCase:
    """An honest pair, or one with one or two planted differences."""
    case = draw(cases(max_trades=6))
    for plant in draw(st.lists(st.sampled_from(PLANTS), max_size=2)):
        try:
            case = plant.edit(case, draw(st.sampled_from(plant.lanes)))
        except (StopIteration, AssertionError, IndexError, TypeError):
            continue  # this pair has nothing to plant that in
    return case


def swapped(case: PairCase) -> PairCase:
    """Let each lane have done what the other did."""
    return replace(
        case,
        control=case.candidate.model_copy(update={"role": Role.CONTROL}) if case.candidate else None,
        candidate=case.control.model_copy(update={"role": Role.CANDIDATE}) if case.control else None,
    )


def mirrored(policy: Policy) -> Policy:
    """Ask of each role what the policy asks of the other. What it asks of a lane goes with the lane."""
    other = {Role.CONTROL: Role.CANDIDATE, Role.CANDIDATE: Role.CONTROL}
    roles = tuple(other[role] for role in policy.applies.duration_ratio)
    return policy.model_copy(update={"applies": policy.applies.model_copy(update={"duration_ratio": roles})})


def shuffled(run: RunOutcome | None, rng: random.Random) -> RunOutcome | None:
    if run is None:
        return None
    trades, effects, gaps = list(run.trades), list(run.effects or ()), list(run.gaps)
    for records in (trades, effects, gaps):
        rng.shuffle(records)
    return run.model_copy(
        update={
            "trades": tuple(trades),
            "effects": None if run.effects is None else tuple(effects),
            "gaps": tuple(gaps),
            "violations": tuple(reversed(run.violations)),
        }
    )


@RELAXED
@given(planted())
def test_judging_again_gives_the_identical_document(case: PairCase) -> None:
    first = canonical_bytes(judge(case, default_policy()))
    assert canonical_bytes(judge(case, default_policy())) == first
    assert canonical_bytes(read_comparison(first)) == first
    assert len(digest_of(first)) == 64


@RELAXED
@given(planted())
def test_judging_a_stored_comparison_again_gives_the_identical_document(case: PairCase) -> None:
    stored = judge(case, default_policy())
    again = judge(case_of(read_comparison(canonical_bytes(stored)), stored.code_version), default_policy())
    assert canonical_bytes(again) == canonical_bytes(stored)


@RELAXED
@given(planted(), st.integers())
def test_the_order_of_records_changes_nothing(case: PairCase, seed: int) -> None:
    rng = random.Random(seed)
    other = replace(case, control=shuffled(case.control, rng), candidate=shuffled(case.candidate, rng))
    assert canonical_bytes(judge(other, default_policy())) == canonical_bytes(judge(case, default_policy()))


def told(comparison: Comparison, *, mirror: bool = False) -> set[tuple[object, ...]]:
    """Say what a comparison found, without its wording."""
    sign = -1 if mirror else 1
    lanes = ("candidate", "control") if mirror else ("control", "candidate")
    return {
        (
            (d.kind, d.field, d.trade_id),
            d.severity,
            MIRROR[d.attribution] if mirror else d.attribution,
            d.planned if "control" not in (d.planned or "") else None,
            getattr(d, lanes[0]),
            getattr(d, lanes[1]),
            sign * d.impact.notional,
            sign * d.impact.cash,
            d.caused_by and d.caused_by.rpartition("/")[0],
        )
        for d in comparison.differences
    }


@settings(RELAXED, max_examples=80)
@given(planted())
def test_swapping_the_lanes_mirrors_attribution_and_turns_the_dollars_around(case: PairCase) -> None:
    policy = default_policy()
    there, back = judge(case, policy), judge(swapped(case), mirrored(policy))
    assert told(back) == told(there, mirror=True)
    assert back.verdict is there.verdict
    assert back.gross_impact == there.gross_impact


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_no_false_alarm_over_a_thousand_pairs_of_honest_lanes(scenario: str) -> None:
    policy = default_policy()
    verdicts = [judge(random_case(seed, seed % 9, scenario), policy).verdict for seed in range(200)]
    assert verdicts == [Verdict.MATCHED] * 200


def test_no_false_alarm_when_one_outcome_is_relabelled_as_the_other_lane() -> None:
    policy = default_policy()
    for seed in range(240):
        case = random_case(seed, seed % 6, SCENARIOS[seed % len(SCENARIOS)])
        run = run_of(case, Role.CANDIDATE)
        same = replace(case, control=run.model_copy(update={"role": Role.CONTROL}))
        comparison = judge(same, policy)
        assert comparison.verdict is Verdict.MATCHED
        assert comparison.differences == ()


REPEATED_ELSEWHERE = {
    "effects.action": "an effect's trade id, symbol and side each name its trade",
    "effects.symbol": "an effect's trade id, symbol and side each name its trade",
    "effects.trade_id": "an effect's trade id, symbol and side each name its trade",
    "effects.amount": "repeats quantity * price",
    "effects.correlation_id": "the contract of the event asks for it: the reader makes an absent one a breach",
    "effects.plan_id": "the contract of the event asks for it: the reader makes an absent one a breach",
    "effects.run_id": "the contract of the event asks for it: the reader makes an absent one a breach",
    "effects.order_id": "names the row; the quantity is what counts",
    "state_transitions": "a cost, not a difference",
    "trades.error_message": "text for people; the reason is judged",
    "trades.raw_status": "the lane's own word; the status is judged",
    "trades.started_at": "of a trade that was left alone",
    "trades.completed_at": "of a trade that was left alone",
    "trades.equity": "of a BUY that was blocked: its reason says so; the control does not record it",
    "trades.equity.limit": "repeats the run's",
    "trades.equity.cumulative": "of a BUY that was blocked",
    "trades.orders.limit_price": "a market order has none",
    "trades.orders.order_id": "the client order id names the order",
    "trades.orders.submitted_at": "the step numbers order the chain",
    "control trades.order_id": "of a trade that failed: the control may have had no order",
    "control trades.orders": "the control's record repeats the trade's order id and type",
    "control trades.orders.order_type": "the control's record repeats the trade's order id and type",
}


def deletions(model: BaseModel, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """Give the path of every field that is set and can be absent, and of every record in a list."""
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if value is None or value in ((), "") or value == info.default:
            continue
        if not info.is_required() and not isinstance(value, bool):
            yield (*path, name)
        if isinstance(value, BaseModel):
            yield from deletions(value, (*path, name))
        elif isinstance(value, tuple):
            for index, entry in enumerate(value):
                yield (*path, name, index)
                if isinstance(entry, BaseModel):
                    yield from deletions(entry, (*path, name, index))


def without(model: BaseModel, path: tuple[str | int, ...]) -> BaseModel:
    name, *rest = path
    value = getattr(model, str(name))
    if not rest:
        default = type(model).model_fields[str(name)].default
        return model.model_copy(update={str(name): default})
    if isinstance(value, tuple):
        index = int(rest[0])
        if len(rest) == 1:
            return model.model_copy(update={str(name): value[:index] + value[index + 1 :]})
        return model.model_copy(update={str(name): (*value[:index], without(value[index], tuple(rest[1:])), *value[index + 1 :])})
    return model.model_copy(update={str(name): without(value, tuple(rest))})


@pytest.mark.parametrize("role", LANES)
@pytest.mark.parametrize("scenario", SCENARIOS)
def test_deleting_any_piece_of_evidence_never_yields_matched(scenario: str, role: Role) -> None:
    policy = default_policy()
    matched = set()
    case = random_case(11, 4, scenario)
    for path in deletions(run_of(case, role)):
        torn = without(run_of(case, role), path)
        if judge(replace(case, **{role.value: torn}), policy).verdict is Verdict.MATCHED:
            matched.add(".".join(part for part in path if isinstance(part, str)))
    assert {name for name in matched if name not in REPEATED_ELSEWHERE and f"{role} {name}" not in REPEATED_ELSEWHERE} == set()


@pytest.mark.parametrize("role", LANES)
def test_what_the_reader_could_not_read_makes_the_pair_incomplete_by_name(role: Role) -> None:
    case = random_case(3)
    torn = run_of(case, role).model_copy(update={"gaps": (Gap(what="history", reason="truncated at 25,000 events"),)})
    comparison = judge(replace(case, **{role.value: torn}), default_policy())
    assert comparison.verdict is Verdict.INCOMPLETE
    assert comparison.gaps == (f"{role}: history: truncated at 25,000 events",)


def test_a_breach_of_contract_is_a_gap_with_the_field_and_no_divergence() -> None:
    case = random_case(3)
    run = run_of(case, Role.CANDIDATE)
    torn = run.model_copy(update={"violations": ("trades[0].price: expected a decimal, was 'x'",)})
    comparison = judge(replace(case, candidate=torn), default_policy())
    assert comparison.verdict is Verdict.INCOMPLETE
    assert comparison.differences == ()
    assert "contract violation: trades[0].price" in comparison.gaps[0]


def test_what_was_not_seen_is_not_called_absent() -> None:
    case = random_case(3)
    unread = RunOutcome(
        role=Role.CONTROL,
        lane=Lane.LEGACY,
        run_id=run_of(case, Role.CONTROL).run_id,
        plan_id=case.plan.plan_id,
        status=RunStatus.UNFINISHED,
        trades=(),
        gaps=(Gap(what="control items", reason="expired before they were read"),),
    )
    comparison = judge(replace(case, control=unread), default_policy())
    assert comparison.verdict is Verdict.INCOMPLETE
    assert comparison.differences == ()


@pytest.mark.parametrize(
    ("control", "candidate", "verdict"),
    [
        (False, True, Verdict.MISSING_CONTROL),
        (True, False, Verdict.MISSING_CANDIDATE),
        (False, False, Verdict.INCOMPLETE),
    ],
)
def test_an_absent_lane_is_missing_and_costs_nothing(control: bool, candidate: bool, verdict: Verdict) -> None:  # noqa: FBT001
    case = random_case(5)
    torn = replace(case, control=case.control if control else None, candidate=case.candidate if candidate else None)
    comparison = judge(torn, default_policy())
    assert comparison.verdict is verdict
    assert comparison.gross_impact == 0
    assert not any(difference.counts for difference in comparison.differences)


def test_an_unfinished_pair_is_never_a_match_even_when_both_lanes_are_stuck_alike() -> None:
    case = random_case(5)
    runs = {
        role.value: run_of(case, role).model_copy(update={"status": RunStatus.UNFINISHED, "raw_status": "RUNNING"})
        for role in LANES
    }
    comparison = judge(replace(case, **runs), default_policy())
    assert comparison.verdict is Verdict.DIVERGED
    found = {(d.kind, d.attribution) for d in comparison.differences}
    assert {("RUN_STUCK", Attribution.CONTROL), ("RUN_STUCK", Attribution.CANDIDATE)} <= found


@RELAXED
@given(planted())
def test_totals_are_the_sums_of_their_parts_and_a_trade_counts_once(case: PairCase) -> None:
    comparison = judge(case, default_policy())
    assert comparison.impact.notional == sum((d.impact.notional for d in comparison.differences), Decimal(0))
    assert comparison.impact.cash == sum((d.impact.cash for d in comparison.differences), Decimal(0))
    assert comparison.gross_impact >= abs(comparison.impact.cash)
    assert all(d.impact.notional == 0 == d.impact.cash for d in comparison.differences if d.caused_by)
    keys = [d.key for d in comparison.differences]
    assert len(keys) == len(set(keys))
    assert {d.caused_by for d in comparison.differences} - {None} <= set(keys)
    assert all(d.kind in KINDS for d in comparison.differences)


@pytest.mark.parametrize(
    "document",
    [b'{"plan_id":"a","plan_id":"b"}', b'{"gross_impact":1.5}', b'{"gross_impact":NaN}', b"", b"[]", b"\xff"],
)
def test_a_document_that_somebody_else_wrote_is_refused(document: bytes) -> None:
    with pytest.raises(InvalidPayload):
        read_comparison(document)


def test_a_market_that_moved_between_the_lanes_is_not_a_difference() -> None:
    case = random_case(21, 8)
    run = run_of(case, Role.CANDIDATE)
    assert run.completed_at is not None
    later = run.model_copy(update={"completed_at": run.completed_at + timedelta(seconds=20)})
    prices = {t.symbol: t.average_price for t in run.trades}
    assert any(prices[t.symbol] != t.average_price for t in run_of(case, Role.CONTROL).trades)
    assert judge(replace(case, candidate=later), default_policy()).verdict is Verdict.MATCHED


def told_as(severity: Severity, number: int = 0, **changes: object) -> Difference:
    """A difference of its own worth 10 USD, and `number` more."""
    usd = Decimal(10 + number)
    own = {
        "kind": "SLIPPAGE",
        "level": KINDS["SLIPPAGE"].level,
        "attribution": Attribution.CANDIDATE,
        "field": f"f{number}",
        "rule": "exact",
    }
    worth = {"impact": Impact(notional=usd, cash=-usd, gross=usd)}
    return Difference.model_validate({"severity": severity, "explanation": "e"} | own | worth | changes)


NOTHING = Impact()
CAUSE = told_as(Severity.MAJOR)
FOLLOWS = told_as(Severity.INFO, 1, caused_by=CAUSE.key, impact=NOTHING)
COVERED = told_as(Severity.MINOR, 2, covered_by="KD-1")
FOLLOWS_COVERED = told_as(Severity.INFO, 3, caused_by=COVERED.key, covered_by="KD-1", impact=NOTHING)
APART = told_as(Severity.CRITICAL, 4, root=COVERED.key)
REMARK = told_as(Severity.INFO, 5)


@pytest.mark.parametrize(
    ("differences", "verdict", "counts", "uncovered", "worth"),
    [
        ((), Verdict.MATCHED, {}, {}, (0, 0)),
        ((REMARK,), Verdict.MATCHED, {"info": 1}, {"info": 1}, (15, 15)),
        ((CAUSE,), Verdict.DIVERGED, {"major": 1}, {"major": 1}, (10, 10)),
        ((CAUSE, FOLLOWS), Verdict.DIVERGED, {"major": 1}, {"major": 1}, (10, 10)),
        ((COVERED,), Verdict.IGNORED, {"minor": 1}, {}, (12, 0)),
        ((COVERED, FOLLOWS_COVERED), Verdict.IGNORED, {"minor": 1}, {}, (12, 0)),
        ((COVERED, FOLLOWS_COVERED, REMARK), Verdict.IGNORED, {"minor": 1, "info": 1}, {"info": 1}, (27, 15)),
        ((COVERED, APART), Verdict.DIVERGED, {"minor": 1, "critical": 1}, {"critical": 1}, (26, 14)),
        (
            (CAUSE, FOLLOWS, COVERED, FOLLOWS_COVERED, APART, REMARK),
            Verdict.DIVERGED,
            {"critical": 1, "major": 1, "minor": 1, "info": 1},
            {"critical": 1, "major": 1, "info": 1},
            (51, 39),
        ),
    ],
)
def test_what_follows_from_another_difference_is_counted_there_and_what_is_covered_is_counted_apart(
    differences: tuple[Difference, ...],
    verdict: Verdict,
    counts: dict[str, int],
    uncovered: dict[str, int],
    worth: tuple[int, int],
) -> None:
    told = with_totals(judge(random_case(3), default_policy()).model_copy(update={"differences": differences}))
    assert told.verdict is verdict
    assert (told.counts, told.uncovered_counts) == (Counts(**counts), Counts(**uncovered))
    assert (told.gross_impact, told.uncovered_gross_impact) == worth
    assert (told.impact.notional, told.impact.cash, told.impact.gross) == (worth[0], -worth[0], worth[0])


@pytest.mark.parametrize("lost", [(), ("control",), ("candidate",), ("control", "candidate")])
@pytest.mark.parametrize("gaps", [(), ("candidate: history: cut",)])
def test_an_absent_lane_comes_first_and_then_what_was_not_seen_whatever_differs(
    lost: tuple[str, ...], gaps: tuple[str, ...]
) -> None:
    base = judge(random_case(3), default_policy())
    absent = {("control",): Verdict.MISSING_CONTROL, ("candidate",): Verdict.MISSING_CANDIDATE}
    seen: tuple[tuple[tuple[Difference, ...], Verdict], ...] = (
        ((), Verdict.MATCHED),
        ((CAUSE,), Verdict.DIVERGED),
        ((COVERED,), Verdict.IGNORED),
    )
    for differences, verdict in seen:
        told = with_totals(base.model_copy(update={"differences": differences, "gaps": gaps, **dict.fromkeys(lost)}))
        assert told.verdict is (absent.get(lost, Verdict.INCOMPLETE) if lost or gaps else verdict)


KNOWN = policy_with(kind="QUOTE_WIDE", side="*", lane="*")
UNKNOWN = default_policy()
MINOR, MAJOR, CRITICAL, INFO = Severity.MINOR, Severity.MAJOR, Severity.CRITICAL, Severity.INFO


@pytest.mark.parametrize(
    ("policy", "following", "root", "rest"),
    [
        # a cause takes over the dollars and the highest severity; what follows is a remark
        (UNKNOWN, (), (MINOR, None, 1), []),
        (UNKNOWN, (("VALUE", 10),), (MINOR, None, 11), [(INFO, True, None, 0)]),
        (UNKNOWN, (("FILLED_QUANTITY", 10),), (MAJOR, None, 11), [(INFO, True, None, 0)]),
        (UNKNOWN, (("VALUE", 10), ("ASKED_QUANTITY", 0)), (CRITICAL, None, 11), [(INFO, True, None, 0)] * 2),
        (UNKNOWN, (("VALUE", 60), ("SKIP_REASON", 38)), (MINOR, None, 99), [(INFO, True, None, 0)] * 2),
        (UNKNOWN, (("VALUE", 60), ("SKIP_REASON", 39)), (MAJOR, None, 100), [(INFO, True, None, 0)] * 2),
        # a known one covers what follows from it and is no more severe
        (KNOWN, (), (MINOR, "KD-1", 1), []),
        (KNOWN, (("VALUE", 10),), (MINOR, "KD-1", 11), [(INFO, True, "KD-1", 0)]),
        (KNOWN, (("PRICE_NOT_THE_FILL", 10),), (MINOR, "KD-1", 11), [(INFO, True, "KD-1", 0)]),
        # what is more severe stands by itself, and nothing else does
        (KNOWN, (("FILLED_QUANTITY", 10),), (MINOR, "KD-1", 1), [(MAJOR, False, None, 10)]),
        (
            KNOWN,
            (("FILLED_QUANTITY", 10), ("VALUE", 20)),
            (MINOR, "KD-1", 21),
            [(MAJOR, False, None, 10), (INFO, True, "KD-1", 0)],
        ),
        # little each and much together: what is worth something stands by itself
        (KNOWN, (("VALUE", 60), ("SKIP_REASON", 38)), (MINOR, "KD-1", 99), [(INFO, True, "KD-1", 0)] * 2),
        (
            KNOWN,
            (("VALUE", 60), ("SKIP_REASON", 40), ("TRADE_REASON", 0)),
            (MINOR, "KD-1", 1),
            [(MINOR, False, None, 60), (MINOR, False, None, 40), (INFO, True, "KD-1", 0)],
        ),
    ],
)
def test_what_a_cause_explains_is_counted_at_it_but_hidden_by_no_entry_where_it_is_worse(
    policy: Policy,
    following: tuple[tuple[str, int], ...],
    root: tuple[Severity, str | None, int],
    rest: list[tuple[Severity, bool, str | None, int]],
) -> None:
    def found(kind: str, usd: int, place: int, cause: str | None = None) -> Difference:
        worth = Impact(notional=Decimal(usd), cash=Decimal(-usd), gross=Decimal(usd))
        return told_as(KINDS[kind].severity, place, kind=kind, impact=worth, own=worth, root=cause)

    cause = found("QUOTE_WIDE", 1, 0)
    first, *others = weighed(
        (cause, *(found(kind, usd, place, cause.key) for place, (kind, usd) in enumerate(following, start=1))), policy, DAY
    )
    assert (first.severity, first.covered_by, first.impact.notional, first.impact.cash) == (*root, -root[2])
    assert [(each.severity, each.caused_by == cause.key, each.covered_by, each.impact.notional) for each in others] == rest
    assert weighed((first, *others), policy, DAY) == (first, *others)
