"""A broker simulator on a day in January, and the candidate's adapter connected to it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from local.broker_simulator import BrokerSimulator
from shadow.broker.alpaca import AlpacaBroker
from shadow.contracts.vocabulary import Role
from tests.factories.broker import CLOSES, connect


@pytest.fixture
def simulator() -> Iterator[BrokerSimulator]:
    with BrokerSimulator(seed=7) as running:
        running.set_day(date(2026, 1, 6), CLOSES)
        yield running


@pytest.fixture
def broker(simulator: BrokerSimulator) -> Iterator[AlpacaBroker]:
    connected = connect(simulator, Role.CANDIDATE)
    yield connected
    connected.close()
