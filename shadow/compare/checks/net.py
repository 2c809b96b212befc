"""Business Unit: compare | Status: current.

The net under every other check: what each lane executed of a trade, in USD, against what the plan asks for, whatever the lane
recorded of its decision; and where no price is known at all, the shares of the two lanes against each other. What another kind
already says of the lane and trade is the cause of what is found here.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from shadow.compare.case import LaneTrade, Planned, TradePair
from shadow.compare.checks.executed import seen_filled, truest_fill
from shadow.compare.checks.fills import filled_by_orders
from shadow.compare.checks.sizing import decision_price, is_all_that_was_held
from shadow.compare.exact import EXACT, ZERO
from shadow.compare.finding import Fault, Finding, own_faults, shown
from shadow.compare.policy import Policy
from shadow.compare.rules import within
from shadow.contracts.model import decimal_text
from shadow.contracts.vocabulary import TradeStatus


def executed_shares(side: LaneTrade) -> Decimal | None:
    """Give the shares a lane executed: by the broker's word where it was asked, else by its record, else by orders or ledger."""
    told = filled_by_orders(side)
    if side.run.broker_truth and told is not None:
        return told
    recorded = side.trade.filled_quantity
    return seen_filled(side) or None if recorded is None else recorded


def _price(side: LaneTrade) -> Decimal | None:
    """Give the price that a lane's shares are valued at: its decision's, so that slippage is not told twice, else its fills'."""
    decided = decision_price(side.trade.intent)
    if decided is not None:
        return decided
    fill = truest_fill(side)
    if fill is not None and fill.value is not None:
        return EXACT.divide(fill.value, fill.quantity)
    return side.trade.average_price


def net_findings(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    """Find what was executed beyond or short of the plan."""
    planned = pair.planned
    if planned is None:
        return
    prices = {side.role: _price(side) for side in pair.lanes}
    known = [price for price in prices.values() if price is not None]
    shares = {side.role: executed_shares(side) for side in pair.lanes}
    rule = policy.rules.exit_quantity if planned.is_full_exit else policy.rules.executed_value

    def check(side: LaneTrade) -> Fault | None:
        quantity = shares[side.role]
        price = prices[side.role] or (known[0] if known else None)
        if quantity is None or price is None or is_all_that_was_held(planned, side):
            return None
        return _off_the_plan(side, planned, (quantity, price), within(rule, EXACT.multiply(quantity, price), _goal(planned)))

    yield from own_faults(
        "EXECUTED_VALUE",
        "executed_usd",
        pair.lanes,
        check,
        pair,
        rule=rule,
        planned=decimal_text(_goal(planned)),
        right=lambda side: shown(shares[side.role]),
    )
    both = pair.both
    if both is None or known or both[0].trade.status is not both[1].trade.status:
        return
    control, candidate = (shares[side.role] or ZERO for side in both)
    if not within(rule, control, candidate):
        yield Finding(
            kind="EXECUTED_VALUE",
            field="executed_shares",
            rule=str(rule),
            explanation="The lanes executed different quantities, and no price of either is known.",
            role=None,
            control=decimal_text(control),
            candidate=decimal_text(candidate),
            pair=pair,
        )


def _goal(planned: Planned) -> Decimal:
    return planned.current_value if planned.is_full_exit else abs(planned.amount)


def _off_the_plan(side: LaneTrade, planned: Planned, executed: tuple[Decimal, Decimal], is_within: bool) -> Fault | None:  # noqa: FBT001
    quantity, price = executed
    value, goal = EXACT.multiply(quantity, price), _goal(planned)
    is_short = value < goal
    if is_within or (is_short and side.trade.status is not TradeStatus.COMPLETED):
        return None
    if is_short and quantity == quantity.to_integral_value() and EXACT.subtract(goal, value) < price and quantity:
        return None
    usd = decimal_text(EXACT.quantize(value, Decimal("0.01")))
    return Fault(usd, f"executed {shown(quantity)} shares, {usd} USD, where the plan asks for {shown(goal)} USD")
