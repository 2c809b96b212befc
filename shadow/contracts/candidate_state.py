"""Business Unit: shared contracts | Status: current.

The items of the candidate's own state table, as plain Python values (numbers are `Decimal`). One partition a run holds what
a retry, a redrive and the comparison need: the equity reservations, every order intent (written before the order is sent),
every trade's result, and every downstream effect (intended, or emitted when the candidate is live). Items expire by `TTL`
(epoch seconds) after 90 days, as long as Step Functions keeps a history; evidence is copied before.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

from pydantic import ConfigDict

from shadow.contracts.model import Count, Exact, Frozen, Identifier, Moment, NonNegative, NonNegativeTotal, Symbol, Total
from shadow.contracts.vocabulary import EffectKind, ExecutionMode, Side, SizingBasis

TTL_DAYS = 90
RUN_SK = "RUN"
INTENT_SK_PREFIX = "INTENT#"
EFFECT_SK_PREFIX = "EFFECT#"
RESULT_SK_PREFIX = "RESULT#"
TURN_SK_PREFIX = "TURN#"
RESERVATION_SK_PREFIX = "RESERVATION#"
NO_TRADE = "-"
OTHER_ORDER = "OrderMismatch: "
"""How the detail of an intent begins whose order turned out to be another one, and has ended."""
REQUESTS_PK = "REQUESTS"
"""Keys the budget of requests to the broker: one item for each short window, whichever run they are made for."""


def candidate_pk(run_id: str) -> str:
    """Key all items of one run."""
    return f"RUN#{run_id}"


def intent_sk(trade_id: str, step: int) -> str:
    """Key the order intent of one step of a trade; the keys of a trade sort by step."""
    return f"{INTENT_SK_PREFIX}{trade_id}#{step:04d}"


def intent_sk_prefix(trade_id: str) -> str:
    """Begin the keys of all intents of one trade."""
    return f"{INTENT_SK_PREFIX}{trade_id}#"


def result_sk(trade_id: str) -> str:
    """Key what one trade came to."""
    return f"{RESULT_SK_PREFIX}{trade_id}"


def turn_sk(trade_id: str) -> str:
    """Key whose turn it is to order for one trade."""
    return f"{TURN_SK_PREFIX}{trade_id}"


def effect_sk(kind: EffectKind, trade_id: str | None, part: int = 0) -> str:
    """Key one effect: of a kind, for a trade or for the run itself; `part` tells a trade's ledger entries apart."""
    key = f"{EFFECT_SK_PREFIX}{kind.value}#{trade_id or NO_TRADE}"
    return f"{key}#{part:04d}" if part else key


def request_window_sk(window: int) -> str:
    """Key one window of the request budget by its start, in epoch seconds; the keys sort by time."""
    return f"WINDOW#{window:012d}"


def reservation_sk(trade_id: str) -> str:
    """Key what is reserved for one BUY."""
    return f"{RESERVATION_SK_PREFIX}{trade_id}"


class IntentStatus(StrEnum):
    """What is known of an intended order.

    INTENDED: written down; the order may or may not have been sent since. AMBIGUOUS: sent, and its fate unknown.
    NOT_ACCEPTED: certainly not accepted (refused, throttled, never reached the broker). The others are the broker's own words.
    """

    INTENDED = "intended"
    AMBIGUOUS = "ambiguous"
    NOT_ACCEPTED = "not_accepted"
    OPEN = "open"
    FILLED = "filled"
    CANCELED = "canceled"
    EXPIRED = "expired"
    REJECTED = "rejected"

    @property
    def is_final(self) -> bool:
        """Whether nothing can come of the order any more."""
        return self not in (IntentStatus.INTENDED, IntentStatus.AMBIGUOUS, IntentStatus.OPEN)


class _StateItem(Frozen):
    """An item of the table; attributes newer than the reader are left alone."""

    model_config = ConfigDict(extra="ignore")

    PK: str
    SK: str
    TTL: Count | None = None


class RunRecord(_StateItem):
    """The run's own item (`SK = RUN`). Amounts USD; `equity_limit` 0 means the breaker is off.

    `reserved` is the sum of the run's reservations: what running BUYs have planned and finished ones have spent. `headroom`
    is `equity_limit - reserved`, kept beside it because a conditional write can compare an attribute but not compute one.
    Each reservation is an item of its own, so this one stays small however many trades a run has.
    """

    run_id: Identifier
    plan_id: Identifier
    correlation_id: Identifier
    execution_mode: ExecutionMode
    equity_limit: NonNegativeTotal
    reserved: Total
    headroom: Total
    opened_at: Moment


class ReservationRecord(_StateItem):
    """What is reserved for one BUY (`SK = RESERVATION#{trade_id}`), in USD. It changes together with the run's sums, or not."""

    run_id: Identifier
    trade_id: Identifier
    amount: NonNegativeTotal
    at: Moment


class IntentRecord(_StateItem):
    """One order as it was decided on, and what became of it (`SK = INTENT#{trade_id}#{step}`).

    `asked_quantity` is the shares the whole trade asks for, `quantity` what this step asks for: the rest. bid, ask and
    `decision_price` (their mid) are the quote of `quote_at` the trade was sized on. `filled_quantity` shares, prices USD a share.
    `turn` is that of the process which wrote the intent, `fractionable` what the broker said of the asset (None: not recorded).
    """

    run_id: Identifier
    trade_id: Identifier
    symbol: Symbol
    side: Side
    step: Count
    attempt: Count
    client_order_id: Identifier
    order_type: str
    quantity: NonNegative
    limit_price: Exact | None = None
    asked_quantity: NonNegative
    sizing_basis: SizingBasis
    bid: Exact
    ask: Exact
    decision_price: Exact
    quote_at: Moment | None = None
    market_at: Moment | None = None
    execution_mode: ExecutionMode
    fractionable: bool | None = None
    status: IntentStatus = IntentStatus.INTENDED
    order_id: str | None = None
    filled_quantity: NonNegative = Decimal(0)
    average_price: Exact | None = None
    detail: str | None = None
    intended_at: Moment
    submitted_at: Moment | None = None
    filled_at: Moment | None = None
    updated_at: Moment | None = None
    turn: Count = 0

    @property
    def may_work(self) -> bool:
        """Whether an order may be working at the broker for all that is recorded.

        A dry run sends none; an order under our id that is another one than was intended is brought to its end before it is
        written down.
        """
        ended = (self.detail or "").startswith(OTHER_ORDER)
        return not self.status.is_final and not ended and self.execution_mode is not ExecutionMode.DRY_RUN


class TurnRecord(_StateItem):
    """Which process may order for a trade (`SK = TURN#{trade_id}`): the one that took the last turn, counted from 1.

    A process whose answer was lost can live on beside the one that was started in its place. It finds its turn over before
    its next order, because an intent is kept only while its turn is the trade's.
    """

    turn: Count


class EffectRecord(_StateItem):
    """One downstream effect (`SK = EFFECT#{kind}#{trade_id or -}`, and `#{step}` for a further ledger entry).

    `detail` is the canonical JSON of the event's detail, or of the ledger entry. `emitted` is false while only intended.
    """

    run_id: Identifier
    kind: EffectKind
    trade_id: str | None = None
    emitted: bool
    detail: str
    at: Moment


class ResultRecord(_StateItem):
    """What one trade came to, as its function last answered (`SK = RESULT#{trade_id}`).

    `result` is the canonical JSON of a `TradeResult` with all of its orders. A state payload can be too small for the
    results of a large plan, and a history can be truncated; this record is neither.
    """

    run_id: Identifier
    trade_id: Identifier
    action: Side
    result: str
    at: Moment
