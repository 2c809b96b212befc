"""Business Unit: reports | Status: current.

Judge many trades at once, with the policy and the table of kinds of the one-pair judge: findings, causes within a trade,
severity, attribution, dollars, register, and the totals of each day. The rows that columns cannot hold are judged one by one.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date

import numpy as np
import numpy.typing as npt
import pandas as pd

from reports.rejudge.causes import roots_in_trade
from reports.rejudge.checks import executed_usd, find, slippage_usd, too_wide
from reports.rejudge.frame import CODES, NONE, NUMBERS, TradeFrames
from reports.rejudge.judged import INFO, SEVERITIES, JudgedTrades
from reports.rejudge.lanes import Found, LaneColumns, PlanColumns, Slot
from reports.rejudge.register import covering
from reports.rejudge.scaled import NULL, Codes, Ints
from reports.rejudge.sizing_checks import too_close
from shadow.compare.judge import judge_trade
from shadow.compare.kinds import KINDS
from shadow.compare.policy import Policy
from shadow.contracts.comparison import Difference
from shadow.contracts.vocabulary import Role

CHUNK = 1 << 17
MAX_THREADS = 8
_PLAN_NAMES = tuple(PlanColumns.__annotations__)


def judge_trades(frames: TradeFrames, policy: Policy) -> JudgedTrades:
    """Judge every trade of `frames` by `policy`, as the one-pair judge would judge each by itself.

    Raises ValueError where a row must be judged by itself and `frames` has no source to take it from.
    """
    found = judge_in_columns(frames, policy)
    return JudgedTrades(found.table, found.slots, dict(_one_by_one(found.alone, frames, policy)), frames.plan)


@dataclass(frozen=True, slots=True)
class InColumns:
    """What columns gave: differences, the slots behind their codes, and the rows that are to be judged one by one."""

    table: pd.DataFrame
    slots: tuple[Slot, ...]
    alone: list[int]


def judge_in_columns(frames: TradeFrames, policy: Policy) -> InColumns:
    """Judge what columns can hold."""
    places = [_places(frames.plan, role) for role in (frames.control, frames.candidate)]
    starts = range(0, len(frames.plan), CHUNK)
    with ThreadPoolExecutor(max_workers=min(os.cpu_count() or 1, MAX_THREADS)) as threads:
        judged = list(threads.map(lambda start: _chunk(start, places, frames, policy), starts))
    alone = np.flatnonzero(~frames.plan["plain"].to_numpy()).tolist()
    alone += [row for chunk in judged for row in chunk.wide]
    slots: tuple[Slot, ...] = judged[-1].slots if judged else ()
    whole = pd.concat([chunk.table for chunk in judged], ignore_index=True) if judged else _empty()
    if policy.known:
        whole["known"] = covering(whole, slots, frames, policy)
    return InColumns(whole, slots, sorted(alone))


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What judging one chunk gave: its differences, and the rows that are too wide for columns."""

    slots: tuple[Slot, ...]
    table: pd.DataFrame
    wide: list[int]


def _chunk(start: int, places: Sequence[npt.NDArray[np.intp]], frames: TradeFrames, policy: Policy) -> _Chunk:
    """Judge the rows from `start` on. Chunks know nothing of one another, and numpy lets go of the interpreter's lock."""
    rows = slice(start, min(start + CHUNK, len(frames.plan)))
    plan = PlanColumns(**{name: frames.plan[name].to_numpy()[rows] for name in _PLAN_NAMES})
    lanes = (
        _lane(Role.CONTROL, frames.control, places[0][rows]),
        _lane(Role.CANDIDATE, frames.candidate, places[1][rows]),
    )
    plain = frames.plan["plain"].to_numpy()[rows]
    wide = plain & (too_wide(plan, lanes[0]) | too_wide(plan, lanes[1]))
    wide |= plain & (too_close(plan, lanes[0], policy) | too_close(plan, lanes[1], policy))
    slots, table = _judge_chunk(plan, lanes, plain & ~wide, frames, policy)
    table["row"] += start
    return _Chunk(slots, table, (np.flatnonzero(wide) + start).tolist())


def _places(plan: pd.DataFrame, role: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Give where each plan row's trade stands in `lane`; -1 where it does not. Equal keys in equal order need no search."""
    keys, mine = plan["trade_key"].to_numpy(), role["trade_key"].to_numpy()
    if np.array_equal(keys, mine):
        return np.arange(len(keys), dtype=np.intp)
    places: npt.NDArray[np.intp] = pd.Index(mine).get_indexer(pd.Index(keys))
    return places


def _lane(name: Role, frame: pd.DataFrame, places: npt.NDArray[np.intp]) -> LaneColumns:
    """Take the lane's columns for some rows; NULL and -1 stand where the lane does not have the trade."""
    present = places >= 0
    codes = {column: _taken(frame, column, np.int8, places) for column in CODES}
    numbers = {column: _taken(frame, column, np.int64, places) for column in NUMBERS}
    return LaneColumns(role=name, present=present, **codes, **numbers)  # type: ignore[arg-type] # by their names


def _taken(
    frame: pd.DataFrame, column: str, dtype: type[np.int8 | np.int64], places: npt.NDArray[np.intp]
) -> npt.NDArray[np.int8 | np.int64]:
    values = frame[column].to_numpy(dtype=dtype)
    absent = places < 0
    if not absent.any():
        return values[places]
    nothing = NULL if dtype is np.int64 else NONE
    if len(values) == 0:
        return np.full(len(places), nothing, dtype=dtype)
    return np.where(absent, nothing, values[places]).astype(dtype)


def _judge_chunk(
    plan: PlanColumns, lanes: tuple[LaneColumns, LaneColumns], judged: npt.NDArray[np.bool_], frames: TradeFrames, policy: Policy
) -> tuple[tuple[Slot, ...], pd.DataFrame]:
    """Judge the rows of one chunk that are to be `judged` in columns."""
    found: list[Found] = sorted(find(plan, lanes, frames.order_types, policy), key=_place)
    slots = tuple(slot for slot, _ in found)
    departs = np.stack([np.where(judged, bits, np.int8(-1)) for _, bits in found], axis=1)
    rows, places = np.nonzero(departs >= 0)
    if len(rows) == 0:
        return slots, _empty()
    touched, compact = np.unique(rows, return_inverse=True)
    roots = roots_in_trade(departs[touched], slots)
    worth = _worth(departs[touched], slots, roots, lanes, touched)
    root = roots[compact, places]
    alone = root == places
    severities = np.array([SEVERITIES.index(policy.severity_of(kind)) for kind, _ in slots], dtype=np.int8)
    return slots, pd.DataFrame(
        {
            "row": rows,
            "slot": places.astype(np.int8),
            "severity": np.where(alone, severities[places], INFO).astype(np.int8),
            "attribution": departs[rows, root],
            "cause": np.where(alone, -1, root).astype(np.int8),
            "notional": worth[0][compact, places],
            "cash": worth[1][compact, places],
            "known": np.full(len(rows), -1, dtype=np.int16),
        }
    )


def _place(found: Found) -> tuple[int, str]:
    (kind, field), _ = found
    return (KINDS[kind].order, field)


def _empty() -> pd.DataFrame:
    types = {"row": np.int64, "slot": np.int8, "severity": np.int8, "attribution": np.int8, "cause": np.int8}
    types |= {"notional": np.int64, "cash": np.int64, "known": np.int16}
    return pd.DataFrame({name: np.empty(0, dtype=kind) for name, kind in types.items()})


def _worth(
    departs: Codes,
    slots: tuple[Slot, ...],
    roots: npt.NDArray[np.intp],
    lanes: tuple[LaneColumns, LaneColumns],
    rows: npt.NDArray[np.intp],
) -> tuple[Ints, Ints]:
    """Give each difference's notional and cash: a trade's dollars once, at the cause of the first that can move any."""
    notional, cash = (np.zeros(departs.shape, dtype=np.int64) for _ in range(2))
    moves = np.array([KINDS[kind].impact for kind, _ in slots])
    moving = (departs >= 0) & moves
    some = np.flatnonzero(moving.any(axis=1))
    target = roots[some, moving[some].argmax(axis=1)]
    executed = executed_usd(lanes[1])[rows[some]] - executed_usd(lanes[0])[rows[some]]
    notional[some, target] = executed
    cash[some, target] = -executed
    slot = [kind for kind, _ in slots].index("SLIPPAGE")
    others = np.flatnonzero((departs[:, slot] >= 0) & ~moving.any(axis=1))
    cash[others, roots[others, slot]] = slippage_usd(lanes[0])[rows[others]] - slippage_usd(lanes[1])[rows[others]]
    return notional, cash


def _one_by_one(rows: list[int], frames: TradeFrames, policy: Policy) -> Iterator[tuple[int, tuple[Difference, ...]]]:
    if rows and frames.source is None:
        raise ValueError(f"rejudge: expected a source for {len(rows)} rows that columns cannot hold, was none")
    days = frames.plan["day"].to_numpy()
    for row in rows:
        if frames.source is not None:
            yield row, judge_trade(frames.source(row), policy, date.fromordinal(int(days[row])))
