"""Judging stored pairs again over kept columns gives to the byte what the one-pair judge gives, whatever is kept of them."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FunctionType, MethodType
from typing import cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from reports.data.errors import UnreadableDocument
from reports.rejudge import sections
from reports.rejudge.runs import found_in_runs
from reports.rejudge.shelf import Shelf
from reports.rejudge.units import KEPT, library_of
from reports.rejudged import rejudge, rejudge_one_by_one
from reports.sources import FolderSource, JsonlSource, Source
from shadow.compare.case import PairCase, PairView
from shadow.compare.completeness import gaps_of
from shadow.compare.document import canonical_bytes, digest_of
from shadow.compare.judge import find_in_runs, find_in_trade, judge
from shadow.compare.policy import Policy, default_policy
from shadow.compare.rules import AbsoluteRule, BpsRule, ExactRule, OrderedRule
from shadow.contracts.comparison import Severity
from shadow.contracts.outcome import Gap
from shadow.contracts.vocabulary import Lane, Role
from shadow.settlement.judging import policy_for
from tests.strategies.outcomes import DAY, SCENARIOS, random_case
from tests.strategies.planting import run_of, with_run
from tests.strategies.plants import PLANTS
from tests.strategies.policies import policy_with
from tests.unit.test_rejudge import jolted

EVER = (date.min, date.max)
RELAXED = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def torn(case: PairCase, rng: random.Random) -> PairCase:
    """Lose a lane, or a piece of a lane's evidence, or let a run take long or set itself another limit."""
    role = rng.choice((Role.CONTROL, Role.CANDIDATE))
    run = run_of(case, role)
    ended = run.completed_at
    choices = [
        lambda: replace(case, **{role.value: None}),
        lambda: replace(case, control=None, candidate=None),
        lambda: with_run(case, role, gaps=(Gap(what="history", reason="truncated"),)),
        lambda: with_run(case, role, violations=("status: expected a word",)),
        lambda: with_run(case, role, raw_status=""),
        lambda: with_run(case, role, completed_at=ended and ended + timedelta(seconds=rng.choice((59, 90, 1801, 7200)))),
        lambda: with_run(case, role, equity_limit=(run.equity_limit or Decimal(0)) * rng.choice((1, Decimal("1.005"), 2))),
    ]
    return rng.choice(choices)()


def drawn_case(rng: random.Random) -> PairCase:
    case = random_case(rng.randint(0, 60), rng.randint(0, 6), rng.choice(SCENARIOS))
    if rng.random() < 0.5:
        plant = rng.choice(PLANTS)
        with suppress(StopIteration, AssertionError, IndexError, TypeError):
            case = plant.edit(case, rng.choice(plant.lanes))
    if rng.random() < 0.6:
        case = jolted(case, rng)
    if rng.random() < 0.25:
        case = torn(case, rng)
    origin = rng.choice(("live", "live", "replay"))
    moved = case.published_at + timedelta(seconds=rng.randint(0, 3))
    role = rng.choice((Lane.LEGACY, Lane.LEGACY, Lane.WORKFLOW))
    day = DAY + timedelta(days=rng.randint(0, 2))
    return replace(case, trading_day=day, origin=origin, production_lane=role, published_at=moved)


def drawn_policy(rng: random.Random) -> Policy:
    """Draw a policy: registers in force, used up and expired, other rules, other severities, other demands."""
    policy = rng.choice((default_policy(), policy_with()))
    if rng.random() < 0.7:
        expires = DAY + timedelta(days=rng.randint(-1, 3))
        kind, symbol = rng.choice(("SLIPP*", "*", "PLANNED*", "GUARD*")), rng.choice(("*", "SYM00*", "SYM001"))
        policy = policy_with(
            expires, rng.randint(1, 3), kind=kind, side=rng.choice(("*", "BUY")), role=rng.choice(("*", "candidate"))
        )
        known = (
            policy.known[0].model_copy(update={"symbol": symbol}),
            policy.known[0].model_copy(update={"id": "KD-2", "kind": "*"}),
        )
        policy = policy.model_copy(update={"known": known[: rng.randint(1, 2)]})
    rules: dict[str, object] = {
        "planned_amount": AbsoluteRule(rule="absolute", tolerance=Decimal("0.5")),
        "average_price": BpsRule(rule="bps", tolerance=Decimal(rng.choice((0, 3, 400)))),
        "value": ExactRule(rule="exact"),
        "equity_limit": rng.choice((ExactRule(rule="exact"), BpsRule(rule="bps", tolerance=Decimal(10_000)))),
        "guard_amounts": AbsoluteRule(rule="absolute", tolerance=Decimal(100)),
        "phase_order": OrderedRule(rule="ordered", slack_seconds=Decimal(50)),
    }
    limits = {"guard_threshold_usd": Decimal(rng.choice((0, 400, 500))), "run_seconds": rng.choice((10, 1800, 9000))}
    lanes = rng.choice(((), (Role.CONTROL,), (Role.CONTROL, Role.CANDIDATE)))
    applies = dict.fromkeys(("effect_emitted", "equity_counted", "duration_ratio", "recorded_price"), lanes)
    updates: dict[str, object] = {
        "rules": policy.rules.model_copy(update={name: rules[name] for name in rules if rng.random() < 0.4}),
        "limits": policy.limits.model_copy(update={name: limits[name] for name in limits if rng.random() < 0.3}),
        "applies": policy.applies.model_copy(update={name: applies[name] for name in applies if rng.random() < 0.3}),
        "severity": rng.choice(({}, {"SLIPPAGE": Severity.INFO, "PLANNED_AMOUNT": Severity.MINOR})),
    }
    if rng.random() < 0.2:
        candidate = policy.evidence.candidate.model_copy(update={"trade": ("planned_amount", "residual_position")})
        updates["evidence"] = policy.evidence.model_copy(update={"candidate": candidate})
    return policy.model_copy(update=updates)


def stored(folder: Path, cases: list[PairCase], rng: random.Random, policies: list[Policy], *, as_lines: bool = False) -> Source:
    """Store the cases, each judged by one of the policies, as the evidence bucket keeps them or a line each."""
    documents = [(case, canonical_bytes(judge(case, policy_for(rng.choice(policies), case.production_lane)))) for case in cases]
    if as_lines:
        (folder / "comparisons.jsonl").write_bytes(b"\n".join(content for _, content in documents) + b"\n\n")
        return JsonlSource(folder / "comparisons.jsonl")
    for case, content in documents:
        put(folder, case, content)
    return FolderSource(folder)


def put(folder: Path, case: PairCase, content: bytes) -> None:
    name = f"{PairView(case).run_id}-{digest_of(content)[:16]}.json"
    path = folder / "comparisons" / f"day={case.trading_day}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def wire(source: Source, policy: Policy, days: tuple[date, date] = EVER, **how: bool) -> str:
    return json.dumps(rejudge(source, policy, *days, **how).to_wire())


def reference(source: Source, policy: Policy, days: tuple[date, date] = EVER) -> str:
    return json.dumps(rejudge_one_by_one(source, policy, *days).to_wire())


def tamper(folder: Path, rng: random.Random) -> None:
    """Lose, cut or change some of what is kept."""
    for path in sorted((folder / KEPT).glob("*.kept")):
        content = path.read_bytes()
        turn = rng.randrange(5)
        if turn == 0:
            path.unlink()
        elif turn == 1:
            path.write_bytes(content[: rng.randrange(len(content))])
        elif turn == 2:
            place = rng.randrange(len(content))
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])


@RELAXED
@given(seed=st.integers(0, 10**9), as_lines=st.booleans())
def test_kept_columns_give_what_the_one_pair_judge_gives(seed: int, *, as_lines: bool) -> None:
    rng = random.Random(seed)
    cases, policies = [drawn_case(rng) for _ in range(rng.randint(0, 6))], [drawn_policy(rng) for _ in range(3)]
    with TemporaryDirectory() as name:
        folder = Path(name)
        source = (
            stored(folder, cases, rng, policies, as_lines=as_lines) if cases else stored(folder, [], rng, policies, as_lines=True)
        )
        for policy in policies:
            right = reference(source, policy)
            assert wire(source, policy) == right
            assert wire(source, policy) == right
        tamper(folder, rng)
        if cases and not as_lines and rng.random() < 0.5:
            case = drawn_case(rng)
            put(folder, case, canonical_bytes(judge(case, policies[0])))
        some = (DAY, DAY + timedelta(days=1))
        assert wire(source, policies[1], some) == reference(source, policies[1], some)
        assert wire(source, policies[0]) == reference(source, policies[0])
        assert wire(source, policies[2], keep=False) == reference(source, policies[2])


def test_pairs_of_quiet_runs_are_judged_in_columns() -> None:
    rng = random.Random(4)
    with TemporaryDirectory() as name:
        source = stored(Path(name), [random_case(seed, 6) for seed in range(8)], rng, [default_policy()])
        library = library_of(source)
        assert library is not None
        shelf = Shelf(library, default_policy(), None)
        kept = [pair for _, pairs in shelf.pairs(list(library.units(*EVER)), lambda *_: None) for pair in pairs]
        assert len(kept) == 8
        assert all(pair.facts is not None and found_in_runs(pair.facts, default_policy()) == () for pair in kept)


class TestShelf:
    @pytest.fixture
    def source(self, tmp_path: Path) -> FolderSource:
        cases = [replace(random_case(seed, 4), trading_day=DAY + timedelta(days=seed % 2)) for seed in range(4)]
        stored(tmp_path, cases, random.Random(1), [default_policy()])
        return FolderSource(tmp_path)

    def told(self, source: Source, **how: bool) -> list[tuple[int, int]]:
        heard: list[tuple[int, int]] = []
        result = rejudge(source, default_policy(), *EVER, tell=lambda done, units: heard.append((done, units)), **how)
        assert json.dumps(result.to_wire()) == reference(source, default_policy())
        return heard

    def test_days_are_read_once(self, source: FolderSource) -> None:
        assert self.told(source) == [(1, 2), (2, 2)]
        assert self.told(source) == []

    def test_a_new_document_has_only_its_day_read_again(self, source: FolderSource) -> None:
        self.told(source)
        case = random_case(7, 4)
        put(source.folder, case, canonical_bytes(judge(case, default_policy())))
        assert self.told(source) == [(1, 1)]

    def test_a_document_that_is_written_over_has_its_day_read_again(self, source: FolderSource) -> None:
        self.told(source)
        path = next(iter(sorted((source.folder / "comparisons").glob(f"day={DAY}/*.json"))))
        content = path.read_bytes().replace(b'"verdict":"MATCHED"', b'"verdict":"IGNORED"')
        path.write_bytes(content)
        assert b'"verdict":"IGNORED"' in content
        assert self.told(source) == [(1, 1)]

    def test_what_must_be_known_decides_what_is_kept(self, source: FolderSource) -> None:
        self.told(source)
        policy = default_policy()
        control = policy.evidence.control.model_copy(update={"trade": ("residual_position",)})
        other = policy.model_copy(update={"evidence": policy.evidence.model_copy(update={"control": control})})
        assert wire(source, other) == reference(source, other)
        assert '"after": {"INCOMPLETE": 4}' in wire(source, other)

    @pytest.mark.parametrize(
        "damage", [lambda b: b[:100], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda _: b"", lambda b: b + b"x"]
    )
    def test_what_is_damaged_is_told_and_read_again(
        self, source: FolderSource, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
    ) -> None:
        self.told(source)
        path = next(iter(sorted((source.folder / KEPT).iterdir())))
        path.write_bytes(damage(path.read_bytes()))
        with caplog.at_level(logging.WARNING):
            assert self.told(source) == [(1, 1)]
        assert "is damaged" in caplog.text
        assert path.name in caplog.text
        assert self.told(source) == []

    def test_nothing_is_kept_where_nothing_is_to_be_kept(self, source: FolderSource) -> None:
        assert self.told(source, keep=False) == [(1, 2), (2, 2)]
        assert not (source.folder / KEPT).exists()

    def test_a_place_that_cannot_be_written_is_told_and_does_without(
        self, source: FolderSource, caplog: pytest.LogCaptureFixture
    ) -> None:
        (source.folder / KEPT).write_text("a file where the folder belongs")
        with caplog.at_level(logging.WARNING):
            assert self.told(source) == [(1, 2), (2, 2)]
        assert "nothing is kept" in caplog.text

    def test_other_processes_read_what_is_much(self, source: FolderSource, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("reports.rejudge.shelf.FEW", 2)
        assert self.told(source) == [(1, 2), (2, 2)]

    def test_a_broken_document_is_named_also_from_another_process(
        self, source: FolderSource, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("reports.rejudge.shelf.FEW", 2)
        path = source.folder / "comparisons" / f"day={DAY}" / "broken-0123456789abcdef.json"
        path.write_text('{"plan_id": "x"}')
        with pytest.raises(UnreadableDocument, match=r"broken-0123456789abcdef\.json: "):
            rejudge(source, default_policy(), *EVER)


class Watched:
    """A policy that notes what is read of it."""

    def __init__(self, inner: BaseModel, seen: set[str], lead: str = "") -> None:
        self._inner, self._seen, self._lead = inner, seen, lead

    def __getattr__(self, name: str) -> object:
        method = getattr(type(self._inner), name, None)
        if isinstance(method, FunctionType):
            return MethodType(method, self)
        value = getattr(self._inner, name)
        if not self._lead and isinstance(value, BaseModel):
            return Watched(value, self._seen, f"{name}.")
        self._seen.add(f"{self._lead}{name}")
        return value


def fields_of(policy: type[Policy]) -> list[str]:
    names = []
    for name, field in policy.model_fields.items():
        kind = field.annotation
        parts = kind.model_fields if isinstance(kind, type) and issubclass(kind, BaseModel) else {}
        names += [f"{name}.{part}" for part in parts] or [name]
    return names


class TestSections:
    def test_every_field_of_a_policy_stands_in_one_list(self) -> None:
        lists = (sections.EVIDENCE, sections.RUNS, sections.TRADES, sections.DIFFERENCES, sections.NOT_JUDGED)
        assert sorted(name for names in lists for name in names) == sorted(fields_of(Policy))

    def test_the_judge_reads_what_the_lists_say(self) -> None:
        runs, gaps, trades = set[str](), set[str](), set[str]()
        edited = [plant.edit(random_case(11, 8), plant.lanes[0]) for plant in PLANTS]
        for case in [*edited, *(random_case(seed, 8, scenario) for seed in range(3) for scenario in SCENARIOS)]:
            view = PairView(case)
            list(find_in_runs(view, cast("Policy", Watched(default_policy(), runs))))
            gaps_of(view, cast("Policy", Watched(default_policy(), gaps)))
            for pair in view.trades:
                list(find_in_trade(pair, frozenset(Role), cast("Policy", Watched(default_policy(), trades))))
        assert runs == set(sections.RUNS)
        assert gaps == set(sections.EVIDENCE)
        assert trades == set(sections.TRADES)

    def test_who_is_in_production_decides_about_runs_alone(self) -> None:
        policy = default_policy()
        everyone = policy.model_copy(update={"applies": policy.applies.model_copy(update={"effect_emitted": tuple(Role)})})
        for lane in Lane:
            given = policy_for(everyone, lane).model_dump()
            changed = {
                f"{name}.{part}"
                for name in given
                for part in (given[name] if isinstance(given[name], dict) else ())
                if given[name][part] != everyone.model_dump()[name][part]
            }
            assert changed <= set(sections.RUNS)
