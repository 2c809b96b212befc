"""Business Unit: compare | Status: current.

What is judged: a plan and what the two lanes made of it, laid side by side. Trades are matched by id; one that carries a wrong
id, or one that its lane minted, is matched by what it does, so that it is one difference and not a missing and an extra trade.
Nothing that is said of a pair depends on which ids a lane minted.

A finding: something that differs, as a check found it, before causes, register and dollars are looked at. One finding is about
one lane: where both lanes depart from what is right there are two, so that what is said of one never depends on the other.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import cached_property, wraps
from types import MappingProxyType
from typing import TypeVar
from uuid import UUID, uuid5

from shadow.contracts.comparison import Attribution, Comparison, EvidenceRef, Impact
from shadow.contracts.identity import joined_symbol, run_id_of
from shadow.contracts.model import decimal_text, iso
from shadow.contracts.outcome import Effect, OrderRecord, RunOutcome, TradeOutcome
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import EffectKind, Lane, Role, Side

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PairCase:
    """Everything that judging one pair needs. `code_version` is of the code that judges."""

    plan: RebalancePlan
    trading_day: date
    published_at: datetime
    control: RunOutcome | None
    candidate: RunOutcome | None
    code_version: str
    origin: str = "live"
    production_lane: Lane = Lane.LEGACY
    evidence: tuple[EvidenceRef, ...] = ()


def case_of(comparison: Comparison, code_version: str | None = None) -> PairCase:
    """Give the case that a stored comparison was the judgement of, to be shown or judged again (by another code's version)."""
    return PairCase(
        plan=comparison.plan,
        trading_day=comparison.trading_day,
        published_at=comparison.published_at,
        control=comparison.control,
        candidate=comparison.candidate,
        code_version=code_version or comparison.code_version,
        origin=comparison.origin,
        production_lane=comparison.production_lane,
        evidence=comparison.evidence,
    )


@dataclass(frozen=True, slots=True)
class Planned:
    """One trade as the plan asks for it. `amount` is signed USD, values are USD."""

    trade_id: str
    symbol: str
    side: Side
    amount: Decimal
    target_value: Decimal
    current_value: Decimal
    is_full_exit: bool


@dataclass(frozen=True, slots=True)
class LaneTrade:
    """One lane's record of a trade, with its effects about it. `memo` keeps what `memoized_per_trade` has computed of it.

    Where the lane has more than one record of the trade, `trade` has the orders of them all; `copies_besides` are the others.
    """

    role: Role
    run: RunOutcome
    trade: TradeOutcome
    effects: tuple[Effect, ...]
    copies_besides: tuple[TradeOutcome, ...] = ()
    memo: dict[str, object] = field(default_factory=dict, compare=False, repr=False)

    @property
    def copies(self) -> int:
        """How many records of the trade the lane has."""
        return 1 + len(self.copies_besides)

    def effects_of(self, kind: EffectKind) -> tuple[Effect, ...]:
        """Give the effects of one kind."""
        found = self.memo.get(kind)
        if found is None:
            found = self.memo[kind] = tuple([effect for effect in self.effects if effect.kind is kind])
        return found  # type: ignore[return-value] # what was kept under the kind


def memoized_per_trade(function: Callable[[LaneTrade], T]) -> Callable[[LaneTrade], T]:
    """Compute a pure function of one lane's trade once: many checks ask for the same."""
    name = function.__name__

    def remembered(side: LaneTrade) -> T:
        memo = side.memo
        if name not in memo:
            memo[name] = function(side)
        return memo[name]  # type: ignore[return-value] # what `function` gave

    return wraps(function)(remembered)


@dataclass(frozen=True, slots=True)
class TradePair:
    """One trade: what the plan says of it and what each lane has.

    `beside` is, of a trade that one lane has beyond the plan, the other lane's trade in the same symbol: a price to value it at.
    """

    planned: Planned | None
    control: LaneTrade | None
    candidate: LaneTrade | None
    beside: LaneTrade | None = None
    lanes: tuple[LaneTrade, ...] = field(init=False)
    """The lanes that have the trade."""

    def __post_init__(self) -> None:
        """Note which lanes have the trade."""
        object.__setattr__(self, "lanes", tuple(role for role in (self.control, self.candidate) if role is not None))

    def with_copy(self, side: LaneTrade, copy: TradeOutcome) -> TradePair:
        """Give the pair with another record that `side`'s lane has of the trade."""
        other = LaneTrade(side.role, side.run, copy, side.effects)
        if side.role is Role.CONTROL:
            return TradePair(self.planned, other, self.candidate, self.beside)
        return TradePair(self.planned, self.control, other, self.beside)

    @property
    def both(self) -> tuple[LaneTrade, LaneTrade] | None:
        """Both lanes, control first; None where one does not have the trade."""
        return (self.control, self.candidate) if self.control is not None and self.candidate is not None else None

    @property
    def trade_id(self) -> str:
        """The plan's id of the trade, else the lanes' own."""
        return self.planned.trade_id if self.planned else self.lanes[0].trade.trade_id

    @property
    def symbol(self) -> str:
        """The symbol."""
        return self.planned.symbol if self.planned else self.lanes[0].trade.symbol

    @property
    def side(self) -> Side:
        """The plan's side, else the lanes' own."""
        return self.planned.side if self.planned else self.lanes[0].trade.action


class PairView:
    """A case, indexed: its runs, its trades side by side in the plan's order, and effects that belong to no trade."""

    def __init__(self, case: PairCase) -> None:
        """Index `case`."""
        self.case = case
        self.run_id = run_id_of(case.plan.plan_id)
        self.runs = tuple(run for run in (case.control, case.candidate) if run is not None)
        self.planned = _planned(case.plan, self.run_id)
        sides = {run.role: _LaneIndex(run, self.planned) for run in self.runs}
        self.stray_effects: Mapping[Role, tuple[Effect, ...]] = MappingProxyType(
            {role: side.stray_effects for role, side in sides.items()}
        )
        self.trades = tuple(_side_by_side(self.planned, sides))

    @cached_property
    def both(self) -> tuple[RunOutcome, RunOutcome] | None:
        """Both runs, control first; None where one is absent."""
        control, candidate = self.case.control, self.case.candidate
        return (control, candidate) if control is not None and candidate is not None else None

    def trades_of(self, role: Role) -> Iterator[tuple[TradePair, LaneTrade]]:
        """Give every trade that `lane` has."""
        for pair in self.trades:
            side = pair.control if role is Role.CONTROL else pair.candidate
            if side is not None:
                yield pair, side


def _planned(plan: RebalancePlan, run_id: str) -> tuple[Planned, ...]:
    namespace = UUID(run_id)
    return tuple(
        Planned(
            trade_id=str(uuid5(namespace, f"{item.symbol}:{item.action.value}")),
            symbol=item.symbol,
            side=Side(item.action.value),
            amount=item.trade_amount,
            target_value=item.target_value,
            current_value=item.current_value,
            is_full_exit=item.is_full_exit,
        )
        for item in plan.tradable_items
    )


class _LaneIndex:
    """One lane's trades, each under the planned trade that it is the record of."""

    def __init__(self, run: RunOutcome, planned: tuple[Planned, ...]) -> None:
        records: dict[str, list[TradeOutcome]] = defaultdict(list)
        for trade in run.trades:
            records[trade.trade_id].append(trade)
        if len({joined_symbol(trade.symbol) for trade in run.trades}) < len(records):
            records = dict(sorted(records.items(), key=lambda each: min(map(_first_come, each[1]))))
        names = _match(records, planned)
        effects, self.stray_effects = _share_out(run, records)
        self.by_plan: dict[str, LaneTrade] = {}
        self.extra: dict[str, LaneTrade] = {}
        for trade_id, copies in records.items():
            first, *others = copies if len(copies) == 1 else sorted(copies, key=_canonical)
            side = LaneTrade(run.role, run, _with_orders(first, others), tuple(effects.get(trade_id, ())), tuple(others))
            name = names.get(trade_id)
            if name is None:
                self.extra[trade_id] = side
            else:
                self.by_plan[name] = side

    def by_symbol(self) -> dict[str, LaneTrade]:
        """Give a trade of each symbol, one that filled something where there is one."""
        sides = (*self.by_plan.values(), *self.extra.values())
        return {
            joined_symbol(side.trade.symbol): side for side in sorted(sides, key=lambda side: bool(side.trade.filled_quantity))
        }


def _canonical(trade: TradeOutcome) -> str:
    return trade.model_dump_json()


def _first_come(trade: TradeOutcome) -> tuple[bool, str, str, str]:
    """Order trades of one symbol: what filled something comes first, then what began first. The id decides last of all."""
    began = trade.started_at.isoformat() if trade.started_at is not None else "unknown"
    told = trade.model_dump_json(exclude={"trade_id", "order_id", "orders"})
    return not trade.filled_quantity, began, told, trade.trade_id


def _with_orders(first: TradeOutcome, others: Iterable[TradeOutcome]) -> TradeOutcome:
    """Give the first record of a trade with the orders of them all: what any of them sent, the lane sent.

    Records that give one order different fills are taken for two orders.
    """
    orders: dict[tuple[object, ...], OrderRecord] = {}
    copies = [first, *others]
    if len(copies) == 1:
        return first
    for number, copy in enumerate(copies):
        for place, order in enumerate(copy.orders):
            name = order.order_id or order.client_order_id or f"{number}/{place}"
            only = len(copy.orders) == 1 and order.filled_quantity is None and copy.filled_quantity is not None
            said = {"filled_quantity": copy.filled_quantity, "average_price": copy.average_price, "status": "filled"}
            told = order.model_copy(update=said) if only and copy.filled_quantity else order
            orders.setdefault((name, told.filled_quantity, told.average_price), told)
    return first.model_copy(update={"orders": tuple(orders.values())})


def _match(records: Mapping[str, list[TradeOutcome]], planned: tuple[Planned, ...]) -> dict[str, str]:
    """Name for each record's id the planned trade: by id, then by symbol and side, then by symbol alone.

    A symbol counts in its own notation first, then in any other: AAPL is EQUITIES::AAPL//USD.
    """
    names = {trade.trade_id: trade.trade_id for trade in planned if trade.trade_id in records}
    missing = [trade for trade in planned if trade.trade_id not in names]
    left = {trade_id: copies[0] for trade_id, copies in records.items() if trade_id not in names}
    ways: tuple[Callable[[str, Side], object], ...] = (
        lambda symbol, side: (symbol, side),
        lambda symbol, side: (joined_symbol(symbol), side),
        lambda symbol, _: symbol,
        lambda symbol, _: joined_symbol(symbol),
    )
    for key in ways if missing and left else ():
        free = {key(record.symbol, record.action): name for name, record in reversed(left.items())}
        for trade in missing:
            found = free.pop(key(trade.symbol, trade.side), None)
            if found is not None:
                names[found] = trade.trade_id
                left.pop(found, None)
        taken = set(names.values())
        missing = [trade for trade in missing if trade.trade_id not in taken]
    return names


def _share_out(run: RunOutcome, records: Mapping[str, list[TradeOutcome]]) -> tuple[dict[str, list[Effect]], tuple[Effect, ...]]:
    """Give each trade the effects about it: by trade id, else by symbol and side. What is left belongs to no trade."""
    last_first = [*records.items()][::-1]
    by_symbol = {(joined_symbol(copies[0].symbol), copies[0].action): trade_id for trade_id, copies in last_first}
    by_symbol |= {(copies[0].symbol, copies[0].action): trade_id for trade_id, copies in last_first}
    shares: dict[str, list[Effect]] = defaultdict(list)
    stray = []
    for effect in run.effects or ():
        if effect.kind in (EffectKind.ALL_TRADES_COMPLETED, EffectKind.WORKFLOW_FAILED):
            continue
        name = effect.trade_id
        if name is None and effect.symbol is not None and effect.action is not None:
            name = by_symbol.get((effect.symbol, effect.action)) or by_symbol.get((joined_symbol(effect.symbol), effect.action))
        if name is not None and name in records:
            shares[name].append(effect)
        else:
            stray.append(effect)
    return shares, tuple(stray)


def _side_by_side(planned: Iterable[Planned], sides: Mapping[Role, _LaneIndex]) -> Iterator[TradePair]:
    control, candidate = sides.get(Role.CONTROL), sides.get(Role.CANDIDATE)
    for trade in planned:
        yield TradePair(
            planned=trade,
            control=control.by_plan.get(trade.trade_id) if control else None,
            candidate=candidate.by_plan.get(trade.trade_id) if candidate else None,
        )
    extras = _beyond_the_plan(*(side.extra if side else {} for side in (control, candidate)))
    named = {role: side.by_symbol() for role, side in sides.items()} if extras else {}
    for has in extras:
        symbol = joined_symbol(next(iter(has.values())).trade.symbol)
        beside = next((trades[symbol] for role, trades in named.items() if role not in has and symbol in trades), None)
        yield TradePair(planned=None, control=has.get(Role.CONTROL), candidate=has.get(Role.CANDIDATE), beside=beside)


def _beyond_the_plan(control: Mapping[str, LaneTrade], candidate: Mapping[str, LaneTrade]) -> list[dict[Role, LaneTrade]]:
    """Join the lanes' trades that the plan does not ask for: by id, else by symbol and side, of which each lane has an id."""
    found = {name: {Role.CONTROL: side} for name, side in control.items()}
    waiting: dict[tuple[str, Side], list[str]] = defaultdict(list)
    for name, side in control.items():
        if name not in candidate:
            waiting[_what(side)].append(name)
    for name, side in candidate.items():
        alike = [name] if name in found else waiting[_what(side)]
        found.setdefault(alike.pop(0) if alike else name, {})[Role.CANDIDATE] = side
    return [found[name] for name in sorted(found, key=lambda name: (*_what(next(iter(found[name].values()))), name))]


def _what(side: LaneTrade) -> tuple[str, Side]:
    return joined_symbol(side.trade.symbol), side.trade.action


_ATTRIBUTIONS = {None: Attribution.NEITHER, Role.CONTROL: Attribution.CONTROL, Role.CANDIDATE: Attribution.CANDIDATE}


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference, found. `role` is the lane that departs from what is right; None where nothing says which lane does.

    `at_stake` are trades whose dollars belong to this finding where no finding of their own carries them.

    `impact` is what it is worth by itself, where that is not its trade's; `symbol` stands where there is no trade.
    """

    kind: str
    field: str
    rule: str
    explanation: str
    role: Role | None
    planned: str | None = None
    control: str | None = None
    candidate: str | None = None
    pair: TradePair | None = None
    at_stake: tuple[TradePair, ...] = ()
    symbol: str | None = None
    impact: Impact | None = None

    @property
    def attribution(self) -> Attribution:
        """Which lane departs."""
        return _ATTRIBUTIONS[self.role]


def of_each(finding: Finding, roles: Collection[Role]) -> Iterator[Finding]:
    """Give `finding` once for each lane that departs; as it is, about nobody, where none does."""
    if not roles:
        yield replace(finding, role=None)
    for role in Role:
        if role in roles:
            yield replace(finding, role=role)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one lane: `shown` is what the lane has, `why` a clause that says what is wrong with it."""

    shown: str
    why: str


def shown(value: object) -> str | None:
    """Write a value for people: exact decimals, plain words, ISO times; None stays None."""
    if value is None:
        return None
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, Enum):
        return str(value.value)
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def own_faults(
    kind: str,
    field: str,
    lanes: Sequence[LaneTrade],
    check: Callable[[LaneTrade], Fault | None],
    pair: TradePair,
    *,
    rule: object = "own records agree",
    planned: str | None = None,
    right: Callable[[LaneTrade], str | None] = lambda _side: None,
) -> tuple[Finding, ...]:
    """Hold each lane's trade against `check` and give one finding for each lane that fails it.

    `rule` is written out only where something failed; `right` is what to show for a lane that does not fail.
    """
    faults = {}
    for side in lanes:
        fault = check(side)
        if fault is not None:
            faults[side.role] = fault
    if not faults:
        return ()
    texts = {side.role: faults[side.role].shown if side.role in faults else right(side) for side in lanes}
    return _findings((kind, field, str(rule), planned), faults, texts, pair)


def run_faults(
    kind: str,
    field: str,
    runs: Iterable[RunOutcome],
    check: Callable[[RunOutcome], Fault | None],
    *,
    rule: object = "own records agree",
    planned: str | None = None,
    right: Callable[[RunOutcome], str | None] = lambda _run: None,
) -> tuple[Finding, ...]:
    """Hold each run against `check` and give one finding for each run that fails it."""
    sides = tuple(runs)
    faults = {run.role: fault for run in sides if (fault := check(run)) is not None}
    if not faults:
        return ()
    texts = {run.role: faults[run.role].shown if run.role in faults else right(run) for run in sides}
    return _findings((kind, field, str(rule), planned), faults, texts, None)


def _findings(
    about: tuple[str, str, str, str | None],
    faults: dict[Role, Fault],
    texts: dict[Role, str | None],
    pair: TradePair | None,
) -> tuple[Finding, ...]:
    kind, field, rule, planned = about
    return tuple(
        Finding(
            kind=kind,
            field=field,
            rule=rule,
            explanation=f"The {role.value} {faults[role].why}.",
            role=role,
            planned=planned,
            control=texts.get(Role.CONTROL),
            candidate=texts.get(Role.CANDIDATE),
            pair=pair,
        )
        for role in Role
        if role in faults
    )
