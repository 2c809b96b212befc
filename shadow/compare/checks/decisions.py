"""Business Unit: compare | Status: current.

What each lane decided for a trade, held against the plan: that it is there at all, once, under its own id, on the right side,
for the right amount; and what the lanes decided against each other where the plan is silent: skips and the equity breaker.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from shadow.compare.case import Fault, Finding, LaneTrade, Planned, TradePair, of_each, own_faults, shown
from shadow.compare.checks.duties import Duties
from shadow.compare.money import trade_money
from shadow.compare.policy import Policy
from shadow.compare.rules import EXACT, is_float_artefact, within
from shadow.contracts.identity import is_same_symbol
from shadow.contracts.model import decimal_text
from shadow.contracts.outcome import TradeOutcome
from shadow.contracts.vocabulary import Reason, Role, TradeStatus

_DAMAGE = Decimal("1e-12")
_SILENT = (None, Reason.OTHER)
_UNTRADABLE = (Reason.NO_QUOTE, Reason.BROKER_REJECTED)
_LEFT_ALONE = (TradeStatus.SKIPPED, TradeStatus.BLOCKED)
_AMOUNTS = ("planned_amount", "intent.quantity", "filled_quantity", "average_price", "value")


def presence_findings(pair: TradePair, ran: frozenset[Role], policy: Policy) -> Iterator[Finding]:
    """Find trades that are missing from a lane that `ran`, extra in it, or there more than once."""
    planned = pair.planned
    lanes = {side.role for side in pair.lanes}
    absent = ran - lanes
    rule = str(policy.rules.trades)
    if planned is not None and absent:
        missing = Finding(
            kind="MISSING_TRADE",
            field="trade",
            rule=rule,
            explanation=f"The plan asks for a {planned.side.value} of {shown(abs(planned.amount))} USD; there is no such trade.",
            role=None,
            planned=decimal_text(planned.amount),
            control=_status(pair.control),
            candidate=_status(pair.candidate),
            pair=pair,
        )
        yield from of_each(missing, absent)
    if planned is None:
        extra = Finding(
            kind="EXTRA_TRADE",
            field="trade",
            rule=rule,
            explanation=f"The plan does not ask for this trade.{_unpriced(pair)}",
            role=None,
            control=_status(pair.control),
            candidate=_status(pair.candidate),
            pair=pair,
        )
        yield from of_each(extra, lanes)
    yield from own_faults(
        "DUPLICATE_TRADE",
        "trade",
        pair.lanes,
        lambda side: Fault(str(side.copies), f"has {side.copies} records of the trade") if side.copies > 1 else None,
        pair,
        rule="one record a trade",
        planned="1",
        right=lambda side: str(side.copies),
    )


def _unpriced(pair: TradePair) -> str:
    """Say that a trade's dollars are not known where only its lane's own price would value it. In sums it counts as 0 USD."""
    money = trade_money(pair)
    shares = [decimal_text(abs(done.shares)) for done in (money.control, money.candidate) if done.shares and done.value is None]
    return f" Its {' and '.join(shares)} shares are not valued: there is no price but the lane's own." if shares else ""


def _status(side: LaneTrade | None) -> str | None:
    return None if side is None else side.trade.status.value


def plan_findings(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    """Hold side, id, amount and the exit flag of each lane against the plan."""
    planned = pair.planned
    if planned is None:
        return
    rule = policy.rules.planned_amount

    def side_of(side: LaneTrade) -> Fault | None:
        action = side.trade.action
        return (
            None
            if action is planned.side
            else Fault(action.value, f"does a {action.value} where the plan says {planned.side.value}")
        )

    def id_of(side: LaneTrade) -> Fault | None:
        name = side.trade.trade_id
        if not side.run.lane.has_our_ids:
            return None
        return None if name == planned.trade_id else Fault(name, f"names the trade {name}")

    def amount_of(side: LaneTrade) -> Fault | None:
        amount = side.trade.planned_amount
        if amount is None or within(rule, amount, planned.amount) or is_precision_loss(amount, planned.amount):
            return None
        return Fault(
            decimal_text(amount),
            f"works on {shown(amount)} USD, {shown(EXACT.subtract(amount, planned.amount))} off the plan",
        )

    def exit_of(side: LaneTrade) -> Fault | None:
        flag = side.trade.is_complete_exit
        if flag is None or flag is planned.is_full_exit:
            return None
        return Fault(shown(flag) or "", "takes the trade for a full exit" if flag else "does not take the trade for a full exit")

    yield from own_faults(
        "SYMBOL",
        "symbol",
        pair.lanes,
        lambda side: _other_symbol(side, planned),
        pair,
        rule="exact",
        planned=planned.symbol,
        right=lambda side: side.trade.symbol,
    )
    yield from own_faults(
        "ORDER_SYMBOL", "orders.symbol", pair.lanes, _ordered_other, pair, rule="an order is for its trade's symbol"
    )
    yield from own_faults(
        "SIDE",
        "action",
        pair.lanes,
        side_of,
        pair,
        rule="exact",
        planned=planned.side.value,
        right=lambda s: s.trade.action.value,
    )
    yield from own_faults(
        "TRADE_ID", "trade_id", pair.lanes, id_of, pair, rule="exact", planned=planned.trade_id, right=lambda s: s.trade.trade_id
    )
    yield from own_faults(
        "PLANNED_AMOUNT",
        "planned_amount",
        pair.lanes,
        amount_of,
        pair,
        rule=rule,
        planned=decimal_text(planned.amount),
        right=lambda side: shown(side.trade.planned_amount),
    )
    yield from own_faults(
        "FULL_EXIT_FLAG",
        "is_complete_exit",
        pair.lanes,
        exit_of,
        pair,
        rule="exact",
        planned=shown(planned.is_full_exit),
        right=lambda side: shown(side.trade.is_complete_exit),
    )


def _other_symbol(side: LaneTrade, planned: Planned) -> Fault | None:
    name = side.trade.symbol
    return None if is_same_symbol(name, planned.symbol) else Fault(name, f"trades {name} where the plan says {planned.symbol}")


def _ordered_other(side: LaneTrade) -> Fault | None:
    named = (order.symbol for order in side.trade.orders if order.symbol is not None)
    name = next((symbol for symbol in named if not is_same_symbol(symbol, side.trade.symbol)), None)
    return None if name is None else Fault(name, f"sent an order for {name} where its trade is in {side.trade.symbol}")


def is_precision_loss(left: Decimal, right: Decimal) -> bool:
    """Tell whether two amounts differ by so little that digits were lost on the way, not decided."""
    return left != right and abs(EXACT.subtract(left, right)) <= EXACT.multiply(_DAMAGE, max(abs(left), abs(right)))


def damage_findings(pair: TradePair) -> Iterator[Finding]:
    """Find numbers that lost or gained digits: float artefacts, and planned amounts that lost digits."""
    planned = pair.planned.amount if pair.planned else None
    for field in _AMOUNTS:

        def check(side: LaneTrade, field: str = field) -> Fault | None:
            value = _amount(side.trade, field)
            if value is None or (field == "planned_amount" and value == planned):
                return None
            hair = field == "planned_amount" and planned is not None and is_precision_loss(value, planned)
            if not hair and not is_float_artefact(value):
                return None
            return Fault(decimal_text(value), f"has {shown(value)} as {field}")

        yield from own_faults(
            "DECIMAL_DAMAGED",
            field,
            pair.lanes,
            check,
            pair,
            rule="decimals keep their digits",
            planned=shown(planned) if field == "planned_amount" else None,
            right=lambda side, field=field: shown(_amount(side.trade, field)),  # type: ignore[misc]
        )


def _amount(trade: TradeOutcome, field: str) -> Decimal | None:
    if field == "intent.quantity":
        return trade.intent.quantity if trade.intent else None
    value = getattr(trade, field)
    return value if isinstance(value, Decimal) else None


def skip_findings(pair: TradePair, duties: Duties) -> Iterator[Finding]:
    """Find trades that both lanes left alone or failed, for different reasons. An untold reason is not compared."""
    both = pair.both
    if both is None:
        return
    control, candidate = (side.trade for side in both)
    if control.reason in _SILENT or candidate.reason in _SILENT or control.reason is candidate.reason:
        return
    departs: set[Role] = set()
    if control.status in _LEFT_ALONE and candidate.status in _LEFT_ALONE:
        kind = "SKIP_REASON"
        guarded = {side.role for side in both if side.trade.reason is Reason.SELL_GUARD}
        departs = guarded if not all(duties.must_block.values()) else set()
    elif control.status is candidate.status is TradeStatus.FAILED and not _is_untradable(control, candidate):
        kind = "TRADE_REASON"
    else:
        return
    differs = Finding(
        kind=kind,
        field="reason",
        rule="exact",
        explanation=f"The control says {shown(control.reason)}, the candidate {shown(candidate.reason)}.",
        role=None,
        control=shown(control.reason),
        candidate=shown(candidate.reason),
        pair=pair,
    )
    yield from of_each(differs, departs)


def _is_untradable(*trades: TradeOutcome) -> bool:
    """Tell whether the broker does not deal in the symbol: one lane hears it at the quote, the other at the order."""
    return all(trade.reason in _UNTRADABLE and not trade.filled_quantity for trade in trades)
