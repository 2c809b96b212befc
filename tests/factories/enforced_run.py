"""One run of everything in a local cloud that holds every function to its own role, with canaries where secrets belong."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import chain
from pathlib import Path

from mypy_boto3_sqs import SQSClient

from local.broker_simulator.values import Fault, FaultKind
from local.iam_proof.calls import Call, recorded_by
from local.iam_proof.proof import DEPLOYED_WITH
from local.market import ClosingPrices
from local.operator import Operator
from local.planner import Portfolio
from local.scenarios.demo import DemoDay, demo_days
from local.stack import STAGE, LocalStack, local_stack
from shadow.contracts.pair import Pair
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Action, Role
from shadow.intake.payload import SCHEMA
from tests.fakes.plans import plan_of

CANARIES = {
    role: {"key": f"canary-{role}-key-4f1d", "secret": f"canary-{role}-secret-9c27", "number": f"CANARY{role.upper()}77310"}
    for role in Role
}
PATIENCE = 240.0
MANY = 104
MAILBOX = "mailbox"
MOST_BATCHES = 50


@dataclass(frozen=True, slots=True)
class EnforcedRun:
    """What is left of the run, read while the cloud was still up."""

    calls: tuple[Call, ...]
    pairs: tuple[Pair, ...]
    places: dict[str, str]


def enforced_run(folder: Path) -> EnforcedRun:
    """Run everything once below `folder`."""
    with local_stack(folder, enforce_iam=True) as stack:
        _plant_canaries(stack)
        _listen(stack)
        operator = Operator(stack)
        stack.broker.set_account(Role.CONTROL, cash=Decimal(100_000))
        _note_a_plan_without_a_pair(stack, operator)
        plans = _plans(stack)
        plan_again = next(plans)
        pairs = [_publish(operator, plan) for plan in chain((plan_again,), plans)]
        _publish(operator, plan_again)
        day = pairs[0].trading_day
        operator.sweep()
        operator.call("DailyReportFunctionName", {"day": str(day)})
        return EnforcedRun(recorded_by(folder), tuple(pairs), dict(_places(stack)))


def _plant_canaries(stack: LocalStack) -> None:
    for role, name in ((Role.CANDIDATE, "candidate-broker"), (Role.CONTROL, "control-broker")):
        canary = CANARIES[role]
        stack.broker.set_identity(role, **canary)
        secret = {"key": canary["key"], "secret": canary["secret"], "account_number": canary["number"]}
        stack.secrets().put_secret_value(SecretId=f"alchemiser/{STAGE}/{name}", SecretString=json.dumps(secret))


def _plans(stack: LocalStack) -> Iterator[RebalancePlan]:
    """Give a plan of BUYs, one whose sells fail in the candidate so that its guard blocks, and one too large for a payload."""
    days = list(demo_days(ClosingPrices.bundled(), count=2, plants=()))
    yield _plan(stack, days[0])
    blocked = _plan(stack, days[1])
    for item in blocked.items:
        if item.action is Action.SELL:
            fault = Fault(kind=FaultKind.QUOTE_MISSING, account=Role.CANDIDATE, symbol=item.symbol, count=None)
            stack.broker.add_fault(fault)
    yield blocked
    stack.broker.clear_faults()
    many = {f"L{number:03}": "60" for number in range(MANY)}
    stack.broker.set_day(days[1].day, {**days[1].closes, **dict.fromkeys(many, Decimal(20))})
    yield plan_of(name="many", **many)


def _plan(stack: LocalStack, day: DemoDay) -> RebalancePlan:
    stack.broker.set_day(day.day, day.closes, half_day=day.half_day)
    account = stack.broker.account(Role.CONTROL)
    return day.plan(Portfolio(account.positions, account.cash))


def _note_a_plan_without_a_pair(stack: LocalStack, operator: Operator) -> None:
    """Let the intake look up why there is no pair, which it otherwise does only when a note overtakes its plan."""
    plan = plan_of(name="kept", holds=("AAPL",))
    operator.publish(plan)
    published_at = plan.timestamp.isoformat()
    note = {"schema": SCHEMA, "kind": "note", "published_at": published_at, "plan_id": plan.plan_id, "control": {"error": "Late"}}
    stack.access.sqs().send_message(QueueUrl=stack.output("IntakeQueueUrl"), MessageBody=json.dumps(note))


def _publish(operator: Operator, plan: RebalancePlan) -> Pair:
    operator.publish(plan)
    return operator.await_verdict(plan.plan_id, sweeping=True, seconds=PATIENCE)


def _places(stack: LocalStack) -> Iterator[tuple[str, str]]:
    """Give the content of every place that people or programs read, by name."""
    yield "emulator log with every function's lines", Path(stack.emulator.log).read_text(encoding="utf-8", errors="replace")
    access = stack.access
    logs = access.logs()
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = str(group["logGroupName"])
            events = logs.get_paginator("filter_log_events").paginate(logGroupName=name)
            yield f"log group {name}", json.dumps([each["events"] for each in events])
    states = access.stepfunctions()
    for page in states.get_paginator("list_executions").paginate(stateMachineArn=stack.output("StateMachineArn")):
        for execution in page["executions"]:
            arn = execution["executionArn"]
            events = states.get_paginator("get_execution_history").paginate(executionArn=arn)
            yield f"history {arn}", json.dumps([each["events"] for each in events], default=str)
            yield f"execution {arn}", json.dumps(states.describe_execution(executionArn=arn), default=str)
    tables = stack.tables()
    for page in tables.get_paginator("list_tables").paginate():
        for name in page["TableNames"]:
            items = tables.get_paginator("scan").paginate(TableName=name)
            yield f"table {name}", json.dumps([each["Items"] for each in items], default=str)
    yield from _objects(stack)
    yield "mail", json.dumps(list(access.sent_mails()), default=str)
    queues = access.sqs()
    for url in queues.list_queues()["QueueUrls"]:
        yield f"queue {url.rsplit('/')[-1]}", json.dumps(list(_messages(queues, url)))


def _messages(queues: SQSClient, url: str) -> Iterator[object]:
    for _ in range(MOST_BATCHES):
        batch = queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=900).get("Messages", [])
        if not batch:
            return
        yield from batch


def _listen(stack: LocalStack) -> None:
    """Catch what the notification topic sends, in a queue that nobody else reads, and let the report be mailed."""
    queues = stack.access.sqs()
    url = queues.create_queue(QueueName=MAILBOX)["QueueUrl"]
    arn = queues.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    anyone = {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": arn}
    queues.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [anyone]})})
    mail = stack.access.session.client("ses", endpoint_url=stack.access.endpoint, config=stack.access.config)
    mail.verify_email_identity(EmailAddress=DEPLOYED_WITH["ReportSender"])
    mail.verify_email_identity(EmailAddress=DEPLOYED_WITH["ReportRecipients"])
    topics = stack.access.session.client("sns", endpoint_url=stack.access.endpoint, config=stack.access.config)
    topics.subscribe(TopicArn=stack.output("TradingNotificationsTopicArn"), Protocol="sqs", Endpoint=arn)


def _objects(stack: LocalStack) -> Iterator[tuple[str, str]]:
    s3, bucket = stack.access.s3(), stack.output("EvidenceBucketName")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket):
        for entry in page.get("Contents", []):
            body = s3.get_object(Bucket=bucket, Key=entry["Key"])["Body"].read()
            plain = gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body
            yield f"object {entry['Key']}", plain.decode("utf-8", errors="replace")
