"""Judging stored pairs again in the cloud: the real state machine in moto's interpreter calls the real handler, and says what one
machine says."""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from moto.stepfunctions.parser.asl.component.common.retry import retrier_decl
from moto.stepfunctions.parser.asl.component.state.exec.state_task import lambda_eval_utils

from functions.rejudge_pairs import lambda_handler
from reports.rejudge import Cloud, rejudge
from shadow.compare.document import canonical_bytes, digest_of
from shadow.compare.judge import judge
from shadow.compare.policy import Policy, default_policy
from shadow.compare.rules import BpsRule
from shadow.contracts.errors import UnreachableSource
from shadow.settlement import judging
from shadow.settlement.judging import code_version
from shadow.settlement.stored import S3Source
from tests.factories.cloud_tables import fresh_aws
from tests.strategies.outcomes import DAY, random_case

BUCKET = "alchemiser-dev-shadow-evidence-123456789012"
REGION, ACCOUNT = "us-east-1", "123456789012"
EVER = (date(2000, 1, 1), date(2999, 12, 31))
PAIRS = 60
DEFINITION = Path(__file__).parents[2] / "statemachines" / "rejudge.asl.json"


class World:
    """The bucket with its pairs, the deployed machine, and the function behind it."""

    def __init__(self) -> None:
        self.calls: list[dict[str, Any]] = []
        self.failures = 0
        self._lock = threading.Lock()
        self.s3 = boto3.client("s3", region_name=REGION)
        self.s3.create_bucket(Bucket=BUCKET)
        for seed in range(PAIRS):
            comparison = judge(replace(random_case(seed, 2), code_version=code_version()), default_policy())
            content = canonical_bytes(comparison)
            key = f"comparisons/day={DAY + timedelta(days=seed % 2)}/{comparison.run_id}-{digest_of(content)[:16]}.json"
            self.s3.put_object(Bucket=BUCKET, Key=key, Body=content)
        text = DEFINITION.read_text().replace("${EvidenceBucketName}", BUCKET)
        text = text.replace("${RejudgePairsFunctionArn}", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:rejudge_pairs")
        states = boto3.client("stepfunctions", region_name=REGION)
        machine = states.create_state_machine(name="rejudge", definition=text, roleArn=f"arn:aws:iam::{ACCOUNT}:role/x")
        self.cloud = Cloud(states, self.s3, machine["stateMachineArn"], BUCKET, threading.Event().wait)
        self.source = S3Source(BUCKET, self.s3)

    def invoke(self, parameters: dict[str, Any], region: str, state_credentials: object) -> dict[str, Any]:
        del region, state_credentials
        event = json.loads(parameters["Payload"])
        with self._lock:
            self.calls.append(event)
            self.failures -= 1
            fails = self.failures >= 0
        try:
            if fails:
                return _failed("Lambda.ServiceException", "planted")
            answer = lambda_handler.lambda_handler(event, None)
            return {"StatusCode": 200, "Payload": json.loads(json.dumps(answer))}
        except Exception as error:  # noqa: BLE001 - Lambda answers with any exception's class name
            return _failed(type(error).__name__, str(error))


def _failed(name: str, message: str) -> dict[str, Any]:
    return {"StatusCode": 200, "FunctionError": "Unhandled", "Payload": {"errorType": name, "errorMessage": message}}


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("EVIDENCE_BUCKET_NAME", BUCKET)
    monkeypatch.setenv("STAGE", "dev")
    with fresh_aws(executes=True):
        importlib.reload(lambda_handler)
        built = World()
        with (
            patch.object(lambda_eval_utils, "_invoke_lambda_function", built.invoke),
            patch.object(retrier_decl, "time", SimpleNamespace(sleep=lambda _: None)),
        ):
            yield built


def other_policy(bps: str = "0") -> Policy:
    policy = default_policy()
    rule = BpsRule(rule="bps", tolerance=Decimal(bps))
    return policy.model_copy(update={"rules": policy.rules.model_copy(update={"average_price": rule})})


def test_the_map_says_what_one_machine_says(world: World) -> None:
    right = rejudge(world.source, other_policy(), *EVER, keep=False).to_wire()
    assert right["pairs"] == PAIRS

    assert rejudge(world.source, other_policy(), *EVER, cloud=world.cloud).to_wire() == right
    assert sorted(len(call["items"]) for call in world.calls) == [10, 50]


def test_only_pairs_that_need_it_are_sent_once_the_index_is_there(world: World) -> None:
    rejudge(world.source, default_policy(), *EVER)
    rejudge(world.source, other_policy("9000"), *EVER, cloud=world.cloud)
    assert world.calls == []

    whole = rejudge(world.source, other_policy("9000"), *EVER, whole=True, cloud=world.cloud)
    assert whole.judged == PAIRS


def test_a_document_that_cannot_be_read_fails_the_whole_and_is_told(world: World) -> None:
    world.s3.put_object(Bucket=BUCKET, Key=f"comparisons/day={DAY}/broken-0123456789abcdef.json", Body=b'{"plan_id": "x"}')
    with pytest.raises(UnreachableSource, match=r"expected an (answer about each of 61 documents|execution that succeeds)"):
        rejudge(world.source, other_policy(), *EVER, cloud=world.cloud)


def test_a_portion_that_fails_for_a_while_is_tried_again_and_stored_once(world: World) -> None:
    world.failures = 2
    right = rejudge(world.source, other_policy(), *EVER, keep=False).to_wire()
    assert rejudge(world.source, other_policy(), *EVER, keep=False, cloud=world.cloud).to_wire() == right
    assert len(world.calls) == 4


@pytest.mark.parametrize("answer", [[["of", "an", "older", "form"], None], {"of": "another"}, [[], "MATCHED", []]])
def test_a_stack_of_another_version_that_answers_in_another_form_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, answer: object
) -> None:
    monkeypatch.setattr(judging, "answer_to_wire", lambda _: answer)
    with pytest.raises(UnreachableSource, match="expected answers in this version's form: deploy it first, was "):
        rejudge(world.source, other_policy(), *EVER, cloud=world.cloud)
