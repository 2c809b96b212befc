"""Fields of a user's own: what a value is read as, what a difference is, and what is a gap."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.data.frames import load_frames
from shadow.compare.case import PairCase, PairView
from shadow.compare.checks.runs import are_alike, run_own_findings
from shadow.compare.judge import judge
from shadow.compare.policy import InvalidPolicy, OwnRule, Policy, default_policy
from shadow.compare.sides import trade_lines
from shadow.contracts.comparison import Attribution, Comparison, Severity, Verdict
from shadow.contracts.errors import InvalidPayload
from shadow.contracts.outcome import OwnField, OwnType, RunOutcome
from shadow.contracts.vocabulary import Role, TradeStatus
from shadow.lanes.declared import read_declared
from shadow.lanes.lane_file import LaneFile
from shadow.lanes.legacy.reader import read_control
from shadow.lanes.records import ABSENT, Fields, Unreadable, own_field, own_of
from shadow.lanes.redaction import Redactor
from shadow.settlement.stored import JsonlSource
from tests.factories.comparisons import write_jsonl
from tests.factories.control_items import ControlRun
from tests.factories.foreign_lane import LANE_FILE, answer_of, execution_of
from tests.fakes.plans import plan_of
from tests.strategies.outcomes import DAY, random_case
from tests.strategies.planting import run_of, with_run
from tests.strategies.policies import TEXT

BASE = random_case(5, 8)
NUMBER = Decimal("12.50")


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        (OwnType.TEXT, "XNAS", "XNAS"),
        (OwnType.DECIMAL, NUMBER, "12.50"),
        (OwnType.DECIMAL, "1e3", "1000"),
        (OwnType.INTEGER, 7, "7"),
        (OwnType.INTEGER, "7", "7"),
        (OwnType.BOOLEAN, False, "false"),
        (OwnType.TIME, "2026-11-27T10:00:00-05:00", "2026-11-27T15:00:00+00:00"),
        (OwnType.TIME, "2026-11-27T10:00:00", "2026-11-27T15:00:00+00:00"),
    ],
)
def test_a_value_is_read_as_what_the_file_says_it_is(kind: OwnType, value: object, text: str) -> None:
    field = own_field("x", value, kind, zone="America/New_York")
    assert (field.text, field.absent, field.type) == (text, False, kind)
    assert OwnField.parse_json(field.model_dump_json()) == field


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (OwnType.TEXT, 5),
        (OwnType.TEXT, "x" * 501),
        (OwnType.TEXT, "half \ud800"),
        (OwnType.DECIMAL, 0.1),
        (OwnType.DECIMAL, "NaN"),
        (OwnType.DECIMAL, True),
        (OwnType.INTEGER, "7.5"),
        (OwnType.BOOLEAN, "true"),
        (OwnType.BOOLEAN, 1),
        (OwnType.TIME, "2026-11-27"),
        (OwnType.TIME, 5),
    ],
)
def test_a_value_that_is_none_of_its_type_cannot_be_read(kind: OwnType, value: object) -> None:
    with pytest.raises(Unreadable):
        own_field("x", value, kind)


@pytest.mark.parametrize("kind", list(OwnType))
def test_null_and_absent_are_two_answers(kind: OwnType) -> None:
    null, absent = own_field("x", None, kind), own_field("x", ABSENT, kind)
    assert (null.text, null.absent, absent.text, absent.absent) == (None, False, None, True)


def of(text: str | None, kind: OwnType = OwnType.DECIMAL, name: str = "fee") -> OwnField:
    return OwnField(name=name, type=kind, text=text)


def policy_of(**entries: object) -> Policy:
    return Policy.from_values(default_policy().model_dump(mode="json") | {"own": entries})


def rule(kind: str, tolerance: str | None = None) -> OwnRule:
    return policy_of(fee={"rule": kind} | ({"tolerance": tolerance} if tolerance else {})).own["fee"]


@pytest.mark.parametrize(
    ("entry", "one", "other", "alike"),
    [
        (rule("exact"), of("1.0"), of("1.00"), True),
        (rule("exact"), of("1.0"), of("1.01"), False),
        (rule("absolute", "0.01"), of("100.01"), of("100.00"), True),
        (rule("absolute", "0.01"), of("100.0100001"), of("100.00"), False),
        (rule("bps", "10"), of("1000"), of("999"), True),
        (rule("bps", "10"), of("1000"), of("998.9999"), False),
        (rule("bps", "10"), of("0"), of("0.00"), True),
        (rule("exact"), of(None), of(None), True),
        (rule("absolute", "5"), of(None), of("0"), False),
        (rule("exact"), of(None, OwnType.TEXT), of("", OwnType.TEXT), False),
        (rule("exact"), of(None, OwnType.TIME), of("2026-11-27T15:00:00+00:00", OwnType.TIME), False),
        (rule("exact"), of(None, OwnType.BOOLEAN), of("false", OwnType.BOOLEAN), False),
        (rule("exact"), of("a", OwnType.TEXT), of("A", OwnType.TEXT), False),
        (rule("absolute", "5"), of("a", OwnType.TEXT), of("b", OwnType.TEXT), False),
        (rule("exact"), of("true", OwnType.BOOLEAN), of("false", OwnType.BOOLEAN), False),
        (rule("exact"), of("1.5", OwnType.TEXT), of("1.50"), True),
        (rule("exact"), of("none", OwnType.TEXT), of("1.50"), False),
        (rule("exact"), of("1", OwnType.INTEGER), of("1.0"), True),
        (rule("exact"), of("true", OwnType.BOOLEAN), of("1"), False),
        (rule("exact"), of("2026-11-27T10:00:00-05:00", OwnType.TEXT), of("2026-11-27T15:00:00+00:00", OwnType.TIME), True),
        (
            rule("absolute", "2"),
            of("2026-11-27T15:00:02+00:00", OwnType.TIME),
            of("2026-11-27T15:00:00+00:00", OwnType.TIME),
            True,
        ),
        (
            rule("absolute", "2"),
            of("2026-11-27T15:00:02.000001+00:00", OwnType.TIME),
            of("2026-11-27T15:00:00+00:00", OwnType.TIME),
            False,
        ),
        (rule("bps", "100"), of("2026-11-27T15:00:01+00:00", OwnType.TIME), of("2026-11-27T15:00:00+00:00", OwnType.TIME), False),
        (rule("exact"), of("2026-11-27", OwnType.TEXT), of("2026-11-27T15:00:00+00:00", OwnType.TIME), False),
    ],
)
def test_two_values_are_equal_within_the_entrys_tolerance_whichever_comes_first(
    entry: OwnRule, one: OwnField, other: OwnField, *, alike: bool
) -> None:
    assert are_alike(entry, one, other) is alike
    assert are_alike(entry, other, one) is alike


@given(st.decimals(-1000, 1000, places=4), st.decimals(-1000, 1000, places=4), st.decimals(0, 10, places=4))
def test_an_absolute_tolerance_is_the_distance_that_is_equal(left: Decimal, right: Decimal, tolerance: Decimal) -> None:
    entry = rule("absolute", str(tolerance))
    assert are_alike(entry, of(str(left)), of(str(right))) is (abs(left - right) <= tolerance)


def with_own(case: PairCase, control: OwnField | None, candidate: OwnField | None, *, on_runs: bool = False) -> PairCase:
    """Give the case with one field of a user's own: two values in the first trade of each lane, else equal; or on the runs."""
    for role, first in ((Role.CONTROL, control), (Role.CANDIDATE, candidate)):
        run = run_of(case, role)
        if on_runs:
            case = with_run(case, role, own=() if first is None else (first,))
            continue
        usual = (of("1"),)
        own = [() if first is None else (first,), *[usual] * (len(run.trades) - 1)]
        trades = (trade.model_copy(update={"own": each}) for trade, each in zip(run.trades, own, strict=True))
        case = with_run(case, role, trades=tuple(trades))
    return case


def judged(case: PairCase, **entry: object) -> Comparison:
    return judge(case, policy_of(fee={"rule": "exact"} | entry))


@pytest.mark.parametrize("on_runs", [False, True])
@pytest.mark.parametrize("texts", [("1", "2"), ("2", "1"), (None, "1"), ("1", None)])
def test_a_difference_names_the_field_both_values_and_neither_lane(
    texts: tuple[str | None, str | None], *, on_runs: bool
) -> None:
    found = judged(with_own(BASE, *map(of, texts), on_runs=on_runs), severity="MAJOR")
    assert found.verdict is Verdict.DIVERGED
    (difference,) = found.differences
    assert (difference.kind, difference.field, difference.severity) == ("OWN_FIELD", "own.fee", Severity.MAJOR)
    assert (difference.control, difference.candidate) == tuple("null" if text is None else text for text in texts)
    assert (difference.attribution, difference.trade_id is None) == (Attribution.NEITHER, on_runs)


def test_a_policy_without_an_entry_compares_nothing_of_it() -> None:
    assert judge(with_own(BASE, of("1"), of("2")), default_policy()).verdict is Verdict.MATCHED


@pytest.mark.parametrize(("entry", "severity"), [({}, "MINOR"), ({"severity": "INFO"}, "INFO")])
def test_the_severity_is_the_entrys_else_the_kinds(entry: dict[str, str], severity: str) -> None:
    found = judged(with_own(BASE, of("1"), of("2")), **entry)
    assert [each.severity.value for each in found.differences] == [severity]
    assert found.verdict is (Verdict.MATCHED if severity == "INFO" else Verdict.DIVERGED)


def test_the_register_covers_a_field_by_its_name() -> None:
    known = (
        f'[own.fee]\nrule = "exact"\n[[known]]\nid = "KD"\nowner = "o"\nreason = "r"\nkind = "OWN_FIELD"\n'
        f'field = "own.fee"\nlane = "neither"\nexpires = {DAY}\nbudget_a_day = 5\n'
    )
    case = with_own(BASE, of("1"), of("2"))
    assert judge(case, Policy.read(TEXT + known)).verdict is Verdict.IGNORED
    assert judge(case, Policy.read(TEXT + known.replace('"own.fee"', '"own.tax"'))).verdict is Verdict.DIVERGED


ABSENT_FEE = OwnField(name="fee", type=OwnType.DECIMAL, absent=True)


@pytest.mark.parametrize(
    ("control", "candidate", "on_runs", "gaps"),
    [
        (ABSENT_FEE, of("1"), False, ["control: trade {symbol}: own.fee: absent"]),
        (of("1"), ABSENT_FEE, False, ["candidate: trade {symbol}: own.fee: absent"]),
        (ABSENT_FEE, ABSENT_FEE, False, []),
        (of("1"), None, True, ["candidate: own.fee: the policy compares it, and this lane's run has no such field"]),
        (ABSENT_FEE, of("1"), True, ["control: own.fee: the policy compares it, and this lane's run has no such field"]),
        (
            None,
            None,
            True,
            [
                "candidate: own.fee: the policy compares it, and no trade of this lane has such a field",
                "control: own.fee: the policy compares it, and no trade of this lane has such a field",
            ],
        ),
    ],
)
def test_what_a_lane_does_not_have_is_a_gap_that_names_it(
    control: OwnField | None, candidate: OwnField | None, gaps: list[str], *, on_runs: bool
) -> None:
    found = judged(with_own(BASE, control, candidate, on_runs=on_runs))
    symbol = run_of(BASE, Role.CONTROL).trades[0].symbol
    assert list(found.gaps) == [gap.format(symbol=symbol) for gap in gaps]
    assert found.differences == ()
    assert found.verdict is (Verdict.INCOMPLETE if gaps else Verdict.MATCHED)


def test_no_trade_of_one_lane_having_the_field_is_one_gap_not_one_a_trade() -> None:
    case = with_own(BASE, of("1"), of("1"))
    case = with_run(case, Role.CONTROL, trades=run_of(BASE, Role.CONTROL).trades)
    assert list(judged(case).gaps) == ["control: own.fee: the policy compares it, and no trade of this lane has such a field"]


def test_a_trade_that_ended_otherwise_is_told_by_its_status_and_not_asked_for_the_field() -> None:
    case = with_own(BASE, of("1"), ABSENT_FEE)
    run = run_of(case, Role.CANDIDATE)
    skipped = run.trades[0].model_copy(update={"status": TradeStatus.SKIPPED})
    found = judged(replace(case, candidate=run.model_copy(update={"trades": (skipped, *run.trades[1:])})))
    assert not [gap for gap in found.gaps if "own." in gap]
    assert "TRADE_STATUS" in {each.kind for each in found.differences}


PLAN = plan_of(AAPL="-600", GOOG="1000")


def control_with(added: dict[str, object], own: tuple[str, ...]) -> RunOutcome:
    items = [item | added for item in map(_plain, ControlRun(PLAN).items())]
    outcome = read_control("run", PLAN.plan_id, items, None, own=own)
    assert outcome is not None
    return outcome


def _plain(item: dict[str, object]) -> dict[str, object]:
    from shadow.aws.table import plain_item  # noqa: PLC0415 - this test alone has raw items

    return plain_item(item)


def test_an_attribute_of_the_controls_items_that_the_policy_names_is_read_and_no_violation() -> None:
    added: dict[str, object] = {"fee": Decimal("0.5"), "desk": "a", "late": True, "more": None}
    outcome = control_with(added, ("fee", "desk", "late", "more", "none"))
    assert outcome.violations == ()
    for record in (outcome, *outcome.trades):
        assert [(field.name, field.type.value, field.text, field.absent) for field in record.own] == [
            ("fee", "decimal", "0.5", False),
            ("desk", "text", "a", False),
            ("late", "boolean", "true", False),
            ("more", "text", None, False),
            ("none", "text", None, True),
        ]


def test_an_attribute_that_the_policy_does_not_name_stays_a_violation() -> None:
    assert any("fee: expected no such attribute" in each for each in control_with({"fee": Decimal(1)}, ()).violations)


def test_a_value_that_is_no_single_value_is_a_violation() -> None:
    outcome = control_with({"fee": ["1"]}, ("fee",))
    assert any("fee: expected a text" in each for each in outcome.violations)
    assert outcome.trades[0].own == ()


def test_the_workflows_wire_has_the_field_in_camel_case() -> None:
    fields = Fields("tradeResult", {"strategyTag": "a"}, [], own=("strategy_tag",))
    assert own_of(fields) == (OwnField(name="strategy_tag", type=OwnType.TEXT, text="a"),)


def test_a_secret_is_redacted_before_it_is_read() -> None:
    file = LaneFile.read(LANE_FILE.replace("[maps]", '[run.own]\ntoken = "api_key"\n[maps]'))
    answer = answer_of(PLAN)
    answer["Payload"]["api_key"] = "AK123456"
    describe, history = execution_of(answer)
    cleaned = Redactor().clean(describe)
    assert isinstance(cleaned, dict)
    outcome = read_declared(file, ("run", PLAN.plan_id), Role.CANDIDATE, cleaned, history)
    assert [field.text for field in outcome.own] == ["[redacted]"]


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ('fee = { at = "fee", type = "float" }', "trades.own.fee.type: expected text or decimal or integer or boolean or time"),
        ('fee = { at = "fee", sign_from = "action" }', "trades.own.fee: expected a path, or a table of"),
        ('fee = { at = "fee", map = "nowhere" }', "trades.own.fee.map: expected a table of maps"),
        ('"a b" = "fee"', "trades.own.a b: expected a name of up to 64 letters, digits and _"),
        ("\n".join(f'f{number} = "f{number}"' for number in range(33)), "trades.own: expected at most 32 fields, was 33"),
    ],
)
def test_a_lane_file_that_is_wrong_about_them_is_refused_by_place(table: str, told: str) -> None:
    with pytest.raises(InvalidPayload) as refused:
        LaneFile.read(LANE_FILE.replace("[maps]", f"[trades.own]\n{table}\n[maps]"))
    assert told in str(refused.value)


@pytest.mark.parametrize(
    "entry",
    ['rule = "ticks"', 'rule = "absolute"', 'rule = "bps"\ntolerance = 5.0', 'rule = "exact"\nseverity = "BAD"'],
)
def test_a_policy_that_is_wrong_about_them_is_refused_by_line(entry: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        Policy.read(f"{TEXT}\n[own.fee]\n{entry}\n")
    assert "own.fee" in str(refused.value)
    assert refused.value.faults[0].line > TEXT.count("\n")


def test_the_frame_of_trades_has_them_of_both_lanes(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "comparisons.jsonl", [judged(with_own(BASE, of("1"), ABSENT_FEE))])
    trades = load_frames(JsonlSource(tmp_path / "comparisons.jsonl")).trades.set_index("trade_id")
    first = trades.loc[run_of(BASE, Role.CONTROL).trades[0].trade_id]
    assert first["control_own"] == '{"fee": "1"}'
    assert trades["candidate_own"].isna().sum() == 1
    assert set(trades["plan_id"]) == {BASE.plan.plan_id}


def test_both_lanes_show_theirs_side_by_side() -> None:
    view = PairView(with_own(BASE, of("1"), of(None)))
    shown = [line for pair in view.trades for line in trade_lines(pair.control, pair.candidate)]
    assert ("own", "fee 1", "fee null") in shown
    assert ("own", "fee 1", "fee 1") in shown


@pytest.mark.parametrize("role", Role)
def test_where_one_lane_did_not_run_no_field_of_a_run_is_compared(role: Role) -> None:
    case = with_run(BASE, role, own=(of("1"),))
    view = PairView(replace(case, control=None) if role is Role.CANDIDATE else replace(case, candidate=None))
    assert list(run_own_findings(view, policy_of(fee={"rule": "exact"}))) == []


def test_each_of_several_fields_is_compared_whatever_came_of_those_before_it() -> None:
    policy = policy_of(**{name: {"rule": "exact"} for name in ("alike", "absent", "unread", "apart", "other")})
    run = run_of(BASE, Role.CONTROL)
    fields = {
        Role.CONTROL: (of("1", name="alike"), of("1", name="unread"), of("1", name="apart"), of(None, name="other")),
        Role.CANDIDATE: (
            of("1", name="alike"),
            OwnField(name="unread", type=OwnType.DECIMAL, absent=True),
            of("2", name="apart"),
            of("2", name="other"),
        ),
    }
    runs = {role.value: run.model_copy(update={"role": role, "own": own}) for role, own in fields.items()}
    found = list(run_own_findings(PairView(replace(BASE, **runs)), policy))
    assert [(each.field, each.control, each.candidate) for each in found] == [
        ("own.apart", "1", "2"),
        ("own.other", "null", "2"),
    ]
    assert [each.explanation for each in found] == [
        "The control has 1 as apart, the candidate 2.",
        "The control has null as other, the candidate 2.",
    ]
