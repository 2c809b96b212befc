"""Business Unit: compare | Status: current.

What the brokers say of a whole account: orders that no trade accounts for, and money or shares that no order explains. Nobody
trades by hand in the candidate's own account; in the control's people do, so there such orders are told and are no difference.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal

from shadow.compare.case import PairView
from shadow.compare.exact import EXACT, ZERO
from shadow.compare.finding import Fault, Finding, run_faults, shown
from shadow.compare.ledger import check_of
from shadow.compare.money import flow_of, impact, working_dollars
from shadow.contracts.comparison import Impact
from shadow.contracts.outcome import AccountOrder, Owner, RunOutcome
from shadow.contracts.vocabulary import Role

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
