"""One local cloud with the template deployed exactly as to AWS, shared by the tests that only publish into it."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import pytest

from local.market import ClosingPrices
from local.operator import Operator
from local.planner import Portfolio
from local.scenarios.demo import DemoDay, demo_days
from local.stack import LocalStack, local_stack
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Role
from tests.factories.enforced_run import EnforcedRun, enforced_run


class Market:
    """The demonstration's days, played in the stack's broker."""

    def __init__(self, stack: LocalStack) -> None:
        self.stack = stack
        self.days = iter(demo_days(ClosingPrices.bundled(), count=10, plants=()))
        self._last: tuple[DemoDay, RebalancePlan] | None = None
        self.stack.broker.set_account(Role.CONTROL, cash=Decimal(100_000))

    def next_plan(self) -> tuple[DemoDay, RebalancePlan]:
        day = next(self.days)
        self.stack.broker.set_day(day.day, day.closes, half_day=day.half_day)
        account = self.stack.broker.account(Role.CONTROL)
        self._last = day, day.plan(Portfolio(account.positions, account.cash))
        return self._last

    def last(self) -> tuple[DemoDay, RebalancePlan]:
        return self._last or self.next_plan()


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    with local_stack(tmp_path_factory.mktemp("cloud")) as running:
        yield running


@pytest.fixture(scope="session")
def operator(stack: LocalStack) -> Operator:
    return Operator(stack)


@pytest.fixture(scope="session")
def market(stack: LocalStack) -> Market:
    return Market(stack)


@pytest.fixture(scope="session")
def enforced(tmp_path_factory: pytest.TempPathFactory) -> EnforcedRun:
    return enforced_run(tmp_path_factory.mktemp("enforced"))
