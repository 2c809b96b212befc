"""Business Unit: benchmarks | Status: current.

B4, from stored documents: what `shadow rejudge` takes for a folder of stored pairs, the first time, when every document is read
and what judging needs of it is kept, and every further time, under another policy. The store is a twentieth of a million trades;
the further run is judged by what a million would take at that rate.
"""

from __future__ import annotations

import re
import shutil
import statistics
import tempfile
import time
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

from benchmarks.evidence_documents import documents_of
from benchmarks.judging import case_of
from benchmarks.rows import Line
from benchmarks.timing import spread
from reports.rejudged import Rejudged, rejudge, rejudge_one_by_one
from reports.sources import FolderSource
from shadow.compare.document import canonical_bytes, digest_of
from shadow.compare.judge import judge
from shadow.compare.policy import Policy, default_policy
from shadow.compare.rules import BpsRule
from shadow.contracts.identity import run_id_of, trade_id_of

TRADES, PAIRS, PAIRS_A_DAY = 50, 1_000, 80
MILLION = 1_000_000
SECONDS_LIMIT = 10.0
_FIRST_DAY = date(2024, 3, 15)
_FURTHER = ("3", "10", "50")
_COMPARED = 20


def measure_store() -> tuple[tuple[Line, ...], str]:
    """Measure the first run over a store, and further ones; give the lines, and a note on the store."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_store(folder, PAIRS)
        first = _seconds(folder, default_policy())
        further = [_seconds(folder, _policy(tolerance)) for tolerance in _FURTHER]
        _check(folder)
    rate = MILLION / (PAIRS * TRADES)
    millions = [seconds * rate for seconds in further]
    lines = (
        Line(
            name="a million stored trades, a further run",
            unit="s",
            ours=statistics.median(millions),
            figure=statistics.median(millions),
            figure_unit="s",
            limit=SECONDS_LIMIT,
            spread=spread(millions),
            repetitions=len(millions),
        ),
        Line(name="a million stored trades, the first run", unit="s", ours=first * rate, figure=first * rate, figure_unit="s"),
    )
    note = f"measured with {PAIRS:,} pairs of {TRADES}, {size / 1e6:.0f} MB of documents, times {rate:.0f}"
    return lines, f"stored trades are the whole command over a folder, {note}; a further run reads what the first one kept"


def write_store(folder: Path, pairs: int, trades: int = TRADES) -> int:
    """Write a folder of `pairs` judged pairs of `trades` trades, and give its size in bytes.

    They are one pair under other ids and days: what is stored of each is right, to the digest in its name.
    """
    case = case_of(documents_of(trades))
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


def _policy(tolerance: str) -> Policy:
    policy = default_policy()
    rule = BpsRule(rule="bps", tolerance=Decimal(tolerance))
    return policy.model_copy(update={"rules": policy.rules.model_copy(update={"average_price": rule, "value": rule})})


def _seconds(folder: Path, policy: Policy) -> float:
    begun = time.perf_counter()
    _rejudged(folder, policy)
    return time.perf_counter() - begun


def _rejudged(folder: Path, policy: Policy) -> Rejudged:
    return rejudge(FolderSource(folder), policy, date.min, date.max)


def _check(folder: Path) -> None:
    """Hold a few pairs to the one-pair judge, so that what is timed is right. Raises ValueError where it is not."""
    for path in sorted((folder / "comparisons").glob("day=*/*.json"))[_COMPARED:]:
        path.unlink()
    shutil.rmtree(folder / ".rejudge")
    policy = _policy(_FURTHER[0])
    if _rejudged(folder, policy).to_wire() != rejudge_one_by_one(FolderSource(folder), policy, date.min, date.max).to_wire():
        raise ValueError("rejudging: expected what the one-pair judge says, was something else")
