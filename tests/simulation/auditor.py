"""Business Unit: tests | Status: current.

The auditor: what must hold of a verdict, recomputed from what the simulated world saw. It knows no kind of difference and shares
no code with the comparator: it reads two accounts, the world in which nobody misbehaves, and the document.

A lane departed where its account moved otherwise than in the honest world, by more than the declared tolerance: 3 % of what is
planned of the symbol, and a dollar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from types import MappingProxyType

from shadow.contracts.comparison import Attribution, Cause, Comparison, Difference, Severity, Verdict
from shadow.contracts.vocabulary import ExecutionMode, Role
from tests.simulation.world import Account, Seen

SHARE, FLOOR_USD = Decimal("0.03"), Decimal(1)
CENT = Decimal("0.01")
_BEFORE_OR_LEFT = frozenset({Cause.OPENING_CASH, Cause.OPENING_POSITION, Cause.OPENING_DRIFT, Cause.UNEXPLAINED})
FINE = frozenset({Verdict.MATCHED, Verdict.IGNORED})
Dollars = Mapping[str, Decimal]
Check = Callable[[Seen, Seen], Iterator[str]]


def moved(seen: Seen, account: Account) -> dict[str, Decimal]:
    """Give the dollars by which each holding moved, at the world's price: shares bought less shares sold."""
    symbols = {*account.opening, *account.closing}
    return {
        symbol: (account.closing.get(symbol, Decimal(0)) - account.opening.get(symbol, Decimal(0)))
        * seen.situation.closes.get(symbol, Decimal(0))
        for symbol in sorted(symbols)
    }


def allowed(seen: Seen, symbol: str) -> Decimal:
    """Give the dollars by which two accounts may differ in a symbol."""
    planned = [abs(item.trade_amount) for item in seen.situation.plan.items if item.symbol == symbol]
    return max(sum(planned, Decimal(0)) * SHARE, FLOOR_USD)


def apart(seen: Seen, one: Dollars, other: Dollars) -> dict[str, Decimal]:
    """Give the symbols in which two accounts moved apart by more than is allowed, with the dollars of `one` beyond `other`."""
    gaps = {symbol: one.get(symbol, Decimal(0)) - other.get(symbol, Decimal(0)) for symbol in sorted({*one, *other})}
    return {symbol: usd for symbol, usd in gaps.items() if abs(usd) > allowed(seen, symbol)}


def departures(seen: Seen, honest: Seen, role: Role) -> dict[str, Decimal]:
    """Give what one lane's account did that it does not do where nobody misbehaves, USD by symbol."""
    return apart(seen, moved(seen, seen.accounts[role]), moved(honest, honest.accounts[role]))


def between(seen: Seen) -> dict[str, Decimal]:
    """Give what the accounts moved apart, candidate less control, USD by symbol."""
    lanes = {role: moved(seen, seen.accounts[role]) for role in Role}
    return apart(seen, lanes[Role.CANDIDATE], lanes[Role.CONTROL])


def counting(comparison: Comparison) -> tuple[Difference, ...]:
    """Give the differences that are more than information."""
    return tuple(each for each in comparison.differences if each.severity is not Severity.INFO)


def ends(seen: Seen, honest: Seen) -> Iterator[str]:
    """Every pair ends once the world has healed."""
    del honest
    if not seen.ended or seen.comparison is None:
        yield "the pair has no end, or no document"


def accounts_apart(seen: Seen, honest: Seen) -> Iterator[str]:
    """Accounts that differ beyond the tolerances are neither MATCHED nor IGNORED."""
    del honest
    gaps = between(seen)
    if gaps and seen.comparison is not None and seen.comparison.verdict in FINE:
        yield f"{seen.comparison.verdict}, and the accounts are apart by {_told(gaps)}"


def lane_named(seen: Seen, honest: Seen) -> Iterator[str]:
    """A lane whose account departed is named by a difference, or by a gap; a fault of the other lane does not hide it.

    Where both lanes failed alike, and so say, their accounts are not apart, and that is no difference between them. In dry run no
    broker is a witness of the candidate: that one lane failed and the other says it traded may then be laid to neither, and where
    the control filled nothing of a symbol, nobody says what it was worth: `docs/what-is-seen.md` names both. Where the candidate
    says it traded at a price that was not the market's, it alone may be named: a control without a quote is not proved wrong.
    """
    comparison = seen.comparison
    visible = between(seen)
    for role in Role if comparison is not None else ():
        gone = {symbol: usd for symbol, usd in departures(seen, honest, role).items() if symbol in visible}
        if role is Role.CANDIDATE and seen.mode is ExecutionMode.DRY_RUN:
            gone = {symbol: usd for symbol, usd in gone.items() if _is_priced(seen, symbol)}
        named = [each for each in counting(comparison) if _names(each, role, seen, gone)]
        if gone and not named and not comparison.gaps:
            yield f"the {role} departed by {_told(gone)}, and no difference names it ({comparison.verdict})"


def _is_priced(seen: Seen, symbol: str) -> bool:
    return any(order.symbol == symbol and order.filled_quantity for order in seen.accounts[Role.CONTROL].orders)


def _names(difference: Difference, role: Role, seen: Seen, gone: Dollars) -> bool:
    if seen.mode is ExecutionMode.DRY_RUN and difference.symbol in gone:
        return role is Role.CONTROL or difference.attribution.value in (role.value, Attribution.NEITHER.value)
    return difference.attribution.value == role.value


def innocent_spared(seen: Seen, honest: Seen) -> Iterator[str]:
    """A lane that did nothing wrong is not named by any difference that counts."""
    guilty = {fault.role for fault in seen.faults}
    known = {each.key for each in honest.comparison.differences} if honest.comparison is not None else set()
    for each in counting(seen.comparison) if seen.comparison is not None else ():
        if each.key in known or _failed_by_the_world(each, honest):
            continue
        if each.attribution.value in set(Role) - guilty:
            yield f"{each.kind} of {each.symbol} names the {each.attribution}, which did nothing wrong"


def lies_told(seen: Seen, honest: Seen) -> Iterator[str]:
    """Where a lane says of itself that it traded what its account did not, or less than it did, the pair does not match."""
    del honest
    comparison = seen.comparison
    if comparison is None or comparison.verdict not in FINE:
        return
    for role, run in ((Role.CONTROL, comparison.control), (Role.CANDIDATE, comparison.candidate)):
        claimed: dict[str, Decimal] = {}
        for trade in run.trades if run is not None else ():
            sign = 1 if trade.action.value == "BUY" else -1
            shares = sign * (trade.filled_quantity or Decimal(0))
            usd = shares * seen.situation.closes.get(trade.symbol, Decimal(0))
            claimed[trade.symbol] = claimed.get(trade.symbol, Decimal(0)) + usd
        false = apart(seen, claimed, moved(seen, seen.accounts[role]))
        if false:
            yield f"{comparison.verdict}, and the {role} claims otherwise than its account by {_told(false)}"


def dollars_told(seen: Seen, honest: Seen) -> Iterator[str]:
    """In paper, the gross dollars of a judged pair are at least what the accounts moved apart."""
    del honest
    comparison = seen.comparison
    if comparison is None or seen.mode is not ExecutionMode.PAPER or comparison.verdict is not Verdict.DIVERGED:
        return
    gross = sum((abs(usd) for usd in between(seen).values()), Decimal(0))
    if comparison.gross_impact < gross * (1 - SHARE) - FLOOR_USD:
        yield f"gross {comparison.gross_impact:.2f} USD, and the accounts are apart by {gross:.2f} USD"


def ledger_to_the_cent(seen: Seen, honest: Seen) -> Iterator[str]:
    """In paper, the ledger's rows of a judged pair are what cash and positions moved apart, at the ledger's own marks."""
    del honest
    comparison = seen.comparison
    if comparison is None or comparison.money is None or seen.mode is not ExecutionMode.PAPER:
        return
    if comparison.verdict not in (Verdict.MATCHED, Verdict.IGNORED, Verdict.DIVERGED):
        return
    marks, worth = comparison.money.marks, Decimal(0)
    for role, sign in ((Role.CANDIDATE, 1), (Role.CONTROL, -1)):
        account = seen.accounts[role]
        worth += sign * (account.closing_cash - account.opening_cash)
        for symbol in sorted({*account.opening, *account.closing}):
            shares = account.closing.get(symbol, Decimal(0)) - account.opening.get(symbol, Decimal(0))
            worth += sign * shares * marks.get(symbol, Decimal(0))
    told = sum((row.dollars for row in comparison.money.rows if row.cause not in _BEFORE_OR_LEFT), Decimal(0))
    if abs(told - worth) > CENT:
        yield f"the ledger's rows come to {told:.4f} USD, and the accounts moved apart by {worth:.4f} USD"


def _failed_by_the_world(difference: Difference, honest: Seen) -> bool:
    """Tell whether the lane executes this otherwise than planned where nobody misbehaves: that it did is then no false word."""
    account = honest.accounts.get(Role(difference.attribution.value)) if difference.attribution.value in set(Role) else None
    if account is None:
        return False
    planned = {item.symbol: item.trade_amount for item in honest.situation.plan.tradable_items}
    failed = apart(honest, moved(honest, account), planned)
    return difference.symbol in failed if difference.symbol is not None else bool(failed)


def equal_match(seen: Seen, honest: Seen) -> Iterator[str]:
    """Two lanes that do the same match."""
    del seen
    comparison = honest.comparison
    if comparison is None or comparison.verdict is not Verdict.MATCHED:
        kinds = [each.kind for each in comparison.differences] if comparison is not None else []
        gaps = comparison.gaps[:2] if comparison is not None else ()
        yield f"nobody misbehaved: {comparison and comparison.verdict}, {kinds} {gaps}"


CHECKS: Mapping[str, Check] = MappingProxyType(
    {
        "equal match": equal_match,
        "ends": ends,
        "accounts apart": accounts_apart,
        "lane named": lane_named,
        "innocent spared": innocent_spared,
        "lies told": lies_told,
        "dollars told": dollars_told,
        "ledger to the cent": ledger_to_the_cent,
    }
)


def audit(seen: Seen, honest: Seen) -> list[str]:
    """Give everything that is wrong with a verdict, each with the name of its check."""
    return [f"{name}: {found}" for name, check in CHECKS.items() for found in check(seen, honest)]


def _told(gaps: Dollars) -> str:
    return ", ".join(f"{symbol} {usd:+.2f} USD" for symbol, usd in gaps.items())
