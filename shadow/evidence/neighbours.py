"""Business Unit: evidence | Status: current.

Which other runs may have traded a symbol at the same time in the same account, as far as the pair ledger knows: an order whose
client id says nothing could be theirs.
"""

from __future__ import annotations

from datetime import UTC, datetime

from shadow.contracts.outcome import RunOutcome
from shadow.contracts.pair import Pair
from shadow.contracts.vocabulary import Origin
from shadow.evidence.broker_orders import BEFORE, Span, span_of
from shadow.evidence.ledger import PairLedger, UnreadablePair
from shadow.evidence.ports import PlanSource

_END = datetime.max.replace(tzinfo=UTC)


def shared_symbols(pair: Pair, control: RunOutcome | None, ledger: PairLedger, plans: PlanSource) -> frozenset[str]:
    """Give the symbols of the control's run that another run of the day traded while it ran. Raises `EvidenceUnavailable`.

    A pair that has no verdict yet may still be trading; a replayed one never was at the control. Of a pair that cannot be read
    nothing is known, so it shares everything.
    """
    symbols = frozenset(trade.symbol for trade in control.trades) if control is not None else frozenset()
    mine = span_of(control)
    shared: set[str] = set()
    for other in ledger.pairs_of(pair.trading_day) if symbols and mine is not None else ():
        if isinstance(other, UnreadablePair):
            return symbols
        if other.plan_id == pair.plan_id or other.origin is Origin.REPLAY or mine is None:
            continue
        if mine.overlaps(Span(other.published_at - BEFORE, other.settled_at or _END)):
            shared |= symbols & {item.symbol for item in plans.plan_of(other).tradable_items}
    return frozenset(shared)
