"""Business Unit: shared contracts | Status: current.

What a comparison says: differences, each with kind, severity, attribution and dollars, and the verdict of a pair. The
document is a pure function of plan, outcomes, policy and code version: judged twice, it is the same to the byte.

The money ledger of a comparison: what each lane executed of each symbol and by whose word, and every dollar between the two
accounts as a row with its cause. USD, candidate minus control, exact: an amount here is never rounded, so rows add up.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

from shadow.contracts.identity import is_replay
from shadow.contracts.model import Exact, Frozen, Identifier, Moment, decimal_text
from shadow.contracts.outcome import Owner, RunOutcome
from shadow.contracts.plan import RebalancePlan
from shadow.contracts.vocabulary import Lane, Role, Side

_MAX_DIGITS = 120


def _dollars(value: object) -> Decimal:
    """Read an exact amount of up to 120 significant digits: a product of two numbers of the contract, or a sum of such."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise ValueError(f"expected a decimal string, not {type(value).__name__}")  # noqa: TRY004 - pydantic reads it
    try:
        number = Decimal(value)
    except ArithmeticError:
        raise ValueError("expected a decimal string such as '1234.56'") from None
    if not number.is_finite() or len(number.as_tuple().digits) > _MAX_DIGITS or abs(number.adjusted()) > _MAX_DIGITS:
        raise ValueError(f"expected a finite decimal of at most {_MAX_DIGITS} significant digits")
    return number


Dollars = Annotated[Decimal, BeforeValidator(_dollars), PlainSerializer(decimal_text, when_used="json")]


class Word(StrEnum):
    """By whose word an amount is what it is: who said how much, and at what price."""

    BROKER = "the broker"
    LANE = "the lane itself"
    OTHER_LANE = "the lane, at the other lane's price"
    PLAN = "the lane, at the plan's amount"
    MARKET = "the lane, at the market's quote"
    NOT_VALUED = "not valued: no price but the lane's own"
    NOT_KNOWN = "not known"
    NOTHING = "nothing to say"


class Executed(Frozen):
    """What a lane executed of one trade: signed shares and signed USD (a buy is positive). None: not known, or not valued."""

    shares: Dollars | None = None
    value: Dollars | None = None
    word: Word = Word.NOTHING
    off_plan: Dollars | None = None
    """Signed USD by which the value is more or less than the plan's signed amount."""


class MoneyLine(Frozen):
    """One trade: planned and executed. `exposure` is candidate minus control, at the middle of both prices; None: not known."""

    trade_id: str
    symbol: str
    side: Side
    planned: Dollars | None = None
    control: Executed = Executed()
    candidate: Executed = Executed()
    exposure: Dollars | None = None
    price: Dollars | None = None


class Cause(StrEnum):
    """Why the two accounts differ."""

    OPENING_CASH = "opening cash"
    OPENING_POSITION = "opening position"
    OPENING_DRIFT = "drift of the opening position"
    ONE_LANE = "a trade that one lane alone made"
    QUANTITY = "quantity"
    PRICE = "price"
    OTHER_ORDERS = "orders that are not the run's"
    FEES = "fees"
    OTHER_ACTIVITY = "other activity"
    UNEXPLAINED = "unexplained"


class MoneyRow(Frozen):
    """One cause, its symbol (None: the account as a whole), and its USD, candidate minus control."""

    cause: Cause
    symbol: str | None = None
    dollars: Dollars


class AccountCheck(Frozen):
    """One account held against itself: what it holds after, less what it held before and what is known to have happened.

    `cash` is USD, `positions` signed shares by symbol (those that are not zero), `dollars` both together at the broker's mark.
    """

    role: Role
    opening_at: Moment
    closing_at: Moment
    cash: Dollars
    positions: dict[str, Dollars]
    dollars: Dollars


class Told(Frozen):
    """One order in an account that is no trade's of the run. `filled` and `working` are USD, unsigned; None: not known."""

    role: Role
    owner: Owner
    order_id: str | None = None
    symbol: str | None = None
    side: Side | None = None
    status: str | None = None
    filled: Dollars | None = None
    working: Dollars | None = None
    note: str | None = None


class MoneyLedger(Frozen):
    """Every dollar between the two accounts.

    `gross` sums the absolute exposure of every trade and never nets; `net` is the same with its signs. `equity` is what the
    brokers' own closing snapshots differ by; it equals the sum of all rows. `is_proved` says that both accounts were seen before
    and after the run by their brokers; without it, `basis` says whose word the rows are, and nothing is known of what they leave
    unexplained.
    """

    lines: tuple[MoneyLine, ...] = ()
    rows: tuple[MoneyRow, ...] = ()
    marks: dict[str, Exact] = Field(default_factory=dict)
    checks: tuple[AccountCheck, ...] = ()
    gross: Dollars = Decimal(0)
    net: Dollars = Decimal(0)
    equity: Dollars | None = None
    unexplained: Dollars | None = None
    is_proved: bool = False
    basis: str = ""


class Level(StrEnum):
    """Where a difference was made."""

    DECISION = "decision"
    ORDER = "order"
    FILL = "fill"
    EFFECT = "effect"
    LANE = "lane"


class Severity(StrEnum):
    """How much a difference matters. CRITICAL would move money or safety."""

    CRITICAL = "CRITICAL"
    MAJOR = "MAJOR"
    MINOR = "MINOR"
    INFO = "INFO"

    @property
    def rank(self) -> int:
        """Give the place in order, 0 for the worst."""
        return _RANKS[self]


_RANKS = {severity: rank for rank, severity in enumerate(Severity)}


class Attribution(StrEnum):
    """Which lane departs from the plan. One difference is about one lane: where both depart, there are two."""

    CONTROL = "control"
    CANDIDATE = "candidate"
    NEITHER = "neither"


class Verdict(StrEnum):
    """What is known of a pair."""

    PENDING = "PENDING"
    MATCHED = "MATCHED"
    DIVERGED = "DIVERGED"
    IGNORED = "IGNORED"
    INCOMPLETE = "INCOMPLETE"
    MISSING_CONTROL = "MISSING_CONTROL"
    MISSING_CANDIDATE = "MISSING_CANDIDATE"


class Impact(Frozen):
    """What a difference is worth, candidate minus control, in signed USD.

    `notional` is the difference in exposure (a buy adds, a sell removes), `cash` the difference in money on the account.
    `gross` sums absolute dollars trade by trade and never nets.
    """

    notional: Exact = Decimal(0)
    cash: Exact = Decimal(0)
    gross: Exact = Decimal(0)


def departs(who: str) -> str:
    """Say which lane departs, of what `Difference.who` names."""
    return "nothing says which lane departs" if who == Attribution.NEITHER else f"the {who} departs"


class Difference(Frozen):
    """One thing that differs beyond its rule.

    `attribution` is the role of the lane that departs, `lane` what that lane is; None where neither does.

    A difference that merely follows from another one names it by key in `caused_by`; it is then INFO, worth nothing, and
    covered as its cause is: counts, dollars and the highest severity stand in the cause alone, so plain sums over all
    differences are right. `root` names the cause too where a known divergence covers that and not this more severe one, which
    then stands by itself. `own` is what it is worth by itself, and `by_worth` the least severity that this demands.
    `over_budget` is the known divergence that would cover it and has used up its budget for the day.
    """

    kind: str
    level: Level
    severity: Severity
    attribution: Attribution
    lane: Lane | None = None
    field: str
    trade_id: str | None = None
    symbol: str | None = None
    action: Side | None = None
    planned: str | None = None
    control: str | None = None
    candidate: str | None = None
    rule: str
    explanation: str
    impact: Impact = Impact()
    own: Impact = Impact()
    by_worth: Severity = Severity.INFO
    root: str | None = None
    caused_by: str | None = None
    covered_by: str | None = None
    over_budget: str | None = None

    @property
    def key(self) -> str:
        """Name this difference within its comparison."""
        return f"{self.kind}/{self.field}/{self.trade_id or '-'}/{self.attribution}"

    @property
    def who(self) -> str:
        """Name the lane that departs, by its role and what it is, as in `control (legacy)`; `neither` where nothing says so."""
        is_known = self.lane is not None and self.attribution is not Attribution.NEITHER
        return f"{self.attribution.value} ({self.lane})" if is_known else self.attribution.value

    @property
    def departs(self) -> str:
        """Say which lane departs."""
        return departs(self.who)

    @property
    def counts(self) -> bool:
        """Whether it keeps a pair from MATCHED: more than INFO, and not the consequence of another difference."""
        return self.severity is not Severity.INFO and self.caused_by is None

    @property
    def unexplained(self) -> bool:
        """Whether it counts and no known divergence covers it."""
        return self.counts and self.covered_by is None

    @property
    def gross(self) -> Decimal:
        """What it is worth, USD, trade by trade: never less than its absolute notional and cash."""
        return max(self.impact.gross, abs(self.impact.notional), abs(self.impact.cash))


class Counts(Frozen):
    """How many differences a comparison has, by severity."""

    critical: int = 0
    major: int = 0
    minor: int = 0
    info: int = 0


class EvidenceRef(Frozen):
    """Where one piece of evidence lies. `sha256` and `size` are of its text before compression; the digest is part of its key."""

    name: str
    key: str
    sha256: str
    size: int


class Needs(Frozen):
    """What the questions put to one rule needed to be answered yes, in one measure, to 12 digits.

    `permitted` is the largest need that was met, rounded up; `refused` the smallest that was not, rounded down. A rule of this
    measure with a tolerance from `permitted` up to, and not with, `refused` answers every one of those questions alike.
    """

    permitted: Exact = Decimal(0)
    refused: Exact | None = None

    def answer_alike(self, tolerance: Decimal) -> bool:
        """Tell whether a rule with `tolerance` is known to answer every question as it was answered."""
        return self.permitted <= tolerance and (self.refused is None or tolerance < self.refused)


class Margin(Frozen):
    """How much of one rule's tolerance a pair used, and at which trade (None: the run as a whole).

    `needed` is the tolerance that would just have been enough, in `measure`, which is the rule's own; `used` is its share of the
    tolerance: 0 is none, up to 1 within it, above 1 a difference. `used` is None where there is no tolerance at all and one was
    needed, `needed` where no tolerance would have been enough. `words` is the rule as it was asked. `shown` says that a
    difference shows those words. `needs` has what the questions needed by measure, so that another tolerance, and another kind
    of rule, can be answered without judging.
    """

    rule: str
    words: str
    measure: str
    used: Exact | None = None
    needed: Exact | None = Decimal(0)
    trade_id: str | None = None
    shown: bool = False
    needs: dict[str, Needs] = Field(default_factory=dict)


class Margins(Frozen):
    """The margins of a pair, by rule: of those that had something to forgive or to refuse.

    `basis` is the sha256 of everything in the policy that decides what is found and that no margin answers; `weights` the same
    with the severities and the register, by which what was found was weighed; empty where a document does not say, as those
    that are older than the field.
    """

    basis: str
    weights: str = ""
    rules: tuple[Margin, ...] = ()


class Comparison(Frozen):
    """The document that is stored for a pair, one JSON object, judged again later without AWS.

    `production_lane` was in production when the plan was published.

    `impact` is net and `gross_impact` the sum of absolute dollars trade by trade, over all differences; `money` is the ledger,
    and `told` are orders in the accounts that are no trade's of the run;
    `uncovered_…` is the same without what a known divergence covers.
    """

    plan_id: Identifier
    run_id: Identifier
    trading_day: date
    origin: str = "live"
    production_lane: Lane = Lane.LEGACY
    published_at: Moment
    verdict: Verdict
    differences: tuple[Difference, ...]
    plan: RebalancePlan
    control: RunOutcome | None
    candidate: RunOutcome | None
    gaps: tuple[str, ...] = ()
    margins: Margins | None = None
    money: MoneyLedger | None = None
    told: tuple[Told, ...] = ()
    impact: Impact = Impact()
    gross_impact: Exact = Decimal(0)
    uncovered_gross_impact: Exact = Decimal(0)
    counts: Counts = Counts()
    uncovered_counts: Counts = Counts()
    evidence: tuple[EvidenceRef, ...] = ()
    policy_hash: str
    code_version: str

    @property
    def transitions(self) -> int | None:
        """State transitions that the pair was charged for, whichever lane's; None: not known.

        Those of a replay are the candidate's: what production did was charged to the plan's own pair.
        """
        runs = (self.candidate,) if is_replay(self.plan_id) else (self.control, self.candidate)
        known = [run.state_transitions for run in runs if run is not None and run.state_transitions is not None]
        return sum(known) if known else None
