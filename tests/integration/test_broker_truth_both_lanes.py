"""Both lanes run one plan, the control at a broker of its own (the simulator, over HTTP), which the comparator asks itself."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import boto3
import pytest

from functions.compare_outcomes import lambda_handler as compare
from local.broker_simulator import BrokerSimulator
from local.broker_simulator.values import Fault as BrokerFault
from local.broker_simulator.values import FaultKind
from local.scenarios.legacy_faults import Fault, PlantedFaults
from local.scenarios.legacy_variant import FaultyLane
from shadow.broker.alpaca import AlpacaBroker
from shadow.broker.pacing import RequestGate
from shadow.broker.port import AlpacaCredentials, OrderRequest, OrderType
from shadow.contracts.comparison import Verdict
from shadow.contracts.identity import client_order_id_of, run_id_of, trade_id_of
from shadow.contracts.plan import TradeMessage
from shadow.contracts.vocabulary import Role, Side
from tests.factories.broker import connect
from tests.fakes.workflow_cloud import REGION
from tests.integration.test_settlement_both_lanes import PLAN, BothLanes, both_lanes

SYMBOLS = ("AAPL", "MSFT", "GOOG", "TSLA")
SECRET = "control-broker"


class Traded:
    """Both lanes, the simulator that the control trades at, and what was asked of it."""

    def __init__(self, lanes: BothLanes, simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
        self.lanes = lanes
        self.simulator = simulator
        self.broker = broker
        self.keys: list[str] = []

    def connect(self, credentials: AlpacaCredentials, gate: RequestGate) -> AlpacaBroker:
        gate.enter()
        self.keys.append(credentials.key)
        return self.broker

    def run(self, *planted: dict[str, str]) -> dict[str, Any]:
        """Run both lanes with faults planted in the control, and give the comparison."""
        self.execute(*planted)
        self.lanes.deliver()
        self.lanes.call({"Records": [self.lanes.status_changed()]})
        return self.lanes.comparison()

    def execute(self, *planted: dict[str, str]) -> None:
        self.lanes.publish()
        control = self.lanes.control
        replace(control.publisher(), now=lambda: datetime.now(UTC)).publish(PLAN)
        parts = replace(control.parts(), broker=self.broker, now=lambda: datetime.now(UTC))
        role = FaultyLane(parts, PlantedFaults(lambda: json.dumps(planted)))
        done = 0
        while done < len(control.queue.sent):
            role.process(TradeMessage.parse_json(control.queue.sent[done].body))
            done += 1
        self.lanes.run_candidate()

    def counting(self, document: dict[str, Any]) -> set[tuple[str, str, str]]:
        found = [d for d in document["differences"] if not d.get("caused_by") and d["severity"] != "INFO"]
        return {(d["kind"], d["severity"], d["attribution"]) for d in found}


@contextmanager
def trading(monkeypatch: pytest.MonkeyPatch, **environment: str) -> Iterator[Traded]:
    variables = {"BROKER_TRUTH": "true", "CONTROL_BROKER_SECRET_ID": SECRET, **environment}
    with BrokerSimulator(seed=7) as simulator:
        simulator.set_day(datetime.now(UTC).date(), dict.fromkeys(SYMBOLS, Decimal(100)))
        simulator.set_clock(datetime.now(UTC), is_open=True, running=True)
        simulator.set_spread(Decimal(20))
        simulator.set_positions(Role.CONTROL, dict.fromkeys(SYMBOLS, Decimal(50)))
        broker = connect(simulator, Role.CONTROL)
        with both_lanes(**variables) as lanes:
            text = json.dumps({"key": "sim-control-key", "secret": "sim-control-secret"})
            boto3.client("secretsmanager", region_name=REGION).create_secret(Name=SECRET, SecretString=text)
            traded = Traded(lanes, simulator, broker)
            monkeypatch.setattr(compare, "_connect", traded.connect)
            yield traded
        broker.close()


def test_two_lanes_that_do_the_same_match_under_the_broker_s_eyes(monkeypatch: pytest.MonkeyPatch) -> None:
    with trading(monkeypatch) as traded:
        document = traded.run()

        assert (document["verdict"], document["gaps"], traded.counting(document)) == (Verdict.MATCHED, [], set())
        assert traded.keys == ["sim-control-key"]
        assert (document["control"]["broker_truth"], document["candidate"]["broker_truth"]) == (True, False)
        orders = [order for trade in document["control"]["trades"] for order in trade["orders"]]
        assert [order["status"] for order in orders] == ["filled"] * 4
        assert [trade["intent"]["fractionable"] for trade in document["candidate"]["trades"]] == [True] * 4
        assert "broker-workflow-00" in {ref["name"] for ref in document["evidence"]}
        assert {request.method for request in traded.simulator.requests() if "orders" in request.path} == {"POST", "GET"}


def test_a_control_that_executes_again_after_a_crash_is_a_double_order(monkeypatch: pytest.MonkeyPatch) -> None:
    with trading(monkeypatch) as traded:
        document = traded.run({"fault": Fault.CRASH_AFTER_SUBMIT, "symbol": "GOOG"})

        assert ("DOUBLE_ORDER", "CRITICAL", "control") in traded.counting(document)
        assert document["verdict"] == Verdict.DIVERGED
        sent = [order for order in traded.simulator.orders(Role.CONTROL) if order.symbol == "GOOG"]
        assert len(sent) == 2


def test_without_broker_truth_the_same_crash_is_not_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    with trading(monkeypatch, BROKER_TRUTH="false") as traded:
        document = traded.run({"fault": Fault.CRASH_AFTER_SUBMIT, "symbol": "GOOG"})

        assert "DOUBLE_ORDER" not in {kind for kind, _, _ in traded.counting(document)}
        assert traded.keys == []


def test_orders_of_a_dry_run_in_the_control_s_account_are_double_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    with trading(monkeypatch) as traded:
        stray = client_order_id_of(trade_id_of(run_id_of(PLAN.plan_id), "TSLA", Side.BUY), 0)
        traded.broker.submit(OrderRequest(stray, "TSLA", Side.BUY, Decimal(1), OrderType.MARKET))
        document = traded.run()

        assert ("DOUBLE_ORDER", "CRITICAL", "control") in traded.counting(document)


def test_a_broker_that_is_down_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with trading(monkeypatch) as traded:
        traded.execute()
        traded.simulator.add_fault(BrokerFault(kind=FaultKind.SERVER_ERROR, method="GET", path="/v2/orders", count=None))
        traded.lanes.deliver()
        answer = traded.lanes.call({"Records": [traded.lanes.status_changed()]})
        assert (answer, traded.lanes.pair().verdict) == ({"batchItemFailures": [{"itemIdentifier": "status"}]}, Verdict.PENDING)
        traded.simulator.clear_faults()
        answer = traded.lanes.call({"Records": [traded.lanes.status_changed()]})
        assert (answer, traded.lanes.pair().verdict) == ({"batchItemFailures": []}, Verdict.MATCHED)
