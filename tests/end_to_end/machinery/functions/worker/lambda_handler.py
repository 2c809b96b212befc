"""Business Unit: tests | Status: current.

A function that does what the event asks for, so that a test can see how the local cloud runs functions.
"""

import importlib.util
import json
import os
import sys
import threading
import time
from typing import Any

import words

_attempts = 0
_gate = threading.Event()


def lambda_handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    global _attempts  # noqa: PLW0603 - a warm environment keeps it, which is what the test looks at
    _attempts += 1
    if "Records" in event:
        return _records(event["Records"])
    if event.get("do") == "fail once" and _attempts == 1:
        raise words.TransientFault("try again")
    if event.get("do") == "refuse":
        raise words.Refused("no")
    if event.get("do") == "exit":
        os._exit(3)
    return {
        "word": words.WORD,
        "attempts": _attempts,
        "version": context.function_version,
        "sees": [name for name in ("ministack", "boto3", "pydantic", "pip") if importlib.util.find_spec(name)],
        "endpoint": os.environ["AWS_ENDPOINT_URL"],
        "python": sys.version_info[:2],
    }


def _records(records: list[dict[str, Any]]) -> dict[str, Any]:
    for record in records:
        body = json.loads(record["body"])
        started = time.time()
        if "seconds" in body:
            _gate.wait(body["seconds"])
        line = {"group": record["attributes"].get("MessageGroupId"), "body": body, "from": started, "to": time.time()}
        print(json.dumps(line))  # noqa: T201 - a function's log
    print(json.dumps(_metric(len(records))))  # noqa: T201 - metrics travel in the log
    return {"batchItemFailures": []}


def _metric(count: int) -> dict[str, Any]:
    directive = {"Namespace": "Machinery", "Dimensions": [["stage"]], "Metrics": [{"Name": "Diverged", "Unit": "Count"}]}
    return {
        "_aws": {"Timestamp": int(time.time() * 1000), "CloudWatchMetrics": [directive]},
        "stage": "dev",
        "Diverged": count,
    }
