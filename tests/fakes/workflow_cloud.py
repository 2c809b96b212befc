"""Business Unit: execution | Status: current.

The candidate in moto: the real state machine definition, run by moto's interpreter, calls the real handlers in this process. What
is not real is the broker behind `AlpacaBroker.connect`, and time: retries and walks wait for nothing.
"""

from __future__ import annotations

import importlib
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
from moto import mock_aws
from moto.dynamodb.responses import DynamoHandler
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils
from moto.stepfunctions.parser.asl.parse.asl_parser import AmazonStateLanguageParser
from moto.stepfunctions.parser.asl.utils import json_path
from moto.stepfunctions.parser.models import stepfunctions_parser_backends

from shadow.broker.port import AlpacaCredentials
from shadow.contracts.identity import execution_name_of
from shadow.contracts.workflow import WorkflowInput
from shadow.execution.ports import SystemClock
from tests.factories.cloud_tables import forget_clients, make_table
from tests.fakes.candidate import FakeBroker

REGION = "us-east-1"
ACCOUNT = "123456789012"
STATE_TABLE, LEDGER_TABLE, BUS, BUCKET = (
    "alchemiser-dev-candidate-state",
    "alchemiser-dev-trade-ledger",
    "alchemiser-dev-events",
    "plans",
)
DEFINITION = Path(__file__).parents[2] / "statemachines" / "execution_workflow.asl.json"
FUNCTIONS = {
    "PrepareTrades": "prepare_trades",
    "EvaluateSellGuard": "evaluate_sell_guard",
    "CheckEquityLimit": "check_equity_limit",
    "ExecuteTrade": "execute_trade_sfn",
    "AggregateResults": "aggregate_results",
    "NotifyCompletion": "notify_completion",
    "NotifyFailure": "notify_failure",
}
Fault = Callable[[dict[str, Any]], str | None]


def definition(threshold: str = "500") -> str:
    """The state machine as it is deployed: substitutions filled in."""
    text = DEFINITION.read_text()
    for name, folder in FUNCTIONS.items():
        text = text.replace(f"${{{name}FunctionArn}}", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{folder}")
    return text.replace("${SellFailureThresholdUsd}", threshold).replace("${EvidenceBucketName}", BUCKET)


class Run:
    """One finished execution."""

    def __init__(self, described: dict[str, Any], events: list[dict[str, Any]]) -> None:
        self.status: str = described["status"]
        self.error: str | None = described.get("error")
        self.output: dict[str, Any] = json.loads(described.get("output") or "{}")
        self.events = events
        self.states = [event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event]
        self.counts = Counter(self.states)

    @property
    def end(self) -> str:
        """The name of the state in which the run ended."""
        return self.states[-1]

    def result_of(self, state: str) -> Any:
        """What a state put out, last."""
        details = [event["stateExitedEventDetails"] for event in self.events if "stateExitedEventDetails" in event]
        return json.loads([entry["output"] for entry in details if entry["name"] == state][-1])


class Cloud:
    """Everything the candidate touches."""

    def __init__(self, broker: FakeBroker) -> None:
        self.broker = broker
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.errors: list[tuple[str, Exception]] = []
        self.faults: dict[str, Fault] = {}
        self.modules: dict[str, ModuleType] = {}
        self.environment: dict[str, str] = {}
        self.lock = threading.Lock()
        self.load()

    def load(self) -> None:
        """Start every function anew, as after a deployment."""
        for folder in FUNCTIONS.values():
            name = f"functions.{folder}.lambda_handler"
            module = importlib.reload(self.modules[folder]) if folder in self.modules else importlib.import_module(name)
            self.modules[folder] = importlib.reload(module)
        forget_clients()

    def invoke(self, parameters: dict[str, Any], region: str, state_credentials: object) -> dict[str, Any]:
        """Do what Lambda does: run the handler; an exception becomes an answer with its class name."""
        del region, state_credentials
        folder = parameters["FunctionName"].rsplit(":", 1)[-1]
        event = json.loads(parameters["Payload"])
        with self.lock:
            self.calls.append((folder, event))
        try:
            error = self.faults.get(folder, lambda _: None)(event)
            if error is not None:
                return _failed(error, "planted")
            answer = self.modules[folder].lambda_handler(event, SimpleNamespace())
            return {"StatusCode": 200, "Payload": json.loads(json.dumps(answer))}
        except Exception as caught:  # noqa: BLE001 - Lambda answers with any exception's class name
            self.errors.append((folder, caught))
            return _failed(type(caught).__name__, str(caught))

    def run(self, request: WorkflowInput | dict[str, Any], threshold: str = "500", wait_seconds: int = 120) -> Run:
        """Start an execution and wait for its end."""
        states = boto3.client("stepfunctions", region_name=REGION)
        value = request if isinstance(request, dict) else request.to_wire()
        machine = states.create_state_machine(
            name=f"workflow-{len(self.calls)}", definition=definition(threshold), roleArn=f"arn:aws:iam::{ACCOUNT}:role/x"
        )["stateMachineArn"]
        name = execution_name_of(str(value.get("runId", "none")))
        arn = states.start_execution(stateMachineArn=machine, name=name, input=json.dumps(value))["executionArn"]
        execution = stepfunctions_parser_backends[ACCOUNT][REGION].describe_execution(arn)
        never = threading.Event()
        for _ in range(wait_seconds * 200):
            if execution.status != "RUNNING":
                break
            never.wait(0.005)
        return Run(states.describe_execution(executionArn=arn), states.get_execution_history(executionArn=arn)["events"])

    def calls_of(self, folder: str) -> list[dict[str, Any]]:
        """What one function was asked."""
        return [event for name, event in self.calls if name == folder]

    def items(self, table: str = STATE_TABLE) -> list[dict[str, Any]]:
        """Everything in a table, as plain values."""
        return list(boto3.resource("dynamodb", region_name=REGION).Table(table).scan()["Items"])

    def mails(self) -> list[tuple[str, str]]:
        """What was published to the topic: subject and body."""
        from moto.sns.models import sns_backends  # noqa: PLC0415 - moto's own backdoor

        topic = sns_backends[ACCOUNT][REGION].topics[self.environment["SNS_NOTIFICATION_TOPIC_ARN"]]
        return [(entry[2], entry[1]) for entry in topic.sent_notifications]


def _failed(name: str, message: str) -> dict[str, Any]:
    return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": {"errorType": name, "errorMessage": message}}


@contextmanager
def cloud(**environment: str) -> Iterator[Cloud]:
    """Give a fresh cloud. `environment` is added to that of every function."""
    broker = FakeBroker()
    with mock_aws(config={"stepfunctions": {"execute_state_machine": True}}):
        topic = boto3.client("sns", region_name=REGION).create_topic(Name="alchemiser-dev-trading-notifications")["TopicArn"]
        secret = boto3.client("secretsmanager", region_name=REGION)
        secret.create_secret(Name="candidate", SecretString=json.dumps({"key": "k", "secret": "s"}))
        boto3.client("events", region_name=REGION).create_event_bus(Name=BUS)
        boto3.client("s3", region_name=REGION).create_bucket(Bucket=BUCKET)
        for table in (STATE_TABLE, LEDGER_TABLE):
            make_table(table)
        variables = {
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "STAGE": "dev",
            "EXECUTION_MODE": "dry_run",
            "DUAL_PUBLISHING": "true",
            "CANDIDATE_STATE_TABLE_NAME": STATE_TABLE,
            "TRADE_LEDGER_TABLE_NAME": LEDGER_TABLE,
            "EVENT_BUS_NAME": BUS,
            "EVIDENCE_BUCKET_NAME": BUCKET,
            "EQUITY_DEPLOYMENT_PCT": "1.0",
            "SNS_NOTIFICATION_TOPIC_ARN": topic,
            "BROKER_SECRET_ID": "candidate",
            "BROKER_REQUESTS_PER_MINUTE": "1000000",
            **environment,
        }
        with _patched(broker, variables):
            built = Cloud(broker)
            built.environment = variables
            with patch.object(lambda_eval_utils, "_invoke_lambda_function", built.invoke):
                yield built


@contextmanager
def _patched(broker: FakeBroker, variables: dict[str, str]) -> Iterator[None]:
    """Let nothing wait, nothing leave the process, and each call on a table be atomic, as in DynamoDB."""
    from shadow.broker.alpaca import AlpacaBroker  # noqa: PLC0415 - its import is slow

    def connect(credentials: AlpacaCredentials) -> FakeBroker:
        del credentials
        return broker

    with (
        patch.dict("os.environ", variables),
        patch.object(AlpacaBroker, "connect", connect),
        patch.object(SystemClock, "sleep", lambda *_: None),
        patch.object(retrier_decl, "time", SimpleNamespace(sleep=lambda _: None)),
        patch.object(AmazonStateLanguageParser, "parse", _parse_once),
        patch.object(json_path, "parse", _path_once),
        patch.object(DynamoHandler, "call_action", _locked(DynamoHandler.call_action)),
    ):
        yield


_parse_once, _path_once = cache(AmazonStateLanguageParser.parse), cache(json_path.parse)
"""Read a definition and a path once: that takes moto longer than running them, and what it reads keeps nothing of a run."""


def _locked(method: Callable[..., Any]) -> Callable[..., Any]:
    lock = threading.RLock()

    def locked(*arguments: Any, **named: Any) -> Any:
        with lock:
            return method(*arguments, **named)

    return locked
