"""Business Unit: reports | Status: current.

From stored comparisons to what is kept of them, and back to frames of many pairs' trades.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.data.errors import UnreadableDocument
from reports.rejudge.coded import COLUMNS, Longs, Words
from reports.rejudge.frame import CODES, NUMBERS, PLAN_CODES, PLAN_NUMBERS, TradeFrames, frames_of_pairs
from reports.rejudge.kept import LANES, NARROW, WIDE, Columns, Kept, KeptPair, Number
from reports.rejudge.runs import facts_of
from reports.rejudge.scaled import NULL
from shadow.compare.case import PairView, TradePair
from shadow.compare.judge import case_of, verdict_of
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Comparison, Verdict
from shadow.contracts.errors import InvalidPayload
from shadow.settlement.judging import code_version

_BY_DIFFERENCES = (Verdict.MATCHED, Verdict.IGNORED, Verdict.DIVERGED)


def comparison_in(name: str, content: bytes) -> Comparison:
    """Read a stored document. Raises `UnreadableDocument` naming it and its field."""
    try:
        return Comparison.parse_json(content)
    except InvalidPayload as invalid:
        fault = invalid.faults[0]
        raise UnreadableDocument(name, fault.field, f"expected {fault.expected}, was {fault.found}") from None


def view_of(comparison: Comparison) -> PairView:
    """Give what a stored comparison was the judgement of, indexed."""
    return PairView(case_of(comparison, code_version()))


def fixed_verdict(comparison: Comparison) -> str:
    """Give the verdict that a pair has whatever its differences; empty where they decide."""
    verdict = verdict_of(comparison)
    return "" if verdict in _BY_DIFFERENCES else verdict.value


def kept_of(comparisons: Iterable[Comparison], policy: Policy) -> Kept:
    """Take from stored comparisons what judging them again needs; what must be known of a pair is what `policy` says."""
    words, pairs, stored = Words(), [], []
    trades: list[tuple[TradePair, date]] = []
    ranks: list[int] = []
    for number, comparison in enumerate(comparisons):
        view, start = view_of(comparison), len(trades)
        trades += [(pair, comparison.trading_day) for pair in view.trades]
        ranks += _ranks(view.trades)
        rows = {pair.trade_id: start + place for place, pair in enumerate(view.trades)}
        stored += words.rows(number, comparison.differences, rows)
        pairs.append(_kept_pair(number, comparison, view, start, policy))
    frames = frames_of_pairs(trades)
    columns = Columns(
        wide=_matrix(frames, WIDE, np.int64, NULL),
        narrow=_matrix(frames, NARROW, np.int8, 0),
        symbol=frames.plan["symbol"].to_numpy(dtype=np.int32),
        rank=np.array(ranks, dtype=np.int32),
        stored=np.array(stored, dtype=np.int64).reshape(-1, len(COLUMNS)),
        words=tuple(words.codes),
        order_types=frames.order_types,
        symbols=frames.symbols,
    )
    return Kept(tuple(pairs), columns)


def _kept_pair(number: int, comparison: Comparison, view: PairView, start: int, policy: Policy) -> KeptPair:
    return KeptPair(
        document=number,
        plan_id=comparison.plan_id,
        trading_day=comparison.trading_day.isoformat(),
        origin=comparison.origin,
        production_lane=comparison.production_lane,
        published_at=comparison.published_at.isoformat(),
        policy_hash=comparison.policy_hash,
        verdict=comparison.verdict.value,
        fixed=fixed_verdict(comparison),
        trades=len(comparison.plan.tradable_items),
        start=start,
        rows=len(view.trades),
        facts=facts_of(view, policy),
    )


def _ranks(trades: Sequence[TradePair]) -> list[int]:
    """Give where each trade stands when a pair's differences of one kind are told: by symbol, then id."""
    ranks = [0] * len(trades)
    for rank, place in enumerate(sorted(range(len(trades)), key=lambda place: (trades[place].symbol, trades[place].trade_id))):
        ranks[place] = rank
    return ranks


def _matrix(frames: TradeFrames, names: Sequence[str], kind: type[Number], nothing: int) -> npt.NDArray[Number]:
    """Put columns side by side, one row of the matrix a column; lanes' columns at the rows of their trades."""
    matrix = np.full((len(names), len(frames.plan)), nothing, dtype=kind)
    lanes = {role.value: frame for role, frame in zip(LANES, (frames.control, frames.candidate), strict=True)}
    for place, name in enumerate(names):
        role, _, column = name.rpartition(".")
        if not role:
            matrix[place] = frames.plan[column].to_numpy()
            continue
        keys = lanes[role]["trade_key"].to_numpy()
        matrix[place, keys] = 1 if column == "present" else lanes[role][column].to_numpy()
    return matrix


def frames_of_columns(parts: Sequence[tuple[Columns, Longs, Longs]]) -> TradeFrames:
    """Put the chosen trades of several units into frames: of each its columns, the rows chosen, and their days."""
    types, symbols = Words(), Words()
    wide = np.concatenate([part.wide[:, rows] for part, rows, _ in parts], axis=1)
    narrow = np.concatenate([_renamed(part, types)[:, rows] for part, rows, _ in parts], axis=1)
    plan: dict[str, npt.NDArray[np.generic]] = {name: narrow[NARROW.index(name)] for name in PLAN_CODES}
    plan |= {name: wide[WIDE.index(name)] for name in PLAN_NUMBERS}
    plan |= {name: plan[name].astype(np.bool_) for name in ("exit", "plain")}
    plan["trade_key"] = np.arange(wide.shape[1], dtype=np.int64)
    plan["day"] = np.concatenate([days for _, _, days in parts]).astype(np.int32)
    plan["symbol"] = np.concatenate([_coded(part.symbols, symbols)[part.symbol[rows]] for part, rows, _ in parts])
    lanes = []
    for role in LANES:
        present = narrow[NARROW.index(f"{role}.present")] == 1
        keep = slice(None) if present.all() else present
        columns = {name: narrow[NARROW.index(f"{role}.{name}")][keep] for name in CODES}
        columns |= {name: wide[WIDE.index(f"{role}.{name}")][keep] for name in NUMBERS}
        lanes.append(pd.DataFrame({"trade_key": plan["trade_key"][keep], **columns}, copy=False))
    return TradeFrames(pd.DataFrame(plan, copy=False), lanes[0], lanes[1], tuple(types.codes), tuple(symbols.codes))


def _coded(local: Sequence[str], words: Words) -> Longs:
    return np.array([words.code(word) for word in local], dtype=np.int64)


def _renamed(part: Columns, types: Words) -> npt.NDArray[np.int8]:
    """Give a unit's codes with its order types in the codes of `types`."""
    codes = _coded(part.order_types, types)
    if np.array_equal(codes, np.arange(len(codes))):
        return part.narrow
    narrow = part.narrow.copy()
    for role in LANES:
        column = narrow[NARROW.index(f"{role}.order_type")]
        column[:] = np.where(column >= 0, codes[np.maximum(column, 0)], column)
    return narrow
