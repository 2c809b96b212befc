from __future__ import annotations

import json
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from local.cloud.access import CloudAccess
from local.cloud.build import build_artefacts
from local.cloud.deploy import Deployment, delete_stack, deploy
from local.cloud.emf import forward_new
from local.cloud.emulator import emulator, running_emulator, start_emulator, stop_emulator
from local.cloud.environment import LocalEnvironment, ensure_environment
from local.cloud.errors import EmulatorFailed, StackFailed
from local.cloud.logs import LogReader
from local.cloud.service_metrics import ServiceMetrics

pytestmark = pytest.mark.local_cloud

CHECKOUT = Path(__file__).parents[2]
MACHINERY = Path(__file__).parent / "machinery"


@dataclass(frozen=True)
class Cloud:
    access: CloudAccess
    deployment: Deployment
    root: Path

    def client(self, service: str) -> Any:
        return self.access.session.client(service, endpoint_url=self.access.endpoint)  # type: ignore[call-overload]

    def output(self, name: str) -> str:
        return self.deployment.outputs[name]

    def run(self, items: list[dict[str, str]]) -> dict[str, Any]:
        states = self.access.stepfunctions()
        execution = states.start_execution(stateMachineArn=self.output("WorkflowArn"), input=json.dumps({"items": items}))
        described: dict[str, Any] = {}

        def ended() -> bool:
            described.update(states.describe_execution(executionArn=execution["executionArn"]))
            return bool(described["status"] != "RUNNING")

        wait_until(ended)
        return described


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def environment() -> LocalEnvironment:
    return ensure_environment(CHECKOUT)


@pytest.fixture(scope="module")
def cloud(environment: LocalEnvironment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    root = tmp_path_factory.mktemp("machinery") / "checkout"
    shutil.copytree(MACHINERY, root)
    artefacts = build_artefacts(root)
    with emulator(environment, wait_scale=0) as running:
        yield Cloud(running.access, deploy(running.access, root / "template.yaml", artefacts, stack="machinery"), root)


def test_the_stack_is_deployed_and_what_the_emulator_cannot_hold_is_said(cloud: Cloud) -> None:
    said = {adaptation.logical_id: adaptation for adaptation in cloud.deployment.adaptations}
    assert cloud.output("WorkerAlias").endswith("function:machinery-dev-worker:live")
    assert said["Rate"].removed
    assert "RateName" not in cloud.deployment.outputs
    assert not said["Table"].removed


def test_a_function_finds_its_zip_and_layer_and_nothing_else(cloud: Cloud) -> None:
    invoked = cloud.client("lambda").invoke(FunctionName=cloud.output("WorkerAlias"), Payload=b"{}")
    answer = json.loads(invoked["Payload"].read())
    assert answer["word"] == "layered"
    assert answer["sees"] == []
    assert answer["version"] == "1"
    assert answer["endpoint"] == cloud.access.endpoint


def test_errors_arrive_under_their_class_names_and_are_retried_and_caught_by_them(cloud: Cloud) -> None:
    run = cloud.run([{"do": "refuse"}, {"do": "exit"}, {"do": "fail once"}])
    refused, exited, retried = json.loads(run["output"])
    assert refused["caughtAs"] == "refused"
    assert json.loads(refused["error"]["Cause"])["errorType"] == "Refused"
    assert "lambda_handler.py" in "".join(json.loads(refused["error"]["Cause"])["stackTrace"])
    assert exited["error"]["Error"] == "Runtime.ExitError"
    assert retried["attempts"] == 2


def test_message_groups_run_side_by_side_and_each_in_order(cloud: Cloud) -> None:
    sqs = cloud.client("sqs")
    for number in range(6):
        sqs.send_message(
            QueueUrl=cloud.output("TradesUrl"),
            MessageGroupId=f"G{number % 3}",
            MessageDeduplicationId=f"m{number}",
            MessageBody=json.dumps({"number": number, "seconds": 0.4}),
        )
    reader = LogReader(cloud.access.logs(), function_prefix="machinery-")
    done: list[dict[str, Any]] = []

    def all_done() -> bool:
        lines = [json.loads(line.text) for line in reader.new_lines() if line.text.startswith('{"group": "G')]
        done.extend(lines)
        return len(done) == 6

    wait_until(all_done)
    for group in ("G0", "G1", "G2"):
        first, second = sorted((line for line in done if line["group"] == group), key=lambda line: line["body"]["number"])
        assert first["to"] <= second["from"]
    assert any(one["from"] < other["from"] < one["to"] for one in done for other in done if one["group"] != other["group"])


def test_a_status_event_reaches_the_function_and_its_metric_the_alarm_and_the_composite_alarm(cloud: Cloud) -> None:
    cloud.run([])
    reader = LogReader(cloud.access.logs())
    cloudwatch = cloud.access.cloudwatch()

    def alarmed() -> bool:
        forward_new(reader, cloudwatch)
        return bool(cloudwatch.describe_alarms(StateValue="ALARM", AlarmTypes=["MetricAlarm"])["MetricAlarms"])

    wait_until(alarmed)
    lines = [line.text for line in LogReader(cloud.access.logs()).new_lines()]
    assert any("Step Functions Execution Status Change" in line for line in lines)
    composite = cloudwatch.describe_alarms(AlarmTypes=["CompositeAlarm"])["CompositeAlarms"][0]
    assert composite["StateValue"] == "ALARM"


def test_services_report_their_own_metrics_and_only_the_alarm_on_them_goes_off(cloud: Cloud) -> None:
    cloud.client("sqs").create_queue(QueueName="letters")
    cloud.client("sqs").create_queue(QueueName="other-letters")
    cloud.client("sqs").send_message(
        QueueUrl=cloud.client("sqs").get_queue_url(QueueName="letters")["QueueUrl"], MessageBody="{}"
    )
    cloudwatch = cloud.access.cloudwatch()
    for queue in ("letters", "other-letters"):
        cloudwatch.put_metric_alarm(
            AlarmName=queue,
            Namespace="AWS/SQS",
            MetricName="ApproximateNumberOfMessagesVisible",
            Dimensions=[{"Name": "QueueName", "Value": queue}],
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=0,
            ComparisonOperator="GreaterThanThreshold",
            TreatMissingData="notBreaching",
        )
    cloud.run([])
    reported = ServiceMetrics(cloud.access).report()
    states = {
        alarm["AlarmName"]: alarm["StateValue"]
        for alarm in cloudwatch.describe_alarms(AlarmNames=["letters", "other-letters"])["MetricAlarms"]
    }
    assert states == {"letters": "ALARM", "other-letters": "OK"}
    assert "ExecutionsSucceeded" in {metric.name for metric in reported}


def test_a_second_deployment_updates_the_stack(cloud: Cloud) -> None:
    again = deploy(cloud.access, cloud.root / "template.yaml", build_artefacts(cloud.root), stack="machinery")
    assert again.outputs == cloud.deployment.outputs


def test_a_refused_deployment_says_why(cloud: Cloud) -> None:
    with pytest.raises(StackFailed, match="live is refused"):
        deploy(
            cloud.access,
            cloud.root / "template.yaml",
            build_artefacts(cloud.root),
            stack="refused",
            parameters={"Mode": "live", "Stage": "prod"},
        )


def test_a_failed_deployment_names_the_resource_and_can_be_repeated(cloud: Cloud) -> None:
    template = cloud.root / "broken.yaml"
    template.write_text(
        "Resources:\n  Odd:\n    Type: AWS::CloudWatch::Alarm\n    Properties: {MetricName: m, Namespace: n, Threshold: 1}\n"
    )
    for _ in range(2):
        with pytest.raises(StackFailed) as failure:
            deploy(cloud.access, template, build_artefacts(cloud.root), stack="broken")
        assert failure.value.failures[0].logical_id == "Odd"
        assert "ComparisonOperator" in failure.value.failures[0].reason
    delete_stack(cloud.access.cloudformation(), "broken")


def test_a_function_that_cannot_start_fails_the_deployment_and_is_named(cloud: Cloud) -> None:
    root = cloud.root / "unpackaged"
    shutil.copytree(MACHINERY, root)
    (root / "functions" / "worker" / "lambda_handler.py").write_text("import a_package_nobody_packed")
    with pytest.raises(StackFailed, match=r"WorkerVersion.*a_package_nobody_packed"):
        deploy(
            cloud.access,
            root / "template.yaml",
            build_artefacts(root),
            stack="unpackaged",
            parameters={"Stage": "prod"},
        )


def test_an_emulator_that_stays_is_found_again_and_stopped(environment: LocalEnvironment, tmp_path: Path) -> None:
    started = start_emulator(environment, tmp_path, stay=True)
    try:
        assert running_emulator(tmp_path) == started
        with pytest.raises(EmulatorFailed, match="already runs"):
            start_emulator(environment, tmp_path)
    finally:
        stop_emulator(started)
    assert running_emulator(tmp_path) is None


@pytest.mark.usefixtures("environment")
def test_an_emulator_that_does_not_stay_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import os, signal; from pathlib import Path; from local.cloud.emulator import start_emulator;"
        "from local.cloud.environment import ensure_environment;"
        f"started = start_emulator(ensure_environment(Path({str(CHECKOUT)!r})), Path({str(tmp_path)!r}));"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    died = subprocess.run([sys.executable, "-c", program], cwd=CHECKOUT, check=False)  # noqa: S603 - our own program
    assert died.returncode == -signal.SIGKILL
    state = json.loads((tmp_path / "cloud.json").read_text())
    assert (tmp_path / "cloud.json").stat().st_mode & 0o077 == 0
    wait_until(lambda: not _listens(state["port"]))
    assert running_emulator(tmp_path) is None


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.parametrize(
    "head",
    [
        "OPTIONS / HTTP/1.1\r\nHost: {host}\r\nOrigin: https://evil.example\r\nAccess-Control-Request-Method: POST",
        "GET /_ministack/ses/messages HTTP/1.1\r\nHost: {host}",
        "POST /_ministack/reset HTTP/1.1\r\nHost: {host}\r\nContent-Type: text/plain\r\nContent-Length: 0",
        "GET /2015-03-31/functions/ HTTP/1.1\r\nHost: evil.example\r\nX-Amz-Security-Token: {token}",
        "GET /2015-03-31/functions/ HTTP/1.1\r\nHost: {host}\r\nOrigin: null\r\nX-Amz-Security-Token: {token}",
        "GET http://evil.example/2015-03-31/functions/ HTTP/1.1\r\nHost: {host}\r\nX-Amz-Security-Token: {token}",
    ],
)
def test_no_web_page_reaches_the_emulator(cloud: Cloud, head: str) -> None:
    host = cloud.access.endpoint.removeprefix("http://")
    with socket.create_connection(("127.0.0.1", int(host.rpartition(":")[2])), timeout=10) as line:
        line.sendall(f"{head.format(host=host, token=cloud.access.token)}\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: line.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 403 "), answer
    assert b"access-control" not in answer.lower()


def test_real_credentials_of_the_surroundings_reach_neither_the_clients_nor_the_functions(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAREAL")
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "https://real.example")
    assert cloud.access.stepfunctions().meta.endpoint_url == cloud.access.endpoint
    credentials = cloud.access.session.get_credentials()
    assert credentials is not None
    assert credentials.access_key == "000000000000"
