"""Business Unit: lanes | Status: current.

A lane that a file describes: an execution is read into an outcome as the file says. There is no expression language: a field is a
path, with a closed map for its words and a few named forms. A word that no map has makes the run INCOMPLETE and is named; a value
that is neither read nor listed as unread is contract drift.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Context, Decimal

from shadow.contracts.control_records import ExecutionStatus
from shadow.contracts.errors import FieldFault, InvalidPayload
from shadow.contracts.model import MAX_SIGNIFICANT_DIGITS, is_unicode
from shadow.contracts.outcome import Gap, Intent, OrderRecord, OwnField, RunCounters, RunOutcome, TradeOutcome
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane, Reason, Role, RunStatus, Side, TradeStatus
from shadow.lanes.lane_file import COUNTS, MOMENTS, NUMBERS, PRODUCT, WORDS, FieldSpec, LaneFile, Part, text_or_none
from shadow.lanes.paths import Each, Step, Way, below, is_listed, members, named, steps, unread, value_at, written
from shadow.lanes.records import (
    ABSENT,
    Unreadable,
    as_json,
    as_moment,
    epoch_of,
    instant_of,
    is_identifier,
    is_symbol,
    number_of,
    own_field,
)
from shadow.lanes.workflow.history import (
    HistoryFacts,
    function_versions,
    gaps_in,
    mapping_in,
    payload_of,
    read_history,
    status_of,
    version_of,
)

MAX_SHOWN = 40
_WRITABLE = Context(prec=MAX_SIGNIFICANT_DIGITS)
_ENDS = {
    ExecutionStatus.FAILED: RunStatus.FAILED,
    ExecutionStatus.TIMED_OUT: RunStatus.TIMED_OUT,
    ExecutionStatus.ABORTED: RunStatus.ABORTED,
}
_IDS = ("key", "order_id")
_MOST_NAMED = 12


def word_of(value: object) -> str | None:
    """Give what a map of words has for a value: a text as it is, a whole number or a truth value as JSON writes it."""
    if isinstance(value, bool | int):
        return str(value).lower()
    return value if isinstance(value, str) else None


def _told(found: object) -> str:
    return str(found) if isinstance(found, Decimal) else f"{found!r:.60}"


@dataclass
class _Reading:
    """One reading of one execution: what is missing or against the file, on the way, and which words were met."""

    lane: LaneFile
    gaps: list[Gap] = field(default_factory=list)
    violations: set[str] = field(default_factory=set)
    words: set[tuple[str, str]] = field(default_factory=set)

    def value(self, name: str, spec: FieldSpec, record: object, where: str) -> object:
        """Read a field of a record; None where it is null or absent and may be, or cannot be read (which is a gap)."""
        found = self.found(spec, record, where)
        if found is None or found is ABSENT:
            return None
        try:
            return self.typed(name, spec, found)
        except Unreadable as error:
            self.gap(where, f"{spec.at}: expected {error}, was {_told(found)}")
            return None

    def found(self, spec: FieldSpec, record: object, where: str) -> object:
        """Give what stands at a field's path, or stands in for its null; a gap where it must be there and is not."""
        found = value_at(record, spec.at)
        stand_in = spec.when_null if found is None else spec.when_absent if found is ABSENT else None
        found = found if stand_in is None else stand_in
        if spec.required and (found is None or found is ABSENT):
            self.gap(where, f"{spec.at}: expected a value, was {'null' if found is None else 'absent'}")
        return found

    def own(self, specs: Mapping[str, FieldSpec], record: object, where: str) -> tuple[OwnField, ...]:
        """Read a record's fields of the user's own; one that cannot be read is a gap and left out."""
        fields = []
        for name, spec in specs.items():
            found = self.found(spec, record, where)
            try:
                if found is not None and found is not ABSENT and spec.map is not None:
                    found = self.typed(f"own.{name}", FieldSpec(spec.at, map=spec.map), found)
                fields.append(own_field(name, found, spec.type, self.lane.numbers, spec.zone))
            except Unreadable as error:
                self.gap(where, f"own.{name}: {spec.at}: expected {error}, was {_told(found)}")
        return tuple(fields)

    def gap(self, where: str, reason: str) -> None:
        self.gaps.append(Gap(what=where, reason=reason))

    def typed(self, name: str, spec: FieldSpec, found: object) -> object:
        if spec.map is not None:
            words, word = self.lane.maps[spec.map], word_of(found)
            if word is None or word not in words:
                raise Unreadable(f"a word of {spec.map} ({', '.join(sorted(words))})")
            self.words.add((spec.map, word))
            found = words[word]
        if name in NUMBERS:
            number = number_of(found, self.lane.numbers)
            return abs(number) if spec.form == "absolute" else number
        if name in MOMENTS:
            return epoch_of(found, spec.form) if spec.form else instant_of(found, spec.zone)
        if name in COUNTS:
            if isinstance(found, int) and not isinstance(found, bool) and found >= 0:
                return found
            raise Unreadable("a whole number, zero or more")
        if name in _IDS and isinstance(found, int) and not isinstance(found, bool):
            return str(found)
        if not isinstance(found, str) or not is_unicode(found):
            raise Unreadable("a text")
        kind = WORDS.get(name)
        if kind is not None and found not in kind.__members__:
            raise Unreadable(" or ".join(kind))
        return found


def read_declared(
    lane: LaneFile, names: tuple[str, str], role: Role, describe: Mapping[str, object], history: Iterable[Mapping[str, object]]
) -> RunOutcome:
    """Read an execution of the lane, whose run and plan id are `names`, into an outcome. What cannot be read is a gap."""
    return read_with_words(lane, names, role, describe, history)[0]


def read_with_words(
    lane: LaneFile, names: tuple[str, str], role: Role, describe: Mapping[str, object], history: Iterable[Mapping[str, object]]
) -> tuple[RunOutcome, set[tuple[str, str]]]:
    """Read as `read_declared` does; beside the outcome stand the words that were met, as (map, word)."""
    reading = _Reading(lane)
    facts = read_history(history)
    ended = status_of(describe)
    reading.gaps += gaps_in(facts, describe)

    (top, first), (rows_in, second) = (_document(reading, part, describe, facts) for part in (lane.run, lane.trades))
    record = None if top is None else value_at(top, lane.run.roots[0])
    if top is not None and lane.run.fields and not isinstance(record, Mapping):
        reading.gap(f"{lane.name} run", f"{lane.run.roots[0] or first}: expected an object, was {_kind(record)}")
    run = {name: reading.value(name, spec, record, f"{lane.name} run") for name, spec in lane.run.fields.items()}
    trades = _trades(reading, rows_in)
    _note_drift(reading, (top, first, lane.run), (rows_in, second, lane.trades))
    outcome = RunOutcome(
        role=role,
        lane=Lane.DECLARED,
        lane_name=lane.name,
        run_id=names[0],
        plan_id=_identifier(reading, run, "plan_id") or names[1],
        correlation_id=_identifier(reading, run, "correlation_id"),
        status=_run_status(lane, run, ended, describe, reading),
        raw_status=_shown(value_at(record, lane.run.fields["status"].at))
        if "status" in run and record is not None
        else str(describe.get("status")),
        terminal_state=facts.terminal_state or facts.last_state,
        failure_reason=run.get("failure_reason") or text_or_none(describe.get("cause")),
        failure_step=run.get("failure_step"),
        equity_limit=_not_negative(reading, run, "equity_limit"),
        counters=_counters(run),
        trades=trades,
        started_at=run.get("started_at") or as_moment(describe.get("startDate")),
        completed_at=run.get("completed_at") or as_moment(describe.get("stopDate")),
        state_transitions=facts.transitions,
        redrive_count=facts.redrives,
        version=version_of(describe),
        functions=function_versions(facts),
        own=reading.own(lane.run.own, record, f"{lane.name} run"),
        violations=tuple(sorted(reading.violations)),
        gaps=tuple(dict.fromkeys(reading.gaps)),
    )
    return outcome, reading.words


def _document(reading: _Reading, part: Part, describe: Mapping[str, object], facts: HistoryFacts) -> tuple[object, str]:
    """Give the document that a part is read from, of its sources the first that there is, and its name; None with a gap."""
    texts = {"execution.output": payload_of(describe, "output").text, "execution.cause": describe.get("cause") or facts.cause}
    texts |= {f"state.{name}": output.text for name, output in facts.outputs.items()}
    source = next((source for source in part.sources if texts.get(source) is not None), part.sources[0])
    text = texts.get(source)
    value = as_json(text) if isinstance(text, str) else None
    if source.removeprefix("state.") in facts.iterated and source.startswith("state."):
        fault = "expected a state outside of every Map, whose output is the whole one's (take the Map), was a state inside of one"
    elif not isinstance(text, str):
        known = ", ".join(list(facts.outputs)[:_MOST_NAMED])
        told = f" (these states answered: {known})" if source.startswith("state.") else ""
        is_left_out = mapping_in(describe, "outputDetails").get("included") is False or isinstance(describe.get("output"), str)
        if source == "execution.output" and is_left_out:
            told = " (the service left it out or cut it off: outputDetails)"
        fault = f"expected a JSON text, was absent{told}"
    elif value is None:
        fault = f"expected JSON that has each key of an object once, was {_told(text)}"
    else:
        return value, source
    reading.gap(f"{reading.lane.name} {source}", f"{fault}: there is nothing to read run or trades from")
    return None, source


def _kind(value: object) -> str:
    """Say what stands where an object or a list was expected."""
    if value is None or value is ABSENT:
        return "null" if value is None else "absent"
    return "an object" if isinstance(value, Mapping) else "a list" if isinstance(value, list) else _told(value)


def _run_status(
    lane: LaneFile, run: Mapping[str, object], ended: ExecutionStatus | None, describe: Mapping[str, object], reading: _Reading
) -> RunStatus:
    """Tell how the run ended: by its own word where it ended by itself, else by how the execution ended."""
    if ended is None or not ended.is_terminal:
        return RunStatus.UNFINISHED
    if ended is not ExecutionStatus.SUCCEEDED:
        return lane.ends.get(str(describe.get("error") or ended.value), _ENDS[ended])
    if "status" not in lane.run.fields:
        return RunStatus.COMPLETED
    told = run.get("status")
    if not isinstance(told, str) or told not in RunStatus.__members__:
        if told is not None:
            reading.gap(f"{lane.name} run", f"status: expected a word of the glossary, was {told!r}")
        return RunStatus.UNFINISHED
    return RunStatus(told)


def _not_negative(reading: _Reading, run: Mapping[str, object], name: str) -> object:
    value = run.get(name)
    if not isinstance(value, Decimal) or value >= 0:
        return value
    reading.gap(f"{reading.lane.name} run", f"{reading.lane.run.fields[name].at}: expected zero or more, was {value}")
    return None


def _counters(run: Mapping[str, object]) -> RunCounters | None:
    told = {name.removesuffix("_trades"): value for name, value in run.items() if name in COUNTS and value is not None}
    return RunCounters(**told) if told else None


def _trades(reading: _Reading, document: object) -> tuple[TradeOutcome, ...]:
    roots = reading.lane.trades.roots if document is not None else ()
    rows = [row for root in roots for row in _rows(reading, document, steps(root), "")]
    trades = [trade for number, row in enumerate(rows) if (trade := _trade(reading, number, row)) is not None]
    return tuple(sorted(_with_keys_of_their_own(trades), key=lambda trade: trade.trade_id))


def _with_keys_of_their_own(trades: list[TradeOutcome]) -> list[TradeOutcome]:
    """Name trades by symbol and side where others have their key too: a batch's id for one, which would make them one trade."""
    names: dict[str, set[tuple[str, Side]]] = {}
    for trade in trades:
        names.setdefault(trade.trade_id, set()).add((trade.symbol, trade.action))
    return [
        trade if len(names[trade.trade_id]) == 1 else trade.model_copy(update={"trade_id": f"{trade.symbol}:{trade.action}"})
        for trade in trades
    ]


def _rows(reading: _Reading, document: object, way: Way, place: str, name: Step | None = None) -> list[object]:
    """Give every row that a way through lists and objects leads to: each branch of a Parallel answers with a list of its own."""
    for number, step in enumerate(way, 1):
        place = written(place, step)
        if isinstance(step, Each):
            held = members(document, step)
            if held is None:
                expected = "a list" if step is Each.ELEMENT else "an object"
                reading.gap(f"{reading.lane.name} trades", f"{place}: expected {expected}, was {_kind(document)}")
            above, is_named = place.removesuffix(step.value), step is Each.MEMBER
            return [
                row
                for each, inner in held or ()
                for row in _rows(reading, inner, way[number:], written(above, each), each if is_named else name)
            ]
        document = below(document, step)
    if document is ABSENT:
        reading.gap(f"{reading.lane.name} trades", f"{place}: expected a row, was absent")
    return [] if document is ABSENT else [named(document, name)]


def _shown(value: object) -> str:
    """Write what stands in a record, as a page can show it; what is absent is nothing."""
    return "" if value is ABSENT else str(value)[:MAX_SHOWN].encode(errors="replace").decode()


def _trade(reading: _Reading, number: int, row: object) -> TradeOutcome | None:
    fields = reading.lane.trades.fields
    where = f"{reading.lane.name} trade {number} ({_shown(value_at(row, fields['symbol'].at)) or 'without a symbol'})"
    told = {name: reading.value(name, spec, row, where) for name, spec in fields.items()}
    symbol, action, status = (text_or_none(told.get(name)) for name in ("symbol", "action", "status"))
    if symbol is not None and not is_symbol(symbol):
        reading.gap(where, f"{fields['symbol'].at}: expected a symbol in capitals, was {symbol!r:.60}")
        return None
    if symbol is None or action is None or status not in TradeStatus.__members__:
        reading.gap(where, "symbol, action or status cannot be read, so nothing is said of this trade")
        return None
    numbers = {name: value for name, value in told.items() if isinstance(value, Decimal)}
    planned = numbers.get("planned_amount")
    if planned is not None and fields["planned_amount"].sign_from:
        planned = abs(planned) * (-1 if action == Side.SELL else 1)
    filled, price, value = (numbers.get(name) for name in ("filled_quantity", "average_price", "value"))
    spec = fields.get("value")
    if value is None and spec is not None and spec.otherwise and filled is not None and (price is not None or not filled):
        value = _product(reading, where, filled, price or Decimal(0))
    asked, decided, order_id = (
        numbers.get("asked_quantity"),
        numbers.get("decision_price"),
        text_or_none(told.get("order_id")) or None,
    )
    for name, amount in (numbers | ({} if value is None else {"value": value})).items():
        if amount < 0 and name != "planned_amount":
            reading.gap(where, f"{fields[name].at}: expected zero or more, was {amount}")
            return None
    return TradeOutcome(
        trade_id=key if is_identifier(key := told.get("key")) else f"{symbol}:{action}",
        symbol=symbol,
        action=Side(action),
        status=TradeStatus(str(status)),
        reason=Reason(str(told["reason"])) if told.get("reason") else None,
        error_message=text_or_none(told.get("error_message")) or None,
        planned_amount=planned,
        intent=None if asked is None and decided is None else Intent(quantity=asked, decision_price=decided),
        filled_quantity=filled,
        average_price=price,
        value=value,
        order_id=order_id,
        orders=(OrderRecord(order_id=order_id),) if order_id else (),
        attempts=told.get("attempts"),
        started_at=told.get("started_at"),
        completed_at=told.get("completed_at"),
        raw_status=_shown(value_at(row, fields["status"].at)),
        own=reading.own(reading.lane.trades.own, row, where),
    )


def _product(reading: _Reading, where: str, filled: Decimal, price: Decimal) -> Decimal | None:
    """Multiply to as many digits as an amount may have; a product that is out of bounds is a gap."""
    try:
        return number_of(_WRITABLE.multiply(filled, price), frozenset({"number"}))
    except (Unreadable, ArithmeticError):
        reading.gap(where, f"value: expected {PRODUCT} to be an amount")
        return None


def _identifier(reading: _Reading, run: Mapping[str, object], name: str) -> str | None:
    value = run.get(name)
    if value is None or is_identifier(value):
        return value
    reading.gap(f"{reading.lane.name} run", f"{reading.lane.run.fields[name].at}: expected an identifier, was {_told(value)}")
    return None


def _note_drift(reading: _Reading, *read: tuple[object, str, Part]) -> None:
    """Note what a document holds that the file neither reads nor lists as unread."""
    for document, source, _ in read:
        known = [way for _, other, part in read if other == source for way in part.ways()]
        for path, _ in unread(document, known) if document is not None else ():
            whole = f"{source}{'' if path.startswith('[') else '.'}{path}"
            if path and not is_listed(path, reading.lane.ignored) and not is_listed(whole, reading.lane.ignored):
                reading.violations.add(f"{whole}: neither read nor listed as unread in {reading.lane.name}")


def input_of(lane: LaneFile, plan: RebalancePlan, run_id: str) -> dict[str, object]:
    """Make the lane's input from a plan, by the file's `input` table. Raises `InvalidPayload` where a word has no map to it."""
    faults: list[FieldFault] = []
    table = dict(lane.input)
    place, each = str(table.pop("trades")), table.pop("trade")
    document: dict[str, object] = {}
    wire = plan.to_wire() | {"run_id": run_id}
    for path, source in table.items():
        _put(document, path, _source(lane, source, wire, f"input.{path}", faults))
    rows = []
    for item in plan.tradable_items:
        row: dict[str, object] = {}
        for path, source in each.items() if isinstance(each, Mapping) else ():
            _put(row, path, _source(lane, source, item.to_wire(), f"input.trade.{path}", faults))
        rows.append(row)
    _put(document, place, rows)
    if faults:
        raise InvalidPayload(lane.name, faults)
    return document


def _put(document: dict[str, object], path: str, value: object) -> None:
    *way, last = map(str, steps(path))
    for step in way:
        document = document.setdefault(step, {})  # type: ignore[assignment] # made here
    document[last] = value


def _source(lane: LaneFile, source: object, wire: Mapping[str, object], place: str, faults: list[FieldFault]) -> object:
    """Give one value of the input: a field of the plan or of a trade, as it is, absolute, or in the lane's own word for it."""
    spec = source if isinstance(source, Mapping) else {"from": source}
    if "value" in spec:
        return spec["value"]
    value = wire.get(str(spec["from"]))
    if spec.get("form") == "absolute":
        return str(value).removeprefix("-")
    if "map" in spec:
        words = {meaning: word for word, meaning in lane.maps[str(spec["map"])].items()}
        if value not in words:
            faults.append(FieldFault(place, f"a word of {spec['map']} for it", repr(value)))
            return None
        return words[str(value)]
    return value
