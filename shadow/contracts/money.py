"""Business Unit: shared contracts | Status: current.

The money ledger of a comparison: what each lane executed of each symbol and by whose word, and every dollar between the two
accounts as a row with its cause. USD, candidate minus control, exact: an amount here is never rounded, so rows add up.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Field, PlainSerializer

from shadow.contracts.model import Exact, Frozen, Moment, decimal_text
from shadow.contracts.outcome import Owner
from shadow.contracts.vocabulary import Role, Side

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
