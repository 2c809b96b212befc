"""Business Unit: compare | Status: current.

What each lane sent to the broker for a trade, held against its own record: one chain of orders, under deterministic ids, for
the quantity decided on, none of them live when the trade is over, and never two that count.

What the brokers say of a whole account: orders that no trade accounts for, and money or shares that no order explains. Nobody
trades by hand in the candidate's own account; in the control's people do, so there such orders are told and are no difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import pairwise

from shadow.compare.case import Fault, Finding, LaneTrade, PairView, TradePair, own_faults, run_faults, shown
from shadow.compare.checks.executed import (
    DEAD,
    FILLED,
    LIVE,
    NOT_FOUND,
    accepted_orders,
    executed,
    has_wrong_side,
    is_accepted,
    is_answered,
    is_uncertain,
    order_fill,
    status_of,
)
from shadow.compare.checks.sizing import asked_quantity, decision_price
from shadow.compare.ledger import check_of
from shadow.compare.money import flow_of, impact, working_dollars
from shadow.compare.policy import Policy
from shadow.compare.rules import EXACT, SHARE_STEP, ZERO, within
from shadow.contracts.comparison import Impact
from shadow.contracts.identity import client_order_id_of
from shadow.contracts.model import decimal_text
from shadow.contracts.outcome import AccountOrder, OrderRecord, Owner, RunOutcome
from shadow.contracts.vocabulary import EffectKind, Role, Side, TradeStatus

_OVER = (TradeStatus.FAILED, TradeStatus.SKIPPED, TradeStatus.BLOCKED, TradeStatus.NOT_SENT, TradeStatus.UNKNOWN)
_STEP = "-step-"
_RESIZED = Decimal("1.02")
"""How much more of a trade than its first order asked for a walk may ask for in all, where it sizes what is left anew."""


def chain_of(side: LaneTrade) -> tuple[OrderRecord, ...]:
    """Give the trade's orders whose client ids are known, in the order they were sent; none that the broker does not know."""
    return tuple(o for o in side.trade.orders if o.client_order_id is not None and status_of(o) != NOT_FOUND)


def order_findings(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    """Find what is wrong with the orders of one trade."""
    yield from _order_type(pair, policy)
    yield from standing_order_findings(pair)
    yield from _client_ids(pair, policy)
    yield from _order_quantity(pair, policy)
    yield from _attempts(pair, policy)


def standing_order_findings(pair: TradePair) -> Iterator[Finding]:
    """Find what is wrong with the orders of one trade whatever the policy says."""
    yield from own_faults("ORDER_SIDE", "orders.side", pair.lanes, _astray, pair, rule="an order goes the trade's way")
    yield from own_faults("DOUBLE_ORDER", "orders", pair.lanes, _double, pair, rule="one order that counts")
    yield from own_faults("ORDER_CHAINS", "orders", pair.lanes, broken_chain, pair, rule="one chain of orders")
    yield from own_faults("ORDER_LIVE_WHILE_FAILED", "orders", pair.lanes, _live, pair, rule="no live order of an ended trade")
    yield from own_faults("ORDER_FATE_UNKNOWN", "orders", pair.lanes, _uncertain, pair, rule="every order's end is known")
    yield from own_faults("COMPLETED_WITHOUT_ORDER", "orders", pair.lanes, _none_accepted, pair, rule="an order was accepted")
    yield from own_faults("ORDER_DENIED", "orders", pair.lanes, _denied, pair, rule="the broker knows what the lane records")
    for side in pair.lanes:
        yield from _left_working(pair, side)


def _order_type(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    right = policy.rules.order_type.members

    def check(side: LaneTrade) -> Fault | None:
        kind = order_type_of(side)
        return None if kind is None or kind in right else Fault(kind, f"begins with a {kind} order")

    yield from own_faults(
        "ORDER_TYPE",
        "intent.order_type",
        pair.lanes,
        check,
        pair,
        rule=policy.rules.order_type,
        planned=", ".join(right),
        right=order_type_of,
    )


def order_type_of(side: LaneTrade) -> str | None:
    """Give the first order's type. The control records its last order only, which says nothing of the first."""
    chain = chain_of(side)
    intent = side.trade.intent
    kind = chain[0].order_type if chain else (intent.order_type if intent and not side.trade.orders else None)
    return None if kind is None else kind.lower()


def _astray(side: LaneTrade) -> Fault | None:
    """Tell of an order that goes the other way than its trade: it moves the position away from the plan."""
    astray = [order for order in accepted_orders(side) if has_wrong_side(order, side)]
    if not astray:
        return None
    filled = sum((order.filled_quantity or Decimal(0) for order in astray), Decimal(0))
    return Fault(
        shown(astray[0].side) or "",
        f"sent a {shown(astray[0].side)} order for a {shown(side.trade.action)}, {shown(filled)} shares filled",
    )


def _double(side: LaneTrade) -> Fault | None:
    """Tell of two orders that are live or filled, or fills beyond what was asked for, by the orders or by the ledger."""
    counting = [order for order in accepted_orders(side) if status_of(order) == FILLED or status_of(order) in LIVE]
    if len(counting) > 1:
        return Fault(f"{len(counting)} orders", f"has {len(counting)} accepted orders that are live or filled")
    asked = asked_quantity(side)
    fill = order_fill(side)
    if fill is not None and _exceeds(fill.quantity, asked):
        return Fault(decimal_text(fill.quantity), f"filled {shown(fill.quantity)} shares where {shown(asked)} were asked for")
    entries = {e.order_id: e.quantity for e in side.effects_of(EffectKind.LEDGER_ENTRY) if e.order_id and e.quantity}
    total = sum(entries.values(), Decimal(0))
    if len(entries) > 1 and _exceeds(total, asked if asked is not None else side.trade.filled_quantity):
        return Fault(decimal_text(total), f"has {len(entries)} orders in the ledger that filled {shown(total)} shares")
    return None


def _exceeds(quantity: Decimal, asked: Decimal | None) -> bool:
    return asked is not None and EXACT.subtract(quantity, asked) > SHARE_STEP


def broken_chain(side: LaneTrade) -> Fault | None:
    """Tell of steps that are repeated, left out, unnamed, sent after everything was filled, or for more than was left."""
    chain = chain_of(side)
    names = [order.client_order_id or "" for order in chain]
    if len(set(names)) < len(names):
        return Fault(f"{len(names)} orders", "records one client order id twice")
    steps = _steps(side, chain)
    if steps and (len(steps) < len(chain) or _left_out(steps)):
        numbers = ", ".join(str(step) for step, _ in steps)
        return Fault(f"steps {numbers}", f"has orders of the steps {numbers} only")
    ids = {order.order_id for order in chain}
    if chain and None not in ids and side.trade.order_id not in (None, *ids):
        return Fault(side.trade.order_id or "", f"names the order {side.trade.order_id}, which is none of its orders")
    ordered = _by_time(chain)
    filled = next((number for number, order in enumerate(ordered) if status_of(order) == FILLED), None)
    if filled is not None and filled < len(ordered) - 1:
        return Fault(f"{len(chain)} orders", "sent an order after the trade was filled")
    return _more_than_left(ordered)


def _more_than_left(ordered: Sequence[OrderRecord]) -> Fault | None:
    """Tell of an order that asks for more than the ones before it, which filled a part, had left: it may fill it twice."""
    if len(ordered) < 2 or any(order.submitted_at is None for order in ordered):  # noqa: PLR2004 - one before the other
        return None
    whole, filled = ordered[0].quantity or ZERO, ZERO
    most = EXACT.add(EXACT.multiply(whole, _RESIZED), SHARE_STEP)
    for order in ordered:
        quantity = order.quantity or ZERO
        if whole and filled and is_accepted(order) and EXACT.add(filled, quantity) > most:
            left = max(EXACT.subtract(whole, filled), ZERO)
            return Fault(decimal_text(quantity), f"sent an order for {shown(quantity)} shares where {shown(left)} were left")
        filled = EXACT.add(filled, order.filled_quantity or ZERO) if is_accepted(order) else filled
    return None


def _steps(side: LaneTrade, chain: Sequence[OrderRecord]) -> list[tuple[int, OrderRecord]]:
    """Give the orders whose client ids derive from the trade, by step."""
    known = ((_step(order.client_order_id or "", side.trade.trade_id), order) for order in chain)
    return sorted(((step, order) for step, order in known if step is not None), key=lambda each: each[0])


def _left_out(steps: Sequence[tuple[int, OrderRecord]]) -> bool:
    """Tell whether a step is missing. An attempt that the broker refused ends there: the next begins at its own first step."""
    gaps = ((before, after) for before, after in pairwise(steps) if after[0] != before[0] + 1)
    return steps[0][0] != 0 or any(is_accepted(order) for (_, order), _ in gaps)


def _step(name: str, trade_id: str) -> int | None:
    if name == trade_id:
        return 0
    lead, _, number = name.rpartition(_STEP)
    return int(number) if lead == trade_id and number.isdigit() else None


def _by_time(chain: Sequence[OrderRecord]) -> list[OrderRecord]:
    if all(order.submitted_at is not None for order in chain):
        return sorted(chain, key=lambda order: order.submitted_at)  # type: ignore[arg-type, return-value]
    return list(chain)


def foreign_ids(side: LaneTrade, trade_id: str) -> list[str]:
    """Give the client ids of a trade's orders that do not derive from `trade_id`."""
    names = [order.client_order_id or "" for order in chain_of(side)]
    return [name for name in names if _step(name, trade_id) is None]


def _client_ids(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    trade_id = pair.trade_id

    def check(side: LaneTrade) -> Fault | None:
        if side.run.lane not in policy.applies.client_order_id:
            return None
        foreign = foreign_ids(side, trade_id)
        return Fault(foreign[0], f"sent an order under the client id {foreign[0]}") if foreign else None

    yield from own_faults(
        "CLIENT_ORDER_ID",
        "orders.client_order_id",
        pair.lanes,
        check,
        pair,
        rule="derives from the trade id",
        planned=client_order_id_of(trade_id, 0),
    )


def _order_quantity(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    rule = policy.rules.order_quantity

    def check(side: LaneTrade) -> Fault | None:
        chain = chain_of(side)
        decided = side.trade.intent.quantity if side.trade.intent else None
        sent = chain[0].quantity if chain else None
        if sent is None or decided is None or within(rule, sent, decided):
            return None
        return Fault(decimal_text(sent), f"decided on {shown(decided)} shares and sent an order for {shown(sent)}")

    yield from own_faults("ORDER_QUANTITY", "orders.quantity", pair.lanes, check, pair, rule=rule)


def _attempts(pair: TradePair, policy: Policy) -> Iterator[Finding]:
    allowed = policy.limits.sell_attempts if pair.side is Side.SELL else policy.limits.buy_attempts

    def check(side: LaneTrade) -> Fault | None:
        tries = side.trade.attempts
        return Fault(str(tries), f"tried {tries} times") if tries is not None and tries > allowed else None

    yield from own_faults(
        "ATTEMPTS",
        "attempts",
        pair.lanes,
        check,
        pair,
        rule=f"at most {allowed}",
        planned=str(allowed),
        right=lambda side: shown(side.trade.attempts),
    )


def _live(side: LaneTrade) -> Fault | None:
    live = [order for order in accepted_orders(side) if status_of(order) in LIVE]
    if side.trade.status not in _OVER or not live:
        return None
    return Fault(
        status_of(live[0]), f"records the trade as {side.trade.status.value} while an order of it is {status_of(live[0])}"
    )


def _denied(side: LaneTrade) -> Fault | None:
    """Tell of an order that the broker does not know, or of fewer shares than the lane records, however the trade ended."""
    if not is_answered(side):
        return None
    absent = next((order for order in side.trade.orders if status_of(order) == NOT_FOUND), None)
    if absent is not None:
        name = absent.client_order_id or absent.order_id or ""
        return Fault(name, f"records the order {name}, which its broker does not know")
    done, recorded = executed(side), side.trade.filled_quantity
    if recorded is None or done.shares is None or side.trade.status is TradeStatus.COMPLETED:
        return None
    if EXACT.subtract(recorded, abs(done.shares)) <= SHARE_STEP:
        return None
    return Fault(
        decimal_text(recorded), f"records {shown(recorded)} shares filled where its broker filled {shown(abs(done.shares))}"
    )


def _left_working(pair: TradePair, side: LaneTrade) -> Iterator[Finding]:
    """Tell of an order that still works although its trade is executed, with what it may still fill in USD."""
    live = [order for order in accepted_orders(side) if status_of(order) in LIVE]
    if side.trade.status is not TradeStatus.COMPLETED or not live or side.run.completed_at is None:
        return
    price = decision_price(side.trade.intent) or side.trade.average_price
    worth = [working_dollars(order, price) or ZERO for order in live]
    fault = Fault(status_of(live[0]), f"left an order working ({status_of(live[0])}) after the trade was recorded as executed")
    found = own_faults(
        "ORDER_LEFT_WORKING", f"orders.{side.role.value}", (side,), lambda _: fault, pair, rule="no live order is left"
    )
    yield from (replace(finding, impact=impact(ZERO, ZERO, sum(worth, ZERO))) for finding in found)


def _uncertain(side: LaneTrade) -> Fault | None:
    unsure = [order for order in side.trade.orders if order.accepted is not False and is_uncertain(order)]
    if side.trade.status is TradeStatus.UNFINISHED or not unsure:
        return None
    return Fault(status_of(unsure[0]), f"does not know what became of an order ({status_of(unsure[0])})")


def _none_accepted(side: LaneTrade) -> Fault | None:
    orders = side.trade.orders
    if side.trade.status is not TradeStatus.COMPLETED or not orders:
        return None
    dead = all(status_of(order) in DEAD or order.accepted is False for order in orders)
    fill = order_fill(side)
    if not dead or (fill is not None and fill.quantity > 0):
        return None
    return Fault(status_of(orders[-1]) or "refused", "records the trade as executed, and no order was accepted or filled")


_CENT = Decimal("0.01")
_SHARES = Decimal("0.000001")


def account_findings(view: PairView) -> Iterator[Finding]:
    """Find orders that are nobody's in the candidate's account, and what no order explains in either."""
    for run in view.runs:
        if run.role is Role.CANDIDATE and run.account is not None:
            yield from (_unclaimed(other) for other in run.account.orders if other.owner is Owner.NOBODY)
    for run in view.runs:
        found = run_faults("UNEXPLAINED_MONEY", "account", (run,), _unexplained, rule="after = before + fills + bookings")
        yield from (replace(finding, impact=_worth(run)) for finding in found)


def _unclaimed(other: AccountOrder) -> Finding:
    order = other.order
    _, cash = flow_of(order)
    open_worth = working_dollars(order) or ZERO
    what = f"{shown(order.side) or 'an order'} of {order.symbol or 'an unknown symbol'}"
    state = f"{order.status or 'in an unknown state'}, {shown(order.filled_quantity or ZERO)} shares filled"
    return Finding(
        kind="UNCLAIMED_ORDER",
        field=f"account.orders[{order.order_id}]",
        rule="every order in the candidate's account is one of a run's trades",
        explanation=f"The candidate's account has a {what} ({state}) that no trade of this or another run accounts for.",
        role=Role.CANDIDATE,
        candidate=order.client_order_id or order.order_id,
        symbol=order.symbol,
        impact=impact(-cash, cash, abs(cash) + open_worth),
    )


def _worth(run: RunOutcome) -> Impact | None:
    """Give what an account holds unexplained, candidate minus control: shares at the broker's mark, and cash."""
    check = check_of(run)
    if check is None:
        return None
    shares = EXACT.subtract(check.dollars, check.cash)
    sign = 1 if run.role is Role.CANDIDATE else -1
    return impact(sign * shares, sign * check.cash, EXACT.add(abs(shares), abs(check.cash)))


def _unexplained(run: RunOutcome) -> Fault | None:
    check = check_of(run)
    if check is None:
        return None
    shares = {symbol: held for symbol, held in check.positions.items() if abs(held) > _SHARES}
    cash = check.cash.quantize(_CENT)
    if not shares and not cash:
        return None
    parts = [f"{shown(held)} shares of {symbol or 'an unknown symbol'}" for symbol, held in shares.items()]
    parts += [f"{shown(cash)} USD of cash"] if cash else []
    return Fault(
        f"{shown(check.dollars.quantize(_CENT))} USD",
        f"holds {', '.join(parts)} more than before, by its broker, that no order and no booking explains",
    )
