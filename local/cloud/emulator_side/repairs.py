"""Business Unit: local cloud | Status: current.

Where the emulator answers otherwise than AWS in something that the workflow or the control lane depends on, it is put right
here, at start, in its own process. Each repair names its reason and refuses to start when the emulator has changed under it,
so that a new version can never bring an old difference back unnoticed.

This module runs in the emulator's environment: it imports the standard library and the emulator, nothing of ours.
"""

from __future__ import annotations

import hashlib
import importlib
import io
import json
import os
import shutil
import threading
import time
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

FUNCTION_PYTHON = "SHADOW_FUNCTION_PYTHON"
LAYER_CACHE = "SHADOW_LAYER_CACHE"
LAYER_SECONDS = 6 * 3600
LIBRARY = "shadow"

_ANSWER_ERROR = '_real_stdout.write(json.dumps({"status": "error", "error": str(e), "trace": traceback.format_exc()}) + "\\n")'
_ANSWER_FAILURE = (
    '_real_stdout.write(json.dumps({"status": "ok", "failure": {"errorMessage": str(e), "errorType": type(e).__name__, '
    '"stackTrace": traceback.format_tb(e.__traceback__)[1:]}, "trace": traceback.format_exc()}) + "\\n")'
)
_last_failure = threading.local()
Answer = tuple[int, dict[str, str], bytes]
Answering = Callable[[dict[str, Any]], Answer]


class RepairRefused(RuntimeError):
    """The emulator is not the one that a repair was written for."""


@dataclass(frozen=True, slots=True)
class Repair:
    """One difference from AWS that is put right: its name, why it matters here, and what does it."""

    name: str
    reason: str
    apply: Callable[[], None]


def _module(name: str) -> ModuleType:
    return importlib.import_module(f"ministack.{name}")


def _replace(owner: ModuleType | type, name: str, make: Callable[[Any], Any]) -> None:
    """Put `make(original)` in the place of what is called `name` in `owner`."""
    original = getattr(owner, name, None)
    if original is None:
        raise RepairRefused(f"expected {owner.__name__}.{name}, found nothing: this repair needs another look")
    setattr(owner, name, make(original))


def _bare_interpreter() -> None:
    interpreter = os.environ[FUNCTION_PYTHON]

    def make(original: Callable[[str], tuple[str, str]]) -> Callable[[str], tuple[str, str]]:
        def detect(runtime: str) -> tuple[str, str]:
            binary, script = original(runtime)
            return (interpreter if runtime.startswith("python") else binary), script

        return detect

    _replace(_module("core.lambda_runtime"), "_detect_runtime_binary", make)


def _exception_names() -> None:
    runtime = _module("core.lambda_runtime")

    def make_script(original: str) -> str:
        if _ANSWER_ERROR not in original:
            raise RepairRefused("expected the worker's error answer, found another: this repair needs another look")
        return original.replace(_ANSWER_ERROR, _ANSWER_FAILURE)

    _replace(runtime, "_PYTHON_WORKER_SCRIPT", make_script)

    def make_invoke(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        def invoke(*args: object, **kwargs: object) -> dict[str, Any]:
            answer = original(*args, **kwargs)
            failure = answer.pop("failure", None)
            if failure is not None:
                answer.update(status="error", error=failure["errorMessage"])
            _last_failure.value = failure
            return answer

        return invoke

    _replace(runtime.Worker, "invoke", make_invoke)
    _replace(_module("services.lambda_svc"), "_execute_function_warm", _with_error_body)


def _with_error_body(original: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    def execute(*args: object, **kwargs: object) -> dict[str, Any]:
        _last_failure.value = None
        result = original(*args, **kwargs)
        if not result.get("error"):
            return result
        body = result["body"]
        if _last_failure.value is not None:
            result["body"] = _last_failure.value
        elif body.get("errorMessage") in {"Worker process died", "Worker returned no response"}:
            result["body"] = {"errorType": "Runtime.ExitError", "errorMessage": "Runtime exited without providing a reason"}
        return result

    return execute


def _parallel_groups() -> None:
    def make(original: Callable[..., int]) -> Callable[..., int]:
        def concurrency(esm: dict[str, Any], function: object, config: object, queue: dict[str, Any] | None = None) -> int:
            if (queue or {}).get("is_fifo") and int(esm.get("BatchSize") or 10) == 1:
                return original(esm, function, config, None)
            return original(esm, function, config, queue)

        return concurrency

    _replace(_module("services.lambda_svc"), "_sqs_esm_concurrency", make)


def _unzip_layers_once() -> None:
    cache = Path(os.environ[LAYER_CACHE])
    cache.mkdir(parents=True, exist_ok=True)
    _forget_old_layers(cache)
    lock = threading.Lock()

    def make(original: Callable[[object], bytes | None]) -> Callable[[object], bytes | None]:
        def resolve(attachment: object) -> bytes | None:
            content = original(attachment)
            if not content:
                return content
            folder = cache / hashlib.sha256(content).hexdigest()[:24]
            with lock:
                if not folder.exists():
                    _unzip(content, folder)
            os.utime(folder)
            return _pointer_to(folder / "python")

        return resolve

    _replace(_module("services.lambda_svc"), "_resolve_layer_zip", make)


def _forget_old_layers(cache: Path) -> None:
    """Remove what no emulator has used for `LAYER_SECONDS`."""
    for folder in cache.iterdir():
        if time.time() - folder.stat().st_mtime > LAYER_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _unzip(content: bytes, folder: Path) -> None:
    """Unzip a layer's `content` so that `folder` appears whole or not at all, whoever else unzips the same."""
    partial = folder.with_suffix(f".{os.getpid()}")
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        archive.extractall(partial)
    try:
        partial.rename(folder)
    except OSError:
        shutil.rmtree(partial, ignore_errors=True)
        if not folder.exists():
            raise


def _pointer_to(packages: Path) -> bytes:
    """Make a layer of one path file, which the worker follows to the `packages` unzipped once for all workers.

    Lambda unzips all layers of a function into one directory. So the part of our library that has a layer of its own is added
    here to the package of the shared layer, which comes first.
    """
    part = packages / LIBRARY
    is_apart = part.is_dir() and not (part / "__init__.py").exists()
    lines = [str(packages), *([f"import {LIBRARY}; {LIBRARY}.__path__.append({str(part)!r})"] if is_apart else [])]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("python/lib/python3/site-packages/layer.pth", "\n".join(lines) + "\n")
    return buffer.getvalue()


def _composite_alarms() -> None:
    handlers = _module("services.cloudformation.provisioners")._RESOURCE_HANDLERS  # noqa: SLF001
    watch = _module("services.cloudwatch")
    if "AWS::CloudWatch::CompositeAlarm" in handlers:
        raise RepairRefused("the emulator now provisions composite alarms itself: drop this repair")

    def put(name: str, properties: dict[str, Any]) -> tuple[str, dict[str, str]]:
        status, _headers, body = watch._put_composite_alarm({}, {**properties, "AlarmName": name}, False, is_json=True)  # noqa: FBT003, SLF001
        if status >= 400:  # noqa: PLR2004 - HTTP's line between success and refusal
            raise ValueError(body.decode() if isinstance(body, bytes) else str(body))
        return name, {"Arn": watch._composite_alarms[name]["AlarmArn"]}  # noqa: SLF001

    def create(logical_id: str, properties: dict[str, Any], stack: str) -> tuple[str, dict[str, str]]:
        return put(properties.get("AlarmName") or f"{stack}-{logical_id}", properties)

    def update(name: str, _old: object, properties: dict[str, Any], _stack: str) -> tuple[str, dict[str, str]]:
        return put(name, properties)

    def delete(name: str, _properties: object) -> None:
        watch._composite_alarms.pop(name, None)  # noqa: SLF001

    handlers["AWS::CloudWatch::CompositeAlarm"] = {"create": create, "update": update, "delete": delete}


def _alarm_evaluation() -> None:
    watch = _module("services.cloudwatch")
    rules = importlib.import_module("alarm_rules")
    lock = threading.RLock()

    def make(_original: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, Any]], None]:
        def evaluate(alarm: dict[str, Any]) -> None:
            if alarm.get("MetricName"):
                with lock:
                    transition(alarm)

        return evaluate

    def transition(alarm: dict[str, Any]) -> None:
        rule = rules.AlarmRule.from_description(alarm)
        key = (rule.namespace, rule.metric, watch._dims_key(dict(rule.dimensions)))  # noqa: SLF001
        samples = [rules.Sample(point["Timestamp"], point["Value"]) for point in list(watch._metrics.get(key, ()))]  # noqa: SLF001
        before = alarm["StateValue"]
        state, reason = rules.state_at(rule, samples, time.time(), before)
        if state != before:
            alarm.update(StateValue=state, StateReason=reason, StateUpdatedTimestamp=int(time.time()))
            watch._record_history(alarm["AlarmName"], before, state, reason)  # noqa: SLF001
            watch._dispatch_alarm_actions(alarm, before, state, reason)  # noqa: SLF001
            watch._evaluate_parent_alarms(alarm)  # noqa: SLF001

    _replace(watch, "_evaluate_alarm", make)
    threading.Thread(target=_evaluate_again_and_again, args=(watch,), daemon=True).start()


def _evaluate_again_and_again(watch: ModuleType) -> None:
    """Evaluate every alarm once a second, because data that stays away changes states too."""
    pause = threading.Event()
    while not pause.wait(1.0):
        watch._evaluate_all_alarms()  # noqa: SLF001


def _published_versions() -> None:
    """Start the text that was published as a version, where a version or an alias is named; and say so of the execution."""
    states = _module("services.stepfunctions")
    versions, aliases, machines = (getattr(states, f"_state_machine{name}") for name in ("_versions", "_aliases", "s"))

    def make_start(original: Answering) -> Answering:
        def start(data: dict[str, Any]) -> Answer:
            arn = data.get("stateMachineArn", "")
            routes = (aliases.get(arn) or {}).get("routingConfiguration") or []
            arn = max(routes, key=lambda route: route.get("weight", 0))["stateMachineVersionArn"] if routes else arn
            version = versions.get(arn)
            if version is None:
                return original(data)
            base = machines[version["stateMachineArn"]]
            machines[arn] = {**base, "stateMachineArn": arn, "definition": version["definition"]}
            return original({**data, "stateMachineArn": arn})

        return start

    def make_describe(original: Answering) -> Answering:
        def describe(data: dict[str, Any]) -> Answer:
            status, headers, body = original(data)
            answer = json.loads(body)
            version = versions.get(answer.get("stateMachineArn", ""))
            if version is None:
                return status, headers, body
            named = {"stateMachineVersionArn": answer["stateMachineArn"], "stateMachineArn": version["stateMachineArn"]}
            said: Answer = states.json_response(answer | named)
            return said

        return describe

    _replace(states, "_start_execution", make_start)
    _replace(states, "_describe_execution", make_describe)


REPAIRS: tuple[Repair, ...] = (
    Repair("bare interpreter", "a function must find only what its zip and layers carry", _bare_interpreter),
    Repair(
        "exception names", "the state machine matches on class names; a failed function keeps its environment", _exception_names
    ),
    Repair("parallel groups", "the control lane works on ten symbols at a time, one message a symbol", _parallel_groups),
    Repair("layers unzipped once", "a worker must not spend seconds and disk on layers another has unzipped", _unzip_layers_once),
    Repair("published versions", "a version must run its own text, and its runs must name it", _published_versions),
    Repair("composite alarms", "the template's composite alarm must exist to be proven", _composite_alarms),
    Repair("alarm evaluation", "an alarm must look at its own dimensions and periods, and at missing data", _alarm_evaluation),
)


def apply_all() -> None:
    """Apply every repair. Raises RepairRefused when one does not fit this emulator."""
    for repair in REPAIRS:
        repair.apply()
