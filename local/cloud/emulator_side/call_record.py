"""Business Unit: local cloud | Status: current.

Write down which role called what on which resource, where the emulator decides whether it may: every different call once, one
JSON line each. What the state machine calls never passes that place here, so it is written down where it is called; whether its
role may is for the proof to say. This module runs in the emulator's environment.
"""

from __future__ import annotations

import importlib
import json
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

VARIABLE = "SHADOW_CALL_RECORD"
_KEPT_CONTEXT = "ses:"
_asked = threading.local()


def record_calls(path: Path) -> None:
    """Record every call of a role into `path`. Raises AttributeError when the emulator decides elsewhere now."""
    evaluator: Any = importlib.import_module("ministack.core.iam_evaluator")
    evaluate: Callable[..., Any] = evaluator.evaluate
    enforce: Callable[..., Any] = evaluator.enforce
    keep = _Lines(path)

    def evaluating(context: Any, *policies: Any) -> Any:  # noqa: ANN401 - the emulator's own types
        if getattr(_asked, "context", None) is None:
            _asked.context = context
        return evaluate(context, *policies)

    def enforcing(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401
        _asked.context = None
        refused = enforce(*arguments, **named)
        if _asked.context is not None:
            keep.call(_asked.context, "Allow" if refused is None else getattr(refused, "decision", "Unauthenticated"))
        return refused

    evaluator.evaluate, evaluator.enforce = evaluating, enforcing
    _record_workflow(keep)


def _record_workflow(keep: _Lines) -> None:
    """Record what Step Functions calls for the state machine, under its role. There is one state machine."""
    workflow: Any = importlib.import_module("ministack.services.stepfunctions")
    call_lambda: Callable[..., Any] = workflow._call_lambda  # noqa: SLF001 - the emulator's own way to a function
    read_object: Callable[[str, str], str] = workflow._s3_object_text  # noqa: SLF001 - and to a map's items

    def role() -> str:
        return str(next(iter(workflow._state_machines.values()))["roleArn"])  # noqa: SLF001

    def calling(function: str, event: Any) -> Any:  # noqa: ANN401
        keep.line(role(), "lambda:InvokeFunction", function)
        return call_lambda(function, event)

    def reading(bucket: str, key: str) -> str:
        keep.line(role(), "s3:GetObject", f"arn:aws:s3:::{bucket}/{key}")
        return read_object(bucket, key)

    workflow._call_lambda, workflow._s3_object_text = calling, reading  # noqa: SLF001


class _Lines:
    """The record: a file that has each line once."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def call(self, context: Any, decision: str) -> None:  # noqa: ANN401
        kept = {key: str(value) for key, value in context.service_context.items() if key.startswith(_KEPT_CONTEXT)}
        self.line(context.principal_arn, context.action, context.resource_arn, decision, kept)

    def line(
        self, principal: str, action: str, resource: str, decision: str = "Allow", context: Mapping[str, str] | None = None
    ) -> None:
        found = {"principal": principal, "action": action, "resource": resource}
        line = json.dumps({**found, "decision": decision, "context": dict(context or {})}, sort_keys=True)
        with self._lock:
            if line not in self._seen:
                self._seen.add(line)
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(f"{line}\n")
