"""Business Unit: local cloud | Status: current.

The defects that the contract lists for the legacy lane (section 9), as data: which fault, in which plan, at which symbol. They
exist so that the local cloud can prove that the comparison finds them. No artefact that is deployed to AWS holds them.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError

from shadow.contracts.control_records import DetailType
from shadow.contracts.errors import ConfigurationError, faults_of
from shadow.contracts.model import Exact, Frozen, Symbol


class Fault(StrEnum):
    """What goes wrong. The comment after each says what `amount` means there, and its default."""

    # one trade, named by `symbol` (without one: every trade of the plan)
    DUPLICATE_EXECUTION = "duplicate_execution"  # the record is executed again after it ended, and counted again
    CRASH_BEFORE_COUNTERS = "crash_before_counters"  # between the trade write and the counter write
    CRASH_AFTER_SUBMIT = "crash_after_submit"  # after the first order; the redelivery trades again under a new id
    TRADE_LOST = "trade_lost"  # the record is acknowledged and nothing is done: PENDING for ever
    FILLED_RECORDED_FAILED = "filled_recorded_failed"  # the filled order's price is not there yet
    RESIDUE = "residue"  # a full exit sells this factor of what is held (0.999)
    OVERSELL = "oversell"  # a full exit asks for this factor of what is held (1.1)
    WRONG_SIDE = "wrong_side"  # orders are sent the other way round
    WRONG_SIZE = "wrong_size"  # orders ask for this factor, above 1, of the shares (1.1)
    REJECTED = "rejected"  # the broker refuses every order
    MARKET_CLOSED = "market_closed"  # the market seems closed
    BREAKER_BLOCKS = "breaker_blocks"  # the equity limit seems to be reached
    BREAKER_STALE = "breaker_stale"  # the BUY sees nothing deployed yet, as if it ran beside the others
    WRONG_STATUS = "wrong_status"  # COMPLETED is written as FAILED and the other way round; counters are right
    RECORDED_PRICE_OFF = "recorded_price_off"  # the recorded price is this factor of the mid (1.02)
    RECORDED_THROUGH_FLOAT = "recorded_through_float"  # shares, price and amount went through float arithmetic
    COUNTED_TWICE = "counted_twice"  # the counter write is repeated
    SLOW = "slow"  # seconds waited before the trade (5)
    LEDGER_LOST = "ledger_lost"  # no row in the trade ledger
    BUY_SEND_FAILS = "buy_send_fails"  # the BUY of `symbol` cannot be sent, which is swallowed
    # an event, named by `event`, of one trade or of the run
    EVENT_LOST = "event_lost"
    EVENT_TWICE = "event_twice"
    # the run
    CRASH_BEFORE_BUY_PHASE = "crash_before_buy_phase"  # after the last SELL: stuck in SELL_PHASE
    CRASH_BEFORE_BUY_SEND = "crash_before_buy_send"  # in BUY_PHASE with every BUY WAITING
    STUCK_AGGREGATING = "stuck_aggregating"  # the completion event is out, COMPLETED is never set
    GUARD_BLIND = "guard_blind"  # the guard sees no failed sell
    GUARD_EAGER = "guard_eager"  # the guard sees this many USD of failed sells (500.01)
    # the publication
    TRADE_NOT_PUBLISHED = "trade_not_published"  # the trade of `symbol` is left out of the run
    EXTRA_TRADE = "extra_trade"  # a BUY of `symbol`, which the plan does not have, for this many USD (1000)
    PLANNED_AMOUNT_OFF = "planned_amount_off"  # the trade of `symbol` is published with this factor of its amount (1.1)
    PLANNED_THROUGH_FLOAT = "planned_through_float"  # the planned amount of `symbol` goes through a binary float
    RUN_NOT_PUBLISHED = "run_not_published"  # nothing is published at all
    RUN_DOUBLED = "run_doubled"  # the plan is published a second time under another plan id


class PlantedFault(Frozen):
    """One fault. Without `plan_id` it is planted in every plan, without `symbol` in every trade."""

    fault: Fault
    plan_id: str | None = None
    symbol: Symbol | None = None
    event: DetailType | None = None
    amount: Exact | None = None

    def factor(self, default: str) -> Decimal:
        """Give the fault's amount, else its default."""
        return Decimal(default) if self.amount is None else self.amount

    def is_at(self, symbol: str) -> bool:
        """Tell whether it is planted at a trade of `symbol`."""
        return self.symbol in (None, symbol)


_LIST = TypeAdapter(tuple[PlantedFault, ...])


class PlantedFaults:
    """The faults that a local scenario planted."""

    def __init__(self, read: Callable[[], str]) -> None:
        """Read a JSON list of faults with `read`, anew for every plan and record."""
        self._read = read

    @classmethod
    def in_file(cls, path: Path) -> Self:
        """Read the file at `path` each time."""
        return cls(lambda: _text_of(path))

    def of_plan(self, plan_id: str) -> tuple[PlantedFault, ...]:
        """Give the faults planted in a plan. Raises ConfigurationError for a list that cannot be read."""
        return tuple(fault for fault in _parse(self._read()) if fault.plan_id in (None, plan_id))


def _text_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"planted faults: expected a readable file, was {type(error).__name__}") from None


def _parse(text: str) -> tuple[PlantedFault, ...]:
    try:
        return _LIST.validate_json(text)
    except ValidationError as error:
        raise ConfigurationError("planted faults: " + "; ".join(str(fault) for fault in faults_of(error))) from None
