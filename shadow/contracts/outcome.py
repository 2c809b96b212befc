"""Business Unit: shared contracts | Status: current.

The canonical outcome: what one lane decided and did for one plan, in the same words whichever lane it came from. Built by
`shadow.settlement` from raw records, judged by `shadow.compare`. Amounts USD, quantities shares, prices USD a share.

What is not known is None, never a zero: "missing reports do not mean flat".
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from shadow.contracts.control_records import FailureStep
from shadow.contracts.errors import OWN_NAME_PATTERN
from shadow.contracts.model import Exact, Frozen, Identifier, Moment, NonNegative, NonNegativeTotal, Total
from shadow.contracts.vocabulary import EffectKind, Lane, Reason, Role, RunStatus, Side, SizingBasis, TradeStatus


class MarketQuote(Frozen):
    """What the market quoted when the brokers were asked. USD a share; `at` is the quote's own time."""

    bid: Exact
    ask: Exact
    at: Moment


class Intent(Frozen):
    """What a lane decided for a trade before asking the broker. None: the lane did not record it.

    `quote_at` is the time of the quote that bid and ask are of, `market_at` the broker's clock when it was taken.
    """

    sizing_basis: SizingBasis | None = None
    quantity: NonNegative | None = None
    order_type: str | None = None
    bid: Exact | None = None
    ask: Exact | None = None
    quote_at: Moment | None = None
    market_at: Moment | None = None
    decision_price: Exact | None = None
    fractionable: bool | None = None


class EquityDecision(Frozen):
    """What the equity breaker decided for one BUY. `cumulative` is what it counted before or with this trade."""

    allowed: bool
    cumulative: Total | None = None
    limit: Total | None = None


class OrderRecord(Frozen):
    """One order. `accepted` is None where nobody asked the broker, `side` where nobody recorded it.

    `symbol` and `replaced_by` (the id of the order that took its place) are the broker's word, where it was asked.
    """

    client_order_id: str | None = None
    order_id: str | None = None
    symbol: str | None = None
    side: Side | None = None
    order_type: str | None = None
    quantity: Exact | None = None
    limit_price: Exact | None = None
    status: str | None = None
    filled_quantity: Exact | None = None
    average_price: Exact | None = None
    submitted_at: Moment | None = None
    accepted: bool | None = None
    replaced_by: str | None = None

    @property
    def says_its_fills(self) -> bool:
        """Whether it can be told from the order what it moved; of any other (several contracts in one) the journal tells."""
        return self.symbol is not None and self.side is not None and self.filled_quantity is not None


class Owner(StrEnum):
    """Whose an order of an account is that is none of this run's."""

    NOBODY = "nobody"
    ANOTHER_RUN = "another run"
    UNCLEAR = "unclear"
    LATER = "after the run"


class AccountOrder(Frozen):
    """One order that the account's broker lists and no trade of the run accounts for. `note` says what is known of it."""

    owner: Owner
    order: OrderRecord
    note: str | None = None


class HeldPosition(Frozen):
    """One position: signed shares and the broker's mark, USD a share."""

    symbol: str
    quantity: Exact
    price: Exact | None = None


class Books(Frozen):
    """What an account held at one moment: cash in USD, and every position. What is not listed is not held."""

    at: Moment
    cash: Exact
    positions: tuple[HeldPosition, ...] = ()


class Booking(Frozen):
    """One entry of the account's journal that no listed order explains: a fee, a dividend, a transfer, an older order's fill.

    `amount` is signed USD of cash, `quantity` signed shares.
    """

    kind: str
    symbol: str | None = None
    amount: Exact = Decimal(0)
    quantity: Exact = Decimal(0)


class AccountRecord(Frozen):
    """What the broker says of a lane's account beside the run's own orders.

    `opening` is the account before the run: what an earlier look saw, less what had been filled by then. None where the only look
    was after the run: then nothing proves what the account held before. `listed` counts the orders that the broker listed.
    """

    listed: int = 0
    orders: tuple[AccountOrder, ...] = ()
    opening: Books | None = None
    closing: Books | None = None
    bookings: tuple[Booking, ...] = ()


class OwnType(StrEnum):
    """What a field of a user's own is read as."""

    TEXT = "text"
    DECIMAL = "decimal"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIME = "time"


OwnName = Annotated[str, StringConstraints(pattern=OWN_NAME_PATTERN)]
MAX_OWN_FIELDS = 32
MAX_OWN_TEXT = 500


class OwnField(Frozen):
    """One field that this project does not know, as a lane has it: of a trade, or of the run.

    `text` is the value as text: a plain decimal, `true` or `false`, an ISO time in UTC. It is None where the lane says null, and
    where there is no such field, which `absent` tells apart. What cannot be read is a gap, and no field.
    """

    name: OwnName
    type: OwnType
    text: Annotated[str, Field(max_length=MAX_OWN_TEXT)] | None = None
    absent: bool = False


class TradeOutcome(Frozen):
    """How one trade ended in one lane. `market` is what the market quoted soon after, which no lane wrote."""

    trade_id: Identifier
    symbol: str
    action: Side
    status: TradeStatus
    reason: Reason | None = None
    error_message: str | None = None
    planned_amount: Exact | None = None
    is_complete_exit: bool | None = None
    intent: Intent | None = None
    market: MarketQuote | None = None
    equity: EquityDecision | None = None
    filled_quantity: NonNegative | None = None
    average_price: Exact | None = None
    value: NonNegativeTotal | None = None
    order_id: str | None = None
    attempts: int | None = None
    orders: tuple[OrderRecord, ...] = ()
    residual_position: Exact | None = None
    started_at: Moment | None = None
    completed_at: Moment | None = None
    raw_status: str = ""
    own: tuple[OwnField, ...] = ()


class GuardDecision(Frozen):
    """What the sell guard saw and decided. Amounts are sums of planned absolute USD."""

    buy_phase_allowed: bool
    sell_failed_amount: NonNegativeTotal | None = None
    sell_succeeded_amount: NonNegativeTotal | None = None
    threshold: NonNegative | None = None


class RunCounters(Frozen):
    """What the lane itself counted. None where it does not count that."""

    total: int | None = None
    completed: int | None = None
    succeeded: int | None = None
    failed: int | None = None
    skipped: int | None = None
    sell_total: int | None = None
    sell_completed: int | None = None
    buy_total: int | None = None
    buy_completed: int | None = None
    sell_failed_amount: Total | None = None
    sell_succeeded_amount: Total | None = None
    cumulative_buy_succeeded: Total | None = None


class Effect(Frozen):
    """One downstream effect, emitted (control, or the live lane) or intended (the candidate while it is one).

    `amount` is the executed USD it tells of. Ids are those it carries, None where none.
    """

    kind: EffectKind
    emitted: bool
    trade_id: str | None = None
    symbol: str | None = None
    action: Side | None = None
    order_id: str | None = None
    run_id: str | None = None
    plan_id: str | None = None
    correlation_id: str | None = None
    success: bool | None = None
    quantity: Exact | None = None
    price: Exact | None = None
    amount: Exact | None = None
    failure_step: FailureStep | None = None
    total_trades: int | None = None
    succeeded_trades: int | None = None
    failed_trades: int | None = None
    skipped_trades: int | None = None
    at: Moment | None = None


MAX_TRANSITIONS = 10**12
"""More than any run can make: what says more is damaged."""


class Gap(Frozen):
    """One piece of evidence that is missing, truncated or unreadable, and why. Any gap makes the pair INCOMPLETE."""

    what: str
    reason: str


class RunOutcome(Frozen):
    """How one lane's run of one plan ended.

    `role` is what the lane was for when the plan was published, `lane` what it is; a declared one has a name of its own.

    `effect_kinds` are the kinds that were watched for (None: all of them, where `effects` is not None). `broker_truth` says
    that orders, fills and residual positions were read from the broker itself; `account` is what it says of the rest of the
    account. `other_runs` names further runs of the same plan that were found in the lane. `notifications` counts the
    notifications the lane sent; None where nobody knows. `version` is the published version of the workflow that ran, as
    `name:number`, or, where none was named, its definition, as `name@digest`; `functions` are the published versions of its
    functions that were called.
    """

    role: Role
    lane: Lane
    lane_name: str = ""
    run_id: Identifier
    plan_id: Identifier
    correlation_id: Identifier | None = None
    status: RunStatus
    raw_status: str = ""
    terminal_state: str | None = None
    failure_step: str | None = None
    failure_reason: str | None = None
    guard: GuardDecision | None = None
    equity_limit: NonNegativeTotal | None = None
    counters: RunCounters | None = None
    trades: tuple[TradeOutcome, ...]
    effects: tuple[Effect, ...] | None = None
    effect_kinds: tuple[EffectKind, ...] | None = None
    broker_truth: bool = False
    account: AccountRecord | None = None
    other_runs: tuple[str, ...] = ()
    notifications: int | None = None
    started_at: Moment | None = None
    completed_at: Moment | None = None
    buy_phase_started_at: Moment | None = None
    state_transitions: Annotated[int, Field(ge=0, le=MAX_TRANSITIONS)] | None = None
    redrive_count: int = 0
    version: str | None = None
    functions: tuple[str, ...] = ()
    own: tuple[OwnField, ...] = ()
    violations: tuple[str, ...] = ()
    gaps: tuple[Gap, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether everything that was to be read could be read."""
        return not self.gaps

    @property
    def duration_seconds(self) -> float | None:
        """Wall seconds from the run's start to its end; None where either is unknown."""
        if self.started_at is None or self.completed_at is None:
            return None
        return (self.completed_at - self.started_at).total_seconds()
