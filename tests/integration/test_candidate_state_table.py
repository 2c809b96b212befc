"""Business Unit: AWS adapters | Status: current.

The candidate's state table in moto: reservations that cannot overshoot, intents that cannot be overwritten, effects that
happen once (C4, C14).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal, localcontext
from functools import partial
from itertools import count
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from shadow.aws.candidate import ProductionEmitter, RecordedEffects
from shadow.aws.candidate_state import DynamoCandidateState
from shadow.aws.clients import transient_as
from shadow.aws.table import ATTEMPTS, LONGEST_PAUSE
from shadow.contracts.candidate_state import IntentRecord, IntentStatus, candidate_pk, intent_sk
from shadow.contracts.control_records import LedgerEntry, TradeExecuted
from shadow.contracts.vocabulary import EffectKind, ExecutionMode, Side
from shadow.execution.ports import PlannedEffect, RunNotPrepared, RunOpening, StateUnavailable, TradeTakenOver
from tests.factories.cloud_tables import make_table
from tests.fakes.candidate import NOON, RUN_ID, MemoryLedger, d, intent_of, trade

TABLE = "candidate-state"
IDS = [trade(f"S{number}").trade_id for number in range(6)]


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        made = boto3.client("dynamodb", region_name="us-east-1")
        for name in (TABLE, "ledger"):
            make_table(name)
        yield made


@pytest.fixture
def state(client: Any) -> DynamoCandidateState:
    return DynamoCandidateState(client, TABLE)


def opening(limit: str, run_id: str = RUN_ID) -> RunOpening:
    return RunOpening(run_id, "plan", "correlation", ExecutionMode.PAPER, d(limit), NOON)


def test_c4_the_limit_is_what_the_first_opening_set(state: DynamoCandidateState) -> None:
    assert state.open_run(opening("100.50")) == d("100.50")
    assert state.open_run(opening("7")) == d("100.50")


def test_c4_a_run_that_was_never_opened_reserves_nothing(state: DynamoCandidateState) -> None:
    with pytest.raises(RunNotPrepared):
        state.reserve(RUN_ID, IDS[0], d("1"))


def test_exactly_the_limit_fits_and_a_cent_more_does_not(state: DynamoCandidateState) -> None:
    state.open_run(opening("100"))

    assert state.reserve(RUN_ID, IDS[0], d("60")).allowed
    assert not state.reserve(RUN_ID, IDS[1], d("40.01")).allowed
    last = state.reserve(RUN_ID, IDS[2], d("40.00"))
    assert (last.allowed, last.cumulative, last.headroom, last.limit) == (True, d("100"), d("0"), d("100"))


def test_reserving_again_gives_the_same_answer_and_counts_once(state: DynamoCandidateState) -> None:
    state.open_run(opening("100"))

    first, again = state.reserve(RUN_ID, IDS[0], d("100")), state.reserve(RUN_ID, IDS[0], d("100"))
    refused, refused_again = state.reserve(RUN_ID, IDS[1], d("1")), state.reserve(RUN_ID, IDS[1], d("1"))

    assert first == again
    assert refused == refused_again
    assert (refused.allowed, refused.reason) == (False, "EQUITY_LIMIT")


def test_releasing_twice_changes_nothing_and_never_raises_a_reservation(state: DynamoCandidateState) -> None:
    state.open_run(opening("100"))
    state.reserve(RUN_ID, IDS[0], d("80"))

    for spent in ("30", "30", "200"):
        state.release(RUN_ID, IDS[0], d(spent))
    state.release(RUN_ID, IDS[1], d("0"))

    assert state.reserve(RUN_ID, IDS[1], d("70")).cumulative == d("100")


def test_a_trade_that_spent_nothing_may_reserve_again(state: DynamoCandidateState) -> None:
    state.open_run(opening("100"))
    state.reserve(RUN_ID, IDS[0], d("100"))

    state.release(RUN_ID, IDS[0], d("0"))

    assert state.reserve(RUN_ID, IDS[1], d("100")).allowed
    assert not state.reserve(RUN_ID, IDS[0], d("1")).allowed


def test_a_breaker_that_is_off_counts_and_refuses_nothing(state: DynamoCandidateState) -> None:
    state.open_run(opening("0"))

    assert state.reserve(RUN_ID, IDS[0], d("1000000")).cumulative == d("1000000")


def held_in(client: Any, run_id: str) -> dict[str, Decimal]:
    """What is reserved by trade, as it stands in the table."""
    items = client.query(
        TableName=TABLE,
        KeyConditionExpression="PK = :run AND begins_with(SK, :kind)",
        ExpressionAttributeValues={":run": {"S": candidate_pk(run_id)}, ":kind": {"S": "RESERVATION#"}},
    )["Items"]
    return {item["trade_id"]["S"]: Decimal(item["amount"]["N"]) for item in items}


AMOUNTS = st.decimals("0.01", "60", places=2)
STEPS = st.one_of(
    st.tuples(st.just("reserve"), st.sampled_from(IDS), AMOUNTS), st.tuples(st.just("release"), st.sampled_from(IDS), AMOUNTS)
)


RUNS = count()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.decimals("0.01", "150", places=2), steps=st.lists(STEPS, max_size=20))
def test_the_table_and_the_rule_agree_and_never_overshoot(
    client: Any, limit: Decimal, steps: list[tuple[str, str, Decimal]]
) -> None:
    table, model, run_id = DynamoCandidateState(client, TABLE), MemoryLedger(), f"run-{next(RUNS)}"
    for ledger in (table, model):
        ledger.open_run(opening(str(limit), run_id))  # type: ignore[attr-defined]
    for what, trade_id, amount in steps:
        if what == "reserve":
            assert table.reserve(run_id, trade_id, amount) == model.reserve(run_id, trade_id, amount)
        else:
            table.release(run_id, trade_id, amount)
            model.release(run_id, trade_id, amount)
        assert sum_in(client, run_id) == model.reserved <= limit


def sum_in(client: Any, run_id: str) -> Decimal:
    """The run's sum, which its reservations must add up to."""
    item = client.get_item(TableName=TABLE, Key={"PK": {"S": candidate_pk(run_id)}, "SK": {"S": "RUN"}})["Item"]
    reserved, headroom = Decimal(item["reserved"]["N"]), Decimal(item["headroom"]["N"])
    assert reserved == sum(held_in(client, run_id).values(), Decimal(0))
    assert reserved + headroom == Decimal(item["equity_limit"]["N"])
    return reserved


class Meeting:
    """The table's client, of which some transactions meet another one: they are cancelled, or `between` goes before them."""

    def __init__(self, client: Any, between: list[Callable[[], object] | str]) -> None:
        self._client = client
        self.between = between
        self.transactions = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def transact_write_items(self, **call: Any) -> Any:
        self.transactions += 1
        what = self.between.pop(0) if self.between else None
        if isinstance(what, str):
            reasons = [{"Code": what}, *({"Code": "None"} for _ in call["TransactItems"][1:])]
            cancelled: Any = {"Error": {"Code": "TransactionCanceledException"}, "CancellationReasons": reasons}
            raise ClientError(cancelled, "TransactWriteItems")
        if what is not None:
            what()
        return self._client.transact_write_items(**call)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    limit=st.decimals("0.01", "150", places=2),
    steps=st.lists(st.tuples(STEPS, st.one_of(st.none(), st.just("TransactionConflict"), STEPS)), max_size=12),
)
def test_what_happens_between_reading_and_writing_never_breaks_the_sum(client: Any, limit: Decimal, steps: list[Any]) -> None:
    run_id, other = f"run-{next(RUNS)}", DynamoCandidateState(client, TABLE)
    other.open_run(opening(str(limit), run_id))
    for step, between in steps:
        meets = [partial(act, other, run_id, between) if isinstance(between, tuple) else between] if between else []
        act(DynamoCandidateState(Meeting(client, meets), TABLE, lambda _: None), run_id, step)  # type: ignore[arg-type]
        assert sum_in(client, run_id) <= limit


def act(table: DynamoCandidateState, run_id: str, step: tuple[str, str, Decimal]) -> None:
    what, trade_id, amount = step
    if what == "reserve":
        check = table.reserve(run_id, trade_id, amount)
        assert not check.allowed or check.cumulative >= amount
    else:
        table.release(run_id, trade_id, amount)


def test_a_conflict_is_tried_again_after_growing_pauses_and_given_up_as_transient(
    client: Any, state: DynamoCandidateState
) -> None:
    state.open_run(opening("100"))
    pauses: list[float] = []
    few, many = Meeting(client, ["TransactionConflict"] * 3), Meeting(client, ["TransactionConflict"] * 100)

    assert DynamoCandidateState(few, TABLE, pauses.append).reserve(RUN_ID, IDS[0], d("1")).allowed  # type: ignore[arg-type]
    assert len(pauses) == 3
    with pytest.raises(StateUnavailable, match="TransactionConflict"):
        DynamoCandidateState(many, TABLE, pauses.append).reserve(RUN_ID, IDS[1], d("1"))  # type: ignore[arg-type]

    assert (many.transactions, sum_in(client, RUN_ID)) == (ATTEMPTS, d("1"))
    assert all(0 <= pause <= LONGEST_PAUSE for pause in pauses)


def test_a_reservation_that_is_held_already_is_only_read(client: Any, state: DynamoCandidateState) -> None:
    state.open_run(opening("100"))
    state.reserve(RUN_ID, IDS[0], d("50"))
    watched = Meeting(client, [])

    assert DynamoCandidateState(watched, TABLE).reserve(RUN_ID, IDS[0], d("50"), 1).allowed  # type: ignore[arg-type]
    assert watched.transactions == 0


@pytest.mark.parametrize("what", ["reserve more", "release"])
def test_a_process_that_is_overtaken_just_before_it_writes_changes_no_reservation(
    client: Any, state: DynamoCandidateState, what: str
) -> None:
    state.open_run(opening("100"))
    state.reserve(RUN_ID, IDS[0], d("50"))
    turn = state.take(RUN_ID, IDS[0])
    late = DynamoCandidateState(Meeting(client, [lambda: state.take(RUN_ID, IDS[0])]), TABLE)  # type: ignore[arg-type]

    with pytest.raises(TradeTakenOver):
        late.release(RUN_ID, IDS[0], d("0"), turn) if what == "release" else late.reserve(RUN_ID, IDS[0], d("60"), turn)

    assert held_in(client, RUN_ID) == {IDS[0]: d("50")}
    state.release(RUN_ID, IDS[0], d("0"), turn + 1)
    assert sum_in(client, RUN_ID) == 0


def test_the_runs_item_stays_small_however_many_reservations_there_are(client: Any, state: DynamoCandidateState) -> None:
    state.open_run(opening("10000"))
    sizes = []
    for number in range(60):
        state.reserve(RUN_ID, f"{IDS[0]}-{number}", d("100.25"))
        item = client.get_item(TableName=TABLE, Key={"PK": {"S": candidate_pk(RUN_ID)}, "SK": {"S": "RUN"}})["Item"]
        sizes.append(len(json.dumps(item)))

    assert sum_in(client, RUN_ID) == d("6015")
    assert max(sizes) - sizes[0] < 10


def intent(step: int = 0, **changes: Any) -> IntentRecord:
    odd = {"quantity": d("10.123456"), "asked_quantity": d("10.123456"), "execution_mode": ExecutionMode.DRY_RUN}
    return intent_of(trade("S0"), step, **(odd | changes))


def test_an_intent_is_kept_as_it_was_first_written(state: DynamoCandidateState) -> None:
    turn = state.take(RUN_ID, IDS[0])
    first, second = intent(turn=turn), intent(turn=turn, limit_price=d("1"))

    assert state.record(first) is first
    assert state.record(second).limit_price == first.limit_price


def test_intents_come_back_whole_and_in_step_order(state: DynamoCandidateState) -> None:
    turn = state.take(RUN_ID, IDS[0])
    state.take(RUN_ID, IDS[1])
    for step in (11, 0, 2):
        state.record(intent(step, turn=turn))
    state.record(intent(SK=intent_sk(IDS[1], 0), trade_id=IDS[1], turn=1))
    state.update(intent(2, turn=turn, status=IntentStatus.FILLED, filled_quantity=d("3"), filled_at=NOON))

    kept = state.of_trade(RUN_ID, IDS[0])

    assert [entry.step for entry in kept] == [0, 2, 11]
    expiry = int((NOON + timedelta(days=90)).timestamp())
    assert kept[0] == intent(turn=turn, TTL=expiry)
    assert (kept[1].status, kept[1].filled_quantity, kept[1].filled_at) == (IntentStatus.FILLED, d("3"), NOON)


def test_a_process_whose_turn_is_over_keeps_no_further_intent(state: DynamoCandidateState) -> None:
    old, new = state.take(RUN_ID, IDS[0]), state.take(RUN_ID, IDS[0])

    with pytest.raises(TradeTakenOver):
        state.record(intent(turn=old))
    assert state.record(intent(turn=new)).turn == new == old + 1


def test_the_brokers_word_stands_against_a_doubt_of_ours(state: DynamoCandidateState) -> None:
    turn = state.take(RUN_ID, IDS[0])
    state.record(intent(turn=turn))
    state.update(intent(turn=turn, status=IntentStatus.FILLED, order_id="order-1"))

    state.update(intent(turn=turn, status=IntentStatus.AMBIGUOUS))

    assert state.of_trade(RUN_ID, IDS[0])[0].status is IntentStatus.FILLED


def event(number: int = 0) -> PlannedEffect:
    detail = TradeExecuted(
        correlation_id="correlation",
        run_id=RUN_ID,
        plan_id="plan",
        timestamp=NOON,
        trade_id=IDS[number],
        symbol="S0",
        action=Side.BUY,
        success=True,
        quantity=d("1.5"),
    )
    return PlannedEffect(RUN_ID, EffectKind.TRADE_EXECUTED, IDS[number], detail, NOON)


def row() -> PlannedEffect:
    entry = LedgerEntry(
        order_id="o-1",
        correlation_id="correlation",
        symbol="S0",
        direction=Side.BUY,
        filled_qty=d("1.5"),
        fill_price=d("100"),
        timestamp=NOON,
    )
    return PlannedEffect(RUN_ID, EffectKind.LEDGER_ENTRY, IDS[0], entry, NOON, part=1)


def effects_in(client: Any) -> dict[str, Any]:
    items = client.scan(TableName=TABLE)["Items"]
    return {item["SK"]["S"]: item for item in items if item["SK"]["S"].startswith("EFFECT#")}


def test_c14_a_candidates_effects_are_recorded_as_intended_once(client: Any, state: DynamoCandidateState) -> None:
    effects = RecordedEffects(state)
    for effect in (event(), event(), row()):
        effects.apply(effect, "plan")

    kept = effects_in(client)

    assert sorted(kept) == [f"EFFECT#LedgerEntry#{IDS[0]}#0001", f"EFFECT#TradeExecuted#{IDS[0]}"]
    assert not any(item["emitted"]["BOOL"] for item in kept.values())
    assert json.loads(kept[f"EFFECT#TradeExecuted#{IDS[0]}"]["detail"]["S"])["quantity"] == "1.5"


class Bus:
    def __init__(self, failures: int = 0) -> None:
        self.entries: list[dict[str, Any]] = []
        self.failures = failures

    def put_events(self, **call: Any) -> dict[str, Any]:
        if self.failures:
            self.failures -= 1
            return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalException"}]}
        self.entries += call["Entries"]
        return {"FailedEntryCount": 0, "Entries": [{}]}


def test_c14_live_effects_go_out_once_as_the_controls_do(client: Any, state: DynamoCandidateState) -> None:
    bus = Bus(failures=1)
    effects = RecordedEffects(state, ProductionEmitter(bus, "events", client, "ledger"))  # type: ignore[arg-type]

    with pytest.raises(StateUnavailable):
        effects.apply(event(), "plan")
    for effect in (event(), event(), row()):
        effects.apply(effect, "plan")

    (sent,) = bus.entries
    assert (sent["Source"], sent["DetailType"], sent["EventBusName"]) == ("alchemiser.execution", "TradeExecuted", "events")
    assert json.loads(sent["Detail"])["trade_id"] == IDS[0]
    (ledger,) = client.scan(TableName="ledger")["Items"]
    assert (ledger["PK"]["S"], ledger["GSI1PK"]["S"], ledger["filled_qty"]["N"]) == ("TRADE#o-1", "CORR#correlation", "1.5")
    assert all(item["emitted"]["BOOL"] for item in effects_in(client).values())


@pytest.mark.parametrize(
    ("code", "status", "raised"),
    [
        ("ThrottlingException", 400, StateUnavailable),
        ("Whatever", 503, StateUnavailable),
        ("AccessDeniedException", 400, ClientError),
    ],
)
def test_only_what_may_pass_is_worth_another_try(code: str, status: int, raised: type[Exception]) -> None:
    error = ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetItem")  # type: ignore[typeddict-item]

    with pytest.raises(raised), transient_as():
        raise error


LONG_AMOUNTS = st.lists(
    st.tuples(st.integers(10**27, 10**28 - 1), st.integers(-24, -22)).map(lambda parts: Decimal(parts[0]).scaleb(parts[1])),
    min_size=2,
    max_size=6,
)


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(amounts=LONG_AMOUNTS, fits=st.booleans())
def test_v11_a_table_that_sums_with_38_digits_reserves_exactly_to_the_limit(
    client: Any, amounts: list[Decimal], *, fits: bool
) -> None:
    """As DynamoDB sums. Planned amounts have 28 digits of their own, and their sum more."""
    run_id = f"run-{next(RUNS)}"
    with localcontext(prec=38):
        exact = sum(amounts, Decimal(0))
        state = DynamoCandidateState(client, TABLE)
        limit = exact if fits else exact - Decimal("1e-24")
        state.open_run(replace(opening("0", run_id), equity_limit=limit))

        checks = [state.reserve(run_id, trade_id, amount) for trade_id, amount in zip(IDS, amounts, strict=False)]

        assert [check.allowed for check in checks] == [*([True] * (len(amounts) - 1)), fits]
        assert checks[-1].cumulative == (exact if fits else exact - amounts[-1])
        assert checks[-1].headroom == limit - checks[-1].cumulative
