"""Business Unit: local cloud | Status: current.

Times and concurrency that have to fit each other: a state and the function it calls, a queue and the function that polls it, and
what is reserved for a function against how often it is called at once. No emulator keeps any of it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from local.aws_rules.limits import as_list, as_mapping, at
from local.aws_rules.machine import read_machines
from local.cloud.cfn_yaml import read_template

INIT_SECONDS = 10
"""What a cold start may take before the function's own time begins; the state that waits for it counts both."""
BATCHES_IN_SIGHT = 6
"""A queue hides what was received for six times the function's time, so that a throttled poll is tried again before it counts."""
CONTRACT_QUEUES = {"ExecutionFifoQueue": "900 s by the contract of the legacy lane, one and a half times its function's 600"}
_FUNCTION_SECONDS = 30


def state_times(checkout: Path) -> list[str]:
    """Say which states stop waiting while the function they called may still be at work."""
    resources, wrong = as_mapping(read_template(checkout / "template.yaml")["Resources"]), []
    for place, state, function, _ in _calls(checkout, resources):
        needed = _seconds(resources, function) + INIT_SECONDS
        given = state.get("TimeoutSeconds")
        if not isinstance(given, int) or given < needed:
            wrong.append(f"{place}: gives up after {given} s, {function} may take {needed} s with its start")
    return wrong


def queue_times(checkout: Path) -> list[str]:
    """Say which queues show a message again before its function must have ended, or been throttled and tried again."""
    resources, wrong = as_mapping(read_template(checkout / "template.yaml")["Resources"]), []
    for function, queue, _ in _polls(resources):
        hidden = at(resources[queue], ["Properties", "VisibilityTimeout"])
        needed = _seconds(resources, function) * (1 if queue in CONTRACT_QUEUES else BATCHES_IN_SIGHT)
        if not isinstance(hidden, int) or hidden < needed:
            wrong.append(f"{queue}: hides a message for {hidden} s, {function} needs {needed} s")
    return wrong


def reservations(checkout: Path) -> list[str]:
    """Say which functions can be given fewer invocations at a time than a queue or a Map asks of them at once."""
    template = read_template(checkout / "template.yaml")
    resources, parameters = as_mapping(template["Resources"]), as_mapping(template["Parameters"])
    asked = [(function, most) for function, _, most in _polls(resources)]
    asked += [(function, most) for _, _, function, most in _calls(checkout, resources) if most]
    wrong = set()
    for function, most in asked:
        reserved = at(resources[function], ["Properties", "ReservedConcurrentExecutions"])
        for name in re.findall(r"'Ref': '(\w+)'", str(reserved)):
            takes = [kept for kept in range(1, most) if name in parameters and _takes(as_mapping(parameters[name]), kept)]
            if takes:
                wrong.add(f"{function}: {name} may be {takes[-1]}, it is called {most} times at once")
    return sorted(wrong)


def _takes(parameter: Mapping[str, object], value: int) -> bool:
    """Tell whether a parameter of the template may have `value`."""
    pattern = parameter.get("AllowedPattern")
    fits = pattern is None or re.fullmatch(str(pattern), str(value)) is not None
    return fits and float(str(parameter.get("MinValue", value))) <= value <= float(str(parameter.get("MaxValue", value)))


def _calls(checkout: Path, resources: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object], str, int]]:
    """List each state that calls a function: its place, the state, the function in the template, and how many at once."""
    texts = read_machines(checkout)
    for resource in resources.values():
        properties = as_mapping(as_mapping(resource).get("Properties"))
        name = str(properties.get("DefinitionUri", "")).rpartition("/")[2]
        if name in texts:
            meant = {key: _logical(value) for key, value in as_mapping(properties.get("DefinitionSubstitutions")).items()}
            for state, body, most in _states(json.loads(texts[name]), 0):
                called = re.fullmatch(r"\$\{(\w+FunctionArn)\}", str(body.get("Resource")))
                if called:
                    yield f"{name}, state {state}", body, meant[called[1]], most


def _states(machine: Mapping[str, object], most: int) -> Iterator[tuple[str, Mapping[str, object], int]]:
    for name, body in as_mapping(machine.get("States")).items():
        yield name, as_mapping(body), most
        inner = as_mapping(body).get("ItemProcessor")
        at_once = as_mapping(body).get("MaxConcurrency")
        yield from _states(as_mapping(inner), at_once if isinstance(at_once, int) else 0)


def _polls(resources: Mapping[str, object]) -> Iterator[tuple[str, str, int]]:
    """List each function that a queue calls: both names in the template, and how many at once."""
    for function, resource in resources.items():
        for event in as_mapping(at(resource, ["Properties", "Events"])).values():
            if as_mapping(event).get("Type") == "SQS":
                most = at(event, ["Properties", "ScalingConfig", "MaximumConcurrency"])
                yield function, _logical(at(event, ["Properties", "Queue"])), most if isinstance(most, int) else 0


def _seconds(resources: Mapping[str, object], function: str) -> int:
    seconds = at(resources[function], ["Properties", "Timeout"])
    return seconds if isinstance(seconds, int) else _FUNCTION_SECONDS


def _logical(value: object) -> str:
    """Give the logical id that `Ref` or `Fn::GetAtt` names."""
    inner = next(iter(as_mapping(value).values()), "")
    return str(as_list(inner)[0] if isinstance(inner, list) else inner).split(".", maxsplit=1)[0]
