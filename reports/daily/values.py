"""Business Unit: reports | Status: current.

The daily divergence report as a value. Everything that the page, the mail and the JSON show is in here, worked out once; the
renderings decide only how it looks. Amounts USD, durations seconds, slippage basis points.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum

from reports.data.columns import Path
from reports.headline import Headline
from reports.noise import ToleranceRow, ToleranceUse
from reports.readiness.readiness import Statement
from shadow.contracts.comparison import Attribution, Level, Severity, Verdict, departs
from shadow.contracts.model import Exact, Frozen, Moment
from shadow.contracts.vocabulary import Role, RunStatus, Side
from shadow.contracts.words import count, usd


class DayVerdict(StrEnum):
    """The verdict of a trading day: the worst thing that is true of it, in this order."""

    UNACCOUNTED = "UNACCOUNTED"
    NOTHING_PUBLISHED = "NOTHING PUBLISHED"
    CRITICAL = "CRITICAL"
    DIVERGED = "DIVERGED"
    MISSING = "MISSING"
    INCOMPLETE = "INCOMPLETE"
    PENDING = "PENDING"
    MATCHED = "MATCHED"


class Counts(Frozen):
    """The conservation line of a day, live pairs only."""

    published: int
    matched: int
    diverged: int
    ignored: int
    incomplete: int
    missing: int
    pending: int
    unaccounted: int
    uncompared: int
    late: int
    conserved: bool
    settle_seconds: float | None
    drills: int
    unpaired: int | None = None
    held: int | None = None

    @property
    def line(self) -> str:
        """Say where every published pair went."""
        sign = "≠" if self.unaccounted else "="
        return (
            f"{self.published} published {sign} {self.matched} matched + {self.diverged} diverged + {self.ignored} ignored"
            f" + {self.incomplete} incomplete + {self.missing} missing + {self.pending} pending"
            f"{f'; {self.unpaired} more without a pair' if self.unpaired else ''}"
        )


class ImpactSum(Frozen):
    """What the day's differences are worth. `unexplained` is the gross impact that no known divergence covers."""

    notional: Exact
    cash: Exact
    gross: Exact
    unexplained: Exact


class MoneySum(Frozen):
    """The day's money ledgers. USD, candidate minus control; `accounts` and `unexplained` are of the `proved` ones alone.

    A ledger is proved where both brokers were asked for cash and positions before and after the run. `unexplained` sums absolute
    dollars, so that two pairs never cancel out; `told` counts orders that are no trade's of their run.
    """

    ledgers: int = 0
    proved: int = 0
    gross: Exact = Decimal(0)
    net: Exact = Decimal(0)
    accounts: Exact = Decimal(0)
    unexplained: Exact = Decimal(0)
    told: int = 0

    @property
    def line(self) -> str:
        """Say what the ledgers come to, and what of it is proved."""
        if not self.ledgers:
            return "no pair has a ledger"
        parts = [f"{usd(self.gross)} gross exposure and {usd(self.net, signed=True)} net in {count(self.ledgers, 'pair')}"]
        if self.proved:
            parts.append(
                f"{self.proved} proved by the brokers: the accounts differ by {usd(self.accounts, signed=True)}, "
                f"{usd(self.unexplained)} unexplained"
            )
        if self.proved < self.ledgers:
            pairs = count(self.ledgers - self.proved, "pair")
            parts.append(f"{pairs} not proved: the brokers were not asked before and after the run")
        if self.told:
            parts.append(f"{count(self.told, 'order')} in the accounts that no trade of the run accounts for")
        return "; ".join(parts)


class Change(Frozen):
    """One figure, on the trading day before and on this one."""

    label: str
    before: str
    now: str
    changed: bool


class Example(Frozen):
    """One difference, in full."""

    run_id: str
    trade_id: str | None
    symbol: str | None
    action: Side | None
    level: Level
    severity: Severity
    attribution: Attribution
    who: str
    field: str
    planned: str | None
    control: str | None
    candidate: str | None
    rule: str
    explanation: str
    notional: Exact
    caused_by: str | None
    covered_by: str | None

    @property
    def departs(self) -> str:
        """Say which lane departs."""
        return departs(self.who)


class Group(Frozen):
    """Differences of one kind: the worst severity, how many, how many unexplained, gross USD, and examples, worst first."""

    kind: str
    severity: Severity
    count: int
    unexplained: int
    gross: Exact
    examples: tuple[Example, ...]


class CauseGroup(Frozen):
    """Differences of one cause: which lane departs from the plan."""

    attribution: Attribution
    count: int
    unexplained: int
    gross: Exact
    kinds: tuple[str, ...]


class KnownCoverage(Frozen):
    """One known divergence: what it covered on the day and in the period shown, and whether it is still in force."""

    id: str
    owner: str
    reason: str
    expires: date | None
    state: str
    today: int
    period: int
    gross_today: Exact


class Spread(Frozen):
    """How a measured quantity is spread, one lane. `p95` is None of fewer than 20 values: it would be the largest of them."""

    of: str
    role: Role
    count: int
    median: float
    p95: float | None
    largest: float


class Cost(Frozen):
    """State transitions and what they cost."""

    transitions: int
    per_trade: float | None
    usd: Exact
    usd_month: Exact
    budget_usd: Exact


class PairRow(Frozen):
    """One pair of the day."""

    run_id: str
    plan_id: str
    origin: str
    published_at: Moment
    verdict: Verdict
    path: Path
    control_status: RunStatus | None
    candidate_status: RunStatus | None
    trades: int
    differences: int
    unexplained: int
    gross: Exact
    control_seconds: float | None
    candidate_seconds: float | None
    document: str


class TrendDay(Frozen):
    """One trading day of the trend. `gross` in USD is exact: days that are rounded one by one do not add up."""

    day: date
    published: int
    matched: int
    ignored: int
    diverged: int
    incomplete: int
    missing: int
    pending: int
    trades: int
    diverged_trades: int
    gross: Exact
    control_seconds: float | None
    candidate_seconds: float | None
    control_slippage_bps: float | None
    candidate_slippage_bps: float | None
    transitions: int


class DailyReport(Frozen):
    """The report of one trading day."""

    day: date
    stage: str
    generated_at: Moment
    closed_at: Moment
    half_day: bool
    verdict: DayVerdict
    headline: Headline
    sentence: str
    counts: Counts
    impact: ImpactSum
    money: MoneySum = MoneySum()
    readiness: Statement
    changes: tuple[Change, ...]
    kinds: tuple[Group, ...]
    causes: tuple[CauseGroup, ...]
    known: tuple[KnownCoverage, ...]
    durations: tuple[Spread, ...]
    slippage: tuple[Spread, ...]
    cost: Cost
    pairs: tuple[PairRow, ...]
    trend: tuple[TrendDay, ...]
    tolerances: tuple[ToleranceRow, ...] = ()
    tolerance_use: tuple[ToleranceUse, ...] = ()
    noise_floor: str = ""
    evidence_prefix: str = ""

    def with_examples(self, count: int) -> DailyReport:
        """Give the same report with at most `count` differences of each kind in full: the worst of them."""
        return self.model_copy(
            update={"kinds": tuple(kind.model_copy(update={"examples": kind.examples[:count]}) for kind in self.kinds)}
        )

    @property
    def subject(self) -> str:
        """Say the most in one line: what a phone shows of a mail."""
        return (
            f"[{self.stage}] {self.day} {self.verdict.value}: "
            f"{self.counts.matched} of {self.counts.published} matched, {self.readiness.readiness.value}"
        )
