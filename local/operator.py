"""Business Unit: local cloud | Status: current.

What an operator does with a deployed stack, for the demonstration and the end-to-end tests: publish a plan, wait for both lanes
and for the verdict, sweep, fetch the comparison. Every wait is bounded.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeVar

from botocore.exceptions import ClientError

from local.cloud.errors import LocalCloudError
from local.stack import STAGE, LocalStack
from shadow.aws.pair_ledger import DynamoDbPairLedger
from shadow.contracts.identity import execution_name_of, run_id_of
from shadow.contracts.pair import Pair, PairState, StartState
from shadow.contracts.plan import RebalancePlan

POLL_SECONDS = 0.05
_BETWEEN_LOOKS = 0.4
_WAITING = ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
TAKEN_SECONDS = 10.0
VERDICT_SECONDS = 180.0
_SWEEP_SECONDS = 0.5
_DONE = frozenset({PairState.JUDGED, PairState.MISSING, PairState.RESOLVED_LATE})
T = TypeVar("T")


class NoVerdict(LocalCloudError):
    """A pair got no verdict in time."""


class FunctionFailed(LocalCloudError):
    """A function of the stack ended with an error. `kind` is the error's class name."""

    def __init__(self, function: str, kind: str, message: str) -> None:
        """Remember which function failed, how and why."""
        self.kind = kind
        super().__init__(f"{function}: {kind}: {message}")


class Operator:
    """Works one local stack."""

    def __init__(self, stack: LocalStack) -> None:
        """Work `stack`."""
        self.stack = stack
        self.ledger = DynamoDbPairLedger(stack.tables(), stack.output("PairLedgerTableName"))
        self._functions = stack.functions()
        self._s3 = stack.access.s3()
        self._executions = stack.access.stepfunctions()
        self._sqs = stack.access.sqs()

    def call(self, output: str, payload: object) -> dict[str, object]:
        """Call a function of the stack by its output's key; raises FunctionFailed."""
        name = self.stack.output(output)
        response = self._functions.invoke(FunctionName=name, Payload=json.dumps(payload).encode())
        answer: dict[str, object] = json.loads(response["Payload"].read())
        if response.get("FunctionError"):
            raise FunctionFailed(name, str(answer.get("errorType")), str(answer.get("errorMessage")))
        return answer

    def publish(self, plan: RebalancePlan) -> dict[str, object]:
        """Publish a plan to both lanes, and give the intake a while to take it; raises FunctionFailed of the control."""
        answer = self.call("PublishPlanFunctionName", plan.to_wire())
        with suppress(NoVerdict):
            self._until(lambda: self._is_taken(plan.plan_id) or None, "the intake", TAKEN_SECONDS)
        return answer

    def _is_taken(self, plan_id: str) -> bool:
        pair = self.ledger.get(plan_id)
        return self.ledger.is_unpaired(plan_id) if pair is None else pair.start_state is not StartState.INTENDED

    def sweep(self) -> dict[str, object]:
        """Sweep now instead of waiting for the schedule."""
        return self.call("CompareOutcomesFunctionName", {"sweep": True})

    def execution_arn(self, plan_id: str) -> str:
        """Name the candidate's execution of a plan."""
        machine = self.stack.output("StateMachineArn")
        return f"{machine.replace(':stateMachine:', ':execution:')}:{execution_name_of(run_id_of(plan_id))}"

    def candidate_status(self, plan_id: str) -> str | None:
        """Give the status of the candidate's execution; None while there is none."""
        try:
            return self._executions.describe_execution(executionArn=self.execution_arn(plan_id))["status"]
        except ClientError:
            return None

    def await_candidate(self, plan_id: str) -> str:
        """Wait until the candidate's execution has ended; raises NoVerdict."""

        def ended() -> str | None:
            status = self.candidate_status(plan_id)
            return None if status in (None, "RUNNING") else status

        return self._until(ended, f"the candidate's run of {plan_id}")

    def await_verdict(self, plan_id: str, *, sweeping: bool = False, seconds: float = VERDICT_SECONDS) -> Pair:
        """Wait for a pair's verdict, which the events bring; `sweeping` calls the sweeper too. Raises NoVerdict."""
        swept = time.monotonic()

        def judged() -> Pair | None:
            nonlocal swept
            if sweeping and time.monotonic() - swept > _SWEEP_SECONDS:
                self.sweep()
                swept = time.monotonic()
            pair = self.ledger.get(plan_id)
            return pair if pair is not None and pair.state in _DONE else None

        return self._until(judged, f"the verdict of {plan_id}", seconds)

    def comparison_of(self, pair: Pair) -> bytes:
        """Fetch a judged pair's comparison document."""
        if pair.comparison_key is None:
            raise NoVerdict(f"{pair.plan_id}: expected a comparison, was none in state {pair.state}")
        return self._s3.get_object(Bucket=self.stack.output("EvidenceBucketName"), Key=pair.comparison_key)["Body"].read()

    def is_quiet(self) -> bool:
        """Whether no trade of the control waits or is being executed, and the comparator has taken every hint."""
        return not any(self._messages(queue) for queue in ("execution.fifo", "shadow-intake", "shadow-comparator"))

    def await_quiet(self) -> None:
        """Wait until everything is quiet at two looks: an event may be between two queues. Raises NoVerdict."""
        looks = 0

        def quiet() -> bool | None:
            nonlocal looks
            time.sleep(_BETWEEN_LOOKS)
            looks = looks + 1 if self.is_quiet() else 0
            return True if looks > 1 else None

        self._until(quiet, "quiet queues")

    def _messages(self, queue: str) -> int:
        url = self._sqs.get_queue_url(QueueName=f"alchemiser-{STAGE}-{queue}")["QueueUrl"]
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        return sum(int(value) for name, value in found.items() if name in _WAITING)

    def set_deadlines(self, deadlines: Mapping[str, float]) -> None:
        """Change the comparator's deadlines (seconds), and sweep until it has started anew.

        A hint that met it while it starts would stay invisible for its queue's timeout.
        """
        self.set_variable("compare-outcomes", "SETTLEMENT_DEADLINES", json.dumps(deadlines))

        def answers() -> bool | None:
            with suppress(FunctionFailed):
                self.sweep()
                return True
            return None

        self._until(answers, "the comparator's answer")

    def set_variable(self, function: str, name: str, value: str) -> None:
        """Change one environment variable of a function."""
        full = f"alchemiser-{STAGE}-{function}"
        variables = self._functions.get_function_configuration(FunctionName=full)["Environment"]["Variables"]
        variables[name] = value
        self._functions.update_function_configuration(FunctionName=full, Environment={"Variables": variables})

    @staticmethod
    def _until(look: Callable[[], T | None], what: str, seconds: float = VERDICT_SECONDS) -> T:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            found = look()
            if found is not None:
                return found
            time.sleep(POLL_SECONDS)
        raise NoVerdict(f"{what}: expected within {seconds:.0f} s, has not come")
