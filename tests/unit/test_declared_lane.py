"""A workflow that is none of ours is shadowed by a file: to MATCHED, to each planted difference, and never past what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shadow.compare.policy import Policy, default_policy
from shadow.contracts.comparison import Verdict
from shadow.contracts.errors import InvalidPayload
from shadow.contracts.outcome import Intent, RunCounters, RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import Reason, Role, RunStatus, Side, TradeStatus
from shadow.lanes.declared import input_of, read_declared, read_with_words
from shadow.lanes.lane_file import LaneFile
from shadow.settlement.judging import Case, Judgement, judge_by
from shadow.settlement.settler import Settler
from tests.factories.control_items import ControlRun
from tests.factories.foreign_lane import LANE_FILE, answer_of, execution_of
from tests.factories.foreign_shapes import SHAPES
from tests.factories.histories import BEGIN, execution_arn
from tests.factories.pairs import pair_of
from tests.fakes.evidence import World, document_of, settler_of
from tests.fakes.plans import plan_of

PLAN = plan_of(AAPL="-600", MSFT="-300.5", GOOG="1000", TSLA="250")
LANE = LaneFile.read(LANE_FILE)
SOON = BEGIN + timedelta(seconds=200)
NAMES = (pair_of(PLAN).run_id, PLAN.plan_id)


def lean_policy() -> Policy:
    """Ask of the declared lane what it has, and of the control no effects: nobody captures its events here."""
    policy = default_policy()
    nothing = dict.fromkeys(type(policy.evidence.declared).model_fields, ())
    fields = nothing | {"run": ("raw_status",), "completed": ("filled_quantity", "value"), "trade": ("planned_amount",)}
    lean = policy.evidence.declared.model_copy(update=fields)
    legacy = policy.evidence.legacy.model_copy(update=nothing)
    return policy.model_copy(
        update={"evidence": policy.evidence.model_copy(update={"declared": lean, "legacy": legacy, "effects": ()})}
    )


def judged(
    edit: Callable[[dict[str, Any]], object] = lambda _body: None,
    *,
    lane: LaneFile = LANE,
    policy: Policy | None = None,
    fees: dict[str, str] | None = None,
    **changes: object,
) -> dict[str, Any]:
    """Shadow the plan with the foreign workflow, whose answer was edited; gives the comparison. `fees`: what the control adds."""
    policy = policy or lean_policy()
    answer = answer_of(PLAN)
    edit(answer["Payload"])
    pair = pair_of(PLAN)
    world = World(pairs={pair.plan_id: pair})
    items: Any = ControlRun(PLAN).items()
    added = {name: {"N" if value[:1].isdigit() else "S": value} for name, value in (fees or {}).items()}
    world.control_items[str(pair.control_run_id)] = [
        item | (added if item["SK"]["S"].startswith("TRADE#") else {}) for item in items
    ]
    world.executions[execution_arn(pair.run_id)] = execution_of(answer, **changes)  # type: ignore[assignment] # raw
    parts = settler_of(world, lane_file=lane, own=tuple(policy.own))._parts
    by_policy = judge_by(policy)

    later = {"started_at": BEGIN + timedelta(seconds=4), "completed_at": BEGIN + timedelta(seconds=5)}  # after the SELLs

    def without_events(case: Case) -> Judgement:
        assert case.control is not None
        trades = tuple(trade.model_copy(update=later) if trade.action is Side.BUY else trade for trade in case.control.trades)
        return by_policy(replace(case, control=case.control.model_copy(update={"effects": None, "trades": trades})))

    Settler(replace(parts, judge=without_events)).settle(PLAN.plan_id, SOON)
    document: Any = document_of(world, PLAN.plan_id)
    return document


def candidates(document: dict[str, Any]) -> set[str]:
    return {each["kind"] for each in document["differences"] if each["attribution"] == "candidate"}


def test_the_lane_file_is_at_most_60_lines() -> None:
    assert len(LANE_FILE.strip().splitlines()) <= 60


def test_a_foreign_workflow_that_does_what_the_control_does_has_no_difference() -> None:
    document = judged()
    assert (document["verdict"], document["differences"]) == (Verdict.MATCHED.value, [])
    assert document["candidate"]["lane"] == "declared"
    assert document["candidate"]["lane_name"] == "orders-v2"
    assert document["candidate"]["gaps"] == []
    assert document["candidate"]["violations"] == []
    assert [trade["status"] for trade in document["candidate"]["trades"]] == ["COMPLETED"] * 4


OWN_FIELDS = LANE_FILE.replace(
    "[maps]",
    """[trades.own]
commission = { at = "fees.commission", type = "decimal" }
venue = { at = "fees.venue" }

[maps]""",
)


@pytest.mark.parametrize(
    ("fees", "differs", "gaps"),
    [
        ({"commission": "0.509", "venue": "X"}, {}, []),
        ({"commission": "0.511", "venue": "X"}, {"own.commission": ("0.50", "0.511")}, []),
        ({"commission": 1, "venue": None}, {"own.commission": ("0.50", "1"), "own.venue": ("X", "null")}, []),
        ({"commission": None, "venue": "X"}, {"own.commission": ("0.50", "null")}, []),
        ({"commission": "0.50"}, {}, ["candidate: trade GOOG: own.venue: absent"]),
        (
            {"commission": "1_0", "venue": "X"},
            {},
            [
                "candidate: orders-v2 trade 2 (GOOG): own.commission: fees.commission: expected a finite decimal, was '1_0'",
            ],
        ),
    ],
)
def test_a_field_of_a_users_own_is_compared_by_its_entry_in_the_policy(
    fees: dict[str, object], differs: dict[str, tuple[str, str]], gaps: list[str]
) -> None:
    def pay(body: dict[str, Any]) -> None:
        for each in body["order_results"]:
            each["fees"] = fees if each["ticker"] == "GOOG" else {"commission": "0.5", "venue": "X"}

    entries = {"commission": {"rule": "absolute", "tolerance": "0.01", "severity": "MAJOR"}, "venue": {"rule": "exact"}}
    policy = Policy.from_values(lean_policy().model_dump(mode="json") | {"own": entries})
    document = judged(pay, lane=LaneFile.read(OWN_FIELDS), policy=policy, fees={"commission": "0.50", "venue": "X"})
    found = {each["field"]: (each["control"], each["candidate"]) for each in document["differences"]}
    assert (found, document["gaps"]) == (differs, gaps)
    assert {each["symbol"] for each in document["differences"]} <= {"GOOG"}
    assert {each["field"]: each["severity"] for each in document["differences"]} == {
        name: {"own.commission": "MAJOR", "own.venue": "MINOR"}[name] for name in differs
    }
    assert document["verdict"] == ("INCOMPLETE" if gaps else "DIVERGED" if differs else "MATCHED")


def row(body: dict[str, Any], symbol: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in body["order_results"] if each["ticker"] == symbol)
    return found


SIX: list[tuple[str, Callable[[dict[str, Any]], object], str]] = [
    ("a lost trade", lambda body: body["order_results"].remove(row(body, "TSLA")), "MISSING_TRADE"),
    (
        "a trade nobody asked for",
        lambda body: body["order_results"].append(row(body, "TSLA") | {"ticker": "ELSE", "client_ref": "ref-9"}),
        "EXTRA_TRADE",
    ),
    ("one twice", lambda body: body["order_results"].append(dict(row(body, "TSLA"))), "DUPLICATE_TRADE"),
    ("another amount", lambda body: row(body, "GOOG").update(target_usd="1200"), "PLANNED_AMOUNT"),
    ("too much", lambda body: row(body, "GOOG").update(requested_qty="40", filled_qty="40"), "ASKED_QUANTITY"),
    (
        "a rejection",
        lambda body: row(body, "GOOG").update(order_status="rejected", error={"code": "REJECTED"}, filled_qty=None),
        "TRADE_STATUS",
    ),
]


@pytest.mark.parametrize(("edit", "kind"), [each[1:] for each in SIX], ids=[each[0] for each in SIX])
def test_each_planted_difference_is_found(edit: Callable[[dict[str, Any]], object], kind: str) -> None:
    document = judged(edit)
    assert kind in candidates(document)
    assert document["verdict"] == Verdict.DIVERGED.value


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda body: row(body, "GOOG").update(order_status="half"), "order_status: expected a word of trade_status"),
        (lambda body: body.update(run_status="fine"), "run_status: expected a word of run_status"),
        (lambda body: row(body, "GOOG").update(filled_qty="1_0"), "filled_qty: expected a finite decimal"),
        (lambda body: row(body, "GOOG").update(filled_qty=True), "filled_qty: expected a number"),
        (lambda body: row(body, "GOOG").update(done_at="20261127"), "done_at: expected an ISO 8601 time"),
        (lambda body: body["request"].update(plan_id=None), "request.plan_id: expected a value, was null"),
        (lambda body: body["request"].pop("plan_id"), "request.plan_id: expected a value, was absent"),
        (lambda body: body.pop("order_results"), "Payload.order_results[*]: expected a list"),
        (lambda body: body.update(fee="1"), "Payload.fee: neither read nor listed as unread"),
    ],
)
def test_what_cannot_be_read_is_named_and_makes_the_pair_incomplete(edit: Callable[[dict[str, Any]], object], told: str) -> None:
    document = judged(edit)
    assert document["verdict"] == Verdict.INCOMPLETE.value
    candidate = document["candidate"]
    assert told in json.dumps([candidate["gaps"], candidate["violations"]])


def test_a_numbers_digits_survive_as_text_and_as_a_number() -> None:
    digits = "12.00000000000000000000000001"
    answer = answer_of(PLAN)
    row(answer["Payload"], "GOOG")["filled_qty"] = "DIGITS"
    for text in (digits, f'"{digits}"'):
        describe, history = execution_of(json.dumps(answer).replace('"DIGITS"', text))
        outcome = read_declared(LANE, NAMES, Role.CANDIDATE, describe, history)
        assert Decimal(digits) in [trade.filled_quantity for trade in outcome.trades]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"status": "FAILED", "error": "GuardStopped"}, RunStatus.BLOCKED_BY_GUARD),
        ({"status": "FAILED", "error": "Other"}, RunStatus.FAILED),
        ({"status": "TIMED_OUT"}, RunStatus.TIMED_OUT),
        ({"status": "ABORTED"}, RunStatus.ABORTED),
    ],
)
def test_an_execution_that_did_not_succeed_is_told_by_how_it_ended(changes: dict[str, object], status: RunStatus) -> None:
    describe, history = execution_of(answer_of(PLAN), **changes)
    del describe["output"]
    outcome = read_declared(LANE, NAMES, Role.CANDIDATE, describe, history)
    assert outcome.status is status
    assert any("nothing to read" in gap.reason for gap in outcome.gaps)


def test_the_input_is_made_from_the_plan_in_the_lanes_own_words() -> None:
    document: Any = input_of(LANE, PLAN, NAMES[0])
    assert document["request"] == {"plan_id": PLAN.plan_id, "correlation": PLAN.correlation_id}
    first = {"ticker": "AAPL", "side": "sell", "target_usd": "600"}
    assert first in document["orders"]
    assert len(document["orders"]) == 4


FAULTY = [
    (LANE_FILE.replace('schema = "shadow.lane/1"', ""), "schema"),
    (LANE_FILE.replace('"COMPLETED", rejected', '"DONE", rejected'), "maps.trade_status.filled"),
    (LANE_FILE.replace('order_id = "broker_order_id"', 'oder_id = "broker_order_id"'), "trades.oder_id"),
    (LANE_FILE.replace('"filled_quantity * average_price"', '"filled_quantity + 1"'), "trades.value.else"),
    (LANE_FILE.replace('map = "run_status"', 'map = "nowhere"'), "run.status.map"),
    (LANE_FILE.replace('[*]"\nkey', '"\nkey'), "trades.root"),
    (LANE_FILE.replace('"request.plan_id" = "plan_id"\n', ""), "input"),
    (LANE_FILE.replace('trades = "orders"\n', ""), "input"),
    (LANE_FILE.replace('ticker = "symbol"', 'ticker = "sybol"'), "input.trade.ticker"),
    (LANE_FILE.replace('form = "absolute"', 'form = "rounded"'), "input.trade.target_usd.form"),
    (LANE_FILE.replace('{ from = "action", map = "side" }', '{ from = "action", map = "nowhere" }'), "input.trade.side.map"),
    ("= 1", "file"),
    (LANE_FILE.replace('root = "Payload"', 'root = "Payload..x"'), "run.root"),
    (LANE_FILE.replace('root = "Payload"', "root = 5"), "run.root"),
    (LANE_FILE.replace('symbol = { at = "ticker"', 'symbol = { at = "legs[*].ticker"'), "trades.symbol.at"),
    (LANE_FILE.replace('zone = "UTC"', 'zone = "America/Atlantis"'), "run.started_at.zone"),
    (LANE_FILE.replace('zone = "UTC"', "zone = 5"), "run.started_at.zone"),
    (LANE_FILE.replace('map = "run_status"', "map = 5"), "run.status.map"),
    (LANE_FILE.replace("required = true", 'required = "yes"'), "run.plan_id.required"),
    (LANE_FILE.replace('name = "orders-v2"', 'name = "legacy"'), "name"),
    ("lanes = 1\n" + LANE_FILE, "lanes: expected one of ends, examples, input"),
    (LANE_FILE.replace('side = { buy = "BUY", sell = "SELL" }', "side = 5"), "maps.side: expected a table of words"),
    (LANE_FILE.replace('buy = "BUY"', "buy = 5"), "maps.side: expected a table of words"),
    (LANE_FILE.replace('"BLOCKED_BY_GUARD"', '"GUARDED"'), "ends.GuardStopped: expected COMPLETED or"),
    (LANE_FILE.replace('"BLOCKED_BY_GUARD"', "5"), "ends.GuardStopped: expected COMPLETED or"),
    (LANE_FILE.replace("required = true", 'required = "yes"', 1), "run.plan_id.required: expected true or false"),
    (LANE_FILE.replace('map = "run_status"', "map = 5"), "run.status.map: expected a text"),
    (LANE_FILE.replace('root = "Payload"', 'root = "Payload[*]"'), "run.root"),
    (LANE_FILE.replace("[input.trade]", "[input.trades_of]"), "input.trade: expected a table of paths in one trade"),
    (LANE_FILE.replace('order_id = "broker_order_id"', 'order_id = ""'), "trades.order_id.at"),
    (LANE_FILE.replace('order_id = "broker_order_id"', 'order_id = "a[b]"'), "trades.order_id.at"),
    (LANE_FILE.replace('order_id = "broker_order_id"', 'order_id = "{*}"'), "trades.order_id.at: expected a root with {*}"),
    (LANE_FILE.replace('"broker_order_id"', '{ at = "b", sign_from = "action" }'), "trades.order_id.sign_from"),
    (LANE_FILE.replace('"broker_order_id"', '{ at = "b", zone = "UTC" }'), "trades.order_id.zone"),
    (LANE_FILE.replace('"broker_order_id"', '{ at = "b", form = "absolute" }'), "trades.order_id.form"),
    (LANE_FILE.replace('"broker_order_id"', '{ at = "b", else = "filled_quantity * average_price" }'), "trades.order_id.else"),
    (
        LANE_FILE.replace('decision_price = "quote_usd"', 'decision_price = { at = "q", form = "up" }'),
        "trades.decision_price.form",
    ),
    (LANE_FILE.replace('{ at = "done_at", zone = "UTC" }', '{ at = "d", form = "unix" }'), "trades.completed_at.form"),
    (LANE_FILE.replace('when_null = "0"', 'form = "epoch_seconds"'), "trades.filled_quantity.form"),
    (LANE_FILE.replace('when_null = "0"', 'when_null = "none"'), "trades.filled_quantity.when_null"),
    (LANE_FILE.replace('when_null = "0"', "when_absent = true"), "trades.filled_quantity.when_absent"),
    (LANE_FILE.replace('{ at = "done_at", zone = "UTC" }', '{ at = "d", when_absent = [1] }'), "trades.completed_at.when_absent"),
    (
        LANE_FILE.replace('{ at = "done_at", zone = "UTC" }', '{ at = "d", when_null = 2026-11-24T00:00:00Z }'),
        "trades.completed_at.when_null: expected a text, a number, true or false",
    ),
    (LANE_FILE.replace('map = "reason" }', 'map = "reason", when_null = "ODD" }'), "trades.reason.when_null"),
    (LANE_FILE.replace('map = "reason" }', 'map = "reason", when_absent = "ODD" }'), "trades.reason.when_absent"),
    (LANE_FILE.replace('from = "execution.output"', 'from = "state."', 1), "run.from"),
    (LANE_FILE.replace('from = "execution.output"', "from = []", 1), "run.from"),
    (LANE_FILE.replace('from = "execution.output"', 'from = ["execution.output", "execution.input"]', 1), "run.from"),
    (LANE_FILE.replace('from = "execution.output"', 'from = ["state.A", "state.A"]', 1), "run.from"),
    (LANE_FILE.replace('root = "Payload"', 'root = ["Payload"]'), "run.root"),
    (LANE_FILE.replace('root = "Payload.order_results[*]"', 'root = ["a[*]", "a"]'), "trades.root"),
    (LANE_FILE.replace('root = "Payload.order_results[*]"', 'root = ["a[*]", 5]'), "trades.root"),
    (LANE_FILE.replace('"request.correlation" = "correlation_id"', '"mode" = { value = 1.5 }'), "input.mode.value"),
    (LANE_FILE.replace('"request.correlation" = "correlation_id"', '"mode" = { value = "a", from = "run_id" }'), "input.mode"),
    (
        LANE_FILE.replace('"request.correlation" = "correlation_id"', 'wait.run = "run_id"'),
        'input.wait: expected .* (a path with dots stands in quotes: "a.b" = …)',
    ),
    (LANE_FILE.replace("ignore = [", 'ignore = "x"\nother = ['), "unread.ignore"),
    (LANE_FILE.replace("ignore = [", "ignored = ["), "unread.ignored"),
    (LANE_FILE + '[[examples]]\ninput = "history.json"\n', "examples[0]"),
    (LANE_FILE.replace('"request.correlation"', '"request..correlation"'), "input.request..correlation"),
    (LANE_FILE.replace('"request.correlation"', "'\"request\".plan_id'"), "input.request.plan_id: expected a place of its own"),
    (LANE_FILE.replace('"request.correlation"', "'request.\"plan_id\".id'"), 'input.request."plan_id".id: expected a place'),
    (LANE_FILE.replace('"request.correlation"', "'\"orders\"'"), "input.orders: expected a place of its own"),
    (LANE_FILE.replace('"request.correlation"', '"request.plan_id.more"'), "input.request.plan_id.more"),
    (LANE_FILE.replace('"request.correlation"', '"orders.first"'), "input.orders.first"),
    (LANE_FILE.replace('"request.correlation"', '"orders"'), "input.orders"),
    (
        LANE_FILE.replace('target_usd = { from = "trade_amount", form = "absolute" }', '"side.usd" = "trade_amount"'),
        "input.trade.side.usd",
    ),
    (
        LANE_FILE.replace('from = "trade_amount", form = "absolute"', 'from = "trade_amount", map = "side"'),
        "input.trade.target_usd.map",
    ),
    (LANE_FILE.replace('= "correlation_id"', '= { from = ["correlation_id"] }'), "input.request.correlation"),
    (
        LANE_FILE.replace('trades = "orders"', 'orders = "trades"'),
        'input.orders: expected .* (the list of trades is written trades = "orders")',
    ),
]


@pytest.mark.parametrize(("text", "place"), FAULTY, ids=[place for _, place in FAULTY])
def test_a_faulty_file_is_refused_by_the_name_of_its_fault(text: str, place: str) -> None:
    with pytest.raises(InvalidPayload, match=re.escape(place).replace(r"\.\*", ".*")):
        LaneFile.read(text)


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5), lambda inner: st.lists(inner, max_size=3))


@given(st.sampled_from(sorted(answer_of(PLAN)["Payload"]["order_results"][0])), JSON)
@settings(max_examples=150, deadline=None)
def test_a_damaged_field_never_raises_and_never_reads_as_another_trade(name: str, value: object) -> None:
    answer = answer_of(PLAN)
    row(answer["Payload"], "GOOG")[name] = value
    outcome = read_declared(LANE, NAMES, Role.CANDIDATE, *execution_of(answer))
    others = {trade.symbol: trade for trade in outcome.trades if trade.symbol in ("AAPL", "MSFT", "TSLA")}
    assert {trade.status for trade in others.values()} == {TradeStatus.COMPLETED}
    assert len(others) == 3
    assert RunOutcome.model_validate(outcome.model_dump()) == outcome


def test_every_word_that_was_met_is_known_to_the_check() -> None:
    answer = answer_of(PLAN)
    row(answer["Payload"], "GOOG").update(order_status="refused", error={"code": "EQ_LIMIT"})
    outcome, words = read_with_words(LANE, NAMES, Role.CANDIDATE, *execution_of(answer))
    assert {("trade_status", "refused"), ("reason", "EQ_LIMIT"), ("side", "buy"), ("run_status", "ok")} <= words
    assert [trade.reason for trade in outcome.trades if trade.status is TradeStatus.BLOCKED] == [Reason.EQUITY_LIMIT]


def outcome(edit: Callable[[dict[str, Any]], object], lane: LaneFile = LANE, **changes: object) -> RunOutcome:
    """Read an execution of the lane whose answer was edited."""
    answer = answer_of(PLAN)
    edit(answer["Payload"])
    return read_declared(lane, NAMES, Role.CANDIDATE, *execution_of(answer, **changes))


def google(edit: Callable[[dict[str, Any]], object], lane: LaneFile = LANE) -> TradeOutcome | None:
    return next((trade for trade in outcome(edit, lane).trades if trade.symbol == "GOOG"), None)


COUNTED = LaneFile.read(
    LANE_FILE.replace(
        '\n[trades]\nfrom = "execution.output"',
        """
correlation_id = "request.correlation"
failure_reason = "why"
failure_step = "where"
equity_limit = "limit"
total_trades = "count.all"
failed_trades = "count.failed"
[trades]
from = "execution.output"
attempts = "tries"
error_message = "error.text"
started_at = { at = "begun_at", zone = "UTC" }""",
    )
)


def test_everything_that_the_file_names_is_read() -> None:
    def told(body: dict[str, Any]) -> None:
        body["request"]["correlation"] = "c-1"
        body.update(why="W", where="S", limit="100", count={"all": 4, "failed": 0})
        row(body, "GOOG").update(tries=2, begun_at="2026-11-27T15:00:00", error={"code": "REJECTED", "text": "E"})

    run = outcome(told, COUNTED, cause="another")
    assert (run.run_id, run.plan_id, run.correlation_id) == (NAMES[0], PLAN.plan_id, "c-1")
    assert (run.failure_reason, run.failure_step, run.equity_limit) == ("W", "S", 100)
    assert run.counters == RunCounters(total=4, failed=0)
    assert (run.raw_status, run.terminal_state, run.started_at, run.completed_at) == ("ok", "PlaceOrders", BEGIN, BEGIN)
    assert (run.state_transitions, run.redrive_count, run.violations, run.gaps) == (1, 0, (), ())
    trade = google(told, COUNTED)
    assert trade is not None
    assert (trade.attempts, trade.error_message, trade.reason) == (2, "E", Reason.BROKER_REJECTED)
    assert (trade.started_at, trade.completed_at) == (datetime(2026, 11, 27, 15, tzinfo=UTC), BEGIN)
    assert (trade.trade_id, trade.order_id, trade.raw_status) == ("ref-2", "b-2", "filled")
    assert trade.intent == Intent(quantity=Decimal(20), decision_price=Decimal(50))


def test_what_the_answer_does_not_say_is_told_by_the_execution() -> None:
    def silent(body: dict[str, Any]) -> None:
        body["request"]["plan_id"] = "no identifier"
        del body["timing"]
        row(body, "GOOG").update(client_ref=None, requested_qty=None, quote_usd=None)

    later = BEGIN + timedelta(seconds=9)
    run = outcome(silent, COUNTED, cause="C", stopDate=later)
    assert (run.plan_id, run.correlation_id, run.failure_reason) == (PLAN.plan_id, None, "C")
    assert (run.started_at, run.completed_at, run.counters) == (BEGIN, later, None)
    trade = google(silent, COUNTED)
    assert trade is not None
    assert (trade.trade_id, trade.intent, trade.attempts, trade.reason) == ("GOOG:BUY", None, None, None)


@pytest.mark.parametrize(
    ("changes", "value", "gap"),
    [
        ({}, Decimal(1000), None),
        ({"filled_usd": "999"}, Decimal(999), None),
        ({"filled_qty": None}, Decimal(0), None),
        ({"filled_qty": None, "avg_fill_price": None}, Decimal(0), None),
        ({"avg_fill_price": None}, None, None),
        ({"filled_qty": "1E+12", "avg_fill_price": "1E+12"}, None, "expected filled_quantity * average_price to be an amount"),
    ],
)
def test_a_value_that_is_not_told_is_quantity_times_price(changes: dict[str, object], value: object, gap: str | None) -> None:
    def change(body: dict[str, Any]) -> None:
        row(body, "GOOG").update(changes)

    trade = google(change)
    assert trade is not None
    assert trade.value == value
    assert [each.reason.partition(": ")[2] for each in outcome(change).gaps] == ([] if gap is None else [gap])
    if "filled_usd" not in changes:
        plain = google(change, LaneFile.read(LANE_FILE.replace(', else = "filled_quantity * average_price"', "")))
        assert plain is not None
        assert plain.value is None


@pytest.mark.parametrize(("side", "planned"), [("sell", -1000), ("buy", 1000)])
@pytest.mark.parametrize("written", ["1000", "-1000"])
def test_a_planned_amount_takes_its_sign_from_the_side_where_the_file_says_so(side: str, planned: int, written: str) -> None:
    def change(body: dict[str, Any]) -> None:
        row(body, "GOOG").update(side=side, target_usd=written)

    signed, plain = google(change), google(change, LaneFile.read(LANE_FILE.replace(', sign_from = "action"', "")))
    assert signed is not None
    assert plain is not None
    assert (signed.planned_amount, plain.planned_amount) == (planned, Decimal(written))


@pytest.mark.parametrize(
    "changes",
    [
        {"ticker": None},
        {"side": "short"},
        {"order_status": None},
        {"filled_qty": "-1"},
        {"filled_usd": "-1"},
    ],
)
def test_a_row_that_no_trade_can_be_read_from_is_a_gap_and_no_trade(changes: dict[str, object]) -> None:
    run = outcome(lambda body: row(body, "GOOG").update(changes))
    assert len(run.trades) == 3
    assert {gap.what for gap in run.gaps} == {f"orders-v2 trade 2 ({changes.get('ticker', 'GOOG')})"}


IN_BRANCHES = LaneFile.read(LANE_FILE.replace("Payload.order_results[*]", "Payload.branches[*][*].Payload"))


def branches_of(body: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """Answer as a Parallel with a Map in each of two branches does."""
    rows = [{"Payload": row} for row in body.pop("order_results")]
    body["branches"] = [rows[:1], rows[1:]]
    return list(body["branches"])


def test_the_trades_of_every_branch_are_read() -> None:
    run = outcome(branches_of, IN_BRANCHES)
    assert run.trades == outcome(lambda _: None).trades
    assert (len(run.trades), run.gaps, run.violations) == (4, (), ())


@pytest.mark.parametrize(
    ("edit", "place", "left"),
    [
        (lambda body: branches_of(body)[1].__setitem__(0, {}), "Payload.branches[1][0].Payload: expected a row, was absent", 3),
        (lambda body: branches_of(body) and body["branches"].__setitem__(1, None), "Payload.branches[1][*]: expected a list", 1),
        (lambda body: branches_of(body) and body.pop("branches"), "Payload.branches[*]: expected a list", 0),
    ],
)
def test_a_branch_or_a_row_that_is_not_there_is_a_gap(edit: Callable[[dict[str, Any]], object], place: str, left: int) -> None:
    run = outcome(edit, IN_BRANCHES)
    assert len(run.trades) == left
    assert [gap for gap in run.gaps if place in gap.reason]


def test_what_cannot_be_written_or_is_not_there_is_shown_so() -> None:
    run = outcome(
        lambda body: (row(body, "GOOG").update(ticker="A\ud800"), row(body, "TSLA").pop("ticker"), body.pop("run_status"))
    )
    assert {gap.what for gap in run.gaps} == {"orders-v2 trade 2 (A?)", "orders-v2 trade 3 (without a symbol)", "orders-v2 run"}
    assert run.raw_status == ""
    assert run.to_wire() == json.loads(json.dumps(run.to_wire()).encode())
    halved = outcome(lambda body: row(body, "GOOG").update(error={"code": "REJECTED", "text": "\ud800"}), COUNTED)
    assert "error.text: expected a text" in [gap.reason.partition(",")[0] for gap in halved.gaps]


def test_a_number_beyond_every_amount_is_told_by_its_bound() -> None:
    run = outcome(lambda body: row(body, "GOOG").update(target_usd="12345678901234567890"))
    assert [gap.reason for gap in run.gaps] == [
        "target_usd: expected a number below 1e18 with at most 60 places, was '12345678901234567890'"
    ]


@pytest.mark.parametrize(("count", "read"), [(0, 0), (3, 3), (-1, None), (True, None), ("3", None), (None, None)])
def test_a_count_is_a_whole_number_of_zero_or_more(count: object, read: int | None) -> None:
    run = outcome(lambda body: body.update(count={"all": count}), COUNTED)
    assert run.counters == (None if read is None else RunCounters(total=read))
    assert bool(run.gaps) is (read is None and count is not None)


@pytest.mark.parametrize(
    ("status", "word", "ended"),
    [
        ("SUCCEEDED", "ok", RunStatus.COMPLETED),
        ("SUCCEEDED", "error", RunStatus.FAILED),
        ("SUCCEEDED", "odd", RunStatus.UNFINISHED),
        ("SUCCEEDED", None, RunStatus.UNFINISHED),
        ("FAILED", "ok", RunStatus.FAILED),
        ("RUNNING", "ok", RunStatus.UNFINISHED),
        ("PENDING_REDRIVE", "ok", RunStatus.UNFINISHED),
        ("ELSE", "ok", RunStatus.UNFINISHED),
        (7, "ok", RunStatus.UNFINISHED),
    ],
)
def test_a_run_that_ended_by_itself_ended_as_its_own_word_says(status: object, word: str | None, ended: RunStatus) -> None:
    assert outcome(lambda body: body.update(run_status=word), status=status).status is ended


def test_without_a_word_of_its_own_a_run_ended_as_its_execution_did() -> None:
    wordless = LaneFile.read(LANE_FILE.replace('status = { at = "run_status", map = "run_status", required = true }\n', ""))
    run = outcome(lambda _: None, wordless)
    assert (run.status, run.raw_status) == (RunStatus.COMPLETED, "SUCCEEDED")
    plain = LaneFile.read(LANE_FILE.replace('"run_status", map = "run_status"', '"run_status"'))
    assert outcome(lambda body: body.update(run_status="FAILED"), plain).status is RunStatus.FAILED
    odd = outcome(lambda body: body.update(run_status="odd"), plain)
    assert odd.status is RunStatus.UNFINISHED
    assert [gap.reason for gap in odd.gaps] == ["status: expected a word of the glossary, was 'odd'"]


@pytest.mark.parametrize("source", ["execution.cause", "state.PlaceOrders"])
def test_run_and_trades_may_stand_in_a_cause_or_in_a_states_output(source: str) -> None:
    lane = LaneFile.read(LANE_FILE.replace('from = "execution.output"', f'from = "{source}"'))
    text = json.dumps(answer_of(PLAN))
    describe, history = execution_of("{}")
    if source == "execution.cause":
        describe["cause"] = text
    else:
        history[2] |= {"stateExitedEventDetails": {"name": "PlaceOrders", "output": text}}
    read = read_declared(lane, NAMES, Role.CANDIDATE, describe, history)
    assert (len(read.trades), read.status, read.gaps) == (4, RunStatus.COMPLETED, ())


def test_a_lost_event_is_a_gap() -> None:
    describe, history = execution_of(answer_of(PLAN))
    del history[1]
    assert [gap.reason for gap in read_declared(LANE, NAMES, Role.CANDIDATE, describe, history).gaps] == [
        "1 events are missing from it"
    ]


def test_an_object_that_is_null_is_no_drift_and_a_new_field_beside_it_is() -> None:
    assert outcome(lambda body: row(body, "GOOG").update(error=None)).violations == ()
    new = outcome(lambda body: (row(body, "GOOG").update(error={"code": "REJECTED", "at": 1}), body.update(timing=None)))
    assert new.violations == (
        "execution.output.Payload.order_results[*].error.at: neither read nor listed as unread in orders-v2",
    )


def test_a_word_that_no_map_has_cannot_be_put_into_the_input() -> None:
    lane = LaneFile.read(LANE_FILE.replace('side = { buy = "BUY", sell = "SELL" }', 'side = { buy = "BUY" }'))
    with pytest.raises(InvalidPayload, match=r"input\.trade\.side: expected a word of side for it, was 'SELL'"):
        input_of(lane, PLAN, NAMES[0])


def goog(body: dict[str, Any]) -> dict[str, Any]:
    return next(row for row in body["order_results"] if row["ticker"] == "GOOG")


@pytest.mark.parametrize(
    ("name", "value"), [("requested_qty", "-6"), ("filled_qty", "-6"), ("avg_fill_price", "-6"), ("ticker", "goog")]
)
def test_v10_a_row_with_a_value_that_cannot_be_is_a_gap_and_accuses_nobody(name: str, value: str) -> None:
    comparison = judged(lambda body: goog(body).update({name: value}))
    assert comparison["verdict"] == "INCOMPLETE"
    assert comparison["differences"] == []
    assert any("expected zero or more" in gap or "expected a symbol in capitals" in gap for gap in comparison["gaps"])


def test_v11_a_limit_below_zero_is_a_gap() -> None:
    lane = LaneFile.read(LANE_FILE.replace("[trades]", 'equity_limit = "limit"\n[trades]', 1))
    comparison = judged(lambda body: body.update(limit="-1"), lane=lane)
    assert any("limit: expected zero or more, was -1" in gap for gap in comparison["gaps"])


@pytest.mark.parametrize(("update", "usd"), [({"broker_order_id": "b-99"}, 1000), ({"filled_qty": "9999"}, 499_950)])
def test_v8_a_second_row_of_a_trade_with_another_order_or_fill_is_a_double_order_with_its_dollars(
    update: dict[str, str], usd: int
) -> None:
    comparison = judged(lambda body: body["order_results"].append(goog(body) | update))
    (double,) = [d for d in comparison["differences"] if d["kind"] == "DOUBLE_ORDER"]
    assert double["attribution"] == "candidate"
    assert Decimal(double["impact"]["gross"]) == usd
    alike = judged(lambda body: body["order_results"].append(goog(body)))
    assert [d["kind"] for d in alike["differences"]] == ["DUPLICATE_TRADE"]


@pytest.mark.parametrize(("factor", "told"), [("1.009", False), ("1.02", True), ("0.98", True)])
def test_v2_a_price_is_held_to_the_time_between_the_runs_where_a_row_has_no_start(factor: str, *, told: bool) -> None:
    def requoted(body: dict[str, Any]) -> None:
        row, by = goog(body), Decimal(factor)
        price, shares = Decimal(row["quote_usd"]) * by, (Decimal(row["filled_qty"]) / by).quantize(Decimal("0.000001"))
        row.update(quote_usd=str(price), avg_fill_price=str(price), requested_qty=str(shares), filled_qty=str(shares))

    assert ("DECISION_PRICE" in {d["kind"] for d in judged(requoted)["differences"]}) is told


@pytest.mark.parametrize("left", [1, 2, 3])
def test_v12_a_history_that_ends_before_the_execution_is_a_gap(left: int) -> None:
    describe, history = execution_of(answer_of(PLAN))
    outcome = read_declared(LANE, NAMES, Role.CANDIDATE, describe, history[:left])
    assert [gap.reason for gap in outcome.gaps] == ["ends before the execution did"]
    assert read_declared(LANE, NAMES, Role.CANDIDATE, describe, history).gaps == ()
    odd = read_declared(LANE, NAMES, Role.CANDIDATE, describe | {"status": "PAUSED"}, history)
    assert [gap.reason for gap in odd.gaps] == ["unknown: 'PAUSED'"]


OWNED = LaneFile.read(
    LANE_FILE.replace(
        "[maps]",
        """[trades.own]
venue = { at = "venue", map = "venue" }
fee = { at = "fee", type = "decimal", required = true }
late = { at = "late", type = "boolean", when_null = false }
seen = { at = "seen", type = "time", zone = "America/New_York" }
[maps]
venue = { X = "XNAS" }""",
    )
)
USUAL = {"venue": "X", "fee": "1", "late": True, "seen": "2026-11-27T10:00:00"}


@pytest.mark.parametrize(
    ("changes", "read", "gap"),
    [
        ({}, {}, None),
        ({"fee": 2}, {"fee": "2"}, None),
        ({"venue": None}, {"venue": None}, None),
        ({"late": None}, {"late": "false"}, None),
        ({"late": False}, {"late": "false"}, None),
        ({"seen": "2026-11-27T10:00:00Z"}, {"seen": "2026-11-27T10:00:00+00:00"}, None),
        ({"venue": "Y"}, {"venue": "out"}, "own.venue: venue: expected a word of venue (X), was 'Y'"),
        ({"venue": 7}, {"venue": "out"}, "own.venue: venue: expected a word of venue (X), was 7"),
        ({"fee": "1_0"}, {"fee": "out"}, "own.fee: fee: expected a finite decimal, was '1_0'"),
        ({"late": "true"}, {"late": "out"}, "own.late: late: expected true or false, was 'true'"),
        ({"seen": "noon"}, {"seen": "out"}, "own.seen: seen: expected an ISO 8601 time with a zone, was 'noon'"),
        ({"fee": None}, {"fee": None}, "fee: expected a value, was null"),
    ],
)
def test_a_field_of_a_users_own_is_read_by_its_spec_or_a_gap(
    changes: dict[str, object], read: dict[str, str | None], gap: str | None
) -> None:
    def edit(body: dict[str, Any]) -> None:
        for each in body["order_results"]:
            each.update(USUAL)
        row(body, "GOOG").update(changes)

    run = outcome(edit, OWNED)
    trade = next(each for each in run.trades if each.symbol == "GOOG")
    expected = {"venue": "XNAS", "fee": "1", "late": "true", "seen": "2026-11-27T15:00:00+00:00"} | read
    assert {field.name: field.text for field in trade.own} == {name: text for name, text in expected.items() if text != "out"}
    assert [(each.what, each.reason) for each in run.gaps] == ([] if gap is None else [("orders-v2 trade 2 (GOOG)", gap)])
    assert run.violations == ()


@pytest.mark.parametrize(
    ("changes", "gaps"),
    [
        ({"client_ref": [7]}, ["client_ref: expected a text, was [7]"]),
        ({"filled_qty": True}, ["filled_qty: expected a number as number or string, was True"]),
        ({"quote_usd": "x" * 99}, [f"quote_usd: expected a finite decimal, was '{'x' * 59}"]),
        ({"done_at": 7}, ["done_at: expected an ISO 8601 time with a zone, was 7"]),
        ({"error": {"code": "ELSE"}}, ["error.code: expected a word of reason (EQ_LIMIT, REJECTED), was 'ELSE'"]),
        ({"error": {"code": 7}}, ["error.code: expected a word of reason (EQ_LIMIT, REJECTED), was 7"]),
        (
            {"side": "short"},
            [
                "side: expected a word of side (buy, sell), was 'short'",
                "symbol, action or status cannot be read, so nothing is said of this trade",
            ],
        ),
        (
            {"ticker": None},
            [
                "ticker: expected a value, was null",
                "symbol, action or status cannot be read, so nothing is said of this trade",
            ],
        ),
        ({"ticker": "goog"}, ["ticker: expected a symbol in capitals, was 'goog'"]),
        ({"requested_qty": "-0.1"}, ["requested_qty: expected zero or more, was -0.1"]),
        ({"filled_usd": "-0.1"}, ["filled_usd: expected zero or more, was -0.1"]),
        ({"avg_fill_price": "-50"}, ["avg_fill_price: expected zero or more, was -50"]),
        ({"avg_fill_price": "-50", "filled_usd": "1000"}, ["avg_fill_price: expected zero or more, was -50"]),
        ({"quote_usd": "-0.01"}, ["quote_usd: expected zero or more, was -0.01"]),
        ({"requested_qty": "0", "filled_usd": "0", "filled_qty": "0"}, []),
    ],
)
def test_a_value_of_a_trade_that_cannot_be_read_is_told_by_its_path_and_what_was_expected(
    changes: dict[str, object], gaps: list[str]
) -> None:
    run = outcome(lambda body: row(body, "GOOG").update(changes))
    assert [gap.reason for gap in run.gaps] == gaps
    refused = {"side", "ticker", "requested_qty", "filled_usd", "avg_fill_price"} & changes.keys() or "zero or more" in str(gaps)
    assert len(run.trades) == (3 if refused and gaps else 4)


@pytest.mark.parametrize(
    ("edit", "drift"),
    [
        (lambda body: body.update(fee=None), ["Payload.fee"]),
        (lambda body: body.update(fee=1, tax=[{"a": 1}, 2]), ["Payload.fee", "Payload.tax[*].a", "Payload.tax[*]"]),
        (lambda body: body.update(debug={"host": {"name": "b"}, "more": None}), []),
        (lambda body: body.update(debug=5), ["Payload.debug"]),
        (lambda body: body.update(debug=None), ["Payload.debug"]),
        (lambda body: body.update(timing=None), []),
        (lambda body: body.update(timing=[]), []),
        (lambda body: body.update(timing=7), ["Payload.timing"]),
        (lambda body: body.update(timing={"started_at": None, "zone": None}), ["Payload.timing.zone"]),
        (lambda body: row(body, "GOOG").update(error="text"), ["Payload.order_results[*].error"]),
        (lambda body: row(body, "GOOG").update(latency_ms={"p": 1}), ["Payload.order_results[*].latency_ms.p"]),
        (lambda body: row(body, "GOOG").update(latency_ms=None), []),
    ],
)
def test_what_a_document_holds_beyond_the_file_is_drift_and_an_unset_object_that_is_read_is_none(
    edit: Callable[[dict[str, Any]], object], drift: list[str]
) -> None:
    assert list(outcome(edit).violations) == [
        f"execution.output.{path}: neither read nor listed as unread in orders-v2" for path in drift
    ]


def test_each_document_is_held_against_what_is_read_from_it() -> None:
    head, _, tail = LANE_FILE.rpartition('from = "execution.output"')
    lane = LaneFile.read(f'{head}from = "state.PlaceOrders"{tail}')
    answer = answer_of(PLAN)
    rows = {"Payload": {"order_results": answer["Payload"].pop("order_results")}}
    describe, history = execution_of(answer | {"else": 1})
    history[2] |= {"stateExitedEventDetails": {"name": "PlaceOrders", "output": json.dumps(rows)}}
    run = read_declared(lane, NAMES, Role.CANDIDATE, describe, history)
    assert (len(run.trades), run.gaps) == (4, ())
    assert run.violations == ("execution.output.else: neither read nor listed as unread in orders-v2",)
    doubled = json.dumps(rows | {"Payload": rows["Payload"] | {"run_status": "ok"}})
    history[2] |= {"stateExitedEventDetails": {"name": "PlaceOrders", "output": doubled}}
    assert read_declared(lane, NAMES, Role.CANDIDATE, describe, history).violations[1:] == (
        "state.PlaceOrders.Payload.run_status: neither read nor listed as unread in orders-v2",
    )


ONCE = "expected JSON that has each key of an object once, was "


@pytest.mark.parametrize(
    ("output", "told"),
    [
        (None, "expected a JSON text, was absent"),
        ("", f"{ONCE}''"),
        ("{", f"{ONCE}'{{'"),
        (7, "expected a JSON text, was absent"),
        ('{"a": 1, "a": 2}', f"""{ONCE}'{{"a": 1, "a": 2}}'"""),
        ("null", f"{ONCE}'null'"),
    ],
)
def test_without_a_document_there_is_nothing_to_read_and_that_is_told_once(output: object, told: str) -> None:
    describe, history = execution_of("{}", output=output)
    run = read_declared(LANE, NAMES, Role.CANDIDATE, describe, history)
    assert (run.trades, run.violations, run.raw_status, run.status) == ((), (), "SUCCEEDED", RunStatus.UNFINISHED)
    assert [(gap.what, gap.reason) for gap in run.gaps] == [
        ("orders-v2 execution.output", f"{told}: there is nothing to read run or trades from"),
        ("orders-v2 run", "request.plan_id: expected a value, was absent"),
        ("orders-v2 run", "run_status: expected a value, was absent"),
    ]


@pytest.mark.parametrize("described", [True, False])
def test_a_cause_is_what_describes_the_execution_and_else_its_history_s(*, described: bool) -> None:
    lane = LaneFile.read(LANE_FILE.replace('from = "execution.output"', 'from = "execution.cause"'))
    text = json.dumps(answer_of(PLAN))
    describe, history = execution_of("{}", status="FAILED", error="GuardStopped", **({"cause": text} if described else {}))
    details = {"executionFailedEventDetails": {"error": "E", "cause": "{}" if described else text}}
    history[3] |= {"type": "ExecutionFailed", **details}
    run = read_declared(lane, NAMES, Role.CANDIDATE, describe, history)
    assert (len(run.trades), run.gaps, run.status) == (4, (), RunStatus.BLOCKED_BY_GUARD)
    assert run.failure_reason == (text if described else None)


@pytest.mark.parametrize(
    ("status", "error", "ended"),
    [
        ("TIMED_OUT", None, RunStatus.BLOCKED_BY_EQUITY_LIMIT),
        ("TIMED_OUT", "Other", RunStatus.TIMED_OUT),
        ("TIMED_OUT", "GuardStopped", RunStatus.BLOCKED_BY_GUARD),
        ("ABORTED", None, RunStatus.ABORTED),
        ("FAILED", "", RunStatus.FAILED),
        ("RUNNING", "GuardStopped", RunStatus.UNFINISHED),
        ("SUCCEEDED", "GuardStopped", RunStatus.COMPLETED),
    ],
)
def test_how_an_execution_ended_is_the_files_word_for_its_error_or_else_for_its_status(
    status: str, error: str | None, ended: RunStatus
) -> None:
    lane = LaneFile.read(LANE_FILE.replace("[ends]", '[ends]\nTIMED_OUT = "BLOCKED_BY_EQUITY_LIMIT"'))
    assert outcome(lambda _: None, lane, status=status, error=error).status is ended


@pytest.mark.parametrize(
    ("limit", "read", "gap"),
    [
        ("100", Decimal(100), None),
        ("0", Decimal(0), None),
        (None, None, None),
        ("-0.01", None, "limit: expected zero or more, was -0.01"),
        ("x", None, "limit: expected a finite decimal, was 'x'"),
    ],
)
def test_a_limit_is_zero_or_more(limit: str | None, read: Decimal | None, gap: str | None) -> None:
    run = outcome(lambda body: body.update(limit=limit), COUNTED)
    assert run.equity_limit == read
    assert [(each.what, each.reason) for each in run.gaps] == ([] if gap is None else [("orders-v2 run", gap)])


def test_trades_stand_by_their_ids_and_a_row_is_numbered_as_it_was_answered() -> None:
    run = outcome(lambda body: (body["order_results"].reverse(), row(body, "AAPL").update(quote_usd="x")))
    assert [trade.trade_id for trade in run.trades] == ["ref-0", "ref-1", "ref-2", "ref-3"]
    assert [gap.what for gap in run.gaps] == ["orders-v2 trade 3 (AAPL)"]
    assert outcome(lambda body: body.update(run_status="x" * 50)).raw_status == "x" * 40


def test_a_word_without_a_map_is_one_of_the_glossary() -> None:
    plain = LaneFile.read(LANE_FILE.replace('{ at = "error.code", map = "reason" }', '"error.code"'))
    read = google(lambda body: row(body, "GOOG").update(error={"code": "NO_QUOTE"}), plain)
    assert read is not None
    assert read.reason is Reason.NO_QUOTE
    (gap,) = outcome(lambda body: row(body, "GOOG").update(error={"code": "ELSE"}), plain).gaps
    assert gap.reason == f"error.code: expected {' or '.join(Reason)}, was 'ELSE'"


def test_the_whole_input_is_the_files_table_filled_from_the_plan() -> None:
    lane = LaneFile.read(
        LANE_FILE.replace('trades = "orders"', '"request.run.id" = "run_id"\n"at" = "timestamp"\ntrades = "request.all.orders"')
        .replace('target_usd = { from = "trade_amount", form = "absolute" }', '"usd.signed" = "trade_amount"\nrank = "priority"')
        .replace('ticker = "symbol"', 'ticker = "symbol"\n"usd.plain" = { from = "trade_amount", form = "absolute" }')
    )
    made: Any = input_of(lane, PLAN, "run-7")
    orders = made["request"].pop("all")["orders"]
    assert made == {
        "request": {"plan_id": PLAN.plan_id, "correlation": PLAN.correlation_id, "run": {"id": "run-7"}},
        "at": PLAN.to_wire()["timestamp"],
    }
    assert [(each["ticker"], each["side"], each["usd"]) for each in orders] == [
        (item.symbol, item.action.value.lower(), {"signed": str(item.trade_amount), "plain": str(abs(item.trade_amount))})
        for item in PLAN.tradable_items
    ]
    assert [each["rank"] for each in orders] == [item.priority for item in PLAN.tradable_items]


def test_every_word_that_no_map_has_is_told() -> None:
    lane = LaneFile.read(LANE_FILE.replace('side = { buy = "BUY", sell = "SELL" }', "side = {}"))
    with pytest.raises(InvalidPayload) as refused:
        input_of(lane, PLAN, NAMES[0])
    assert str(refused.value).count("input.trade.side: expected a word of side for it") == 4


def test_what_a_workflow_is_always_given_stands_in_the_file() -> None:
    lane = LaneFile.read(
        LANE_FILE.replace(
            'trades = "orders"', '"run.mode" = { value = "shadow" }\ndry = { value = true }\ntrades = "orders"'
        ).replace('ticker = "symbol"', 'ticker = "symbol"\naccount = { value = 7 }')
    )
    made: Any = input_of(lane, PLAN, "run-7")
    assert (made["run"], made["dry"], {each["account"] for each in made["orders"]}) == ({"mode": "shadow"}, True, {7})


@pytest.mark.parametrize(
    ("numbers", "null", "written"), [("string", "0", "1.50"), ("number", 0, 1.5), ("string", 0, "1.50"), ("number", "0", 1.5)]
)
def test_a_number_that_stands_in_for_a_null_may_be_written_either_way(numbers: str, null: object, written: object) -> None:
    text = re.sub('= "string.number"', f'= "{numbers}"', LANE_FILE).replace('when_null = "0"', f"when_null = {json.dumps(null)}")
    lane = LaneFile.read(text)

    def told(body: dict[str, Any]) -> None:
        for each in body["order_results"]:
            for name in ("target_usd", "requested_qty", "quote_usd", "avg_fill_price"):
                each[name] = written
            each["filled_qty"] = None

    run = outcome(told, lane)
    assert ({trade.filled_quantity for trade in run.trades}, run.gaps) == ({Decimal(0)}, ())


def test_what_is_absent_is_read_as_what_the_file_has_for_it_and_null_is_not() -> None:
    text = LANE_FILE.replace(
        '"order_status", map = "trade_status"', '"order_status", map = "trade_status", when_absent = "caught"'
    )
    lane = LaneFile.read(text.replace("skipped =", 'caught = "FAILED", skipped ='))
    read = google(lambda body: row(body, "GOOG").pop("order_status"), lane)
    assert read is not None
    assert (read.status, read.raw_status) == (TradeStatus.FAILED, "")
    null = outcome(lambda body: row(body, "GOOG").update(order_status=None), lane)
    assert next(gap.reason for gap in null.gaps) == "order_status: expected a value, was null"
    assert len(null.trades) == 3


@pytest.mark.parametrize("name", ["ticker", "side", "order_status"])
@pytest.mark.parametrize("value", [None, ...])
def test_which_field_of_a_trade_is_not_there_is_told_though_the_file_does_not_require_it(name: str, value: object) -> None:
    lane = LaneFile.read(LANE_FILE.replace(", required = true", ""))
    told = outcome(lambda body: row(body, "GOOG").pop(name) if value is ... else row(body, "GOOG").update({name: value}), lane)
    assert [gap.reason for gap in told.gaps] == [
        f"{name}: expected a value, was {'absent' if value is ... else 'null'}",
        "symbol, action or status cannot be read, so nothing is said of this trade",
    ]


def test_a_run_whose_word_is_not_there_did_not_end_and_that_is_told() -> None:
    lane = LaneFile.read(LANE_FILE.replace(", required = true", ""))
    run = outcome(lambda body: body.pop("run_status"), lane)
    assert (run.status, [gap.reason for gap in run.gaps]) == (
        RunStatus.UNFINISHED,
        ["run_status: expected a value, was absent"],
    )
    lost = outcome(lambda _: None, LaneFile.read(LANE_FILE.replace('root = "Payload"\n', 'root = "Paylod"\n')))
    assert "Paylod: expected an object, was absent" in [gap.reason for gap in lost.gaps]


@pytest.mark.parametrize("path", ["request.plan_id", "request.correlation"])
def test_an_id_that_is_none_is_told_and_not_silently_taken_to_be_the_pairs(path: str) -> None:
    run = outcome(lambda body: body["request"].update({path.partition(".")[2]: "no identifier"}), COUNTED)
    assert [gap.reason for gap in run.gaps] == [f"{path}: expected an identifier, was 'no identifier'"]


@pytest.mark.parametrize(("word", "read"), [(1, "COMPLETED"), (True, "FAILED"), (False, "SKIPPED"), (2, None), (1.0, None)])
def test_a_whole_number_or_a_truth_value_can_be_a_word(word: object, read: str | None) -> None:
    words = '1 = "COMPLETED", true = "FAILED", false = "SKIPPED"'
    lane = LaneFile.read(LANE_FILE.replace("trade_status = { ", f"trade_status = {{ {words}, "))
    found = google(lambda body: row(body, "GOOG").update(order_status=word), lane)
    assert (found.status.value if found else None) == read


@pytest.mark.parametrize(
    ("form", "value", "read"),
    [
        ("epoch_milliseconds", 1795791600123, datetime(2026, 11, 27, 15, 0, 0, 123000, tzinfo=UTC)),
        ("epoch_seconds", 1795791600, datetime(2026, 11, 27, 15, tzinfo=UTC)),
        ("epoch_seconds", 1795791600.25, datetime(2026, 11, 27, 15, 0, 0, 250000, tzinfo=UTC)),
        ("epoch_milliseconds", "1795791600123", datetime(2026, 11, 27, 15, 0, 0, 123000, tzinfo=UTC)),
        ("epoch_seconds", 1795791600123, None),
        ("epoch_seconds", -1, None),
        ("epoch_seconds", "2026-11-27T15:00:00Z", None),
        ("epoch_seconds", True, None),
    ],
)
def test_a_time_may_be_how_long_it_is_after_1970(form: str, value: object, read: datetime | None) -> None:
    lane = LaneFile.read(LANE_FILE.replace('{ at = "done_at", zone = "UTC" }', f'{{ at = "done_at", form = "{form}" }}'))

    def told(body: dict[str, Any]) -> None:
        for each in body["order_results"]:
            each["done_at"] = value

    run = outcome(told, lane)
    assert {trade.completed_at for trade in run.trades} == {read}
    assert len(run.gaps) == (4 if read is None else 0)


def test_an_order_and_a_trade_may_be_numbered() -> None:
    big = 90071992547409931
    read = google(lambda body: row(body, "GOOG").update(broker_order_id=big, client_ref=7))
    assert read is not None
    assert (read.order_id, read.trade_id) == (str(big), "7")
    odd = outcome(lambda body: row(body, "GOOG").update(broker_order_id=True))
    assert [gap.reason for gap in odd.gaps] == ["broker_order_id: expected a text, was True"]


def test_a_quantity_that_is_below_zero_for_a_sell_is_read_without_its_sign_where_the_file_says_so() -> None:
    lane = LaneFile.read(LANE_FILE.replace('"requested_qty"', '{ at = "requested_qty", form = "absolute" }'))
    read = google(lambda body: row(body, "GOOG").update(requested_qty="-20"), lane)
    assert read is not None
    assert read.intent is not None
    assert read.intent.quantity == 20


def test_trades_that_share_a_key_are_told_apart_by_symbol_and_side() -> None:
    def one_for_all(body: dict[str, Any]) -> None:
        for each in body["order_results"]:
            each["client_ref"] = "batch-7"

    comparison = judged(one_for_all)
    assert (comparison["verdict"], comparison["differences"]) == (Verdict.MATCHED.value, [])
    assert [trade.trade_id for trade in outcome(one_for_all).trades] == ["AAPL:SELL", "GOOG:BUY", "MSFT:SELL", "TSLA:BUY"]
    other = row(answer_of(PLAN)["Payload"], "TSLA") | {"ticker": "ELSE"}
    copied = judged(lambda body: body["order_results"].append(other))
    assert (copied["verdict"], candidates(copied)) == (Verdict.DIVERGED.value, {"EXTRA_TRADE"})
    twice = outcome(lambda body: body["order_results"].append(row(body, "TSLA")))
    assert [trade.trade_id for trade in twice.trades].count("ref-3") == 2


def test_an_empty_text_names_no_order_and_tells_no_error() -> None:
    read = google(lambda body: row(body, "GOOG").update(broker_order_id="", error={"code": "REJECTED", "text": ""}), COUNTED)
    assert read is not None
    assert (read.order_id, read.orders, read.error_message) == (None, (), None)


def test_the_price_that_was_decided_on_is_read_though_no_quantity_was_asked_for() -> None:
    read = google(lambda body: row(body, "GOOG").update(requested_qty=None))
    assert read is not None
    assert read.intent == Intent(decision_price=Decimal(50))


SOURCES = ["execution.output", "state.PlaceOrders", "execution.cause"]


@pytest.mark.parametrize("there", SOURCES)
def test_the_first_source_that_there_is_is_read_and_its_drift_is_told_by_its_name(there: str) -> None:
    lane = LaneFile.read(LANE_FILE.replace('from = "execution.output"', f"from = {json.dumps(SOURCES)}"))
    text = json.dumps(answer_of(PLAN) | {"else": 1})
    describe, history = execution_of("{}", cause=text)
    del describe["output"]
    history[2] |= {"stateExitedEventDetails": {"name": "PlaceOrders", "output": text}}
    if there == "execution.output":
        describe["output"] = text
    elif there == "execution.cause":
        history[2] |= {"stateExitedEventDetails": {"name": "Other", "output": "{}"}}
    run = read_declared(lane, NAMES, Role.CANDIDATE, describe, history)
    assert (len(run.trades), run.gaps) == (4, ())
    assert run.violations == (f"{there}.else: neither read nor listed as unread in orders-v2",)


def test_a_path_is_listed_as_unread_with_or_without_the_document_it_is_in() -> None:
    for listed in ("Payload.fee", "execution.output.Payload.fee"):
        lane = LaneFile.read(LANE_FILE.replace("ignore = [", f'ignore = ["{listed}", '))
        assert outcome(lambda body: body.update(fee=1), lane).violations == ()


def test_a_state_that_is_not_there_is_told_with_those_that_are() -> None:
    lane = LaneFile.read(LANE_FILE.replace('from = "execution.output"', 'from = "state.PlaceOrder"'))
    describe, history = execution_of("{}")
    history[2] |= {"stateExitedEventDetails": {"name": "PlaceOrders", "output": "{}"}}
    (gap, *_) = read_declared(lane, NAMES, Role.CANDIDATE, describe, history).gaps
    assert "was absent (these states answered: PlaceOrders)" in gap.reason


@pytest.mark.parametrize("details", [{"included": False}, {"truncated": True}])
def test_an_output_that_the_service_left_out_or_cut_off_is_told_so(details: dict[str, bool]) -> None:
    describe, history = execution_of('{"Payload": {"order_re', outputDetails=details)
    if "included" in details:
        del describe["output"]
    (gap, *_) = read_declared(LANE, NAMES, Role.CANDIDATE, describe, history).gaps
    assert "was absent (the service left it out or cut it off: outputDetails)" in gap.reason


IN_A_MAP = SHAPES["iterations of a Map, and a mail at the end"].history


@pytest.mark.parametrize(("state", "root", "count"), [("Trade a sector", "orders[*]", 0), ("Each sector", "[*].orders[*]", 3)])
def test_a_state_inside_of_a_map_is_one_iteration_and_no_trade_of_the_others_is_lost_silently(
    state: str, root: str, count: int
) -> None:
    lane = LaneFile.read(
        f"""
schema = "shadow.lane/1"
name = "sectors"
[input]
plan_id = "plan_id"
trades = "trades"
[input.trade]
symbol = "symbol"
[trades]
from = "state.{state}"
root = "{root}"
symbol = "symbol"
action = {{ at = "side", map = "side" }}
status = {{ at = "status", map = "status" }}
[maps]
side = {{ buy = "BUY" }}
status = {{ filled = "COMPLETED" }}
[unread]
ignore = ["*"]
"""
    )
    run = read_declared(lane, NAMES, Role.CANDIDATE, {"status": "SUCCEEDED", "output": "{}"}, IN_A_MAP["events"])
    assert len(run.trades) == count
    assert ["take the Map" in gap.reason for gap in run.gaps] == [True] * (count == 0)


BY_NAME = LaneFile.read(
    LANE_FILE.replace("Payload.order_results[*]", "Payload.order_results{*}").replace(
        'symbol = { at = "ticker", required = true }', 'symbol = "{*}"'
    )
)


def test_trades_that_stand_by_symbol_are_read_with_it_and_their_drift_is_told_once() -> None:
    def by_symbol(body: dict[str, Any]) -> None:
        body["order_results"] = {each.pop("ticker"): each | {"tag": 1} for each in body["order_results"]}

    run = outcome(by_symbol, BY_NAME)
    assert [trade.symbol for trade in run.trades] == [trade.symbol for trade in outcome(lambda _: None).trades]
    assert run.violations == ("execution.output.Payload.order_results{*}.tag: neither read nor listed as unread in orders-v2",)
    told = outcome(lambda body: body.update(order_results=[]), BY_NAME)
    assert [gap.reason for gap in told.gaps] == ["Payload.order_results{*}: expected an object, was a list"]


def test_lists_by_side_are_read_with_the_name_that_they_stand_under() -> None:
    text = LANE_FILE.replace("Payload.order_results[*]", "Payload.order_results{*}[*]")
    lane = LaneFile.read(
        text.replace('action = { at = "side"', 'action = { at = "{*}"').replace("buy =", "buys =").replace("sell =", "sells =")
    )

    def split(body: dict[str, Any]) -> None:
        rows = body["order_results"]
        sides = {side: [row for row in rows if row["side"] == side] for side in ("buy", "sell")}
        body["order_results"] = {
            f"{side}s": [{name: row[name] for name in row if name != "side"} for row in sides[side]] for side in sides
        }

    run = outcome(split, lane)
    assert (run.trades, run.gaps, run.violations) == (outcome(lambda _: None).trades, (), ())
