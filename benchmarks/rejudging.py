"""Business Unit: benchmarks | Status: current.

B4. Judging stored trades again: what `shadow rejudge` takes for a folder of stored pairs, judged whole and by their margins, each
in a process of its own that begins cold; and what the margins take once their index is read. Its memory is held against datacompy
on pandas, which compares and reports the same trades from frames.
"""

from __future__ import annotations

import gc
import importlib
import os
import re
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from benchmarks.environment import probe
from benchmarks.evidence_documents import documents_of
from benchmarks.judging import case_of
from benchmarks.rows import Growth, Line, Measurement
from benchmarks.timing import exponent, memory_mb, spread
from shadow.compare.document import canonical_bytes, digest_of
from shadow.compare.judge import judge
from shadow.compare.policy import Policy, default_policy
from shadow.compare.rules import BpsRule
from shadow.contracts.comparison import Severity
from shadow.contracts.identity import run_id_of, trade_id_of
from shadow.contracts.outcome import RunOutcome
from shadow.settlement.judging import code_version

YEAR_PAIRS, YEAR_TRADES = 264, 20
TRADES, PAIRS_A_DAY = 50, 80
MILLION = 1_000_000
SIZES, QUICK_SIZES = (10_000, 100_000, MILLION), (1_000, 2_000, 4_000)
YEAR_LIMIT, WHOLE_LIMIT, MARGINS_LIMIT, READ_LIMIT, MEMORY_LIMIT = 2.0, 120.0, 3.0, 1.0, 1.0
_FIRST_DAY = date(2024, 3, 15)
_TURNS = 3
_SECONDS = 1_800.0
_COLUMNS = ("status", "filled_quantity", "average_price", "value", "planned_amount", "symbol", "action")


def measure_all(python: Path, *, quick: bool) -> tuple[Measurement, Growth]:
    """Measure the contract year, and a million stored trades; `python` is the interpreter that has datacompy."""
    sizes = QUICK_SIZES if quick else SIZES
    with tempfile.TemporaryDirectory(prefix="shadow-bench-") as name:
        year, folders = Path(name) / "year", {size: Path(name) / str(size) for size in sizes}
        year_pairs = 10 if quick else YEAR_PAIRS
        year_name = f"{'' if quick else 'a contract year, '}{year_pairs} pairs of {YEAR_TRADES} trades"
        write_store(year, year_pairs, YEAR_TRADES)
        written = {size: write_store(folder, size // TRADES, TRADES) for size, folder in folders.items()}
        million, base = folders[sizes[-1]], {"folder": str(folders[sizes[-1]])}
        cold = [_asked({"folder": str(year), "tolerance": str(9_000 + turn), "keep": False}) for turn in range(_TURNS)]
        changed = [_asked({"folder": str(year), "tolerance": str(1 + turn), "keep": False}) for turn in range(_TURNS)]
        whole = _asked({**base, "tolerance": "3", "whole": True})
        for folder in folders.values():
            _asked({"folder": str(folder), "tolerance": "9000"})
        further = [_asked({**base, "tolerance": str(9_001 + turn)}) for turn in range(_TURNS)]
        weighed = [_asked({**base, "severity": severity}) for severity in ("INFO", "CRITICAL", "MINOR")]
        grown = {size: _asked({"folder": str(folder), "tolerance": "9000"})["seconds"] for size, folder in folders.items()}
        peer = _answer(probe(python, "rejudging", {"trades": sizes[-1], "peer": True}, seconds=_SECONDS))
        size = sum(1 for _ in million.glob("comparisons/day=*/*.json")) * TRADES
    lines = (
        _seconds(f"{year_name}, cold, margins answer", cold, None if quick else YEAR_LIMIT),
        _seconds(f"{year_name}, cold, every pair needs the judge", changed, None if quick else YEAR_LIMIT),
        _seconds(f"{size:,} stored trades, judged whole", [whole], None if quick else WHOLE_LIMIT),
        _seconds(f"{size:,} stored trades, margins answer", further, None if quick else MARGINS_LIMIT),
        _seconds(f"{size:,} stored trades, margins answer, once read", further, None if quick else READ_LIMIT, "answer"),
        _seconds(f"{size:,} stored trades, every difference weighed anew", weighed, None),
        _memory("peak memory, judged whole, all processes", whole, peer, None if quick else MEMORY_LIMIT),
        _memory("peak memory, margins answer", further[0], peer, None if quick else MEMORY_LIMIT),
    )
    judged = f"{whole['judged']:,.0f} of {whole['pairs']:,.0f} pairs were given to the judge where all were to be judged"
    answered = f"{further[0]['judged']:,.0f} where the margins answered"
    notes = (
        f"{written[sizes[-1]] / 1e6:,.0f} MB of documents, pairs of {TRADES} trades, one pair under other ids and days",
        f"{judged}, {answered}; datacompy on pandas took {peer['seconds']:.1f} s once the frames were made",
    )
    growth = Growth(
        "B4 judging stored trades by their margins",
        "trades",
        tuple(map(float, sizes)),
        tuple(grown.values()),
        exponent=exponent(sizes[1:], list(grown.values())[1:]),
    )
    return Measurement(lines, notes=notes), growth


def measure(
    *,
    folder: str = "",
    tolerance: str = "",
    severity: str = "",
    whole: bool = False,
    keep: bool = True,
    trades: int = 0,
    peer: bool = False,
) -> dict[str, float]:
    """Judge the pairs below `folder` again in this process, or have datacompy compare `trades`; seconds, and MB at the peak."""
    if peer:
        return _compared(trades)
    begun, base = time.perf_counter(), memory_mb("VmRSS")
    from reports.rejudge import read_index, rejudge  # noqa: PLC0415 - loading it is part of what is measured
    from shadow.settlement.judging import WhatIf  # noqa: PLC0415
    from shadow.settlement.stored import FolderSource  # noqa: PLC0415

    source, policy = FolderSource(Path(folder)), policy_with(tolerance) if tolerance else weighing(severity)
    found = rejudge(source, policy, date.min, date.max, keep=keep, whole=whole)
    seconds = time.perf_counter() - begun
    others = (os.cpu_count() or 1) - 1 if whole else 0
    peak = memory_mb() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024 * others
    answer = 0.0
    if keep and not whole:
        lines = list(read_index(source.index).values())
        gc.collect()
        asked = time.perf_counter()
        what_if = WhatIf(policy)
        sum(map(what_if.needs_the_judge, lines))
        answer = time.perf_counter() - asked
    return {
        "seconds": seconds,
        "answer": answer,
        "peak": peak - base,
        "pairs": found.pairs,
        "judged": found.judged,
    }


def policy_with(tolerance: str) -> Policy:
    """Give the packaged policy with another tolerance of the executed value, in basis points; every stored pair used some."""
    policy = default_policy()
    rule = BpsRule(rule="bps", tolerance=Decimal(tolerance))
    return policy.model_copy(update={"rules": policy.rules.model_copy(update={"executed_value": rule})})


def weighing(severity: str) -> Policy:
    """Give the packaged policy with another severity of one kind of difference: every difference is then weighed anew."""
    return default_policy().model_copy(update={"severity": {"SLIPPAGE": Severity(severity)}})


def write_store(folder: Path, pairs: int, trades: int) -> int:
    """Write a folder of `pairs` judged pairs of `trades` trades, and give its size in bytes.

    They are one pair under other ids and days: what is stored of each is right, to the digest in its name.
    """
    case = replace(case_of(documents_of(trades)), code_version=code_version())
    text = canonical_bytes(judge(case, default_policy())).decode()
    plan, run_id = case.plan, run_id_of(case.plan.plan_id)
    items = plan.tradable_items
    ids = [trade_id_of(run_id, item.symbol, item.action) for item in items]
    marks = re.compile("|".join(map(re.escape, (plan.plan_id, run_id, f'"trading_day":"{case.trading_day}"', *ids))))
    between, found = marks.split(text), marks.findall(text)
    size = 0
    for number in range(pairs):
        day = _FIRST_DAY + timedelta(days=number // PAIRS_A_DAY)
        name = f"{plan.plan_id}-{number}"
        other = run_id_of(name)
        names = {plan.plan_id: name, run_id: other, f'"trading_day":"{case.trading_day}"': f'"trading_day":"{day}"'}
        names |= {old: trade_id_of(other, item.symbol, item.action) for old, item in zip(ids, items, strict=True)}
        pieces = (piece for mark, after in zip(found, between[1:], strict=True) for piece in (names[mark], after))
        content = "".join((between[0], *pieces)).encode()
        path = folder / "comparisons" / f"day={day}" / f"{other}-{digest_of(content)[:16]}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        size += len(content)
    return size


def _compared(trades: int) -> dict[str, float]:
    """Compare the two lanes of `trades` trades with datacompy on pandas."""
    base = memory_mb("VmRSS")
    case = case_of(documents_of(400))
    pandas, datacompy = (importlib.import_module(name) for name in ("pandas", "datacompy"))
    frames = []
    for run in (case.control, case.candidate):
        if not isinstance(run, RunOutcome):
            raise TypeError("rejudging: expected a run in both lanes")
        few = pandas.DataFrame([{name: getattr(trade, name) for name in _COLUMNS} for trade in run.trades])
        many = few.iloc[[place % len(few) for place in range(trades)]].reset_index(drop=True)
        many["trade_key"] = range(trades)
        frames.append(many)
    begun = time.perf_counter()
    datacompy.PandasCompare(*frames, join_columns="trade_key").report()
    return {"seconds": time.perf_counter() - begun, "peak": memory_mb() - base}


def _asked(options: Mapping[str, object]) -> dict[str, float]:
    begun = time.perf_counter()
    found = _answer(probe(Path(sys.executable), "rejudging", options, seconds=_SECONDS))
    return found | {"wall": time.perf_counter() - begun}


def _answer(answer: object) -> dict[str, float]:
    if not isinstance(answer, Mapping):
        raise TypeError(f"rejudging: expected an object, was {type(answer).__name__}")
    return {str(key): float(value) for key, value in answer.items()}


def _seconds(name: str, runs: list[dict[str, float]], limit: float | None, key: str = "wall") -> Line:
    values = [run[key] for run in runs]
    middle = statistics.median(values)
    return Line(name, "s", middle, middle, "s", limit, spread=spread(values), repetitions=len(values))


def _memory(name: str, ours: Mapping[str, float], peer: Mapping[str, float], limit: float | None) -> Line:
    return Line(
        name,
        "MB",
        ours["peak"],
        ours["peak"] / peer["peak"],
        limit=limit,
        peer=peer["peak"],
        against="datacompy on pandas",
    )
