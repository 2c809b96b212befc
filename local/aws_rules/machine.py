"""Business Unit: local cloud | Status: current.

What Step Functions refuses in a definition that moto, the emulator and cfn-lint accept, and the opinion of a second validator.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

_SECONDS = 60
_NAME_CHARACTERS = 80
_THROTTLED, _LONGEST_CALL_SECONDS = "Lambda.TooManyRequestsException", 330
_STAND_IN = "arn:aws:lambda:us-east-1:123456789012:function:any"

STATELINT_DOES_NOT_KNOW = {
    r"BackoffRate is \d+ but should be a Float": "JSON has one kind of number; the service takes 2 as 2.0",
    r"ToleratedFailurePercentage is 100\.0 but should be an Integer": "a float by the specification; moto reads nothing else",
    r'Field "Label" not allowed in State Machine\.States\.\w+$': "a Distributed Map has a label since 2022",
    r'Field "InputType" not allowed in State Machine\.States\.\w+\.ItemReader\.ReaderConfig$': "so the reader's format is told",
}
"""What statelint reports and is right all the same: a pattern over its line, and why."""


def states_of(machine: Mapping[str, object]) -> Iterator[tuple[str, Mapping[str, object]]]:
    """List every state of `machine` with its name, the insides of Maps and Parallels included."""
    states = machine.get("States")
    for name, state in states.items() if isinstance(states, Mapping) else ():
        yield str(name), state
        branches = state.get("Branches", [])
        for inner in (state.get("ItemProcessor"), state.get("Iterator"), *branches):
            if isinstance(inner, Mapping):
                yield from states_of(inner)


def repeated_names(text: str) -> list[str]:
    """Say which state names the definition `text` uses more than once, in one list of states or in several."""
    twice_in_one_object: list[str] = []

    def pairs(items: list[tuple[str, object]]) -> dict[str, object]:
        twice_in_one_object.extend(key for key, count in Counter(key for key, _ in items).items() if count > 1)
        return dict(items)

    machine = json.loads(text, object_pairs_hook=pairs)
    counted = Counter(name for name, _ in states_of(machine))
    twice = {*twice_in_one_object, *(name for name, count in counted.items() if count > 1)}
    return [f"state {name}: the name stands more than once in the machine" for name in sorted(twice)]


def long_names(text: str) -> list[str]:
    """Say which state names are longer than 80 characters."""
    names = [name for name, _ in states_of(json.loads(text))]
    return [f"state {name}: {len(name)} characters, at most {_NAME_CHARACTERS}" for name in names if len(name) > _NAME_CHARACTERS]


def unreachable_catchers(text: str) -> list[str]:
    """Say where `States.ALL` stands beside another error or before another catcher or retrier."""
    wrong = []
    for name, state in states_of(json.loads(text)):
        for kind in ("Retry", "Catch"):
            given = state.get(kind, [])
            rules = given if isinstance(given, list) else []
            for place, rule in enumerate(rules):
                errors = rule["ErrorEquals"]
                if "States.ALL" in errors and (len(errors) > 1 or place != len(rules) - 1):
                    wrong.append(f"state {name}: States.ALL must stand alone and last in {kind}")
    return wrong


def impatient_with_throttles(text: str) -> list[str]:
    """Say which states that call a function give up on a throttled call before other calls can have ended.

    A throttled call did nothing, so waiting is all there is to do; jitter waits half of the longest time on average.
    """
    wrong = []
    for name, state in states_of(json.loads(text)):
        given = state.get("Retry", [])
        waited = sum(_mean_wait(rule) for rule in (given if isinstance(given, list) else []) if _THROTTLED in rule["ErrorEquals"])
        if str(state.get("Resource", "")).endswith("FunctionArn}") and waited < _LONGEST_CALL_SECONDS:
            wrong.append(f"state {name}: waits {waited:.0f} s for a throttled call, another may take {_LONGEST_CALL_SECONDS}")
    return wrong


def _mean_wait(rule: Mapping[str, float]) -> float:
    first, most, rate = rule["IntervalSeconds"], rule.get("MaxDelaySeconds", float("inf")), rule["BackoffRate"]
    return sum(min(first * rate**attempt, most) for attempt in range(int(rule["MaxAttempts"]))) / 2


def statelint(text: str) -> list[str]:
    """Ask statelint about the definition `text`, its substitutions filled in, and leave out what it does not know.

    Raises RuntimeError when statelint cannot be run: no opinion is not a good one.
    """
    filled = re.sub(r"\$\{\w+\}", _STAND_IN, text)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        file.write(filled)
        file.flush()
        command = [sys.executable, "-m", "statelint", file.name]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)  # noqa: S603 - our own interpreter
    lines = [line.strip() for line in done.stdout.splitlines() if line.startswith(" ")]
    if done.returncode not in (0, 1) or done.stderr.strip() or (done.returncode == 1 and not lines):
        raise RuntimeError(f"statelint gave no opinion (exit {done.returncode}): {done.stderr.strip()[-500:]}")
    return [f"statelint: {line}" for line in lines if not any(re.search(known, line) for known in STATELINT_DOES_NOT_KNOW)]


def read_machines(checkout: Path) -> dict[str, str]:
    """Read the text of every state machine that the template deploys, by the name of its file."""
    return {path.name: path.read_text() for path in sorted((checkout / "statemachines").glob("*.asl.json"))}
