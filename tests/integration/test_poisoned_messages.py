"""A poisoned hint among good ones: the good ones are done at once, the poisoned one ends in the dead-letter queue after its
deliveries, the command tells its reason, and one that only failed for a while goes back and is done.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import boto3
import pytest

from functions.compare_outcomes import lambda_handler as comparator
from shadow.cli import redriving
from shadow.contracts.errors import EvidenceUnavailable
from shadow.settlement.hints import Hints
from tests.fakes.cli_cloud import CliCloud, cli_cloud, shadow
from tests.fuzz.test_fuzz_hints import ENDED, NOW, Kept, Told

MAX_RECEIVES = 3


class Settler:
    """Settles, unless the evidence is out of reach."""

    def __init__(self) -> None:
        self.settled: list[str] = []
        self.out_of_reach: set[str] = set()

    def settle(self, plan_id: str, now: Any) -> Any:
        assert now == NOW
        if plan_id in self.out_of_reach:
            raise EvidenceUnavailable("table: ThrottlingException")
        self.settled.append(plan_id)
        return type("Settled", (), {"imminent": False})()


class World:
    """The queue with its dead-letter queue, and the deployed function's handler behind it."""

    def __init__(self, cloud: CliCloud, monkeypatch: pytest.MonkeyPatch) -> None:
        self.sqs = boto3.client("sqs")
        self.dead = self.sqs.create_queue(QueueName="alchemiser-dev-shadow-comparator-dlq")["QueueUrl"]
        arn = self.sqs.get_queue_attributes(QueueUrl=self.dead, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        policy = {"RedrivePolicy": json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": MAX_RECEIVES})}
        self.source = self.sqs.create_queue(QueueName="alchemiser-dev-shadow-comparator", Attributes=policy)["QueueUrl"]
        intake = self.sqs.create_queue(QueueName="alchemiser-dev-shadow-intake-dlq")["QueueUrl"]
        cloud.outputs |= {"ComparatorQueueUrl": self.source, "ComparatorDlqUrl": self.dead, "IntakeDlqUrl": intake}
        del cloud.outputs["PublishPlanFunctionName"]
        self.settler, self.told = Settler(), Told()
        hints = Hints(self.settler, None, None, Kept(), self.told, lambda: NOW, lambda _: None)  # type: ignore[arg-type] # fakes
        found = SimpleNamespace(hints=hints)
        monkeypatch.setattr(comparator, "_comparator", lambda: found)
        monkeypatch.setattr(redriving, "WAIT_SECONDS", 0)

    def send(self, *bodies: object) -> None:
        for body in bodies:
            self.sqs.send_message(QueueUrl=self.source, MessageBody=body if isinstance(body, str) else json.dumps(body))

    def deliver(self) -> int:
        """Do what Lambda's poller does until the queue is empty: what was not answered as failed is deleted."""
        deliveries = 0
        for _ in range(20):
            found = self.sqs.receive_message(QueueUrl=self.source, MaxNumberOfMessages=10, VisibilityTimeout=0).get(
                "Messages", []
            )
            if not found:
                return deliveries
            deliveries += len(found)
            records = [{"messageId": message["MessageId"], "body": message["Body"]} for message in found]
            answer: Any = comparator.lambda_handler({"Records": records}, None)
            failed = {entry["itemIdentifier"] for entry in answer["batchItemFailures"]}
            for message in found:
                if message["MessageId"] not in failed:
                    self.sqs.delete_message(QueueUrl=self.source, ReceiptHandle=message["ReceiptHandle"])
        raise AssertionError("the queue never came to rest")


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    with cli_cloud(monkeypatch, tmp_path) as cloud:
        yield World(cloud, monkeypatch)


def redrive(*options: str) -> tuple[int, list[dict[str, Any]]]:
    result = shadow("redrive", *options, "--json")
    return result.exit_code, json.loads(result.stdout)["messages"]


POISON = {
    "no JSON": ("{", "source"),
    "an unhashable source": (ENDED | {"source": []}, "source"),
    "an unhashable kind": (ENDED | {"detail-type": {}}, "detail-type"),
    "nobody's": (ENDED | {"detail": {"plan_id": "p"}}, "detail.run_id"),
    "half a character": (ENDED | {"detail": {"plan_id": "\ud83d", "run_id": "r"}}, "detail.plan_id"),
}


@pytest.mark.parametrize(("poison", "field"), POISON.values(), ids=POISON)
def test_a_poisoned_hint_ends_in_the_dead_letter_queue_with_its_reason(poison: object, field: str, world: World) -> None:
    world.send(ENDED, poison, ENDED | {"id": "event-9"})

    assert world.deliver() == 2 + MAX_RECEIVES
    assert world.settler.settled.count(ENDED["detail"]["plan_id"]) >= 1  # type: ignore[index] # the event's detail
    assert len(world.told.problems) == MAX_RECEIVES

    code, messages = redrive("--list")
    assert code == 1
    assert [message["reason"] for message in messages] == ["cannot be read"]
    assert field in messages[0]["fault"]

    assert shadow("redrive", "--list").exit_code == 1

    code, messages = redrive()
    assert [message["fate"] for message in messages] == ["left"]
    assert field in messages[0]["why"]


def test_a_hint_that_failed_for_a_while_goes_back_and_is_done(world: World) -> None:
    plan_id = ENDED["detail"]["plan_id"]  # type: ignore[index] # the event's detail
    world.settler.out_of_reach.add(plan_id)
    world.send(ENDED)
    assert world.deliver() == MAX_RECEIVES

    code, messages = redrive("--list")
    assert code == 1
    assert messages[0]["fault"] is None
    assert messages[0]["about"] == f"AllTradesCompleted of {plan_id}"
    assert "the comparator failed on it every time" in messages[0]["reason"]

    world.settler.out_of_reach.clear()
    assert redrive()[0] == 0
    assert world.deliver() == 1
    assert world.settler.settled == [plan_id]
    assert redrive("--list") == (0, [])
