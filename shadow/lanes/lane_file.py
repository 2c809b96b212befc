"""Business Unit: lanes | Status: current.

The file that describes a lane: where its run and trades are in an execution's output, what its words mean, and how its input is
made from a plan. It is read whole and refused whole, each fault by its place.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from functools import cached_property
from hashlib import sha256
from zoneinfo import ZoneInfo

from shadow.contracts.errors import FieldFault, InvalidPayload
from shadow.contracts.outcome import MAX_OWN_FIELDS, OwnType
from shadow.contracts.vocabulary import Lane, Reason, RunStatus, Side, TradeStatus
from shadow.lanes.paths import Each, Way, steps
from shadow.lanes.records import ANY_NUMBER, EPOCHS, Unreadable, is_identifier, is_own_name, number_of

SCHEMA = "shadow.lane/1"
PRODUCT = "filled_quantity * average_price"
WORDS: Mapping[str, type[StrEnum]] = {"action": Side, "reason": Reason}
NUMBERS = ("planned_amount", "asked_quantity", "decision_price", "filled_quantity", "average_price", "value", "equity_limit")
MOMENTS = ("started_at", "completed_at")
COUNTS = ("attempts", "total_trades", "succeeded_trades", "failed_trades", "skipped_trades")
RUN_FIELDS = frozenset(
    {"plan_id", "correlation_id", "status", "failure_reason", "failure_step", "equity_limit", *MOMENTS, *COUNTS[1:]}
)
TRADE_FIELDS = frozenset(
    {"key", "symbol", "action", "status", "reason", "error_message", "order_id", "attempts", *MOMENTS, *NUMBERS[:6]}
)
NAME_OF_ROW = Each.MEMBER.value
MUST = ("symbol", "action", "status")
"""What a record without is no trade, or no run that ended."""
_SPEC = frozenset({"at", "map", "required", "when_null", "when_absent", "zone", "sign_from", "else", "form"})
_OWN_SPEC = frozenset({"at", "type", "map", "required", "when_null", "when_absent", "zone"})
_FOR = {
    "sign_from": ("planned_amount",),
    "else": ("value",),
    "zone": MOMENTS,
}
SOURCES = frozenset({"plan_id", "correlation_id", "run_id", "timestamp", "total_portfolio_value"})
TRADE_SOURCES = frozenset({"symbol", "action", "trade_amount", "target_value", "current_value", "priority"})
_PATHS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "root": ((str, int, Each), ", [*] where a list is gone through and {*} where an object is"),
    "at": ((str, int), f" to one value, without {Each.ELEMENT.value}"),
    "input": ((str,), ""),
}
_QUOTES = "; a name with a dot or a bracket in it stands in quotes"
_TOP = frozenset({"schema", "name", "owner", "numbers", "run", "trades", "maps", "ends", "unread", "examples", "input"})


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """How one field is read."""

    at: str
    map: str | None = None
    required: bool = False
    when_null: object = None
    when_absent: object = None
    zone: str | None = None
    sign_from: str | None = None
    otherwise: str | None = None
    form: str | None = None
    type: OwnType = OwnType.TEXT


@dataclass(frozen=True, slots=True)
class Part:
    """Where the run, or each trade, is read: the first of `sources` that there is, at each of `roots` in it.

    A source is `execution.output`, `execution.cause` or `state.NAME`. `own` are the fields that this project does not know, by
    the names that a policy has for them.
    """

    sources: tuple[str, ...]
    roots: tuple[str, ...]
    fields: dict[str, FieldSpec]
    own: dict[str, FieldSpec]

    def ways(self) -> tuple[Way, ...]:
        """Give the way to everything that is read, from the document's top; the name of a row stands beside it, not in it."""
        read = [steps(spec.at) for spec in (*self.fields.values(), *self.own.values()) if spec.at != NAME_OF_ROW]
        return tuple(dict.fromkeys(steps(root) + way for root in self.roots for way in read))


@dataclass(frozen=True)
class LaneFile:
    """A lane's description. `text` is the file as it is; its digest names it in evidence."""

    text: str
    name: str
    numbers: frozenset[str]
    run: Part
    trades: Part
    maps: Mapping[str, Mapping[str, str]]
    ends: Mapping[str, RunStatus]
    ignored: tuple[str, ...]
    examples: tuple[Mapping[str, object], ...]
    input: Mapping[str, object]

    @cached_property
    def digest(self) -> str:
        """The SHA-256 of the file."""
        return sha256(self.text.encode()).hexdigest()

    @property
    def plan_id_at(self) -> str:
        """Where the plan's id stands in the lane's input; empty where it does not."""
        return next((path for path, source in self.input.items() if source == "plan_id"), "")

    @classmethod
    def read(cls, text: str, name: str = "lane file") -> LaneFile:
        """Read a lane file. Raises `InvalidPayload` that names every fault."""
        try:
            values = tomllib.loads(text, parse_float=Decimal)
        except tomllib.TOMLDecodeError as error:
            raise InvalidPayload(name, [FieldFault("file", "TOML", f"no TOML ({error})")]) from None
        return _Checker(name).lane(text, values)


class _Checker:
    """Reads a lane file's tables, noting every fault."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.faults: list[FieldFault] = []
        self.numbers = frozenset[str]()

    def fault(self, place: str, expected: str, found: object) -> None:
        self.faults.append(FieldFault(place, expected, repr(found)))

    def lane(self, text: str, values: Mapping[str, object]) -> LaneFile:
        for key in sorted(values.keys() - _TOP):
            self.fault(key, f"one of {', '.join(sorted(_TOP))}", values[key])
        if values.get("schema") != SCHEMA:
            self.fault("schema", SCHEMA, values.get("schema"))
        numbers = self.numbers = frozenset(str(values.get("numbers", "string")).split("|"))
        if not numbers <= {"string", "number"}:
            self.fault("numbers", "string, number or string|number", values.get("numbers"))
        maps = {name: self.words(f"maps.{name}", table) for name, table in self.table(values, "maps").items()}
        ends = {word: self.end(word, status) for word, status in self.table(values, "ends").items()}
        unread = self.table(values, "unread")
        ignored = self.rows("unread.ignore", unread.get("ignore", []), str)
        for key in sorted(unread.keys() - {"ignore"}):
            self.fault(f"unread.{key}", "ignore", unread[key])
        examples = tuple(each for each in self.rows("examples", values.get("examples", []), dict) if isinstance(each, Mapping))
        for number, example in enumerate(examples):
            if {name for name, file in example.items() if isinstance(file, str)} != {"input", "expect"}:
                self.fault(f"examples[{number}]", "the files input and expect", dict(example))
        lane = LaneFile(
            text=text,
            name=str(values.get("name") or ""),
            numbers=numbers,
            run=self.part("run", self.table(values, "run"), RUN_FIELDS),
            trades=self.part("trades", self.table(values, "trades"), TRADE_FIELDS),
            maps=maps,
            ends=ends,
            ignored=tuple(map(str, ignored)),
            examples=examples,
            input=self.table(values, "input"),
        )
        self.hold(lane)
        if self.faults:
            raise InvalidPayload(self.name, self.faults)
        return lane

    def table(self, values: Mapping[str, object], name: str) -> Mapping[str, object]:
        found = values.get(name, {})
        if isinstance(found, Mapping):
            return found
        self.fault(name, "a table", found)
        return {}

    def rows(self, place: str, found: object, kind: type) -> list[object]:
        if isinstance(found, list) and all(isinstance(each, kind) for each in found):
            return found
        self.fault(place, f"a list of {'texts' if kind is str else 'tables'}", found)
        return []

    def path(self, place: str, path: object, kind: str, *, empty: bool = False) -> str:
        """Check a path by what it may go through; an `empty` one leads to the whole, `{*}` alone to the name of a row."""
        allowed, told = _PATHS[kind]
        try:
            way = steps(path) if isinstance(path, str) else ()
            if (
                isinstance(path, str)
                and (way or empty)
                and (path == NAME_OF_ROW or all(isinstance(each, allowed) for each in way))
            ):
                return path
        except Unreadable:
            pass
        self.fault(place, f"a path of names with dots between{told}{_QUOTES}", path)
        return ""

    def words(self, place: str, table: object) -> Mapping[str, str]:
        if isinstance(table, Mapping) and all(isinstance(word, str) for word in table.values()):
            return table
        self.fault(place, "a table of words", table)
        return {}

    def end(self, word: str, status: object) -> RunStatus:
        if isinstance(status, str) and status in RunStatus.__members__:
            return RunStatus(status)
        self.fault(f"ends.{word}", " or ".join(RunStatus), status)
        return RunStatus.FAILED

    def part(self, name: str, table: Mapping[str, object], known: frozenset[str]) -> Part:
        sources = self.one_or_more(f"{name}.from", table.get("from", "execution.output"))
        for source in sources:
            if source not in ("execution.output", "execution.cause") and (source[:6] != "state." or source == "state."):
                self.fault(f"{name}.from", "execution.output, execution.cause or state.NAME", source)
        fields = {}
        for key, value in table.items():
            if key in ("from", "root", "own"):
                continue
            if key not in known:
                self.fault(f"{name}.{key}", f"own, or one of {', '.join(sorted(known))}", value)
            else:
                fields[key] = self.spec(f"{name}.{key}", value)
        told = table.get("root", "")
        roots: tuple[object, ...] = self.one_or_more(f"{name}.root", told) if name == "trades" else (told,)
        kind = "root" if name == "trades" else "at"
        checked = tuple(self.path(f"{name}.root", root, kind, empty=True) for root in roots)
        return Part(sources, checked, fields, self.own(f"{name}.own", self.table(table, "own")))

    def one_or_more(self, place: str, value: object) -> tuple[str, ...]:
        """Read a text, or a list of different ones."""
        several = tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()
        if isinstance(value, str):
            return (value,)
        if not isinstance(value, list) or not several or len({*several}) < len(value):
            self.fault(place, "a text, or a list of different texts", value)
        return several

    def own(self, place: str, table: Mapping[str, object]) -> dict[str, FieldSpec]:
        if len(table) > MAX_OWN_FIELDS:
            self.fault(place, f"at most {MAX_OWN_FIELDS} fields", len(table))
        for name in table:
            if not is_own_name(name):
                self.fault(f"{place}.{name}", "a name of up to 64 letters, digits and _", name)
        return {name: self.spec(f"{place}.{name}", value, _OWN_SPEC) for name, value in table.items()}

    def spec(self, place: str, value: object, known: frozenset[str] = _SPEC) -> FieldSpec:
        values = {"at": value} if isinstance(value, str) else value
        if not isinstance(values, Mapping) or not isinstance(values.get("at"), str) or values.keys() - known:
            self.fault(place, f"a path, or a table of {', '.join(sorted(known))}", value)
            return FieldSpec("")
        kind = values.get("type", OwnType.TEXT)
        if kind not in list(OwnType):
            self.fault(f"{place}.type", " or ".join(OwnType), kind)
            kind = OwnType.TEXT
        self.path(f"{place}.at", values["at"], "at")
        self.options(place, values, own=known is _OWN_SPEC)
        name = place.rpartition(".")[2]
        is_number = kind in (OwnType.DECIMAL, OwnType.INTEGER) if known is _OWN_SPEC else name in NUMBERS
        return FieldSpec(
            at=str(values["at"]),
            map=text_or_none(values.get("map")),
            required=values.get("required") is True or (known is _SPEC and name in MUST),
            when_null=self.stand_in(f"{place}.when_null", values.get("when_null"), is_number=is_number),
            when_absent=self.stand_in(f"{place}.when_absent", values.get("when_absent"), is_number=is_number),
            zone=text_or_none(values.get("zone")),
            sign_from=text_or_none(values.get("sign_from")),
            otherwise=text_or_none(values.get("else")),
            form=text_or_none(values.get("form")),
            type=OwnType(str(kind)),
        )

    def options(self, place: str, values: Mapping[str, object], *, own: bool) -> None:
        """Check what a field's table says beside its path: each is of its type, and means something for this field."""
        for key, type_ in (("map", str), ("zone", str), ("required", bool)):
            if not isinstance(values.get(key, type_()), type_):
                self.fault(f"{place}.{key}", "true or false" if type_ is bool else "a text", values[key])
        try:
            ZoneInfo(str(values.get("zone", "UTC")))
        except (KeyError, ValueError, OSError):
            self.fault(f"{place}.zone", "a time zone, such as America/New_York or UTC", values["zone"])
        name = place.rpartition(".")[2]
        forms = ("absolute",) if name in NUMBERS else tuple(EPOCHS) if name in MOMENTS else ()
        for key, only in (("else", (PRODUCT,)), ("sign_from", ("action",)), ("form", forms)):
            if values.get(key) not in (None, *only):
                self.fault(f"{place}.{key}", " or ".join(only) or "none for this field", values[key])
        for key, fields in _FOR.items():
            if key in values and not own and name not in fields:
                self.fault(f"{place}.{key}", f"no such thing here, it is for {', '.join(fields)}", values[key])

    def stand_in(self, place: str, value: object, *, is_number: bool) -> object:
        """Read what stands in for a null or for nothing: a number in a form in which the file's numbers are written."""
        if value is not None and not isinstance(value, str | int | Decimal):
            self.fault(place, "a text, a number, true or false", value)
            return None
        if value is None or not is_number:
            return value
        try:
            number = number_of(value, ANY_NUMBER)
        except Unreadable as error:
            self.fault(place, str(error), value)
            return None
        return number if "number" in self.numbers else str(number)

    def hold(self, lane: LaneFile) -> None:
        """Hold the parts against each other: what must be there, and that every map ends in words of the glossary."""
        if not is_identifier(lane.name) or lane.name in list(Lane):
            self.fault("name", f"an identifier that is none of {', '.join(Lane)}", lane.name)
        for key in MUST:
            if key not in lane.trades.fields:
                self.fault(f"trades.{key}", "a path", None)
        for root in lane.trades.roots:
            if not any(isinstance(step, Each) for step in steps(root)):
                self.fault("trades.root", "a path with [*] where the list of trades is, or {*} where they stand by name", root)
        self.fields("run", lane.run, lane.maps, RunStatus)
        self.fields("trades", lane.trades, lane.maps, TradeStatus)
        self.inputs(lane)

    def fields(self, name: str, part: Part, maps: Mapping[str, Mapping[str, str]], status: type[StrEnum]) -> None:
        """Hold the fields of a part against the maps, and against the roots where they read a name that is gone through."""
        for key, spec in (part.fields | {f"own.{key}": spec for key, spec in part.own.items()}).items():
            if spec.at == NAME_OF_ROW and not all(Each.MEMBER in steps(root) for root in part.roots):
                self.fault(f"{name}.{key}.at", f"a root with {NAME_OF_ROW}, whose names it reads", spec.at)
            if spec.map is not None and spec.map not in maps:
                self.fault(f"{name}.{key}.map", "a table of maps", spec.map)
            elif spec.map is not None:
                self.stand_ins(f"{name}.{key}", spec, maps[spec.map])
                self.meanings(spec.map, maps[spec.map], status if key == "status" else WORDS.get(key))

    def inputs(self, lane: LaneFile) -> None:
        """Hold the table that makes the lane's input: the plan's id and its trades are in it, from sources that there are."""
        table = dict(lane.input)
        place, each = table.pop("trades", None), table.pop("trade", None)
        if lane.plan_id_at == "":
            self.fault("input", 'a path for the plan\'s id, "PATH" = "plan_id"', None)
        if not isinstance(place, str):
            self.fault("input.trades", 'the path of the list of trades, trades = "PATH"', place)
        if not isinstance(each, Mapping) or not each:
            self.fault("input.trade", "a table of paths in one trade", each)
        each = each if isinstance(each, Mapping) else {}
        self.places("input", [*table, *([place] if isinstance(place, str) else [])])
        self.places("input.trade", list(each))
        sources = [(f"input.{path}", source, SOURCES) for path, source in table.items()]
        sources += [(f"input.trade.{path}", source, TRADE_SOURCES) for path, source in each.items()]
        for name, source, known in sources:
            self.source(name, source, known, lane.maps)

    def source(self, name: str, source: object, known: frozenset[str], maps: Mapping[str, Mapping[str, str]]) -> None:
        """Check where one value of the input comes from: a field of the plan, or a value that is always the same."""
        spec = {"from": source} if isinstance(source, str) else source
        if isinstance(spec, Mapping) and [*spec] == ["value"]:
            if not isinstance(spec["value"], str | int):
                self.fault(f"{name}.value", "a text, a whole number, true or false", spec["value"])
        elif not isinstance(spec, Mapping) or spec.get("from") not in sorted(known) or spec.keys() - {"from", "form", "map"}:
            hint = ""
            if source == "trades":
                hint = f' (the list of trades is written trades = "{name.removeprefix("input.")}")'
            elif isinstance(source, Mapping) and not source.keys() & {"from", "value"}:
                hint = ' (a path with dots stands in quotes: "a.b" = …)'
            self.fault(name, f"one of {', '.join(sorted(known))}, or {{ value = … }}{hint}", source)
        elif spec.get("form") not in (None, "absolute"):
            self.fault(f"{name}.form", "absolute", spec["form"])
        elif "map" in spec and (spec["from"] != "action" or spec["map"] not in list(maps)):
            self.fault(f"{name}.map", "a table of maps, for action alone", spec["map"])

    def places(self, name: str, paths: list[str]) -> None:
        """Hold the paths of an input against each other: none may stand where another one is, or inside of it."""
        ways = [steps(self.path(f"{name}.{path}", path, "input")) for path in paths]
        for path, way in zip(paths, ways, strict=True):
            if sum(way[: len(other)] == other for other in ways if other) > 1:
                self.fault(f"{name}.{path}", "a place of its own in the input", path)

    def stand_ins(self, place: str, spec: FieldSpec, words: Mapping[str, str]) -> None:
        for key, word in (("when_null", spec.when_null), ("when_absent", spec.when_absent)):
            if word is not None and word not in list(words):
                self.fault(f"{place}.{key}", f"a word of maps.{spec.map} ({', '.join(words)})", word)

    def meanings(self, name: str, words: Mapping[str, str], kind: type[StrEnum] | None) -> None:
        for word, meaning in words.items():
            if kind is not None and meaning not in kind.__members__:
                self.fault(f"maps.{name}.{word}", " or ".join(kind), meaning)


def text_or_none(value: object) -> str | None:
    """Give a text as it is, and None for anything else."""
    return value if isinstance(value, str) else None
