"""Business Unit: reports | Status: current.

`shadow rejudge --in-cloud`: the same judge as a Distributed Map of Step Functions over the stored comparisons, for more pairs
than one machine can judge in time. The request and the documents' names go into the evidence bucket, below `rejudge/`; the
answers come back there.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import uuid4

from botocore.exceptions import BotoCoreError, ClientError

from shadow.contracts.errors import UnreachableSource
from shadow.settlement.rejudging import Answer, Asker, Request, answer_from_wire
from shadow.settlement.stored import Entry

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_stepfunctions import SFNClient

FOLDER = "rejudge"
_PORTION = 50
_POLL_SECONDS = 2.0
_LONGEST_SECONDS = 3_600.0


@dataclass(frozen=True, slots=True)
class Cloud:
    """The deployed state machine and the evidence bucket that it reads. `wait` is what passes between two looks, in seconds."""

    states: SFNClient
    s3: S3Client
    machine: str
    bucket: str
    wait: Callable[[float], None] = time.sleep

    def answers(self, entries: Sequence[Entry], asker: Asker) -> list[Answer]:
        """Have every document of `entries` judged as `asker` says, and give the answers in the same order.

        Raises `UnreachableSource` where the services do not answer, the execution fails, or a document is left unanswered.
        """
        if not entries:
            return []
        folder = f"{FOLDER}/{uuid4()}"
        request = Request(policy=asker.policy, first=asker.first, last=asker.last, whole=asker.whole)
        try:
            self._put(f"{folder}/request.json", request.model_dump_json())
            items = [[entry.name, entry.stamp] for entry in entries]
            portions = [items[start : start + _PORTION] for start in range(0, len(items), _PORTION)]
            self._put(f"{folder}/items.json", json.dumps(portions))
            self._run(folder)
            answers = {answer[0].name: answer for answer in self._read(folder)}
        except (ClientError, BotoCoreError) as error:
            raise UnreachableSource(self.machine, "an answer of the services", str(error)) from error
        missing = [entry.name for entry in entries if entry.name not in answers]
        if missing:
            raise UnreachableSource(self.machine, f"an answer about each of {len(entries)} documents", f"none about {missing[0]}")
        return [answers[entry.name] for entry in entries]

    def _put(self, key: str, text: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=text.encode(), ContentType="application/json")

    def _run(self, folder: str) -> None:
        """Start the execution and wait for its end."""
        name = folder.rsplit("/", 1)[-1]
        started = self.states.start_execution(stateMachineArn=self.machine, name=name, input=json.dumps({"folder": folder}))[
            "executionArn"
        ]
        waited = 0.0
        while True:
            described = self.states.describe_execution(executionArn=started)
            if described["status"] == "SUCCEEDED":
                return
            if described["status"] != "RUNNING" or waited > _LONGEST_SECONDS:
                why = f"{described['status']} after {waited:.0f} s: {described.get('error', '')} {described.get('cause', '')}"
                raise UnreachableSource(started, "an execution that succeeds", why.strip())
            self.wait(_POLL_SECONDS)
            waited += _POLL_SECONDS

    def _read(self, folder: str) -> Iterator[Answer]:
        pages = self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=f"{folder}/answers/")
        for page in pages:
            for entry in page.get("Contents", []):
                body = self.s3.get_object(Bucket=self.bucket, Key=entry["Key"])["Body"].read()
                yield from (answer_from_wire(json.loads(line)) for line in body.splitlines())
