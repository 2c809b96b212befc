"""Business Unit: tests | Status: current.

`shadow redrive` against moto's queues: what is told of a dead letter, what goes back, and what is better left alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from shadow.cli import redriving
from shadow.cli.output import FunctionFailed
from shadow.intake.payload import message_of
from tests.fakes.cli_cloud import CliCloud, cli_cloud, shadow
from tests.fakes.plans import plan_of

GOOD_HINT = {
    "id": "1",
    "source": "alchemiser.execution",
    "detail-type": "TradeExecuted",
    "detail": {"run_id": "run", "plan_id": "plan-7", "trade_id": "trade"},
}


class Queues:
    """The queues and what the publishing function was called with."""

    def __init__(self, cloud: CliCloud) -> None:
        client = boto3.client("sqs")
        names = ("shadow-comparator", "shadow-comparator-dlq", "publish-plan-dlq")
        self.source, self.dead, self.publish = (
            client.create_queue(QueueName=f"alchemiser-dev-{name}")["QueueUrl"] for name in names
        )
        self.intake, self.dead_intake = (
            client.create_queue(QueueName=f"alchemiser-dev-{name}")["QueueUrl"] for name in ("shadow-intake", "shadow-intake-dlq")
        )
        cloud.outputs |= {"ComparatorQueueUrl": self.source, "ComparatorDlqUrl": self.dead}
        cloud.outputs |= {"IntakeQueueUrl": self.intake, "IntakeDlqUrl": self.dead_intake}
        self.published: list[object] = []

    def put(self, url: str, body: object, **attributes: str) -> None:
        text = body if isinstance(body, str) else json.dumps(body)
        values = {name: {"DataType": "String", "StringValue": value} for name, value in attributes.items()}
        boto3.client("sqs").send_message(QueueUrl=url, MessageBody=text, MessageAttributes=values)

    def count(self, url: str) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = boto3.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return sum(int(answer[name]) for name in names)


@pytest.fixture
def queues(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Queues]:
    with cli_cloud(monkeypatch, tmp_path) as stack:
        found = Queues(stack)

        def invoke(_target: object, _output: str, payload: object) -> dict[str, object]:
            found.published.append(payload)
            return {}

        monkeypatch.setattr(redriving, "invoke", invoke)
        monkeypatch.setattr(redriving, "WAIT_SECONDS", 0)
        yield found


def redrive(*options: str) -> tuple[int, list[dict[str, Any]]]:
    result = shadow("redrive", *options, "--json")
    return result.exit_code, json.loads(result.stdout)["messages"]


def todays_plan() -> dict[str, Any]:
    plan = plan_of(AAPL="-600", MSFT="1000").to_wire()
    return plan | {"timestamp": datetime.now(UTC).isoformat()}


def failure(plan: object, kind: str = "StateUnavailable") -> dict[str, object]:
    context = {"condition": "RetriesExhausted", "approximateInvokeCount": 3}
    event = {"detail-type": "RebalancePlanned", "detail": plan}
    return {"requestContext": context, "requestPayload": event, "responsePayload": {"errorType": kind, "errorMessage": "why"}}


def test_a_publication_goes_back_to_the_intake_and_what_is_none_stays(queues: Queues) -> None:
    plan = plan_of(AAPL="-600")
    queues.put(queues.dead_intake, message_of(plan, datetime.now(UTC)))
    queues.put(queues.dead_intake, {"something": "else"})

    result = shadow("redrive", "--queue", "intake")

    assert result.exit_code == 1
    assert f"publication of {plan.plan_id}" in result.stdout
    assert (queues.count(queues.intake), queues.count(queues.dead_intake)) == (1, 1)


def test_no_dead_letters_is_fine(queues: Queues) -> None:
    assert queues.published == []
    result = shadow("redrive")

    assert result.exit_code == 0
    assert "no dead letters" in result.stdout


def test_listing_tells_the_reason_and_changes_nothing(queues: Queues) -> None:
    queues.put(queues.dead, GOOD_HINT, ERROR_CODE="NO_PERMISSIONS", ERROR_MESSAGE="denied")
    queues.put(queues.publish, failure(todays_plan()))

    result = shadow("redrive", "--list")
    code, messages = redrive("--list")

    assert result.exit_code == code == 1
    assert "EventBridge could not deliver it: NO_PERMISSIONS: denied" in result.stdout
    assert "StateUnavailable: why" in result.stdout
    assert "TradeExecuted of plan-7" in result.stdout
    assert {message["fate"] for message in messages} == {"listed"}
    assert (queues.count(queues.dead), queues.count(queues.publish), queues.count(queues.source)) == (1, 1, 0)
    assert queues.published == []


def test_hints_go_back_to_the_comparators_queue_as_they_were(queues: Queues) -> None:
    for _ in range(12):
        queues.put(queues.dead, GOOD_HINT)

    code, messages = redrive()

    assert code == 0
    assert [message["fate"] for message in messages] == ["redriven"] * 12
    assert (queues.count(queues.dead), queues.count(queues.source)) == (0, 12)
    received = boto3.client("sqs").receive_message(QueueUrl=queues.source)["Messages"][0]
    assert json.loads(received["Body"]) == GOOD_HINT


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ("no json", "source"),
        ({"source": "elsewhere"}, "source"),
        (GOOD_HINT | {"detail": {"run_id": "run"}}, "plan_id"),
        ({"source": "aws.states", "detail-type": "Step Functions Execution Status Change", "detail": {}}, "detail"),
    ],
)
def test_a_poisoned_hint_is_left_with_its_fault_unless_forced(body: object, named: str, queues: Queues) -> None:
    queues.put(queues.dead, body)

    code, messages = redrive()

    assert code == 1
    assert messages[0]["fate"] == "left"
    assert named in messages[0]["why"]
    assert (queues.count(queues.dead), queues.count(queues.source)) == (1, 0)

    code, _ = redrive("--force")

    assert code == 0
    assert (queues.count(queues.dead), queues.count(queues.source)) == (0, 1)


def test_todays_plan_is_published_again(queues: Queues) -> None:
    plan = todays_plan()
    queues.put(queues.publish, failure(plan))

    code, messages = redrive("--queue", "publish")

    assert code == 0
    assert messages[0]["about"] == plan["plan_id"]
    assert queues.published == [plan]
    assert queues.count(queues.publish) == 0


def test_an_old_plan_is_traded_only_when_asked_for(queues: Queues) -> None:
    plan = plan_of(AAPL="-600").to_wire()
    queues.put(queues.publish, {"detail-type": "RebalancePlanned", "detail": plan})

    code, messages = redrive()

    assert code == 1
    assert "2024-03-15" in messages[0]["why"]
    assert queues.published == []

    code, _ = redrive("--stale")

    assert code == 0
    assert queues.published == [plan]


def test_a_plan_that_breaks_its_contract_is_left_with_every_faulty_field(queues: Queues) -> None:
    queues.put(queues.publish, failure(todays_plan() | {"total_trade_value": "1", "colour": "blue"}, "InvalidPlan"))

    code, messages = redrive()

    assert code == 1
    assert "colour" in messages[0]["why"]
    assert queues.published == []


def test_a_plan_that_fails_again_stays(queues: Queues, monkeypatch: pytest.MonkeyPatch) -> None:
    def invoke(*_args: object) -> dict[str, object]:
        raise FunctionFailed("publish-plan", "StateUnavailable", "still down")

    monkeypatch.setattr(redriving, "invoke", invoke)
    queues.put(queues.publish, failure(todays_plan()))

    code, messages = redrive()

    assert code == 1
    assert "still down" in messages[0]["why"]
    assert queues.count(queues.publish) == 1


def test_the_limit_bounds_what_is_touched(queues: Queues) -> None:
    for _ in range(5):
        queues.put(queues.dead, GOOD_HINT)

    _, messages = redrive("--limit", "3")

    assert len(messages) == 3
    assert (queues.count(queues.dead), queues.count(queues.source)) == (2, 3)


def test_what_lies_beyond_the_limit_is_told_and_is_no_success(queues: Queues) -> None:
    for _ in range(25):
        queues.put(queues.dead, GOOD_HINT)

    told = json.loads(shadow("redrive", "--limit", "10", "--json").stdout)
    assert told["not_looked_at"] == {"comparator": 15}
    result = shadow("redrive", "--limit", "10")
    assert result.exit_code == 1
    assert "10 redriven, 0 still there" in result.stdout
    assert "about 5 more messages not looked at" in result.stdout
    assert shadow("redrive", "--limit", "10").exit_code == 0


def test_a_limit_out_of_bounds_is_bad_input(queues: Queues) -> None:
    assert queues.published == []
    assert shadow("redrive", "--limit", "0").exit_code == 2
    assert shadow("redrive", "--queue", "elsewhere").exit_code == 2
