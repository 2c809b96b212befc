"""Business Unit: reports | Status: current.

The trade-level rules over columns. Each check gives, for every row, which lanes depart: bit 1 the control, bit 2 the candidate;
-1 where the check finds nothing, 0 where it finds something that no lane is to blame for. Each is the twin of the check of the
same kind in `shadow.compare`, and a property test holds the two together.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import numpy as np

from reports.rejudge.frame import NONE, REASONS, STATUSES
from reports.rejudge.lanes import SELL, Found, LaneColumns, PlanColumns, across, either
from reports.rejudge.scaled import NULL, PRICE, SHARES, USD, Bools, Ints, differs, exceeds, fits, ratios_exceed
from reports.rejudge.sizing_checks import sizing_checks
from shadow.compare.policy import Policy
from shadow.contracts.vocabulary import Reason, TradeStatus

_COMPLETED, _FAILED = STATUSES.index(TradeStatus.COMPLETED), STATUSES.index(TradeStatus.FAILED)
_LEFT_ALONE = tuple(STATUSES.index(status) for status in (TradeStatus.SKIPPED, TradeStatus.BLOCKED))
_NO_END = tuple(STATUSES.index(status) for status in (TradeStatus.UNFINISHED, TradeStatus.NOT_SENT))
_UNKNOWN = STATUSES.index(TradeStatus.UNKNOWN)
_SILENT = (NONE, REASONS.index(Reason.OTHER))
_PARTIAL = REASONS.index(Reason.PARTIAL_FILL)


def too_wide(plan: PlanColumns, role: LaneColumns) -> Bools:
    """Tell where a product that the checks need does not fit a column."""
    pairs = (
        (role.asked, role.price),
        (role.filled, role.average),
        (role.filled, role.price),
        (role.fill_quantity, role.fill_price),
    )
    wide = ~fits(role.price, np.full_like(role.price, 10**SHARES)) & (role.price != NULL)
    for left, right in (*pairs, (role.fill_quantity, role.price), (role.fill_quantity, role.average)):
        wide |= ~fits(left, right) & (left != NULL) & (right != NULL)
    answer: Bools = wide & (plan.amount != NULL)
    return answer


def find(plan: PlanColumns, lanes: tuple[LaneColumns, LaneColumns], words: tuple[str, ...], policy: Policy) -> Iterator[Found]:
    """Run every check over the rows."""
    yield ("MISSING_TRADE", "trade"), either(*(~role.present for role in lanes))
    yield from _plan_checks(plan, lanes, policy)
    yield from sizing_checks(plan, lanes, policy)
    yield from _order_checks(plan, lanes, words, policy)
    yield from _end_checks(lanes)
    yield from _fill_checks(lanes, policy)
    yield from _slippage(lanes, policy)
    yield from _position_checks(plan, lanes, policy)


def _plan_checks(plan: PlanColumns, lanes: tuple[LaneColumns, LaneColumns], policy: Policy) -> Iterator[Found]:
    rule = policy.rules.planned_amount
    yield ("SIDE", "action"), either(*(role.present & (role.action != plan.side) for role in lanes))
    off = ((role.amount != NULL) & differs(rule, role.amount, plan.amount, decimals=USD) for role in lanes)
    yield ("PLANNED_AMOUNT", "planned_amount"), either(*off)
    flags = ((role.exit_flag != NONE) & (role.exit_flag != plan.exit) for role in lanes)
    yield ("FULL_EXIT_FLAG", "is_complete_exit"), either(*flags)


def _order_checks(
    plan: PlanColumns, lanes: tuple[LaneColumns, LaneColumns], words: tuple[str, ...], policy: Policy
) -> Iterator[Found]:
    right = [code for code, word in enumerate(words) if word in policy.rules.order_type.members]
    wrong = ((role.order_type != NONE) & ~np.isin(role.order_type, right) for role in lanes)
    yield ("ORDER_TYPE", "intent.order_type"), either(*wrong)
    allowed = np.where(plan.side == SELL, policy.limits.sell_attempts, policy.limits.buy_attempts)
    yield ("ATTEMPTS", "attempts"), either(*(role.attempts > allowed for role in lanes))


def _end_checks(lanes: tuple[LaneColumns, LaneColumns]) -> Iterator[Found]:
    control, candidate = lanes
    both = control.present & candidate.present
    yield ("FILLED_RECORDED_AS_FAILED", "status"), either(_all_filled(control, candidate), _all_filled(candidate, control))
    yield ("TRADE_UNFINISHED", "status"), either(*(role.present & np.isin(role.status, _NO_END) for role in lanes))
    yield ("TRADE_UNKNOWN", "status"), either(*(role.present & (role.status == _UNKNOWN) for role in lanes))
    unlike = both & (control.status != candidate.status)
    yield ("TRADE_STATUS", "status"), across(unlike, control.status != _COMPLETED, candidate.status != _COMPLETED)
    told = ~np.isin(control.reason, _SILENT) & ~np.isin(candidate.reason, _SILENT)
    told &= both & (control.reason != candidate.reason)
    idle = np.isin(control.status, _LEFT_ALONE) & np.isin(candidate.status, _LEFT_ALONE)
    yield ("SKIP_REASON", "reason"), across(told & idle)
    failed = (control.status == _FAILED) & (candidate.status == _FAILED)
    yield ("TRADE_REASON", "reason"), across(told & failed)


def _all_filled(role: LaneColumns, other: LaneColumns) -> Bools:
    """Tell where all that was asked for was filled and the trade is not recorded as executed."""
    filled = np.where(role.filled == NULL, 0, role.filled)
    by_own = (role.asked != NULL) & (filled + 1 >= role.asked)
    reference = np.where(other.asked == NULL, 0, other.asked)
    all_of_it = exceeds(filled, reference, Fraction(98, 100)) | _is_part(filled, reference)
    something_left = (role.reason == _PARTIAL) & (filled < reference)
    by_other = (role.asked == NULL) & (other.asked != NULL) & all_of_it & ~something_left
    answer: Bools = role.present & (role.status != _COMPLETED) & (filled > 0) & (by_own | by_other)
    return answer


def _is_part(filled: Ints, reference: Ints) -> Bools:
    """Tell where `filled` is exactly 98 % of `reference`: the edge that counts as all of it."""
    exact: Bools = (reference % 50 == 0) & (filled == reference // 50 * 49)
    return exact


def _fill_checks(lanes: tuple[LaneColumns, LaneColumns], policy: Policy) -> Iterator[Found]:
    rules = policy.rules
    off = (
        role.present
        & (role.status == _COMPLETED)
        & (role.asked != NULL)
        & (role.filled != NULL)
        & differs(rules.filled_quantity, role.filled, role.asked, decimals=SHARES)
        for role in lanes
    )
    yield ("FILLED_QUANTITY", "filled_quantity"), either(*off)
    yield ("FILLED_QUANTITY", "filled_usd"), across(_parts_differ(lanes, policy))
    yield ("VALUE", "value"), either(*(_value_off(role, policy) for role in lanes))
    yield ("PRICE_NOT_THE_FILL", "average_price"), either(*(_price_off(role, policy) for role in lanes))
    entered = (
        (role.ledger_price != NULL)
        & (role.average != NULL)
        & (role.filled > 0)
        & differs(rules.effect_price, role.ledger_price, role.average, decimals=PRICE)
        for role in lanes
    )
    yield ("LEDGER_DIFFERENT", "effects.LedgerEntry"), either(*entered)


def _parts_differ(lanes: tuple[LaneColumns, LaneColumns], policy: Policy) -> Bools:
    failed = (lanes[0].status == _FAILED) & (lanes[1].status == _FAILED) & lanes[0].present & lanes[1].present
    dollars = []
    for role in lanes:
        price = np.where(role.price != NULL, role.price, role.average)
        empty = (role.filled == NULL) | (role.filled == 0)
        failed &= empty | (price != NULL)
        dollars.append(np.where(failed & ~empty, role.filled, 0) * np.where(price == NULL, 0, price))
    answer: Bools = failed & differs(policy.rules.partial_fill, dollars[0], dollars[1], decimals=USD)
    return answer


def _value_off(role: LaneColumns, policy: Policy) -> Bools:
    known = (role.value != NULL) & (role.filled != NULL) & (role.average != NULL)
    product = np.where(known, role.filled, 0) * np.where(known, role.average, 0)
    answer: Bools = known & differs(policy.rules.value, role.value, product, decimals=USD)
    return answer


def _price_off(role: LaneColumns, policy: Policy) -> Bools:
    if role.role not in policy.applies.recorded_price:
        return np.zeros(len(role.present), dtype=np.bool_)
    known = role.is_filled & (role.average != NULL)
    quantity = np.where(known, role.fill_quantity, 0)
    recorded, filled = quantity * np.where(known, role.average, 0), quantity * np.where(known, role.fill_price, 0)
    answer: Bools = known & differs(policy.rules.recorded_price, recorded, filled, decimals=USD)
    return answer


def _slippage(lanes: tuple[LaneColumns, LaneColumns], policy: Policy) -> Iterator[Found]:
    control, candidate = lanes
    same = control.present & candidate.present & (control.status == candidate.status) & (control.action == candidate.action)
    known = same & control.is_filled & candidate.is_filled & (control.price != NULL) & (candidate.price != NULL)
    excess = [np.where(known, role.fill_price - np.where(known, role.price, 0), 0) for role in lanes]
    base = [np.where(known, role.price, 1) for role in lanes]
    tolerance = policy.rules.average_price.tolerance
    apart = known & ratios_exceed((excess[0], base[0]), (excess[1], base[1]), tolerance)
    departs = [exceeds(np.abs(part), whole, Fraction(tolerance) / 10_000) for part, whole in zip(excess, base, strict=True)]
    yield ("SLIPPAGE", "average_price"), across(apart, departs[0], departs[1])


def _position_checks(plan: PlanColumns, lanes: tuple[LaneColumns, LaneColumns], policy: Policy) -> Iterator[Found]:
    rule = policy.rules.residual_position
    left = [
        (role.residual != NULL) & differs(rule, role.residual, np.zeros_like(role.residual), decimals=SHARES) for role in lanes
    ]
    short = ((off & (role.residual < 0) & (role.action == SELL)) for off, role in zip(left, lanes, strict=True))
    yield ("OVERSELL", "residual_position"), either(*short)
    done = (off & (role.residual > 0) & plan.exit & (role.status == _COMPLETED) for off, role in zip(left, lanes, strict=True))
    yield ("RESIDUAL_POSITION", "residual_position"), either(*done)


def executed_usd(role: LaneColumns) -> Ints:
    """Give the signed USD executed, with 12 decimals: a BUY adds, a SELL removes."""
    by_fill = role.is_filled
    unpriced = ~by_fill & (role.price != NULL)
    recorded = unpriced & (role.filled != NULL)
    planned = unpriced & (role.filled == NULL) & (role.status == _COMPLETED) & (role.asked != NULL)
    quantity = np.where(by_fill, role.fill_quantity, np.where(recorded, role.filled, np.where(planned, role.asked, 0)))
    price = np.where(by_fill, role.fill_price, np.where(recorded | planned, role.price, 0))
    return np.where(role.present, role.sign * quantity * price, 0).astype(np.int64)


def slippage_usd(role: LaneColumns) -> Ints:
    """Give the USD paid beyond the decision price, with 12 decimals."""
    known = role.is_filled & (role.price != NULL)
    quantity = np.where(known, role.fill_quantity, 0)
    return role.sign * quantity * np.where(known, role.fill_price - role.price, 0)
