"""Business Unit: AWS adapters | Status: current.

The candidate's state table in moto: reservations that cannot overshoot, intents that cannot be overwritten, effects that
happen once (C4, C14).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto import mock_aws

from shadow.aws.candidate_state import DynamoCandidateState
from shadow.aws.effects import ProductionEmitter, RecordedEffects
from shadow.aws.errors import transient_as
from shadow.contracts.candidate_state import IntentRecord, IntentStatus, candidate_pk, intent_sk
from shadow.contracts.events import LedgerEntry, TradeExecuted
from shadow.contracts.outcome import EffectKind
from shadow.contracts.vocabulary import ExecutionMode, Side, SizingBasis
from shadow.execution.errors import RunNotPrepared, StateUnavailable, TradeTakenOver
from shadow.execution.ports import PlannedEffect, RunOpening
from tests.fakes.candidate import NOON, RUN_ID, MemoryLedger, d, trade

TABLE = "candidate-state"
IDS = [trade(f"S{number}").trade_id for number in range(6)]


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        made = boto3.client("dynamodb", region_name="us-east-1")
        for name in (TABLE, "ledger"):
            made.create_table(
                TableName=name,
                KeySchema=[{"AttributeName": "PK", "KeyType": "HASH"}, {"AttributeName": "SK", "KeyType": "RANGE"}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key in ("PK", "SK")],
                BillingMode="PAY_PER_REQUEST",
            )
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


AMOUNTS = st.decimals("0.01", "60", places=2)
STEPS = st.one_of(
    st.tuples(st.just("reserve"), st.sampled_from(IDS), AMOUNTS), st.tuples(st.just("release"), st.sampled_from(IDS), AMOUNTS)
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.decimals("0.01", "150", places=2), steps=st.lists(STEPS, max_size=20), number=st.integers(0, 10**9))
def test_the_table_and_the_rule_agree_and_never_overshoot(
    client: Any, limit: Decimal, steps: list[tuple[str, str, Decimal]], number: int
) -> None:
    table, model, run_id = DynamoCandidateState(client, TABLE), MemoryLedger(), f"run-{number}"
    for ledger in (table, model):
        ledger.open_run(opening(str(limit), run_id))  # type: ignore[attr-defined]
    client.delete_item(TableName=TABLE, Key={"PK": {"S": candidate_pk(run_id)}, "SK": {"S": "RUN"}})
    table.open_run(opening(str(limit), run_id))
    for what, trade_id, amount in steps:
        if what == "reserve":
            assert table.reserve(run_id, trade_id, amount) == model.reserve(run_id, trade_id, amount)
        else:
            table.release(run_id, trade_id, amount)
            model.release(run_id, trade_id, amount)
        item = client.get_item(TableName=TABLE, Key={"PK": {"S": candidate_pk(run_id)}, "SK": {"S": "RUN"}})["Item"]
        reserved = Decimal(item["reserved"]["N"])
        assert reserved == sum((Decimal(value["N"]) for value in item["reservations"]["M"].values()), Decimal(0))
        assert reserved == model.reserved <= limit


def intent(step: int = 0, **changes: Any) -> IntentRecord:
    made = IntentRecord(
        PK=candidate_pk(RUN_ID),
        SK=intent_sk(IDS[0], step),
        run_id=RUN_ID,
        trade_id=IDS[0],
        symbol="S0",
        side=Side.BUY,
        step=step,
        attempt=0,
        client_order_id=f"{IDS[0]}-{step}",
        order_type="limit",
        quantity=d("10.123456"),
        limit_price=d("99.98"),
        asked_quantity=d("10.123456"),
        sizing_basis=SizingBasis.TRADE_AMOUNT,
        bid=d("99.90"),
        ask=d("100.10"),
        decision_price=d("100.00"),
        execution_mode=ExecutionMode.DRY_RUN,
        intended_at=NOON,
    )
    return made.model_copy(update=changes)


def test_an_intent_is_kept_as_it_was_first_written(state: DynamoCandidateState) -> None:
    turn = state.take(RUN_ID, IDS[0])
    first, second = intent(turn=turn), intent(turn=turn, limit_price=d("1"))

    assert state.record(first) is first
    assert state.record(second).limit_price == d("99.98")


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
        effects.apply(effect)

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
        effects.apply(event())
    for effect in (event(), event(), row()):
        effects.apply(effect)

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
