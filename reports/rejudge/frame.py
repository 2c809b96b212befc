"""Business Unit: reports | Status: current.

The columns that trades are judged by: the plan's, and one set a lane. What of a trade does not depend on the policy and is out of
the ordinary (orders that are no clean chain, effects that do not repeat the record, digits that do not fit) is not put into
columns but marked: such a row is judged by the one-pair judge. Only the plan's amounts may have more digits than a column, which
then says so: they are cut, and where the rest decides, the row is judged alone, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, localcontext

import numpy as np
import pandas as pd

from reports.rejudge.scaled import NULL, PRICE, SHARES, USD, scaled, truncated
from shadow.compare.case import LaneTrade, PairCase, PairView, TradePair
from shadow.compare.checks.decisions import damage_findings, is_equity_blocked, is_precision_loss
from shadow.compare.checks.effects import is_watched
from shadow.compare.checks.executed import order_fill, recorded_fill, seen_filled, status_of, truest_fill
from shadow.compare.checks.orders import chain_of, foreign_ids, order_type_of, standing_order_findings
from shadow.compare.checks.sizing import asked_quantity, decision_price
from shadow.compare.exact import EXACT
from shadow.contracts.vocabulary import EffectKind, Reason, Side, SizingBasis, TradeStatus

SIDES, STATUSES, REASONS, BASES = tuple(Side), tuple(TradeStatus), tuple(Reason), tuple(SizingBasis)
NONE = -1
NUMBERS = {
    "amount": USD,
    "asked": SHARES,
    "price": PRICE,
    "filled": SHARES,
    "average": PRICE,
    "value": USD,
    "fill_quantity": SHARES,
    "fill_price": PRICE,
    "ledger_price": PRICE,
    "residual": SHARES,
}
CODES = ("action", "status", "reason", "basis", "exit_flag", "fractionable", "order_type", "attempts")
PLAN_CODES = ("side", "exit", "plain", "cut")
PLAN_NUMBERS = {"amount": USD, "target": USD, "current": USD}
CUTS = {"amount": 1, "target": 2, "current": 4}
"""Bits of the plan's `cut`: which of its amounts have more digits than a column and lie between its value and the next."""


@dataclass(frozen=True)
class TradeFrames:
    """Trades in columns. `plan` has one row a trade, the lanes one a trade they have; all are joined on `trade_key`.

    `order_types` and `symbols` are the words behind the codes; `source` gives the trade of a plan row, for rows that are not
    `decimal_text`.
    """

    plan: pd.DataFrame
    control: pd.DataFrame
    candidate: pd.DataFrame
    order_types: tuple[str, ...]
    symbols: tuple[str, ...]
    source: Callable[[int], TradePair] | None = None


def frames_of(cases: Iterable[PairCase]) -> TradeFrames:
    """Put the trades of `cases` into columns."""
    pairs: list[tuple[TradePair, date]] = []
    for case in cases:
        pairs += [(pair, case.trading_day) for pair in PairView(case).trades]
    return frames_of_pairs(pairs)


def frames_of_pairs(pairs: Sequence[tuple[TradePair, date]]) -> TradeFrames:
    """Put trades, each with its trading day, into columns."""
    words: dict[str, int] = {}
    symbols: dict[str, int] = {}
    plan: dict[str, list[int]] = {name: [] for name in ("trade_key", "day", "symbol", *PLAN_CODES, *PLAN_NUMBERS)}
    lanes: tuple[dict[str, list[int]], ...] = tuple({name: [] for name in ("trade_key", *CODES, *NUMBERS)} for _ in range(2))
    with localcontext(EXACT):
        for key, (pair, day) in enumerate(pairs):
            plain = _add_plan(plan, pair, key, day)
            plan["symbol"].append(symbols.setdefault(pair.symbol, len(symbols)))
            for columns, side in zip(lanes, (pair.control, pair.candidate), strict=True):
                if side is not None:
                    plain = _add_lane(columns, pair, side, key, words) and plain
            plan["plain"].append(plain)
    return TradeFrames(
        plan=_frame(plan, PLAN_NUMBERS),
        control=_frame(lanes[0], NUMBERS),
        candidate=_frame(lanes[1], NUMBERS),
        order_types=tuple(words),
        symbols=tuple(symbols),
        source=lambda row: pairs[row][0],
    )


def _frame(columns: dict[str, list[int]], numbers: dict[str, int]) -> pd.DataFrame:
    wide = {*numbers, "trade_key"}
    types = {"plain": np.bool_, "exit": np.bool_, "day": np.int32, "symbol": np.int32}
    return pd.DataFrame(
        {name: np.array(values, dtype=np.int64 if name in wide else types.get(name, np.int8)) for name, values in columns.items()}
    )


def _add_plan(columns: dict[str, list[int]], pair: TradePair, key: int, day: date) -> bool:
    """Add a trade's plan columns; tell whether they hold it."""
    planned = pair.planned
    values = (planned.amount, planned.target_value, planned.current_value) if planned else (None, None, None)
    numbers = [None if value is None else truncated(value, USD) for value in values]
    columns["trade_key"].append(key)
    columns["day"].append(day.toordinal())
    columns["side"].append(SIDES.index(pair.side))
    columns["exit"].append(planned is not None and planned.is_full_exit)
    columns["cut"].append(
        sum(bit for bit, number in zip(CUTS.values(), numbers, strict=True) if number is not None and number[1])
    )
    for name, number in zip(PLAN_NUMBERS, numbers, strict=True):
        columns[name].append(NULL if number is None else number[0])
    known = planned is not None and None not in numbers and bool(pair.lanes)
    return known and not any(damage_findings(pair)) and not any(standing_order_findings(pair))


def _add_lane(columns: dict[str, list[int]], pair: TradePair, side: LaneTrade, key: int, words: dict[str, int]) -> bool:
    """Add a lane's columns of a trade; tell whether they hold all that the one-pair judge would look at."""
    numbers = {name: scaled(value, NUMBERS[name]) for name, value in _numbers(side).items()}
    numbers["amount"] = _amount(pair, side)
    columns["trade_key"].append(key)
    for name, number in numbers.items():
        columns[name].append(NULL if number is None else number)
    for name, code in _codes(side, words).items():
        columns[name].append(code)
    return None not in numbers.values() and _is_ordinary(pair, side)


def _amount(pair: TradePair, side: LaneTrade) -> int | None:
    """Give the lane's planned amount: cut as the plan's is where it is the plan's; None where a column cannot tell it apart."""
    amount, planned = side.trade.planned_amount, pair.planned
    if amount is None or planned is None:
        return scaled(amount, USD)
    cut = truncated(planned.amount, USD)
    if cut is None or amount == planned.amount:
        return None if cut is None else cut[0]
    return None if cut[1] else scaled(amount, USD)


def _numbers(side: LaneTrade) -> dict[str, Decimal | None]:
    trade, fill = side.trade, truest_fill(side)
    entries = side.effects_of(EffectKind.LEDGER_ENTRY) if is_watched(side.run, EffectKind.LEDGER_ENTRY) else ()
    return {
        "amount": None,
        "asked": asked_quantity(side),
        "price": decision_price(trade.intent),
        "filled": trade.filled_quantity,
        "average": trade.average_price,
        "value": trade.value,
        "fill_quantity": fill.quantity if fill else None,
        "fill_price": EXACT.divide(fill.value, fill.quantity) if fill and fill.value is not None else None,
        "ledger_price": entries[0].price if entries else None,
        "residual": trade.residual_position,
    }


def _codes(side: LaneTrade, words: dict[str, int]) -> dict[str, int]:
    trade, intent = side.trade, side.trade.intent
    word = order_type_of(side)
    return {
        "action": SIDES.index(trade.action),
        "status": STATUSES.index(trade.status),
        "reason": NONE if trade.reason is None else REASONS.index(trade.reason),
        "basis": NONE if intent is None or intent.sizing_basis is None else BASES.index(intent.sizing_basis),
        "exit_flag": NONE if trade.is_complete_exit is None else int(trade.is_complete_exit),
        "fractionable": NONE if intent is None or intent.fractionable is None else int(intent.fractionable),
        "order_type": NONE if word is None else words.setdefault(word, len(words)),
        "attempts": NONE if trade.attempts is None else min(trade.attempts, 100),
    }


def _is_ordinary(pair: TradePair, side: LaneTrade) -> bool:
    """Tell whether the records beside the trade's own say nothing that the columns do not."""
    trade, planned = side.trade, pair.planned
    if side.copies > 1 or planned is None or trade.trade_id != planned.trade_id:
        return False
    if trade.planned_amount is not None and is_precision_loss(trade.planned_amount, planned.amount):
        return False
    if foreign_ids(side, planned.trade_id):
        return False
    chain, intent = chain_of(side), trade.intent
    if chain and intent is not None and chain[0].quantity not in (None, intent.quantity):
        return False
    return _fills_agree(side) and _event_repeats(side) and _ledger_repeats(side)


def _fills_agree(side: LaneTrade) -> bool:
    filled = side.trade.filled_quantity or Decimal(0)
    orders, record = order_fill(side), recorded_fill(side)
    one_price = sum(1 for order in side.trade.orders if order.filled_quantity) <= 1
    same = orders is None or orders.quantity == filled
    known = record is None or record.quantity == 0 or truest_fill(side) is not None
    return same and one_price and known and seen_filled(side) in (Decimal(0), filled) and not _waits(side)


def _waits(side: LaneTrade) -> bool:
    return any(order.accepted is False and status_of(order) == "filled" for order in side.trade.orders)


def _event_repeats(side: LaneTrade) -> bool:
    """Tell whether the trade's event, where one is due and watched, repeats its record exactly."""
    if not is_watched(side.run, EffectKind.TRADE_EXECUTED):
        return True
    events, trade = side.effects_of(EffectKind.TRADE_EXECUTED), side.trade
    due = trade.status in (TradeStatus.COMPLETED, TradeStatus.FAILED, TradeStatus.SKIPPED) or is_equity_blocked(trade)
    if len(events) != int(due):
        return False
    filled = trade.filled_quantity or Decimal(0)
    return all(
        event.success is (trade.status is TradeStatus.COMPLETED)
        and event.symbol in (None, trade.symbol)
        and event.action in (None, trade.action)
        and (event.quantity or Decimal(0)) == filled
        and (filled == 0 or event.price == trade.average_price)
        for event in events
    )


def _ledger_repeats(side: LaneTrade) -> bool:
    """Tell whether the ledger, where it is watched, has one entry with the filled quantity, or none where nothing was filled."""
    if not is_watched(side.run, EffectKind.LEDGER_ENTRY):
        return not side.effects_of(EffectKind.LEDGER_ENTRY)
    entries, filled = side.effects_of(EffectKind.LEDGER_ENTRY), side.trade.filled_quantity or Decimal(0)
    if filled == 0:
        return not entries
    return len(entries) == 1 and all(
        entry.quantity == filled
        and entry.price is not None
        and entry.symbol in (None, side.trade.symbol)
        and entry.action in (None, side.trade.action)
        for entry in entries
    )
