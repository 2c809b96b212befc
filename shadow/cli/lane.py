"""Business Unit: command line | Status: current.

Writing and checking the file that describes a lane: a first draft from an execution, and field by field what a file reads of one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from shadow.cli.output import BadInput, ExitCode, escape, print_json, read_whole, say
from shadow.compare.policy import Policy, default_policy
from shadow.contracts.outcome import RunOutcome
from shadow.contracts.vocabulary import Lane, Role, Side
from shadow.lanes.declared import read_with_words
from shadow.lanes.lane_file import TRADE_FIELDS, LaneFile
from shadow.lanes.records import EACH, as_json, leaves, values_at

_NAMES: Mapping[str, tuple[str, ...]] = {
    "symbol": ("symbol", "ticker", "instrument", "code"),
    "action": ("action", "side", "direction"),
    "status": ("status", "state", "order_status"),
    "key": ("trade_id", "client_ref", "reference", "id"),
    "planned_amount": ("trade_amount", "target_usd", "usd_target", "planned_amount", "notional"),
    "asked_quantity": ("requested_qty", "quantity_requested", "asked_quantity", "qty_wanted", "qty"),
    "filled_quantity": ("filled_qty", "filled_quantity", "quantity"),
    "average_price": ("avg_fill_price", "filled_avg_price", "average_price", "avg_px", "fill_price", "price"),
    "value": ("filled_usd", "total_value", "value"),
    "order_id": ("order_id", "broker_order_id"),
}
_FIELDS = {"intent.quantity": "asked_quantity", "intent.decision_price": "decision_price"}
_EPOCH, _LATEST = datetime(1970, 1, 1, tzinfo=UTC), 100_000_000_000
_ENDS = {
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionAborted": "ABORTED",
    "ExecutionTimedOut": "TIMED_OUT",
}


def first_lane_file(history: Path) -> str:
    """Write a first lane file from an execution's output. Raises `BadInput` where there is none to read."""
    describe, events = _execution(history)
    output = as_json(str(describe.get("output")))
    if not isinstance(output, Mapping | list):
        raise BadInput(f"{history}: expected an execution that succeeded, with its output; {_ending(describe, events)}")
    found = dict(leaves(output))
    root, guessed = _guessed(found)
    read = {f"{root}.{path}" for path in guessed.values()}
    no_list = f"  # not found: the path of the list of trades, with {EACH}. Did this execution trade?"
    lines = [
        'schema = "shadow.lane/1"',
        'name = "my-lane"',
        'numbers = "string|number"',
        "",
        "[input]  # left: a path in the workflow's input; right: a field of the plan",
        'plan_id = "plan_id"',
        'trades = "trades"  # right: the path of the list of trades in the workflow\'s input',
        "[input.trade]",
        'symbol = "symbol"',
        'side = "action"',
        'amount = "trade_amount"',
        "",
        "[run]",
        'from = "execution.output"',
        "",
    ]
    lines += ["[trades]", 'from = "execution.output"', f"root = {_quoted(root)}{'' if root else no_list}"]
    for name, path in guessed.items():
        words = f'{{ at = {_quoted(path)}, map = "{name}" }}' if name in ("action", "status") else _quoted(path)
        lines.append(f"{name} = {words}")
    lines += [
        f'# {name} = ""  # not found: its path in one trade' for name in ("symbol", "action", "status") if name not in guessed
    ]
    for name in ("action", "status"):
        met = sorted({str(value) for value in _every(output, f"{root}.{guessed[name]}")}) if name in guessed else []
        lines += ["", f"[maps.{name}]  # say what each word means"] + [f'{_quoted(word)} = ""' for word in met]
    left = sorted(set(found) - read)
    lines += ["", "[unread]  # take out of this list what is to be read", "ignore = ["]
    lines += [*(f"    {_quoted(path)}," for path in left), "]"]
    return "\n".join(lines)


def _quoted(text: str) -> str:
    """Write a text as TOML does: as JSON, but for characters that JSON escapes by halves or not at all."""
    whole = text.encode(errors="replace").decode()
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")


def _guessed(found: Mapping[str, object]) -> tuple[str, dict[str, str]]:
    """Guess the list of trades, by which most fields are found in each of its rows, and these fields' paths in a row."""
    best: tuple[str, dict[str, str]] = ("", {})
    for root in sorted(
        {path[: path.rindex(EACH)] + EACH for path in found if EACH in path}, key=lambda root: (root.count(EACH), root)
    ):
        each = sorted(path.removeprefix(f"{root}.") for path in found if path.startswith(f"{root}."))
        plain = {path: [_plain(step) for step in path.split(".")] for path in each if EACH not in path}
        guessed = {}
        for name, words in _NAMES.items():
            ways = [path for word in words for path in plain if plain[path][-1] == _plain(word)]
            ways += [path for word in words for path in plain if _plain(word) in plain[path]]
            if ways:
                guessed[name] = ways[0]
        if len(guessed) > len(best[1]):
            best = (root, guessed)
    return best


def _ending(describe: Mapping[str, object], events: list[Mapping[str, object]]) -> str:
    """Say how far a history goes."""
    return f"it is {describe.get('status')}, and its history of {len(events)} events ends with {events[-1].get('type')}"


def check_lane_file(file: Path, history: Path | None, policy: Path | None, *, in_json: bool) -> ExitCode:
    """Show what a lane file reads of its examples and of a history; DIVERGED where anything is missing. Raises `BadInput`."""
    lane = LaneFile.read(read_whole(file), str(file))
    faults = _faults_of_examples(lane, file.parent)
    outcome: RunOutcome | None = None
    if history is not None:
        outcome = _read(lane, history)[0]
        describe, events = _execution(history)
        if describe.get("status") not in _ENDS.values():
            faults.append(f"{history}: {_ending(describe, events)}: wait until it has ended, and fetch all pages")
        faults += [f"{history}: {gap.what}: {gap.reason}" for gap in outcome.gaps]
        faults += [f"{history}: {violation}" for violation in outcome.violations]
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


def _show(lane: LaneFile, outcome: RunOutcome | None, faults: list[str]) -> None:
    say(f"{escape(lane.name)} {lane.digest[:16]}")
    for trade in outcome.trades if outcome is not None else ():
        told = {name: _told(value) for name, value in trade.to_wire().items() if value not in (None, [])}
        say(f"  {escape(trade.symbol)}: " + escape(", ".join(f"{name} {value}" for name, value in told.items())))
        missing = [name for name in lane.trades.fields if name in told and told[name] is None]
        if missing:
            say(f"    not there: {escape(', '.join(missing))}")
    for fault in faults:
        say(f"[red]missing[/red] {escape(fault)}")


def _told(value: object) -> object:
    """Leave out of a value what is not known of it."""
    if isinstance(value, Mapping):
        return {name: _told(inner) for name, inner in value.items() if inner is not None}
    return [_told(inner) for inner in value] if isinstance(value, list) else value


def _faults_of_demands(lane: LaneFile, policy: Policy, name: str) -> list[str]:
    """Tell of each field of a trade that must be known before a pair can match, and that the file does not read."""
    needs = policy.evidence_of(Lane.DECLARED)
    paths = dict.fromkeys((*needs.trade, *needs.completed, *needs.failed, *needs.left_alone))
    fields = [(path, _FIELDS.get(path, path)) for path in paths]
    return [
        f"trades.{field}: not read, and evidence.declared of {name} asks for {path}: pairs would be INCOMPLETE"
        for path, field in fields
        if field in TRADE_FIELDS and field not in lane.trades.fields
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
        faults += [f"example {number}: {gap.what}: {gap.reason}" for gap in outcome.gaps]
        expected = as_json(read_whole(folder / str(example.get("expect"))))
        faults += [f"example {number}: {text}" for text in _unlike(expected, as_json(json.dumps(outcome.to_wire())), "outcome")]
    every = {(name, word) for name, words in lane.maps.items() for word in words}
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
    describe, events = _execution(history)
    return read_with_words(lane, ("run", "plan"), Role.CANDIDATE, describe, events)


def _execution(path: Path) -> tuple[Mapping[str, object], list[Mapping[str, object]]]:
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
    if not isinstance(moment, int | Decimal) or not 0 <= moment < _LATEST:
        return event
    return {**event, "timestamp": (_EPOCH + timedelta(microseconds=int(moment * 1_000_000))).isoformat()}


def _every(document: object, path: str) -> list[object]:
    found = values_at(document, path)
    return [value for value in found if isinstance(value, str | Decimal | int)] if isinstance(found, list) else []


def _plain(name: str) -> str:
    return name.replace("_", "").replace("-", "").lower()
