"""Business Unit: command line | Status: current.

Writing a first draft of the file that describes a lane, from an execution: what is guessed by names and values, and what is left.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from shadow.cli.lane import ending_of, execution_in, shortened
from shadow.cli.output import BadInput
from shadow.contracts.vocabulary import RunStatus, Side, TradeStatus
from shadow.lanes.declared import word_of
from shadow.lanes.lane_file import MOMENTS, MUST, NAME_OF_ROW, NUMBERS, PRODUCT
from shadow.lanes.paths import Each, Way, below, members, steps, unread, written
from shadow.lanes.records import ANY_NUMBER, Unreadable, as_json, instant_of, is_symbol, number_of
from shadow.lanes.workflow.history import payload_of, read_history

_NAMES: Mapping[str, tuple[str, ...]] = {
    "symbol": ("symbol", "sym", "ticker", "instrument", "code"),
    "action": ("action", "side", "direction", "buy_sell", "order_side"),
    "status": ("status", "state", "order_status", "ord_status", "trade_status"),
    "key": ("trade_id", "client_ref", "reference", "id"),
    "planned_amount": ("trade_amount", "target_usd", "usd_target", "planned_amount", "amount_usd", "notional_usd", "notional"),
    "asked_quantity": ("requested_qty", "quantity_requested", "asked_quantity", "qty_wanted", "order_qty", "qty"),
    "decision_price": ("decision_price", "decision_mid", "arrival_mid", "quote_usd", "quote", "mid"),
    "filled_quantity": ("filled_qty", "filled_quantity", "cum_qty", "executed_qty", "filled", "quantity"),
    "average_price": ("avg_fill_price", "filled_avg_price", "average_price", "avg_price", "avg_px", "fill_price", "price"),
    "value": ("filled_usd", "total_value", "value"),
    "order_id": ("order_id", "broker_order_id"),
    "started_at": ("started_at", "submitted_at", "sent_at"),
    "completed_at": ("completed_at", "finished_at", "filled_at", "done_at"),
}
_RUN_NAMES: Mapping[str, tuple[str, ...]] = {
    "plan_id": ("plan_id",),
    "correlation_id": ("correlation_id", "correlation"),
    "status": ("run_status", "status", "state", "result"),
    "started_at": _NAMES["started_at"],
    "completed_at": _NAMES["completed_at"],
}
_INPUT_NAMES = {name: _NAMES[name] for name in ("symbol", "action")} | {
    "trade_amount": (*_NAMES["planned_amount"], "amount"),
    "target_value": ("target_value",),
    "current_value": ("current_value",),
    "priority": ("priority",),
}
_MEANINGS: Mapping[str, str] = {"action": " or ".join(Side), "status": ", ".join(TradeStatus), "run_status": ", ".join(RunStatus)}
_Values = dict[str, list[object]]
_SECONDS_OF_2000, _SECONDS_OF_2100 = 946_684_800, 4_102_444_800


@dataclass(frozen=True)
class _Draft:
    """What is guessed of one document: where the trades are, and each field's path in one of them."""

    source: str
    document: object
    values: _Values
    roots: tuple[str, ...]
    other: tuple[str, ...]
    rows: _Values
    fields: dict[str, str]


def first_lane_file(history: Path) -> str:
    """Write a first lane file from an execution's output. Raises `BadInput` where there is none to read."""
    describe, events = execution_in(history)
    output = as_json(payload_of(describe, "output").text or "")
    if describe.get("status") != "SUCCEEDED" or not isinstance(output, Mapping | list):
        raise BadInput(f"{history}: expected an execution that succeeded, with its output; {ending_of(describe, events)}")
    facts = read_history(events)
    drafts = [_drafted("execution.output", output)]
    drafts += [
        _drafted(f"state.{name}", as_json(answer.text or ""))
        for name, answer in reversed(facts.outputs.items())
        if name not in facts.iterated
    ]
    best = max(drafts, key=lambda draft: len(draft.fields) if {"symbol", "status"} <= draft.fields.keys() else 0)
    run = _guessed({path: values for path, values in best.values.items() if _is_single(path)}, _RUN_NAMES)
    told = as_json(facts.input.text or "") if facts.input is not None else None
    given, more = _input_lines(_drafted("", told, _INPUT_NAMES))
    lines = ['schema = "shadow.lane/1"', 'name = "my-lane"', 'numbers = "string|number"', "", *given]
    lines += ["", "[run]", f"from = {_quoted(best.source)}"]
    lines += [_field_line(name, path, best.values[path], "run_status") for name, path in run.items()]
    lines += ["", "[trades]", *_trade_lines(best)]
    maps = {name: best.rows.get(best.fields.get(name, ""), []) for name in ("action", "status")}
    maps |= {"run_status": best.values[run["status"]]} if "status" in run else {}
    for name, met in {**maps, **more}.items():
        words = sorted({word for each in met if (word := word_of(each)) is not None})
        lines += ["", f"[maps.{name}]  # say what each word means: {_MEANINGS.get(name, _MEANINGS['action'])}"]
        lines += [f'{_quoted(word)} = ""' for word in words]
    ways = {steps(root) + steps(path) for root in best.roots for path in best.fields.values() if path != NAME_OF_ROW}
    left = dict.fromkeys(path for path, _ in unread(best.document, ways | {steps(path) for path in run.values()}) if path)
    lines += ["", "[unread]  # take out of this list what is to be read", "ignore = ["]
    lines += [*(f"    {_quoted(path)}," for path in sorted(left)), "]"]
    return "\n".join(lines)


def _trade_lines(draft: _Draft) -> list[str]:
    """Write where the trades are, and each field that was guessed with a value that it has here."""
    roots = ", ".join(map(_quoted, draft.roots))
    lines = [f"from = {_quoted(draft.source)}", f"root = {f'[{roots}]' if len(draft.roots) > 1 else roots or _quoted('')}"]
    if not draft.roots:
        written_away = any(path.endswith("ResultWriterDetails.Key") for path in draft.values)
        lines[-1] += (
            "  # not found: the results are in S3 (ResultWriter), which is not read: let the workflow answer with its trades"
            if written_away
            else "  # not found: the path of the list of trades, with [*]. Did this execution trade?"
        )
    lines += [f"# not read: {path}, which looks like trades too: the same ones, or by other names" for path in draft.other]
    lacking = [place for root in draft.roots for place in _lacking(draft.document, steps(root))]
    if lacking:
        lines.append(f'# not there: {", ".join(lacking)}. Of a Parallel take each branch, as in root = ["[0].LIST[*]", …]')
    lines += [_field_line(name, path, draft.rows.get(path, []), name) for name, path in draft.fields.items()]
    if {"filled_quantity", "average_price"} <= draft.fields.keys() and "value" not in draft.fields:
        lines.append(f'value = {{ at = "value", else = "{PRODUCT}" }}  # not found, so it is computed')
    return lines + [f'# {name} = ""  # not found: its path in one trade' for name in MUST if name not in draft.fields]


def _lacking(document: object, way: Way, place: str = "") -> list[str]:
    """Give where a way through lists and objects ends before its end."""
    for number, step in enumerate(way, 1):
        if isinstance(step, Each):
            held = members(document, step)
            below_it = [(written(place, each), inner) for each, inner in held or ()]
            return [place] if held is None else [gap for at, inner in below_it for gap in _lacking(inner, way[number:], at)]
        document, place = below(document, step), written(place, step)
    return []


def _field_line(name: str, path: str, values: list[object], words: str) -> str:
    """Write how one field is read, as its values are here, with the first of them."""
    seen = [value for value in values if value is not None]
    options = ""
    if name == "plan_id":
        options = ", required = true"
    elif name in ("action", "status"):
        options = f", map = {_quoted(words)}"
    elif name in NUMBERS:
        is_negative = any(number_of(value, ANY_NUMBER) < 0 for value in seen)
        if name == "planned_amount":
            options = "" if is_negative else ', sign_from = "action"'
        elif is_negative:
            options = ', form = "absolute"'
    elif name in MOMENTS and seen and not isinstance(seen[0], str):
        options = f', form = "{"epoch_milliseconds" if number_of(seen[0], ANY_NUMBER) > _SECONDS_OF_2100 else "epoch_seconds"}"'
    elif name in MOMENTS and any(isinstance(each, str) and datetime.fromisoformat(each).tzinfo is None for each in seen):
        options = ', zone = ""'
    value = f"{{ at = {_quoted(path)}{options} }}" if options else _quoted(path)
    return f"{name} = {value}{f'  # {_quoted(shortened(seen[0]))}' if seen else ''}"


def _input_lines(draft: _Draft) -> tuple[list[str], dict[str, list[object]]]:
    """Write how the workflow's input is made, as far as it is seen in this execution's; with the words of a map of its own."""
    singles = {path: values for path, values in draft.values.items() if _is_single(path)}
    top = _guessed(singles, {"plan_id": ("plan_id",), "correlation_id": ("correlation_id", "correlation"), "run_id": ("run_id",)})
    root = draft.roots[0] if draft.roots and steps(draft.roots[0])[-1] is Each.ELEMENT else ""
    place = root.removesuffix(Each.ELEMENT.value)
    is_seen = bool(place) and _is_single(place) and "symbol" in draft.fields
    lines = ["[input]  # left: a path in the workflow's input; right: a field of the plan"]
    lines += [f'{_quoted(path)} = "{name}"' for name, path in top.items()]
    if "plan_id" not in top:
        lines.append('"plan_id" = "plan_id"  # not found in this execution\'s input: where the plan\'s id goes')
    if not is_seen:
        lines += [
            'trades = "trades"  # not found in this execution\'s input: right: the path of the list of trades',
            "[input.trade]  # not found either: left: a path in one trade; right: its field",
            'symbol = "symbol"',
            'side = "action"',
            'amount = "trade_amount"',
        ]
        return lines, {}
    lines.append(f"trades = {_quoted(place)}  # right: the path of the list of trades in the workflow's input")
    others = [path for path in singles if path not in top.values()]
    lines += [_given(path, singles[path]) for path in others]
    sides = draft.rows.get(draft.fields.get("action", ""), [])
    more: dict[str, list[object]] = {} if {word_of(side) for side in sides} <= {*Side} else {"input_action": sides}
    lines.append("[input.trade]  # left: a path in one trade; right: its field")
    for name, path in draft.fields.items():
        is_negative = name == "trade_amount" and any(
            number_of(value, ANY_NUMBER) < 0 for value in draft.rows[path] if value is not None
        )
        source = f'"{name}"'
        if name == "action" and more:
            source = '{ from = "action", map = "input_action" }'
        elif name == "trade_amount" and not is_negative:
            source = '{ from = "trade_amount", form = "absolute" }'
        lines.append(f"{_quoted(path)} = {source}")
    lines += [_given(path, values) for path, values in draft.rows.items() if path not in draft.fields.values()]
    return lines, more


def _given(path: str, values: list[object]) -> str:
    """Write, commented out, what else the workflow was given, as a value that the file could give it."""
    value = next((value for value in values if isinstance(value, str | int)), "…")
    shown = str(value).lower() if isinstance(value, int) else _quoted(value)
    return f"# {_quoted(path)} = {{ value = {shown} }}  # was given to this execution"


def _is_single(path: str) -> bool:
    return not any(isinstance(step, Each) for step in steps(path))


def _drafted(source: str, document: object, names: Mapping[str, tuple[str, ...]] = _NAMES) -> _Draft:
    """Guess the lists of trades: the one in whose rows most fields are found, and those with others of the same form."""
    values: _Values = {}
    for path, value in _leaves(document):
        values.setdefault(path, []).append(value)
    lists: dict[str, _Values] = {}
    for path, found in values.items():
        root, rest = _split(path)
        if rest:
            lists.setdefault(root, {})[rest] = found
    guesses = {root: _guessed_of_rows(root, rows, names) for root, rows in lists.items()}

    def rank(root: str) -> tuple[int, int, int, int, str]:
        guess, longest = guesses[root], max(len(found) for found in lists[root].values())
        each = sum(isinstance(step, Each) for step in steps(root))
        return -len(guess.keys() & {*MUST}), -len(guess), -longest, each, root

    roots = sorted((root for root in lists if guesses[root]), key=rank)
    fields = guesses[roots[0]] if roots else {}
    chosen: dict[str, set[tuple[str, str]]] = {}
    for root in roots:
        trades = _trades_of(lists[root], fields)
        is_alike = all(guesses[root].get(name) == fields.get(name) for name in MUST)
        if not chosen or (is_alike and trades and not trades & set().union(*chosen.values())):
            chosen[root] = trades
    other = tuple(root for root in roots if root not in chosen and {"symbol", "status"} <= guesses[root].keys())
    rows = {
        path: [value for root in chosen for value in lists[root].get(path, [])] for path in (lists[roots[0]] if roots else ())
    }
    return _Draft(source, document, values, tuple(sorted(chosen)), other, rows, fields)


def _guessed_of_rows(root: str, rows: _Values, names: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Guess the fields of rows; where they stand by name and no symbol is in them, the name is the symbol."""
    guessed = _guessed(rows, names)
    by_name = guessed and steps(root)[-1] is Each.MEMBER and "symbol" not in guessed
    return {"symbol": NAME_OF_ROW, **guessed} if by_name else guessed


def _trades_of(rows: _Values, fields: Mapping[str, str]) -> set[tuple[str, str]]:
    """Give which trades rows are, by symbol and side, so that no list is taken that has those of another again."""
    symbols, sides = (rows.get(fields.get(name, ""), []) for name in ("symbol", "action"))
    return {(str(symbol), str(side)) for symbol, side in zip(symbols, sides, strict=False)}


def _split(path: str) -> tuple[str, str]:
    """Split a path behind the last list or object that it goes through."""
    way = steps(path)
    last = max((number for number, step in enumerate(way, 1) if isinstance(step, Each)), default=0)
    parts = ["", ""]
    for number, step in enumerate(way, 1):
        parts[number > last] = written(parts[number > last], step)
    return (parts[0], parts[1]) if last else ("", "")


def _leaves(document: object, place: str = "") -> Iterator[tuple[str, object]]:
    """Give every single value with its path, of JSON inside of JSON too; an object of objects by symbols is gone through."""
    inside = as_json(document) if isinstance(document, str) and document[:1] in ("{", "[") else document
    inside = inside if isinstance(inside, Mapping | list) else document
    if isinstance(inside, Mapping):
        by_symbol = _is_by_symbol(inside)
        for name, value in inside.items():
            yield from _leaves(value, written(place, Each.MEMBER if by_symbol else str(name)))
    elif isinstance(inside, list):
        for value in inside:
            yield from _leaves(value, written(place, Each.ELEMENT))
    elif place:
        yield place, inside


def _is_by_symbol(held: Mapping[str, object]) -> bool:
    """Tell whether an object looks like trades by symbol: each name can be one, and something like a trade stands under it."""
    rows = (
        {written("", name): [inner] for name, inner in row.items()} if isinstance(row, Mapping) else {} for row in held.values()
    )
    names = {name: _NAMES[name] for name in ("action", "status")}
    return bool(held) and all(is_symbol(str(name)) for name in held) and all(row and _guessed(row, names) for row in rows)


def _guessed(found: _Values, names: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """Guess which path is which field: by its last name, then by any word of it, where its values can be that field's."""
    ends = {path: _plain(str(steps(path)[-1])) for path in sorted(found)}
    parts = {path: [_plain(word) for step in steps(path) for word in str(step).split(".")] for path in ends}
    guessed: dict[str, str] = {}
    for is_last in (True, False):
        for name, words in names.items():
            ways = [path for word in words for path in ends if _plain(word) in ([ends[path]] if is_last else parts[path])]
            fits = (path for path in ways if path not in guessed.values() and _can_all_be(name, found[path]))
            if name not in guessed and (path := next(fits, None)):
                guessed[name] = path
    return {name: guessed[name] for name in names if name in guessed}


def _can_all_be(name: str, values: list[object]) -> bool:
    return all(_can_be(name, value) for value in values) and (name != "key" or len({*map(str, values)}) == len(values))


def _can_be(name: str, value: object) -> bool:
    """Tell whether a value can be a field's. Null can be any."""
    try:
        if value is None:
            return True
        if name in NUMBERS or name.endswith(("_amount", "_value")):
            return number_of(value, ANY_NUMBER).is_finite()
        if name in MOMENTS and not isinstance(value, str):
            return number_of(value, ANY_NUMBER) > _SECONDS_OF_2000
        if name in MOMENTS:
            return instant_of(value, "UTC") is not None
    except Unreadable:
        return False
    return isinstance(value, str) or (name not in ("symbol", "plan_id", "correlation_id") and word_of(value) is not None)


def _quoted(text: str) -> str:
    """Write a text as TOML does: as JSON, but for characters that JSON escapes by halves or not at all."""
    whole = text.encode(errors="replace").decode()
    if '"' in whole and whole.isprintable() and not {"'", "\\"} & {*whole}:
        return f"'{whole}'"
    return json.dumps(whole, ensure_ascii=False).replace("\x7f", "\\u007f")


def _plain(name: str) -> str:
    return "".join(letter for letter in name.lower() if letter not in "_-. ")
