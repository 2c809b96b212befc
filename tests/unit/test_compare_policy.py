"""The policy: read whole or refused with line, key and expectation; hashed by its meaning; covering what it registers."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from shadow.compare.across_pairs import apply_budgets
from shadow.compare.judge import judge
from shadow.compare.policy import (
    KnownDivergence,
    Materiality,
    Policy,
    RuleNoise,
    Standing,
    Worth,
    default_policy,
    standing_of,
    worse,
)
from shadow.compare.policy_text import InvalidPolicy, PolicyText
from shadow.contracts.comparison import Comparison, Severity, Verdict
from shadow.contracts.vocabulary import Role
from tests.strategies.outcomes import DAY, random_case
from tests.strategies.planting import is_buy, run_of, shifted, then, trade_edit
from tests.strategies.policies import KNOWN, TEXT, policy_with


def slipped(seed: int = 3) -> Comparison:
    """Judge a slip in paper: the candidate's orders were put to a broker."""
    case = shifted(is_buy, 60)(random_case(seed), Role.CANDIDATE)
    run = run_of(case, Role.CANDIDATE)
    taken = [tuple(order.model_copy(update={"accepted": True}) for order in trade.orders) for trade in run.trades]
    trades = tuple(t.model_copy(update={"orders": orders}) for t, orders in zip(run.trades, taken, strict=True))
    return judge(replace(case, candidate=run.model_copy(update={"trades": trades})), policy_with())


def test_the_packaged_policy_is_valid_and_its_hash_is_of_its_meaning() -> None:
    spaced = "# a remark\n" + TEXT.replace("version = 1", "version   =   1")
    assert Policy.read(spaced).hash == default_policy().hash
    assert Policy.read(TEXT.replace("sell_attempts = 3", "sell_attempts = 4")).hash != default_policy().hash
    assert len(default_policy().hash) == 64


@pytest.mark.parametrize(
    ("old", "new", "key", "expected"),
    [
        ("version = 1", "version = 2", "version", "less than or equal to 1"),
        ('tolerance = "2500"', "tolerance = 200.5", "rules.exit_quantity.tolerance", "a decimal string, not float"),
        ('tolerance = "2500"', 'tolerance = "-1"', "rules.exit_quantity.tolerance", "zero or more"),
        ('tolerance = "2500"', 'tolerance = "NaN"', "rules.exit_quantity.tolerance", "a finite decimal"),
        ("sell_attempts = 3", "sell_attempts = 0", "limits.sell_attempts", "greater than or equal to 1"),
        ("sell_attempts = 3", "sell_attempts = 3\nsell_atempts = 3", "limits.sell_atempts", "no such key"),
        ("late_seconds = 3600", "late_seconds = 99999", "deadlines", "late_seconds to be at most missing_seconds, 21600"),
        ("[severity]", '[severity]\nSIDES = "MAJOR"', "severity", "the name of a kind of difference, was SIDES"),
        ("[severity]", '[severity]\nSIDE = "HUGE"', "severity.SIDE", "'CRITICAL', 'MAJOR', 'MINOR' or 'INFO'"),
        ("[severity]", '[severity]\nDOUBLE_ORDER = "INFO"', "severity", "DOUBLE_ORDER to be left alone, it is CRITICAL whatever"),
        (
            'client_order_id = ["workflow"]',
            'client_order_id = ["candidate"]',
            "applies.client_order_id.0",
            "'legacy', 'workflow' or 'declared'",
        ),
        ("run_seconds = 1800\n", "", "limits.run_seconds", "a value"),
    ],
)
def test_a_wrong_policy_is_refused_with_line_key_and_expectation(old: str, new: str, key: str, expected: str) -> None:
    text = TEXT.replace(old, new, 1)
    with pytest.raises(InvalidPolicy) as refused:
        Policy.read(text, "wrong.toml")
    fault = refused.value.faults[0]
    assert fault.key == key
    assert expected in fault.expected
    named = new.rsplit("\n", maxsplit=1)[-1] or "[limits]"
    lines = text.split("\n")
    where = named.split(" = ")[0].strip('"[]')
    assert where.split(" ", 1)[0] in lines[fault.line - 1] or key.split(".")[-2:][0] in lines[fault.line - 1]
    assert str(refused.value).startswith(f"wrong.toml: line {fault.line}: {key}: expected ")


def test_what_no_entry_covers_uses_up_no_budget_and_hides_nothing_of_what_one_does() -> None:
    policy = policy_with(budget=1)
    both = then(shifted(is_buy, 60), trade_edit(is_buy, lambda t: {"planned_amount": (t.planned_amount or Decimal(0)) + 5}))
    settled = apply_budgets([judge(both(random_case(seed), Role.CANDIDATE), policy) for seed in range(3)], policy)
    covered = [[(d.kind, d.covered_by) for d in each.differences if d.kind == "SLIPPAGE" and d.counts] for each in settled]
    assert [len(each) for each in covered] == [1, 1, 1]
    assert [each[0][1] for each in covered].count("KD-1") == 1
    assert all("PLANNED_AMOUNT" in {d.kind for d in each.differences} for each in settled)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (TEXT + "\nversion = 1\n[limits]\n", None),
        ("version = 1\nversion = 1\n", 2),
        ("version = \n", 1),
        ("a = 1\nb = [1,\n2\n", None),
        ("", 1),
    ],
)
def test_a_text_that_is_no_policy_at_all_is_refused_at_a_line_that_exists(text: str, line: int | None) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        Policy.read(text)
    fault = refused.value.faults[0]
    assert 1 <= fault.line <= text.count("\n") + 1
    assert line is None or fault.line == line


def leaves(values: object, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if isinstance(values, dict):
        return [leaf for key, value in values.items() for leaf in leaves(value, (*path, key))]
    return [path]


@settings(max_examples=120, deadline=None)
@given(st.sampled_from(leaves(tomllib.loads(TEXT))), st.integers(0, 3), st.sampled_from(["true", "[[1]]", "{ x = 1 }", "1.5"]))
def test_a_fault_planted_anywhere_is_told_at_its_own_line(path: tuple[str, ...], blank: int, junk: str) -> None:
    lines = TEXT.split("\n")
    table = ""
    for number, line in enumerate(lines):
        if line.startswith("["):
            table = line.strip("[]")
        parts = [*table.split("."), line.split(" = ")[0]] if table else [line.split(" = ")[0]]
        if " = " in line and parts == list(path[: len(parts)]) and not line.startswith("#"):
            lines[number] = f"{parts[-1]} = {junk}"
            text = "\n" * blank + "\n".join(lines)
            with pytest.raises(InvalidPolicy) as refused:
                Policy.read(text)
            assert {fault.line for fault in refused.value.faults} == {number + 1 + blank}
            assert refused.value.faults[0].key.startswith(".".join(parts))
            return
    raise AssertionError(path)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=80))
def test_no_text_raises_anything_but_a_refusal(text: str) -> None:
    with pytest.raises(InvalidPolicy):
        Policy.read(text)


@pytest.mark.parametrize("kind", ["NOPE", "DOUBLE_ORDER", "EFFECT_EMITTED"])
def test_the_register_cannot_cover_what_does_not_exist_or_may_never_be_hidden(kind: str) -> None:
    with pytest.raises(InvalidPolicy, match=r"known.0.kind: expected kinds that may be covered, not (those|none)"):
        policy_with(kind=kind)


def test_two_entries_may_not_share_an_id() -> None:
    known = KNOWN.format(expires="2026-03-02", budget=1)
    with pytest.raises(InvalidPolicy, match="one entry an id, was more than one for KD-1"):
        Policy.read(TEXT + known + known)


def test_a_registered_difference_is_told_covered_and_counted_both_ways() -> None:
    comparison = slipped()
    assert comparison.verdict is Verdict.IGNORED
    assert [d.covered_by for d in comparison.differences] == ["KD-1"]
    assert comparison.counts.minor == 1
    assert comparison.uncovered_counts.minor == 0
    assert comparison.gross_impact > 0
    assert comparison.uncovered_gross_impact == 0


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, Verdict.IGNORED),
        ({"side": "SELL"}, Verdict.DIVERGED),
        ({"lane": "legacy"}, Verdict.DIVERGED),
        ({"kind": "VALUE"}, Verdict.DIVERGED),
    ],
)
def test_an_entry_covers_only_what_all_of_its_patterns_match(changes: dict[str, str], verdict: Verdict) -> None:
    case = shifted(is_buy, 60)(random_case(3), Role.CANDIDATE)
    assert judge(case, policy_with(**changes)).verdict is verdict


@pytest.mark.parametrize(("days", "verdict"), [(0, Verdict.IGNORED), (-1, Verdict.DIVERGED), (1, Verdict.IGNORED)])
def test_an_entry_covers_up_to_and_with_the_day_it_expires(days: int, verdict: Verdict) -> None:
    case = shifted(is_buy, 60)(random_case(3), Role.CANDIDATE)
    assert judge(case, policy_with(expires=DAY + timedelta(days=days))).verdict is verdict


def test_a_critical_difference_beside_a_covered_one_still_diverges() -> None:
    case = shifted(is_buy, 60)(random_case(3), Role.CANDIDATE)
    worse = trade_edit(is_buy, lambda t: {"planned_amount": (t.planned_amount or Decimal(0)) + 5})(case, Role.CONTROL)
    assert judge(worse, policy_with()).verdict is Verdict.DIVERGED


def test_a_severity_of_the_policy_replaces_the_kinds_own() -> None:
    policy = Policy.read(TEXT.replace("[severity]", '[severity]\nSLIPPAGE = "INFO"'))
    comparison = judge(shifted(is_buy, 60)(random_case(3), Role.CANDIDATE), policy)
    assert [d.severity for d in comparison.differences] == [Severity.INFO]
    assert comparison.verdict is Verdict.MATCHED


@settings(max_examples=30, deadline=None)
@given(st.permutations(list(range(5))), st.integers(1, 6))
def test_a_budget_holds_for_the_day_whatever_order_pairs_come_in(order: list[int], budget: int) -> None:
    policy = policy_with(budget=budget)
    day = [judge(shifted(is_buy, 60)(random_case(seed), Role.CANDIDATE), policy) for seed in range(5)]
    settled = apply_budgets([day[place] for place in order], policy)
    assert settled == apply_budgets(day, policy)
    assert apply_budgets(settled, policy) == settled
    verdicts = [comparison.verdict for comparison in settled]
    assert verdicts.count(Verdict.IGNORED) == min(budget, 5)
    assert verdicts.count(Verdict.DIVERGED) == 5 - min(budget, 5)
    over = [d.over_budget for comparison in settled for d in comparison.differences if d.covered_by is None]
    assert over == ["KD-1"] * (5 - min(budget, 5))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("\nversion = " + "1" * 5_000 + "\n", 2),
        ('["a\\"#]"]\nx = 1\n', 1),
        ("[ 'a]' ] # of ] and #\nx = 1\n", 1),
        ('[["]]#"]]\nx = 1\n', 1),
    ],
    ids=["a number without an end", "an escaped quote", "a bracket in a name", "a bracket in a name of an entry"],
)
def test_a_text_that_the_parser_reads_in_its_own_way_is_refused_at_its_line(text: str, line: int) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        Policy.read(text)
    assert line in [fault.line for fault in refused.value.faults]


def test_the_line_of_a_key_in_a_text_of_many_shapes_is_found() -> None:
    lines = (
        "version = 1",
        '"a b"."c" = [',
        "  1,",
        "  { d = 2 },",
        "]",
        '[x."y.z"]',
        'k = """',
        "[not a table]",
        '"""',
        "[[known]]",
        "[[known]] # two",
        "id = 1",
    )
    text = "\n".join(lines)
    source = PolicyText(text, "p")
    assert source.line_of(("a b", "c", "1", "d")) == 2
    assert source.line_of(("x", "y.z", "k")) == 7
    assert source.line_of(("known", "1", "id")) == 12
    assert source.line_of(("not a table",)) == 1
    assert PolicyText("\n\nversion = 1", "p").line_of(("version",)) == 3


WORTH = Materiality(major=Worth(usd=Decimal(100), bps=Decimal(25)), critical=Worth(usd=Decimal(10_000), bps=Decimal(25)))
NO_LEAST = Materiality(major=Worth(usd=Decimal(0)), critical=Worth(usd=Decimal(1)))


@pytest.mark.parametrize(
    ("usd", "trade_usd", "least"),
    [
        ("0", "0", Severity.INFO),
        ("99.99", "1000", Severity.INFO),
        ("100", "1000", Severity.MAJOR),
        ("9999.99", "1000", Severity.MAJOR),
        ("10000", "1000", Severity.CRITICAL),
        # so many basis points of its trade as well: 25 of 40,000 USD are 100
        ("100", "40000", Severity.MAJOR),
        ("100", "40000.01", Severity.INFO),
        ("10000", "4000000", Severity.CRITICAL),
        ("10000", "4000000.01", Severity.INFO),
        # of no one trade: the dollars alone
        ("100", "0", Severity.MAJOR),
        ("10000", "0", Severity.CRITICAL),
    ],
)
def test_what_a_difference_is_worth_raises_its_severity_and_never_lowers_it(usd: str, trade_usd: str, least: Severity) -> None:
    for severity in Severity:
        assert WORTH.raised(severity, Decimal(usd), Decimal(trade_usd)) is worse(severity, least)


def test_what_is_worth_nothing_is_raised_by_no_least() -> None:
    assert NO_LEAST.raised(Severity.MINOR, Decimal(0), Decimal(0)) is Severity.MINOR
    assert NO_LEAST.raised(Severity.MINOR, Decimal("0.01"), Decimal(1000)) is Severity.MAJOR
    assert NO_LEAST.raised(Severity.MINOR, Decimal(1), Decimal(1000)) is Severity.CRITICAL


def test_of_two_severities_the_more_severe_is_the_worse_whichever_comes_first() -> None:
    order = (Severity.CRITICAL, Severity.MAJOR, Severity.MINOR, Severity.INFO)
    for place, severe in enumerate(order):
        for other in order[place:]:
            assert worse(severe, other) is worse(other, severe) is severe


@pytest.mark.parametrize(
    ("tolerance", "standing"),
    [
        ("7.9", Standing.BELOW_NOISE),
        ("8", Standing.CLOSE),
        ("9", Standing.CLOSE),
        ("19.9", Standing.CLOSE),
        ("20", Standing.CLEAR),
        ("0", Standing.BELOW_NOISE),
    ],
)
def test_a_tolerance_is_below_close_to_or_clear_of_the_noise(tolerance: str, standing: Standing) -> None:
    noise = RuleNoise(measure="bps", observations=1, p50=Decimal(1), p95=Decimal(2), p99=Decimal(8), largest=Decimal(10))
    assert standing_of(Decimal(tolerance), noise) is standing
    assert standing_of(Decimal(tolerance), None) is standing_of(None, noise) is Standing.NOT_MEASURED
    silence = RuleNoise(measure="bps", observations=1, p50=Decimal(0), p95=Decimal(0), p99=Decimal(0), largest=Decimal(0))
    assert standing_of(Decimal(tolerance), silence) is Standing.CLEAR


@pytest.mark.parametrize("wrong", ["p50", "p95", "p99"])
def test_a_noise_floor_whose_quantiles_are_out_of_order_is_refused(wrong: str) -> None:
    values = dict.fromkeys(("p50", "p95", "p99", "largest"), Decimal(3))
    assert RuleNoise(measure="bps", observations=1, **values).largest == 3
    with pytest.raises(ValidationError, match="expected p50 <= p95 <= p99 <= largest"):
        RuleNoise(measure="bps", observations=1, **(values | {wrong: Decimal(4)}))


def test_the_noise_of_rules_is_kept_and_of_what_is_no_rule_refused() -> None:
    measured = {"measure": "bps", "observations": 1, "p50": "0", "p95": "0", "p99": "0", "largest": "0"}
    floor = {"role": "control", "first_day": DAY.isoformat(), "last_day": DAY.isoformat(), "pairs": 1}
    values = default_policy().model_dump(mode="json")
    kept = Policy.from_values(values | {"noise": floor | {"rules": {"value": measured}}})
    assert kept.noise is not None
    assert list(kept.noise.rules) == ["value"]
    assert kept.hash == default_policy().hash
    assert Policy.from_values(values | {"noise": None}).noise is None
    with pytest.raises(ValidationError, match="expected names of rules, was values, volume"):
        Policy.from_values(values | {"noise": floor | {"rules": dict.fromkeys(("volume", "value", "values"), measured)}})


def entry(**changes: object) -> KnownDivergence:
    named = {
        "id": "KD-1",
        "owner": "execution",
        "reason": "r",
        "kind": "SLIPPAGE",
        "expires": date(2026, 3, 2),
        "budget_a_day": 1,
    }
    return KnownDivergence.model_validate(named | changes)


@pytest.mark.parametrize("name", ["field", "symbol", "kind"])
def test_a_pattern_is_one_character_or_more(name: str) -> None:
    assert entry(**{name: "*"}).model_dump()[name] == "*"
    with pytest.raises(ValidationError):
        entry(**{name: ""})


@pytest.mark.parametrize(("name", "most"), [("id", 200), ("owner", 200), ("reason", 200)])
def test_a_name_in_the_register_has_one_to_200_characters(name: str, most: int) -> None:
    for size in (1, most):
        assert len(entry(**{name: "x" * size}).model_dump()[name]) == size
    for size in (0, most + 1):
        with pytest.raises(ValidationError):
            entry(**{name: "x" * size})


@pytest.mark.parametrize(("budget", "allowed"), [(0, False), (1, True), (2, True)])
def test_an_entry_has_a_budget_of_one_a_day_or_more(budget: int, *, allowed: bool) -> None:
    if allowed:
        assert entry(budget_a_day=budget).budget_a_day == budget
        return
    with pytest.raises(ValidationError):
        entry(budget_a_day=budget)


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('bps_a_minute = "10"', 'bps_a_minute = "x"', "rules.decision_price.bps_a_minute"),
        ('members = ["held_quantity", "held_value"]', 'members = ["held_quantity", 5]', "rules.sizing_basis.members.1"),
        ('bps_a_minute = "10"', 'bps_a_minuet = "10"', "rules.decision_price.bps_a_minuet"),
    ],
)
def test_a_fault_names_the_key_as_it_stands_in_the_text(old: str, new: str, key: str) -> None:
    with pytest.raises(InvalidPolicy) as refused:
        Policy.read(TEXT.replace(old, new, 1))
    assert key in [fault.key for fault in refused.value.faults]


def test_a_fault_of_a_user_s_own_field_names_its_key_and_the_line_of_that() -> None:
    text = TEXT + '\n[own.fee]\nrule = "absolute"\ntolerance = "x"\n'
    with pytest.raises(InvalidPolicy) as refused:
        Policy.read(text)
    (fault,) = refused.value.faults
    assert (fault.key, text.splitlines()[fault.line - 1]) == ("own.fee.tolerance", 'tolerance = "x"')
