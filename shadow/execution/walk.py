"""Business Unit: execution | Status: current.

Walking the book, as arithmetic: which steps an attempt has, what each is priced at, and what is left to ask for. A step's number
counts over all attempts of a trade, so that a retry in another process names the same order the same way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from shadow.broker.port import OrderType, Quote
from shadow.contracts.candidate_state import IntentRecord
from shadow.contracts.model import MONEY, exact_sum
from shadow.contracts.vocabulary import Side

CENT = Decimal("0.01")
BPS = 10_000
FRACTIONS = (Decimal("0.75"), Decimal("0.85"), Decimal("0.95"))


@dataclass(frozen=True, slots=True)
class WalkPolicy:
    """How the book is walked. Fractions are of the way from the passive to the aggressive side; times are seconds.

    The defaults are the control's (legacy contract, section 6 and section 5 rule 3). `refusal_seconds` is how long a refused
    order is looked up before another id is used, `work_seconds` after how long a process takes no further step: the next
    process goes on, and no order is open while they change. An intended order that the broker does not know after
    `abandoned_seconds` was never sent: no process lives that long. A quote is refused that is older than `quote_seconds`, dated
    more than `ahead_seconds` ahead, or wider than `quote_width_bps` basis points of its mid; nor is a BUY ordered at a mid higher
    by as much than the one it was sized at. These are not the control's.
    """

    fractions: tuple[Decimal, ...] = FRACTIONS
    limit_seconds: float = 10
    market_seconds: float = 30
    poll_seconds: float = 1
    sell_attempts: int = 3
    buy_attempts: int = 1
    pause_seconds: float = 5
    lookups: int = 3
    settle_seconds: float = 20
    refusal_seconds: float = 7
    abandoned_seconds: float = 600
    work_seconds: float = 200
    quote_seconds: float = 900
    ahead_seconds: float = 60
    quote_width_bps: Decimal = Decimal(1000)

    def attempts(self, side: Side) -> int:
        """Tell how often a trade of `side` is tried."""
        return self.sell_attempts if side is Side.SELL else self.buy_attempts

    def pauses(self, seconds: float) -> Iterator[float]:
        """Split a wait of `seconds` into the pauses between looks: doubling, because most orders fill at once or late."""
        pause = self.poll_seconds
        while seconds > 0:
            yield min(pause, seconds)
            seconds -= pause
            pause *= 2

    def fault_in(self, quote: Quote, at: datetime | None = None, ours: datetime | None = None) -> str:
        """Say why nothing may be decided on `quote`; else nothing.

        `at` is the market's own time (None: the quote's age is not asked), `ours` this machine's: a quote is ahead that is ahead
        of both.
        """
        age = Decimal(0) if at is None else Decimal((at - quote.at).total_seconds())
        ahead = timedelta(0) if at is None else quote.at - max(at, ours or at)
        if ahead.total_seconds() > self.ahead_seconds:
            return f"{quote.symbol}: expected a quote of up to now, was {ahead.total_seconds():.0f} s ahead of the clocks"
        if age > Decimal(self.quote_seconds):
            return f"{quote.symbol}: expected a quote of the last {self.quote_seconds:g} s, was {age:.0f} s old"
        width = (quote.ask - quote.bid) / quote.mid * BPS
        if width > self.quote_width_bps:
            return f"{quote.symbol}: expected at most {self.quote_width_bps} bps between bid and ask, was {width:.0f}"
        return ""

    def is_beyond(self, fresh: Quote, decided: Quote) -> bool:
        """Tell whether `fresh` is so far above the quote a BUY was sized on that its shares would cost much more than planned."""
        return (fresh.mid - decided.mid) / decided.mid * BPS > self.quote_width_bps

    def steps(self, side: Side) -> Iterator[Step]:
        """Give every step a trade of `side` may take, in order: in each attempt the limits, then the market."""
        width = len(self.fractions) + 1
        for attempt in range(self.attempts(side)):
            for position in range(width):
                fraction = self.fractions[position] if position < len(self.fractions) else None
                seconds = self.market_seconds if fraction is None else self.limit_seconds
                yield Step(attempt * width + position, attempt, position, fraction, seconds)


@dataclass(frozen=True, slots=True)
class Step:
    """One order of a walk. `fraction` is None for the market order; `seconds` is how long it may rest."""

    number: int
    attempt: int
    position: int
    fraction: Decimal | None
    seconds: float

    @property
    def order_type(self) -> OrderType:
        """Limit while there is a fraction, then market."""
        return OrderType.MARKET if self.fraction is None else OrderType.LIMIT

    def limit_price(self, side: Side, quote: Quote) -> Decimal | None:
        """Price the step in USD a share, to a cent and at least one; None for the market order."""
        if self.fraction is None:
            return None
        passive, aggressive = (quote.bid, quote.ask) if side is Side.BUY else (quote.ask, quote.bid)
        price = passive + self.fraction * (aggressive - passive)
        return max(price.quantize(CENT, rounding=ROUND_HALF_UP), CENT)


def filled_shares(intents: Iterable[IntentRecord]) -> Decimal:
    """Sum what the orders have filled, in shares."""
    return exact_sum(intent.filled_quantity for intent in intents)


def filled_value(intents: Iterable[IntentRecord]) -> Decimal | None:
    """Sum what the fills were worth, in USD; None while a fill's price is not known."""
    filled = [intent for intent in intents if intent.filled_quantity > 0]
    if any(intent.average_price is None for intent in filled):
        return None
    return exact_sum(MONEY.multiply(intent.filled_quantity, intent.average_price or Decimal(0)) for intent in filled)
