"""Business Unit: tests | Status: current.

What settlement reads back: evidence, plans and stored comparisons, each way in which one is not what it should be, and a
stored pair judged again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from shadow.aws.table import to_item
from shadow.compare.document import canonical_bytes
from shadow.compare.judge import judge
from shadow.compare.policy import Policy, default_policy
from shadow.compare.rules import BpsRule
from shadow.contracts.comparison import Comparison, Severity
from shadow.contracts.errors import EvidenceUnavailable, InvalidPayload, UnreachableSource, UnreadableDocument
from shadow.contracts.outcome import Gap, RunOutcome
from shadow.contracts.vocabulary import Lane, Role, SizingBasis
from shadow.settlement import stored as stored_module
from shadow.settlement.documents import (
    AwsPlanSource,
    candidate_outcome,
    captured_effects,
    unread,
    watches_ledger,
    with_other_runs,
)
from shadow.settlement.judging import (
    Asker,
    Case,
    WhatIf,
    answer_batch,
    answer_from_wire,
    code_version,
    pair_case,
    policy_at,
)
from shadow.settlement.stored import Entry, FolderSource, JsonlSource, S3Source, everything, find, source_of
from tests.factories.comparisons import comparison_of, document, key_of, write_jsonl, write_store
from tests.factories.control_items import ControlRun
from tests.factories.pairs import pair_of
from tests.fakes.evidence import FakeObjects, Fuse, World
from tests.strategies.outcomes import random_case
from tests.strategies.policies import policy_with
from tests.unit.test_settlement import PLAN

DAY = date(2026, 11, 24)
NOON = datetime(2026, 11, 24, 17, tzinfo=UTC)
COMPARISON = comparison_of(DAY, trades=4)


# ---------------------------------------------------------------------- documents


def captured(kind: str = "TradeExecuted", detail: object = "{}") -> dict[str, object]:
    return to_item({"PK": "RUN#r", "SK": "EVENT#1", "detail_type": kind, "detail": detail})  # type: ignore[return-value]


@pytest.mark.parametrize("damage", [captured("Unknown"), captured(detail="[]"), captured(detail="no JSON"), captured(detail=7)])
def test_a_captured_event_that_is_none_is_told_and_the_next_is_read(damage: Mapping[str, object]) -> None:
    faults: list[str] = []
    good = next(iter(ControlRun(PLAN).events()))

    assert len(captured_effects([damage, good], faults)) == 1  # type: ignore[list-item] # raw items
    assert faults[0] == "captured event EVENT#1: expected a known detail type with a JSON detail"


def test_of_a_document_the_records_of_each_kind_are_read() -> None:
    assert watches_ledger([("watched", {"ledger_rows": True})])
    assert not watches_ledger([("watched", {"ledger_rows": False})])
    assert not watches_ledger([("watched", "nonsense"), ("event", {})])
    run = COMPARISON.control
    assert run is not None
    seen = [
        ("event", {"lane": {"S": "legacy"}, "name": {"S": "an event"}}),
        ("other_run", {"lane": {"S": "legacy"}, "name": {"S": run.run_id}}),
        ("other_run", {"lane": {"S": "legacy"}, "name": {"S": "second"}}),
        ("other_run", {"lane": {"S": "legacy"}, "name": {"S": "again"}}),
        ("other_run", {"lane": {"S": "workflow"}, "name": {"S": "redriven"}}),
        ("other_run", "nonsense"),
    ]
    named = with_other_runs(run, seen)
    assert named is not None
    assert named.other_runs == ("again", "second")
    beside = with_other_runs(COMPARISON.candidate, seen)
    assert beside is not None
    assert beside.other_runs == ("redriven",)
    assert with_other_runs(run, seen[:2]) is run
    assert with_other_runs(None, seen) is None


@pytest.mark.parametrize(("production", "role"), [(Lane.LEGACY, Role.CANDIDATE), (Lane.WORKFLOW, Role.CONTROL)])
def test_a_lane_that_could_not_be_read_has_its_role_and_its_gaps(production: Lane, role: Role) -> None:
    outcome = unread(pair_of(PLAN, production_lane=production), Lane.WORKFLOW, (Gap(what="w", reason="r"),))

    assert (outcome.role, outcome.lane, outcome.trades, len(outcome.gaps)) == (role, Lane.WORKFLOW, (), 1)


def test_a_candidate_without_a_description_is_unfinished() -> None:
    assert candidate_outcome(pair_of(PLAN), [], PLAN).status.value == "UNFINISHED"


class Table:
    """The control's plan table with one item, or none."""

    def __init__(self, item: Mapping[str, object] | None) -> None:
        self.item = item
        self.asked: list[object] = []

    def get_item(self, **asked: object) -> Mapping[str, object]:
        self.asked.append(asked["Key"])
        return {} if self.item is None else {"Item": to_item(dict(self.item))}


@pytest.mark.parametrize(
    ("pair", "kept", "item", "is_found"),
    [
        ({}, {}, None, True),
        ({"plan_json": None, "plan_key": "plans/p"}, {"plans/p": True}, None, True),
        ({"plan_json": None, "plan_key": "plans/p"}, {}, {"plan_data": True}, True),
        ({"plan_json": None}, {}, {"plan_data": True}, True),
        ({"plan_json": None, "plan_key": "plans/p"}, {}, {"plan_data": 7}, False),
        ({"plan_json": None, "plan_key": "plans/p"}, {}, None, False),
        ({"plan_json": None}, {}, None, False),
    ],
)
def test_a_plan_is_read_where_it_lies(
    pair: Mapping[str, object], kept: Mapping[str, bool], item: Mapping[str, object] | None, *, is_found: bool
) -> None:
    text = PLAN.model_dump_json()
    table = Table(item and {name: text if value is True else value for name, value in item.items()})
    objects = SimpleNamespace(get=lambda key: text.encode() if kept.get(key) else None)
    source = AwsPlanSource(objects, table, "plans")  # type: ignore[arg-type]
    asked = pair_of(PLAN, **pair)

    if is_found:
        assert source.plan_of(asked) == PLAN
        assert table.asked in ([], [to_item({"PK": f"PLAN#{PLAN.plan_id}", "SK": "METADATA"})])
    else:
        with pytest.raises(EvidenceUnavailable, match=f"expected it at {pair.get('plan_key', 'the plan table')}, was nowhere"):
            source.plan_of(asked)
    without = AwsPlanSource(objects, table, None)  # type: ignore[arg-type]
    if item is not None:
        with pytest.raises(EvidenceUnavailable):
            without.plan_of(asked)


def exits(order_id: str | None) -> RunOutcome:
    """A legacy run that sold one position whole by one order, and part of another."""
    comparison = comparison_of(DAY, trades=4, exits=1)
    assert comparison.control is not None
    trades = tuple(trade.model_copy(update={"order_id": order_id}) for trade in comparison.control.trades)
    return comparison.control.model_copy(update={"trades": trades})


def cased(
    legacy: RunOutcome | None, workflow: RunOutcome | None, production: Lane = Lane.LEGACY
) -> tuple[RunOutcome, RunOutcome]:
    both = (legacy, workflow) if production is Lane.LEGACY else (workflow, legacy)
    made = pair_case(Case(pair_of(PLAN, production_lane=production), PLAN, *both, ()), "code")
    assert made.control is not None
    assert made.candidate is not None
    return (made.control, made.candidate) if production is Lane.LEGACY else (made.candidate, made.control)


@pytest.mark.parametrize(("order_id", "is_recorded"), [("dry-run-1", True), ("order-1", False), (None, False)])
def test_a_full_exit_of_a_legacy_dry_run_is_sized_by_the_plans_value(order_id: str | None, *, is_recorded: bool) -> None:
    workflow = COMPARISON.candidate
    assert workflow is not None
    legacy, other = cased(exits(order_id), workflow)
    bases = [trade.intent.sizing_basis for trade in legacy.trades if trade.intent is not None]

    assert bases.count(SizingBasis.HELD_VALUE) == is_recorded
    assert bases.count(SizingBasis.HELD_QUANTITY) == (not is_recorded)
    assert other == workflow


def test_a_workflow_in_production_is_judged_by_what_it_emitted() -> None:
    legacy, workflow = COMPARISON.control, COMPARISON.candidate
    assert legacy is not None
    assert workflow is not None
    assert workflow.effects is not None
    mixed = workflow.model_copy(
        update={"effects": (workflow.effects[0].model_copy(update={"emitted": True}), *workflow.effects[1:])}
    )

    assert len(cased(legacy, mixed)[1].effects or ()) == 4
    assert len(cased(legacy, mixed, Lane.WORKFLOW)[1].effects or ()) == 1
    assert cased(legacy, workflow.model_copy(update={"effects": None}), Lane.WORKFLOW)[1].effects is None


def test_the_policy_is_the_default_where_none_is_named(tmp_path: Path) -> None:
    assert policy_at("") == Policy.read(Path(_default_policy()).read_text(), "default")
    with pytest.raises(Exception, match="POLICY_PATH"):
        policy_at(str(tmp_path / "nowhere.toml"))


def _default_policy() -> str:
    (path,) = (Path(stored_module.__file__).parents[1] / "compare").glob("**/default*.toml")
    return str(path)


# ---------------------------------------------------------------------- stored comparisons


class Bucket:
    """The evidence bucket, or what it answers instead."""

    def __init__(self, *comparisons: Comparison, error: Exception | None = None, size: int | None = None) -> None:
        self.objects = {key_of(each): document(each) for each in comparisons}
        self.error, self.size = error, size
        self.asked: list[Mapping[str, object]] = []

    def get_paginator(self, _operation: str) -> Bucket:
        return self

    def paginate(self, **asked: object) -> Iterator[Mapping[str, object]]:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        yield {}
        for key in sorted(self.objects):
            yield {"Contents": [{"Key": key, "ETag": '"e"', "LastModified": NOON}]}

    def get_object(self, *, Bucket: str, Key: str) -> Mapping[str, object]:  # noqa: N803 - the service's names
        assert Bucket == "b"
        if self.error is not None:
            raise self.error
        body = self.objects[Key]
        return {"ContentLength": self.size or len(body), "Body": SimpleNamespace(read=lambda: body)}


def of_bucket(bucket: Bucket, **options: Any) -> S3Source:
    return S3Source("b", bucket, **options)  # type: ignore[arg-type] # what is used of the client


OTHERS = [comparison_of(date(2026, 11, day), trades=2) for day in (20, 23, 24, 25)]


def test_a_bucket_gives_the_documents_of_the_days_that_are_asked_for() -> None:
    bucket = Bucket(*OTHERS)
    source = of_bucket(bucket)
    found = list(source.documents(date(2026, 11, 23), date(2026, 11, 24)))

    assert found == [(f"s3://b/{key_of(each)}", document(each)) for each in OTHERS[1:3]]
    assert bucket.asked == [{"Bucket": "b", "Prefix": "comparisons/day=", "StartAfter": "comparisons/day=2026-11-23"}]
    assert [entry.stamp for entry in source.entries(date(2026, 11, 25), date(2026, 11, 25))] == [f'"e" {NOON.timestamp()}']


def refused(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}}, "GetObject")


@pytest.mark.parametrize(
    ("error", "listing", "reading"),
    [
        (refused("NoSuchKey"), "a bucket that can be read, was NoSuchKey", "the comparison that the ledger names, was nothing"),
        (refused("AccessDenied"), "can be read, was AccessDenied", "can be read, was AccessDenied"),
        (refused("SlowDown"), "can be read, was SlowDown", "can be read, was SlowDown"),
        (EndpointConnectionError(endpoint_url="x"), "was EndpointConnectionError", "was EndpointConnectionError"),
    ],
)
def test_a_bucket_that_cannot_be_read_says_why(error: Exception, listing: str, reading: str) -> None:
    source = of_bucket(Bucket(error=error))

    with pytest.raises(UnreachableSource, match=listing):
        source.entries(DAY, DAY)
    with pytest.raises(UnreachableSource, match=reading):
        source.read(Entry("s3://b/comparisons/x", ""))


def test_an_object_of_256_mib_is_read_and_a_larger_one_is_not() -> None:
    entry = Entry(f"s3://b/{key_of(OTHERS[0])}", "")

    assert of_bucket(Bucket(OTHERS[0], size=268_435_456)).read(entry) == document(OTHERS[0])
    with pytest.raises(UnreadableDocument, match="expected at most 268435456 bytes, was 268435457"):
        of_bucket(Bucket(OTHERS[0], size=268_435_457)).read(entry)


def test_the_comparison_of_a_pair_is_the_one_that_its_ledger_names_by_digest() -> None:
    kept = OTHERS[0]
    source = of_bucket(Bucket(kept))
    pair = pair_of(PLAN, comparison_key=key_of(kept), comparison_sha256=sha256(document(kept)).hexdigest())

    found = source.of_pair(pair)
    assert found is not None
    assert (found.comparison, found.place, found.pair) == (kept, f"s3://b/{key_of(kept)}", pair)
    assert source.of_pair(pair_of(PLAN)) is None
    with pytest.raises(UnreadableDocument, match="expected the document that the ledger names"):
        source.of_pair(pair.model_copy(update={"comparison_sha256": "0" * 64}))


def test_a_source_goes_to_another_process_without_its_client() -> None:
    source = of_bucket(Bucket())

    assert (source.can_be_sent, S3Source("b").can_be_sent) == (False, True)
    assert source.__reduce__() == (S3Source, ("b",))
    assert (source_of("s3://b/some/prefix"), source_of("s3://b")) == (S3Source("b"), S3Source("b"))


def test_an_index_lies_beside_what_it_is_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert S3Source("b").index == tmp_path / "shadow" / "b.margins"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert S3Source("b").index == Path.home() / ".cache" / "shadow" / "b.margins"
    assert JsonlSource(tmp_path / "x.jsonl").index == tmp_path / ".x.jsonl.margins"
    assert FolderSource(tmp_path).index == tmp_path / ".margins"


def test_of_one_run_one_document_counts_where_no_ledger_says_which(tmp_path: Path) -> None:
    """Two runs whose names begin alike are two runs; two documents of one are one too many."""
    days = OTHERS[:2]
    write_store(tmp_path, days)
    folder = (tmp_path / key_of(days[0])).parent
    for name in ("one-0123456789abcdef.json", "one-two-0123456789abcdef.json", "odd.json", "note.txt", "odder.json"):
        (folder / name).write_bytes(document(days[0]))
    (tmp_path / "comparisons" / "day=2026-11-21").write_text("a file of no day")
    source = FolderSource(tmp_path)
    assert len(source.entries(DAY.replace(day=20), DAY)) == 6

    (folder / "one-ffffffffffffffff.json").write_bytes(document(days[0]))
    with pytest.raises(UnreachableSource, match=r"one document of day=2026-11-20/one, or a ledger\.jsonl .*several, of them"):
        source.entries(DAY.replace(day=20), DAY)


def test_days_are_taken_from_the_first_to_the_last(tmp_path: Path) -> None:
    source = FolderSource(write_store(tmp_path, OTHERS))
    names = [key_of(each) for each in OTHERS]

    assert [entry.name for entry in source.entries(date(2026, 11, 20), date(2026, 11, 24))] == names[:3]
    assert [entry.name for entry in source.entries(date(2026, 11, 21), date(2026, 11, 23))] == names[1:2]


def test_a_plan_is_found_in_a_folder_and_in_the_last_line_of_a_file(tmp_path: Path) -> None:
    folder = FolderSource(write_store(tmp_path / "a", OTHERS))
    again = OTHERS[1].model_copy(update={"code_version": "later"})
    lines = JsonlSource(write_jsonl(tmp_path / "b.jsonl", [*OTHERS, again]))

    for source, version, place in (
        (folder, OTHERS[1].code_version, tmp_path / "a" / key_of(OTHERS[1])),
        (lines, "later", tmp_path / "b.jsonl:5"),
    ):
        found = find(source, OTHERS[1].plan_id)
        assert found is not None
        assert (found.comparison.code_version, found.place) == (version, str(place))
        assert find(source, "nobody") is None
    assert [each.plan_id for each in everything(lines)] == [each.plan_id for each in OTHERS]
    assert everything(lines)[1].code_version == "later"


def test_what_is_no_comparison_is_named_by_place_and_field(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl").write_text("\n\n{}\n")
    (tmp_path / "ledger.jsonl").write_text("{}\n")

    with pytest.raises(UnreadableDocument, match=r"ledger\.jsonl:1"):
        everything(JsonlSource(tmp_path / "x.jsonl"))
    (tmp_path / "ledger.jsonl").unlink()
    with pytest.raises(UnreadableDocument, match=r"x\.jsonl:3.*expected"):
        everything(JsonlSource(tmp_path / "x.jsonl"))


def test_lines_stand_where_they_are_said_to(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    path.write_bytes(b"\n" + document(OTHERS[0]) + b"\n  \n" + document(OTHERS[1]))
    source = JsonlSource(path)

    entries = source.entries(DAY, DAY)

    assert [(entry.name, entry.offset) for entry in entries] == [("x.jsonl:2", 1), ("x.jsonl:4", len(document(OTHERS[0])) + 5)]
    assert [source.read(entry).strip() for entry in entries] == [document(each) for each in OTHERS[:2]]
    assert FolderSource(tmp_path).can_be_sent


@pytest.mark.parametrize(("place", "kind"), [("nothing", "nothing there"), ("folder", "a folder"), ("link", "a dangling link")])
def test_a_place_that_is_no_file_is_named_by_what_it_is(tmp_path: Path, place: str, kind: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "gone")

    with pytest.raises(UnreachableSource, match=f"a readable file, was {kind}"):
        list(JsonlSource(tmp_path / place).documents(DAY, DAY))


# ---------------------------------------------------------------------- judging again


POLICY = default_policy()
CASE = replace(random_case(3, 6), code_version=code_version())
STORED = canonical_bytes(judge(CASE, POLICY))


def changed(**fields: object) -> bytes:
    return json.dumps(json.loads(STORED) | fields).encode()


@pytest.mark.parametrize(
    ("content", "first", "last", "whole", "is_judged"),
    [
        (STORED, 0, 0, False, False),
        (STORED, 0, 0, True, True),
        (STORED, -1, -1, True, False),
        (STORED, 1, 1, True, False),
        (changed(code_version="older"), 0, 0, False, True),
        (changed(code_version="older"), 1, 2, False, False),
        (changed(margins=None), 0, 0, False, True),
    ],
)
def test_a_stored_pair_is_judged_again_where_it_is_asked_for_and_its_margins_do_not_tell(
    content: bytes, first: int, last: int, *, whole: bool, is_judged: bool
) -> None:
    asker = Asker(
        policy=POLICY, first=CASE.trading_day + timedelta(days=first), last=CASE.trading_day + timedelta(days=last), whole=whole
    )
    line, again = asker.answer(WhatIf(POLICY), ("one.json", "stamp"), content)

    stored = Comparison.parse_json(STORED)
    assert (again is not None) is is_judged
    assert again is None or (again.verdict, again.differences) == (stored.verdict, stored.differences)
    assert again in (None, line.stored)
    assert (line.name, line.stamp, line.sha256) == ("one.json", "stamp", sha256(content).hexdigest())
    assert (line.trades, line.stored.differences) == (len(stored.plan.tradable_items), stored.differences)
    assert (line.trading_day, line.published_at) == (stored.trading_day, stored.published_at)


@pytest.mark.parametrize(
    ("changes", "alike"),
    [
        ({}, True),
        ({"deadlines": POLICY.deadlines.model_copy(update={"stuck_seconds": 99})}, True),
        ({"severity": {"SLIPPAGE": Severity.INFO}}, False),
        ({"known": ()}, False),
        ({"limits": POLICY.limits.model_copy(update={"run_seconds": 9_999})}, False),
    ],
)
def test_policies_weigh_a_pair_alike_where_only_their_tolerances_differ(changes: dict[str, object], *, alike: bool) -> None:
    policy = policy_with()
    content = canonical_bytes(judge(CASE, policy))
    asker = Asker(policy=policy, first=CASE.trading_day, last=CASE.trading_day)
    line, _ = asker.answer(WhatIf(policy), ("one.json", "stamp"), content)
    wider = BpsRule(rule="bps", tolerance=Decimal(9_999))
    other = policy.model_copy(update={"rules": policy.rules.model_copy(update={"average_price": wider}), **changes})
    assert WhatIf(other).weighs_alike(line) is alike


def test_a_stored_verdict_that_its_differences_do_not_come_to_is_weighed_anew() -> None:
    asker, what_if = Asker(policy=POLICY, first=CASE.trading_day, last=CASE.trading_day), WhatIf(POLICY)
    other = changed(verdict="IGNORED")
    assert json.loads(STORED)["verdict"] != "IGNORED"
    assert what_if.weighs_alike(asker.answer(what_if, ("one.json", "stamp"), STORED)[0])
    assert not what_if.weighs_alike(asker.answer(what_if, ("one.json", "stamp"), other)[0])


def test_a_line_of_an_index_is_used_where_it_is_of_the_document_and_made_anew_where_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asker, what_if = Asker(policy=POLICY, first=CASE.trading_day, last=CASE.trading_day), WhatIf(POLICY)
    line, _ = asker.answer(what_if, ("one.json", "stamp"), STORED)
    of_it, of_another = replace(line, run_id="kept"), replace(line, run_id="kept", sha256="0" * 64)

    assert asker.answer(what_if, ("one.json", "stamp"), STORED, of_it)[0] is of_it
    assert caplog.messages == []
    assert asker.answer(what_if, ("one.json", "stamp"), STORED, of_another)[0] == line
    assert "one.json: the document is not the one that the index of margins was made from" in caplog.text
    with pytest.raises(InvalidPayload, match=r"two\.json"):
        asker.answer(what_if, ("two.json", "stamp"), b"{}")


def test_a_batch_is_answered_once_under_the_digest_of_its_names() -> None:
    asked = Asker(policy=POLICY, first=CASE.trading_day, last=CASE.trading_day, whole=True)
    world = World(objects={"again/request.json": asked.model_dump_json().encode(), "comparisons/day=x/one.json": STORED})
    objects = FakeObjects(world, Fuse())
    items = [("s3://b/comparisons/day=x/one.json", "stamp")] * 2

    assert [answer_batch(objects, "again", items) for _ in range(2)] == [2, 2]
    (key,) = set(world.objects) - {"again/request.json", "comparisons/day=x/one.json"}
    names = "\n".join(name for name, _ in items)
    assert key == f"again/answers/{sha256(names.encode()).hexdigest()}.jsonl"
    for text in world.objects[key].splitlines():
        line, again = answer_from_wire(json.loads(text))
        assert (line.plan_id, again is not None) == (CASE.plan.plan_id, True)
    with pytest.raises(TypeError, match="answer: expected a list, was dict"):
        answer_from_wire({})
