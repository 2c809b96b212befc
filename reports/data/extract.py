"""Business Unit: reports | Status: current.

From one decoded comparison to rows: of its pair, its trades, its differences, its margins. Values are taken as they are; what
was not known stays missing.

From lists of values to a frame with the documented columns and dtypes, also when there is not one row: an empty day has
the same columns as a full one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.data.columns import Column, Kind, Path, Size
from shadow.compare.case import LaneTrade, PairView, case_of
from shadow.compare.checks.prices import slippage_cost, slippage_of
from shadow.contracts.comparison import Comparison, Difference, Severity
from shadow.contracts.errors import InvalidPayload, UnreadableDocument
from shadow.contracts.outcome import RunOutcome, TradeOutcome
from shadow.contracts.vocabulary import Action, Origin, Reason, Role, RunStatus

_EPOCH = date(1970, 1, 1).toordinal()
Value = StrEnum | str | Decimal | float | bool | date | datetime | None
Values = Sequence[Value]
Array = npt.NDArray[np.generic] | pd.api.extensions.ExtensionArray
_Maker = Callable[[Column, Values], Array]


def frame_of(columns: Sequence[Column], values: Mapping[str, Values]) -> pd.DataFrame:
    """Make a frame of `columns` from one list a column. Raises KeyError for a column without its list."""
    return pd.DataFrame({column.name: _MAKERS[column.kind](column, values[column.name]) for column in columns}, copy=False)


def empty_lists(columns: Sequence[Column]) -> dict[str, list[Value]]:
    """Make one empty list a column, to be filled."""
    return {column.name: [] for column in columns}


def _day(_: Column, values: Values) -> Array:
    ordinals = np.fromiter(map(date.toordinal, values), dtype=np.int64, count=len(values))  # type: ignore[arg-type] # a DAY column holds dates
    return (ordinals - _EPOCH).astype("datetime64[D]").astype("datetime64[s]")


def _time(_: Column, values: Values) -> Array:
    return pd.to_datetime(pd.Series(list(values), dtype="object"), utc=True).astype("datetime64[us, UTC]").array


def _category(column: Column, values: Values) -> Array:
    if column.members is None:
        raise KeyError(f"{column.name}: expected the closed list of its categories, was nothing")
    members = list(column.members)
    # Members are singletons: their identity is a key that hashes far faster than they do themselves.
    positions = {id(member): code for code, member in enumerate(members)} | {id(None): -1}
    codes = np.fromiter(map(positions.__getitem__, map(id, values)), dtype=np.int8, count=len(values))
    return categorical(codes, column.members)


def categorical(codes: np.ndarray, members: type[StrEnum]) -> pd.Categorical[str]:
    """Make an ordered category of `members` from positions in it; -1 is missing."""
    return pd.Categorical.from_codes(codes, categories=pd.Index([member.value for member in members]), ordered=True)


def _numbers(dtype: str) -> _Maker:
    return lambda _, values: np.array(values, dtype=dtype)


def _extension(dtype: str) -> _Maker:
    return lambda _, values: pd.Series(list(values), dtype=dtype).array


_MAKERS: dict[Kind, _Maker] = {
    Kind.DAY: _day,
    Kind.TIME: _time,
    Kind.CATEGORY: _category,
    Kind.TEXT: _extension("str"),
    Kind.DECIMAL: _numbers("object"),
    Kind.FLOAT: _numbers("float64"),
    Kind.COUNT: _numbers("int64"),
    Kind.MAYBE_COUNT: _extension("Int64"),
    Kind.FLAG: _numbers("bool"),
}


Lists = dict[str, list[Value]]

LARGE_USD = Decimal(1000)
BASIS_POINTS = 10_000


def decode(name: str, content: bytes) -> Comparison:
    """Read one stored comparison. Raises `UnreadableDocument` naming the document and the field."""
    try:
        return Comparison.parse_json(content)
    except InvalidPayload as invalid:
        fault = invalid.faults[0]
        raise UnreadableDocument(name, fault.field or "$", f"expected {fault.expected}, was {fault.found}") from None


def path_of(document: Comparison) -> Path:
    """Name the way the run took through the workflow."""
    run = document.candidate or document.control
    sides = {item.action for item in document.plan.items} - {Action.HOLD}
    if run is None:
        return Path.FAILED
    if run.status is RunStatus.BLOCKED_BY_GUARD:
        return Path.GUARD_BLOCKED
    reasons = {trade.reason for trade in run.trades}
    if run.status is RunStatus.BLOCKED_BY_EQUITY_LIMIT or Reason.EQUITY_LIMIT in reasons:
        return Path.EQUITY_BLOCKED
    if reasons == {Reason.MARKET_CLOSED}:
        return Path.MARKET_CLOSED
    if run.status is not RunStatus.COMPLETED:
        return Path.FAILED
    return {(True, True): Path.BOTH_PHASES, (True, False): Path.SELLS_ONLY, (False, True): Path.BUYS_ONLY}.get(
        (Action.SELL in sides, Action.BUY in sides), Path.EMPTY
    )


def add_pair(lists: Lists, document: Comparison, path: Path, trade_count: int, name: str) -> None:
    """Append the pair's row."""
    control, candidate = document.control, document.candidate
    open_ones = [entry.severity for entry in document.differences if entry.unexplained]
    money = document.money
    proved = money if money and money.is_proved else None
    row: dict[str, Value] = {
        "trading_day": document.trading_day,
        "run_id": document.run_id,
        "plan_id": document.plan_id,
        "origin": Origin(document.origin),
        "production_lane": document.production_lane,
        "published_at": document.published_at,
        "verdict": document.verdict,
        "path": path,
        "control_status": control.status if control else None,
        "candidate_status": candidate.status if candidate else None,
        "trade_count": trade_count,
        "portfolio_value": document.plan.total_portfolio_value,
        "planned_value": document.plan.total_trade_value,
        "differences": sum(entry.counts for entry in document.differences),
        "rows": len(document.differences),
        "unexplained": len(open_ones),
        "critical": open_ones.count(Severity.CRITICAL),
        "major": open_ones.count(Severity.MAJOR),
        "impact_notional": document.impact.notional,
        "impact_cash": document.impact.cash,
        "gross_impact": document.gross_impact,
        "money_gross": money.gross if money else None,
        "money_net": money.net if money else None,
        "account_difference": proved.equity if proved else None,
        "money_unexplained": proved.unexplained if proved else None,
        "told_orders": len(document.told),
        "control_seconds": control.duration_seconds if control else None,
        "candidate_seconds": candidate.duration_seconds if candidate else None,
        "state_transitions": document.transitions,
        "violations": len(candidate.violations) if candidate else 0,
        "gaps": len(document.gaps),
        "margins": len(document.margins.rules) if document.margins else 0,
        "policy_hash": document.policy_hash,
        "code_version": document.code_version,
        "control_version": _version(control),
        "candidate_version": _version(candidate),
        "document": name,
    }
    for column, value in row.items():
        lists[column].append(value)


def add_trades(lists: Lists, document: Comparison, path: Path) -> int:
    """Append a row for each trade planned or seen in either lane, joined as the judge joins them; give their number.

    A lane in production has trade ids of its own, so both lanes' records of a trade need not have one id.
    """
    pairs = PairView(case_of(document)).trades
    counts = _difference_counts(document.differences)
    wanted = [pair.planned.amount if pair.planned else pair.lanes[0].trade.planned_amount for pair in pairs]
    number = len(pairs)
    for column, constant in (
        ("trading_day", document.trading_day),
        ("run_id", document.run_id),
        ("plan_id", document.plan_id),
        ("origin", Origin(document.origin)),
        ("path", path),
    ):
        lists[column].extend([constant] * number)
    lists["trade_id"].extend([pair.trade_id for pair in pairs])
    lists["symbol"].extend([pair.symbol for pair in pairs])
    lists["side"].extend([pair.side for pair in pairs])
    lists["size"].extend([Size.LARGE if a is not None and abs(a) >= LARGE_USD else Size.SMALL for a in wanted])
    exits = [p.planned.is_full_exit if p.planned else bool(p.lanes[0].trade.is_complete_exit) for p in pairs]
    lists["full_exit"].extend(exits)
    lists["planned_amount"].extend([pair.planned.amount if pair.planned else None for pair in pairs])
    lists["differences"].extend([counts.get(pair.trade_id, _NONE)[0] for pair in pairs])
    lists["unexplained"].extend([counts.get(pair.trade_id, _NONE)[1] for pair in pairs])
    _add_lane(lists, Role.CONTROL, [pair.control for pair in pairs])
    _add_lane(lists, Role.CANDIDATE, [pair.candidate for pair in pairs])
    return number


def _version(run: RunOutcome | None) -> str | None:
    """Name a lane's version: the workflow's, and a digest of those of its functions, so that each set has a name."""
    if run is None or not (run.version or run.functions):
        return None
    functions = f" functions {sha256(' '.join(run.functions).encode()).hexdigest()[:8]}" if run.functions else ""
    return f"{run.version or 'unpublished'}{functions}"


_NONE = (0, 0)


def _difference_counts(differences: Iterable[Difference]) -> dict[str, tuple[int, int]]:
    """Count the differences of each trade that count, and the unexplained ones among them."""
    counts: dict[str, tuple[int, int]] = {}
    for entry in differences:
        if entry.trade_id is not None:
            every, unexplained = counts.get(entry.trade_id, _NONE)
            counts[entry.trade_id] = (every + entry.counts, unexplained + entry.unexplained)
    return counts


def _add_lane(lists: Lists, role: Role, sides: Sequence[LaneTrade | None]) -> None:
    trades = [side.trade if side else None for side in sides]
    quotes = [t.intent.decision_price if t and t.intent else None for t in trades]
    lists[f"{role}_status"].extend([t.status if t else None for t in trades])
    lists[f"{role}_reason"].extend([t.reason if t else None for t in trades])
    lists[f"{role}_quantity"].extend([t.filled_quantity if t else None for t in trades])
    lists[f"{role}_price"].extend([t.average_price if t else None for t in trades])
    lists[f"{role}_value"].extend([t.value if t else None for t in trades])
    lists[f"{role}_quote"].extend(quotes)
    lists[f"{role}_slippage_bps"].extend([_slippage(side) if side else None for side in sides])
    lists[f"{role}_own"].extend([_own(t) for t in trades])
    lists[f"{role}_seconds"].extend(
        [(t.completed_at - t.started_at).total_seconds() if t and t.started_at and t.completed_at else None for t in trades]
    )


def _own(trade: TradeOutcome | None) -> str | None:
    """Write a trade's fields of the user's own; one that the lane does not have is left out."""
    told = {field.name: field.text for field in trade.own if not field.absent} if trade and trade.own else None
    return json.dumps(told, ensure_ascii=False) if told else None


def _slippage(side: LaneTrade) -> float | None:
    """Basis points that a lane paid beyond its own decision price, by its truest fill: a statistic, so a float."""
    known = slippage_of(side)
    if known is None:
        return None
    fill, price = known
    return float(slippage_cost(side) / (fill.quantity * price)) * BASIS_POINTS + 0.0


def add_differences(lists: Lists, document: Comparison) -> None:
    """Append a row for each difference."""
    for entry in document.differences:
        row: dict[str, Value] = {
            "trading_day": document.trading_day,
            "run_id": document.run_id,
            "plan_id": document.plan_id,
            "trade_id": entry.trade_id,
            "origin": Origin(document.origin),
            "symbol": entry.symbol,
            "side": entry.action,
            "kind": entry.kind,
            "level": entry.level,
            "severity": entry.severity,
            "attribution": entry.attribution,
            "who": entry.who,
            "field": entry.field,
            "planned": entry.planned,
            "control": entry.control,
            "candidate": entry.candidate,
            "rule": entry.rule,
            "explanation": entry.explanation,
            "notional": entry.impact.notional,
            "cash": entry.impact.cash,
            "covered_by": entry.covered_by,
            "gross": entry.gross,
            "key": entry.key,
            "caused_by": entry.caused_by,
            "counts": entry.counts,
            "over_budget": entry.over_budget,
            "unexplained": entry.unexplained,
        }
        for column, value in row.items():
            lists[column].append(value)


def add_margins(lists: Lists, document: Comparison) -> None:
    """Append a row for each margin."""
    for margin in document.margins.rules if document.margins else ():
        row: dict[str, Value] = {
            "trading_day": document.trading_day,
            "run_id": document.run_id,
            "origin": Origin(document.origin),
            "rule": margin.rule,
            "words": margin.words,
            "measure": margin.measure,
            "needed": margin.needed,
            "used": margin.used,
            "trade_id": margin.trade_id,
        }
        for column, value in row.items():
            lists[column].append(value)
