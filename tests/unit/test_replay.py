"""Business Unit: tests | Status: current.

A replay's names, pace and memory: nothing collides with the live pair, no more plans start than the rate allows, and resuming
takes up exactly what is not done.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shadow.contracts.comparison import EvidenceRef, Verdict
from shadow.contracts.errors import EvidenceUnavailable, InvalidPayload, InvalidPlan
from shadow.contracts.identity import is_replay, run_id_of, trade_id_of
from shadow.contracts.outcome import OrderRecord, RunOutcome
from shadow.contracts.pair import Pair, StartState
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Origin, Role
from shadow.replay.plans import plans_in_folder
from shadow.replay.ports import (
    Archived,
    Replayed,
    ReplayEnd,
    ReplayRefused,
    ReplayRun,
    ReplayState,
    archived_under,
    replayed_plan,
)
from shadow.replay.replayer import Clock, Pace, Replayer, StateFile, refuse_unless_dry_run
from tests.factories.comparisons import comparison_of, outcome_of
from tests.factories.pairs import pair_behind
from tests.fakes.plans import plan_of

DAY = date(2026, 11, 24)
AT = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)
REF = EvidenceRef(name="workflow-00", key="evidence/x", sha256="0" * 64, size=1)


class TestNames:
    def test_a_replay_has_names_of_its_own(self) -> None:
        plan = comparison_of(DAY).plan
        replay = replayed_plan(plan, "after-fix")

        assert replay.plan_id == f"{plan.plan_id}~replay-after-fix"
        assert is_replay(replay.plan_id)
        assert not is_replay(plan.plan_id)
        assert run_id_of(replay.plan_id) != run_id_of(plan.plan_id)
        assert replay == replayed_plan(plan, "after-fix")
        assert replay.model_copy(update={"plan_id": plan.plan_id}) == plan

    @pytest.mark.parametrize("label", ["", "A", "a b", "-a", "a" * 25, "a~b", "ä"])
    def test_a_label_that_is_none_is_refused(self, label: str) -> None:
        with pytest.raises(InvalidPayload, match="label"):
            replayed_plan(plan_of(AAPL="100"), label)

    def test_a_name_that_becomes_too_long_is_refused(self) -> None:
        plan = RebalancePlan.read(plan_of(AAPL="100").model_dump() | {"plan_id": "p" * 195})

        with pytest.raises(InvalidPlan, match="plan_id"):
            replayed_plan(plan, "later")

    def test_the_archived_control_keeps_the_ids_that_its_lane_minted(self) -> None:
        comparison = comparison_of(DAY, trades=3)
        assert comparison.control is not None
        replay = replayed_plan(comparison.plan, "a")

        found = archived_under(comparison.control, replay)

        assert found.plan_id == replay.plan_id
        assert found.model_copy(update={"plan_id": comparison.plan.plan_id}) == comparison.control

    def test_the_orders_of_the_workflow_are_named_after_the_trades_of_the_replay_and_a_wrong_name_stays(self) -> None:
        plan = comparison_of(DAY, trades=2).plan
        replay, run_id = replayed_plan(plan, "version-2"), run_id_of(plan.plan_id)
        then = outcome_of(plan, Role.CANDIDATE)
        ids = [trade_id_of(run_id, trade.symbol, trade.action) for trade in then.trades]
        named = [(ids[0], f"{ids[0]}-step-1"), ("by-hand", None)]
        trades = tuple(
            trade.model_copy(update={"trade_id": name, "orders": tuple(OrderRecord(client_order_id=each) for each in orders)})
            for trade, name, orders in zip(then.trades, ids, named, strict=True)
        )

        found = archived_under(then.model_copy(update={"run_id": run_id, "trades": trades}), replay)

        now = found.trades[0].trade_id
        assert now == trade_id_of(run_id_of(replay.plan_id), trades[0].symbol, trades[0].action)
        orders = [[order.client_order_id for order in trade.orders] for trade in found.trades]
        assert orders == [[now, f"{now}-step-1"], ["by-hand", None]]


class TestSafety:
    @pytest.mark.parametrize(
        ("parameter", "functions"),
        [
            ("paper", {"a": "dry_run"}),
            ("live", {"a": "dry_run"}),
            ("dry_run", {"a": "dry_run", "b": "paper"}),
            ("dry_run", {"a": None}),
            (None, {"a": "live"}),
            ("dry_run", {}),
        ],
    )
    def test_anything_but_dry_run_is_refused(self, parameter: str | None, functions: Mapping[str, str | None]) -> None:
        with pytest.raises(ReplayRefused, match="expected"):
            refuse_unless_dry_run(parameter, functions)

    @pytest.mark.parametrize("parameter", ["dry_run", None])
    def test_dry_run_everywhere_is_allowed(self, parameter: str | None) -> None:
        assert refuse_unless_dry_run(parameter, {"a": "dry_run", "b": "dry_run"}) is None  # type: ignore[func-returns-value]


@dataclass
class World:
    """A candidate that takes `takes` seconds a run, an archive of every control, and a clock that only sleeping moves."""

    takes: float = 30.0
    seconds: float = 0.0
    started: list[tuple[float, str]] = field(default_factory=list)
    judged: list[ReplayRun] = field(default_factory=list)
    most_running: int = 0
    unarchived: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)
    broken: set[str] = field(default_factory=set)

    def archived(self, plan_id: str) -> Archived | None:
        if plan_id in self.unarchived:
            return None
        comparison = next(entry for entry in COMPARISONS if entry.plan_id == plan_id)
        assert comparison.control is not None
        return Archived(comparison.control, held={"SYM0000": Decimal(3)})

    def start(self, plan: RebalancePlan, held: Mapping[str, Decimal]) -> Pair:
        assert held == {"SYM0000": Decimal(3)}
        self.started.append((self.seconds, plan.plan_id))
        self.most_running = max(self.most_running, len(self.started) - len(self.judged))
        state = StartState.REFUSED if plan.plan_id in self.refused else StartState.STARTED
        pair = pair_behind(
            COMPARISONS[0],
            plan_id=plan.plan_id,
            run_id=run_id_of(plan.plan_id),
            origin=Origin.REPLAY,
            published_at=AT + timedelta(seconds=self.seconds),
        )
        return pair.model_copy(update={"start_state": state, "start_reason": "InvalidName"})

    def outcome(self, pair: Pair, plan: RebalancePlan, now: datetime) -> tuple[RunOutcome, EvidenceRef] | None:
        if plan.plan_id in self.broken:
            raise EvidenceUnavailable("throttled")
        if (now - pair.published_at).total_seconds() < self.takes:
            return None
        return outcome_of(plan, Role.CANDIDATE), REF

    def judge(self, run: ReplayRun, candidate: RunOutcome, ref: EvidenceRef, now: datetime) -> tuple[Verdict, str]:
        assert (candidate.plan_id, ref) == (run.plan.plan_id, REF)
        assert now >= run.pair.published_at
        self.judged.append(run)
        return Verdict.MATCHED, f"comparisons/{run.plan.plan_id}"

    def replayer(self, pace: Pace) -> Replayer:
        def sleep(seconds: float) -> None:
            self.seconds += seconds

        clock = Clock(now=lambda: AT + timedelta(seconds=self.seconds), monotonic=lambda: self.seconds, sleep=sleep)
        return Replayer(self, self, self, pace, clock)


COMPARISONS = [comparison_of(DAY, trades=2, number=number) for number in range(12)]
PLANS = [entry.plan for entry in COMPARISONS]


def replay_ids(plans: list[RebalancePlan]) -> list[str]:
    return [f"{plan.plan_id}~replay-a" for plan in plans]


class TestPace:
    @given(rate=st.floats(min_value=0.5, max_value=600), window=st.integers(1, 8), takes=st.floats(0, 120))
    def test_no_more_plans_start_than_rate_and_window_allow(self, rate: float, window: int, takes: float) -> None:
        world = World(takes=takes)

        results = list(world.replayer(Pace(rate=rate, window=window)).replay(PLANS, "a"))

        starts = [moment for moment, _ in world.started]
        assert all(later - earlier >= 60 / rate - 1e-6 for earlier, later in pairwise(starts))
        assert world.most_running <= window
        assert sorted(entry.replay_id for entry in results) == sorted(replay_ids(PLANS))
        assert {entry.end for entry in results} == {ReplayEnd.JUDGED}

    def test_a_run_that_never_settles_is_not_waited_for_for_ever(self) -> None:
        world = World(takes=10_000)

        results = list(world.replayer(Pace(patience_seconds=60)).replay(PLANS[:2], "a"))

        assert [entry.end for entry in results] == [ReplayEnd.WAITING] * 2
        assert "60 s" in results[0].reason
        assert not results[0].is_final

    def test_one_plans_trouble_is_not_the_next_ones(self) -> None:
        ids = replay_ids(PLANS)
        holds = plan_of(holds=("AAPL",))
        again = replayed_plan(PLANS[4], "old")
        world = World(unarchived={PLANS[0].plan_id}, refused={ids[1]}, broken={ids[2]})

        plans = [*PLANS[:4], holds]
        COMPARISONS.append(COMPARISONS[4].model_copy(update={"plan_id": again.plan_id}))
        COMPARISONS.append(COMPARISONS[4].model_copy(update={"plan_id": holds.plan_id}))
        results = {entry.plan_id: entry for entry in world.replayer(Pace()).replay([*plans, again], "a")}
        del COMPARISONS[-2:]

        assert results[PLANS[0].plan_id].end is ReplayEnd.SKIPPED
        assert "no outcome of the control" in results[PLANS[0].plan_id].reason
        assert (results[PLANS[1].plan_id].end, results[PLANS[1].plan_id].reason) == (ReplayEnd.FAILED, "not started: InvalidName")
        assert results[PLANS[2].plan_id].reason == "EvidenceUnavailable: throttled"
        assert results[PLANS[3].plan_id].verdict is Verdict.MATCHED
        assert results[holds.plan_id].end is ReplayEnd.SKIPPED
        assert results[again.plan_id].end in (ReplayEnd.SKIPPED, ReplayEnd.FAILED)
        assert len(world.judged) == 1


class TestState:
    def entries(self) -> Iterator[Replayed]:
        yield Replayed("one", "one~replay-a", ReplayEnd.JUDGED, Verdict.DIVERGED, "comparisons/one")
        yield Replayed("two", "two~replay-a", ReplayEnd.SKIPPED, reason="why")
        yield Replayed("three", "three~replay-a", ReplayEnd.WAITING, reason="slow")
        yield Replayed("four", "four~replay-a", ReplayEnd.FAILED, reason="down")

    def test_what_is_done_is_remembered_and_the_rest_is_left(self, tmp_path: Path) -> None:
        state = StateFile(tmp_path / "deep" / "a.jsonl")
        assert state.done() == {}
        for entry in self.entries():
            state.note(entry)

        assert list(state.done().values()) == list(self.entries())[:2]

    def test_a_later_line_of_a_plan_wins(self, tmp_path: Path) -> None:
        state = StateFile(tmp_path / "a.jsonl")
        state.note(Replayed("one", "one~replay-a", ReplayEnd.FAILED, reason="down"))
        state.note(Replayed("one", "one~replay-a", ReplayEnd.JUDGED, Verdict.MATCHED, "key"))

        assert state.done()["one"].verdict is Verdict.MATCHED

    @pytest.mark.parametrize("rest", ['{"plan_id": "two", "en', "[]", "null", '{"plan_id": "two"}', "\n\n"])
    def test_a_line_cut_off_by_a_crash_is_ignored(self, rest: str, tmp_path: Path) -> None:
        state = StateFile(tmp_path / "a.jsonl")
        state.note(next(self.entries()))
        state.path.write_text(state.path.read_text() + rest)

        assert list(state.done()) == ["one"]

    def test_a_state_that_cannot_be_read_or_written_says_so(self, tmp_path: Path) -> None:
        with pytest.raises(ReplayState, match="expected"):
            StateFile(tmp_path).done()
        with pytest.raises(ReplayState, match="expected"):
            StateFile(tmp_path).note(next(self.entries()))


class TestPlanFiles:
    def test_a_folder_is_read_the_oldest_first(self, tmp_path: Path) -> None:
        for number in (2, 0, 1):
            (tmp_path / f"{9 - number}.json").write_text(PLANS[number].model_dump_json())

        assert plans_in_folder(tmp_path) == PLANS[:3]

    def test_every_faulty_file_and_field_is_named_before_anything_runs(self, tmp_path: Path) -> None:
        (tmp_path / "good.json").write_text(PLANS[0].model_dump_json())
        (tmp_path / "empty.json").write_text("")
        (tmp_path / "odd.json").write_text(PLANS[1].model_dump_json().replace('"SELL"', '"SHORT"', 1))

        with pytest.raises(InvalidPlan) as caught:
            plans_in_folder(tmp_path)

        assert [fault.field for fault in caught.value.faults] == ["empty.json: (whole)", "odd.json: items.0 (SYM0000).action"]

    def test_an_empty_folder_is_named(self, tmp_path: Path) -> None:
        with pytest.raises(InvalidPlan, match="plan files"):
            plans_in_folder(tmp_path)
