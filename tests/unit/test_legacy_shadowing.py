"""The legacy lane as the shadow: it can touch nothing that is production's, and messages of its other role are refused."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from functions.legacy_execution import lambda_handler as function
from shadow.aws import clients
from shadow.aws.broker import fingerprint_of
from shadow.broker.port import Asset, OrderRejected, OrderRequest, OrderType
from shadow.broker.recording import RECORDED
from shadow.contracts.plan import TradeMessage, trade_messages
from shadow.contracts.vocabulary import ExecutionMode, Lane, Side
from shadow.execution.ports import InterlockViolation
from shadow.reference.composition import (
    DryRunLane,
    DryRunPublisher,
    LegacyExecutionEnvironment,
    PlannedHoldings,
    lane_from,
    refuse_productions_places,
    shadow_broker,
)
from shadow.reference.lane import LaneParts
from shadow.reference.publishing import queue_record
from shadow.reference.tables import SqsTradeQueue
from tests.factories.plans import example_plan
from tests.fakes.candidate import FakeBroker
from tests.fakes.legacy import FakeBroker as LegacyBroker
from tests.fakes.legacy import World

PLAN = example_plan()
MESSAGE = trade_messages(PLAN)[0]
OWN = fingerprint_of("candidate-account")
VALUES = {
    "control_broker_secret_id": "paper",
    "execution_runs_table_name": "runs",
    "execution_queue_url": "queue",
    "trade_ledger_table_name": "shadow-ledger",
    "event_bus_name": "shadow-bus",
    "production_event_bus_name": "bus",
    "production_trade_ledger_table_name": "ledger",
    "production_lane": Lane.WORKFLOW,
    "control_account_fingerprint": "0" * 64,
}


def environment(**changes: Any) -> LegacyExecutionEnvironment:
    return LegacyExecutionEnvironment.model_validate(VALUES | changes)


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    class Secrets:
        def get_secret_value(self, **_: str) -> dict[str, str]:
            return {"SecretString": json.dumps({"key": "key", "secret": "secret"})}

    monkeypatch.setattr(clients, "secretsmanager", Secrets)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"legacy_shadow_mode": ExecutionMode.LIVE}, "LEGACY_SHADOW_MODE"),
        ({"legacy_shadow_mode": ExecutionMode.PAPER, "control_account_fingerprint": OWN}, "was the account in production"),
        ({"legacy_shadow_mode": ExecutionMode.PAPER, "control_account_fingerprint": ""}, "CONTROL_ACCOUNT_FINGERPRINT"),
        ({"legacy_shadow_mode": ExecutionMode.PAPER, "control_broker_endpoint": "https://api.alpaca.markets"}, "paper endpoint"),
    ],
    ids=["live", "production's account", "an unknown account", "a live endpoint"],
)
def test_a_shadow_does_not_start_where_it_could_trade_for_real(changes: dict[str, object], told: str) -> None:
    with pytest.raises(InterlockViolation, match=told):
        shadow_broker(environment(**changes), lambda _: FakeBroker())


@pytest.mark.parametrize("mode", [ExecutionMode.DRY_RUN, ExecutionMode.PAPER])
def test_a_dry_run_and_a_paper_account_may_shadow(mode: ExecutionMode) -> None:
    assert shadow_broker(environment(legacy_shadow_mode=mode), lambda _: FakeBroker())


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"event_bus_name": "bus"}, "EVENT_BUS_NAME: expected one of the shadow's own"),
        ({"trade_ledger_table_name": "ledger"}, "TRADE_LEDGER_TABLE_NAME: expected one of the shadow's own"),
        ({"production_event_bus_name": ""}, "PRODUCTION_EVENT_BUS_NAME"),
    ],
)
def test_a_shadow_does_not_start_on_productions_bus_or_ledger(changes: dict[str, object], told: str) -> None:
    with pytest.raises(InterlockViolation, match=told):
        lane_from(environment(**changes))
    refuse_productions_places(environment(**changes, production_lane=Lane.LEGACY))


class Taken:
    def __init__(self) -> None:
        self.messages: list[TradeMessage] = []

    def process(self, message: TradeMessage) -> None:
        self.messages.append(message)


@pytest.mark.parametrize("now", Lane)
@pytest.mark.parametrize("then", Lane)
def test_a_message_is_executed_in_the_role_it_was_published_in_and_no_other(
    monkeypatch: pytest.MonkeyPatch, now: Lane, then: Lane
) -> None:
    sent: list[dict[str, Any]] = []
    client: Any = type("Client", (), {"send_message": lambda _self, **call: sent.append(call)})()
    SqsTradeQueue(client, "url", then).send(queue_record(MESSAGE))
    attributes = {
        name: {"stringValue": value["StringValue"], "dataType": "String"} for name, value in sent[0]["MessageAttributes"].items()
    }
    assert (set(attributes) == {"RunId", "TradeId", "Phase"}) is (then is Lane.LEGACY)
    lane = Taken()
    monkeypatch.setattr(function, "_lane", lambda: lane)
    monkeypatch.setattr(function, "_environment", lambda: environment(production_lane=now))
    event: dict[str, object] = {"Records": [{"body": sent[0]["MessageBody"], "messageAttributes": attributes, "messageId": "1"}]}
    if now is then:
        assert function.lambda_handler(event, None) == {"processed": 1}
        assert lane.messages == [MESSAGE]
    else:
        with pytest.raises(InterlockViolation, match=f"published with {now} in production, was {then}"):
            function.lambda_handler(event, None)
        assert lane.messages == []


def test_a_dry_run_executes_the_whole_plan_and_sends_no_order() -> None:
    world = World(broker=LegacyBroker(equity=Decimal(7)))
    published = DryRunPublisher(world.publisher(), lambda publisher: publisher).publish(PLAN)
    assert world.store.runs[published.run_id].max_equity_limit_usd == PLAN.total_portfolio_value
    lane, taken = DryRunLane(world.parts(), LaneParts.assemble), 0
    while taken < len(world.queue.sent):
        lane.process(TradeMessage.parse_json(world.queue.sent[taken].body))
        taken += 1
    trades = world.store.trades.values()
    assert [trade.status.value for trade in trades] == ["COMPLETED"] * len(PLAN.tradable_items)
    assert all((trade.order_id or "").startswith(RECORDED) for trade in trades)
    assert world.broker.orders == {}


def test_a_dry_run_refuses_what_does_not_trade_as_the_broker_of_the_lane_in_production_does() -> None:
    broker = LegacyBroker()
    broker.asset = lambda symbol: Asset(symbol, tradable=symbol != MESSAGE.symbol, fractionable=True)  # type: ignore[method-assign]
    request = OrderRequest("client-1", MESSAGE.symbol, MESSAGE.action, Decimal(1), OrderType.MARKET)
    account = PlannedHoldings(broker, MESSAGE)

    with pytest.raises(OrderRejected, match="not tradable"):
        account.submit(request)
    assert account.order_by_client_id("client-1") is None
    assert account.submit(replace(request, symbol="OTHER")).order_id.startswith(RECORDED)


def test_a_dry_runs_account_holds_what_the_plan_says_of_the_trade() -> None:
    exit_ = next(message for message in trade_messages(PLAN) if message.action is Side.SELL)
    account = PlannedHoldings(LegacyBroker(), exit_)
    mid = account.quote(exit_.symbol).mid
    assert account.account().equity == PLAN.total_portfolio_value
    assert 0 <= exit_.current_value - account.position(exit_.symbol) * mid < mid
    assert account.position("OTHER") == 0
