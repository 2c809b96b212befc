"""Business Unit: reports | Status: current.

The columns of every frame: name, dtype and meaning, as data. The loader makes frames from this list, the documentation
prints it (`docs/frames.md`), and a test holds frames against it, so the three cannot disagree.

Dtypes. `decimal` is an object column of `Decimal` (or None): exact, and what money is judged and summed by. `float64` is only
used for statistics (seconds, basis points). `category` has a closed, ordered list of categories. `day` is a naive
`datetime64[s]` at midnight, a trading day in New York. `time` is UTC.
"""

from __future__ import annotations

import pathlib
from dataclasses import dataclass
from enum import StrEnum

from shadow.contracts.comparison import Attribution, Level, Severity, Verdict
from shadow.contracts.vocabulary import Lane, Origin, Reason, Role, RunStatus, Side, TradeStatus


class Kind(StrEnum):
    """How a column is stored."""

    DAY = "day"
    TIME = "time"
    TEXT = "str"
    CATEGORY = "category"
    DECIMAL = "decimal"
    FLOAT = "float64"
    COUNT = "int64"
    MAYBE_COUNT = "Int64"
    FLAG = "bool"


class Path(StrEnum):
    """The way a run took through the workflow."""

    BOTH_PHASES = "sells and buys"
    SELLS_ONLY = "sells only"
    BUYS_ONLY = "buys only"
    EMPTY = "no trades"
    GUARD_BLOCKED = "guard blocked"
    EQUITY_BLOCKED = "equity breaker"
    MARKET_CLOSED = "market closed"
    FAILED = "failed"


class Size(StrEnum):
    """Whether a trade is large: planned absolute amount at least 1,000 USD (the planner's own boundary)."""

    LARGE = "large"
    SMALL = "small"


class Unit(StrEnum):
    """What a duration is of."""

    RUN = "run"
    TRADE = "trade"


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, how it is stored, what it means, and the closed list behind a category."""

    name: str
    kind: Kind
    meaning: str
    members: type[StrEnum] | None = None


def _category(name: str, members: type[StrEnum], meaning: str) -> Column:
    return Column(name, Kind.CATEGORY, meaning, members)


_DAY = Column("trading_day", Kind.DAY, "trading day, New York date of the plan")
_RUN = Column("run_id", Kind.TEXT, "the pair's run, the same in both lanes")
_PLAN = Column("plan_id", Kind.TEXT, "the plan")
_ORIGIN = _category("origin", Origin, "live, replay or planted; only live counts as coverage")
_PATH = _category("path", Path, "way through the workflow, as the candidate took it (the control where it is absent)")

PAIRS = (
    _DAY,
    _RUN,
    _PLAN,
    _ORIGIN,
    _category("production_lane", Lane, "the lane that was in production when the plan was published"),
    Column("published_at", Kind.TIME, "when the plan was published"),
    _category("verdict", Verdict, "the pair's verdict"),
    _PATH,
    _category("control_status", RunStatus, "how the control's run ended"),
    _category("candidate_status", RunStatus, "how the candidate's run ended"),
    Column("trade_count", Kind.COUNT, "trades planned or seen in either lane"),
    Column("portfolio_value", Kind.DECIMAL, "USD, from the plan"),
    Column("planned_value", Kind.DECIMAL, "USD, sum of absolute planned amounts"),
    Column("differences", Kind.COUNT, "differences that count, known ones included"),
    Column("rows", Kind.COUNT, "rows of the frame differences: also INFO and mere consequences"),
    Column("unexplained", Kind.COUNT, "differences that count and that no known divergence covers"),
    Column("critical", Kind.COUNT, "unexplained CRITICAL differences"),
    Column("major", Kind.COUNT, "unexplained MAJOR differences"),
    Column("impact_notional", Kind.DECIMAL, "signed USD, candidate minus control, exposure"),
    Column("impact_cash", Kind.DECIMAL, "signed USD, candidate minus control, cash"),
    Column("gross_impact", Kind.DECIMAL, "USD, sum over all differences of the larger of absolute notional and absolute cash"),
    Column(
        "money_gross", Kind.DECIMAL, "USD, money ledger: absolute exposure, trade by trade, never netted; None without a ledger"
    ),
    Column("money_net", Kind.DECIMAL, "signed USD, money ledger: candidate minus control, exposure; None without a ledger"),
    Column(
        "account_difference",
        Kind.DECIMAL,
        "signed USD, candidate minus control, both brokers' closing balances; None unless proved",
    ),
    Column("money_unexplained", Kind.DECIMAL, "signed USD of the account difference that no row explains; None unless proved"),
    Column("told_orders", Kind.COUNT, "orders in the accounts that are no trade's of the run"),
    Column("control_seconds", Kind.FLOAT, "wall seconds of the control's run"),
    Column("candidate_seconds", Kind.FLOAT, "wall seconds of the candidate's run"),
    Column("state_transitions", Kind.MAYBE_COUNT, "state transitions of the pair's executions; of a replay the candidate's"),
    Column("violations", Kind.COUNT, "self-check violations of the candidate"),
    Column("gaps", Kind.COUNT, "pieces of evidence that are missing"),
    Column("margins", Kind.COUNT, "rows of the frame margins"),
    Column("policy_hash", Kind.TEXT, "the policy the pair was judged by"),
    Column("code_version", Kind.TEXT, "the code that judged it"),
    Column("control_version", Kind.TEXT, "published version of the control's workflow and functions; None where none was named"),
    Column("candidate_version", Kind.TEXT, "the same of the candidate's"),
    Column("document", Kind.TEXT, "where the document lies"),
)

TRADES = (
    _DAY,
    _RUN,
    _PLAN,
    Column("trade_id", Kind.TEXT, "the plan's id of the trade; of a trade beyond the plan the lane's own"),
    _ORIGIN,
    _PATH,
    Column("symbol", Kind.TEXT, "ticker"),
    _category("side", Side, "BUY or SELL"),
    _category("size", Size, "large from 1,000 USD planned; of a trade nobody planned, by what its lane says"),
    Column("full_exit", Kind.FLAG, "whether everything held is to be sold; of a trade nobody planned, by what its lane says"),
    Column("planned_amount", Kind.DECIMAL, "signed USD, from the plan; None for a trade nobody planned"),
    _category("control_status", TradeStatus, "how it ended in the control; missing: not there"),
    _category("candidate_status", TradeStatus, "how it ended in the candidate; missing: not there"),
    _category("control_reason", Reason, "why it ended otherwise than COMPLETED"),
    _category("candidate_reason", Reason, "why it ended otherwise than COMPLETED"),
    Column("control_quantity", Kind.DECIMAL, "shares filled"),
    Column("candidate_quantity", Kind.DECIMAL, "shares filled"),
    Column("control_price", Kind.DECIMAL, "USD a share, average fill"),
    Column("candidate_price", Kind.DECIMAL, "USD a share, average fill"),
    Column("control_value", Kind.DECIMAL, "USD filled"),
    Column("candidate_value", Kind.DECIMAL, "USD filled"),
    Column("control_quote", Kind.DECIMAL, "USD a share, the quote the control decided by"),
    Column("candidate_quote", Kind.DECIMAL, "USD a share, the quote the candidate decided by"),
    Column(
        "control_slippage_bps",
        Kind.FLOAT,
        "basis points of the best-known fill against the control's own decision price; positive is a cost",
    ),
    Column("candidate_slippage_bps", Kind.FLOAT, "the same of the candidate"),
    Column("control_seconds", Kind.FLOAT, "seconds from start to end"),
    Column("candidate_seconds", Kind.FLOAT, "seconds from start to end"),
    Column("control_own", Kind.TEXT, "fields of your own, a JSON object of texts by name; missing: none"),
    Column("candidate_own", Kind.TEXT, "the same of the candidate's"),
    Column("differences", Kind.COUNT, "differences about this trade that count, known ones included"),
    Column("unexplained", Kind.COUNT, "differences that count and that no known divergence covers"),
)

DIFFERENCES = (
    _DAY,
    _RUN,
    _PLAN,
    Column("trade_id", Kind.TEXT, "the trade; missing where the difference is about the run"),
    _ORIGIN,
    Column("symbol", Kind.TEXT, "ticker; missing where the difference is about the run"),
    _category("side", Side, "BUY or SELL"),
    Column("kind", Kind.TEXT, "kind of difference, from the judge's closed list"),
    _category("level", Level, "where it was made"),
    _category("severity", Severity, "how much it matters"),
    _category("attribution", Attribution, "the role of the lane that departs from the plan"),
    Column("who", Kind.TEXT, "the same with the lane, as in control (legacy)"),
    Column("field", Kind.TEXT, "the field that differs"),
    Column("planned", Kind.TEXT, "what the plan says"),
    Column("control", Kind.TEXT, "what the control has"),
    Column("candidate", Kind.TEXT, "what the candidate has"),
    Column("rule", Kind.TEXT, "the rule it broke"),
    Column("explanation", Kind.TEXT, "in words"),
    Column("notional", Kind.DECIMAL, "signed USD of exposure, candidate minus control"),
    Column("cash", Kind.DECIMAL, "signed USD of cash, candidate minus control"),
    Column("gross", Kind.DECIMAL, "USD, the larger of absolute notional and absolute cash"),
    Column("key", Kind.TEXT, "names the difference within its pair"),
    Column("caused_by", Kind.TEXT, "key of the difference that it follows from; missing: none"),
    Column("counts", Kind.FLAG, "above INFO and not the consequence of another"),
    Column("covered_by", Kind.TEXT, "the known divergence that covers it; missing: none"),
    Column("over_budget", Kind.TEXT, "the known divergence that would cover it and has used up its budget of the day"),
    Column("unexplained", Kind.FLAG, "counts, and is not covered"),
)

DURATIONS = (
    _DAY,
    _RUN,
    Column("trade_id", Kind.TEXT, "the trade; missing for a run"),
    _ORIGIN,
    _category("unit", Unit, "what the duration is of"),
    _category("role", Role, "whose duration"),
    Column("seconds", Kind.FLOAT, "wall seconds from start to end"),
)

MARGINS = (
    _DAY,
    _RUN,
    _ORIGIN,
    Column("rule", Kind.TEXT, "the policy's rule that had something to forgive or to refuse"),
    Column("words", Kind.TEXT, "the rule as it was asked"),
    Column("measure", Kind.TEXT, "what `needed` is counted in"),
    Column("needed", Kind.DECIMAL, "the tolerance that would just have been enough; None: none would be"),
    Column("used", Kind.DECIMAL, "its share of the tolerance: above 1 a difference; None: no tolerance, and one was needed"),
    Column("trade_id", Kind.TEXT, "the trade that needed it; missing: the run as a whole"),
)

LEDGER = (
    _DAY,
    Column("published", Kind.COUNT, "live pairs published"),
    Column("matched", Kind.COUNT, "verdict MATCHED"),
    Column("diverged", Kind.COUNT, "verdict DIVERGED"),
    Column("ignored", Kind.COUNT, "verdict IGNORED"),
    Column("incomplete", Kind.COUNT, "verdict INCOMPLETE"),
    Column("missing", Kind.COUNT, "a lane never turned up"),
    Column("pending", Kind.COUNT, "no verdict yet"),
    Column("unaccounted", Kind.COUNT, "published and in none of the above, or not readable in the ledger"),
    Column("uncompared", Kind.COUNT, "judged in the ledger, and no stored comparison says the same"),
    Column("late", Kind.COUNT, "past the first deadline, or resolved late"),
    Column("conserved", Kind.FLAG, "none is unaccounted for and none uncompared"),
    Column("settle_seconds", Kind.FLOAT, "the slowest pair's seconds from publication to settlement"),
    Column("drills", Kind.COUNT, "replayed and planted pairs, which are no coverage"),
    Column("swapped", Kind.COUNT, "published with the workflow in production, which is no evidence about cutting over"),
    Column("unpaired", Kind.MAYBE_COUNT, "plans with trades that were published and have no pair; missing: not known"),
    Column("held", Kind.MAYBE_COUNT, "plans that only hold, which have nothing to compare; missing: not known"),
)

FRAMES = {
    "pairs": PAIRS,
    "trades": TRADES,
    "differences": DIFFERENCES,
    "durations": DURATIONS,
    "margins": MARGINS,
    "ledger": LEDGER,
}

PAGE = pathlib.Path("docs/frames.md")
_ABOUT = {
    "pairs": "One row a pair, from the last comparison that was stored of it.",
    "trades": "One row a trade of a pair that was planned or seen in either lane, both lanes side by side.",
    "differences": "One row a difference.",
    "durations": "One row a measured duration: of a run or of a trade, in one lane. What has no end has no row.",
    "margins": "One row a rule of a pair that had something to forgive or refuse: how much of its tolerance was used, and where.",
    "ledger": "One row a trading day: where every published pair went.",
}
_HEAD = """<!-- Made by `python -m local.pages`. Change reports/data/columns.py, not this page. -->

# Frames

`reports.data.frames.load_frames(source, first, last, ledger=…, budgets=…)` gives six tidy pandas frames. A source is a bucket, a
folder, a file of lines (`shadow.settlement.stored.source_of`) or an Athena table (`reports.data.frames.AthenaSource`).

| kind | dtype | what it is for |
|---|---|---|
| decimal | object, of `Decimal` or None | money, prices, quantities: exact, and what is judged and summed |
| float64 | float64 | statistics only: seconds, basis points |
| category | category, ordered, closed | the glossary's lists, in the glossary's order (the worst severity first) |
| day | datetime64[s], naive, midnight | a trading day, New York |
| time | datetime64[us, UTC] | a moment |
| str | str | text, missing where there is none |
| int64, Int64 | int64, Int64 (may be missing) | counts |
| bool | bool | yes or no |
"""


def render_page() -> str:
    """Write the page."""
    return _HEAD + "".join(_frame(name, columns) for name, columns in FRAMES.items())


def _frame(name: str, columns: tuple[Column, ...]) -> str:
    rows = "".join(f"| `{column.name}` | {_kind(column)} | {column.meaning} |\n" for column in columns)
    return f"\n## `{name}`\n\n{_ABOUT[name]}\n\n| column | kind | meaning |\n|---|---|---|\n{rows}"


def _kind(column: Column) -> str:
    if column.kind is Kind.CATEGORY and column.members is not None:
        return "category: " + ", ".join(member.value for member in column.members)
    return column.kind.value
