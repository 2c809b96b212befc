"""Frames: documented columns, exact money, the last document of a run, budgets, and errors that name file and field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings

from reports.data.columns import FRAMES, Kind
from reports.data.columns import Path as Way
from reports.data.frames import Frames, day_row, load_frames
from reports.readiness.day_evidence import SAFETY_KINDS
from shadow.compare.across_pairs import apply_budgets
from shadow.compare.kinds import KINDS
from shadow.compare.policy import KnownDivergence, default_policy
from shadow.contracts.comparison import Comparison, Severity, Verdict
from shadow.contracts.errors import UnreachableSource, UnreadableDocument
from shadow.contracts.outcome import Effect
from shadow.contracts.pair import PairState, Unpaired, UnpairedPlan, UnreadablePair
from shadow.contracts.vocabulary import EffectKind, Origin, Reason, Role, RunStatus, TradeStatus
from shadow.settlement.stored import FolderSource, JsonlLedger, JsonlSource, source_of
from tests.factories.comparisons import (
    Given,
    comparison_of,
    difference,
    diverged,
    document,
    missing_candidate,
    partly_filled,
    story,
    with_a_trade_beyond_the_plan,
    with_roles_swapped,
    with_the_plans_ids,
    with_trade,
    write_jsonl,
    write_store,
)
from tests.factories.pairs import LedgerOf, judged
from tests.fuzz.mutations import as_text, damaged

DAY = date(2025, 11, 3)
DTYPES = {
    Kind.DAY: "datetime64[s]",
    Kind.TIME: "datetime64[us, UTC]",
    Kind.TEXT: "str",
    Kind.CATEGORY: "category",
    Kind.DECIMAL: "object",
    Kind.FLOAT: "float64",
    Kind.COUNT: "int64",
    Kind.MAYBE_COUNT: "Int64",
    Kind.FLAG: "bool",
}


def frames_of(*comparisons: Comparison, **options: object) -> Frames:
    return load_frames(Given(*comparisons), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "comparisons", [[], [comparison_of(DAY)], [diverged(comparison_of(DAY))]], ids=["none", "one", "diverged"]
)
def test_every_frame_has_its_documented_columns_and_dtypes_also_when_empty(comparisons: list[Comparison]) -> None:
    frames = frames_of(*comparisons)
    for name, columns in FRAMES.items():
        frame: pd.DataFrame = getattr(frames, name)
        assert {column.name: str(frame[column.name].dtype) for column in columns} == {c.name: DTYPES[c.kind] for c in columns}
        assert list(frame.columns) == [column.name for column in columns]


def test_money_is_exact_and_decimal() -> None:
    pair = comparison_of(DAY)
    frames = frames_of(pair)
    assert frames.pairs["planned_value"].iloc[0] == pair.plan.total_trade_value
    assert sum(frames.trades["planned_amount"]) == sum(item.trade_amount for item in pair.plan.items)
    assert {type(value) for value in frames.trades["control_value"]} == {Decimal}


def test_a_trade_joins_plan_and_both_lanes() -> None:
    pair = comparison_of(DAY, trades=6)
    trades = frames_of(pair).trades.set_index("trade_id")
    assert pair.control is not None
    assert pair.candidate is not None
    assert len(trades) == 6
    for control, candidate in zip(pair.control.trades, pair.candidate.trades, strict=True):
        row = trades.loc[candidate.trade_id]
        assert (row["symbol"], row["side"], row["planned_amount"]) == (control.symbol, control.action, control.planned_amount)
        assert (row["control_price"], row["candidate_price"]) == (control.average_price, candidate.average_price)
    assert list(trades["full_exit"]).count(True) == 2


def test_a_control_with_trade_ids_of_its_own_gives_the_same_frames() -> None:
    told = story([DAY + timedelta(days=number) for number in range(5)])
    by_the_plan, by_its_own = frames_of(*map(with_the_plans_ids, told)), frames_of(*told)

    assert not set(by_its_own.trades["trade_id"]) - set(by_the_plan.trades["trade_id"])
    for name in FRAMES:
        left, right = (getattr(frames, name).drop(columns="document", errors="ignore") for frames in (by_the_plan, by_its_own))
        pd.testing.assert_frame_equal(left, right)


@pytest.mark.parametrize("roles", [(Role.CONTROL,), (Role.CANDIDATE,), tuple(Role)])
def test_what_was_planned_is_the_plan_s_word_and_nobody_planned_a_trade_beyond_it(roles: tuple[Role, ...]) -> None:
    pair = with_a_trade_beyond_the_plan(comparison_of(DAY, trades=4, exits=1), *roles)
    assert pair.control is not None
    claims = {"is_complete_exit": True, "planned_amount": Decimal(-1)}
    trades = frames_of(pair.model_copy(update={"control": with_trade(pair.control, 1, **claims)})).trades
    asked = pair.plan.tradable_items
    assert list(trades["planned_amount"]) == [*(item.trade_amount for item in asked), None]
    assert list(trades["full_exit"]) == [*(item.is_full_exit for item in asked), False]
    said = [*(item.trade_amount for item in asked), asked[0].trade_amount]
    assert list(trades["size"]) == ["large" if abs(amount) >= 1000 else "small" for amount in said]


def test_a_trade_that_no_lane_has_is_still_a_row() -> None:
    pair = comparison_of(DAY, trades=6)
    assert pair.control is not None
    lost = pair.control.model_copy(update={"trades": pair.control.trades[1:]})
    trades = frames_of(pair.model_copy(update={"control": lost, "candidate": None})).trades
    assert len(trades) == 6
    assert trades["control_status"].isna().sum() == 1
    assert trades["candidate_status"].isna().all()
    assert trades["trade_id"].is_unique


def test_slippage_is_a_cost_for_buys_and_sells_alike() -> None:
    pair = comparison_of(DAY, trades=4)
    assert pair.control is not None
    worse = {
        trade.trade_id: trade.intent.decision_price * (Decimal("1.001") if trade.action == "BUY" else Decimal("0.999"))
        for trade in pair.control.trades
        if trade.intent and trade.intent.decision_price
    }
    trades = frames_of(with_control(pair, recorded=worse)).trades
    assert trades["control_slippage_bps"].to_numpy() == pytest.approx(10.0)
    assert trades["candidate_slippage_bps"].to_numpy() == pytest.approx(0.0)


def test_slippage_is_that_of_the_fills_where_the_control_records_the_mid_of_its_quote() -> None:
    pair = comparison_of(DAY, trades=4)
    assert pair.control is not None
    mid = {trade.trade_id: trade.intent.decision_price for trade in pair.control.trades if trade.intent}
    paid = {
        trade.trade_id: (mid[trade.trade_id] or Decimal(0)) * (Decimal("1.002") if trade.action == "BUY" else Decimal("0.998"))
        for trade in pair.control.trades
    }
    trades = frames_of(with_control(pair, recorded=mid, entered=paid)).trades
    assert trades["control_price"].to_list() == trades["control_quote"].to_list()
    assert trades["control_slippage_bps"].to_numpy() == pytest.approx(20.0)


def with_control(
    pair: Comparison, *, recorded: Mapping[str, Decimal | None], entered: Mapping[str, Decimal] | None = None
) -> Comparison:
    """Give a pair whose control records these prices, enters those in its ledger, and has no order that says its fills."""
    assert pair.control is not None
    trades = tuple(t.model_copy(update={"average_price": recorded[t.trade_id], "orders": ()}) for t in pair.control.trades)
    rows = tuple(
        Effect(
            kind=EffectKind.LEDGER_ENTRY,
            emitted=True,
            trade_id=t.trade_id,
            symbol=t.symbol,
            action=t.action,
            quantity=t.filled_quantity,
            price=entered[t.trade_id],
        )
        for t in (trades if entered else ())
        if entered
    )
    return pair.model_copy(update={"control": pair.control.model_copy(update={"trades": trades, "effects": rows})})


@pytest.mark.parametrize(
    ("status", "reason", "way"),
    [
        (RunStatus.COMPLETED, None, Way.BOTH_PHASES),
        (RunStatus.BLOCKED_BY_GUARD, None, Way.GUARD_BLOCKED),
        (RunStatus.BLOCKED_BY_EQUITY_LIMIT, None, Way.EQUITY_BLOCKED),
        (RunStatus.FAILED, None, Way.FAILED),
        (RunStatus.COMPLETED, Reason.MARKET_CLOSED, Way.MARKET_CLOSED),
    ],
)
def test_the_path_is_named_from_what_the_candidate_did(status: RunStatus, reason: Reason | None, way: Way) -> None:
    pair = comparison_of(DAY)
    assert pair.candidate is not None
    trades = tuple(
        t.model_copy(update={"reason": reason, "status": TradeStatus.SKIPPED}) if reason else t for t in pair.candidate.trades
    )
    run = pair.candidate.model_copy(update={"status": status, "trades": trades})
    assert frames_of(pair.model_copy(update={"candidate": run})).pairs["path"].iloc[0] == way


def test_a_partial_fill_keeps_its_reason() -> None:
    pair = comparison_of(DAY)
    assert pair.candidate is not None
    trades = frames_of(pair.model_copy(update={"candidate": partly_filled(pair.candidate)})).trades
    assert list(trades["candidate_reason"].dropna()) == ["PARTIAL_FILL"]


def test_a_missing_lane_is_missing_and_not_zero() -> None:
    pairs = frames_of(missing_candidate(comparison_of(DAY))).pairs
    assert pd.isna(pairs["candidate_seconds"].iloc[0])
    assert pairs["state_transitions"].isna().all()
    assert pairs["candidate_status"].isna().all()


def test_each_set_of_versions_has_a_name_of_its_own() -> None:
    base = comparison_of(DAY)
    assert base.candidate is not None
    runs = [{"version": "workflow:3"}, {"version": "workflow:3", "functions": ("trade:7",)}, {"functions": ("trade:8",)}, {}]
    many = [
        comparison_of(DAY, number=number).model_copy(update={"candidate": base.candidate.model_copy(update=changes)})
        for number, changes in enumerate(runs)
    ]

    names = [None if pd.isna(name) else name for name in frames_of(*many).pairs["candidate_version"]]

    assert names[0] == "workflow:3"
    assert names[3] is None
    assert len(set(names)) == 4


def test_only_what_counts_is_counted() -> None:
    pair = comparison_of(DAY)
    cause = difference(pair, 0)
    effect = difference(pair, 0, kind="VALUE", severity=Severity.INFO, caused_by=cause.key)
    known = difference(pair, 1, kind="SLIPPAGE", severity=Severity.MINOR, covered_by="KD-1")
    frames = frames_of(diverged(pair, cause, effect, known))
    assert frames.pairs.loc[0, ["differences", "rows", "unexplained", "critical", "major"]].tolist() == [2, 3, 1, 0, 1]
    assert list(frames.differences["unexplained"]) == [True, False, False]
    assert frames.trades["unexplained"].sum() == 1


def test_durations_are_long_and_leave_out_what_has_no_end() -> None:
    durations = frames_of(comparison_of(DAY, trades=4), missing_candidate(comparison_of(DAY, trades=4, number=1))).durations
    counts = durations.groupby(["unit", "role"], observed=True).size()
    assert counts.to_dict() == {
        ("run", "control"): 2,
        ("run", "candidate"): 1,
        ("trade", "control"): 8,
        ("trade", "candidate"): 4,
    }
    assert durations.loc[durations["unit"] == "run", "trade_id"].isna().all()


def test_the_last_document_of_a_run_holds() -> None:
    first = diverged(comparison_of(DAY))
    other = comparison_of(DAY, number=1)
    frames = frames_of(first, other, comparison_of(DAY))
    assert list(frames.pairs["verdict"]) == ["MATCHED", "MATCHED"]
    assert len(frames.differences) == 0
    assert len(frames.trades) == 24


def test_folder_and_lines_give_the_same_frames(tmp_path: Path) -> None:
    pairs = [comparison_of(DAY), diverged(comparison_of(DAY + timedelta(days=1)))]
    write_store(tmp_path / "store", pairs)
    write_jsonl(tmp_path / "lines" / "comparisons.jsonl", pairs)
    stored, lines = load_frames(FolderSource(tmp_path / "store")), load_frames(FolderSource(tmp_path / "lines"))
    pd.testing.assert_frame_equal(stored.trades, lines.trades)
    pd.testing.assert_frame_equal(stored.differences, lines.differences)


def test_only_the_days_asked_for_are_loaded(tmp_path: Path) -> None:
    days = [DAY + timedelta(days=number) for number in range(4)]
    pairs = [comparison_of(day) for day in days]
    for source in (FolderSource(write_store(tmp_path, pairs)), JsonlSource(write_jsonl(tmp_path / "x.jsonl", pairs))):
        frames = load_frames(source, days[1], days[2])
        assert [stamp.date() for stamp in frames.pairs["trading_day"]] == days[1:3]


@pytest.mark.parametrize("place", ["", "nothing-here.jsonl"])
def test_a_place_with_nothing_to_read_is_named(tmp_path: Path, place: str) -> None:
    with pytest.raises(UnreachableSource, match=str(tmp_path)):
        load_frames(source_of(str(tmp_path / place)))


def broken(path: str, value: object) -> bytes:
    content = json.loads(document(diverged(comparison_of(DAY, trades=2))))
    target = content
    *way, last = path.split(".")
    for step in way:
        target = target[int(step)] if step.isdigit() else target[step]
    target[last] = value
    return json.dumps(content).encode()


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("verdict", "MAYBE", "verdict"),
        ("trading_day", "2025-13-01", "trading_day"),
        ("control.started_at", "2025-11-03T15:45:00", "control.started_at"),
        ("control.trades.0.planned_amount", "12,5", "control.trades.0.planned_amount"),
        ("candidate.status", 7, "candidate.status"),
        ("differences.0.severity", "HUGE", "differences.0.severity"),
        ("plan.items.0.action", None, "plan.items.0.action"),
    ],
)
def test_a_faulty_field_is_named_with_its_document(path: str, value: object, field: str) -> None:
    with pytest.raises(UnreadableDocument) as caught:
        load_frames(Given(comparison_of(DAY), broken(path, value)))
    assert (caught.value.document, caught.value.field) == ("document-1", field)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"plan_id": 1}', document(comparison_of(DAY))[:-9]]
)
def test_what_is_no_document_is_a_typed_error(content: bytes) -> None:
    with pytest.raises(UnreadableDocument, match="document-0"):
        load_frames(Given(content))


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("transitions", [-1, 10**30])
def test_a_number_of_transitions_that_no_run_makes_is_refused_by_its_name(role: Role, transitions: int) -> None:
    told = json.loads(document(comparison_of(DAY, trades=2)))
    told[role.value]["state_transitions"] = transitions
    with pytest.raises(UnreadableDocument, match="state_transitions"):
        load_frames(Given(json.dumps(told).encode()))


WHOLE = json.loads(document(missing_candidate(diverged(comparison_of(DAY, trades=2)))))


@settings(max_examples=300, deadline=None)
@given(damaged(WHOLE, most=1).map(as_text))
def test_a_document_that_is_damaged_anywhere_is_read_or_refused_by_name(text: str) -> None:
    assert names_read_or_refused(text.encode("utf-8", "surrogatepass")) in ({"document-0"}, set())


def names_read_or_refused(content: bytes) -> set[str]:
    try:
        return set(load_frames(Given(content)).pairs["document"])
    except UnreadableDocument as error:
        return {error.document}


def test_safety_kinds_are_kinds() -> None:
    assert set(KINDS) >= SAFETY_KINDS


def known(name: str, kind: str, budget: int) -> KnownDivergence:
    return KnownDivergence(id=name, owner="desk", reason="expected", kind=kind, expires=date(2030, 1, 1), budget_a_day=budget)


@pytest.mark.parametrize("budget", [1, 2, 3, 5])
def test_budgets_uncover_the_same_differences_as_the_judge(budget: int) -> None:
    pairs = [comparison_of(DAY, number=number) for number in range(3)]
    found = []
    for pair in pairs:
        cause = difference(pair, 0, kind="SLIPPAGE", severity=Severity.MINOR, covered_by="KD-1")
        effect = difference(pair, 0, kind="VALUE", severity=Severity.INFO, caused_by=cause.key, covered_by="KD-1")
        second = difference(pair, 1, kind="SLIPPAGE", severity=Severity.MAJOR, covered_by="KD-1")
        found.append(diverged(pair, cause, effect, second))
    policy = default_policy().model_copy(update={"known": (known("KD-1", "SLIPPAGE", budget),)})
    settled = frames_of(*apply_budgets(found, policy))
    frames = frames_of(*found, budgets={"KD-1": budget})
    for name in ("pairs", "trades", "differences"):
        pd.testing.assert_frame_equal(getattr(frames, name), getattr(settled, name))
    assert (frames.differences["over_budget"].notna() & frames.differences["counts"]).sum() == 6 - budget if budget < 6 else 0


def test_what_is_uncovered_of_a_trade_is_that_runs_also_where_another_run_has_a_trade_of_that_id() -> None:
    pairs = [with_a_trade_beyond_the_plan(comparison_of(DAY, number=number), Role.CANDIDATE) for number in range(3)]
    beyond = {"trade_id": "own-1", "symbol": "ELSE", "kind": "EXTRA_TRADE", "covered_by": "KD-1"}
    found = [diverged(pairs[0]), *(diverged(pair, difference(pair, **beyond)) for pair in pairs[1:])]
    trades = frames_of(*found, budgets={"KD-1": 1}).trades
    extra = trades[trades["trade_id"] == "own-1"]
    assert list(extra["unexplained"]) == [0, 0, 1]
    assert trades["unexplained"].sum() == 2


@pytest.mark.parametrize("known", [True, False])
def test_pairs_with_the_workflow_in_production_are_told_apart_with_a_ledger_and_without(known: bool) -> None:  # noqa: FBT001
    before, after = comparison_of(DAY), with_roles_swapped(comparison_of(DAY + timedelta(days=1)))
    drill = with_roles_swapped(comparison_of(DAY, number=1, origin="replay"))
    ledger = LedgerOf(judged(before), judged(after, production_lane=after.production_lane))
    frames = frames_of(before, after, drill, ledger=ledger if known else None)
    assert list(frames.ledger["swapped"]) == [0, 1]
    assert list(frames.pairs["production_lane"]) == ["legacy", "workflow", "workflow"]


def test_the_ledger_says_where_every_pair_went() -> None:
    compared, lost = comparison_of(DAY), comparison_of(DAY, number=1)
    waiting = judged(lost, plan_id="p2", run_id="r2", state=PairState.LATE, verdict=Verdict.PENDING, settled_at=None)
    drill = judged(lost, plan_id="p3", run_id="r3", origin=Origin.PLANTED)
    row = day_row(DAY, [judged(compared), waiting, drill], {compared.run_id: Verdict.MATCHED})
    assert (row["published"], row["matched"], row["pending"], row["late"], row["drills"]) == (2, 1, 1, 1, 1)
    assert (row["conserved"], row["settle_seconds"]) == (True, 41.0)


@pytest.mark.parametrize("compared", [{}, {"other": Verdict.MATCHED}])
def test_a_verdict_without_its_stored_comparison_breaks_conservation(compared: dict[str, Verdict]) -> None:
    row = day_row(DAY, [judged(comparison_of(DAY))], compared)
    assert (row["uncompared"], row["conserved"]) == (1, False)


def test_an_unreadable_item_of_the_ledger_is_unaccounted_for() -> None:
    row = day_row(DAY, [UnreadablePair("PAIR#x", "no verdict")], {})
    assert (row["published"], row["unaccounted"], row["conserved"]) == (1, 1, False)


def noted(plan_id: str, reason: Unpaired) -> UnpairedPlan:
    published = datetime(2025, 11, 3, 15, 0, tzinfo=UTC)
    return UnpairedPlan(plan_id=plan_id, trading_day=DAY, published_at=published, reason=reason)


def test_plans_that_were_published_and_have_no_pair_are_counted() -> None:
    compared = comparison_of(DAY)
    plans = [
        noted("sampled-away", Unpaired.NOT_SAMPLED),
        noted("sampled-away", Unpaired.INVALID),
        noted("nothing-to-trade", Unpaired.HOLD_ONLY),
        noted(compared.plan_id, Unpaired.NOT_COPIED),
        noted(compared.plan_id, Unpaired.OTHER_CONTENT),
        UnreadablePair("PAIR#x UNPAIRED#OFF", "no day"),
    ]
    row = day_row(DAY, [judged(compared)], {compared.run_id: Verdict.MATCHED}, plans)
    assert (row["published"], row["unpaired"], row["held"], row["conserved"]) == (1, 3, 1, True)


def test_plans_without_a_pair_are_not_known_where_the_ledger_does_not_keep_them(tmp_path: Path) -> None:
    assert day_row(DAY, [], {})["unpaired"] is None
    assert day_row(DAY, [], {}, [])["unpaired"] == 0
    assert JsonlLedger(tmp_path / "ledger.jsonl").unpaired_of(DAY) is None


def test_a_ledger_of_lines_names_its_faulty_line(tmp_path: Path) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_text(judged(comparison_of(DAY)).model_dump_json() + "\n" + '{"plan_id": "x"}\n')
    with pytest.raises(UnreadableDocument, match=r"ledger\.jsonl:2"):
        JsonlLedger(path).pairs_of(DAY)
