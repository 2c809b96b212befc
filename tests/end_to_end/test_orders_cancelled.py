"""`shadow orders` on a deployed stack whose run was stopped while its orders rest: they are shown, cancelled, and stay so."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import pytest

from local.broker_simulator.values import SimulatedOrder
from local.cloud.access import dummy_environment
from local.market import ClosingPrices
from local.operator import Operator
from local.scenarios.demo import demo_days
from local.stack import BROKER, LocalStack, local_stack
from shadow.aws.broker import fingerprint_of
from shadow.contracts.vocabulary import Role
from tests.fakes.plans import plan_of

pytestmark = [pytest.mark.local_cloud, pytest.mark.long]
NUMBER = "CONTROL-NUMBER"
RESTS = 30
WAIT_SECONDS = 90.0
PAPER = {
    "ExecutionMode": "paper",
    "BrokerEndpoint": f"{BROKER}/paper",
    "ControlAccountFingerprint": fingerprint_of(NUMBER),
    "WalkStepSeconds": str(RESTS),
}


def shadow(stack: LocalStack, folder: Path, *words: str) -> tuple[int, dict[str, list[dict[str, str]]]]:
    """Call the command as an operator does; give its exit code and what it printed."""
    done = subprocess.run(  # noqa: S603 - our own command
        [str(Path(sys.executable).with_name("shadow")), *words, "--json"],
        cwd=folder,
        env=dummy_environment(stack.access.endpoint, stack.access.token),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds, within a bound."""
    ends = time.monotonic() + WAIT_SECONDS
    while not holds():
        assert time.monotonic() < ends, what
        time.sleep(0.1)


def test_what_a_stopped_run_left_working_is_shown_and_cancelled_and_nothing_follows(tmp_path: Path) -> None:
    with local_stack(tmp_path / "cloud", parameters=PAPER) as stack:
        operator, broker = Operator(stack), stack.broker
        (day,) = demo_days(ClosingPrices.bundled(), count=1, plants=())
        broker.set_identity(Role.CONTROL, number=NUMBER)
        broker.set_day(day.day, day.closes)
        broker.set_account(Role.CANDIDATE, cash=Decimal(100_000))
        broker.set_fill_rule(99, account=Role.CANDIDATE)
        plan = plan_of(AAPL="600", MSFT="900")

        def working() -> list[SimulatedOrder]:
            return [order for order in broker.orders(Role.CANDIDATE) if order.status == "new"]

        operator.publish(plan)
        until(lambda: len(working()) == 2, "two orders that rest")
        stack.access.stepfunctions().stop_execution(executionArn=operator.execution_arn(plan.plan_id))

        code, told = shadow(stack, tmp_path, "orders", plan.plan_id)
        assert (code, sorted(order["symbol"] for order in told["working"])) == (1, ["AAPL", "MSFT"])
        code, told = shadow(stack, tmp_path, "orders", plan.plan_id, "--cancel")
        assert (code, len(told["closed"]), told["working"], working()) == (0, 2, [], [])

        sent = len(broker.orders(Role.CANDIDATE))
        time.sleep(RESTS + 5)  # the functions that were at work when the run was stopped come to their next step
        assert (len(broker.orders(Role.CANDIDATE)), working()) == (sent, [])
        assert shadow(stack, tmp_path, "orders", plan.plan_id) == (0, {"run_id": told["run_id"], "closed": [], "working": []})
