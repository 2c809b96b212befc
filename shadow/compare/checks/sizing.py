"""Business Unit: compare | Status: current.

Was the right quantity asked for? Each lane is held against its own decision price and the plan, so that a market that moved
between the two lanes is not a difference. |trade amount| / mid is never computed to judge: `q = A / p` is judged as `q * p = A`.

The plan has no shares, so a full exit is judged by the position afterwards where that is known, and by the other lane where both
sell what they hold. Only where neither is known is it held against the plan's dollars, as far as a price may move meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import product

from shadow.compare.case import Fault, Finding, LaneTrade, Planned, TradePair, memoized_per_trade, of_each, own_faults, shown
from shadow.compare.policy import Policy
from shadow.compare.rules import EXACT, shares_of, within
from shadow.contracts.model import decimal_text
from shadow.contracts.outcome import Intent
from shadow.contracts.vocabulary import EffectKind, Role, Side, SizingBasis, TradeStatus

_RULES = {
    "SIZING_BASIS": "sizing_basis",
    "OVERSELL": "exit_quantity",
    "EXIT_QUANTITY": "exit_quantity",
    "ASKED_QUANTITY": "asked_quantity",
}
_MUCH = Decimal("0.05")
_WRONG = ("OVERSELL", "EXIT_QUANTITY", "ASKED_QUANTITY")


@dataclass(frozen=True, slots=True)
class Sized:
    """What is thought of one lane's quantity: the `kind` of what is wrong with it, None when it is right.

    `is_floored`: right once rounded down to whole shares. `is_fraction`: not a whole number of shares.
    """

    quantity: Decimal
    price: Decimal
    kind: str | None
    is_floored: bool
    is_fraction: bool


def decision_price(intent: Intent | None) -> Decimal | None:
    """Give the price a lane decided on, USD a share: its own word, else the mid of its quote; None where not above zero."""
    if intent is None:
        return None
    price = intent.decision_price
    if price is None and intent.bid is not None and intent.ask is not None:
        price = EXACT.divide(EXACT.add(intent.bid, intent.ask), Decimal(2))
    return price if price is not None and price > 0 else None


@memoized_per_trade
def asked_quantity(side: LaneTrade) -> Decimal | None:
    """Give the shares a lane asked for, where it is known.

    The control records shares filled, not asked for: what it records is the quantity asked for when the trade completed.
    """
    trade = side.trade
    if trade.intent is not None and (trade.status is TradeStatus.COMPLETED or trade.intent.sizing_basis is not None):
        return trade.intent.quantity
    named = [order for order in trade.orders if order.client_order_id is not None and order.quantity is not None]
    return max((order.quantity for order in named if order.quantity is not None), default=None)


def sized(planned: Planned, side: LaneTrade, policy: Policy) -> Sized | None:
    """Judge one lane's quantity; None where it is not known or there is nothing to hold it against."""
    quantity, price = asked_quantity(side), decision_price(side.trade.intent)
    if not quantity or price is None:
        return None
    is_fraction = quantity != quantity.to_integral_value()
    if is_all_that_was_held(planned, side):
        return Sized(quantity, price, None, is_floored=False, is_fraction=is_fraction)
    worth = EXACT.multiply(quantity, price)
    goal = planned.current_value if planned.is_full_exit else abs(planned.amount)
    by_quote = not planned.is_full_exit or is_by_value(side)
    rule = policy.rules.asked_quantity if by_quote else policy.rules.exit_quantity
    if within(rule, worth, goal, price):
        return Sized(quantity, price, None, is_floored=False, is_fraction=is_fraction)
    short = EXACT.subtract(goal, worth)
    if not is_fraction and 0 <= short < price:
        return Sized(quantity, price, None, is_floored=True, is_fraction=False)
    return Sized(quantity, price, _kind(planned, side, worth, price, policy), is_floored=False, is_fraction=is_fraction)


def is_all_that_was_held(planned: Planned, side: LaneTrade) -> bool:
    """Tell whether the account proves a full exit: nothing is left of the position, so the lane sold just what it held."""
    return planned.is_full_exit and side.trade.residual_position == 0


def is_by_value(side: LaneTrade) -> bool:
    """Tell whether a lane sized a full exit by the plan's dollars at its own quote, since it knew no position."""
    return side.trade.intent is not None and side.trade.intent.sizing_basis is SizingBasis.HELD_VALUE


def _kind(planned: Planned, side: LaneTrade, worth: Decimal, price: Decimal, policy: Policy) -> str:
    """Name what is wrong with a quantity worth so many USD."""
    if not planned.is_full_exit and within(policy.rules.asked_quantity, worth, planned.target_value, price):
        return "SIZING_BASIS"
    may_have_moved = not (planned.is_full_exit and is_by_value(side))
    if planned.side is Side.SELL and worth > planned.current_value:
        rule = policy.rules.exit_quantity
        if not may_have_moved or not within(rule, worth, planned.current_value, price):
            return "OVERSELL"
    return "EXIT_QUANTITY" if planned.is_full_exit else "ASKED_QUANTITY"


def sizing_findings(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    """Find what is wrong with the quantities of one trade."""
    planned = pair.planned
    if planned is None:
        return
    sizes = {side.role: size for side in pair.lanes if (size := sized(planned, side, policy)) is not None}
    yield from _basis(pair, planned, sizes, policy)
    for kind in sorted({size.kind for size in sizes.values() if size.kind in _WRONG}):
        yield from _wrong(kind, pair, planned, sizes, policy)
    yield from _exit_across(pair, planned, sizes, policy)
    yield from _rounding(pair, sizes)


def _basis(pair: TradePair, planned: Planned, sizes: dict[Role, Sized], policy: Policy) -> Iterator[Finding]:
    right = policy.rules.sizing_basis.members if planned.is_full_exit else (SizingBasis.TRADE_AMOUNT.value,)

    def check(side: LaneTrade) -> Fault | None:
        size, intent = sizes.get(side.role), side.trade.intent
        if size is not None and size.kind == "SIZING_BASIS":
            done = "bought" if planned.side is Side.BUY else "sold"
            target, amount = shown(planned.target_value), decimal_text(abs(planned.amount))
            return Fault("target_value", f"{done} the target value, {target} USD, instead of the trade amount, {amount} USD")
        if intent is None or intent.sizing_basis is None or intent.sizing_basis.value in right:
            return None
        return Fault(intent.sizing_basis.value, f"sized the trade by {intent.sizing_basis.value}")

    yield from own_faults(
        "SIZING_BASIS",
        "intent.sizing_basis",
        pair.lanes,
        check,
        pair,
        rule=f"one of {', '.join(right)}",
        planned=right[0] if right else None,
        right=lambda side: shown(side.trade.intent.sizing_basis) if side.trade.intent else None,
    )


def _wrong(kind: str, pair: TradePair, planned: Planned, sizes: dict[Role, Sized], policy: Policy) -> Iterator[Finding]:
    goal = planned.current_value if planned.is_full_exit or kind == "OVERSELL" else abs(planned.amount)
    what = "held" if kind in ("OVERSELL", "EXIT_QUANTITY") else "planned"

    def check(side: LaneTrade) -> Fault | None:
        size = sizes.get(side.role)
        if size is None or size.kind != kind:
            return None
        needed = shares_of(goal, size.price)
        return Fault(
            decimal_text(size.quantity),
            f"asked for {shown(size.quantity)} shares; the {shown(goal)} USD {what} are {shown(needed)} at its"
            f" decision price of {shown(size.price)}",
        )

    yield from own_faults(
        kind,
        "intent.quantity",
        pair.lanes,
        check,
        pair,
        rule=getattr(policy.rules, _RULES[kind]),
        planned=f"{shown(goal)} USD",
        right=lambda side: shown(asked_quantity(side)),
    )


def _exit_across(pair: TradePair, planned: Planned, sizes: dict[Role, Sized], policy: Policy) -> Iterator[Finding]:
    """Hold two full exits against each other: both sell what is held, so they sell the same number of shares.

    A lane that sizes by value is left out: it sells other shares when the price has moved since the plan was made.
    """
    both = pair.both
    if both is None or not planned.is_full_exit or len(sizes) != len(both) or any(is_by_value(side) for side in both):
        return
    control, candidate = (sizes[side.role] for side in both)
    rule = policy.rules.filled_quantity
    words = product(*(_words(side, sizes[side.role]) for side in both))
    if control.kind or candidate.kind or any(within(rule, one, other) for one, other in words):
        return
    more, less = both if control.quantity > candidate.quantity else both[::-1]
    departs: LaneTrade | None = less
    kind, what = "EXIT_QUANTITY", "The lanes sell different quantities of a position that both close."
    if is_all_that_was_held(planned, less):
        departs = None if is_all_that_was_held(planned, more) else more
    elif not is_all_that_was_held(planned, more) and _oversold(planned, more, sizes[more.role], sizes[less.role]):
        departs = more
    if departs is more:
        kind, what = "OVERSELL", f"The {more.role.value} sells more of the position than there is."
    apart = Finding(
        kind=kind,
        field="intent.quantity",
        rule=str(rule),
        explanation=what,
        role=None,
        planned=f"{shown(planned.current_value)} USD",
        control=decimal_text(control.quantity),
        candidate=decimal_text(candidate.quantity),
        pair=pair,
    )
    yield from of_each(apart, () if departs is None else (departs.role,))


def _words(side: LaneTrade, size: Sized) -> set[Decimal]:
    """Give what a lane says it sold of a full exit: asked for, and filled. If the two differ, another check tells it."""
    filled = side.trade.filled_quantity if side.trade.status is TradeStatus.COMPLETED else None
    return {size.quantity, filled or size.quantity}


def _is_real(side: LaneTrade) -> bool:
    return side.run.broker_truth or any(effect.emitted for effect in side.effects_of(EffectKind.LEDGER_ENTRY))


def _oversold(planned: Planned, seller: LaneTrade, more: Sized, less: Sized) -> bool:
    """Tell whether the greater of two quantities is the wrong one: nobody sold it for real, and the plan's dollars deny it.

    A broker fills no more than is held. Without a fill of it, the lane departs where the other one's worth is the plan's within
    half the distance between the two, and that is more than prices move in most days; else the lane that sells less departs.
    """
    is_real = _is_real(seller)
    off = abs(EXACT.subtract(EXACT.multiply(less.quantity, less.price), planned.current_value))
    apart = EXACT.multiply(EXACT.subtract(more.quantity, less.quantity), less.price)
    return not is_real and EXACT.multiply(off, Decimal(2)) < apart and apart >= EXACT.multiply(planned.current_value, _MUCH)


def _rounding(pair: TradePair, sizes: dict[Role, Sized]) -> Iterator[Finding]:
    """Whole shares against fractions: judged by what is known of the asset, else only found when the lanes differ."""
    known = {side.trade.intent.fractionable for side in pair.lanes if side.trade.intent} - {None}
    floored = {role for role, size in sizes.items() if size.is_floored}
    fractions = {role for role, size in sizes.items() if size.is_fraction and size.kind is None}
    if known == {True}:
        departs, what = floored, "The asset trades in fractions and the quantity was rounded down"
    elif known == {False}:
        departs, what = _in_fractions(pair, fractions), "The asset trades in whole shares only and a fraction was asked for"
    else:
        departs, what = set(), "One lane rounds down to whole shares, the other asks for a fraction"
        if not (floored and fractions):
            return
    if departs or len(known) != 1:
        rounding = Finding(
            kind="QUANTITY_ROUNDING",
            field="intent.quantity",
            rule="whole shares where the asset has no fractions",
            explanation=f"{what}.",
            role=None,
            control=_quantity(sizes, Role.CONTROL),
            candidate=_quantity(sizes, Role.CANDIDATE),
            pair=pair,
        )
        yield from of_each(rounding, departs)


def _in_fractions(pair: TradePair, fractions: set[Role]) -> set[Role]:
    """Leave out a lane that says nothing of the asset and whose fraction was filled for real: then the asset trades in them."""
    silent = {side.role for side in pair.lanes if side.trade.intent is None or side.trade.intent.fractionable is None}
    return fractions - {side.role for side in pair.lanes if side.role in silent and _is_real(side) and side.trade.filled_quantity}


def _quantity(sizes: dict[Role, Sized], role: Role) -> str | None:
    size = sizes.get(role)
    return None if size is None else decimal_text(size.quantity)
