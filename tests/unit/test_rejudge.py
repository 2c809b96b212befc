"""Judging stored pairs again by their margins gives what judging every pair again gives, whatever was stored and kept."""

from __future__ import annotations

import json
import logging
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from reports.data.extract import decode
from reports.rejudge import rejudge
from shadow.compare.across_pairs import apply_budgets
from shadow.compare.case import PairCase, PairView, case_of
from shadow.compare.document import canonical_bytes, digest_of
from shadow.compare.judge import judge
from shadow.compare.policy import Policy, default_policy
from shadow.compare.rules import AbsoluteRule, BpsRule
from shadow.contracts.comparison import Comparison, Severity, Verdict
from shadow.contracts.errors import EvidenceUnavailable, UnreadableDocument
from shadow.settlement.judging import Again, Line, _found, answer_from_wire, answer_to_wire, code_version
from shadow.settlement.stored import Entry, FolderSource, JsonlSource, Store, _lines_of
from tests.fakes.evidence import FakeObjects, Fuse, World
from tests.strategies.outcomes import DAY, random_case
from tests.strategies.policies import policy_with
from tests.strategies.rejudging import drawn_case, drawn_policy

EVER = (date.min, date.max)
RELAXED = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def stored(folder: Path, cases: list[PairCase], rng: random.Random, policies: list[Policy], *, as_lines: bool = False) -> Store:
    """Store the cases, each judged by one of the policies, as the evidence bucket keeps them or a line each."""
    documents = []
    for case in cases:
        judged = replace(case, code_version=code_version() if rng.random() < 0.9 else "an older one")
        documents.append((case, canonical_bytes(judge(judged, rng.choice(policies)))))
    if as_lines:
        (folder / "comparisons.jsonl").write_bytes(b"\n".join(content for _, content in documents) + b"\n\n")
        return JsonlSource(folder / "comparisons.jsonl")
    (folder / "comparisons").mkdir()
    for case, content in {PairView(case).run_id: (case, content) for case, content in documents}.values():
        put(folder, case, content)
    return FolderSource(folder)


def put(folder: Path, case: PairCase, content: bytes) -> None:
    name = f"{PairView(case).run_id}-{digest_of(content)[:16]}.json"
    path = folder / "comparisons" / f"day={case.trading_day}" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def said(source: Store, policy: Policy, days: tuple[date, date] = EVER, **how: bool) -> dict[str, object]:
    """What judging again comes to, but for how many pairs the judge was asked about."""
    answer = rejudge(source, policy, *days, **how).to_wire()
    answer.pop("judged")
    return answer


def reference(source: Store, policy: Policy, days: tuple[date, date] = EVER) -> dict[str, object]:
    """The same, from every document read whole and judged again, one by one."""
    first, last = days
    read = {entry.plan_id: entry for name, content in source.documents(first, last) if (entry := decode(name, content))}
    every = sorted((e for e in read.values() if first <= e.trading_day <= last), key=place)
    changes, pairs = [], []
    for _, group in groupby(every, key=lambda entry: (entry.trading_day, entry.origin)):
        day = list(group)
        ours = [entry for entry in day if entry.policy_hash == policy.hash]
        before = {entry.plan_id: entry for entry in [*day, *apply_budgets(ours, policy)]}
        again = [judge(case_of(e, code_version()), policy) for e in day]
        pairs += [(before[after.plan_id], after) for after in apply_budgets(again, policy)]
    for before_, after_ in pairs:
        old, new = Counter(marks(before_)), Counter(marks(after_))
        came, went = kinds(new - old), kinds(old - new)
        if came or went or before_.verdict is not after_.verdict:
            change = {"plan_id": after_.plan_id, "trading_day": str(after_.trading_day), "before": before_.verdict.value}
            changes.append(change | {"after": after_.verdict.value, "came": came, "went": went})
    came, went = (sum((Counter(change[way]) for change in changes), Counter[str]()) for way in ("came", "went"))
    flips = Counter((change["before"], change["after"]) for change in changes if change["before"] != change["after"])
    return {
        "policy_hash": policy.hash,
        "pairs": len(pairs),
        "trades": sum(len(after.plan.tradable_items) for _, after in pairs),
        "before": dict(sorted(Counter(before.verdict.value for before, _ in pairs).items())),
        "after": dict(sorted(Counter(after.verdict.value for _, after in pairs).items())),
        "flips": [{"before": old, "after": new, "pairs": amount} for (old, new), amount in sorted(flips.items())],
        "rules": {kind: {"came": came[kind], "went": went[kind]} for kind in sorted(came.keys() | went.keys())},
        "changes": changes,
    }


def place(entry: Comparison) -> tuple[object, ...]:
    return (entry.trading_day, entry.origin, entry.published_at, entry.plan_id)


def marks(comparison: Comparison) -> list[tuple[object, ...]]:
    return [(d.kind, d.key, d.severity, d.attribution, d.covered_by, d.over_budget, d.caused_by) for d in comparison.differences]


def kinds(found: Counter[tuple[object, ...]]) -> dict[str, int]:
    return dict(sorted(Counter(str(mark[0]) for mark in found.elements()).items()))


def tamper(folder: Path, rng: random.Random) -> None:
    """Lose, cut or change some of what is kept."""
    for path in sorted(folder.glob(".*margins")):
        content = path.read_bytes()
        turn = rng.randrange(5)
        if turn == 0:
            path.unlink()
        elif turn == 1:
            path.write_bytes(content[: rng.randrange(len(content))])
        elif turn == 2:
            spot = rng.randrange(len(content))
            path.write_bytes(content[:spot] + bytes([content[spot] ^ 1]) + content[spot + 1 :])


@RELAXED
@given(seed=st.integers(0, 10**9), as_lines=st.booleans())
def test_rejudging_by_margins_equals_judging_everything_again(seed: int, *, as_lines: bool) -> None:
    rng = random.Random(seed)
    drawn, policies = [drawn_case(rng) for _ in range(rng.randint(0, 6))], [drawn_policy(rng) for _ in range(3)]
    cases = list({case.plan.plan_id: case for case in drawn}.values())  # a plan has one pair, on one day
    with TemporaryDirectory() as name:
        folder = Path(name)
        source = stored(folder, cases, rng, policies, as_lines=as_lines)
        for policy in policies:
            right = reference(source, policy)
            assert said(source, policy) == right
            assert said(source, policy) == right
        tamper(folder, rng)
        case = drawn_case(rng)
        if cases and not as_lines and case.plan.plan_id not in {each.plan.plan_id for each in cases}:
            put(folder, case, canonical_bytes(judge(case, policies[0])))
        some = (DAY, DAY + timedelta(days=1))
        assert said(source, policies[1], some) == reference(source, policies[1], some)
        assert said(source, policies[0], whole=True) == reference(source, policies[0])
        assert said(source, policies[2], keep=False) == reference(source, policies[2])


def tighter(policy: Policy, name: str, tolerance: str) -> Policy:
    rule = BpsRule(rule="bps", tolerance=Decimal(tolerance))
    return policy.model_copy(update={"rules": policy.rules.model_copy(update={name: rule})})


class TestAskingTheMargins:
    @pytest.fixture
    def source(self, tmp_path: Path) -> FolderSource:
        rng = random.Random(0)
        cases = [replace(random_case(seed, 4), trading_day=DAY + timedelta(days=seed % 2)) for seed in range(4)]
        rng.random = lambda: 0.5  # type: ignore[method-assign] # every pair judged by today's code
        stored(tmp_path, cases, rng, [default_policy()])
        return FolderSource(tmp_path)

    def test_the_same_policy_needs_no_judge(self, source: FolderSource) -> None:
        assert rejudge(source, default_policy(), *EVER).judged == 0

    def test_another_tolerance_has_only_those_judged_that_it_could_change(self, source: FolderSource) -> None:
        wide = tighter(default_policy(), "average_price", "5000")
        assert rejudge(source, wide, *EVER).judged == 0
        none = tighter(default_policy(), "average_price", "0")
        answer = rejudge(source, none, *EVER)
        assert answer.judged == 4
        assert said(source, none) == reference(source, none)

    def test_severities_and_the_register_need_no_judge(self, source: FolderSource) -> None:
        other = policy_with(kind="*").model_copy(update={"severity": {"SLIPPAGE": Severity.INFO}})
        assert rejudge(source, other, *EVER).judged == 0

    def test_what_no_margin_answers_is_judged_whole(self, source: FolderSource) -> None:
        policy = default_policy()
        other = policy.model_copy(update={"limits": policy.limits.model_copy(update={"run_seconds": 9_999})})
        assert rejudge(source, other, *EVER).judged == 4
        assert rejudge(source, policy, *EVER, whole=True).judged == 4

    def test_pairs_that_other_code_judged_are_judged(self, source: FolderSource, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("shadow.settlement.judging.code_version", lambda: "the next one")
        assert rejudge(source, default_policy(), *EVER).judged == 4


class TestTheIndex:
    @pytest.fixture
    def source(self, tmp_path: Path) -> FolderSource:
        cases = [replace(random_case(seed, 4), trading_day=DAY + timedelta(days=seed % 2)) for seed in range(4)]
        stored(tmp_path, cases, random.Random(1), [default_policy()])
        return FolderSource(tmp_path)

    def read(self, source: Store, **how: bool) -> int:
        """How many documents were opened; the answer is right."""
        heard = [(0, 0)]
        policy = tighter(default_policy(), "average_price", "9000")
        answer = rejudge(source, policy, *EVER, tell=lambda done, of: heard.append((done, of)), **how).to_wire()
        answer.pop("judged")
        assert answer == reference(source, policy)
        return heard[-1][0]

    def test_documents_are_read_once(self, source: FolderSource) -> None:
        older = self.read(source) - 4
        assert older == 0
        assert self.read(source) < 4

    def test_a_new_document_is_read(self, source: FolderSource) -> None:
        self.read(source)
        before = self.read(source)
        case = replace(random_case(7, 4), code_version=code_version())
        put(source.folder, case, canonical_bytes(judge(case, default_policy())))
        assert self.read(source) == before + 1

    def test_a_document_that_is_written_over_is_read_again(self, source: FolderSource) -> None:
        self.read(source)
        before = self.read(source)
        path = next(iter(sorted((source.folder / "comparisons").glob(f"day={DAY}/*.json"))))
        changed = path.read_bytes().replace(b'"verdict":"MATCHED"', b'"verdict":"IGNORED"')
        path.write_bytes(changed + b" ")
        assert self.read(source) >= before

    @pytest.mark.parametrize(
        "damage", [lambda b: b[:100], lambda b: b[:-1] + bytes([b[-1] ^ 1]), lambda _: b"", lambda b: b + b"x"]
    )
    def test_a_damaged_one_is_told_and_made_again(
        self, source: FolderSource, damage: Callable[[bytes], bytes], caplog: pytest.LogCaptureFixture
    ) -> None:
        self.read(source)
        source.index.write_bytes(damage(source.index.read_bytes()))
        with caplog.at_level(logging.WARNING):
            assert self.read(source) == 4
        assert "is damaged" in caplog.text
        assert source.index.name in caplog.text
        assert self.read(source) < 4

    def test_a_line_of_another_document_is_not_believed(self, source: FolderSource, caplog: pytest.LogCaptureFixture) -> None:
        self.read(source)
        stat = {}
        for path in (source.folder / "comparisons").glob("day=*/*.json"):
            stat[path] = path.stat()
            path.write_bytes(path.read_bytes().replace(b'"needed":"', b'"needed":"0', 1)[: stat[path].st_size])
        del stat
        none = tighter(default_policy(), "average_price", "0")
        with caplog.at_level(logging.WARNING), pytest.raises(UnreadableDocument):
            rejudge(source, none, *EVER)

    def test_nothing_is_kept_where_nothing_is_to_be_kept(self, source: FolderSource) -> None:
        self.read(source, keep=False)
        assert not source.index.exists()

    def test_a_place_that_cannot_be_written_is_told_and_does_without(
        self, source: FolderSource, caplog: pytest.LogCaptureFixture
    ) -> None:
        source.index.mkdir()
        with caplog.at_level(logging.WARNING):
            assert self.read(source) == 4
        assert "is not kept" in caplog.text

    @pytest.mark.parametrize("portion", [1, 2])
    def test_this_process_and_others_read_what_is_much(
        self, source: FolderSource, monkeypatch: pytest.MonkeyPatch, portion: int
    ) -> None:
        monkeypatch.setattr("reports.rejudge.FEW", 2)
        monkeypatch.setattr("reports.rejudge._PORTION", portion)
        monkeypatch.setattr("os.cpu_count", lambda: 2)
        assert self.read(source) == 4

    def test_a_broken_document_is_named_also_from_another_process(
        self, source: FolderSource, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("reports.rejudge.FEW", 2)
        monkeypatch.setattr("reports.rejudge._PORTION", 2)
        path = source.folder / "comparisons" / f"day={DAY}" / "broken-0123456789abcdef.json"
        path.write_text('{"plan_id": "x"}')
        with pytest.raises(UnreadableDocument, match=r"broken-0123456789abcdef\.json: "):
            rejudge(source, default_policy(), *EVER)


def test_absolute_and_relative_rules_are_answered_by_the_same_margins() -> None:
    case = replace(random_case(3, 6), code_version=code_version())
    policy = default_policy()
    with TemporaryDirectory() as name:
        source = stored(Path(name), [case], random.Random(3), [policy])
        for rule in (AbsoluteRule(rule="absolute", tolerance=Decimal(1)), BpsRule(rule="bps", tolerance=Decimal(50))):
            other = policy.model_copy(update={"rules": policy.rules.model_copy(update={"value": rule})})
            assert said(source, other) == reference(source, other)


@pytest.mark.parametrize("again", [None, Again(Verdict.MATCHED, "[]")])
def test_an_answer_of_the_cloud_is_read_as_it_was_written(again: Again | None) -> None:
    words = ["x"] * 8
    line = Line(*words, Verdict.DIVERGED, "h", "c", 3, "b", "w", [], "[]")
    read, said_again = answer_from_wire(json.loads(json.dumps(answer_to_wire((line, again)))))
    assert (read, said_again) == (line, again)


def test_lines_are_named_by_their_number_and_empty_ones_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    path.write_bytes(b'{"a":1}\n\n  \n{"b":22}\n')
    found = [(entry.name, entry.offset, entry.length, text) for entry, text in _lines_of(path)]
    assert found == [("kept.jsonl:1", 0, 8, b'{"a":1}\n'), ("kept.jsonl:4", 12, 9, b'{"b":22}\n')]
    assert Entry("whole", "stamp") == Entry("whole", "stamp", 0, 0, "")


def test_a_document_that_is_not_there_is_named_and_one_that_is_is_given() -> None:
    objects = FakeObjects(World(objects={"there": b"text"}), Fuse())
    assert _found(objects, "there") == b"text"
    with pytest.raises(EvidenceUnavailable, match="s3 get gone: expected an object, was nothing"):
        _found(objects, "gone")
