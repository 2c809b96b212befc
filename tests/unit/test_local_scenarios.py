"""What the demonstration plants: placed by rule, readable by both lanes, and held against what was found."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from decimal import Decimal
from pathlib import Path

import pytest

from local.cloud.build import Artefact, Artefacts
from local.market import ClosingPrices
from local.pages.corpus_recall import reasons
from local.planner import Portfolio
from local.scenarios import candidate_defects
from local.scenarios.candidate_defects import Event, PlantedFailure
from local.scenarios.candidate_variant import FAULTS, FUNCTIONS, planted
from local.scenarios.corpus import INSTANCES, CorpusCase, corpus
from local.scenarios.corpus_result import CorpusResult, FoundKind
from local.scenarios.demo import FIRST_CASH, TooFewDays, demo_days
from local.scenarios.legacy_faults import Fault, PlantedFaults
from local.scenarios.planting import (
    AT_BROKER,
    InvalidScenario,
    Place,
    Planted,
    bundled_scenario,
    demo_plants,
    plant_in,
    read_scenario,
    symbol_at,
)
from local.scenarios.reckoning import reckon
from local.scenarios.variants import CANDIDATE, plantable
from shadow.compare.kinds import KINDS
from shadow.contracts.comparison import Attribution, Difference, Severity
from shadow.contracts.vocabulary import Role
from tests.fakes.plans import plan_of

PLAN = plan_of(AAPL="-600", T="-2000", MSFT="1000", KO="500", exits=("T",))
TRADE: Event = {
    "planId": "p",
    "symbol": "KO",
    "tradeId": "t",
    "tradeAmount": "200",
    "targetValue": "1200",
    "currentPosition": "3",
    "rebalancePlan": {"totalPortfolioValue": "1000"},
}


def difference(kind: str, role: str = "control", symbol: str | None = None, cause: str | None = None) -> Difference:
    known = KINDS[kind]
    return Difference(
        kind=kind,
        level=known.level,
        severity=known.severity,
        attribution=Attribution(role),
        field="f",
        symbol=symbol,
        rule="r",
        explanation="e",
        caused_by=cause,
    )


def test_the_demonstration_plants_at_least_six_kinds_in_both_lanes_and_leaves_clean_days() -> None:
    plants = demo_plants()
    assert len({kind for plant in plants for kind in plant.expects}) >= 6
    assert {plant.role for plant in plants} == set(Role)
    assert {plant.day for plant in plants} < set(range(1, 11))
    assert [plant.day for plant in plants if not plant.settles] == [10]


def test_ten_days_with_a_plan_each_and_every_plant_in_its_place() -> None:
    prices = ClosingPrices.bundled()
    portfolio, placed = Portfolio({}, FIRST_CASH), 0
    for day in demo_days(prices):
        plan = day.plan(portfolio)
        planting = day.planting(plan)
        assert planting.unplaced == ()
        placed += len(planting.planted)
        listed = json.dumps(planting.faults(Role.CONTROL))
        PlantedFaults(listed.__str__).of_plan(plan.plan_id)
        assert all(fault["fault"] in FAULTS for fault in planting.faults(Role.CANDIDATE))
        assert plan == day.plan(portfolio)
        held = {item.symbol: item.target_value / day.closes[item.symbol] for item in plan.items}
        cash = plan.total_portfolio_value - sum((item.target_value for item in plan.items), Decimal(0))
        portfolio = Portfolio({s: q.quantize(Decimal("0.000001")) for s, q in held.items() if q}, max(cash, Decimal(0)))
    assert placed == len(demo_plants())


def test_clean_days_and_other_counts_can_be_asked_for() -> None:
    days = list(demo_days(ClosingPrices.bundled(), count=3, plants=()))
    assert [(day.number, day.plants) for day in days] == [(1, ()), (2, ()), (3, ())]


def test_too_few_days_of_prices_are_refused() -> None:
    with pytest.raises(TooFewDays, match="at least 65 trading days, was 60"):
        list(demo_days(ClosingPrices.bundled(), count=45))


@pytest.mark.parametrize(
    ("place", "symbol"),
    [
        (Place.LARGEST_BUY, "MSFT"),
        (Place.SMALLEST_BUY, "KO"),
        (Place.LARGEST_SELL, "T"),
        (Place.SMALLEST_SELL, "AAPL"),
        (Place.FULL_EXIT, "T"),
        (Place.ANOTHER_SYMBOL, "PEP"),
    ],
)
def test_a_place_names_one_trade(place: Place, symbol: str) -> None:
    assert symbol_at(place, PLAN, ("T", "PEP", "AAPL", "V")) == symbol


def test_a_plant_without_a_place_is_told() -> None:
    plan = plan_of(MSFT="1000")
    planting = plant_in(plan, [plant for plant in demo_plants() if plant.at is Place.LARGEST_SELL], ())
    assert (planting.planted, len(planting.unplaced)) == ((), 1)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[plants]]\nday = 0", "greater than or equal to 1"),
        ("[[plants", "expected TOML"),
        (
            '[[plants]]\nday = 1\nrole = "candidate"\nfault = "slowest"\nat = "run"\nexpects = ["SIDE"]\nwords = "w"',
            "a fault of the candidate, was slowest",
        ),
        (
            '[[plants]]\nday = 1\nrole = "control"\nfault = "slow"\nat = "run"\nexpects = ["NONE"]\nwords = "w"',
            "kinds of difference, was NONE",
        ),
    ],
)
def test_a_faulty_scenario_is_refused(text: str, says: str) -> None:
    with pytest.raises(InvalidScenario) as caught:
        read_scenario(text, "s.toml")
    assert says in str(caught.value)


def planted_at(kind: str, symbol: str | None) -> Planted:
    (plant,) = [plant for plant in demo_plants() if plant.expects == (kind,)]
    return Planted(plant, "p", symbol)


def test_what_was_planted_is_found_with_its_consequences() -> None:
    told = [
        difference("BUYS_NEVER_SENT"),
        difference("RUN_STUCK", cause="BUYS_NEVER_SENT"),
        difference("TRADE_STATUS", symbol="KO", cause="BUYS_NEVER_SENT"),
    ]
    reckoning = reckon([planted_at("BUYS_NEVER_SENT", "KO")], told)
    assert reckoning.is_right
    assert [found.kind for _, found in reckoning.found] == ["BUYS_NEVER_SENT"]
    assert [each.kind for each in reckoning.consequences] == ["RUN_STUCK", "TRADE_STATUS"]


@pytest.mark.parametrize(
    "told",
    [
        [],
        [difference("EXTRA_TRADE", "candidate", "KO")],
        [difference("EXTRA_TRADE", "control", "PEP")],
        [difference("TRADE_STATUS", "control", "KO")],
    ],
)
def test_the_wrong_kind_lane_or_symbol_is_a_miss(told: list[Difference]) -> None:
    reckoning = reckon([planted_at("EXTRA_TRADE", "KO")], told)
    assert [missed.kind for missed in reckoning.missed] == ["EXTRA_TRADE"]
    assert not reckoning.is_right


def test_what_nobody_planted_is_an_invention_unless_it_only_informs() -> None:
    assert not reckon([], [difference("SIDE", "control", "KO")]).is_right
    assert reckon([], [difference("PRICE_NOT_THE_FILL", "control", "KO")]).is_right


def sound(event: Event, context: object) -> Event:
    """Stand in for every function: echo what came, and answer as each does."""
    del context
    amount = Decimal(str(event.get("tradeAmount", "0")))
    return {
        "plannedAmount": event.get("tradeAmount"),
        "asked": str(amount),
        "status": "COMPLETED",
        "quantity": "2",
        "averagePrice": "100",
        "askedQuantity": "2.5",
        "held": event.get("currentPosition"),
        "correlation": event.get("correlationId"),
        "portfolio": dict(event.get("rebalancePlan") or {}).get("totalPortfolioValue"),  # type: ignore[call-overload]
        "failureThresholdUsd": event.get("failureThresholdUsd", "700"),
        "buyPhaseAllowed": True,
        "sellFailedAmount": "700",
        "sellSucceededAmount": "100",
        "allowed": amount < 10_000,
        "succeededTrades": 3,
        "messageId": "m",
        "sellTrades": [{"symbol": "T"}],
        "buyTrades": [{"symbol": "KO"}, {"symbol": "MSFT"}],
    }


EFFECTS = {
    "sized_by_target": {"asked": "1200", "plannedAmount": "200"},
    "wrong_size": {"asked": "220.0", "plannedAmount": "200"},
    "planned_amount_off": {"asked": "220.0", "plannedAmount": "220.0"},
    "filled_reported_failed": {"status": "FAILED", "quantity": "2"},
    "fill_lost": {"status": "FAILED", "quantity": "0", "averagePrice": None},
    "trade_dropped": {"buyCount": 1, "sellCount": 1, "totalTrades": 2, "buyTrades": [{"symbol": "MSFT"}]},
    "guard_blocks": {"buyPhaseAllowed": False},
    "guard_passes": {"buyPhaseAllowed": True},
    "guard_sums_executed": {"buyPhaseAllowed": True, "sellFailedAmount": "0"},
    "equity_overcounted": {"allowed": False},
    "equity_ignored": {"allowed": True},
    "miscounted": {"succeededTrades": 4},
    "not_notified": {"status": "SKIPPED", "messageId": None},
    "slow": {"status": "COMPLETED"},
    "oversold": {"held": "3.3"},
    "tried_often": {"attempts": 4},
    "partial_fill_lost": {"status": "FAILED", "quantity": "0"},
    "order_left_live": {"status": "FAILED", "quantity": "0"},
    "ordered_twice": {"status": "COMPLETED"},
    "orders_turned": {"status": "COMPLETED"},
    "orders_named_at_random": {"status": "COMPLETED"},
    "market_first": {"status": "COMPLETED", "orderType": "market"},
    "order_fate_unknown": {"status": "COMPLETED"},
    "order_refused": {"status": "COMPLETED"},
    "rounded_down": {"askedQuantity": "2", "quantity": "2", "totalValue": "200"},
    "trade_doubled": {"buyCount": 3, "totalTrades": 4},
    "trade_renamed": {"buyCount": 2, "totalTrades": 3},
    "exit_forgotten": {"buyTrades": [{"symbol": "KO", "isCompleteExit": False}, {"symbol": "MSFT"}]},
    "bought_while_selling": {"sellTrades": [{"symbol": "T"}, {"symbol": "KO"}], "buyCount": 1, "sellCount": 2},
    "correlation_lost": {"correlation": "workflow-lost"},
    "equity_limit_off": {"portfolio": "1500.0"},
    "guard_threshold_off": {"failureThresholdUsd": "250"},
    "guard_at_threshold": {"buyPhaseAllowed": False},
    "guard_amounts_off": {"sellSucceededAmount": "110.0"},
    "equity_not_counted": {"asked": "0.01"},
    "equity_unsaid": {"allowed": True, "limit": "0", "cumulative": "0"},
}
INTENTS = {
    "partial_fill_lost": {"status": {"S": "canceled"}, "filled_quantity": {"N": "1.250000"}},
    "order_left_live": {"status": {"S": "open"}, "filled_quantity": {"N": "0"}},
    "ordered_twice": {"SK": {"S": "INTENT#t#0001"}, "client_order_id": {"S": "t-step-1"}},
    "orders_turned": {"side": {"S": "SELL"}},
    "orders_named_at_random": {},
    "market_first": {"order_type": {"S": "market"}},
    "order_fate_unknown": {"status": {"S": "ambiguous"}},
    "order_refused": {"status": {"S": "rejected"}, "filled_quantity": {"N": "0"}},
    "rounded_down": {"quantity": {"N": "2"}, "filled_quantity": {"N": "2"}},
}
INTENT = {
    "SK": {"S": "INTENT#t#0000"},
    "client_order_id": {"S": "t"},
    "side": {"S": "BUY"},
    "order_type": {"S": "limit"},
    "limit_price": {"N": "99"},
    "status": {"S": "filled"},
    "quantity": {"N": "2.5"},
    "filled_quantity": {"N": "2.5"},
}


@pytest.fixture(autouse=True)
def kept(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """Stand in for the state table: one order intent, and what is written over it."""
    written: list[dict[str, object]] = []
    monkeypatch.setattr(candidate_defects, "intents_of", lambda _: [dict(INTENT)])
    monkeypatch.setattr(candidate_defects, "keep_intent", written.append)
    monkeypatch.setattr(candidate_defects, "forget_ledger_entries", lambda _: None)
    return written


@pytest.mark.parametrize("fault", INTENTS)
def test_a_fault_of_the_order_log_writes_what_it_says(tmp_path: Path, kept: list[dict[str, object]], fault: str) -> None:
    handler_with(tmp_path, "execute_trade_sfn", {"fault": fault})(dict(TRADE), None)  # type: ignore[operator]
    (item,) = kept
    assert {name: item[name] for name in INTENTS[fault]} == INTENTS[fault]
    assert item != INTENT


def handler_with(tmp_path: Path, function: str, *faults: dict[str, str]) -> object:
    file = tmp_path / "faults.json"
    file.write_text(json.dumps(faults))
    return planted(sound, function, file)


@pytest.mark.parametrize("fault", EFFECTS)
def test_a_candidate_fault_changes_what_it_says_and_nothing_elsewhere(tmp_path: Path, fault: str) -> None:
    function = FAULTS[fault][0]
    amount = {"amount": "0.001"} if fault == "slow" else {}
    for plan_id, changed in (("p", True), ("another", False)):
        handler = handler_with(tmp_path, function, {"fault": fault, "plan_id": plan_id, "symbol": "KO", **amount})
        answer = handler(dict(TRADE), None)  # type: ignore[operator]
        if changed:
            assert {name: answer[name] for name in EFFECTS[fault]} == EFFECTS[fault]
        else:
            assert answer == sound(dict(TRADE), None)
    other = handler_with(tmp_path, "notify_failure", {"fault": fault})
    assert other(dict(TRADE), None) == sound(dict(TRADE), None)  # type: ignore[operator]


def test_every_candidate_fault_is_tested() -> None:
    assert set(EFFECTS) | {"trade_fails", "always_fails", "aggregation_fails"} == set(FAULTS)


@pytest.mark.parametrize(
    ("fault", "function"), [("always_fails", "execute_trade_sfn"), ("aggregation_fails", "aggregate_results")]
)
def test_a_function_that_always_fails_fails(tmp_path: Path, fault: str, function: str) -> None:
    handler = handler_with(tmp_path, function, {"fault": fault})
    for event in (dict(TRADE), {"reconcile": True, "trade": TRADE}):
        with pytest.raises(PlantedFailure):
            handler(event, None)  # type: ignore[operator]


def test_a_failing_trade_fails_and_can_be_reconciled(tmp_path: Path) -> None:
    handler = handler_with(tmp_path, "execute_trade_sfn", {"fault": "trade_fails", "symbol": "KO"})
    with pytest.raises(PlantedFailure):
        handler(dict(TRADE), None)  # type: ignore[operator]
    assert handler({"reconcile": True, "trade": TRADE}, None)["status"] == "COMPLETED"  # type: ignore[operator]
    assert handler({**TRADE, "symbol": "PEP"}, None)["status"] == "COMPLETED"  # type: ignore[operator]


def test_a_plantable_function_is_the_built_one_with_the_variant_around_it(tmp_path: Path) -> None:
    functions = {}
    for name in (*FUNCTIONS, "publish_plan"):
        path = tmp_path / f"{name}.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("__init__.py", "")
            archive.writestr("lambda_handler.py", "def lambda_handler(event, context):\n    return {'sound': True}\n")
        functions[name] = Artefact(name, path, 0)
    faults = tmp_path / "faults.json"
    faults.write_text('[{"fault": "guard_blocks"}]')
    artefacts = Artefacts({}, functions)
    made = plantable(artefacts, CANDIDATE, faults, tmp_path / "out")
    assert made.functions["publish_plan"] == functions["publish_plan"]
    assert made == plantable(artefacts, CANDIDATE, faults, tmp_path / "out")
    with zipfile.ZipFile(made.functions["evaluate_sell_guard"].path) as archive:
        archive.extractall(tmp_path / "unzipped")
    code = "import lambda_handler; print(lambda_handler.lambda_handler({'planId': 'p'}, None))"
    done = subprocess.run(  # noqa: S603 - our own interpreter
        [sys.executable, "-c", code], cwd=tmp_path / "unzipped", capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "{'sound': True, 'buyPhaseAllowed': False, 'reason': 'planted: blocked'}"


UNPLANTED = {
    "crash_after_submit": "its first order shows only in the broker's own records",
    "breaker_stale": "needs a run whose buys pass the limit together",
    "slow": "needs a minute, below which durations are not compared",
    "run_not_published": "gives no comparison of two runs, but MISSING_CONTROL",
    "run_doubled": "its second run is a run of another plan id",
    "equity_unsaid": "leaves nothing to compare: the pair is INCOMPLETE",
    "equity_ignored": "needs a run whose buys pass the limit together",
}


def test_the_corpus_plants_each_fault_alone_in_three_instances_and_at_least_forty_kinds() -> None:
    cases = list(corpus(ClosingPrices.bundled()))
    assert len({case.plan.plan_id for case in cases}) == len(cases)
    assert len({symbol for case in cases for symbol in case.closes}) == sum(len(case.closes) for case in cases) - _shared(cases)
    for case in cases:
        assert (len(case.planting.planted), case.planting.unplaced) == (case.number > 0, ())
        assert {item.action.value for item in case.plan.items} == {"BUY", "SELL"}
    planted_faults = {case.plant.fault for case in cases if case.plant and not case.plant.fault.startswith(AT_BROKER)}
    assert planted_faults | set(UNPLANTED) == {fault.value for fault in Fault} | set(FAULTS)
    assert not planted_faults & set(UNPLANTED)
    kinds = {kind for case in cases if case.plant for kind in case.plant.expects}
    assert len(kinds) >= 40
    assert kinds | set(reasons()) == set(KINDS)
    assert not kinds & set(reasons())


def _shared(cases: list[CorpusCase]) -> int:
    """Count the symbols that cases of different instances share: those never run beside each other."""
    by_instance = [{s for case in cases if case.instance == n for s in case.closes} for n in range(INSTANCES)]
    return sum(map(len, by_instance)) - len(set().union(*by_instance))


def test_a_fault_of_the_broker_strikes_one_account_and_is_no_lanes_fault() -> None:
    (case,) = [c for c in corpus(ClosingPrices.bundled(), instances=1) if c.plant and c.plant.fault == "broker.reject"]
    (fault,) = case.planting.broker_faults()
    assert (fault.account, fault.symbol, fault.count) == (Role.CONTROL, case.planting.planted[0].symbol, None)
    assert case.planting.faults(Role.CONTROL) == case.planting.faults(Role.CANDIDATE) == []


def test_the_recorded_run_of_the_corpus_found_everything() -> None:
    recorded = CorpusResult.recorded()
    assert recorded.wrong == ()
    assert {(line.role, line.fault) for line in recorded.lines if line.fault} == {
        (plant.role.value, plant.fault) for plant in bundled_scenario("corpus.toml")
    }


@pytest.mark.parametrize(
    ("told", "right"), [(None, False), (Severity.INFO, False), (Severity.MAJOR, True), (Severity.CRITICAL, True)]
)
def test_a_planted_kind_is_found_at_least_as_severe_as_it_is(told: Severity | None, *, right: bool) -> None:
    kind = next(name for name, kind in KINDS.items() if kind.severity is Severity.MAJOR)
    assert FoundKind(kind=kind, severity=told).is_right is right
