"""Business Unit: command line | Status: current.

Checking the file that describes a lane: field by field what it reads of an execution, and what is missing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from shadow.cli.output import BadInput, ExitCode, escape, print_json, read_whole, say
from shadow.compare.policy import Policy, default_policy
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import Lane, Role, Side
from shadow.lanes.declared import read_with_words
from shadow.lanes.lane_file import TRADE_FIELDS, LaneFile, Part
from shadow.lanes.paths import steps
from shadow.lanes.records import Unreadable, as_json, epoch_of
from shadow.lanes.redaction import REDACTED, is_secret
from shadow.lanes.workflow.history import payload_of

_INSIDE = {"asked_quantity": ("intent", "quantity"), "decision_price": ("intent", "decision_price")}
_INSIDE |= {f"{name}_trades": ("counters", name) for name in ("total", "succeeded", "failed", "skipped")}
_MOST_SHOWN = 40
_ENDS = {
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionAborted": "ABORTED",
    "ExecutionTimedOut": "TIMED_OUT",
}


def shortened(value: object) -> str:
    """Give the beginning of a value, as it can be shown."""
    text = str(value)
    return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}…"


def ending_of(describe: Mapping[str, object], events: list[Mapping[str, object]]) -> str:
    """Say how far a history goes."""
    if describe.get("status") == "SUCCEEDED":
        if payload_of(describe, "output").text is None:
            return "its output is not in the file, or is cut off there: fetch it with --include-execution-data, not from a log"
        return f"its output is {shortened(describe.get('output'))}"
    return f"it is {describe.get('status')}, and its history of {len(events)} events ends with {events[-1].get('type')}"


def check_lane_file(file: Path, history: Path | None, policy: Path | None, *, in_json: bool) -> ExitCode:
    """Show what a lane file reads of its examples and of a history; DIVERGED where anything is missing. Raises `BadInput`."""
    lane = LaneFile.read(read_whole(file), str(file))
    faults = _faults_of_examples(lane, file.parent)
    outcome: RunOutcome | None = None
    if history is not None:
        outcome = _read(lane, history)[0]
        describe, events = execution_in(history)
        if describe.get("status") not in _ENDS.values():
            faults.append(f"{history}: {ending_of(describe, events)}: wait until it has ended, and fetch all pages")
        faults += [f"{history}: {gap.what}: {gap.reason}{_hint(gap.reason)}" for gap in outcome.gaps]
        faults += [f"{history}: {violation}" for violation in outcome.violations]
        faults += [f"{history}: {fault}" for fault in _faults_of_signs(outcome)]
    faults += _faults_of_secrets(lane)
    faults += _faults_of_input(lane)
    rules = default_policy() if policy is None else Policy.read(read_whole(policy), str(policy))
    faults += _faults_of_demands(lane, rules, "the default policy" if policy is None else str(policy))
    if policy is not None:
        lacking = rules.own.keys() - lane.run.own.keys() - lane.trades.own.keys()
        faults += [f"{policy}: own.{name}: the policy compares it, and {file} has no such field" for name in sorted(lacking)]
    document = {"name": lane.name, "sha256": lane.digest, "faults": faults, "read": outcome.to_wire() if outcome else None}
    if in_json:
        print_json(document)
    else:
        _show(lane, outcome, faults)
    return ExitCode.DIVERGED if faults else ExitCode.FINE


def _hint(reason: str) -> str:
    """Say what can stand in for a value that is not there, where there is always a row without it."""
    for told in ("null", "absent"):
        if reason.endswith(f"expected a value, was {told}"):
            return f" (when_{told} says what it means where that is usual)"
    return ""


def _show(lane: LaneFile, outcome: RunOutcome | None, faults: list[str]) -> None:
    say(f"{escape(lane.name)} {lane.digest[:16]}")
    if outcome is not None:
        _show_part("run", lane.run, outcome.to_wire())
        for trade in outcome.trades:
            _show_part(trade.symbol, lane.trades, trade.to_wire())
    for fault in faults:
        say(f"[red]missing[/red] {escape(fault)}")


def _show_part(name: str, part: Part, wire: Mapping[str, object]) -> None:
    """Show what was read by each field of a part, and which of them are not there."""
    below_it = {field: held for field in ("counters", "intent") if isinstance(held := wire.get(field), Mapping)}
    told: dict[str, object] = {}
    for field in part.fields:
        inner = _INSIDE.get(field)
        told[field] = below_it.get(inner[0], {}).get(inner[1]) if inner else wire.get({"key": "trade_id"}.get(field, field))
    own = wire.get("own")
    held = [each for each in own if isinstance(each, Mapping)] if isinstance(own, list) else []
    if told.get("key") == f"{wire.get('symbol')}:{wire.get('action')}":  # made of them where the row has no key of its own
        told["key"] = None
    told |= {f"own.{field}": next((each.get("text") for each in held if each.get("name") == field), None) for field in part.own}
    shown = ", ".join(f"{field} {value}" for field, value in told.items() if value is not None)
    say(f"  {escape(name)}: {escape(shown)}")
    missing = [field for field, value in told.items() if value is None]
    if missing:
        say(f"    not there: {escape(', '.join(missing))}")


def _faults_of_demands(lane: LaneFile, policy: Policy, name: str) -> list[str]:
    """Tell of each field of a trade that must be known before a pair can match, and that the file does not read."""
    needs = policy.evidence_of(Lane.DECLARED)
    paths = dict.fromkeys((*needs.trade, *needs.completed, *needs.failed, *needs.left_alone))
    names = {".".join(place): name for name, place in _INSIDE.items()}
    fields = [(path, names.get(path, path)) for path in paths]
    return [
        f"trades.{field}: not read, and evidence.declared of {name} asks for {path}: pairs would be INCOMPLETE"
        for path, field in fields
        if field in TRADE_FIELDS and field not in lane.trades.fields
    ]


def _faults_of_signs(outcome: RunOutcome) -> list[str]:
    """Tell of each planned amount whose sign is not its side's: a plan's amount is below zero for a SELL."""
    return [
        f"trades.planned_amount: expected {'less' if trade.action is Side.SELL else 'more'} than zero for a {trade.action}, was "
        f'{trade.planned_amount} ({trade.symbol}); sign_from = "action" takes the sign from the side'
        for trade in outcome.trades
        if trade.planned_amount and (trade.planned_amount < 0) is not (trade.action is Side.SELL)
    ]


def _faults_of_secrets(lane: LaneFile) -> list[str]:
    """Tell of each field that stands where secrets do: a pair would have what evidence has instead."""
    parts = {"run": lane.run, "trades": lane.trades}
    fields = {f"{name}.{field}": spec.at for name, part in parts.items() for field, spec in part.fields.items()}
    fields |= {f"{name}.own.{field}": spec.at for name, part in parts.items() for field, spec in part.own.items()}
    return [
        f"{name}: what is called {at} is taken out of evidence as a secret: pairs would have {REDACTED} there"
        for name, at in fields.items()
        if any(is_secret(step) for step in steps(at))
    ]


def _faults_of_input(lane: LaneFile) -> list[str]:
    """Tell of each side that the lane's input has no word for, or more than one."""
    each = lane.input.get("trade")
    sources = each.items() if isinstance(each, Mapping) else ()
    maps = [(path, str(source["map"])) for path, source in sources if isinstance(source, Mapping) and "map" in source]
    faults = []
    for path, name in maps:
        for side in Side:
            words = [word for word, meaning in lane.maps[name].items() if meaning == side]
            if len(words) != 1:
                found = "no word" if not words else f"the words {', '.join(words)}"
                faults.append(
                    f"input.trade.{path}: maps.{name} has {found} for {side}; the input needs one: give it a map of its own"
                )
    return faults


def _faults_of_examples(lane: LaneFile, folder: Path) -> list[str]:
    """Read every example by the file: each is read as it expects, and together they hit every word of every map."""
    met: set[tuple[str, str]] = set()
    faults: list[str] = []
    for number, example in enumerate(lane.examples):
        outcome, words = _read(lane, folder / str(example.get("input")))
        met |= words
        faults += [f"example {number}: {gap.what}: {gap.reason}{_hint(gap.reason)}" for gap in outcome.gaps]
        told = folder / str(example.get("expect"))
        expected = as_json(read_whole(told))
        if not isinstance(expected, Mapping):
            raise BadInput(f"{told}: expected a JSON object, the `read` of `lane check --json` or a part of it")
        faults += [f"example {number}: {text}" for text in _unlike(expected, as_json(json.dumps(outcome.to_wire())), "outcome")]
    fields = (*lane.run.fields.values(), *lane.run.own.values(), *lane.trades.fields.values(), *lane.trades.own.values())
    read = {spec.map for spec in fields}
    every = {(name, word) for name, words in lane.maps.items() for word in words if name in read}
    add = "" if lane.examples else ", there is none: give files input and expect in [[examples]]"
    faults += [f"maps.{name}.{word}: no example has this word{add}" for name, word in sorted(every - met)]
    return faults


def _unlike(expected: object, found: object, place: str) -> list[str]:
    """Tell where what was read is not what was expected; only what is expected is looked at."""
    if isinstance(expected, Mapping) and isinstance(found, Mapping):
        return [text for name, value in expected.items() for text in _unlike(value, found.get(name), f"{place}.{name}")]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [text for number, value in enumerate(expected) for text in _unlike(value, found[number], f"{place}[{number}]")]
    return [] if expected == found else [f"{place}: expected {expected!r:.80}, was {found!r:.80}"]


def _read(lane: LaneFile, history: Path) -> tuple[RunOutcome, set[tuple[str, str]]]:
    describe, events = execution_in(history)
    return read_with_words(lane, ("run", "plan"), Role.CANDIDATE, describe, events)


def execution_in(path: Path) -> tuple[Mapping[str, object], list[Mapping[str, object]]]:
    """Give what DescribeExecution would answer, from the events or the file's own `describe`, and the events."""
    value = as_json(read_whole(path))
    events = value.get("events") if isinstance(value, Mapping) else None
    if not isinstance(events, list) or not events or not all(isinstance(event, Mapping) for event in events):
        raise BadInput(f"{path}: expected an object with a list of events, as get-execution-history answers")
    events = [_dated(event) for event in events]
    events = sorted(events, key=lambda event: number if isinstance(number := event.get("id"), int) else 0)
    last = events[-1]
    details = next(
        (found for name, found in last.items() if str(name).endswith("EventDetails") and isinstance(found, Mapping)), {}
    )
    described = value.get("describe") if isinstance(value, Mapping) else None
    status = _ENDS.get(str(last.get("type")), "RUNNING")
    return {"status": status, **details, **(described if isinstance(described, Mapping) else {})}, events


def _dated(event: Mapping[str, object]) -> Mapping[str, object]:
    """Write a moment as the older AWS CLI gives it, in seconds of the epoch, as the newer one does."""
    moment = event.get("timestamp")
    if isinstance(moment, str):
        return event
    try:
        return {**event, "timestamp": epoch_of(moment, "epoch_seconds").isoformat()}
    except Unreadable:
        return event
