"""Business Unit: compare | Status: current.

The policy: the rules a comparison is made by, as data. A policy is read from one TOML text; a wrong one is refused whole, each
fault with its line, its key and what was expected there. Its hash names the rules that a stored comparison was judged by.

The noise floor as it stands in a policy: how far two runs of the same lane, of the same plans, were apart under each rule. It
judges nothing. It is what a tolerance is looked at beside: one below the noise raises false alarms, one far above it is blind.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import lru_cache
from hashlib import sha256
from importlib.resources import files
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, StrictInt, ValidationError, model_validator

from shadow.compare.kinds import KINDS
from shadow.compare.policy_text import InvalidPolicy, PolicyText
from shadow.compare.rules import (
    EXACT,
    TEN_THOUSAND,
    AbsoluteRule,
    BpsRule,
    DriftRule,
    DurationRatioRule,
    ExactRule,
    NumericRule,
    OrderedRule,
    SetRule,
    ToleranceRule,
)
from shadow.contracts.comparison import Attribution, Difference, Severity
from shadow.contracts.model import Frozen, NonNegative
from shadow.contracts.outcome import MAX_OWN_FIELDS, OwnName
from shadow.contracts.vocabulary import EffectKind, Lane, Role, Side


class RuleNoise(Frozen):
    """How far apart one rule's two sides were, in the rule's own measure; quantiles by nearest rank, equal values included."""

    measure: Annotated[str, Field(min_length=1, description="what the figures are counted in")]
    observations: Annotated[StrictInt, Field(ge=1, description="how many trades (or runs) were looked at")]
    p50: NonNegative
    p95: NonNegative
    p99: NonNegative
    largest: NonNegative

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.p50 <= self.p95 <= self.p99 <= self.largest:
            raise ValueError("expected p50 <= p95 <= p99 <= largest")
        return self


class NoiseFloor(Frozen):
    """Measured noise, by rule."""

    role: Annotated[Role, Field(description="the role of the lane that was run twice")]
    first_day: Annotated[date, Field(description="the first trading day that was measured")]
    last_day: Annotated[date, Field(description="… and the last")]
    pairs: Annotated[StrictInt, Field(ge=1, description="how many plans were run twice")]
    rules: Annotated[dict[str, RuleNoise], Field(description="what was measured, by rule")]


class Standing(StrEnum):
    """How a tolerance stands to the noise."""

    NOT_MEASURED = "not measured"
    BELOW_NOISE = "below the noise"
    CLOSE = "close to the noise"
    CLEAR = "clear of the noise"


CLOSE_RATIO = 2


def standing_of(tolerance: NonNegative | None, noise: RuleNoise | None) -> Standing:
    """Say how a tolerance stands to the noise: below its 99th percentile, less than twice the largest seen, or clear of it."""
    if noise is None or tolerance is None:
        return Standing.NOT_MEASURED
    if tolerance < noise.p99:
        return Standing.BELOW_NOISE
    return Standing.CLOSE if noise.largest and tolerance < CLOSE_RATIO * noise.largest else Standing.CLEAR


Named = Annotated[str, Field(min_length=1, max_length=200)]
Pattern = Annotated[str, Field(min_length=1, description="`*` stands for anything, `?` for one character")]
Seconds = Annotated[StrictInt, Field(gt=0)]
OWN_FIELD = "OWN_FIELD"
OWN = "own."
"""What a field of a user's own is called in differences, gaps and margins begins so."""


class Rules(Frozen):
    """One rule a field. Amounts USD, quantities shares, prices USD a share."""

    trades: Annotated[SetRule, Field(description="the trades of a run, against those of the plan")]
    planned_amount: Annotated[NumericRule, Field(description="a lane's planned amount, against the plan's")]
    sizing_basis: Annotated[SetRule, Field(description="what a full exit may be sized by; other trades: the trade amount")]
    asked_quantity: Annotated[
        ToleranceRule, Field(description="quantity asked for, against |trade amount| / the lane's own decision price")
    ]
    exit_quantity: Annotated[
        ToleranceRule,
        Field(
            description="a full exit's worth, against the plan's current value: how far a price may move after the plan is made"
        ),
    ]
    order_quantity: Annotated[NumericRule, Field(description="quantity of the first order, against the quantity decided on")]
    order_type: Annotated[SetRule, Field(description="the type of the first order")]
    filled_quantity: Annotated[NumericRule, Field(description="filled quantity, against the quantity asked for")]
    partial_fill: Annotated[
        NumericRule, Field(description="filled USD (filled quantity * own decision price) of two FAILED trades, across lanes")
    ]
    executed_value: Annotated[NumericRule, Field(description="executed USD (filled quantity * price), against |trade amount|")]
    decision_mid: Annotated[NumericRule, Field(description="a lane's decision price, against the mid of its own bid and ask")]
    decision_price: Annotated[
        DriftRule,
        Field(description="a lane's decision price, against the nearest of real fills and the market's quote, else the other's"),
    ]
    limit_price: Annotated[
        BpsRule, Field(description="an order's limit outside the lane's own bid and ask, against the nearer one")
    ]
    average_price: Annotated[
        BpsRule, Field(description="a lane's average fill price, against the market between the two lanes' decisions")
    ]
    recorded_price: Annotated[BpsRule, Field(description="recorded price, against the average price of the orders' fills")]
    value: Annotated[NumericRule, Field(description="recorded value, against filled quantity * average price")]
    residual_position: Annotated[NumericRule, Field(description="position left after a full exit, against zero")]
    guard_amounts: Annotated[NumericRule, Field(description="sums of planned amounts, against the lane's own trades")]
    guard_threshold: Annotated[NumericRule, Field(description="the guard's threshold, against `limits.guard_threshold_usd`")]
    equity_limit: Annotated[NumericRule, Field(description="the lanes' equity limits, against each other")]
    effect_quantity: Annotated[NumericRule, Field(description="quantity in an event or the ledger, against the trade's")]
    effect_price: Annotated[BpsRule, Field(description="price in an event or the ledger, against the trade's")]
    phase_order: Annotated[OrderedRule, Field(description="every SELL ends before the first BUY begins")]
    duration_ratio: Annotated[DurationRatioRule, Field(description="run duration, against the other lane's")]


class _Own(Frozen):
    severity: Annotated[Severity | None, Field(description="how much a difference of it matters; by default as OWN_FIELD")] = None


class OwnExactRule(ExactRule, _Own):
    """Equal means the same value: of a text, a truth value, a time or a number."""


class OwnAbsoluteRule(AbsoluteRule, _Own):
    """Equal means numbers at most `tolerance` apart, or times at most so many seconds; anything else the same value."""


class OwnBpsRule(BpsRule, _Own):
    """Equal means numbers at most `tolerance` basis points apart; anything else the same value."""


OwnRule = Annotated[OwnExactRule | OwnAbsoluteRule | OwnBpsRule, Field(discriminator="rule")]


class Limits(Frozen):
    """The numbers that the plan does not carry and both lanes are held to."""

    guard_threshold_usd: Annotated[NonNegative, Field(description="failed SELLs above this many USD block the BUY phase")]
    sell_attempts: Annotated[StrictInt, Field(ge=1, description="how often a SELL may be tried")]
    buy_attempts: Annotated[StrictInt, Field(ge=1, description="how often a BUY may be tried")]
    run_seconds: Annotated[Seconds, Field(description="no run should take longer")]
    quote_seconds: Annotated[Seconds, Field(description="no quote that a trade is sized on should be older, in seconds")]
    quote_width_bps: Annotated[
        NonNegative, Field(description="widest quote that a trade should be sized on, in basis points of its mid")
    ]
    equity_deployment: Annotated[
        NonNegative | None,
        Field(description="equity limit as a fraction of the plan's portfolio value; says which of two limits is right"),
    ] = None


class Worth(Frozen):
    """How much a difference must be worth, by both measures."""

    usd: Annotated[NonNegative, Field(description="at least so many USD")]
    bps: Annotated[NonNegative, Field(description="and at least so many basis points of its trade's planned amount")] = Decimal(0)


class Materiality(Frozen):
    """What a difference is worth raises its severity, whatever its kind.

    It must be worth at least `usd` USD, and at least `bps` basis points of its trade's planned amount.
    """

    major: Annotated[Worth, Field(description="worth so much, a difference is at least MAJOR")]
    critical: Annotated[Worth, Field(description="worth so much, a difference is CRITICAL")]

    def raised(self, severity: Severity, usd: Decimal, trade_usd: Decimal) -> Severity:
        """Give the severity of a difference worth `usd` in a trade of `trade_usd` (absolute USD; 0: of no one trade)."""
        for level, least in ((Severity.CRITICAL, self.critical), (Severity.MAJOR, self.major)):
            enough = EXACT.multiply(usd, TEN_THOUSAND) >= EXACT.multiply(least.bps, trade_usd)
            if usd > 0 and usd >= least.usd and enough:
                return worse(severity, level)
        return severity


def worse(first: Severity, second: Severity) -> Severity:
    """Give the more severe of two."""
    return second if second.rank < first.rank else first


class Deadlines(Frozen):
    """When waiting ends, in seconds from publication (`stuck`: from the last sign of life)."""

    late_seconds: Annotated[Seconds, Field(description="a pair that is not judged by then is LATE")]
    missing_seconds: Annotated[Seconds, Field(description="a lane that is absent by then is MISSING")]
    stuck_seconds: Annotated[Seconds, Field(description="a run that shows no progress for so long is stuck")]

    @model_validator(mode="after")
    def _late_comes_first(self) -> Self:
        if self.late_seconds > self.missing_seconds:
            raise ValueError(f"expected late_seconds to be at most missing_seconds, {self.missing_seconds}")
        return self


class Applies(Frozen):
    """The lanes (and, for `duration_ratio`, roles) that the one-sided rules are for: not everything can be asked of both."""

    client_order_id: Annotated[tuple[Lane, ...], Field(description="whose client order ids must derive from the trade")]
    effect_emitted: Annotated[tuple[Lane, ...], Field(description="who must not emit effects while it is the candidate")]
    equity_counted: Annotated[tuple[Lane, ...], Field(description="whose breaker reserves, so that it counts a BUY at once")]
    duration_ratio: Annotated[tuple[Role, ...], Field(description="whose slowness counts: control, candidate, or both")]
    recorded_price: Annotated[tuple[Lane, ...], Field(description="whose recorded price must be its fills' price")]


class LaneEvidence(Frozen):
    """What must be known of a lane's run and trades, by field path. What is absent makes a pair INCOMPLETE."""

    run: Annotated[tuple[str, ...], Field(description="of every run that has ended")] = ()
    blocked_run: Annotated[tuple[str, ...], Field(description="besides, of a run that a safety rule stopped")] = ()
    completed_run: Annotated[tuple[str, ...], Field(description="besides, of a run that completed")] = ()
    guarded_run: Annotated[tuple[str, ...], Field(description="besides, of a run with SELLs that came to its guard")] = ()
    trade: Annotated[tuple[str, ...], Field(description="of every trade")] = ()
    completed: Annotated[tuple[str, ...], Field(description="besides, of a COMPLETED trade")] = ()
    completed_buy: Annotated[tuple[str, ...], Field(description="besides, of a COMPLETED BUY while the breaker is on")] = ()
    failed: Annotated[tuple[str, ...], Field(description="besides, of a FAILED trade")] = ()
    failed_at_broker: Annotated[
        tuple[str, ...], Field(description="besides, of a trade that the broker rejected, filled in part or did not fill")
    ] = ()
    left_alone: Annotated[tuple[str, ...], Field(description="besides, of a SKIPPED or BLOCKED trade")] = ()
    order: Annotated[tuple[str, ...], Field(description="of every order")] = ()
    broker_truth: Annotated[tuple[str, ...], Field(description="besides, of a COMPLETED trade, where the broker was asked")] = ()


class Evidence(Frozen):
    """What must be known before a pair can match, by what a lane is: a cut-over changes nothing here."""

    effects: Annotated[tuple[EffectKind, ...], Field(description="kinds of effect that must have been watched, in both lanes")]
    legacy: LaneEvidence
    workflow: LaneEvidence
    declared: LaneEvidence


def _coverable(pattern: str) -> str:
    matching = [kind for kind in KINDS.values() if fnmatchcase(kind.name, pattern)]
    if not any(kind.coverable for kind in matching):
        raise ValueError(f"expected kinds that may be covered, not {'those alone that never may' if matching else 'none at all'}")
    return pattern


class KnownDivergence(Frozen):
    """One registered reason why a difference is expected. It covers what all of its patterns match, until it expires.

    `lane` is the lane that departs, by its name and not by its role: after a cut-over an entry is still about the same lane. It
    covers differences of trading days up to and with `expires`, at most `budget_a_day` of them.
    """

    id: Annotated[Named, Field(description="what reports call the entry, for example KD-001")]
    owner: Annotated[Named, Field(description="who answers for it")]
    reason: Annotated[Named, Field(description="why the difference is expected")]
    kind: Annotated[Pattern, AfterValidator(_coverable)]
    field: Pattern = "*"
    symbol: Pattern = "*"
    side: Annotated[Side | Literal["*"], Field(description="BUY, SELL, or `*` for both and for the run itself")] = "*"
    lane: Annotated[
        Lane | Literal["neither", "*"], Field(description="legacy, workflow, declared, `neither` where no lane departs, or `*`")
    ] = "*"
    expires: Annotated[date, Field(description="the last trading day that it covers")]
    budget_a_day: Annotated[StrictInt, Field(ge=1, description="how many differences it covers on one trading day, at most")]

    def covers(self, difference: Difference, on: date) -> bool:
        """Tell whether it covers `difference` on the trading day `on`."""
        kind, symbol = difference.kind, difference.symbol
        departs = "neither" if difference.attribution is Attribution.NEITHER else difference.lane
        return (
            on <= self.expires
            and KINDS[kind].coverable
            and fnmatchcase(kind, self.kind)
            and fnmatchcase(difference.field, self.field)
            and (self.symbol == "*" or (symbol is not None and fnmatchcase(symbol, self.symbol)))
            and self.side in ("*", difference.action)
            and self.lane in ("*", departs)
        )


def _only_kinds(severities: dict[str, Severity]) -> dict[str, Severity]:
    for name in severities:
        if name not in KINDS:
            raise ValueError(f"expected the name of a kind of difference, was {name}")
        if not KINDS[name].coverable:
            raise ValueError(f"expected {name} to be left alone, it is CRITICAL whatever else holds")
    return severities


def _only_tolerances(noise: NoiseFloor | None) -> NoiseFloor | None:
    unknown = sorted(set(noise.rules) - Rules.model_fields.keys()) if noise else []
    if unknown:
        raise ValueError(f"expected names of rules, was {', '.join(unknown)}")
    return noise


def _one_an_id(known: tuple[KnownDivergence, ...]) -> tuple[KnownDivergence, ...]:
    ids = [entry.id for entry in known]
    twice = sorted({name for name in ids if ids.count(name) > 1})
    if twice:
        raise ValueError(f"expected one entry an id, was more than one for {', '.join(twice)}")
    return known


class Policy(Frozen):
    """Everything a comparison is made by."""

    version: Annotated[StrictInt, Field(ge=1, le=1, description="of this form of policy")]
    rules: Rules
    limits: Limits
    deadlines: Deadlines
    applies: Applies
    evidence: Evidence
    materiality: Materiality
    own: Annotated[
        dict[OwnName, OwnRule],
        Field(max_length=MAX_OWN_FIELDS, description="fields of your own that both lanes have, of their trades or runs, by name"),
    ] = Field(default_factory=dict)
    severity: Annotated[
        dict[str, Severity], AfterValidator(_only_kinds), Field(description="severities that differ from the kind's own")
    ] = Field(default_factory=dict)
    known: Annotated[
        tuple[KnownDivergence, ...], AfterValidator(_one_an_id), Field(description="the register of known divergences")
    ] = ()

    noise: Annotated[
        NoiseFloor | None, AfterValidator(_only_tolerances), Field(description="the noise floor, as `shadow noise` measured it")
    ] = None

    @property
    def hash(self) -> str:
        """Name the policy by the sha256 of its canonical form: comments, order, spacing and measured noise do not matter."""
        return _hash_of(self.model_dump_json(exclude={"noise"}))

    def severity_of(self, kind: str, field: str = "") -> Severity:
        """Give the severity of a kind: of the field's own entry, else as the policy says of the kind, else the kind's default."""
        entry = self.own.get(field.removeprefix(OWN)) if kind == OWN_FIELD else None
        return (entry and entry.severity) or self.severity.get(kind) or KINDS[kind].severity

    def evidence_of(self, lane: Lane) -> LaneEvidence:
        """Give what must be known of `lane`."""
        return {Lane.LEGACY: self.evidence.legacy, Lane.WORKFLOW: self.evidence.workflow}.get(lane, self.evidence.declared)

    @classmethod
    def read(cls, text: str, name: str = "policy") -> Self:
        """Read a policy from TOML. Raises `InvalidPolicy`, with line, key and expectation of every fault."""
        source = PolicyText(text, name)
        try:
            return cls.model_validate(source.values)
        except ValidationError as error:
            raise InvalidPolicy(name, source.faults(error)) from None

    @classmethod
    def from_values(cls, values: Mapping[str, object]) -> Self:
        """Validate a policy given as a mapping; raises pydantic's ValidationError."""
        return cls.model_validate(values)


@lru_cache(maxsize=8)
def _hash_of(canonical: str) -> str:
    return sha256(canonical.encode()).hexdigest()


@lru_cache(maxsize=1)
def default_policy() -> Policy:
    """Give the policy that is packaged with the code."""
    text = files("shadow.compare").joinpath("default_policy.toml").read_text(encoding="utf-8")
    return Policy.read(text, "default_policy.toml")
