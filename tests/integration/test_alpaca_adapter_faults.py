"""Business Unit: execution | Status: current.

The Alpaca adapter over real HTTP, against every fault the broker simulator can have.
"""

from __future__ import annotations

import socket
import time
from decimal import Decimal

import pytest

from local.broker_simulator import BrokerSimulator
from local.broker_simulator.values import Fault, FaultKind
from shadow.broker.alpaca import AlpacaBroker, AlpacaCredentials
from shadow.broker.port import (
    BrokerError,
    BrokerProtocolError,
    BrokerThrottled,
    BrokerUnavailable,
    OrderStatus,
    SubmitAmbiguous,
)
from shadow.contracts.vocabulary import Role
from tests.factories.broker import IMPATIENT, connect, order


def posts(simulator: BrokerSimulator) -> int:
    return sum(entry.method == "POST" for entry in simulator.requests())


@pytest.mark.parametrize(
    ("kind", "seconds"),
    [
        (FaultKind.GATEWAY_TIMEOUT, 0.0),
        (FaultKind.DROP_ANSWER, 0.0),
        (FaultKind.HANG_ANSWER, 30.0),
        (FaultKind.MALFORMED, 0.0),
        (FaultKind.EMPTY, 0.0),
    ],
)
def test_an_order_whose_answer_was_lost_is_ambiguous_and_can_be_looked_up(
    simulator: BrokerSimulator, kind: FaultKind, seconds: float
) -> None:
    broker = connect(simulator, Role.CANDIDATE, IMPATIENT)
    simulator.add_fault(Fault(kind=kind, method="POST", path="/v2/orders", seconds=seconds))
    with pytest.raises(SubmitAmbiguous):
        broker.submit(order())
    found = broker.order_by_client_id("t-1")
    assert found is not None
    assert found.filled_quantity == Decimal("1.5")
    assert posts(simulator) == len(simulator.orders()) == 1


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.THROTTLE, BrokerThrottled),
        (FaultKind.SERVER_ERROR, SubmitAmbiguous),
        (FaultKind.DOWN, SubmitAmbiguous),
        (FaultKind.HANG, SubmitAmbiguous),
    ],
)
def test_an_order_that_never_arrived_is_sent_once_and_not_found(
    simulator: BrokerSimulator, kind: FaultKind, error: type[BrokerError]
) -> None:
    broker = connect(simulator, Role.CANDIDATE, IMPATIENT)
    simulator.add_fault(Fault(kind=kind, method="POST", seconds=30))
    with pytest.raises(error):
        broker.submit(order())
    assert posts(simulator) == 1
    assert broker.order_by_client_id("t-1") is None
    assert simulator.orders() == ()


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(kind=FaultKind.THROTTLE), BrokerThrottled),
        (Fault(kind=FaultKind.SERVER_ERROR, status=503), BrokerUnavailable),
        (Fault(kind=FaultKind.GATEWAY_TIMEOUT), BrokerUnavailable),
        (Fault(kind=FaultKind.DOWN), BrokerUnavailable),
        (Fault(kind=FaultKind.HANG, seconds=30), BrokerUnavailable),
        (Fault(kind=FaultKind.MALFORMED), BrokerProtocolError),
        (Fault(kind=FaultKind.EMPTY), BrokerProtocolError),
        (Fault(kind=FaultKind.MISSING_FIELD, field="equity"), BrokerProtocolError),
    ],
)
def test_a_read_that_goes_wrong_is_made_once(simulator: BrokerSimulator, fault: Fault, error: type[BrokerError]) -> None:
    broker = connect(simulator, Role.CANDIDATE, IMPATIENT)
    simulator.add_fault(fault)
    with pytest.raises(error):
        broker.account()
    assert len(simulator.requests()) == 1
    assert broker.account().equity == Decimal(100_000)


def test_a_status_nobody_documented_keeps_the_order(simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
    simulator.fault_on_submit(FaultKind.UNKNOWN_STATUS)
    sent = broker.submit(order())
    assert sent.status is OrderStatus.UNKNOWN
    assert not sent.status.is_final
    assert simulator.orders()[0].order_id == sent.order_id


def test_a_hang_ends_within_the_bound(simulator: BrokerSimulator) -> None:
    broker = connect(simulator, Role.CANDIDATE, IMPATIENT)
    simulator.add_fault(Fault(kind=FaultKind.HANG, seconds=30))
    begun = time.monotonic()
    with pytest.raises(BrokerUnavailable):
        broker.clock()
    assert time.monotonic() - begun < 10


def test_a_slow_answer_within_the_bound_is_an_answer(simulator: BrokerSimulator, broker: AlpacaBroker) -> None:
    simulator.add_fault(Fault(kind=FaultKind.SLOW, seconds=0.05))
    assert broker.account().cash == Decimal(100_000)


def test_a_port_nobody_listens_on_was_never_reached() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}"
        broker = AlpacaBroker.connect(AlpacaCredentials("some-key", "some-secret", url, url))
        with pytest.raises(BrokerUnavailable, match="no connection"):
            broker.submit(order())
        with pytest.raises(BrokerUnavailable, match="no connection"):
            broker.quote("AAPL")
